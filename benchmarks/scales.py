"""Is the prior of the forecasts' scale a good one? R² on months where nothing is tested, for several priors.

    python benchmarks/scales.py                         five simulated markets that nothing else is tested on
    python benchmarks/scales.py panel.parquet 500       a panel, its 500 largest stocks, development months alone

One line a row: R² in per cent of forecasts as the models said them, and spread with each prior (mean and standard
deviation of the slope before anything is known).
"""

from __future__ import annotations

import sys

import pandas as pd
from joblib import Parallel, delayed
from labels import markets

from drf.data.paper_descriptors import DESCRIPTORS
from drf.evaluation import scale
from drf.evaluation.metrics import out_of_sample_r2
from drf.models.catalogue import FAMILIES
from drf.models.combine import shrunk
from drf.models.family import Family
from drf.samples.lagged import make_samples
from drf.samples.windows import WindowRule, make_schedule
from drf.training.forecasts import forecast_table
from drf.training.parallel import Compute
from drf.training.walkforward import walk_forward

ROWS = {"linear": 1, "ridge": 1, "forest": 1, "boosting": 1, "dnn": 3, "lstm": 3}
PRIORS = [(0.1, 0.3), (0.3, 0.3), (0.5, 0.3), (0.3, 0.5), (0.5, 0.5), (0.5, 1.0), (0.3, 0.2), (0.2, 0.2), (0.4, 0.4)]


def raw(panel: pd.DataFrame, rule: WindowRule, name: str) -> pd.DataFrame:
    """What a family says, with its configured settings and the rank label."""
    samples = make_samples(panel, DESCRIPTORS, rule.lags, rule.target)
    family = Family(name, FAMILIES[name], {"label": "rank"}, ROWS[name])
    tested = walk_forward([family], samples, make_schedule(samples, rule), 0, Compute(jobs=1))[name].tested
    return forecast_table(samples, tested.samples_slice, tested.prediction)


def spread(said: pd.DataFrame, prior: tuple[float, float]) -> float:
    """R² of forecasts spread with a prior, in per cent."""
    scale.PRIOR, scale.PRIOR_SD = prior
    k = said["date"].map(scale.scales(said)).to_numpy()
    multiple, offset = shrunk(said["y_pred"].to_numpy(), said["date"].to_numpy(), k)
    return 100 * out_of_sample_r2(said.assign(y_pred=multiple * said["y_pred"] + offset))


def main() -> None:
    panels, rule = markets(sys.argv[1:])
    tasks = [(name, panel) for name in ROWS for panel in panels]
    said = Parallel(n_jobs=-1)(delayed(raw)(panel, rule, name) for name, panel in tasks)
    lines = [
        {
            "row": name,
            "raw": 100 * out_of_sample_r2(table),
            **{f"{mean:g} ± {deviation:g}": spread(table, (mean, deviation)) for mean, deviation in PRIORS},
        }
        for (name, _), table in zip(tasks, said, strict=True)
    ]
    print(pd.DataFrame(lines).groupby("row", sort=False).mean().round(3).to_string())


if __name__ == "__main__":
    main()
