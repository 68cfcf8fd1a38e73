"""Decompositions: layers that torch computes in one call, written in operations that have rules.

They take the same arguments as the functions of the same names in ``torch.nn.functional``. In a normalisation the
deviation is a denominator and so a gate; in attention the weights are gates.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

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


def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    return x / x.abs().pow(p).sum(dim, keepdim=True).pow(1 / p).clamp_min(eps)


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
    return z.exp().sum(dim, keepdim=keepdim).log()


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
    if enable_gqa:
        raise UnsupportedOperationError("scaled_dot_product_attention with enable_gqa has no relevance rule")
    weights, _ = _attend(query, key, attn_mask, is_causal, scale or 1 / math.sqrt(query.shape[-1]))
    return weights @ value


def _attend(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
    scores = (query * scale) @ key.transpose(-2, -1)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return torch.softmax(scores, -1), scores


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Compute attention on inputs (steps, n, features), as nn.MultiheadAttention lays them out."""
    if static_k is not None or static_v is not None:
        raise UnsupportedOperationError("MultiheadAttention with static keys has no relevance rule")
    if training and dropout_p > 0:
        raise ValueError("attention has active dropout, so f(x) is random: call model.eval() first")
    batched = query.ndim == 3
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
    apart = (q_proj_weight, k_proj_weight, v_proj_weight)
    maps: Sequence[Any] = apart if in_proj_weight is None else in_proj_weight.chunk(3)
    biases: Sequence[Any] = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    steps, n, _ = query.shape
    size = embed_dim_to_check // num_heads
    mapped = [linear(x, w, b) for x, w, b in zip((query, key, value), maps, biases, strict=True)]
    # Extra steps that come from no input: learned biases, and zeros.
    more: list[list[Tensor]] = []
    if bias_k is not None and bias_v is not None:
        more += [[bias.expand(1, n, -1) for bias in (bias_k, bias_v)]]
    if add_zero_attn:
        more += [[torch.zeros_like(part[:1].detach()) for part in mapped[1:]]]
    for k_and_v in more:
        mapped[1:] = [torch.cat([part, step]) for part, step in zip(mapped[1:], k_and_v, strict=True)]
    q, k, v = (part.reshape(len(part), n * num_heads, size).transpose(0, 1) for part in mapped)
    attn_mask, key_padding_mask = (
        None if given is None else torch.nn.functional.pad(given, (0, len(more)))
        for given in (attn_mask, key_padding_mask)
    )
    mask = _attention_mask(attn_mask, key_padding_mask, n, num_heads, q)
    weights, _ = _attend(q, k, mask, False, 1 / math.sqrt(size))
    mixed = (weights @ v).transpose(0, 1).reshape(steps, n, embed_dim_to_check)
    output = linear(mixed, out_proj_weight, out_proj_bias)
    by_head = weights.view(n, num_heads, steps, -1) if need_weights else None
    shown = by_head.mean(1) if by_head is not None and average_attn_weights else by_head
    if not batched:
        output, shown = output.squeeze(1), None if shown is None else shown.squeeze(0)
    return output, shown


def _attention_mask(mask: Tensor | None, padding: Tensor | None, n: int, heads: int, like: Tensor) -> Tensor | None:
    """Return the term added to the scores: -inf where a step must not be attended to."""
    added = [_as_added(given, like) for given in (mask,) if given is not None]
    if padding is not None:
        added.append(_as_added(padding, like)[:, None, None].expand(-1, heads, -1, -1).reshape(n * heads, 1, -1))
    return sum(added[1:], added[0]) if added else None


def _as_added(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=like.dtype, device=like.device).masked_fill(mask, -math.inf)
    return mask.to(like.dtype)


ALL: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        layer_norm, rms_norm, group_norm, instance_norm, normalize, norm, vector_norm, var, std, glu, prod, cumprod,
        cosine_similarity, addcdiv, addcmul, lerp, logsumexp, scaled_dot_product_attention,
        multi_head_attention_forward,
    )
} | {"linalg_vector_norm": vector_norm}  # fmt: skip
"""Decompositions by the name of the function that each replaces."""
