"""Research panels: a small made-up file in each source's own layout becomes the right panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig

from drf.data.research import map_panel
from drf.data.simulate import SimulatedMarket
from drf.errors import InputError
from drf.experiment.config import read
from drf.experiment.factors import descriptors_of, make_factors
from drf.experiment.market import load_market
from drf.experiment.schema import TrainConfig
from tests.experiment.composing import composed
from tests.samples.slow_ranks import slow_ranks


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """Contract form; the stocks have numbers for names, as the sources have them."""
    panel = SimulatedMarket(30, 30, seed=3, start="2000-01").panel()
    panel["asset"] = (10_000 + pd.factorize(panel["asset"])[0]).astype(str)
    return panel


def last_trading_day(dates: pd.Series) -> pd.Series:
    return (dates - pd.offsets.BMonthEnd(0)).where(dates.dt.day_of_week < 5, dates - pd.offsets.BMonthEnd(1))


def returns_of_the_month(truth: pd.DataFrame, column: str) -> pd.DataFrame:
    """CRSP's layout: the return over the month of its date, the month's last trading day."""
    date = last_trading_day(truth["date"] + pd.offsets.MonthEnd(1))
    return pd.DataFrame({"permno": truth["asset"].astype(int), "date": date, column: truth["ret_next"]}).dropna()


def jkp(truth: pd.DataFrame, folder: Path) -> list[str]:
    screens = {"common": 1, "exch_main": 1, "primary_sec": 1, "obs_main": 1}
    frame = pd.DataFrame({"id": truth["asset"].astype(int), "eom": truth["date"], "excntry": "JPN", **screens})
    for ours, theirs in {
        "VOL60": "rvol_252d", "BETA": "beta_60m", "SKEW": "rskew_21d", "ROE": "ni_be", "ROA": "op_at",
        "LEVERAGE": "at_be", "MOM12_1": "ret_12_1", "MOM1": "ret_1_0", "MOM60": "ret_60_12", "PSR": "sale_me",
        "PER": "ni_me", "PBR": "be_me", "PCFR": "ocf_me", "ILLIQ": "ami_126d",
    }.items():  # fmt: skip
        frame[theirs] = truth[ours]
    frame["oaccruals_at"] = -truth["ACCRUALS"]
    frame["market_equity"] = np.exp(truth["CAP"])
    frame["ret_exc_lead1m"] = truth["ret_next"]
    second_line = frame[:40].assign(primary_sec=0, ret_1_0=99.0)
    pd.concat([second_line, frame]).to_parquet(folder / "jkp.parquet")
    return [f"data.path={folder}/jkp.parquet"]


def openap(truth: pd.DataFrame, folder: Path) -> list[str]:
    frame = pd.DataFrame(
        {"permno": truth["asset"].astype(int), "yyyymm": truth["date"].dt.strftime("%Y%m").astype(int)}
    )
    for ours, theirs in {
        "BETA": "Beta", "ROE": "RoE", "ROA": "roaq", "ACCRUALS": "Accruals", "MOM12_1": "Mom12m", "PSR": "SP",
        "PER": "EP", "PBR": "BM", "PCFR": "cfp", "ILLIQ": "Illiquidity",
    }.items():  # fmt: skip
        frame[theirs] = truth[ours]
    for ours, theirs in {
        "VOL60": "RealizedVol", "SKEW": "ReturnSkew", "LEVERAGE": "BookLeverage", "MOM1": "STreversal",
        "MOM60": "LRreversal", "CAP": "Size",
    }.items():  # fmt: skip
        frame[theirs] = -truth[ours]
    frame.to_csv(folder / "signed_predictors_dl_wide.csv", index=False)
    returns_of_the_month(truth, "ret").to_csv(folder / "crsp.csv", index=False)
    return [f"data.path={folder}/signed_predictors_dl_wide.csv", f"data.returns={folder}/crsp.csv"]


def gkx(truth: pd.DataFrame, folder: Path) -> list[str]:
    """What was known at the end of March stands at the end of April."""
    ahead = truth["date"] + pd.offsets.MonthEnd(1)
    frame = pd.DataFrame({"permno": truth["asset"].astype(int), "DATE": ahead.dt.strftime("%Y%m%d").astype(int)})
    for ours, theirs in {
        "VOL60": "retvol", "BETA": "beta", "ROE": "roeq", "ROA": "roaq", "LEVERAGE": "lev", "MOM12_1": "mom12m",
        "MOM1": "mom1m", "MOM60": "mom36m", "PSR": "sp", "PER": "ep", "PBR": "bm", "PCFR": "cfp", "ILLIQ": "ill",
    }.items():  # fmt: skip
        frame[theirs] = truth[ours]
    frame["acc"], frame["mvel1"], frame["sic2"] = -truth["ACCRUALS"], np.exp(truth["CAP"]), 28.0
    frame.to_csv(folder / "datashare.csv", index=False)
    returns_of_the_month(truth, "RET").to_parquet(folder / "crsp.parquet")
    return [f"data.path={folder}/datashare.csv", f"data.returns={folder}/crsp.parquet"]


def mlfactor(truth: pd.DataFrame, folder: Path) -> list[str]:
    frame = pd.DataFrame({"stock_id": truth["asset"].astype(int), "date": truth["date"], "R1M_Usd": truth["ret_next"]})
    rank = truth.groupby("date")[list(truth.columns[2:-1])].rank(pct=True)
    for ours, theirs in {
        "VOL60": "Vol3Y_Usd", "ROE": "Roe", "ROA": "Roa", "LEVERAGE": "Total_Liabilities_Total_Assets",
        "MOM12_1": "Mom_11M_Usd", "PCFR": "Fcf_Yld", "CAP": "Mkt_Cap_12M_Usd",
    }.items():  # fmt: skip
        frame[theirs] = rank[ours]
    for ours, theirs in {"PER": "Pe", "PBR": "Pb", "ILLIQ": "Advt_12M_Usd"}.items():
        frame[theirs] = 1 - rank[ours]
    frame.to_csv(folder / "data_ml.csv", index=False)
    return [f"data.path={folder}/data_ml.csv"]


LAYOUTS = {"jkp": jkp, "openap": openap, "gkx": gkx, "mlfactor": mlfactor}


def load(config: DictConfig) -> tuple[pd.DataFrame, list[str]]:
    settings = read(config, TrainConfig)
    descriptors = descriptors_of(make_factors(settings.factors, settings.data))
    return load_market(settings.data, descriptors, 5), descriptors


@pytest.mark.parametrize("source", LAYOUTS)
def test_a_file_in_the_sources_layout_becomes_the_right_panel(source: str, truth: pd.DataFrame, tmp_path: Path) -> None:
    panel, descriptors = load(composed(f"data={source}", *LAYOUTS[source](truth, tmp_path)))
    expected = truth.sort_values(["date", "asset"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(panel[["date", "asset"]], expected[["date", "asset"]], check_dtype=False)
    np.testing.assert_allclose(panel["ret_next"], expected["ret_next"], rtol=1e-12)
    np.testing.assert_allclose(slow_ranks(panel, descriptors), slow_ranks(expected, descriptors), atol=1e-6)
    if source in ("jkp", "gkx"):
        np.testing.assert_allclose(panel["CAP"], expected["CAP"], rtol=1e-9)


def test_the_next_months_momentum_is_the_return_of_a_file_without_returns(truth: pd.DataFrame, tmp_path: Path) -> None:
    keys = ["date", "asset"]
    before = truth[[*keys, "ret_next"]].assign(date=truth["date"] + pd.offsets.MonthEnd(1))
    known = truth.drop(columns="MOM1").merge(before.rename(columns={"ret_next": "MOM1"}), on=keys, how="left")
    path, _ = gkx(known.assign(MOM1=known["MOM1"].fillna(known["MOM12_1"] / 12)), tmp_path)
    panel, _ = load(composed("data=gkx_alone", path))
    both = panel.merge(truth, on=keys, suffixes=("", " truly"))
    found = both["ret_next"].notna()
    assert found.mean() > 0.85
    np.testing.assert_allclose(both.loc[found, "ret_next"], both.loc[found, "ret_next truly"], rtol=1e-9)
    later = panel.assign(date=panel["date"] - pd.offsets.MonthEnd(1))[keys].assign(there=True)
    there = panel.merge(later, on=keys, how="left")["there"].eq(True)
    assert (panel["ret_next"].notna() == there).all()  # a stock's last return is lost
    with pytest.raises(InputError, match="does not line up"):
        load(composed("data=gkx_alone", path, "data.source.returns.ahead=0"))


@pytest.mark.parametrize("source", LAYOUTS)
def test_every_column_that_another_vintage_lacks_is_named(source: str, truth: pd.DataFrame, tmp_path: Path) -> None:
    overrides = LAYOUTS[source](truth, tmp_path)
    config = composed(f"data={source}", *overrides)
    path = Path(config.data.path)
    whole = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    used = [text.removeprefix("-").removeprefix("log ") for text in config.data.source.columns.values()]
    for column in (*used, config.data.source.asset, config.data.source.date.column):
        other = whole.rename(columns={column: f"{column}_v2"})
        other.to_csv(path, index=False) if path.suffix == ".csv" else other.to_parquet(path)
        with pytest.raises(InputError, match=rf"column {column} missing.*: map it"):
            load(config)


def test_a_panel_without_some_descriptors_runs_on_the_others(truth: pd.DataFrame, tmp_path: Path) -> None:
    overrides = openap(truth, tmp_path)
    path = tmp_path / "signed_predictors_dl_wide.csv"
    pd.read_csv(path).drop(columns=["Size", "STreversal"]).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"column STreversal missing.*a list without MOM1"):
        load(composed("data=openap", *overrides))
    panel, descriptors = load(composed("data=openap", *overrides, "data.descriptors=[BETA,PBR,PER,VOL60]"))
    assert descriptors == ["VOL60", "BETA", "PER", "PBR"]
    assert set(panel) == {"date", "asset", "ret_next", *descriptors}


@pytest.mark.parametrize(
    ("source", "override", "message"),
    [
        ("jkp", "data.source.date.form=yyyymm", "column eom, .* not written as yyyymm says"),
        ("gkx", "data.source.date.form=month", "must be one of date, yyyymm, yyyymmdd"),
        ("gkx", "data.source.date.ahead=0", "does not line up with the next month's MOM1"),
        ("jkp", "data.source.columns.PER=''", "must be a column, -column, 1/column or log column"),
        ("jkp", "+data.keep.excntry=USA", "no row of .* has .*excntry=USA"),
        ("jkp", "data.source.returns.column=ret_exc", "column ret_exc missing .did you mean ret_exc_lead1m"),
    ],
)
def test_wrong_settings_are_refused(
    source: str, override: str, message: str, truth: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        load(composed(f"data={source}", *LAYOUTS[source](truth, tmp_path), override))


def test_returns_of_other_names_or_twice_are_refused(truth: pd.DataFrame, tmp_path: Path) -> None:
    words = ["data=gkx", *gkx(truth, tmp_path)]
    config = composed(*words)
    returns = pd.read_parquet(config.data.returns)
    returns.assign(permno=returns["permno"] + 50_000).to_parquet(config.data.returns)
    with pytest.raises(InputError, match="none of its names matches"):
        load(config)
    other = returns["permno"].isin(returns["permno"].unique()[:10])
    returns.assign(permno=returns["permno"] + 50_000 * other).to_parquet(config.data.returns)
    with pytest.raises(
        InputError, match=r"10 of \d+ stocks have no row in data.returns.path=.* \(\d\d%\), such as 100\d\d"
    ):
        load(config)
    assert len(load(composed(*words, "data.most_unmatched=0.6"))[0])
    pd.concat([returns, returns[:1]]).to_parquet(config.data.returns)
    with pytest.raises(InputError, match="more than one return in the month"):
        load(config)


def test_inverse_and_percent(truth: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    overrides = jkp(truth, tmp_path)
    path = tmp_path / "jkp.parquet"
    frame = pd.read_parquet(path)
    frame["pe"] = 1 / frame["ni_me"]
    frame.loc[frame.index[100:110], "pe"] = 0
    frame["ret_exc_lead1m"] *= 100
    frame.to_parquet(path)
    config = composed("data=jkp", *overrides, "data.source.columns.PER=1/pe", "data.source.returns.percent=true")
    with caplog.at_level("INFO"):
        panel, _ = load(config)
    expected = truth.sort_values(["date", "asset"]).reset_index(drop=True)
    assert panel["ret_next"].to_numpy() == pytest.approx(expected["ret_next"].to_numpy(), nan_ok=True)
    same = panel["PER"].notna().to_numpy()
    assert panel["PER"][same].to_numpy() == pytest.approx(expected["PER"][same].to_numpy())
    printed = caplog.text
    assert "40 rows whose primary_sec is another" in printed
    assert "values of PER that have no 1/" in printed


@pytest.mark.parametrize("kinds", [("csv", "parquet"), ("parquet", "csv"), ("csv", "csv")])
def test_codes_keep_their_noughts_in_whatever_file_and_column(tmp_path: Path, kinds: tuple[str, str]) -> None:
    """Some codes begin with noughts, some do not: all stocks find their returns."""
    months = pd.date_range("2010-01-31", periods=3, freq="ME")
    codes = [f"{number:06d}" for number in range(99_990, 100_010)]
    panel = pd.DataFrame([(month, code, 0.1) for month in months for code in codes], columns=["date", "gvkey", "ROE"])
    returns = panel.assign(date=panel["date"] + pd.offsets.MonthEnd(1), ret=0.01)[["date", "gvkey", "ret"]]
    paths = [tmp_path / f"{name}.{kind}" for name, kind in zip(("panel", "returns"), kinds, strict=True)]
    for table, path in zip((panel, returns), paths, strict=True):
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path, index=False)
    told = {"path": str(paths[1]), "column": "ret", "date": "date", "asset": "gvkey"}
    mapped, counts = map_panel(str(paths[0]), {"column": "date"}, "gvkey", {"ROE": "ROE"}, told, None)
    assert sorted(mapped["asset"].unique()) == codes
    assert "rows without a return" not in counts and mapped["ret_next"].notna().all()
