"""Sums and products: the rules of the operations that join two signals, or a signal and weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .dispatch import Swapped, name_of, operation, refuse_relevance
from .linear_operations import carried
from .propagation import Propagation
from .rules import DENSE, LinearMap
from .tensor_flags import divisor_of, is_gate, is_root, is_signal, kind_of, mark_divisor, mark_gate, mark_root


@operation("add", "radd", "sub", "rsub", "subtract")
def _add(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any, *, alpha: float = 1) -> Tensor:
    name = name_of(func)
    sign = -alpha if name in ("sub", "subtract") else alpha
    if name == "rsub" and alpha != 1:  # b - alpha a
        a = _mul(propagation, torch.mul, a, alpha)
        alpha = 1
    if name == "rsub":  # b - a
        a, b, sign = b, a, -1
    y = func(*((b, a) if name == "rsub" else (a, b)), **({} if alpha == 1 else {"alpha": alpha}))
    if is_signal(a) and is_signal(b):
        result = propagation.total(y)
        return mark_gate(result) if is_gate(a) and is_gate(b) else result
    signal, constant = (a, sign * _tensor(b, y)) if is_signal(a) else (b, _tensor(a, y))
    result = propagation.constant(y, constant.expand_as(y), kind_of((a, b)))
    result = mark_root(result) if is_root(signal) else result
    return mark_gate(result) if is_gate(signal) else result


def _tensor(value: Any, like: Tensor) -> Tensor:
    return value.to(like.dtype) if isinstance(value, Tensor) else like.new_full((), value)


@operation("mul", "rmul", "multiply")
def _mul(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any) -> Tensor:
    if not (is_signal(a) and is_signal(b)):
        return carried(propagation, torch.mul, a, b)
    result = propagation.product(torch.mul, a, b)
    for one, other in ((a, b), (b, a)):
        if (divisor := divisor_of(other)) is not None:
            return propagation.quotient(one, divisor, result)
    return result


@operation("div", "truediv", "rdiv", "rtruediv", "true_divide", "divide")
def _div(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any, **kwargs: Any) -> Tensor:
    if kwargs.get("rounding_mode"):
        return refuse_relevance(propagation, func, "div", (a, b), kwargs)
    if name_of(func) in ("rdiv", "rtruediv"):
        a, b = b, a
    if not is_signal(b):
        return carried(propagation, torch.div, a, b)
    inverse = _reciprocal(propagation, torch.reciprocal, b)
    if not is_signal(a):
        result = carried(propagation, torch.mul, inverse, a)
        return mark_divisor(result, b) if isinstance(a, (int, float)) and a == 1 else result
    return propagation.quotient(a, b, propagation.product(torch.mul, a, inverse))


@operation("reciprocal")
def _reciprocal(propagation: Propagation, func: Callable[..., Any], z: Tensor) -> Tensor:
    return mark_divisor(mark_gate(propagation.activation(torch.reciprocal, z)), z)


@operation("rsqrt")
def _inverse_root(propagation: Propagation, func: Callable[..., Any], z: Tensor) -> Tensor:
    return _reciprocal(propagation, func, mark_root(propagation.activation(torch.sqrt, z)))


@operation("sqrt")
def _root(propagation: Propagation, func: Callable[..., Any], z: Tensor) -> Tensor:
    return mark_root(propagation.activation(torch.sqrt, z))


@operation("exp")
def _exponential(propagation: Propagation, func: Callable[..., Any], z: Tensor) -> Tensor:
    return mark_gate(propagation.activation(torch.exp, z))


@operation("matmul", "rmatmul", "mm", "bmm", "mv", "dot", "inner", "tensordot", "linear", "outer", "ger")
def _matmul(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any, *args: Any, **kwargs: Any) -> Tensor:
    name = name_of(func)
    if name == "rmatmul":
        a, b, func = b, a, torch.matmul
    bias = (args[0] if args else kwargs.get("bias")) if name == "linear" else None
    if name == "linear":
        args, kwargs = (), {}
    if is_signal(a) and is_signal(b):
        result = propagation.product(lambda p, q: func(p, q, *args, **kwargs), a, b)
        return result if bias is None else _add(propagation, torch.add, result, bias)
    if is_signal(a) and (a.is_complex() or b.is_complex()):  # without stabiliser, which has no sign to follow
        return carried(propagation, func, a, b, *args, **kwargs)
    if is_signal(a):
        function = DENSE if name == "linear" else LinearMap(lambda x, w: func(x, w, *args, **kwargs))
        return propagation.linear_map(function, a, b, bias)
    if is_signal(bias):
        return _add(propagation, torch.add, _matmul(propagation, func, a, b) if is_signal(b) else func(a, b), bias)
    if b.is_complex() or (isinstance(a, Tensor) and a.is_complex()):
        return carried(propagation, func, a, b, *args, **kwargs)
    return propagation.linear_map(LinearMap(lambda x, w: func(w, x, *args, **kwargs)), b, a, bias)


@operation("addmm", "addmv", "addbmm", "baddbmm")
def _addmm(
    propagation: Propagation, func: Callable[..., Any], c: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    with Swapped(propagation):
        product = torch.matmul(a, b)
        return beta * c + alpha * (product.sum(0) if name_of(func) == "addbmm" else product)


@operation("einsum")
def _einsum(propagation: Propagation, func: Callable[..., Any], equation: Any, *operands: Any) -> Tensor:
    factors = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    if not isinstance(equation, str):
        return refuse_relevance(propagation, func, "einsum of lists of axes", (equation, *factors), {})
    signals = [k for k, factor in enumerate(factors) if is_signal(factor)]
    if len(signals) > 2:  # two at a time
        first, rest = _first_two(equation)
        with Swapped(propagation):
            return torch.einsum(rest, torch.einsum(first, *factors[:2]), *factors[2:])

    def of(*values: Tensor) -> Tensor:
        given = dict(zip(signals, values, strict=True))
        return func(equation, *(given.get(k, factor) for k, factor in enumerate(factors)))

    if len(signals) == 2:
        return propagation.product(of, *(factors[k] for k in signals))
    if len(factors) == 1:
        return carried(propagation, func, equation, *factors)
    (place,) = signals
    if len(factors) != 2 or any(factor.is_complex() for factor in factors):
        return carried(propagation, func, equation, *factors)
    pair = lambda x, w: func(equation, *((x, w) if place == 0 else (w, x)))
    return propagation.linear_map(LinearMap(pair), factors[place], factors[1 - place])


def _first_two(equation: str) -> tuple[str, str]:
    """Return the equations of an einsum's first two factors, and of their product with the others."""
    left, _, right = equation.replace(" ", "").replace("...", ".").partition("->")
    one, two, *others = left.split(",")
    if "->" not in equation:
        right = "." * ("." in left) + "".join(sorted(c for c in set(left) - {",", "."} if left.count(c) == 1))
    kept = "".join(dict.fromkeys(c for c in one + two if c in right or any(c in other for other in others)))
    first, rest = f"{one},{two}->{kept}", ",".join([kept, *others]) + f"->{right}"
    return first.replace(".", "..."), rest.replace(".", "...")


@operation("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _convolution(
    propagation: Propagation,
    func: Callable[..., Any],
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    over = weight.ndim - 2
    if is_signal(weight):
        both = lambda p, q: func(p, q, None, *args, **kwargs)
        result = propagation.product(both, x, weight) if is_signal(x) else carried(propagation, both, x, weight)
        return result if bias is None else _add(propagation, torch.add, result, bias.view(-1, *(1,) * over))
    aside = None if bias is None else bias.view(-1, *(1,) * over)
    return propagation.linear_map(LinearMap(lambda p, w: func(p, w, None, *args, **kwargs)), x, weight, aside)


@operation("kron", "cross", "linalg_cross")
def _two_factors(propagation: Propagation, func: Callable[..., Any], a: Tensor, b: Tensor, **kwargs: Any) -> Tensor:
    function = lambda p, q: func(p, q, **kwargs)
    both = is_signal(a) and is_signal(b)
    return propagation.product(function, a, b) if both else carried(propagation, function, a, b)


@operation("new_tensor", "as_tensor", "asarray", "tensor")
def _copied(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Copy a signal, as a model does that makes a tensor of a tensor."""
    source = next(value for value in (*args[::-1], *kwargs.values()) if isinstance(value, Tensor))
    return carried(propagation, torch.clone, source) if is_signal(source) else func(*args, **kwargs)


@operation("bilinear")
def _bilinear(
    propagation: Propagation, func: Callable[..., Any], a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    function = lambda p, q: func(p, q, weight)
    if is_signal(a) and is_signal(b):
        result = propagation.product(function, a, b)
    else:
        result = carried(propagation, func, a, b, weight)
    return result if bias is None else _add(propagation, torch.add, result, bias)
