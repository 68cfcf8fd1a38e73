"""Explain an LSTM that forecasts, written as public tutorials write it.

python examples/explain_forecaster.py forecaster/

Demand of tomorrow hangs on today's, on that a week before, and on workdays on how far temperature lies from mild. The
model is trained, one of its forecasts and a whole batch are explained, and pictures are drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from drf.lrp import Composite, attribute
from drf.lrp.faithfulness import shapley_values
from drf.lrp.pictures import heat_map, over_time, ranking, waterfall

NAMES = ["demand", "temperature", "workday", "wind"]
DAYS = [f"{day} d ago" for day in range(13, 0, -1)] + ["today"]


class DemandLSTM(nn.Module):
    def __init__(self, input_size: int = 4, hidden_size: int = 16, num_layers: int = 2) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True, dropout=0.1)
        self.fc = nn.Sequential(nn.Linear(hidden_size, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size, device=x.device)
        c0 = torch.zeros(self.num_layers, x.size(0), self.hidden_size, device=x.device)
        out, _ = self.lstm(x, (h0, c0))
        return self.fc(out[:, -1, :]).squeeze(-1)


def draw(samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two weeks of standardised demand, temperature, workday and wind, and the demand of the day after."""
    x = torch.randn(samples, 14, 4, generator=generator)
    x[..., 2] = torch.where(torch.rand(samples, 14, generator=generator) < 5 / 7, 1.0, -1.0)
    today = x[:, -1]
    y = 0.6 * x[:, 7, 0] + 0.3 * today[:, 0] + 0.4 * today[:, 1].square() * (today[:, 2] > 0)
    return x, y + 0.1 * torch.randn(samples, generator=generator)


def train(seed: int = 0, epochs: int = 15) -> DemandLSTM:
    torch.manual_seed(seed)
    model = DemandLSTM()
    x, y = draw(6000, torch.Generator().manual_seed(seed))
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(256):
            optimiser.zero_grad()
            nn.functional.mse_loss(model(x[rows]), y[rows]).backward()
            optimiser.step()
    return model.eval()


def main(folder: str) -> None:
    torch.set_num_threads(1)  # small products are fastest alone
    model = train()
    x, y = draw(500, torch.Generator().manual_seed(99))
    with torch.no_grad():
        print(f"mean squared error {nn.functional.mse_loss(model(x), y):.3f}, variance {y.var():.3f}")

    account = attribute(model, x, composite=Composite(gate="shapley"))
    plain = attribute(model, x)
    print(f"largest |f(x) - f(0) - sum of relevance|: {account.residual.abs().max():.1e}")
    truth = shapley_values(model, x[:20], permutations=100)
    for name, found in {"Shapley rule": account, "signal takes all": plain}.items():
        pairs = zip(found.relevance[:20].flatten(1), truth.flatten(1), strict=True)
        rho = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).mean()
        print(f"{name}: correlation with sampled Shapley values {rho:.3f}")

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    sample = int((account.output - 1.0).abs().argmin())
    sizes = over_time(account.relevance.abs().mean(0), DAYS, NAMES)
    sizes.set_ylabel("mean |relevance|")
    for name, axes in {
        "heat_map": heat_map(account.relevance[sample], DAYS, NAMES),
        "waterfall": waterfall(account, sample, NAMES),
        "ranking": ranking(account.relevance, NAMES),
        "over_time": sizes,
    }.items():
        axes.get_figure().savefig(path / f"lrp_{name}.png", dpi=110)
    print(f"{folder}: lrp_heat_map.png, lrp_waterfall.png, lrp_ranking.png, lrp_over_time.png")


if __name__ == "__main__":
    main(sys.argv[1])
