"""Decompositions: layers that torch computes in one call, written in operations that have rules.

They take the same arguments as the functions of the same names in ``torch.nn.functional``. In a normalisation the
deviation is a denominator and so a gate; in attention the weights are gates.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .propagation import UnsupportedOperationError
from .standardising import standardise


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _along_channels(parameter: Tensor | None, x: Tensor) -> Tensor | None:
    return None if parameter is None else parameter.view(-1, *(1,) * (x.ndim - 2))


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    return _affine(standardise(x, tuple(range(-len(normalized_shape), 0)), eps), weight, bias)


def rms_norm(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    return _affine(standardise(x, tuple(range(-len(normalized_shape), 0)), eps, False), weight, None)


def group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    grouped = x.reshape(len(x), num_groups, -1)
    result = standardise(grouped, (-1,), eps).reshape(x.shape)
    return _affine(result, _along_channels(weight, x), _along_channels(bias, x))


def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    result = standardise(x, tuple(range(2, x.ndim)), eps)
    return _affine(result, _along_channels(weight, x), _along_channels(bias, x))


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if running_mean is None or running_var is None:
        raise UnsupportedOperationError("a BatchNorm without running statistics makes samples depend on each other")
    scale = torch.rsqrt(running_var + eps) * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - running_mean * scale
    return _affine(x, _along_channels(scale, x), _along_channels(shift, x))


def norm(x: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor:
    if dim is None:
        raise UnsupportedOperationError("a norm over all elements makes samples depend on each other: give an axis")
    if p in (2, 2.0, "fro", None):
        return x.square().sum(dim, keepdim=keepdim).sqrt()
    if p in (math.inf, "inf"):
        return x.abs().amax(dim, keepdim=keepdim)
    if isinstance(p, str) or p <= 0:
        raise UnsupportedOperationError(f"torch.norm with p={p} has no relevance rule: use a p above 0")
    return x.abs().pow(p).sum(dim, keepdim=keepdim).pow(1 / p)


def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Tensor:  # noqa: A002  torch's name
    return norm(x, ord, dim, keepdim)


def var(
    x: Tensor, dim: Any = None, *args: Any, correction: int = 1, unbiased: bool = True, keepdim: bool = False
) -> Tensor:
    """Return the variance for any form of the arguments of ``var(dim, unbiased, keepdim)``, by position or by name."""
    if dim is None or isinstance(dim, bool):
        raise UnsupportedOperationError("a variance over all elements makes samples depend on each other: give an axis")
    unbiased, keepdim = args[0] if args else unbiased, args[1] if len(args) > 1 else keepdim
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    count = math.prod(x.shape[axis] for axis in axes) - (correction if unbiased else 0)
    return (x - x.mean(axes, keepdim=True)).square().sum(axes, keepdim=keepdim) / count


def std(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return var(x, *args, **kwargs).sqrt()


def var_mean(x: Tensor, dim: Any = None, *args: Any, keepdim: bool = False, **kwargs: Any) -> tuple[Tensor, Tensor]:
    return var(x, dim, *args, keepdim=keepdim, **kwargs), x.mean(dim, keepdim=keepdim)


def std_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    variance, mean = var_mean(x, *args, **kwargs)
    return variance.sqrt(), mean


def glu(x: Tensor, dim: int = -1) -> Tensor:
    a, b = x.chunk(2, dim)
    return a * b.sigmoid()


def prod(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    first, *others = x.unbind(dim)
    for other in others:
        first = first * other
    return first.unsqueeze(dim) if keepdim else first


def cumprod(x: Tensor, dim: int) -> Tensor:
    products = [x.select(dim, 0)]
    for factor in x.unbind(dim)[1:]:
        products.append(products[-1] * factor)
    return torch.stack(products, dim)


def cosine_similarity(a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    size = [x.square().sum(dim, keepdim=True).sqrt().clamp_min(eps) for x in (a, b)]
    return ((a / size[0]) * (b / size[1])).sum(dim)


def addcmul(c: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    return c + value * (a * b)


def addcdiv(c: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    return c + value * (a / b)


def lerp(a: Tensor, b: Tensor, weight: Any) -> Tensor:
    return a + weight * (b - a)


def logsumexp(z: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    top = z.amax(dim, keepdim=True)
    result = (z - top).exp().sum(dim, keepdim=True).log() + top
    return result if keepdim else result.squeeze(dim)


def logcumsumexp(z: Tensor, dim: int) -> Tensor:
    sums = [z.select(dim, 0)]
    for value in z.unbind(dim)[1:]:
        sums.append(logaddexp(sums[-1], value))
    return torch.stack(sums, dim)


def logaddexp(a: Tensor, b: Tensor) -> Tensor:
    return a + torch.nn.functional.softplus(b - a)


def cdist(a: Tensor, b: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    return norm(a.unsqueeze(-2) - b.unsqueeze(-3), p, -1)


def pairwise_distance(a: Tensor, b: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    return norm(a - b + eps, p, -1, keepdim)


def grouped_mm(a: Tensor, b: Tensor, *, offs: Tensor, bias: Any = None, out_dtype: Any = None) -> Tensor:
    """Multiply each group of rows, which ends at its offset, by a matrix of its own."""
    ends = offs.tolist()
    return torch.cat([a[start:end] @ b[k] for k, (start, end) in enumerate(zip([0, *ends], ends, strict=False))])


def hypot(a: Tensor, b: Tensor) -> Tensor:
    return (a.square() + b.square()).sqrt()


def msort(x: Tensor) -> Tensor:
    return x.sort(0)[0]


def embedding_bag(
    ids: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: Any = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    if offsets is not None or mode == "max" or padding_idx is not None:
        raise UnsupportedOperationError("embedding_bag has a rule for mode sum or mean, without offsets or padding")
    rows = torch.nn.functional.embedding(ids, weight, None, max_norm, norm_type)
    rows = rows if per_sample_weights is None else rows * per_sample_weights.unsqueeze(-1)
    return rows.sum(1) if mode == "sum" else rows.mean(1)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if dropout_p > 0:
        raise ValueError("attention has active dropout, so f(x) is random: call model.eval() first")
    if enable_gqa:  # several heads of queries share one of keys
        shared = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(shared, -3), value.repeat_interleave(shared, -3)
    scores = (query * (scale or 1 / math.sqrt(query.shape[-1]))) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        boolean = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if boolean else scores + attn_mask
    return torch.softmax(scores, -1) @ value


ALL: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        layer_norm, rms_norm, group_norm, instance_norm, norm, vector_norm, var, std, glu, prod, cumprod,
        var_mean, std_mean, cosine_similarity, addcdiv, addcmul, lerp, logsumexp, logcumsumexp, logaddexp, cdist,
        pairwise_distance, hypot, msort, embedding_bag, scaled_dot_product_attention,
    )
} | {
    "linalg_vector_norm": vector_norm, "linalg_norm": vector_norm, "_grouped_mm": grouped_mm, "grouped_mm": grouped_mm,
}  # fmt: skip
"""Decompositions by the name of the function that each replaces."""
