"""Functions: the rules of functions of every element, of normalised exponentials and of maxima."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .dispatch import OPERATIONS, Operation, Swapped, name_of, operation, refuse_relevance
from .linear_operations import carried
from .propagation import BY_ELEMENT, Propagation, UnsupportedOperationError
from .tensor_flags import is_gate, is_root, is_signal, mark_gate, mark_root, tensors


@operation("relu")
def _relu(propagation: Propagation, func: Callable[..., Any], z: Tensor, inplace: bool = False) -> Tensor:
    result = propagation.relu(z)
    return mark_gate(result) if is_gate(z) else result


THROUGH_ZERO = {
    "tanh", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "relu6", "hardtanh", "hardswish",
    "softsign", "sign", "sgn", "round", "trunc", "fix",
    "tanhshrink", "softshrink", "hardshrink", "prelu", "rrelu", "sin", "sinh", "asinh", "atan", "arctan",
    "tan", "asin", "arcsin", "erf", "square", "expm1", "log1p", "swish", "arcsinh", "atanh", "arctanh", "frac",
    "deg2rad", "rad2deg", "atan_", "special_entr",
}  # fmt: skip
AWAY_FROM_ZERO = {
    "softplus", "logsigmoid", "log_sigmoid", "cos", "cosh", "log", "log2", "log10", "pow", "float_power", "threshold",
    "_threshold", "erfc", "acos", "exp2", "floor", "ceil", "nan_to_num", "special_erfcx", "special_logit", "logit",
    "acosh", "arccosh", "arccos", "erfinv", "lgamma", "digamma", "sinc", "polygamma", "special_ndtr", "i0",
    "special_i0",
}  # fmt: skip
GATES = {"sigmoid", "hardsigmoid", "expit"}


def _elementwise(offset: bool, gate: bool = False) -> Operation:
    def run(propagation: Propagation, func: Callable[..., Any], z: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        others = list(tensors((args, kwargs)))
        if not is_signal(z) or z.is_complex() or any(map(is_signal, others)):
            return refuse_relevance(propagation, func, name_of(func), (z, *args), kwargs)
        kwargs.pop("inplace", None)
        function = lambda t: func(t, *args, **kwargs)
        setattr(function, BY_ELEMENT, not others)
        result = propagation.activation(function, z, offset)
        return mark_gate(result) if gate else result

    return run


OPERATIONS.update(dict.fromkeys(THROUGH_ZERO, _elementwise(offset=False)))
OPERATIONS.update(dict.fromkeys(AWAY_FROM_ZERO, _elementwise(offset=True)))
OPERATIONS.update(dict.fromkeys(GATES, _elementwise(offset=True, gate=True)))


@operation("abs", "absolute")
def _abs(propagation: Propagation, func: Callable[..., Any], z: Tensor) -> Tensor:
    if not z.is_complex():
        return propagation.activation(torch.abs, z, offset=False)
    with Swapped(propagation):
        return torch.view_as_real(z).square().sum(-1).sqrt()


@operation("clamp", "clip", "clamp_min", "clamp_max")
def _clamp(
    propagation: Propagation,
    func: Callable[..., Any],
    z: Tensor,
    min: Any = None,  # noqa: A002  torch's names
    max: Any = None,  # noqa: A002
) -> Tensor:
    if name_of(func) == "clamp_max":
        min, max = None, min  # noqa: A001
    with Swapped(propagation):
        if any(map(is_signal, (min, max))) or not is_signal(z):
            z = z if min is None else torch.maximum(z, torch.as_tensor(min, dtype=z.dtype))
            return z if max is None else torch.minimum(z, torch.as_tensor(max, dtype=z.dtype))
    result = propagation.activation(lambda t: torch.clamp(t, min, max), z)
    return mark_root(result) if is_root(z) else result


@operation("remainder", "fmod")
def _remainder(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any) -> Tensor:
    if is_signal(b):
        return refuse_relevance(propagation, func, name_of(func), (a, b), {})
    return propagation.activation(lambda t: func(t, b), a)


@operation("pow", "rpow", "float_power")
def _power(propagation: Propagation, func: Callable[..., Any], base: Any, exponent: Any) -> Tensor:
    if name_of(func) == "rpow":  # exponent ** base
        base, exponent = exponent, base
    if is_signal(base) and is_signal(exponent):
        with Swapped(propagation):
            return torch.exp(exponent * torch.log(base))
    if is_signal(base):
        return propagation.activation(lambda z: torch.pow(z, exponent), base)
    return mark_gate(propagation.activation(lambda z: torch.pow(base, z), exponent))


# ---- normalised exponentials, maxima, tables


@operation("softmax", "log_softmax", "softmin")
def _softmax(
    propagation: Propagation, func: Callable[..., Any], z: Tensor, dim: int | None = None, *args: Any, **kwargs: Any
) -> Tensor:
    if dim is None:
        dim = 0 if z.ndim in (0, 1, 3) else 1  # torch's own choice
    if name_of(func) == "softmin":
        z = -z
    return propagation.log_softmax(z, dim) if name_of(func) == "log_softmax" else propagation.softmax(z, dim)


@operation("topk", "sort", "kthvalue", "median", "mode", "cummax", "cummin")
def _pick(propagation: Propagation, func: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Pick elements by their order; which ones is a choice of the model."""
    name = name_of(func)
    at = 1 if name in ("topk", "kthvalue") else 0
    stated = kwargs["dim"] if "dim" in kwargs else args[at] if len(args) > at and name != "sort" else None
    if name == "sort":
        stated = kwargs.get("dim", next((value for value in args if not isinstance(value, bool)), -1))
    if name == "median" and stated is None:
        raise UnsupportedOperationError("a median over all elements makes samples depend on each other: give an axis")
    dim = -1 if stated is None else stated
    found = func(x.detach(), *args, **kwargs)
    indices = propagation.choose(found.indices)
    kept = found.indices.ndim == x.ndim
    values = carried(propagation, torch.gather, x, dim, indices if kept else indices.unsqueeze(dim))
    return type(found)((values if kept else values.squeeze(dim), indices))


@operation("max", "min", "amax", "amin", "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d",
           "adaptive_max_pool2d", "adaptive_max_pool3d", "max_pool1d_with_indices", "max_pool2d_with_indices",
           "max_pool3d_with_indices", "adaptive_max_pool1d_with_indices",
           "adaptive_max_pool2d_with_indices")  # fmt: skip
def _select(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if len(args) > 1 and isinstance(args[1], Tensor):
        return _larger(propagation, func, *args)
    return propagation.selection(func, name_of(func), args, kwargs)


@operation("maximum", "minimum", "fmax", "fmin")
def _larger(propagation: Propagation, func: Callable[..., Any], a: Tensor, b: Tensor) -> Tensor:
    with Swapped(propagation):
        return a + torch.relu(b - a) if "max" in name_of(func) else a - torch.relu(a - b)


@operation("embedding")
def _embedding(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return refuse_relevance(propagation, func, "embedding with a table that depends on the input", args, kwargs)
