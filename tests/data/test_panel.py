from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from drf.data.panel import check_panel, fingerprint
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.universe import largest
from drf.errors import InputError


def check(panel: pd.DataFrame) -> pd.DataFrame:
    return check_panel(panel, DESCRIPTORS, least_stocks=5)


def test_a_good_panel_passes_and_comes_back_sorted(panel: pd.DataFrame) -> None:
    shuffled = panel.sample(frac=1, random_state=0).assign(extra="ignored")
    pd.testing.assert_frame_equal(check(shuffled), check(panel))
    assert list(check(panel).columns) == ["date", "asset", *DESCRIPTORS, "ret_next"]


def test_integers_and_strings_of_numbers_are_taken_as_numbers(panel: pd.DataFrame) -> None:
    texts = panel.assign(CAP=panel["CAP"].map("{:.17g}".format), asset=panel["asset"].str[1:5].astype(int) + 1000)
    texts = texts.drop_duplicates(["date", "asset"])
    assert check(texts)["CAP"].equals(check(panel)["CAP"])
    assert check(texts)["asset"].iloc[0] == "1000"


def rename(panel: pd.DataFrame) -> pd.DataFrame:
    return panel.rename(columns={"LEVERAGE": "LEVARAGE"})


def put(column: str, value: object, row: int = 7) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def apply(panel: pd.DataFrame) -> pd.DataFrame:
        panel[column] = panel[column].astype(object)
        panel.loc[row, column] = value
        return panel

    return apply


def empty_month(panel: pd.DataFrame) -> pd.DataFrame:
    return panel.assign(SKEW=panel["SKEW"].mask(panel["date"] == panel["date"].unique()[20]))


def shifted(panel: pd.DataFrame) -> pd.DataFrame:
    return panel.assign(ret_next=panel.groupby("asset")["ret_next"].shift(1))


def shifted_in_one_month(panel: pd.DataFrame) -> pd.DataFrame:
    one = panel["date"] == panel["date"].unique()[20]
    return panel.assign(ret_next=panel["ret_next"].mask(one, panel.groupby("asset")["ret_next"].shift(1)))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (rename, ["LEVERAGE", "is it LEVARAGE?", "rename"]),
        (lambda p: p.drop(columns="ret_next"), ["ret_next", "missing", "add it"]),
        (lambda p: pd.concat([p, p.iloc[[10]]]), ["date and asset", "more than once", "rows: 11"]),
        (put("date", pd.Timestamp("1992-02-15")), ["date", "row 8", "not a month end", "last calendar day"]),
        (put("date", "soon"), ["date", "row 8", "not a date", "YYYY-MM-DD"]),
        (put("date", None), ["date", "row 8", "not a date"]),
        (put("asset", None), ["asset", "row 8", "empty"]),
        (put("ROE", "n/a"), ["ROE", "row 8", "not a number", "'n/a'", "leave unknown values empty"]),
        (put("BETA", np.inf), ["BETA", "row 8", "infinite"]),
        (put("ret_next", -np.inf), ["ret_next", "row 8", "infinite"]),
        (put("ret_next", -1.5), ["ret_next", "row 8", "-1.5", "below -1", "decimals"]),
        (shifted, ["ret_next", "does not line up", "MOM1", "shift"]),
        (shifted_in_one_month, ["ret_next", "1 month(s)", "1992-08-31"]),
        (empty_month, ["SKEW", "empty in 1 month(s)", "1992-08-31"]),
        (lambda p: p[p["asset"] == p["asset"].iloc[0]], ["asset", "fewer than 5 stocks", "portfolio.quantiles"]),
        (lambda p: p.iloc[:0], ["no rows"]),
        (lambda p: p.assign(ret_next=np.nan), ["ret_next", "empty"]),
        (lambda p: p.assign(ret_next=p["ret_next"].fillna(p["CAP"].mask(p["asset"] > "S0001") * 0)), ["fewer than 5"]),
        (put("asset", " "), ["asset", "row 8", "empty"]),
        (lambda p: p.assign(SKEW=p["date"]), ["column SKEW, 1795 rows"]),
        (lambda p: pd.DataFrame({"date;asset;CAP": ["2000-01-31;A;1"]}), ["1 column", "separator"]),
        (lambda p: p.assign(date=p["date"].dt.year), ["numbers such as 1990 are no dates, but years"]),
        (lambda p: p.assign(date=p["date"] - pd.Timedelta(days=10)), ["is not a month end"]),
        (
            lambda p: p.assign(date=p["date"].dt.tz_localize("Asia/Tokyo").dt.tz_convert("UTC")),
            ["date", "has a time and UTC", "with their own zone"],
        ),
    ],
)
def test_a_bad_panel_is_refused_in_one_line(
    panel: pd.DataFrame, damage: Callable[[pd.DataFrame], pd.DataFrame], told: list[str]
) -> None:
    with pytest.raises(InputError) as refused:
        check(damage(panel))
    message = str(refused.value)
    assert "\n" not in message
    for part in told:
        assert part in message


def test_a_panel_to_be_forecast_needs_no_returns(panel: pd.DataFrame) -> None:
    checked = check_panel(panel.drop(columns="ret_next"), DESCRIPTORS, 1, with_returns=False)
    assert "ret_next" not in checked


def test_the_universe_is_the_largest_by_cap_of_each_month(panel: pd.DataFrame) -> None:
    kept = largest(check(panel), 10)
    assert (kept.groupby("date").size() == 10).all()
    for date, month in panel.groupby("date"):
        chosen = set(kept.loc[kept["date"] == date, "asset"])
        assert chosen == set(month.nlargest(10, "CAP")["asset"])


def test_the_fingerprint_changes_with_any_value(panel: pd.DataFrame) -> None:
    checked = check(panel)
    changed = checked.copy()
    changed.loc[5, "PER"] = 0.123
    assert fingerprint(checked) == fingerprint(check(panel.sample(frac=1, random_state=1)))
    assert fingerprint(checked) != fingerprint(changed)
    assert fingerprint(checked) != fingerprint(checked.iloc[:-1])


def test_last_trading_days_are_moved_to_the_months_end_and_counted(
    panel: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    trading = panel.assign(date=panel["date"].map({day: day - pd.offsets.BMonthEnd(0) + pd.offsets.BMonthEnd(0) if
                                                   day.dayofweek < 5 else day - pd.offsets.BDay(1)
                                                   for day in panel["date"].unique()}))  # fmt: skip
    moved = int((trading["date"] != panel["date"]).sum())
    assert moved > 0
    with caplog.at_level("INFO", logger="drf.data.panel"):
        pd.testing.assert_frame_equal(check(trading), check(panel))
    assert f"{moved:,} rows are dated at a month's last trading day" in caplog.text
    torn = trading["date"].mask(trading.index == 7, trading["date"] - pd.Timedelta(days=1))
    with pytest.raises(InputError, match="is not a month end"):
        check(trading.assign(date=torn))
