"""No file of a version changes without a word, whoever loads it."""

from __future__ import annotations

import importlib.util
import py_compile
import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from drf.errors import InputError
from drf.registry.loading import forecast, load_model, load_with_evidence
from drf.registry.manifest import FILE, digest_of, make_manifest, verify
from tests.registry.making import NAME, market, register_small

URI = f"models:/{NAME}/1"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A registered version's files, and its store beside them."""
    folder = tmp_path_factory.mktemp("registered")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = MlflowClient()
    client.create_experiment("drf", artifact_location=str(folder / "mlruns"))
    register_small(client)
    (folder / "digest").write_text(client.get_model_version(NAME, "1").tags["manifest"])
    mlflow.set_tracking_uri(before)
    (model,) = (folder / "mlruns" / "models").iterdir()
    return model / "artifacts"


def names(files: Path) -> list[str]:
    return sorted(file.relative_to(files).as_posix() for file in files.rglob("*") if file.is_file())


def test_every_file_is_in_the_manifest(files: Path) -> None:
    verify(files)
    listed = set(names(files)) - {FILE}
    assert all(f'"{name}"' in (files / FILE).read_text() for name in listed)
    assert {
        "MLmodel",
        "serving.py",
        "artifacts/bundle/weights.pt",
        "artifacts/bundle/evidence/history.parquet",
    } <= listed


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_changed_missing_or_added_file_is_named(
    files: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    copy = tmp_path_factory.mktemp("copy") / "model"
    shutil.copytree(files, copy)
    name = data.draw(st.sampled_from(names(files)))
    content = (copy / name).read_bytes()
    how = data.draw(st.sampled_from(["flip", "cut", "delete", "add"]))
    if how == "delete":
        (copy / name).unlink()
    elif how == "add":
        name = f"{name}.py"
        (copy / name).write_text("import os")
    elif how == "cut":
        (copy / name).write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    else:
        where = data.draw(st.integers(0, len(content) - 1))
        bit = 1 << data.draw(st.integers(0, 7))
        (copy / name).write_bytes(content[:where] + bytes([content[where] ^ bit]) + content[where + 1 :])
    digest = (files.parents[3] / "digest").read_text()
    with pytest.raises(
        ValueError, match=r"since it was registered|is missing|not (the )?one that was registered"
    ) as refused:
        verify(copy, digest)
    assert name in str(refused.value)


def test_a_link_is_refused_wherever_it_leads(files: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(files, copy)
    (tmp_path / "package").mkdir()
    place = copy / "artifacts" / "bundle" / "code" / "drf" / "samples"
    for name, target in (("ranks", tmp_path / "package"), ("more.py", files / FILE), ("none", tmp_path / "nowhere")):
        (place / name).symlink_to(target)
        with pytest.raises(ValueError, match=rf"samples/{name} is a link"):
            verify(copy)
        (place / name).unlink()
    verify(copy)


def test_the_loaded_model_looks_at_itself(files: Path, tmp_path: Path) -> None:
    """Also where MLflow alone loads it, and nothing of the project."""
    shutil.copytree(files, tmp_path / "model")
    assert len(mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(market()))
    code = tmp_path / "model" / "artifacts" / "bundle" / "code" / "drf" / "samples" / "transforms.py"
    code.write_text(code.read_text().replace("-", "+", 1))
    with pytest.raises(ValueError, match=r"its file artifacts/bundle/code/drf/samples/transforms.py was changed"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))
    shutil.rmtree(tmp_path / "model")
    shutil.copytree(files, tmp_path / "model", ignore=shutil.ignore_patterns(FILE))
    with pytest.raises(ValueError, match=r"its manifest.json is missing"):
        mlflow.pyfunc.load_model(str(tmp_path / "model"))


def test_a_manifest_made_to_fit_is_held_against_the_tag(store: str) -> None:
    client = MlflowClient()
    register_small(client)
    (model,) = Path("mlruns").rglob("artifacts/MLmodel")
    files = model.parent
    assert len(forecast(load_model(URI), market()))
    weights = files / "artifacts" / "bundle" / "spec.json"
    weights.write_text(weights.read_text().replace("\n", "\n ", 1))
    text = make_manifest(files)
    (files / FILE).write_text(text)
    verify(files)
    for load in (load_model, load_with_evidence):
        with pytest.raises(InputError, match=rf"{URI}: its manifest.json is not the one that was registered"):
            load(URI)
    client.set_registered_model_alias(NAME, "champion", "1")
    with pytest.raises(InputError, match="not the one that was registered"):
        load_model(f"models:/{NAME}@champion")
    client.set_model_version_tag(NAME, "1", "manifest", digest_of(text.encode()))
    load_model(URI)


def test_what_is_not_there_or_not_ours_is_refused_in_one_line(store: str, tmp_path: Path) -> None:
    client = MlflowClient()
    with pytest.raises(InputError, match=rf"models:/{NAME}/1"):
        load_model(URI)
    client.create_registered_model(NAME)
    client.create_model_version(NAME, source=str(tmp_path), tags={"parent_run": "abc"})
    with pytest.raises(InputError, match=r"it has no manifest"):
        load_model(URI)
    with pytest.raises(InputError, match=r"manifest\.json is missing"):
        load_model(f"file://{tmp_path}")


def test_versions_of_two_trainings_live_side_by_side(store: str) -> None:
    client = MlflowClient()
    for _ in range(2):
        register_small(client)
    one, two = (forecast(load_model(f"models:/{NAME}/{k}"), market()) for k in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_a_compiled_file_that_somebody_planted_is_never_run(store: str, tmp_path: Path) -> None:
    """Python obeys a compiled file beside a source if it says that nobody need look at the source."""
    client = MlflowClient()
    register_small(client)
    expected = forecast(load_model(URI), market())
    (model,) = Path("mlruns").rglob("artifacts/MLmodel")
    for source in [
        *model.parent.rglob("forecaster.py"),
        *model.parent.rglob("manifest.py"),
        model.parent / "serving.py",
    ]:
        evil = tmp_path / source.name
        evil.write_text(f"{source.read_text()}\nopen({str(tmp_path / 'PWNED')!r}, 'w').close()\n")
        cache = Path(importlib.util.cache_from_source(str(source)))
        cache.parent.mkdir(exist_ok=True)
        py_compile.compile(
            str(evil), str(cache), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True
        )
    pd.testing.assert_frame_equal(forecast(load_model(URI), market()), expected)
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("name", ["latest", "Production"])
def test_a_version_is_named_by_its_number_or_an_alias(store: str, name: str) -> None:
    register_small(MlflowClient())
    with pytest.raises(InputError, match="name a version by its number, or by an alias"):
        load_model(f"models:/{NAME}/{name}")
