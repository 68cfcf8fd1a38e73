"""Dispatch: swap the operations of a model for their rules while its own ``forward`` runs.

A function that is in no table runs unchanged; if relevance reaches it, an error names it, so no unknown function is
explained by its plain gradient. :func:`register` adds functions and layers to the table.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from .propagation import Barrier, Propagation
from .tensor_flags import (
    DRAWN,
    current,
    follow_indices,
    indices_signal,
    is_foreign,
    is_signal,
    map_tensors,
    mark_origin,
    origins_of,
    tensors,
    write_through,
)

Operation = Callable[..., Any]
"""``operation(propagation, function, *args, **kwargs)``, with the function's own arguments."""

OPERATIONS: dict[str, Operation] = {}
"""Operations by the function's name, without the underscores of methods and in-place forms."""

LAYERS: dict[type[nn.Module], Callable[..., Any]] = {}
"""Layers that are explained by other means than their own ``forward``, see :func:`register`."""


def register(what: type[nn.Module] | Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a layer or a function with the rule of its relevance.

    A layer's rule is a function ``rule(layer, *inputs)`` that computes the layer's output in operations that have rules
    of their own; relevance follows these operations. A function's rule is ``rule(propagation, function, *args,
    **kwargs)`` and calls one of the kinds of operation of :class:`~.propagation.Propagation`.

    >>> @register(MyGate)                                    # doctest: +SKIP
    ... def rule(layer, x):
    ...     return torch.sigmoid(layer.scale) * x
    """

    def add(rule: Callable[..., Any]) -> Callable[..., Any]:
        if isinstance(what, type) and issubclass(what, nn.Module):
            LAYERS[what] = rule
        else:
            OPERATIONS[name_of(what)] = rule
        return rule

    return add


def operation(*names: str) -> Callable[[Operation], Operation]:
    def add(rule: Operation) -> Operation:
        OPERATIONS.update(dict.fromkeys(names, rule))
        return rule

    return add


class Swapped(TorchFunctionMode):
    """Context in which every function of torch is run by its rule."""

    def __init__(self, propagation: Propagation) -> None:
        super().__init__()
        self.propagation = propagation

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):  # such a part of a model is explained in single precision
                self.propagation.coarse = True
                with torch.autocast(device, enabled=False):
                    return self.__torch_function__(func, types, args, kwargs)
        # Neither no_grad() nor inference_mode() within the model must hide a signal.
        with torch.inference_mode(False), torch.enable_grad():
            return run_operation(self.propagation, func, args, kwargs or {})


def run_operation(propagation: Propagation, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Run one function of torch, by its rule if a signal is among its arguments."""
    name = name_of(func)
    args, kwargs = map_tensors(_as_seen, args), map_tensors(_as_seen, kwargs)
    if name == "requires_grad":  # a common habit with initial states; here it would make them inputs
        return args[0]
    kwargs = {key: value for key, value in kwargs.items() if key != "requires_grad"}
    origins = origins_of((args, kwargs))
    if name in RANDOM:
        propagation.drew_random_numbers, origins = True, origins | {DRAWN}
    if any(map(is_signal, tensors((args, kwargs)))):
        if DRAWN in origins and name in RECURRENT:
            propagation.random_states = True
        elif DRAWN in origins:
            propagation.noise = propagation.noise or f"{propagation.where}: torch.{name}"
        result = _with_signals(propagation, func, name, args, kwargs)
    else:
        result = _without_signals(propagation, func, name, args, kwargs)
        if origins and _is_in_place(func, args, kwargs, True):
            mark_origin(args[0], origins)
    if origins:
        mark_origin([value for value in tensors(result) if not is_signal(value)], origins)
    return result


def _with_signals(propagation: Propagation, func: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    rule = OPERATIONS.get(name)
    if isinstance(kwargs.get("out"), Tensor):
        given = {key: value for key, value in kwargs.items() if key != "out"}
        write_through(kwargs["out"], _with_signals(propagation, func, name, args, given))
        return kwargs["out"]
    if _is_in_place(func, args, kwargs):
        return _in_place(propagation, func, rule, name, args, kwargs)
    if rule is not None:
        return rule(propagation, func, *args, **kwargs)
    if isinstance(func, FunctionType) and func.__module__ in ("torch.nn.functional", "torch.functional"):
        with Swapped(propagation), suppress(RecursionError):  # one that calls itself by another name
            return _opened(func)(*args, **kwargs)
    return refuse_relevance(propagation, func, name, args, kwargs)


def _opened(func: FunctionType) -> Callable[..., Any]:
    """Return a function of torch that is written in Python, so that the operations in it are seen one by one."""
    checks = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
    names = {**func.__globals__, **dict.fromkeys(checks, lambda *args: False)}
    opened = FunctionType(func.__code__, names, func.__name__, func.__defaults__, func.__closure__)
    opened.__kwdefaults__ = func.__kwdefaults__
    return opened


def name_of(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", str(func))
    if name in ("__get__", "__set__"):
        return f"{name} {getattr(getattr(func, '__self__', None), '__name__', '')}"
    if name in ("__float__", "__int__", "__index__", "__bool__"):  # float(x) differs from x.float()
        return name
    if name.startswith("__"):
        name = name.strip("_")
        return name[1:] if name in AUGMENTED else name
    return name.rstrip("_")


AUGMENTED = {"iadd", "isub", "imul", "itruediv", "ipow"}
RANDOM = {
    "randn", "rand", "randint", "randn_like", "rand_like", "randint_like", "randperm", "normal", "uniform", "bernoulli",
    "xavier_uniform", "xavier_normal", "multinomial", "poisson", "exponential", "cauchy", "log_normal", "geometric",
}  # fmt: skip
RECURRENT = {
    "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell",
}  # fmt: skip
"""Functions whose initial states may be random."""


def _as_seen(value: Tensor) -> Tensor:
    """Return the current value of a tensor that was changed in place; parameters are constants here."""
    value = current(value)
    return value.detach() if is_foreign(value) else value


def _is_in_place(func: Callable[..., Any], args: Any, kwargs: dict[str, Any], constants: bool = False) -> bool:
    """Tell whether a function changes its first argument. ``constants``: also where autograd handles it."""
    name = getattr(func, "__name__", "")
    if name in ("__setitem__", "copy_"):
        return constants or is_signal(args[0])
    augmented = name.strip("_") in AUGMENTED
    return augmented or (name.endswith("_") and not name.startswith("__")) or kwargs.get("inplace", False) is True


def _in_place(
    propagation: Propagation, func: Callable[..., Any], rule: Operation | None, name: str, args: Any, kwargs: Any
) -> Any:
    """Compute the result separately, and substitute it for the tensor that the model changes in place."""
    target, *others = args
    value = target if is_signal(target) else target.clone()  # a constant that is written into again is still needed
    kwargs = {key: value for key, value in kwargs.items() if key != "inplace"}
    if name in WRITES:
        result = target.clone()
        func(result, *others, **kwargs)
    else:
        outside = getattr(torch, name, None) or getattr(functional, name, None) or getattr(Tensor, name, func)
        run = rule or (lambda p, f, *a, **k: refuse_relevance(p, f, name, a, k))
        result = run(propagation, outside, value, *others, **kwargs)
    write_through(target, result)
    return target


WRITES = {"copy", "zero", "fill", "setitem"}


def _without_signals(
    propagation: Propagation, func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]
) -> Any:
    """Run a function whose inputs are all constants; whole numbers carry a signal that is 1 everywhere."""
    followed = [value for value in tensors((args, kwargs)) if indices_signal(value) is not None]
    if followed and name in CHOICES:
        return propagation.choose(func(*args, **kwargs))
    if followed and name == "embedding_bag":
        return OPERATIONS[name](propagation, func, *args, **kwargs)
    result = func(*args, **kwargs)
    if not followed or not isinstance(result, (Tensor, tuple, list)):
        return result
    source = next(tensors(args))
    if name in LOOKUPS or (name in MOVES and source is not followed[0] and source.is_floating_point()):
        return _look_up(propagation, name, args, result, followed)
    if name in MOVES or name in JOINS:
        with torch.enable_grad():
            moved = func(*map_tensors(_beside, args), **{k: v for k, v in kwargs.items() if k != "value"})
        for here, there in zip(tensors(result), tensors(moved), strict=True):
            follow_indices(here, there)
    elif isinstance(result, Tensor) and result.dtype != torch.bool:
        ones = [one for one in map(indices_signal, followed) if one is not None]
        try:
            joint = sum(ones[1:], ones[0]).expand(result.shape) / len(ones)  # several sources get equal shares
        except RuntimeError:
            return _refused(propagation, name, result)
        if result.is_floating_point():  # used as a number
            return propagation.lookup(result[..., None].to(joint.dtype), joint)[..., 0].to(result.dtype)
        follow_indices(result, joint)
    return result


def _beside(value: Tensor) -> Tensor:
    """Return the signal attached to an index; zeros for other whole numbers."""
    ones = indices_signal(value)
    if ones is not None:
        return ones
    return torch.zeros(value.shape, device=value.device) if not value.is_floating_point() else value


def _look_up(propagation: Propagation, name: str, args: Any, result: Any, followed: list[Tensor]) -> Any:
    """Look up rows of a constant table, or make one-hot vectors."""
    ones = indices_signal(followed[0])
    plain = len(followed) == 1 and isinstance(result, Tensor) and ones is not None and result.ndim == ones.ndim + 1
    if not plain or ones is None or result.shape[:-1] != ones.shape:
        return _refused(propagation, name, result)
    value = result if result.is_floating_point() else result.to(ones.dtype)
    return propagation.lookup(value.to(ones.dtype), ones)


def _refused(propagation: Propagation, name: str, result: Any) -> Any:
    message = (
        f"{propagation.where}: torch.{name} uses whole numbers of the input in a way that has no relevance rule, and "
        "relevance reached it: look them up by nn.Embedding or F.one_hot"
    )
    return map_tensors(
        lambda value: Barrier.apply(propagation.end(value), message) if value.is_floating_point() else value, result
    )


CHOICES = {
    "eq", "ne", "lt", "le", "gt", "ge", "equal", "allclose", "isclose", "isnan", "isinf", "isfinite", "argmax",
    "argmin", "argsort", "any", "all", "nonzero", "count_nonzero", "bool", "logical_not", "logical_and", "logical_or",
    "logical_xor", "searchsorted", "bucketize", "is_nonzero", "signbit", "unique", "histc",
}  # fmt: skip
"""Functions that compare values: what they return chooses what the model computes."""
LOOKUPS = {"embedding", "one_hot", "embedding_bag"}
JOINS = {"cat", "concat", "concatenate", "stack", "hstack", "vstack", "pad"}
MOVES = {
    "getitem", "view", "reshape", "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t",
    "squeeze", "unsqueeze", "expand", "expand_as", "repeat", "repeat_interleave", "tile", "flip", "fliplr", "roll",
    "chunk", "split", "tensor_split", "unbind", "contiguous", "clone", "narrow", "flatten", "unflatten", "unfold",
    "select", "index_select", "gather", "take_along_dim", "masked_select", "view_as", "reshape_as", "broadcast_to",
    "atleast_2d", "atleast_3d", "unsafe_chunk", "unsafe_split", "diagonal", "iter", "as_strided", "pixel_shuffle",
    "rot90", "ravel", "cpu", "cuda", "triu", "tril", "column_stack", "_pack_padded_sequence", "_pad_packed_sequence",
}  # fmt: skip


def refuse_relevance(
    propagation: Propagation, func: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]
) -> Any:
    result = map_tensors(lambda value: value.detach(), (args, kwargs))
    result = func(*result[0], **result[1])
    message = (
        f"{propagation.where}: torch.{name} has no relevance rule, and relevance reached it. Give it one by "
        "drf.lrp.register, or explain an output that does not depend on it"
    )
    return map_tensors(
        lambda value: (
            Barrier.apply(propagation.end(value), message) if value.is_floating_point() or value.is_complex() else value
        ),
        result,
    )
