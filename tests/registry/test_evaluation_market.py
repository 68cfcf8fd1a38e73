"""The market that versions are judged on: its columns, its universe, and what of it may be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from drf.data.simulate import SimulatedMarket
from drf.errors import InputError
from drf.experiment.config import read, read_recorded
from drf.experiment.config_folder import CONFIG_DIR
from drf.registry.aliases import Standing
from drf.registry.evaluation_config import EvaluateConfig
from drf.registry.evaluation_market import EvaluationMarket
from drf.registry.versions import RegisteredVersions, Version
from tests.programs.folders import PANEL
from tests.registry.making import market, recorded, version


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    market().to_parquet("panel.parquet", index=False)
    monkeypatch.setattr("drf.registry.evaluation_market.read_history", lambda version: market())
    return tmp_path


def asked(*overrides: str) -> EvaluateConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return read(compose("evaluation", overrides=list(overrides)), EvaluateConfig)


def trained(number: str, *overrides: str) -> Version:
    config = read_recorded(recorded(*PANEL, *overrides))
    return replace(version(number, f"1991-0{number}-28"), config=config, recipe=number)


def bench(*versions: Version) -> EvaluationMarket:
    return EvaluationMarket.of(asked(*PANEL), RegisteredVersions(list(versions), {}), Standing("1", None, ("1",)))


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
    made = bench(trained("1", NARROW), other)
    made.audit(other)
    assert (list(audited[0].data.descriptors), audited[0].data.universe) == (["ROE", "CAP"], 20)
    made.market = made.market.drop(columns="ROE")
    made.audits.clear()
    missing = made.audit(other)
    assert not missing["passed"].item()
    assert "the panel lacks ROE" in missing["reason"].item()


def test_the_market_is_that_of_the_command_whatever_a_version_records(at: Path) -> None:
    elsewhere = trained("1", "data.path=nowhere.parquet")
    assert bench(elsewhere).data.source.name == "panel.parquet"


def test_another_market_is_refused_with_the_words_of_the_versions_own(
    at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SimulatedMarket(stocks=40, months=45, seed=4).panel()
    monkeypatch.setattr("drf.registry.evaluation_market.read_history", lambda version: other)
    held = replace(trained("1"), tags={"data": "data=panel data.path=other.parquet"})
    with pytest.raises(InputError, match=r"version 1 of .* another market .*data.path=other.parquet"):
        bench(held)
