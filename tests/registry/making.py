"""Registered versions and their forecasts, made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir

from drf.cli.program import CONFIG_DIR
from drf.experiment.config import Record, read_recorded
from drf.models.rows import row_named
from drf.registry.gates import Thresholds
from drf.registry.versions import (
    Version,
)
from tests.making import rule

LIMITS = Thresholds(
    min_months=24,
    min_sharpe_low=0.0,
    min_deflated=0.95,
    max_rank_ic_p=0.025,
    min_better=0.5,
    max_conservation_error=1e-6,
    min_fidelity=0.99,
    audit=False,
)
TRIALS = pd.DataFrame({"sharpe": [0.1, 0.2, 0.3], "periods": [12, 12, 12]})
RULE = rule()
NAME = "drf-lstm-lrp"


def recorded() -> str:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return Record.of(compose("config")).line


CONFIG = recorded()


def forecasts(skill: float, months: int = 36, first: str = "2000-01-31", seed: int = 0) -> pd.DataFrame:
    """Forecasts whose correlation with the return is about ``skill``."""
    rng = np.random.default_rng(0)
    dates = np.repeat(pd.date_range(first, periods=months, freq="ME"), 100)
    truth = rng.normal(0, 0.1, len(dates))
    noise = np.random.default_rng(seed + 1).normal(0, 0.1, len(dates))
    return pd.DataFrame(
        {
            "date": dates,
            "asset": np.tile([f"A{k:03d}" for k in range(100)], months),
            "y_true": truth,
            "y_pred": skill * truth + noise,
        }
    )


def version(number: str, history: str = "history", train_last: str | pd.Timestamp = "2003-01-31") -> Version:
    row = row_named("lstm_lrp")
    assert row is not None
    return Version(NAME, number, row, "row", "parent", history, pd.Timestamp(train_last), read_recorded(CONFIG))
