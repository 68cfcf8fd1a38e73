"""Every config composes, what makes no sense is refused by name, and files and classes agree."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from drf.data.simulate import SimulatedMarket
from drf.errors import InputError
from drf.evaluation.portfolio import PortfolioRule
from drf.experiment.composing import explain
from drf.experiment.config import Record, flatten, read, read_recorded
from drf.experiment.config_folder import CONFIG_DIR
from drf.experiment.families import make_families
from drf.experiment.schema import ComputeConfig, RegistryConfig, TrackingConfig, TrainConfig
from drf.experiment.validation import defaults_of
from drf.models.catalogue import FAMILIES
from drf.registry.evaluation_config import EvaluateConfig
from drf.samples.windows import WindowRule
from drf.tuning.rule import TuningRule
from drf.tuning.space import entries
from tests.experiment.composing import composed

NEEDED = {
    "panel": ["path"],
    "raw": ["prices", "market_index", "statements"],
    "jkp": ["path"],
    "mlfactor": ["path"],
    "openap": ["path", "returns"],
    "gkx": ["path", "returns"],
    "gkx_alone": ["path"],
}
GROUPS = [
    (group.name, file.stem)
    for group in sorted(CONFIG_DIR.iterdir())
    if group.is_dir()
    for file in sorted(group.glob("*.yaml"))
]


@pytest.mark.parametrize(("group", "option"), GROUPS)
def test_every_option_of_every_group_composes_and_is_read(group: str, option: str) -> None:
    override = f"{group}={option}"
    if group == "model":
        override = "model=[lstm,boosting,blend]" if option == "blend" else f"model=[{option}]"
    if group == "gate":
        assert read(composed(override, name="evaluation"), EvaluateConfig).gate.min_months >= 2
        return
    named = option if group == "data" else {"japan": "japan"}.get(option, "")
    more = [f"data.{key}=x.csv" for key in NEEDED.get(named, [])]
    more += ["compute.scheduler=tcp://127.0.0.1:1"] if option == "dask" else []
    config = read(composed(override, *more), TrainConfig)
    for family in make_families(config.model, tuned=config.tuning.trials > 0):
        assert family.parts or family.make(seed=0, member=0)
        for setting, entry in entries(family.space).items():
            assert entry.holds(family.settings[setting]), setting


def test_an_experiment_goes_with_other_families() -> None:
    config = read(composed("experiment=japan", "model=[linear,lstm]"), TrainConfig)
    assert [family.name for family in make_families(config.model)] == ["linear", "lstm"]


def test_the_default_is_the_papers_families_on_the_simulated_market() -> None:
    config = read(composed(), TrainConfig)
    assert [family.name for family in make_families(config.model)] == ["linear", "svr", "forest", "dnn", "lstm"]
    assert config.data.source == SimulatedMarket(500, 96, 0, macro=None)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed=-1", "seed=-1: must be a whole number, at least 0"),
        ("seed=null", "seed=null: must be a whole number"),
        ("window.train_months=abc", "window.train_months=abc: must be a whole number"),
        ("window.test_months=0", "at least 1 (or null)"),
        ("window.lags=[0,3,3]", "window.lags=[0, 3, 3]: must be different"),
        ("window.lags=[]", "window.lags=[]: must be different"),
        ("window.lags=[0,-3]", "window.lags=[0, -3]: must be a list, each a whole number, at least 0"),
        ("window.target=log", "window.target=log: must be one of raw, excess"),
        ("window.expanding=3", "window.expanding=3: must be true or false"),
        ("tuning.trials=1.5", "tuning.trials=1.5: must be a whole number"),
        ("portfolio.quantiles=1", "portfolio.quantiles=1: must be a whole number, at least 2"),
        ("portfolio.cost_bps=-1", "portfolio.cost_bps=-1: must be a number, at least 0"),
        ("portfolio.weighting=size", "portfolio.weighting=size: must be one of equal, value"),
        ("compute.jobs=0", "compute.jobs=0: must be a number of worker processes"),
        ("compute.device=3", "compute.device=3: must be text (or null)"),
        ("data.universe=true", "data.universe=true: must be a whole number, at least 2 (or null)"),
        ("data.seed=-1", "data.seed=-1: must be a whole number, at least 0"),
        ("data.source.explained=1", "data.source.explained=1: must be a number, at least 0 and below 1"),
        ("data.source.start=foo", "data.source.start=foo: must be a month"),
        ("data=raw data.prices=x data.market_index=x data.statements=x data.lag_months=-1", "data.lag_months=-1: must"),
        ("data.source._target_=foo.bar", "data.source._target_=foo.bar: cannot be imported"),
        ("data.source._target_=pathlib.Path", "must be a subclass of drf.data.sources.Source"),
        ("+data.pth=x", "unknown config key data.pth"),
        ("registry.name=a/b", "registry.name=a/b: must be a name without"),
        ("registry.name=..", "registry.name=..: must be a name without"),
        ("registry.row=svr", "registry.row=svr: must be one of linear, ridge, "),
        ("registry.row=lstm_lpr", "(did you mean lstm_lrp?)"),
        ("tracking.experiment=''", "tracking.experiment=: must be a name"),
        ("tuning.storage=postgresql+psycopg2://drf:hunter2@host/studies", "tuning.storage: holds a password"),
        ("tuning.storage=a database", "is not the address of a database"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(override: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        read(composed(*override.split(" data.")[:1], *(f"data.{w}" for w in override.split(" data.")[1:])), TrainConfig)
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)


TYPED = ("window", "tuning", "portfolio", "compute", "tracking", "registry")


@pytest.mark.parametrize("group", TYPED)
def test_an_unknown_key_of_any_group_is_refused_with_the_nearest(group: str) -> None:
    (known, *_) = composed()[group]
    told = f"unknown config key {group}.{known}x (did you mean {group}.{known}?)"
    with pytest.raises(HydraException) as unknown:
        composed(f"{group}.{known}x=1")
    assert explain(unknown.value, "config").startswith(told)
    with pytest.raises(InputError) as added:  # Hydra lets a plus open every group
        read(composed(f"+{group}.{known}x=1"), TrainConfig)
    assert str(added.value).startswith(told)


def test_a_file_of_the_users_own_is_held_against_the_schema_too(tmp_path: Path) -> None:
    """``--config-dir`` with an experiment and options of one's own, as the README tells."""
    for group, name, text in [
        ("experiment", "mine", "# @package _global_\ndefaults:\n  - override /portfolio: tenths\nseed: 7\n"),
        ("portfolio", "tenths", "quantiles: 10\ncost_bps: 5\n"),
        ("portfolio", "wrong", "quantiles: 10\ncost_bps: 5\nwieghting: value\n"),
    ]:
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / group / f"{name}.yaml").write_text(text)
    search = f"hydra.searchpath=[file://{tmp_path}]"
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = read(compose("config", overrides=["experiment=mine", search]), TrainConfig)
        with pytest.raises(HydraException) as refused:
            compose("config", overrides=["portfolio=wrong", search])
    assert (config.seed, config.portfolio) == (7, PortfolioRule(quantiles=10, cost_bps=5))
    assert "unknown config key portfolio.wieghting (did you mean portfolio.weighting?)" in explain(
        refused.value, "config"
    )


HOMES: dict[str, Any] = {
    "window": WindowRule,
    "tuning": TuningRule,
    "portfolio": PortfolioRule,
    "compute": ComputeConfig,
    "tracking": TrackingConfig,
    "registry": RegistryConfig,
    **{f"model.{name}": model for name, model in FAMILIES.items()},
    "data.source": SimulatedMarket,
}


def test_a_default_of_a_class_is_the_default_of_its_file() -> None:
    known = flatten(composed(f"model=[{','.join(FAMILIES)}]"))
    for home, taker in HOMES.items():
        for setting, default in defaults_of(taker).items():
            value = known[f"{home}.{setting}"]
            if not str(value).startswith("${"):
                assert value == (list(default) if isinstance(default, tuple) else default), f"{home}.{setting}"


@pytest.mark.parametrize("file", sorted(CONFIG_DIR.rglob("*.yaml")), ids=lambda file: str(file.relative_to(CONFIG_DIR)))
def test_every_knob_of_a_file_has_a_comment_of_one_line(file: Path) -> None:
    """But for references, mappings of columns, the grouping of the factors, and Hydra's own keys."""
    if file.parent.name in ("factors", "experiment"):
        return
    plain = re.compile(r"\s*(?!_target_|columns|date|asset|returns|column|- )(\w+): (?!\$\{data)[^#{]*")
    block = ""
    for line in file.read_text().splitlines():
        block = line.partition(":")[0] if re.match(r"\w", line) else block
        if block not in ("defaults", "hydra", "descriptors", "source", "space"):
            assert not plain.fullmatch(line) or line.rstrip().endswith("{}"), line


def test_the_page_of_all_keys_is_up_to_date() -> None:
    place = CONFIG_DIR.parent / "docs" / "configuration_table.py"
    spec = importlib.util.spec_from_file_location("configuration_table", place)
    assert spec is not None and spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    text = table.PAGE.read_text()
    assert table.page(text) == text, "run python docs/configuration_table.py"
    known = {key for name in ("config", "evaluation", "month_end") for key in flatten(composed(name=name))}
    own = {key for key in known if not key.startswith(("hydra", "factors", "model.svr.space", "data.source"))}
    missing = [key for key in own if f"`{key}`" not in text and ".space" not in key and "changes" not in key]
    assert not [key for key in missing if not key.startswith("data")], missing


def test_every_field_of_a_settings_object_can_be_set() -> None:
    known = flatten(composed())
    for field in fields(TrainConfig):
        if is_dataclass(HOMES.get(field.name)):
            for entry in fields(HOMES[field.name]):
                assert f"{field.name}.{entry.name}" in known


def test_flatten_names_every_value() -> None:
    flat = flatten(composed("data.seed=7"))
    assert flat["data.source.seed"] == "${data.seed}"
    assert flat["window.lags"] == [0, 3, 6, 9, 12]


def test_what_was_recorded_is_read_again() -> None:
    config = composed("window=japan", "portfolio.weighting=value", "data=panel", "data.path=x.csv")
    assert read_recorded(Record.of(config).line) == read(config, TrainConfig)
