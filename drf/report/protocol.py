"""The protocol of a training in words."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from ..windows.samples import Samples
from ..windows.split import Window


def protocol(config: DictConfig, samples: Samples, windows: Sequence[Window]) -> list[str]:
    """What was forecast from what, when and how, in sentences."""
    first, last = samples.dates[windows[0].test.start], samples.dates[windows[-1].test.stop - 1]
    window, tuning, portfolio = config.window, config.tuning, config.portfolio
    source = config.data.get("path") or config.data.source["_target_"]
    universe = (
        "all stocks" if config.data.universe is None else f"the {config.data.universe} largest stocks of each month"
    )
    target = {"raw": "the return", "excess": "the return less the mean of the month's stocks"}[window.target]
    return [
        f"Panel: {source}, {universe}; {len(samples):,} samples from {samples.dates[samples.first_month].date()} "
        "on, each the "
        f"ranks of {len(samples.descriptors)} descriptors {', '.join(map(str, samples.lags))} months back. Target: "
        f"{target} "
        "over the next month.",
        f"Forecasts were made {first.date()} to {last.date()}, by models trained on the {window.train_months} "
        "months before "
        f"and refitted every {window.refit_every} month(s). Training stops at the newest return known; no test "
        "month is seen "
        "in training or tuning.",
        f"Tuning: {tuning.trials} trials a family on {tuning.validation_months} months before the first test month."
        if tuning.trials
        else "No tuning: the configured settings.",
        f"Portfolio: long the top and short the bottom of {portfolio.quantiles} quantiles, equal weights, "
        f"{portfolio.cost_bps:g} "
        "basis points a side.",
    ]
