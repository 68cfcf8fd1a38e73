"""Several classes of one company's shares, and currencies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.errors import InputError
from tests.data.by_hand import build, prices, statements

YIELDS = ["PSR", "PER", "PBR", "PCFR"]


def of_one_company(table: pd.DataFrame) -> pd.DataFrame:
    """P1 and P2 are classes of the company PP; the others are companies of their own, named or not."""
    company = table["asset"].replace({"P1": "PP", "P2": "PP"}).where(table["asset"] != "P3", None)
    return table.assign(company=company)


def of_companies() -> pd.DataFrame:
    books = statements()
    books = books[books["asset"] != "P2"].replace({"asset": {"P1": "PP"}})
    return books.rename(columns={"asset": "company"})


def test_yields_are_of_the_company_and_cap_is_of_the_class(tmp_path: Path) -> None:
    plain = build(tmp_path, prices("none")).set_index(["asset", "date"])
    panel = build(tmp_path, of_one_company(prices("none")), of_companies()).set_index(["asset", "date"])
    assert set(panel.index) == set(plain.index)
    panel = panel.loc[plain.index]
    others = ~panel.index.get_level_values("asset").isin(["P1", "P2"])
    pd.testing.assert_frame_equal(panel[others], plain[others])
    pd.testing.assert_series_equal(panel["CAP"], plain["CAP"])
    pd.testing.assert_series_equal(panel["ROE"], plain["ROE"])  # both classes had the same books
    value = np.exp(plain["CAP"])
    whole = value.loc["P1"] + value.loc["P2"]
    for name in YIELDS:
        expected = plain.loc["P1", name] * value.loc["P1"] / whole
        for one in ("P1", "P2"):
            np.testing.assert_allclose(panel.loc[one, name], expected, rtol=1e-12)


def test_an_unknown_value_of_one_class_leaves_the_company_unknown(tmp_path: Path) -> None:
    table = of_one_company(prices("none"))
    lost = (table["asset"] == "P2") & (table["date"] >= "2012-01-01")
    table.loc[lost, "market_value"] = np.nan
    panel = build(tmp_path, table, of_companies(), carry_months=0).set_index(["asset", "date"])
    assert panel.loc["P1", YIELDS].isna().all(axis=None) and panel.loc["P1", "CAP"].notna().all()


def test_classes_without_numbers_of_their_own_are_refused(tmp_path: Path) -> None:
    table = of_one_company(prices("none")).drop(columns="market_value")
    with pytest.raises(InputError, match="companies have several classes of shares: give the number of each class"):
        build(tmp_path, table, of_companies(), prices_adjusted="none")


@pytest.mark.parametrize("day", ["2012-05-10", "2012-05-31"])
def test_currencies_are_never_mixed(tmp_path: Path, day: str) -> None:
    table, books = prices("none").assign(currency="GBP"), statements().assign(currency="GBP")
    pd.testing.assert_frame_equal(build(tmp_path, table, books), build(tmp_path, prices("none")))
    mixed = table.assign(currency=table["currency"].mask((table["asset"] == "P1") & (table["date"] >= day), "USD"))
    with pytest.raises(InputError, match="P1 are in more than one currency"):
        build(tmp_path, mixed, books)
    dollars = books.assign(currency=books["currency"].mask(books["asset"] == "P2", "USD"))
    with pytest.raises(InputError, match=r"data.statements: P2 are in another currency"):
        build(tmp_path, table, dollars)
