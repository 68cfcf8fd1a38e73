"""The account of a forecast: by name, where every bit of f(x) went."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Account:
    """Relevance of every input, and what the rest of f(x) was absorbed by.

    For every sample ``inputs + bias + stabiliser + initial_state + baseline == output`` up to the precision of the
    arithmetic.

    Attributes
    ----------
    relevance
        Same shape as the input.
    inputs
        Its sum over all inputs of a sample, shape (n,).
    bias
        Absorbed by the biases of the maps that relevance passed through, shape (n,).
    stabiliser
        Absorbed by the small terms that keep denominators from zero, shape (n,).
    initial_state
        Absorbed by the recurrent state before the first date, shape (n,).
    baseline
        f(baseline), if relevance was taken against a baseline, else 0, shape (n,).
    output
        f(x), shape (n,).
    """

    relevance: Tensor
    inputs: Tensor
    bias: Tensor
    stabiliser: Tensor
    initial_state: Tensor
    baseline: Tensor
    output: Tensor

    @property
    def residual(self) -> Tensor:
        """What the account fails to explain: zero up to rounding, shape (n,)."""
        return self.output - (self.inputs + self.bias + self.stabiliser + self.initial_state + self.baseline)

    def totals(self) -> tuple[Tensor, ...]:
        """Everything but the relevance, in the order of the fields."""
        return self.inputs, self.bias, self.stabiliser, self.initial_state, self.baseline, self.output
