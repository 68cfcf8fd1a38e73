"""Tensor flags: whether a tensor in a model is a signal, a gate or an index, or was changed in place."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor


def signal(value: Tensor) -> Tensor:
    """Return a tensor that counts as a signal, without its history."""
    result = value.detach().requires_grad_()
    setattr(result, _OURS, True)
    return result


def is_foreign(value: Tensor) -> bool:
    """Tell whether a tensor requires a gradient for the model's own sake, as parameters do, and is no signal."""
    return value.requires_grad and value.is_leaf and not getattr(value, _OURS, False)


def passing(value: Tensor) -> Tensor:
    """Return a signal without history that can be written into like a model's own result."""
    return signal(value).clone()


def is_signal(value: object) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


_GATE = "_drf_lrp_gate"
_OURS = "_drf_lrp_ours"
_INDICES = "_drf_lrp_indices"
_CURRENT = "_drf_lrp_current"
_VIEW = "_drf_lrp_view"
_ROOT = "_drf_lrp_root"
_DIVISOR = "_drf_lrp_divisor"
_ORIGIN = "_drf_lrp_origin"

CHOSEN = "chosen"
"""Origin of constants that the model chose by comparing its signals, such as a mask or an index."""
DRAWN = "drawn"
"""Origin of random numbers."""


def stand_for(target: Tensor, result: Tensor) -> Tensor:
    """Record that a tensor was changed in place; its old values stay, since rules still need them."""
    setattr(target, _CURRENT, result)
    return target


def remember_view(view: Tensor, base: Tensor) -> None:
    """Record that a tensor is a part of another tensor, which may be written into."""
    setattr(view, _VIEW, getattr(base, _VIEW, base))


def write_through(target: Tensor, result: Tensor) -> None:
    """Substitute a result for a tensor that was changed in place, and update the tensors that contain it."""
    stand_for(target, result)
    base = getattr(target, _VIEW, None)
    if base is not None:
        changed = current(base).clone()
        if changed.stride() == base.stride():  # else the output differs from the model's own, and is refused
            offset = target.storage_offset() - base.storage_offset()
            changed.as_strided(target.shape, target.stride(), offset).copy_(result)
            write_through(base, changed)


def current(value: Tensor) -> Tensor:
    """Return the tensor after all changes that were made to it in place."""
    while (later := getattr(value, _CURRENT, None)) is not None:
        value = later
    return value


def mark_gate(value: Tensor) -> Tensor:
    """Record that a signal scales others."""
    setattr(value, _GATE, True)
    return value


def is_gate(value: object) -> bool:
    return getattr(value, _GATE, False)


def mark_root(value: Tensor) -> Tensor:
    """Record that a signal is a square root, such as a standard deviation."""
    setattr(value, _ROOT, True)
    return value


def is_root(value: object) -> bool:
    return getattr(value, _ROOT, False)


def mark_divisor(value: Tensor, divisor: Tensor) -> Tensor:
    """Record that a signal is the reciprocal of another: to multiply by it is to divide."""
    setattr(value, _DIVISOR, divisor)
    return value


def divisor_of(value: object) -> Tensor | None:
    return getattr(value, _DIVISOR, None)


def follow_indices(indices: Tensor, ones: Tensor) -> Tensor:
    """Attach a signal, 1 everywhere, to a tensor of whole numbers; their relevance goes to the signal."""
    setattr(indices, _INDICES, ones)
    return indices


def indices_signal(value: object) -> Tensor | None:
    return getattr(value, _INDICES, None)


def mark_origin(values: Any, origins: set[str]) -> None:
    for value in tensors(values) if origins else ():
        setattr(value, _ORIGIN, origins | origins_of(value))


def origins_of(values: Any) -> set[str]:
    """Return the origins of all constants among some values."""
    return set().union(*(getattr(value, _ORIGIN, ()) for value in tensors(values)))


def kind_of(*values: Any) -> str:
    """Return the share of the account that a constant belongs to."""
    return CHOSEN if CHOSEN in origins_of(values) else "bias"


def tensors(values: Any) -> Iterator[Tensor]:
    """Return all tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from tensors(value)
    elif isinstance(values, dict):
        yield from tensors(tuple(values.values()))


def map_tensors(change: Callable[[Tensor], Tensor], values: Any) -> Any:
    """Return the same structure with every tensor changed."""
    if isinstance(values, Tensor):
        return change(values)
    if isinstance(values, tuple) and hasattr(values, "_fields"):
        return type(values)(*(map_tensors(change, value) for value in values))
    if isinstance(values, (list, tuple)) and type(values) in (list, tuple):
        return type(values)(map_tensors(change, value) for value in values)
    if isinstance(values, tuple):  # torch.return_types
        return type(values)([map_tensors(change, value) for value in values])
    if type(values) is dict:
        return {key: map_tensors(change, value) for key, value in values.items()}
    return values
