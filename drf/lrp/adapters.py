"""Adapters: relevance in the shapes that captum and Quantus call for."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .attributor import Attributor
from .composite import Composite
from .gate_rules import SHAPLEY


class DrfLRP:
    """Relevance with captum's interface, in place of ``captum.attr.LRP``, ``DeepLift`` or ``IntegratedGradients``.

    Args:
        model: Module or function.
        composite: The rules, or the name of one. By default the Shapley rule where baselines are given, else epsilon.
        settings: Passed to :class:`~.attributor.Attributor`.
    """

    def __init__(
        self, model: nn.Module | Callable[..., Any], composite: Composite | str | None = None, **settings: Any
    ) -> None:
        self.model, self.composite, self.settings = model, composite, settings

    def has_convergence_delta(self) -> bool:
        return True

    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
    ) -> Any:
        """Return relevance as captum does: a tensor for a tensor, a tuple for a tuple.

        Args:
            baselines: A number or tensor, or a tuple of these, one an input.
            target: An output, a tuple that indexes it, or a tensor or list with one output a sample.
            additional_forward_args: Further arguments of the model, which are not explained.
            return_convergence_delta: Whether to return f(x) - f(baseline) less all relevance, (n,), too.
        """
        explained = inputs if isinstance(inputs, tuple) else (inputs,)
        further = () if additional_forward_args is None else additional_forward_args
        further = further if isinstance(further, tuple) else (further,)
        composite = self.composite or (SHAPLEY if baselines is not None else None)
        held = [len(explained) + k for k, value in enumerate(further) if isinstance(value, Tensor)]
        if baselines is not None:
            baselines = baselines if isinstance(baselines, tuple) else (baselines,)
            baselines = (*baselines, *(None for _ in held))
        attributor = Attributor(self.model, composite, fixed=held, **self.settings)
        target = torch.as_tensor(target) if isinstance(target, list) else target
        account = attributor(*explained, *further, target=target, baseline=baselines)
        found = account.relevances[: len(explained)]
        result = found if isinstance(inputs, tuple) else found[0]
        delta = account.output - account.baseline - account.inputs
        return (result, delta) if return_convergence_delta else result


def explain_func(model: nn.Module, inputs: Any, targets: Any, **settings: Any) -> Any:
    """Return relevance as Quantus calls for it: NumPy arrays in, a NumPy array out.

    Args:
        inputs: (n, ...).
        targets: One output a sample, (n,).
        settings: ``composite``, ``select`` and ``fixed`` of :class:`~.attributor.Attributor`; others, such as
            those that Quantus adds, are ignored.
    """
    own = {name: settings[name] for name in ("composite", "select", "fixed") if name in settings}
    like = next(model.parameters())
    x = torch.as_tensor(inputs, dtype=like.dtype, device=like.device)
    target = torch.as_tensor(targets).reshape(len(x)).long()
    return Attributor(model, **own)(x, target=target).relevance.cpu().numpy()
