"""The market that versions are judged on: its columns, its universe, and what of it may be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from drf.experiment.composing import CONFIG_DIR
from drf.experiment.config import read, read_recorded
from drf.registry.aliases import Standing
from drf.registry.evaluation_config import EvaluateConfig
from drf.registry.evaluation_market import EvaluationMarket
from drf.registry.versions import RegisteredVersions, Version
from tests.registry.making import market, recorded, version


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    market().to_parquet("panel.parquet", index=False)
    return tmp_path


def asked(*overrides: str) -> EvaluateConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return read(compose("evaluation", overrides=list(overrides)), EvaluateConfig)


def trained(number: str, *overrides: str) -> Version:
    config = read_recorded(recorded("data=panel", "data.path=panel.parquet", *overrides))
    return replace(version(number, f"1991-0{number}-28"), config=config, recipe=number)


def bench(*versions: Version, overrides: tuple[str, ...] = ()) -> EvaluationMarket:
    return EvaluationMarket.of(asked(*overrides), RegisteredVersions(list(versions), {}), Standing("1", None, ("1",)))


NARROW = "data.descriptors=[PER,PBR,MOM1,CAP]"


def test_a_new_recipe_with_more_descriptors_finds_them(at: Path) -> None:
    made = bench(trained("1", NARROW), trained("2"))
    assert {"ROE", "PER"} <= set(made.market)
    assert "ROE" not in bench(trained("1", NARROW)).market


def test_what_only_another_version_needs_may_be_missing(at: Path) -> None:
    market().drop(columns="ROE").to_parquet("panel.parquet", index=False)
    assert "ROE" not in bench(trained("1", NARROW), trained("2")).market
    holes = market().copy()
    holes.loc[holes["date"] == holes["date"].min(), "ROE"] = None
    holes.to_parquet("panel.parquet", index=False)
    assert "ROE" not in bench(trained("1", NARROW), trained("2")).market


def test_a_version_is_audited_with_its_own_descriptors_and_universe(at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audited = []
    monkeypatch.setattr(
        "drf.registry.evaluation_market.audit_training",
        lambda market, config, row: audited.append(config) or pd.DataFrame(),
    )
    other = trained("2", "data.descriptors=[ROE,CAP]", "data.universe=20")
    made = bench(trained("1", NARROW), other, overrides=("data=panel", "data.path=panel.parquet"))
    made.audit(other)
    assert (list(audited[0].data.descriptors), audited[0].data.universe) == (["ROE", "CAP"], 20)
    made.market = made.market.drop(columns="ROE")
    made.audits.clear()
    missing = made.audit(other)
    assert not missing["passed"].item()
    assert "the panel lacks ROE" in missing["reason"].item()


def test_the_newest_of_the_champions_recipe_says_where_the_data_lie(at: Path) -> None:
    """By the months that it was trained on, not by its number: a training of older months may come later."""
    later = trained("2", "tracking.experiment=later")
    older = replace(trained("1"), number="3", recipe="1")
    held = replace(trained("1"), recipe="1")
    newest = replace(later, recipe="1", train_last=pd.Timestamp("1991-09-30"))
    known = RegisteredVersions([held, newest, older], {})
    (at / "other").mkdir()
    market().to_parquet(at / "other" / "panel.parquet", index=False)
    line = recorded("data=panel", "data.path=other/panel.parquet")
    known.versions[1] = replace(newest, config=read_recorded(line))
    made = EvaluationMarket.of(asked(), known, Standing("1", None, ("1",)))
    assert made.data.source.name == "other/panel.parquet"
