"""Account of an output: the parts into which f(x) is divided, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PARTS = ("inputs", "bias", "stabiliser", "initial_state", "chosen", "baseline", "output")


@dataclass(frozen=True, repr=False)
class Account:
    """Relevance of every input, and the absorbed rest of f(x).

    For every sample ``inputs + bias + stabiliser + initial_state + chosen + baseline == output`` up to the precision of
    the arithmetic. If there are several targets, every tensor has an axis of targets before the others.

    Attributes:
        relevances: One tensor for each input tensor of the model, in its shape, keywords after the others; see
            :attr:`relevance`.
        inputs: Relevance summed over all inputs of a sample, shape (n,).
        bias: Relevance absorbed by biases and other added constants, shape (n,).
        stabiliser: Relevance absorbed by the small terms that keep denominators from zero, shape (n,).
        initial_state: Relevance absorbed by the recurrent state before the first step, shape (n,).
        chosen: Share of what the model chose by comparing values, such as a mask, an index or the places of the
            largest; no input gets it, shape (n,). Under the Shapley rule the baseline is run with the
            choices for x, and this is how much they change f(baseline).
        baseline: f(baseline), if relevance was taken against a baseline, else 0, shape (n,).
        output: f(x), shape (n,).
        spreads: Standard deviations of ``relevances`` over several baselines or draws, in their shapes.
        layers: Relevance of the outputs of the modules named by ``layers=``, by name.
    """

    relevances: tuple[Tensor, ...]
    inputs: Tensor
    bias: Tensor
    stabiliser: Tensor
    initial_state: Tensor
    chosen: Tensor
    baseline: Tensor
    output: Tensor
    spreads: tuple[Tensor, ...] = ()
    layers: Mapping[str, Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        shapes = ", ".join(str(tuple(relevance.shape)) for relevance in self.relevances)
        largest = float(self.residual.abs().max())
        return f"Account(relevances of shape {shapes}; {self.output.numel()} outputs; residual up to {largest:.1e})"

    @property
    def relevance(self) -> Tensor:
        """Relevance of a model's only input, in its shape.

        Raises ValueError if the model has several inputs: use :attr:`relevances` instead.
        """
        if len(self.relevances) > 1:
            raise ValueError(
                f"the model takes {len(self.relevances)} inputs: use account.relevances, one tensor an input"
            )
        return self.relevances[0]

    @property
    def residual(self) -> Tensor:
        """Difference between the account and f(x): zero up to rounding, shape (n,)."""
        return self.output - sum(getattr(self, name) for name in PARTS[:-1])

    def grouped(self, groups: Tensor, of: int = 0) -> Tensor:
        """Return the relevance of groups of an input's elements, such as words or factors.

        Args:
            groups: Group of every element, whole numbers from 0 on, in the shape of one sample.
            of: Which of ``relevances``; its samples lie on axis 0.

        Returns:
            Shape (n, groups), or (targets, n, groups).
        """
        flat, places = self.relevances[of].flatten(-groups.ndim), groups.flatten().to(self.relevances[of].device)
        return flat.new_zeros(*flat.shape[:-1], int(groups.max()) + 1).index_add_(-1, places, flat)

    def save(self, path: str | Path) -> None:
        """Write the account to a file that :meth:`load`, or ``torch.load`` with ``weights_only=True``, reads."""
        torch.save({item.name: getattr(self, item.name) for item in fields(self)}, path)

    @classmethod
    def load(cls, path: str | Path) -> "Account":
        """Read an account that :meth:`save` wrote."""
        return cls(**torch.load(path, weights_only=True))


def mean_of(accounts: Sequence[Account]) -> Account:
    """Return the mean of several accounts, with the standard deviations of their relevances."""
    if len(accounts) == 1:
        return accounts[0]

    def mean(values: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(values)).mean(0)

    by_input = list(zip(*(account.relevances for account in accounts), strict=True))
    parts: dict[str, Any] = {name: mean([getattr(account, name) for account in accounts]) for name in PARTS}
    layers = {name: mean([account.layers[name] for account in accounts]) for name in accounts[0].layers}
    spreads = tuple(torch.stack(values).std(0) for values in by_input)
    return Account(tuple(map(mean, by_input)), **parts, spreads=spreads, layers=layers)


def only_target(account: Account) -> Account:
    """Return an account of a single target without its axis of targets."""
    parts = {name: getattr(account, name)[0] for name in PARTS}
    layers = {name: value[0] for name, value in account.layers.items()}
    return Account(
        tuple(r[0] for r in account.relevances), **parts, spreads=tuple(s[0] for s in account.spreads), layers=layers
    )
