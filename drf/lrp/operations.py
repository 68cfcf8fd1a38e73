"""Operations: the kind of each torch function, the table on which the rules of relevance rest."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .dispatch import MOVES, OPERATIONS, Operation, Swapped, name_of, operation, refuse_relevance
from .propagation import Propagation, UnsupportedOperationError
from .rules import DENSE, LinearMap
from .tensor_flags import is_gate, is_signal, map_tensors, mark_gate, remember_view, tensors

# ---- operations through which autograd itself carries relevance

LINEAR = MOVES | {
    "sum", "mean", "neg", "positive", "cumsum", "diff", "nansum", "nanmean", "to", "float", "double", "type",
    "type_as", "sum_to_size", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "interpolate", "upsample", "fold", "real", "setitem", "copy",
    "__get__ T", "__get__ mT", "__get__ H", "__get__ real",
}  # fmt: skip
IGNORES_VALUES = {
    "size", "dim", "ndimension", "numel", "nelement", "stride", "is_contiguous", "is_floating_point", "is_complex",
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones",
    "new_empty", "new_full", "new_tensor", "len", "hash", "element_size", "get_device", "eq", "ne", "lt", "le", "gt",
    "ge", "equal", "allclose", "isclose", "isnan", "isinf", "isfinite", "argmax", "argmin", "argsort", "any", "all",
    "nonzero", "count_nonzero", "bool", "logical_not", "logical_and", "logical_or", "repr", "format", "storage_offset",
    "data_ptr", "is_same_size", "result_type", "is_nonzero", "searchsorted", "bucketize", "is_tensor", "retain_grad",
    "is_nested", "is_sparse", "has_names", "register_hook", "backward",
}  # fmt: skip


def _linear(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = func(*args, **kwargs)
    if isinstance(result, Tensor) and not result.is_floating_point() and not result.is_complex():
        raise _index_of_signal(propagation, name_of(func))
    if all(map(is_gate, filter(is_signal, tensors((args, kwargs))))):
        for value in tensors(result):
            mark_gate(value)
    for value in tensors(result):
        if is_signal(args[0]) and value is not args[0] and value._is_view():
            remember_view(value, args[0])
    return result


def _ignore_values(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    args, kwargs = map_tensors(lambda value: value.detach(), args), map_tensors(lambda value: value.detach(), kwargs)
    return func(*args, **kwargs)


OPERATIONS.update(dict.fromkeys(LINEAR, _linear))
OPERATIONS.update(dict.fromkeys(IGNORES_VALUES, _ignore_values))


@operation("detach", "__get__ data", "__get__ grad_fn")
def _same(propagation: Propagation, func: Callable[..., Any], x: Tensor) -> Any:
    """Return a value unchanged where a model detaches it from the gradient."""
    return func(x) if name_of(func).endswith("grad_fn") else x


@operation(
    "__get__ shape", "__get__ dtype", "__get__ device", "__get__ ndim", "__get__ requires_grad", "__get__ is_leaf",
    "__get__ layout", "__get__ is_cuda", "__get__ grad", "__get__ is_nested", "__get__ is_sparse", "__get__ is_mps",
    "__get__ is_quantized", "__get__ is_meta", "__get__ itemsize", "__get__ names", "__get__ is_cpu", "__get__ is_xpu",
    "__get__ _version", "__get__ _backward_hooks", "__get__ output_nr",
)  # fmt: skip
def _property(propagation: Propagation, func: Callable[..., Any], x: Tensor) -> Any:
    return func(x)


@operation("item", "tolist", "numpy", "array", "__float__", "__int__", "__index__", "__bool__", "int", "long", "short")
def _leaves_torch(propagation: Propagation, func: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Any:
    name = name_of(func)
    if name in ("int", "long", "short"):
        raise _index_of_signal(propagation, name)
    raise UnsupportedOperationError(
        f"{propagation.where}: .{name}() converts a signal to Python numbers, which no rule can follow"
    )


def _index_of_signal(propagation: Propagation, name: str) -> UnsupportedOperationError:
    return UnsupportedOperationError(
        f"{propagation.where}: .{name}() makes an index of a continuous input, through which no relevance goes: "
        "give the model its indices as an integer input of their own"
    )


@operation("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")
def _join(propagation: Propagation, func: Callable[..., Any], parts: Any, *args: Any, **kwargs: Any) -> Any:
    return _linear(propagation, func, [_beside(propagation, part) for part in parts], *args, **kwargs)


def _beside(propagation: Propagation, part: Any) -> Any:
    """Return the constants added to a signal, which count as biases."""
    constant = isinstance(part, Tensor) and part.is_floating_point() and not is_signal(part)
    return propagation.source(part) if constant else part


@operation("where")
def _where(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    condition, *branches = args
    if isinstance(args[0], Tensor) and func is Tensor.where:  # x.where(condition, other)
        branches, condition = [args[0], *args[2:]], args[1]
    like = next(branch for branch in branches if is_signal(branch))
    shape = torch.broadcast_shapes(condition.shape, *(b.shape for b in branches if isinstance(b, Tensor)))
    branches = [b if isinstance(b, Tensor) else like.new_full((), b) for b in branches]
    branches = [b if is_signal(b) else _beside(propagation, b.to(like.dtype).expand(shape)) for b in branches]
    return _linear(propagation, torch.where, condition, *branches)


@operation("pad", "constant_pad_nd")
def _pad(propagation: Propagation, func: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    result = _linear(propagation, func, x, *args, **kwargs)
    around = func(torch.zeros_like(x.detach()), *args, **kwargs)
    return propagation.constant(result, around) if around.any() else result


@operation("masked_fill")
def _masked_fill(propagation: Propagation, func: Callable[..., Any], x: Tensor, mask: Tensor, value: Any) -> Tensor:
    if not isinstance(value, Tensor) and abs(value) >= 1e4:  # a mask before a softmax; no relevance comes back from it
        return func(x, mask, value)
    value = value if isinstance(value, Tensor) else x.new_full((), value)
    return _where(propagation, torch.where, mask, value, x)


@operation(
    "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"
)
def _dropout(
    propagation: Propagation, func: Callable[..., Any], x: Tensor, p: float = 0.5, *args: Any, **kwargs: Any
) -> Any:
    training = args[0] if args else kwargs.get("training", True)
    if training and p > 0:
        raise ValueError(
            f"{propagation.where}: dropout is active, so f(x) is random: call model.eval() first, and give a "
            "functional dropout training=self.training"
        )
    return x


# ---- sums and products


@operation("add", "radd", "sub", "rsub", "subtract")
def _add(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any, *, alpha: float = 1) -> Tensor:
    name = name_of(func)
    sign = -alpha if name in ("sub", "subtract") else alpha
    if name == "rsub":  # b - a
        a, b, sign = b, a, -1
    y = func(*((b, a) if name == "rsub" else (a, b)), **({} if alpha == 1 else {"alpha": alpha}))
    if is_signal(a) and is_signal(b):
        result = propagation.total(y)
        return mark_gate(result) if is_gate(a) and is_gate(b) else result
    signal, constant = (a, sign * _tensor(b, y)) if is_signal(a) else (b, _tensor(a, y))
    result = propagation.constant(y, constant.expand_as(y))
    return mark_gate(result) if is_gate(signal) else result


def _tensor(value: Any, like: Tensor) -> Tensor:
    return value.to(like.dtype) if isinstance(value, Tensor) else like.new_full((), value)


@operation("mul", "rmul", "multiply")
def _mul(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any) -> Tensor:
    if is_signal(a) and is_signal(b):
        return propagation.product(torch.mul, a, b)
    return _linear(propagation, func, a, b)


@operation("div", "truediv", "rdiv", "rtruediv", "true_divide", "divide")
def _div(propagation: Propagation, func: Callable[..., Any], a: Any, b: Any, **kwargs: Any) -> Tensor:
    if kwargs.get("rounding_mode"):
        return refuse_relevance(propagation, func, "div", (a, b), kwargs)
    if name_of(func) in ("rdiv", "rtruediv"):
        a, b = b, a
    if not is_signal(b):
        return _linear(propagation, torch.div, a, b)
    inverse = _reciprocal(propagation, torch.reciprocal, b)
    return propagation.product(torch.mul, a, inverse) if is_signal(a) else _linear(propagation, torch.mul, inverse, a)


@operation("reciprocal", "rsqrt", "exp")
def _reciprocal(propagation: Propagation, func: Callable[..., Any], z: Tensor) -> Tensor:
    return mark_gate(propagation.activation(func, z))


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
    if is_signal(a):
        function = DENSE if name == "linear" else LinearMap(lambda x, w: func(x, w, *args, **kwargs))
        return propagation.linear_map(function, a, b, bias)
    if is_signal(bias):
        return _add(propagation, torch.add, _matmul(propagation, func, a, b) if is_signal(b) else func(a, b), bias)
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
    signals = [k for k, factor in enumerate(factors) if is_signal(factor)]
    if len(signals) > 2:
        return refuse_relevance(propagation, func, "einsum of more than two signals", (equation, *factors), {})

    def of(*values: Tensor) -> Tensor:
        given = dict(zip(signals, values, strict=True))
        return func(equation, *(given.get(k, factor) for k, factor in enumerate(factors)))

    if len(signals) == 2:
        return propagation.product(of, *(factors[k] for k in signals))
    if len(factors) == 1:
        return _linear(propagation, func, equation, *factors)
    (place,) = signals
    if len(factors) != 2:
        return _linear(propagation, func, equation, *factors)
    pair = lambda x, w: func(equation, *((x, w) if place == 0 else (w, x)))
    return propagation.linear_map(LinearMap(pair), factors[place], factors[1 - place])


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
    aside = None if bias is None else bias.view(-1, *(1,) * over)
    return propagation.linear_map(LinearMap(lambda p, w: func(p, w, None, *args, **kwargs)), x, weight, aside)


@operation("bilinear")
def _bilinear(
    propagation: Propagation, func: Callable[..., Any], a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    function = lambda p, q: func(p, q, weight)
    if is_signal(a) and is_signal(b):
        result = propagation.product(function, a, b)
    else:
        result = _linear(propagation, func, a, b, weight)
    return result if bias is None else _add(propagation, torch.add, result, bias)


# ---- functions of every element by itself

THROUGH_ZERO = {
    "relu", "tanh", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "relu6", "hardtanh", "hardswish",
    "softsign", "sign", "sgn", "round", "trunc", "fix",
    "tanhshrink", "softshrink", "hardshrink", "prelu", "rrelu", "sin", "sinh", "asinh", "atan", "arctan",
    "tan", "asin", "erf", "abs", "absolute", "square", "sqrt", "expm1", "log1p", "swish",
}  # fmt: skip
AWAY_FROM_ZERO = {
    "softplus", "logsigmoid", "cos", "cosh", "log", "log2", "log10", "clamp", "clip", "clamp_min", "clamp_max", "pow",
    "float_power", "threshold", "erfc", "acos", "exp2", "floor", "ceil", "nan_to_num",
}  # fmt: skip
GATES = {"sigmoid", "hardsigmoid", "expit"}


def _elementwise(offset: bool, gate: bool = False) -> Operation:
    def run(propagation: Propagation, func: Callable[..., Any], z: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        others = list(tensors((args, kwargs)))
        if not is_signal(z) or any(map(is_signal, others)):
            return refuse_relevance(propagation, func, name_of(func), (z, *args), kwargs)
        kwargs.pop("inplace", None)
        result = propagation.activation(lambda t: func(t, *args, **kwargs), z, offset)
        return mark_gate(result) if gate else result

    return run


OPERATIONS.update(dict.fromkeys(THROUGH_ZERO, _elementwise(offset=False)))
OPERATIONS.update(dict.fromkeys(AWAY_FROM_ZERO, _elementwise(offset=True)))
OPERATIONS.update(dict.fromkeys(GATES, _elementwise(offset=True, gate=True)))


@operation("pow", "rpow", "float_power")
def _power(propagation: Propagation, func: Callable[..., Any], base: Any, exponent: Any) -> Tensor:
    if name_of(func) == "rpow":  # exponent ** base
        base, exponent = exponent, base
    if is_signal(base) and is_signal(exponent):
        return refuse_relevance(propagation, func, "pow of two signals", (base, exponent), {})
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


@operation("max", "min", "amax", "amin", "topk", "sort", "median", "max_pool1d", "max_pool2d", "max_pool3d",
           "adaptive_max_pool1d", "adaptive_max_pool2d", "max_pool1d_with_indices", "kthvalue", "cummax")  # fmt: skip
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
