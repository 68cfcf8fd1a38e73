"""A comparison of rows of known skill, with its evidence, as a report is given it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from drf.comparison.evidence import gather
from drf.comparison.headline import portray
from drf.comparison.rows import Judging, Row, comparison_table
from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.simulate import SimulatedMarket
from drf.evaluation.contributions import Contributions, risk_table
from drf.evaluation.metrics import monthly_series, summarise
from drf.evaluation.portfolio import make_weights
from drf.evaluation.trials import Trials
from drf.models.catalogue import row_named
from drf.reporting.comparison_report import Material
from drf.samples.lagged import make_samples
from tests.making import rule, summed

RULE = rule()
DRIVERS = ("lstm_lrp", pd.Series({"Value": 0.006, "Risk": -0.002}))
SKILL = {"linear": 0.02, "forest": 0.06, "lstm": 0.12, "lstm_lrp": 0.12}


@cache
def market() -> pd.DataFrame:
    return SimulatedMarket(60, 48, seed=2).panel()


def contributions(table: pd.DataFrame) -> Contributions:
    cells = np.random.default_rng(7).normal(0.001, 0.001, (len(table), 1, len(DESCRIPTORS)))
    return summed(cells, DESCRIPTORS, [0])


@cache
def compared_rows() -> list[Row]:
    """Rows of known skill on 35 months."""
    samples = make_samples(market(), ["CAP", "ROE"], (0, 12))
    kept = ~np.isnan(samples.y)
    made = []
    for name, skill in SKILL.items():
        rng = np.random.default_rng(7)
        each = [skill * samples.y[kept] + 0.02 * rng.standard_normal(kept.sum()) for _ in range(3)]
        table = pd.DataFrame({"date": samples.dates[samples.month[kept]], "asset": samples.asset[kept]})
        table = table.assign(y_true=samples.y[kept].astype(float), y_pred=np.mean(each, axis=0))
        parts = contributions(table)
        model = row_named(name)
        assert model is not None
        row = Row(
            model=model,
            contributions=parts,
            newest_contributions=None,
            risk=risk_table(parts, make_weights(table, RULE), FACTORS),
            carried=None,
            by_seed=np.array(each if name.startswith("lstm") else each[:1]),
            forecast=table[:0],
            **judged(table),
        )
        made.append(row)
    return made


def judged(table: pd.DataFrame) -> dict[str, Any]:
    """What of a row follows from its predictions."""
    metrics, months = summarise(table, RULE), np.sort(table["date"].unique())
    return {
        "predictions": table,
        "raw": table["y_pred"].to_numpy(),
        "scale": pd.Series(1.0, index=months),
        "newest_scale": 1.0,
        "judged": table,
        "weights": make_weights(table, RULE),
        "metrics": {**metrics, "r2_raw": metrics["r2"], "promised_return_raw": metrics["promised_return"]},
        "series": monthly_series(table, RULE),
    }


@cache
def compared_evidence() -> dict[str, pd.DataFrame]:
    trials = Trials(pd.DataFrame({"sharpe": np.linspace(-0.2, 0.3, 20), "periods": 12}), 20.0)
    noise = np.random.default_rng(0).normal(0, 1, (12, 6))
    return gather(compared_rows(), judging(market()), trials, {"lstm": pd.DataFrame(noise)}, periods=None, seed=0)


def judging(panel: pd.DataFrame) -> Judging:
    return Judging(make_samples(panel, ["CAP", "ROE"], (0, 12)), panel, FACTORS, RULE)


def material(rows: list[Row], evidence: Mapping[str, pd.DataFrame], **changes: Any) -> Material:
    near = rows[-1] if changes.get("drivers") else replace(rows[-1], contributions=None, risk=None)
    told = {
        "name": "a training",
        "headline": "lstm_lrp",
        "drivers": None,
        "figures": {},
        "protocol": ["Panel: <tiny> & made up."],
    }
    told |= {"simulated": False, "neutral": 1.5, "config": "seed: 0", "commit": "abc"}
    told |= {"series": {row.name: row.series for row in rows}, "portrait": portray(near, judging(market()))}
    told |= {"comparison": comparison_table(rows), "evidence": evidence, "factors": FACTORS}
    return Material(**{**told, **changes})
