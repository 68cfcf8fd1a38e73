"""Identity: what a number depends on changes its digest, and nothing else does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from drf.data.simulate import SimulatedMarket
from drf.data.sources import NamedElsewhere
from drf.errors import InputError
from drf.experiment import identity
from drf.experiment.config import Record, located, read, read_recorded
from drf.experiment.experiment import prepare
from drf.experiment.identity import _MONTHS, identity_of_samples, recipe_of
from drf.experiment.schema import TrainConfig
from drf.samples.windows import WindowRule
from tests.experiment.composing import composed, settings_of


def recipe(*overrides: str) -> str:
    return recipe_of(read(composed(*overrides), TrainConfig))


RAW = [f"data.{name}=x.csv" for name in ("prices", "market_index", "statements")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([], ["data.source.months=97"]),
        (["data=panel", "data.path=a.csv"], ["data=panel", "data.path=/b/2026-11.parquet"]),
        (["data=raw", *RAW], ["data=raw", *[word.replace("x.csv", "y.csv") for word in RAW]]),
        (["data=gkx", "data.path=a", "data.returns=b"], ["data=gkx", "data.path=c", "data.returns=d"]),
        ([], ["window.periods=[2015-01-31]", "window.test_from=1996-01-31", "window.test_to=1998-01-31"]),
        ([], ["compute.jobs=7", "tracking.experiment=other", "registry.name=other", "tuning.journal=j"]),
    ],
)  # fmt: skip
def test_months_places_and_machines_are_no_part_of_it(one: list[str], other: list[str]) -> None:
    assert recipe(*one) == recipe(*other)


@pytest.mark.parametrize(
    "change",
    ["seed=1", "model.lstm.epochs=59", "window=paper", "data.universe=50", "tuning.trials=3", "registry.row=dnn_lrp",
     "portfolio.cost_bps=0", "data.seed=1", "model=[linear,lstm]", "data.descriptors=[PER,MOM1]", "data=noise"],
)  # fmt: skip
def test_all_else_is(change: str) -> None:
    assert recipe(change) != recipe()


def test_the_order_of_the_factors_is_that_of_the_inputs() -> None:
    config = read(composed(), TrainConfig)
    turned = read(composed(), TrainConfig)
    object.__setattr__(turned, "factors", dict(reversed(list(config.factors.items()))))
    assert recipe_of(turned) != recipe_of(config)


def test_it_is_the_same_after_it_was_recorded(tmp_path: Path) -> None:
    for overrides in ([], ["data=panel", "data.path=a.csv"], ["data=gkx", "data.path=a", "data.returns=b"]):
        config = composed(*overrides)
        typed = read(config, TrainConfig)
        assert recipe_of(read_recorded(located(Record.of(config).line, typed.data.source))) == recipe_of(typed)


def test_recorded_paths_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = composed("data=panel", "data.path=sub/panel.csv")
    recorded = read_recorded(located(Record.of(config).line, read(config, TrainConfig).data.source))
    monkeypatch.chdir("/")
    assert recorded.data.source.path == f"{tmp_path}/sub/panel.csv"  # type: ignore[attr-defined]
    far = composed("data=panel", "data.path=s3://bucket/panel.parquet")
    assert "s3://bucket/panel.parquet" in located(Record.of(far).line, read(far, TrainConfig).data.source)


def test_nothing_but_our_own_sources_is_made_of_what_a_registry_says() -> None:
    line = json.loads(Record.of(composed()).line)
    assert isinstance(read_recorded(json.dumps(line)).data.source, SimulatedMarket)
    for target in ("os.system", "subprocess.Popen", "tests.experiment.test_recipe.Mine"):
        line["data"]["source"]["_target_"] = target
        source = read_recorded(json.dumps(line)).data.source
        assert source == NamedElsewhere(target)
        with pytest.raises(InputError, match=rf"{target}, which is not a source of this project.*data=\.\.\."):
            source.panel()


SMALL = ["data.source.stocks=30", "data.source.months=60", "model=[linear]", "window.test_months=6"]


@pytest.mark.long
def test_an_edited_source_file_changes_the_identity_of_every_fit_and_trial(tmp_path: Path) -> None:
    program = """
import pathlib
from drf.experiment import identity
before = identity.identity_of_program()
with open(pathlib.Path(identity.__file__).parents[1] / "models" / "linear.py", "a") as model:
    model.write("# edited")
identity._code.cache_clear()
assert identity.identity_of_program() != before
"""
    shutil.copytree(Path(identity.__file__).parents[1], tmp_path / "drf")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, env={"PYTHONPATH": str(tmp_path)})


def test_other_code_opens_other_checkpoints_and_another_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    experiment = prepare(settings_of(*SMALL, f"tuning.journal={tmp_path}/journal"))
    checkpoints, plan = experiment.checkpoints(), experiment.tuning_plan()
    assert plan.identity == experiment.tuning_plan().identity
    monkeypatch.setattr("drf.experiment.identity._code", lambda: "other")
    assert experiment.checkpoints().path != checkpoints.path
    assert experiment.tuning_plan().identity != plan.identity


@pytest.mark.parametrize("name", [entry.name for entry in fields(WindowRule)])
def test_a_setting_of_the_window_counts_unless_it_only_chooses_months(name: str) -> None:
    rule = WindowRule(lags=[0, 3], target="raw", train_months=12, test_months=6, refit_every=3)
    other = replace(rule)
    object.__setattr__(other, name, "changed")
    same = identity_of_samples("data", ("CAP",), rule, {}) == identity_of_samples("data", ("CAP",), other, {})
    assert same == (name in _MONTHS)


def test_a_weekly_training_is_another_recipe() -> None:
    monthly, weekly = (read(composed(f"data.frequency={word}"), TrainConfig) for word in ("monthly", "weekly"))
    assert recipe_of(monthly) != recipe_of(weekly)
