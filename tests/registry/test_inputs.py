"""A loaded version takes what a training takes: the same panel in whatever form gives the same forecasts."""

from __future__ import annotations

from collections.abc import Callable

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.pyfunc import PyFuncModel

from drf.data.factors import DESCRIPTORS
from tests.registry.making import NAME, evidence_of, market, register_small, small_forecaster


@pytest.fixture
def loaded(store: str) -> PyFuncModel:
    number = register_small(MlflowClient(), small_forecaster(), evidence_of(small_forecaster(), market()))
    return mlflow.pyfunc.load_model(f"models:/{NAME}/{number}")


def coded() -> pd.DataFrame:
    """The newest months, stocks named by whole numbers."""
    panel = market()[market()["date"] >= market()["date"].max() - pd.offsets.MonthEnd(13)]
    codes = 1000 + pd.factorize(panel["asset"])[0]
    return panel[["date", "asset", *DESCRIPTORS]].assign(asset=codes).reset_index(drop=True)


def through_csv(panel: pd.DataFrame) -> pd.DataFrame:
    from io import StringIO

    return pd.read_csv(StringIO(panel.to_csv(index=False, float_format="%.17g")))


FORMS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "text codes": lambda p: p.assign(asset=p["asset"].astype(str)),
    "codes as floats": lambda p: p.assign(asset=p["asset"].astype(float)),
    "codes as categories": lambda p: p.assign(asset=p["asset"].astype(str).astype("category")),
    "text dates": lambda p: p.assign(date=p["date"].dt.strftime("%Y-%m-%d")),
    "dates day first": lambda p: p.assign(date=p["date"].dt.strftime("%d.%m.%Y")),
    "dates as numbers": lambda p: p.assign(date=p["date"].dt.strftime("%Y%m%d").astype(int)),
    "stamps of Tokyo": lambda p: p.assign(date=p["date"].dt.tz_localize("Asia/Tokyo")),
    "periods": lambda p: p.assign(date=p["date"].dt.to_period("M")),
    "numbers as text": lambda p: p.assign(ROE=p["ROE"].map(lambda v: None if np.isnan(v) else repr(float(v)))),
    "a CSV file": through_csv,
    "keys in the index": lambda p: p.set_index(["date", "asset"]),
    "columns to spare, another order": lambda p: p.assign(note="x").iloc[:, ::-1],
    "rows in another order": lambda p: p.sample(frac=1, random_state=0),
}


def test_the_same_panel_in_another_form_gives_the_same_forecasts(loaded: PyFuncModel) -> None:
    expected = loaded.predict(coded()).sort_values(["date", "asset"], ignore_index=True)
    for form, written in FORMS.items():
        found = loaded.predict(written(coded())).sort_values(["date", "asset"], ignore_index=True)
        pd.testing.assert_frame_equal(found, expected, rtol=1e-12, obj=form)
    panel = coded()
    whole = panel.assign(**{name: (1e6 * panel[name]).round().fillna(0).astype("int64") for name in DESCRIPTORS})
    floats = whole.astype(dict.fromkeys(DESCRIPTORS, float))
    pd.testing.assert_frame_equal(loaded.predict(whole), loaded.predict(floats))


REFUSED: list[tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = [
    (lambda p: p.assign(ROE=np.where(p.index == 3, np.inf, p["ROE"])), r"column ROE, 1 row.*not a finite number"),
    (
        lambda p: p.assign(ROE=p["ROE"].astype(object).mask(p.index == 3, "lots")),
        r"column ROE.*first row 4 \('lots'\)",
    ),
    (lambda p: p.assign(ROE=np.nan), "column ROE is empty"),
    (lambda p: p.assign(date="05/11/2015"), "may be 2015-11-05 or 2015-05-11"),
    (lambda p: p.assign(asset=" "), "must not have empty values"),
    (lambda p: p.drop(columns="asset"), "lacks asset"),
]


def test_what_cannot_be_read_is_refused_in_a_line(loaded: PyFuncModel) -> None:
    for damage, said in REFUSED:
        with pytest.raises(ValueError, match=said) as refused:
            loaded.predict(damage(coded()))
        assert "\n" not in str(refused.value)
