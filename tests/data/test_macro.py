"""Sensitivities to macro series: right, known at their date, and found where they drive returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drf.data.macro import LEAST, MONTHS, add_sensitivities
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket, simulate
from drf.errors import InputError
from drf.evaluation.metrics import rank_ic
from drf.experiment.config import read
from drf.experiment.factors import descriptors_of, make_factors
from drf.experiment.market import load_market, require_same_macro
from drf.experiment.schema import TrainConfig
from drf.samples.transforms import columns_of
from tests.experiment.composing import composed

MACRO = ("BETA_FX", "BETA_RATES", "BETA_CPI")
CALENDAR = pd.date_range("1990-01-31", periods=90, freq="ME")
WAYS = {"FX": "log", "RATES": "difference"}


def made_up(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns of ten stocks, some missing, and the levels of two series."""
    rng = np.random.default_rng(seed)
    returns = pd.DataFrame(0.1 * rng.standard_normal((len(CALENDAR), 10)), CALENDAR, [f"S{k}" for k in range(10)])
    returns = returns.mask(rng.random(returns.shape) < 0.1)
    fx = 100 * np.exp(np.cumsum(0.02 * rng.standard_normal(len(CALENDAR))))
    rates = 0.02 + np.cumsum(0.001 * rng.standard_normal(len(CALENDAR)))
    return returns, pd.DataFrame({"date": CALENDAR, "FX": fx, "RATES": rates})


def as_panel(returns: pd.DataFrame) -> pd.DataFrame:
    """The return over a month stands at the end of the month before."""
    following = returns.shift(-1).rename_axis("date").rename_axis("asset", axis=1)
    return following.stack(future_stack=True).rename("ret_next").reset_index()


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_sensitivity_is_the_slope_over_the_published_months(lag: int) -> None:
    returns, levels = made_up()
    panel, left_out = add_sensitivities(as_panel(returns), levels, WAYS, lag, ["FX", "RATES"])
    assert LEAST + lag <= left_out <= LEAST + lag + 3  # the first change takes two months, some returns are missing
    found = panel.pivot(index="date", columns="asset")
    at = 80
    for name, change in {"FX": np.log(levels["FX"]).diff(), "RATES": levels["RATES"].diff()}.items():
        window = slice(at - lag - MONTHS + 1, at - lag + 1)
        y, x = returns["S3"].to_numpy()[window], change.to_numpy()[window]
        known = ~np.isnan(y)
        expected = np.polyfit(x[known], y[known], 1)[0]
        assert found[f"BETA_{name}"].loc[CALENDAR[at], "S3"] == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), lag=st.integers(0, 4), cut=st.integers(35, 85))
def test_nothing_published_or_earned_after_a_date_changes_what_is_known_at_it(seed: int, lag: int, cut: int) -> None:
    returns, levels = made_up(seed)
    other_returns, other_levels = returns.copy(), levels.copy()
    other_returns.iloc[cut + 1 :] += 0.5
    other_levels.loc[cut + 1 - lag :, ["FX", "RATES"]] *= 3
    before, after = (
        add_sensitivities(as_panel(r), table, WAYS, lag, ["FX", "RATES"])[0]
        for r, table in ((returns, levels), (other_returns, other_levels))
    )
    before, after = (table[table["date"] <= CALENDAR[cut]] for table in (before, after))
    assert len(before)
    columns = ["date", "asset", "BETA_FX", "BETA_RATES"]
    pd.testing.assert_frame_equal(before[columns], after[columns], check_exact=True)


def test_a_series_after_the_date_does_change_it_without_a_lag() -> None:
    """The test above could not fail if the newest months never counted."""
    returns, levels = made_up()
    moved = levels.copy()
    moved.loc[80, "FX"] *= 2
    first, second = (add_sensitivities(as_panel(returns), table, WAYS, 0, ["FX"])[0] for table in (levels, moved))
    at = first["date"] == CALENDAR[80]
    assert (first["BETA_FX"][at] - second["BETA_FX"][at]).abs().max() > 0


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    panel = SimulatedMarket(20, 60, seed=2, start="2000-01").panel()
    panel.to_parquet(tmp_path / "panel.parquet")
    rng = np.random.default_rng(0)
    levels = pd.DataFrame({"date": pd.date_range("1999-06-30", periods=80, freq="ME").strftime("%Y-%m-15")})
    for name in ("FX", "RATES", "CPI"):
        levels[name] = 100 + np.cumsum(rng.standard_normal(80))
    levels.to_csv(tmp_path / "macro.csv", index=False)
    return tmp_path / "panel.parquet", tmp_path / "macro.csv"


def load(*overrides: str, factors: str = "paper16_macro") -> pd.DataFrame:
    config = read(composed(f"factors={factors}", "data=panel", *overrides), TrainConfig)
    return load_market(config.data, columns_of(descriptors_of(make_factors(config.factors, config.data))), 5)


def test_a_panel_and_a_table_of_series_make_a_factor(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        panel = load(f"data.path={files[0]}", f"data.macro.path={files[1]}")
    assert list(panel.columns) == ["date", "asset", *DESCRIPTORS, *MACRO, "ret_next"]
    assert panel["date"].iloc[0] == pd.Timestamp("2002-02-28")
    assert f"the first {LEAST + 1} months are left out" in caplog.text
    assert panel[list(MACRO)].notna().mean().min() > 0.9


@pytest.mark.parametrize(
    ("override", "edit", "message"),
    [
        ("data.macro.path=null", {}, "BETA_FX is a sensitivity .* give data.macro.path"),
        ("data.macro.changes.FX=levels", {}, "data.macro.changes.FX=levels: must be one of log, difference, none"),
        ("data.macro.lag_months=1", {"CPI": None}, "column CPI missing"),
        ("data.macro.lag_months=1", {"FX": -1.0}, "the series is -1 at .*: a logarithm needs values above 0"),
        ("data.macro.lag_months=1", {"RATES": "high"}, "column RATES, 80 row.s., first row 1 .'high'.: not a finite"),
        ("data.macro.lag_months=1", {"date": "2001-01-31"}, "the month of 2001-01-31 appears more than once"),
        ("data.macro.lag_months=1", {"CPI": 3.0}, "no month has BETA_CPI"),
    ],
)
def test_series_that_cannot_be_used_are_refused(
    files: tuple[Path, Path], override: str, edit: dict[str, object], message: str
) -> None:
    levels = pd.read_csv(files[1]).assign(**edit)
    levels.drop(columns=[name for name, value in edit.items() if value is None]).to_csv(files[1], index=False)
    with pytest.raises(InputError, match=message):
        load(f"data.path={files[0]}", f"data.macro.path={files[1]}", override)


def test_in_the_simulated_market_the_first_sensitivity_alone_is_rewarded() -> None:
    market = simulate(SimulatedMarket(300, 90, seed=1, macro=MACRO))
    ics = {
        name: rank_ic(market.panel.dropna(subset=["ret_next", name]).assign(
            y_pred=lambda table, name=name: table[name], y_true=lambda table: table["ret_next"]
        ))
        for name in MACRO
    }  # fmt: skip
    t = {name: float(ic.mean() / ic.std() * np.sqrt(len(ic))) for name, ic in ics.items()}
    assert t["BETA_FX"] > 4
    assert abs(t["BETA_RATES"]) < 3
    assert abs(t["BETA_CPI"]) < 3
    factors = market.contributions.drop(columns=["date", "asset", "expected"])
    assert np.allclose(factors.sum(axis=1), market.contributions["expected"], atol=1e-12)
    without = simulate(SimulatedMarket(300, 90, seed=1))
    assert market.panel["ROE"].equals(without.panel["ROE"])
    assert not market.panel["ret_next"].equals(without.panel["ret_next"])


def test_states_are_standardised_by_the_months_before_them_and_published_later(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Against a plain loop over the months up to each date."""
    with caplog.at_level("INFO"):
        panel = load(
            f"data.path={files[0]}", f"data.macro.path={files[1]}", "data.macro.states=[FX,CPI]",
            "data.macro.lag_months=2", factors="paper16",
        )  # fmt: skip
    assert list(panel.columns) == ["date", "asset", *DESCRIPTORS, "STATE_FX", "STATE_CPI", "ret_next"]
    levels = pd.read_csv(files[1])
    ends = pd.to_datetime(levels["date"]) + pd.offsets.MonthEnd(0)
    for name in ("FX", "CPI"):
        months = panel.groupby("date")[f"STATE_{name}"]
        assert months.min().equals(months.max())
        for date, value in panel.groupby("date")[f"STATE_{name}"].first().items():
            known = levels[name][(ends <= date - pd.offsets.MonthEnd(2)).to_numpy()]
            assert len(known) >= 24
            assert value == pytest.approx((known.iloc[-1] - known.mean()) / known.std(ddof=0), rel=1e-9)
    left_out = pd.read_parquet(files[0])["date"].nunique() - panel["date"].nunique()
    assert f"the first {left_out} months are left out" in caplog.text or left_out == 0


def test_a_state_knows_no_later_month(files: tuple[Path, Path]) -> None:
    words = [f"data.path={files[0]}", f"data.macro.path={files[1]}", "data.macro.states=[FX]"]
    before = load(*words, factors="paper16")
    middle = before["date"].unique()[len(before["date"].unique()) // 2]
    levels = pd.read_csv(files[1])
    later = pd.to_datetime(levels["date"]) > middle
    levels.loc[later, "FX"] *= 100
    levels.to_csv(files[1], index=False)
    after = load(*words, factors="paper16")
    known = before["date"] <= middle
    assert np.array_equal(before.loc[known, "STATE_FX"], after.loc[after["date"] <= middle, "STATE_FX"])
    assert not np.array_equal(before["STATE_FX"], after["STATE_FX"])


def test_a_state_that_never_moves_or_has_no_file_is_refused(files: tuple[Path, Path]) -> None:
    levels = pd.read_csv(files[1]).assign(FX=3.0)
    levels.to_csv(files[1], index=False)
    with pytest.raises(InputError, match=r"no month has the state of FX: it needs 24 months of a series that moves"):
        load(f"data.path={files[0]}", f"data.macro.path={files[1]}", "data.macro.states=[FX]", factors="paper16")
    with pytest.raises(InputError, match=r"STATE_FX is the state of the macro series FX, .*: give data.macro.path"):
        load(f"data.path={files[0]}", "data.macro.states=[FX]", factors="paper16")


def test_series_that_enter_otherwise_than_in_a_training_are_refused() -> None:
    own = read(composed("data.macro.path=m.csv", "data.macro.lag_months=3"), TrainConfig).data.macro
    given = read(composed("data.macro.path=other.csv"), TrainConfig).data.macro
    for used in (["PER"], ["CAP", "MOM1"]):
        require_same_macro("version 1", used, own, given)
    for used in (["PER", "STATE_TBL"], ["BETA_FX"]):
        with pytest.raises(
            InputError, match=r"data\.macro\.lag_months=1: version 1 was trained with 3, .*lag_months=3"
        ):
            require_same_macro("version 1", used, own, given)
    changed = read(composed("data.macro.path=m.csv", "data.macro.changes.FX=none"), TrainConfig).data.macro
    require_same_macro("version 1", ["STATE_FX", "BETA_CPI"], changed, given)
    with pytest.raises(InputError, match=r"data\.macro\.changes\.FX=log: version 1 was trained with none"):
        require_same_macro("version 1", ["BETA_FX"], changed, given)
