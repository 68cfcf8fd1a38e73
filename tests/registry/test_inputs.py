"""A loaded version takes what a training takes: the same panel in whatever form gives the same forecasts."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
import uvicorn
from mlflow import MlflowClient
from mlflow.pyfunc import PyFuncModel, scoring_server

from drf.data.paper_descriptors import DESCRIPTORS
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
    (lambda p: p.assign(ROE=p["ROE"].astype(object).mask(p.index == 3, "lots")), r"column ROE.*first row 4 \('lots'\)"),
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


@pytest.fixture
def address(loaded: PyFuncModel) -> Iterator[str]:
    """Where MLflow's scoring server answers for the model."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(scoring_server.init(loaded), log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/invocations"
    server.should_exit = True
    thread.join()


def ask(address: str, content: str, kind: str) -> tuple[int, str]:
    answer = requests.post(address, data=content.encode(), headers={"Content-Type": kind}, timeout=60)
    return answer.status_code, answer.text


def test_a_server_takes_csv_and_json_and_says_no_in_a_line(loaded: PyFuncModel, address: str) -> None:
    panel = coded()
    expected = loaded.predict(panel).sort_values(["date", "asset"], ignore_index=True)
    text = panel.assign(date=panel["date"].dt.strftime("%Y-%m-%d"))
    split = text.astype(object).where(text.notna(), None).to_dict(orient="split", index=False)
    for content, kind in (
        (panel.to_csv(index=False, float_format="%.17g"), "text/csv"),
        (json.dumps({"dataframe_split": split}), "application/json"),
    ):
        code, answer = ask(address, content, kind)
        assert code == 200, answer
        found = pd.DataFrame(json.loads(answer)["predictions"]).sort_values(["date", "asset"], ignore_index=True)
        assert np.allclose(found["prediction"], expected["prediction"], rtol=1e-12)
        assert found["asset"].astype(str).tolist() == expected["asset"].tolist()
    padded = panel.assign(asset="00" + panel["asset"].astype(str))
    code, answer = ask(address, padded.to_csv(index=False), "text/csv")
    assert {forecast["asset"] for forecast in json.loads(answer)["predictions"]} == set(padded["asset"])
    code, answer = ask(address, panel.drop(columns="ROE").to_csv(index=False), "text/csv")
    assert code == 400 and "ROE" in answer
    code, answer = ask(address, panel.assign(date="05/11/2015").to_csv(index=False), "text/csv")
    assert code == 400 and "may be 2015-11-05 or 2015-05-11" in answer


@pytest.mark.long
def test_mlflow_predicts_from_a_csv_file(loaded: PyFuncModel, tmp_path: Path) -> None:
    panel = coded()
    panel.to_csv(tmp_path / "panel.csv", index=False)
    uri = f"models:/{NAME}/1"
    mlflow.models.predict(
        uri, input_path=str(tmp_path / "panel.csv"), content_type="csv", env_manager="local",
        output_path=str(tmp_path / "said.json"),
    )  # fmt: skip
    found = pd.DataFrame(json.loads((tmp_path / "said.json").read_text())["predictions"])
    expected = loaded.predict(panel)
    assert sorted(found["asset"].astype(str)) == sorted(expected["asset"])
    assert np.allclose(sorted(found["prediction"]), sorted(expected["prediction"]), rtol=1e-9)
