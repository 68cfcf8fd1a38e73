"""The day on which one stands."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from drf.data.trading_days import TradingDays, check_weekmask, trading_days
from drf.errors import InputError
from drf.live.as_of import day_of, is_half_over, out_of_date, up_to


@pytest.mark.parametrize(
    ("newest", "today", "behind"),
    [
        ("2026-10-31", "2026-10-31", None),
        ("2026-10-31", "2026-11-29", None),
        ("2026-10-31", "2026-11-30", 1),  # November has ended
        ("2026-09-30", "2026-11-26", 1),
        ("2025-10-31", "2026-11-26", 12),
        ("2026-05-31", "2026-05-29", None),  # a Friday, the market's last day
        ("2024-02-29", "2024-03-01", None),
    ],
)
def test_a_panel_is_out_of_date_unless_its_newest_month_is_the_last_that_ended(
    newest: str, today: str, behind: int | None
) -> None:
    found = out_of_date(pd.Timestamp(newest), pd.Timestamp(today))
    assert [finding.now for finding in found] == ([] if behind is None else [behind])
    assert all("months that it lies behind" in str(finding) for finding in found)


@pytest.mark.parametrize(
    ("today", "over"), [("2026-10-31", False), ("2026-11-14", False), ("2026-11-17", True), ("2027-03-01", True)]
)
def test_by_the_clock_a_month_is_forecast_in_the_first_half_of_the_next(
    today: str, over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drf.live.as_of.day_of", lambda text: pd.Timestamp(today))
    assert is_half_over(pd.Timestamp("2026-10-31")) == over


@pytest.mark.parametrize(
    ("month", "day", "ended"),
    [
        ("2026-10-31", "2026-10-31", True),
        ("2026-10-31", "2026-10-30", True),  # a Friday
        ("2026-10-31", "2026-10-29", False),
        ("2026-11-30", "2026-11-27", False),  # Monday the 30th is traded
        ("2026-11-30", "2026-12-01", True),
        ("2027-01-31", "2026-12-31", False),
    ],
)
def test_a_month_has_ended_when_no_weekday_of_it_is_left(month: str, day: str, ended: bool) -> None:
    assert TradingDays().has_ended(pd.Timestamp(month), pd.Timestamp(day)) is ended


def panel_of(months: int, first: str = "2026-01-31") -> pd.DataFrame:
    dates = pd.date_range(first, periods=months, freq="ME")
    panel = pd.DataFrame({"date": dates, "asset": "A", "ret_next": 0.1})
    panel.loc[panel.index[-1], "ret_next"] = float("nan")
    return panel


def test_up_to_a_day_nothing_later_is_known() -> None:
    panel = panel_of(4)
    known, afterwards = up_to(panel, "2026-04-30")
    assert len(known) == 4 and not afterwards
    known, afterwards = up_to(panel, "2026-02-28")
    assert afterwards and list(known["date"]) == list(panel["date"][:2])
    assert known["ret_next"].isna().tolist() == [False, True]
    with pytest.raises(InputError, match="the panel begins with 2026-01-31"):
        up_to(panel, "2025-01-01")


def test_a_newest_month_whose_returns_are_known_is_forecast_afterwards() -> None:
    known, afterwards = up_to(panel_of(4).fillna(0.1), "2026-04-30")
    assert afterwards and known["ret_next"].isna().tolist() == [False] * 3 + [True]


def test_a_month_that_goes_on_today_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    today = pd.Timestamp.now().normalize()
    first = (today - pd.offsets.MonthEnd(3)).strftime("%Y-%m-%d")
    panel = panel_of(14, first)
    with caplog.at_level("INFO"):
        known, afterwards = up_to(panel, None)
    assert not afterwards
    assert len(known) < 14 and TradingDays().has_ended(known["date"].max(), today)
    assert "have not ended by" in caplog.text


@pytest.mark.parametrize("text", ["2026-13-01", "yesterday", "20261031", "31.10.2026", ""])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="must be a date, such as 2026-10-31"):
        day_of(text)


@pytest.mark.parametrize(
    ("month", "day", "weekmask", "off", "ended"),
    [
        ("2026-05-31", "2026-05-29", "Sun Mon Tue Wed Thu", "", False),  # Sunday the 31st is a day of trading
        ("2025-08-31", "2025-08-29", "Sun Mon Tue Wed Thu", "", False),
        ("2026-05-31", "2026-05-31", "Sun Mon Tue Wed Thu", "", True),
        ("2025-02-28", "2025-02-27", "Sun Mon Tue Wed Thu", "", True),  # a Friday
        ("2020-01-31", "2020-01-23", "Mon Tue Wed Thu Fri", "", False),
        ("2020-01-31", "2020-01-23", "Mon Tue Wed Thu Fri", "24 27 28 29 30 31", True),  # Spring Festival
    ],
)
def test_a_market_has_its_own_days(month: str, day: str, weekmask: str, off: str, ended: bool, tmp_path: Path) -> None:
    file = tmp_path / "holidays.csv"
    file.write_text("\n".join(["date", *(f"2020-01-{number}" for number in off.split())]) + "\n")
    market = trading_days(weekmask, str(file) if off else None)
    assert market.has_ended(pd.Timestamp(month), pd.Timestamp(day)) is ended


def test_days_of_the_week_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="must name days of the week"):
        check_weekmask("Mo Di")
