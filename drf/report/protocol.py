"""The protocol of a training in words."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from ..samples.lagged import Samples
from ..samples.windows import Window


def protocol(config: DictConfig, samples: Samples, windows: Sequence[Window], absent: Sequence[str]) -> list[str]:
    """What was forecast from what, when and how, in sentences; ``absent``: descriptors that the panel lacks."""
    start = samples.dates[samples.first_month].date()
    first, last = samples.dates[windows[0].test.start].date(), samples.dates[windows[-1].test.stop - 1].date()
    window, tuning, portfolio = config.window, config.tuning, config.portfolio
    source = config.data.get("path") or config.data.source["_target_"]
    universe = config.data.universe
    stocks = "all stocks" if universe is None else f"the {universe} largest stocks of each month"
    target = {"raw": "the return", "excess": "the return less the mean of the month's stocks"}[window.target]
    lags = ", ".join(map(str, samples.lags))
    tuned = f"{tuning.trials} trials a family on {tuning.validation_months} months before the first test month"
    trained = "all months before" if window.expanding else f"the {window.train_months} months before"
    return [
        f"Panel: {source}, {stocks}; {len(samples):,} samples from {start} on, each the ranks of "
        f"{len(samples.descriptors)} descriptors {lags} months back. Target: {target} over the next month.",
        *([f"The panel has no {', '.join(absent)}: forecasts and contributions do without."] if absent else []),
        f"Forecasts were made {first} to {last}, by models trained on {trained} and "
        f"refitted every {window.refit_every} month(s). Training stops at the newest return known; no test month is "
        "seen in training or tuning.",
        f"Tuning: {tuned}." if tuning.trials else "No tuning: the configured settings.",
        f"Portfolio: long the top and short the bottom of {portfolio.quantiles} quantiles, equal weights, "
        f"{portfolio.cost_bps:g} basis points a side.",
    ]
