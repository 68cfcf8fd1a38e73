"""Recording: a run of a model as it is that keeps the value of every operation."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from .composite import Composite
from .gated import GatedTrace
from .propagation import Bilinear, Elementwise, Propagation
from .recurrent import Trace
from .rules import LinearMap
from .standardising import standardised
from .tensor_flags import passing


class Recording(Propagation):
    """Method that runs the model as it is and keeps the value at every site."""

    def __init__(self, composite: Composite, choices: Sequence[Any] | None = None, disturbed: bool = False) -> None:
        super().__init__(composite)
        self._made = None if choices is None else iter(choices)
        self._disturbed = disturbed
        self.choices: list[Any] = []
        """Choices that the model made by comparing values, in order."""
        self.values: list[Tensor] = []
        self.traces: list[Any] = []
        """The trace of every recurrent layer, in the order in which they ran."""

    def site(self, value: Tensor) -> int:
        self.values.append(value.detach())
        return super().site(value)

    def choose(self, found: Any) -> Any:
        """Choose as in an earlier run where its ``choices`` were given."""
        if self._made is not None:
            found = next(self._made, found)
        self.choices.append(found)
        return super().choose(found)

    def number(self, found: Any) -> Any:
        """Change numbers in a ``disturbed`` run, which shows whether the output depends on them."""
        return self.choose(_disturbed(found) if self._disturbed else found)

    def _lstm(self, site: int, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        trace = Trace.run(x.detach(), h.detach(), c.detach(), weights, gates=True)
        self.traces.append(trace)
        return passing(trace.h[1:]), passing(trace.c[1:])

    def _gated(self, site: int, kind: str, x: Tensor, h: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        self.traces.append(GatedTrace.run(kind, x.detach(), h.detach(), weights))
        return passing(self.traces[-1].h[1:])

    def _selection(self, site: int, function: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)

    def _standardise(self, site: int, x: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor:
        return passing(standardised(x.detach(), axes, eps, centre))

    def _softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return passing(z.detach().softmax(dim))

    def _log_softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return passing(z.detach().log_softmax(dim))

    def _activation(self, site: int, function: Elementwise, z: Tensor, offset: bool) -> Tensor:
        return passing(function(z.detach()))

    def _product(self, sites: tuple[int, int], function: Bilinear, a: Tensor, b: Tensor) -> Tensor:
        return passing(function(a.detach(), b.detach()))

    def _linear_map(
        self, site: int, function: LinearMap, x: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor, z: Tensor
    ) -> Tensor:
        return passing(z)

    def _lookup(self, site: int, value: Tensor, indices: Tensor) -> Tensor:
        return passing(value)


def _disturbed(found: Any) -> Any:
    return [_disturbed(value) for value in found] if isinstance(found, list) else 1.5 * found + 1
