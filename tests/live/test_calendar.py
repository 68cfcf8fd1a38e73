"""The day on which one stands."""

from __future__ import annotations

import pandas as pd
import pytest

from drf.errors import InputError
from drf.live.calendar import day_of, out_of_date, up_to


@pytest.mark.parametrize(
    ("newest", "today", "behind"),
    [
        ("2026-10-31", "2026-10-31", None),
        ("2026-10-31", "2026-11-29", None),
        ("2026-10-31", "2026-11-30", 1),  # November has ended
        ("2026-09-30", "2026-11-26", 1),
        ("2025-10-31", "2026-11-26", 12),
        ("2026-11-30", "2026-11-27", None),  # the market's last day
        ("2026-11-30", "2026-11-20", -1),  # a month that goes on
        ("2027-01-31", "2026-11-27", -3),
        ("2024-02-29", "2024-03-01", None),
    ],
)
def test_a_panel_is_out_of_date_unless_its_newest_month_is_the_last_that_ended(
    newest: str, today: str, behind: int | None
) -> None:
    found = out_of_date(pd.Timestamp(newest), pd.Timestamp(today))
    assert [finding.now for finding in found] == ([] if behind is None else [behind])
    assert all("months that it lies behind" in str(finding) for finding in found)


def test_up_to_a_day() -> None:
    dates = pd.date_range("2026-01-31", periods=4, freq="ME")
    panel = pd.DataFrame({"date": dates, "asset": "A", "ret_next": 0.1})
    assert len(up_to(panel, None)[0]) == 4
    known, afterwards = up_to(panel, "2026-02-28")
    assert afterwards and list(known["date"]) == list(dates[:2])
    assert known["ret_next"].isna().tolist() == [False, True]  # not known on that day
    assert up_to(panel, "2026-04-28")[1] is False  # its last trading day may have been
    with pytest.raises(InputError, match="the panel begins with 2026-01-31"):
        up_to(panel, "2025-01-01")


@pytest.mark.parametrize("text", ["2026-13-01", "yesterday", "20261031", "31.10.2026", ""])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="must be a date, such as 2026-10-31"):
        day_of(text)
