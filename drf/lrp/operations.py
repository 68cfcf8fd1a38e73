"""Operations: the kind of each torch function, the table on which the rules of relevance rest."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .dispatch import CHOICES, MOVES, OPERATIONS, Operation, Swapped, name_of, operation, refuse_relevance
from .propagation import BY_ELEMENT, Propagation, UnsupportedOperationError
from .rules import DENSE, LinearMap
from .tensor_flags import (
    divisor_of,
    is_gate,
    is_root,
    is_signal,
    kind_of,
    map_tensors,
    mark_divisor,
    mark_gate,
    mark_root,
    remember_view,
    tensors,
)

# ---- operations through which autograd itself carries relevance

LINEAR = MOVES | {
    "sum", "mean", "neg", "positive", "cumsum", "diff", "nansum", "nanmean", "to", "float", "double", "type",
    "type_as", "sum_to_size", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "interpolate", "upsample", "fold", "setitem", "copy", "diag_embed", "broadcast_tensors",
    "trace", "meshgrid", "rot90", "pixel_unshuffle", "channel_shuffle", "hsplit", "vsplit",
    "dsplit", "take", "__get__ T", "__get__ mT", "__get__ H", "bfloat16", "half",
    # Linear in real and imaginary part:
    "real", "imag", "conj", "adjoint", "resolve_conj", "view_as_real", "view_as_complex", "__get__ real",
    "__get__ imag",
    "fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_fft2", "fft_ifft2", "fft_rfft2", "fft_irfft2", "fft_fftn",
    "fft_ifftn", "fft_rfftn", "fft_irfftn", "fft_hfft", "fft_ihfft", "fft_fftshift", "fft_ifftshift", "stft", "istft",
}  # fmt: skip
IGNORES_VALUES = {
    "size", "dim", "ndimension", "numel", "nelement", "stride", "is_contiguous", "is_floating_point", "is_complex",
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like",
    "new_zeros", "new_ones", "new_empty", "new_full", "new", "len", "hash", "element_size",
    "get_device", "repr", "format", "storage_offset", "data_ptr", "is_same_size", "result_type", "is_tensor",
    "retain_grad", "is_nested", "is_sparse", "has_names", "register_hook", "backward", "is_conj", "is_neg", "is_signed",
    "is_inference",
}  # fmt: skip


def _linear(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = func(*args, **kwargs)
    whole = isinstance(result, Tensor) and not result.is_floating_point() and not result.is_complex()
    if whole and is_signal(args[0]):
        raise _index_of_signal(propagation, name_of(func))
    given = list(filter(is_signal, tensors((args, kwargs))))
    for is_one, mark in ((is_gate, mark_gate), (is_root, mark_root)):
        if all(map(is_one, given)):
            for value in tensors(result):
                mark(value)
    for value in tensors(result):
        if is_signal(args[0]) and value is not args[0] and value._is_view():
            remember_view(value, args[0])
    return result


def _ignore_values(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    args, kwargs = map_tensors(lambda value: value.detach(), args), map_tensors(lambda value: value.detach(), kwargs)
    return func(*args, **kwargs)


def _choose(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return propagation.choose(_ignore_values(propagation, func, *args, **kwargs))


OPERATIONS.update(dict.fromkeys(LINEAR, _linear))
OPERATIONS.update(dict.fromkeys(IGNORES_VALUES, _ignore_values))
OPERATIONS.update(dict.fromkeys(CHOICES, _choose))


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


@operation(
    "item",
    "tolist",
    "numpy",
    "array",
    "dlpack",
    "__float__",
    "__int__",
    "__index__",
    "__bool__",
    "int",
    "long",
    "short",
)
def _leaves_torch(propagation: Propagation, func: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Any:
    name = name_of(func)
    if name in ("int", "long", "short"):
        raise _index_of_signal(propagation, name)
    propagation.left_torch = propagation.left_torch or f"{propagation.where}: .{name}()"
    return propagation.number(func(x.detach(), *args, **kwargs))


def _index_of_signal(propagation: Propagation, name: str) -> UnsupportedOperationError:
    return UnsupportedOperationError(
        f"{propagation.where}: .{name}() makes an index of a continuous input, through which no relevance goes: "
        "give the model its indices as an integer input of their own"
    )


@operation("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "pad_sequence",
           "block_diag")  # fmt: skip
def _join(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return _linear(propagation, func, *map_tensors(lambda part: _beside(propagation, part), args), **kwargs)


@operation("index_add", "index_copy", "index_put", "scatter", "scatter_add", "masked_scatter", "slice_scatter",
           "select_scatter", "diagonal_scatter", "complex")  # fmt: skip
def _put(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("reduce"):
        return refuse_relevance(propagation, func, name_of(func), args, kwargs)
    changed = map_tensors(lambda part: _beside(propagation, part), (args, kwargs))
    return _linear(propagation, func, *changed[0], **changed[1])


@operation("scatter_reduce", "index_reduce")
def _put_reduced(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if "sum" in (*args, kwargs.get("reduce")) or "mean" in (*args, kwargs.get("reduce")):
        return _put(propagation, lambda *a: func(*a, **kwargs), *args)
    return refuse_relevance(propagation, func, name_of(func), args, kwargs)


def _beside(propagation: Propagation, part: Any, kind: str | None = None) -> Any:
    """Return the constants added to a signal, which count as biases, or as chosen."""
    constant = isinstance(part, Tensor) and not is_signal(part) and (part.is_floating_point() or part.is_complex())
    return propagation.source(part, kind or kind_of(part)) if constant else part


@operation("where")
def _where(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    condition, *branches = args
    if isinstance(args[0], Tensor) and func is Tensor.where:  # x.where(condition, other)
        branches, condition = [args[0], *args[2:]], args[1]
    if not branches:  # the positions where a condition holds
        return _choose(propagation, func, *args, **kwargs)
    kind = kind_of(args)
    like = next(branch for branch in branches if is_signal(branch))
    shape = torch.broadcast_shapes(condition.shape, *(b.shape for b in branches if isinstance(b, Tensor)))
    branches = [b if isinstance(b, Tensor) else like.new_full((), b) for b in branches]
    branches = [b if is_signal(b) else _beside(propagation, b.to(like.dtype).expand(shape), kind) for b in branches]
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
        return _linear(propagation, torch.mul, a, b)
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
        return _linear(propagation, torch.div, a, b)
    inverse = _reciprocal(propagation, torch.reciprocal, b)
    if not is_signal(a):
        result = _linear(propagation, torch.mul, inverse, a)
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
        return _linear(propagation, func, a, b, *args, **kwargs)
    if is_signal(a):
        function = DENSE if name == "linear" else LinearMap(lambda x, w: func(x, w, *args, **kwargs))
        return propagation.linear_map(function, a, b, bias)
    if is_signal(bias):
        return _add(propagation, torch.add, _matmul(propagation, func, a, b) if is_signal(b) else func(a, b), bias)
    if b.is_complex() or (isinstance(a, Tensor) and a.is_complex()):
        return _linear(propagation, func, a, b, *args, **kwargs)
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
        return _linear(propagation, func, equation, *factors)
    (place,) = signals
    if len(factors) != 2 or any(factor.is_complex() for factor in factors):
        return _linear(propagation, func, equation, *factors)
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
        result = propagation.product(both, x, weight) if is_signal(x) else _linear(propagation, both, x, weight)
        return result if bias is None else _add(propagation, torch.add, result, bias.view(-1, *(1,) * over))
    aside = None if bias is None else bias.view(-1, *(1,) * over)
    return propagation.linear_map(LinearMap(lambda p, w: func(p, w, None, *args, **kwargs)), x, weight, aside)


@operation("kron", "cross", "linalg_cross")
def _two_factors(propagation: Propagation, func: Callable[..., Any], a: Tensor, b: Tensor, **kwargs: Any) -> Tensor:
    function = lambda p, q: func(p, q, **kwargs)
    both = is_signal(a) and is_signal(b)
    return propagation.product(function, a, b) if both else _linear(propagation, function, a, b)


@operation("new_tensor", "as_tensor", "asarray", "tensor")
def _copied(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Copy a signal, as a model does that makes a tensor of a tensor."""
    source = next(value for value in (*args[::-1], *kwargs.values()) if isinstance(value, Tensor))
    return _linear(propagation, torch.clone, source) if is_signal(source) else func(*args, **kwargs)


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
    values = _linear(propagation, torch.gather, x, dim, indices if kept else indices.unsqueeze(dim))
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
