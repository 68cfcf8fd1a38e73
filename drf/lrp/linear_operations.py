"""Linear operations: those through which autograd itself carries relevance, and those that only look at values."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .dispatch import CHOICES, MOVES, OPERATIONS, name_of, operation, refuse_relevance
from .propagation import Propagation, UnsupportedOperationError
from .tensor_flags import (
    is_gate,
    is_root,
    is_signal,
    kind_of,
    map_tensors,
    mark_gate,
    mark_root,
    remember_view,
    tensors,
)

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


def carried(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run an operation and let autograd carry relevance through it; the marks of its signals stay."""
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


def chosen(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return propagation.choose(_ignore_values(propagation, func, *args, **kwargs))


OPERATIONS.update(dict.fromkeys(LINEAR, carried))
OPERATIONS.update(dict.fromkeys(IGNORES_VALUES, _ignore_values))
OPERATIONS.update(dict.fromkeys(CHOICES, chosen))


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
    return carried(propagation, func, *map_tensors(lambda part: _beside(propagation, part), args), **kwargs)


@operation("index_add", "index_copy", "index_put", "scatter", "scatter_add", "masked_scatter", "slice_scatter",
           "select_scatter", "diagonal_scatter", "complex")  # fmt: skip
def _put(propagation: Propagation, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("reduce"):
        return refuse_relevance(propagation, func, name_of(func), args, kwargs)
    changed = map_tensors(lambda part: _beside(propagation, part), (args, kwargs))
    return carried(propagation, func, *changed[0], **changed[1])


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
        return chosen(propagation, func, *args, **kwargs)
    kind = kind_of(args)
    like = next(branch for branch in branches if is_signal(branch))
    shape = torch.broadcast_shapes(condition.shape, *(b.shape for b in branches if isinstance(b, Tensor)))
    branches = [b if isinstance(b, Tensor) else like.new_full((), b) for b in branches]
    branches = [b if is_signal(b) else _beside(propagation, b.to(like.dtype).expand(shape), kind) for b in branches]
    return carried(propagation, torch.where, condition, *branches)


@operation("pad", "constant_pad_nd")
def _pad(propagation: Propagation, func: Callable[..., Any], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    result = carried(propagation, func, x, *args, **kwargs)
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
