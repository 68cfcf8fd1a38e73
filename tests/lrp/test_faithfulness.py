from __future__ import annotations

import pytest
import torch
from torch import nn

from drf.lrp.faithfulness import (
    STEPS,
    agreement,
    area,
    deletion_curve,
    gradient_x_input,
    integrated_gradients,
    occlusion,
    randomised,
    score_of,
    shapley_values,
)


@pytest.fixture
def linear() -> nn.Sequential:
    """f(x) = 1 x_1 + 2 x_2 + ... + 40 x_40: every attribution must be weight times input."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(40, 1, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.arange(1.0, 41.0)[None])
    return model.eval()


def test_all_attributions_of_a_linear_model_are_its_contributions(linear: nn.Sequential) -> None:
    x = torch.randn(6, 5, 8)
    truth = x * torch.arange(1.0, 41.0).reshape(5, 8)
    for method in (occlusion, gradient_x_input, integrated_gradients):
        assert torch.allclose(method(linear, x), truth, atol=1e-3), method


def test_deletion_of_a_linear_model_by_hand(linear: nn.Sequential) -> None:
    x = torch.ones(1, 5, 8)
    weights = torch.arange(1.0, 41.0).reshape(1, 5, 8)
    total = 820.0
    curve = deletion_curve(linear, x, weights)
    assert len(curve) == STEPS + 1
    assert curve[0] == 1
    assert curve[1] == pytest.approx((total - 40 - 39) / total)  # the two largest go first
    assert curve[-1] == 0
    inserted = deletion_curve(linear, x, weights, insert=True)
    assert inserted[0] == 0
    assert inserted[1] == pytest.approx(79 / total)
    assert area(curve) + area(inserted) == pytest.approx(1, abs=1e-6)
    assert area(deletion_curve(linear, x, -weights)) > 0.5 > area(curve)


def test_support_is_meant_with_the_sign_of_the_output(linear: nn.Sequential) -> None:
    x = torch.randn(50, 5, 8)
    truth = gradient_x_input(linear, x)
    assert area(deletion_curve(linear, x, truth)) == pytest.approx(area(deletion_curve(linear, -x, -truth)), abs=1e-5)
    assert area(deletion_curve(linear, x, truth)) < 0 < area(deletion_curve(linear, x, torch.rand(50, 5, 8)))


def test_agreement_is_a_rank_correlation() -> None:
    a = torch.randn(7, 5, 8)
    assert agreement(a, a.exp()) == pytest.approx(1)
    assert agreement(a, -a) == pytest.approx(-1)


def test_randomising_changes_the_weights_of_a_copy_alone(linear: nn.Sequential) -> None:
    before = linear[1].weight.clone()
    other = randomised(linear)
    assert torch.equal(linear[1].weight, before)
    assert not torch.allclose(other[1].weight, before)
    assert torch.equal(randomised(linear, 3)[1].weight, randomised(linear, 3)[1].weight)


class Beside(nn.Module):
    """Two outputs of a sequence and its scale."""

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        total = x.sum((1, 2)) * scale[:, 0]
        return {"both": torch.stack([total, -2 * total], 1)}


def test_any_output_of_any_model_is_a_score() -> None:
    torch.manual_seed(0)
    x, scale = torch.randn(6, 2, 3), torch.rand(6, 1) + 0.5
    pick = {"select": lambda y: y["both"]}
    truth = -2 * x * scale[:, :, None]
    score = score_of(Beside(), scale, target=1, **pick)
    for method in (occlusion, gradient_x_input, integrated_gradients, shapley_values):
        assert torch.allclose(method(score, x), truth, atol=1e-4), method
    assert torch.allclose(shapley_values(score, x, permutations=3), truth, atol=1e-4)
    assert area(deletion_curve(score, x, truth)) < area(deletion_curve(score, x, -truth))
    by_sample = score_of(Beside(), scale, target=torch.arange(6) % 2, **pick)
    expected = torch.where((torch.arange(6) % 2)[:, None, None] == 1, truth, -truth / 2)
    assert torch.allclose(occlusion(by_sample, x), expected, atol=1e-4)
    base = torch.ones(1, 2, 3)
    assert torch.allclose(occlusion(score, x, base), -2 * (x - base) * scale[:, :, None], atol=1e-4)
    with pytest.raises(ValueError, match="2 outputs a sample"):
        score_of(Beside(), scale, **pick)(x)
    with pytest.raises(ValueError, match=r"shape \(\d+, 2\) for \d+ samples: pick one output by score_of"):
        occlusion(nn.Linear(3, 2), torch.randn(4, 3))
    with pytest.raises(ValueError, match="give permutations="):
        shapley_values(nn.Linear(20, 1), torch.randn(2, 20))
