"""Whatever a stranger registers or writes is left aside with its reason, and harms nothing else."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from drf.registry.manifest import digest_of, make_manifest
from drf.registry.training_evidence import FOLDER, TAGS_FILE
from drf.registry.versions import Version, read_versions
from drf.tracking.runs import Presence, RunTree
from drf.tracking.searches import trials_on
from tests.registry.making import CONFIG, NAME
from tests.registry.test_signing import make_keys

GOOD = {"row_run": "x", "parent_run": "x", "train_last": "2003-01-31", "config": CONFIG, "market": "m", "recipe": "r"}

TEXTS = st.one_of(st.text(max_size=30), st.sampled_from(["[]", "null", "{}", "1e999", "0", "[" * 5000, '{"data": 1}']))
TAGS = st.fixed_dictionaries({}, optional={name: st.one_of(TEXTS, st.integers(), st.none()) for name in GOOD})
CONTENTS = st.one_of(
    TEXTS.map(str.encode),
    st.binary(max_size=40),
    TAGS.map(lambda tags: json.dumps({**GOOD, **tags}).encode()),
    st.just(b"[" * 100_000),
    st.just(json.dumps({**GOOD, "config": '{"a":' * 100_000}).encode()),
)


def register_strange(client: MlflowClient, folder: Path, content: bytes, shown: dict[str, str]) -> str:
    """Register a version whose manifest is right and whose tags are anything."""
    file = folder / "artifacts" / "bundle" / FOLDER / TAGS_FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    text = make_manifest(folder)
    (folder / "manifest.json").write_text(text)
    tags = {**{key: value for key, value in GOOD.items() if key != "config"}, **shown}
    tags["manifest"] = digest_of(text.encode())
    return str(client.create_model_version(NAME, source=str(folder), tags=tags).version)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENTS, shown=st.dictionaries(st.sampled_from(sorted(GOOD)), st.text("a[{0", min_size=1, max_size=9)))
def test_a_strangers_version_is_left_aside(
    registry: MlflowClient, tmp_path_factory: pytest.TempPathFactory, content: bytes, shown: dict[str, str]
) -> None:
    number = register_strange(registry, tmp_path_factory.mktemp("strange"), content, shown)
    known = read_versions(registry, NAME)
    assert {"1", "2", "3", "4"} <= {one.number for one in known.versions}
    assert number in known.numbers
    assert "\n" not in known.left_aside.get(number, "")


@pytest.mark.parametrize(
    "tags", [{"host": "h"}, {"recipe": "r", "market_returns": "x"}, {"market_returns": "9999-99: -"}]
)
def test_a_strangers_run_is_no_trial_and_no_obstacle(registry: MlflowClient, tags: dict[str, str]) -> None:
    experiment = registry.get_experiment_by_name("drf").experiment_id
    for kind in ("comparison", "row", "trial", "evaluation"):
        registry.create_run(experiment, tags={"kind": kind, **tags})
    assert len(trials_on(None)) == 0


def test_a_strangers_open_run_of_this_machine_is_left_alone(registry: MlflowClient) -> None:
    experiment = registry.get_experiment_by_name("drf").experiment_id
    theirs = registry.create_run(experiment, tags={"host": platform.node()}).info.run_id
    with Presence() as here, RunTree("evaluate", here):
        pass
    assert registry.get_run(theirs).info.status == "RUNNING"


@pytest.mark.parametrize("place", ["/" + 300 * "a", "/x\0y", "~", "", "/proc/1/cwd"])
def test_a_strangers_open_run_may_name_any_folder(registry: MlflowClient, place: str) -> None:
    experiment = registry.get_experiment_by_name("drf").experiment_id
    tags = {"host": platform.node(), "checkpoints": place}
    registry.create_run(experiment, tags=tags)
    with Presence() as here, RunTree("evaluate", here):
        pass


@pytest.mark.parametrize(
    "table",
    [
        "date\n2000-01-31\n", "date,a\n2000-01-31T00:00+01:00,1\n", "date,a\nsoon,1\n", "a\n1\n", "", "date,a\n,1\n",
        "date,a\n2000-01-31,[\n",
    ],
)  # fmt: skip
def test_a_strangers_table_of_trials_takes_no_others_place(registry: MlflowClient, table: str) -> None:
    months = pd.date_range("2000-01-31", periods=30, freq="ME", name="date")
    true = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), index=months, columns=list("abc"))
    for text in (true.to_csv(), table):
        run = registry.create_run("0", tags={"kind": "comparison", "recipe": "r"}).info.run_id
        registry.log_text(run, text, "evidence/trials.csv")
        registry.set_terminated(run)
    assert len(trials_on(None)) == 3


def test_nothing_of_an_unsigned_version_is_read_when_a_key_is_set(
    registry: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRF_VERIFYING_KEY", make_keys(tmp_path, "own")[1])

    def never(entry: object, tags: object) -> Version:
        raise AssertionError("an unsigned version was read")

    monkeypatch.setattr(Version, "of", never)
    known = read_versions(registry, NAME)
    assert known.versions == [] and known.numbers == set("12345")
    assert all("not signed" in known.left_aside[number] for number in "1234")


def test_a_tag_that_names_anothers_manifest_evicts_nobody(registry: MlflowClient, tmp_path: Path) -> None:
    junk = str(registry.create_model_version(NAME, source=str(tmp_path), tags={**GOOD, "manifest": "x"}).version)
    for number in "1234":
        registry.set_model_version_tag(
            NAME, junk, "manifest", registry.get_model_version(NAME, number).tags["manifest"]
        )
        known = read_versions(registry, NAME)
        assert [one.number for one in known.versions] == ["1", "2", "3", "4"] and junk in known.left_aside


def test_factors_that_no_market_could_have_are_left_aside(registry: MlflowClient, tmp_path: Path) -> None:
    config = json.loads(CONFIG)
    config["factors"] = {"a": "x"}
    number = register_strange(registry, tmp_path, json.dumps({**GOOD, "config": json.dumps(config)}).encode(), {})
    assert number in read_versions(registry, NAME).left_aside
