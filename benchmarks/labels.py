"""What should the rows learn, and from which weights should networks start? Measured where no test month lies.

    python benchmarks/labels.py                         five simulated markets that nothing else is tested on
    python benchmarks/labels.py panel.parquet 500       a panel, its 500 largest stocks, development months alone

One line a family, label and start, with the configured settings and no tuning: mean monthly rank IC with its t, Sharpe
ratio after costs, and R² against a forecast of nothing, as the models said it and as forecasts are spread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pandas as pd
from joblib import Parallel, delayed

from drf.comparison.rows import Judging, make_rows
from drf.data.panel import check_panel
from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.simulate import SimulatedMarket
from drf.data.sources import PanelFile
from drf.data.universe import largest
from drf.evaluation.hac import hac_mean
from drf.evaluation.portfolio import PortfolioRule
from drf.models.catalogue import FAMILIES
from drf.models.family import Family
from drf.samples.lagged import make_samples
from drf.samples.windows import WindowRule, make_schedule
from drf.training.parallel import Compute
from drf.training.walkforward import walk_forward

RULE = PortfolioRule(quantiles=5, cost_bps=10)
DATA_SEEDS = range(100, 105)
SEEDS = 3
DEVELOPED_TO = "2017-11-30"  # of the panel: the months after it were opened once


def variants() -> Iterator[tuple[str, Family]]:
    """Name and family of each."""
    for name, model in FAMILIES.items():
        network = name in ("dnn", "lstm")
        for label in ("return", "rank"):
            for warm in (False, True) if network else (None,):
                settings = {"label": label} if warm is None else {"label": label, "warm_start": warm}
                start = {None: "", False: "cold", True: "warm"}[warm]
                yield f"{name} {label} {start}".strip(), Family(name, model, settings, SEEDS if network else 1)


def measured(panel: pd.DataFrame, rule: WindowRule, title: str, family: Family) -> dict[str, object]:
    """One variant on one panel."""
    samples = make_samples(panel, DESCRIPTORS, rule.lags, rule.target)
    walk = walk_forward([family], samples, make_schedule(samples, rule), 0, Compute(jobs=1))
    row = make_rows(walk, Judging(samples, panel, FACTORS, RULE))[0]
    return {
        "variant": title,
        "rank IC": row.metrics["rank_ic"],
        "t": float(hac_mean(row.series[["rank_ic"]])["t"].item()),
        "Sharpe net": row.metrics["sharpe_net"],
        "R² raw, %": 100 * row.metrics["r2_raw"],
        "R², %": 100 * row.metrics["r2"],
    }


def markets(arguments: list[str]) -> tuple[list[pd.DataFrame], WindowRule]:
    """The panels that the command line asks for, and how they are cut."""
    if arguments:
        universe = int(arguments[1]) if len(arguments) > 1 else None
        panel = largest(check_panel(PanelFile(arguments[0]).panel(), DESCRIPTORS, 5), universe)
        return [panel], WindowRule(
            lags=(0, 3, 6, 9, 12), target="raw", train_months=36, test_months=None, refit_every=3, expanding=True,
            test_to=DEVELOPED_TO,
        )  # fmt: skip
    panels = [SimulatedMarket(stocks=500, months=96, seed=seed).panel() for seed in DATA_SEEDS]
    return panels, WindowRule(lags=(0, 3, 6, 9, 12), target="excess", train_months=36, test_months=36, refit_every=3)


def main() -> None:
    panels, rule = markets(sys.argv[1:])
    tasks = [(panel, rule, title, family) for title, family in variants() for panel in panels]
    lines = pd.DataFrame(Parallel(n_jobs=-1)(delayed(measured)(*task) for task in tasks))
    print(lines.groupby("variant", sort=False).mean().round(4).to_string())


if __name__ == "__main__":
    main()
