r"""Layout: the sample that every element of every intermediate result belongs to.

Accounts are kept for each sample, and one baseline sample may serve all, but a model may put the axis of samples
anywhere: first or second, or merged with steps or heads. In the flattened result of n samples, element e belongs to
sample :math:`\lfloor e / s \rfloor \bmod n` for one stride s. The strides are found by running the model on three
samples and on two of them in reverse order: sizes show which axis holds the samples, and values show their order. If a
result of the two is not found among those of the three, it depends on other samples or is in another order, as in a
batch sorted by length.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

THREE, TWO = 3, 2
TURNED = (2, 0)
"""Positions of the two samples out of three that run a second time, in the order of that run."""


@dataclass(frozen=True)
class Layout:
    """Stride of samples at every site; ``None`` where there is none, as in a packed sequence."""

    strides: tuple[int | None, ...]
    output_axis: int
    outputs: int
    """Number of outputs of a sample."""
    random: bool
    """True if the model draws random numbers."""
    chooses: bool = False
    """True if the model compares values, so that what it computes depends on them."""
    numbers: bool = False
    """True if the model makes Python numbers of its signals, on which its output does not depend."""
    coarse: bool = False
    """True if a part of the model computes in half precision, which is explained in single precision."""
    whole: bool = False
    """True if the model runs only on all the given samples at once."""

    def check(self, sites: int) -> None:
        """Raise MixedSamplesError if a run had another number of operations than the layout has."""
        if self.regular and sites != len(self.strides):
            raise OtherOperationsError("the model runs different operations for different samples: use chunk=1")

    @property
    def regular(self) -> bool:
        """Tell whether samples can be told apart when several are run at once."""
        return None not in self.strides

    def by_sample(self, site: int, amount: Tensor, samples: int, factor: Tensor | None = None) -> Tensor:
        """Return the sums (samples,) of amounts in the shape of a site, times a factor of that shape."""
        stride = amount.numel() if samples == 1 else self._stride(site)
        blocks = amount.reshape(-1, samples, stride)
        if factor is None:
            return blocks.sum((0, 2))
        if factor.ndim == 1 and stride % len(factor) == 0:  # a bias: without a tensor of the products
            return (amount @ factor).reshape(-1, samples, stride // len(factor)).sum((0, 2))
        return (amount * factor).reshape(blocks.shape).sum((0, 2))

    def spread(self, site: int, baseline: Tensor, like: Tensor, samples: int) -> Tensor:
        """Repeat a site's value for a single sample once for each of many samples, without a copy where possible."""
        if baseline.shape == like.shape:
            return baseline
        if baseline.ndim == like.ndim and all(a in (1, b) for a, b in zip(baseline.shape, like.shape, strict=True)):
            return baseline.expand_as(like)
        stride = self._stride(site)
        return baseline.reshape(-1, 1, stride).expand(-1, samples, stride).reshape(like.shape)

    def _stride(self, site: int) -> int:
        if site >= len(self.strides):
            self.check(site)
        stride = self.strides[site]
        assert stride is not None, "an irregular layout takes samples one by one"
        return stride


MIXED = (
    "a sample's output changes with the other samples of the batch: explain a model whose samples do not affect each "
    "other, such as one in eval mode"
)


class MixedSamplesError(ValueError):
    """A model whose result for a sample depends on other samples."""


class OtherOperationsError(MixedSamplesError):
    """A run with other operations than those that the layout was found for."""


def layout_of_whole(
    runs: Sequence[Sequence[Tensor]], output: Tensor, samples: int, random: bool, chooses: bool
) -> Layout:
    """Return the layout of a model that runs only on all samples at once, given every site's values in three runs: for
    the samples as they are, with the first one changed, and with the last one changed."""
    strides = tuple(_stride_by_change(*values, samples) for values in zip(runs[0], runs[1], runs[2], strict=True))
    axis = next(k for k, size in enumerate(output.shape) if size == samples)
    return Layout(strides, axis, output.numel() // samples, random, chooses, whole=True)


def _stride_by_change(plain: Tensor, first: Tensor, last: Tensor, samples: int) -> int | None:
    """Return the stride for which a changed sample changed only its own elements."""
    if plain.numel() % samples:
        return None
    after = [math.prod(plain.shape[k + 1 :]) for k, size in enumerate(plain.shape) if size == samples]
    others = [stride for stride in range(1, plain.numel() // samples + 1) if plain.numel() // samples % stride == 0]
    moved = [(other != plain).reshape(-1) if other.shape == plain.shape else None for other in (first, last)]
    for stride in (*after, *others):
        owner = torch.arange(plain.numel()) // stride % samples
        if all(m is None or (owner[m] == k).all() for m, k in zip(moved, (0, samples - 1), strict=True)):
            return stride
    return None


def find_layout(
    three: Sequence[Tensor], two: Sequence[Tensor], outputs: tuple[Tensor, Tensor], random: bool, chooses: bool = False
) -> Layout:
    """Return the layout, given every site's values in a run of three samples and in a run of :data:`TURNED`.

    Args:
        outputs: The model's output in both runs.
        random: True if the model drew random numbers, so that values of the two runs cannot be compared.

    Raises MixedSamplesError if a sample's values depend on the other samples, or the outputs have no axis of samples.
    """
    axes = [k for k, (a, b) in enumerate(zip(outputs[0].shape, outputs[1].shape, strict=False)) if (a, b) == (3, 2)]
    if outputs[0].ndim != outputs[1].ndim or len(axes) != 1:
        raise MixedSamplesError(
            f"the output has shape {tuple(outputs[0].shape)} for three samples and {tuple(outputs[1].shape)} for two: "
            "it needs one axis with as many elements as there are samples"
        )
    if not random and _stride(*outputs, random=False) is None:
        raise MixedSamplesError(MIXED)
    same_way = len(three) == len(two)
    strides = tuple(_stride(a, b, random) for a, b in zip(three, two, strict=True)) if same_way else (None,)
    return Layout(strides, axes[0], outputs[0].numel() // THREE, random, chooses)


def _stride(three: Tensor, two: Tensor, random: bool) -> int | None:
    if three.ndim != two.ndim:
        return None
    axes = [k for k in range(three.ndim) if three.shape[k] != two.shape[k]]
    if len(axes) != 1 or three.shape[axes[0]] * TWO != two.shape[axes[0]] * THREE:
        return None
    inside, after = three.shape[axes[0]] // THREE, math.prod(three.shape[axes[0] + 1 :])
    candidates = [after * k for k in range(1, inside + 1) if inside % k == 0]
    if random:
        return candidates[0] if inside == 1 else None
    fitting = [stride for stride in candidates if _fits(three, two, stride)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(three: Tensor, two: Tensor, stride: int) -> bool:
    expected = three.reshape(-1, THREE, stride)[:, TURNED]
    found = two.reshape(-1, TWO, stride)
    if not expected.dtype.is_floating_point:
        return torch.equal(expected, found)
    if three.is_complex():
        return _fits(three.real, two.real, stride) and _fits(three.imag, two.imag, stride)
    values = three.nan_to_num(0, 0, 0)
    rounding = 64 * torch.finfo(three.dtype).eps * float(values.abs().max())
    tolerance = rounding + 1e-3 * float(values.max() - values.min())  # a common offset hides no difference
    return torch.allclose(expected, found, rtol=0, atol=tolerance, equal_nan=True)
