"""The model that is registered: its sums, its refusals, and its life without the project."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import drf
from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.universe import largest
from drf.models.boosting import Boosting
from drf.models.dnn import DNN
from drf.models.linear import Linear, RidgeRegression
from drf.models.lstm import LSTM
from drf.registry.forecaster import Forecaster, Spec
from drf.registry.manifest import FILE, make_manifest
from drf.registry.packing import _BUNDLED, make_forecaster, requirements, write_bundle
from drf.samples.lagged import Samples
from tests.making import LAGS

SPEC = Spec(lags=list(LAGS), factors={name: list(names) for name, names in FACTORS.items()}, universe=None)


@pytest.fixture(scope="module", params=[False, True], ids=["free of bias", "papers' form"])
def members(request: pytest.FixtureRequest, samples: Samples) -> list[LSTM]:
    rows = samples.sample_slice(range(12, 40))
    settings = {"hidden": 4, "layers": 2, "bidirectional": True, "epochs": 3, "validation_months": 3}
    return [
        LSTM(**settings, random_state=k, signal_bias=request.param).fit(
            samples.x[rows], samples.y[rows], samples.month[rows]
        )
        for k in range(2)
    ]


@pytest.fixture(scope="module")
def forecaster(members: list[LSTM]) -> Forecaster:
    return make_forecaster([members], SPEC)


@pytest.mark.parametrize(("detail", "names"), [("factors", list(FACTORS)), ("descriptors", list(DESCRIPTORS))])
def test_contributions_and_bias_sum_to_the_prediction(
    forecaster: Forecaster, panel: pd.DataFrame, detail: str, names: list[str]
) -> None:
    forecasts = forecaster.predict(panel, detail)
    assert list(forecasts) == ["date", "asset", "prediction", *names, "bias"]
    assert np.allclose(forecasts[[*names, "bias"]].sum(axis=1), forecasts["prediction"], atol=1e-12)


def test_the_account_holds_the_networks_own_forecast(
    forecaster: Forecaster, members: list[LSTM], samples: Samples, panel: pd.DataFrame
) -> None:
    account = forecaster.predict(panel, "account")
    parts = account[["inputs", "intercept", "network_bias", "stabiliser", "initial_state"]].sum(axis=1)
    assert np.allclose(parts, account["network"], atol=1e-12)
    assert np.allclose(account["network"], np.mean([m.predict(samples.x) for m in members], axis=0), atol=1e-6)


def test_it_forecasts_what_the_walk_forward_would(
    forecaster: Forecaster, members: list[LSTM], samples: Samples, panel: pd.DataFrame
) -> None:
    forecasts = forecaster.predict(panel)
    expected = np.mean([member.explain(samples.x[:]).linearised for member in members], axis=0)
    assert list(forecasts["asset"]) == list(samples.asset)
    assert np.allclose(forecasts["prediction"], expected, atol=1e-6)


def test_the_history_that_a_forecast_needs_is_enough(forecaster: Forecaster, panel: pd.DataFrame) -> None:
    newest = panel["date"].max()
    thirteen = panel[panel["date"] >= newest - pd.offsets.MonthEnd(12)]
    alone, whole = forecaster.predict(thirteen), forecaster.predict(panel)
    assert alone["date"].unique() == newest
    pd.testing.assert_frame_equal(alone, whole[whole["date"] == newest].reset_index(drop=True))
    with pytest.raises(ValueError, match=r"spans 12 month.*needs 13"):
        forecaster.predict(panel[panel["date"] > newest - pd.offsets.MonthEnd(12)])


def test_what_it_was_not_trained_on_is_refused(forecaster: Forecaster, panel: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="lacks ROE"):
        forecaster.predict(panel.rename(columns={"ROE": "ROI"}))
    with pytest.raises(ValueError, match="detail='lags' is unknown"):
        forecaster.predict(panel, "lags")
    with pytest.raises(ValueError, match="not a month end"):
        forecaster.predict(panel.assign(date=panel["date"] - pd.Timedelta(days=1)))
    with pytest.raises(ValueError, match="more than once"):
        forecaster.predict(pd.concat([panel, panel.iloc[:1]]))


def test_keys_that_cannot_be_right_are_refused(forecaster: Forecaster, panel: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="empty values"):
        forecaster.predict(panel.assign(asset=panel["asset"].mask(panel["asset"] == "S0007")))
    with pytest.raises(ValueError, match="has a time and no zone"):
        forecaster.predict(panel.assign(date=panel["date"] + pd.Timedelta(hours=15)))
    with pytest.raises(ValueError, match="no rows"):
        forecaster.predict(panel.iloc[:0])


def test_a_universe_travels_with_the_model(members: list[LSTM], panel: pd.DataFrame) -> None:
    narrow = make_forecaster([members], replace(SPEC, universe=20))
    whole = narrow.predict(panel)
    assert (whole.groupby("date").size() <= 20).all()
    pd.testing.assert_frame_equal(narrow.predict(largest(panel, 20)), whole)


def test_a_few_stocks_are_refused_unless_allowed(members: list[LSTM], panel: pd.DataFrame) -> None:
    """Ranks among a few stocks mean something else: one stock alone always has the neutral rank."""
    asked = make_forecaster([members], replace(SPEC, stocks=40, least=8))
    few = panel[panel["asset"].isin(sorted(panel["asset"].unique())[:7])]
    with pytest.raises(ValueError, match=r"was trained on 40 a month: .* fewer than 8 .*allow_small"):
        asked.predict(few)
    assert len(asked.predict(few, allow_small=True)) and len(asked.predict(panel))


def test_rows_in_any_order_and_columns_to_spare_give_the_same(forecaster: Forecaster, panel: pd.DataFrame) -> None:
    shuffled = panel.sample(frac=1, random_state=0).assign(more=1)
    pd.testing.assert_frame_equal(forecaster.predict(shuffled), forecaster.predict(panel))


def test_what_was_saved_is_loaded(forecaster: Forecaster, panel: pd.DataFrame, tmp_path: Path) -> None:
    forecaster.save(tmp_path)
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path).predict(panel), forecaster.predict(panel))


def serve(bundle: Path) -> object:
    """Load a bundle as MLflow does, without MLflow's storage."""
    from drf.registry.serving import DeepRecurrentFactorModel

    model = DeepRecurrentFactorModel()
    model.load_context(SimpleNamespace(artifacts={"bundle": str(bundle)}))
    return model


def test_versions_with_different_code_live_in_one_process(
    forecaster: Forecaster, panel: pd.DataFrame, tmp_path: Path
) -> None:
    bundles = [tmp_path / name / "artifacts" / "bundle" for name in ("one", "two")]
    for bundle in bundles:
        bundle.parent.mkdir(parents=True)
        write_bundle(forecaster, bundle)
    code = bundles[1] / "code" / "drf" / "samples" / "transforms.py"
    code.write_text(code.read_text().replace("2.0 * position", "-2.0 * position"))
    for bundle in bundles:
        (bundle.parents[1] / FILE).write_text(make_manifest(bundle.parents[1]))
    one, two = (serve(bundle) for bundle in bundles)
    first = one.predict(None, panel)  # type: ignore[attr-defined]
    assert not np.allclose(two.predict(None, panel)["prediction"], first["prediction"])  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(one.predict(None, panel), first)  # type: ignore[attr-defined]


def test_a_bundle_needs_nothing_but_its_requirements(
    forecaster: Forecaster, panel: pd.DataFrame, tmp_path: Path
) -> None:
    """In another process, from an empty folder, with every import outside the requirements' own refused."""
    write_bundle(forecaster, tmp_path / "bundle")
    panel.to_parquet(tmp_path / "panel.parquet")
    (tmp_path / "empty").mkdir()
    program = f"""
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in {{"drf", "hydra", "omegaconf", "optuna", "pandera", "sklearn", "joblib"}}:
                    raise ImportError(name + " is not among the requirements")
        sys.meta_path.insert(0, Refuse())
        import importlib.util, pandas as pd
        from pathlib import Path
        folder = Path({str(tmp_path / "bundle")!r})
        package = folder / "code" / "drf"
        spec = importlib.util.spec_from_file_location(
            "_drf_test", package / "__init__.py", submodule_search_locations=[str(package)])
        module = importlib.util.module_from_spec(spec)
        sys.modules["_drf_test"] = module
        spec.loader.exec_module(module)
        from _drf_test.registry.forecaster import Forecaster
        forecasts = Forecaster.load(folder).predict(pd.read_parquet({str(tmp_path / "panel.parquet")!r}))
        forecasts.to_parquet({str(tmp_path / "forecasts.parquet")!r})
    """
    subprocess.run([sys.executable, "-I", "-c", textwrap.dedent(program)], cwd=tmp_path / "empty", check=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "forecasts.parquet"), forecaster.predict(panel))


SETTINGS: dict[type[Any], dict[str, Any]] = {
    Linear: {},
    RidgeRegression: {},
    DNN: {"hidden": "8-4", "epochs": 2, "validation_months": 3},
    Boosting: {"n_estimators": 20},
}


def fitted_twice(kind: type[Any], samples: Samples, label: str) -> list[Any]:
    chosen = samples.sample_slice(range(12, 40))
    return [
        kind(**SETTINGS[kind], label=label, random_state=k).fit(
            samples.x[chosen], samples.y[chosen], samples.month[chosen]
        )
        for k in range(2)
    ]


def test_requirements_are_pinned_without_local_build_tags(samples: Samples, forecaster: Forecaster) -> None:
    trees = make_forecaster([fitted_twice(Boosting, samples, "rank")], SPEC)
    for made, needs_trees in ((forecaster, False), (trees, True)):
        assert all("==" in line and "+" not in line for line in requirements(made))
        assert any(line.startswith("lightgbm") for line in requirements(made)) == needs_trees


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("label", ["return", "rank"])
def test_every_family_that_explains_can_be_carried(
    kind: type[Any], label: str, samples: Samples, panel: pd.DataFrame, tmp_path: Path
) -> None:
    """Written and read again it says what the fitted model says, in sums of contributions."""
    fitted = fitted_twice(kind, samples, label)
    make_forecaster([fitted], SPEC).save(tmp_path)
    forecasts = Forecaster.load(tmp_path).predict(panel)
    expected = np.mean([model.explain(samples.x[:]).linearised for model in fitted], axis=0)
    assert np.allclose(forecasts["prediction"], expected, atol=1e-6)
    assert np.allclose(forecasts[[*FACTORS, "bias"]].sum(axis=1), forecasts["prediction"], atol=1e-12)
    account = Forecaster.load(tmp_path).predict(panel, "account")
    parts = account[["inputs", "intercept", "network_bias", "stabiliser", "initial_state"]].sum(axis=1)
    assert np.allclose(parts, account["network"], atol=1e-12)
    assert np.allclose(account["network"], np.mean([m.predict(samples.x) for m in fitted], axis=0), atol=1e-6)


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0])
def test_forecasts_are_spread_by_the_versions_scale_and_nothing_else_changes(
    members: list[LSTM], panel: pd.DataFrame, tmp_path: Path, scale: float
) -> None:
    raw = make_forecaster([members], SPEC).predict(panel)
    make_forecaster([members], replace(SPEC, scale=scale)).save(tmp_path)
    scaled = Forecaster.load(tmp_path).predict(panel)
    mean = raw.groupby("date")["prediction"].transform("mean")
    assert np.allclose(scaled["prediction"], mean + scale * (raw["prediction"] - mean), atol=1e-15)
    assert np.allclose(scaled[list(FACTORS)], scale * raw[list(FACTORS)], atol=1e-15)
    assert np.allclose(scaled[[*FACTORS, "bias"]].sum(axis=1), scaled["prediction"], atol=1e-15)


def test_a_blend_is_the_mean_of_standardised_forecasts_and_so_are_its_contributions(
    members: list[LSTM], samples: Samples, panel: pd.DataFrame, tmp_path: Path
) -> None:
    groups = [members, fitted_twice(Boosting, samples, "rank"), fitted_twice(Linear, samples, "return")]
    make_forecaster(groups, SPEC).save(tmp_path)
    loaded = Forecaster.load(tmp_path)
    assert [len(group) for group in loaded.groups] == [2, 2, 2]
    blend, parts = loaded.predict(panel), [make_forecaster([group], SPEC).predict(panel) for group in groups]
    moments = [part.groupby("date")["prediction"].agg(["mean", lambda f: f.std(ddof=0)]) for part in parts]
    for date, said in blend.groupby("date"):
        standardised, factors, mean, spread = [], [], [], []
        for part, moment in zip(parts, moments, strict=True):
            m, s = moment.loc[date]
            of_month = part[part["date"] == date]
            standardised.append((of_month["prediction"] - m) / s)
            factors.append(of_month["Value"] / s)
            mean.append(m)
            spread.append(s)
        expected = np.mean(mean) + np.mean(spread) * np.mean(standardised, axis=0)
        assert np.allclose(said["prediction"], expected, atol=1e-14)
        assert np.allclose(said["Value"], np.mean(spread) * np.mean(factors, axis=0), atol=1e-14)
    assert np.allclose(blend[[*FACTORS, "bias"]].sum(axis=1), blend["prediction"], atol=1e-14)
    account = loaded.predict(panel, "account")
    names = ["inputs", "intercept", "network_bias", "stabiliser", "initial_state"]
    assert np.allclose(account[names].sum(axis=1), account["network"], atol=1e-12)


def test_what_travels_is_what_the_forecaster_imports() -> None:
    """Every file that ``forecaster.py`` reaches by its imports, and nothing else but the rooms' first files."""
    root, reached = Path(drf.__file__).parent, set()
    waiting = [root / "registry" / "forecaster.py"]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                places = [base, *(base / alias.name for alias in node.names)]
                waiting += [place.with_suffix(".py") for place in places if place.with_suffix(".py").is_file()]
                waiting += [place / "__init__.py" for place in places if (place / "__init__.py").is_file()]
    needed = {str(file.relative_to(root)) for file in reached}
    carried = {str(file.relative_to(root)) for part in _BUNDLED for file in [root / part, *(root / part).rglob("*.py")]}
    assert needed <= carried
    own = {name for name in carried if not name.startswith("lrp") and not name.endswith("__init__.py")}
    assert own - needed == {"registry/manifest.py"}  # the loaded model checks itself by it
