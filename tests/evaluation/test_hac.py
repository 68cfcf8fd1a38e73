from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from drf.evaluation.hac import hac_mean


def series(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"x": values})


@pytest.mark.parametrize(("periods", "df"), [(4, 2), (12, 2), (36, 4), (180, 13)])
def test_it_agrees_with_a_regression_on_cosines(periods: int, df: int) -> None:
    """The weighted averages are, up to scale, the coefficients of a regression on the same cosines (statsmodels)."""
    values = np.random.default_rng(0).normal(0.1, 1, periods)
    waves = np.cos(np.pi * np.outer(np.arange(periods) + 0.5, np.arange(1, df + 1)) / periods)
    slopes = sm.OLS(values, sm.add_constant(waves)).fit().params[1:]
    se = np.sqrt((slopes**2 * periods / 2).mean() / periods)
    tested = hac_mean(series(values)).loc["x"]
    assert tested["df"] == df
    assert tested["se"] == pytest.approx(se)
    assert tested["t"] == pytest.approx(values.mean() / se)
    assert tested["p"] == pytest.approx(2 * stats.t.sf(abs(values.mean() / se), df))


def test_without_correlation_it_is_close_to_newey_and_west() -> None:
    values = np.random.default_rng(1).normal(0.1, 1, 20_000)
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds={"maxlags": 10})
    assert hac_mean(series(values))["se"]["x"] == pytest.approx(fit.bse[0], rel=0.1)


def test_a_mean_that_is_there_is_found() -> None:
    rng = np.random.default_rng(3)
    found = [hac_mean(series(rng.normal(0.7, 1, 60)))["p"]["x"] < 0.05 for _ in range(100)]
    assert np.mean(found) > 0.9


def test_what_cannot_be_estimated_says_why() -> None:
    table = hac_mean(pd.DataFrame({"short": [0.1, 0.2, 0.3, np.nan, np.nan], "flat": [0.1] * 5}))
    assert table["t"].isna().all()
    assert table["note"]["short"] == "cannot be estimated, because there are only 3 periods (4 needed)"
    assert table["note"]["flat"] == "cannot be estimated, because all periods are the same"


def test_correlated_noise_is_seldom_called_a_mean() -> None:
    rng, rejected = np.random.default_rng(4), []
    for _ in range(400):
        noise = rng.standard_normal(86)
        for t in range(1, 86):
            noise[t] += 0.4 * noise[t - 1]
        rejected.append(hac_mean(series(noise[50:]))["p"]["x"] < 0.05)
    assert np.mean(rejected) <= 0.08
