"""Every config composes, and what it describes can be made."""

from __future__ import annotations

import inspect
import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_method
from omegaconf import DictConfig

from drf.cli.program import CONFIG_DIR
from drf.data.factors import FACTORS
from drf.errors import InputError
from drf.experiment.config import (
    check_config,
    descriptors_of,
    flatten,
    load_market,
    make_factors,
    make_families,
    make_rule,
)
from drf.models.family import ROWS
from drf.registry.gates import Thresholds
from drf.tuning.search import _distribution
from drf.tuning.studies import check_address


def config(*overrides: str, name: str = "config") -> DictConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONFIG_DIR / group).glob("*.yaml"))


GROUPS = [
    (group.name, option) for group in sorted(CONFIG_DIR.iterdir()) if group.is_dir() for option in options(group.name)
]


@pytest.mark.parametrize(("group", "option"), GROUPS)
def test_every_option_of_every_group_composes_and_instantiates(group: str, option: str) -> None:
    name = "evaluation" if group == "gate" else "config"
    override = f"{group}=[{option}]" if group == "model" else f"{group}={option}"
    needed = {
        "panel": ["path"],
        "raw": ["prices", "market_index", "statements"],
        "jkp": ["path"],
        "mlfactor": ["path"],
        "openap": ["path", "returns"],
        "gkx": ["path", "returns"],
    }.get(option, [])
    composed = config(override, *(f"data.{key}=x.csv" for key in needed), name=name)
    check_config(composed)
    make_rule(composed.portfolio)
    if name == "evaluation":
        Thresholds(**composed.gate)
        return
    source = dict(composed.data.source)
    inspect.signature(get_method(source.pop("_target_"))).bind(**source)
    for family in make_families(composed.model):
        family.make(seed=0, member=0)
        for setting, entry in family.space.items():
            distribution = _distribution(entry)
            assert distribution._contains(distribution.to_internal_repr(family.settings[setting])), setting


def test_the_default_is_all_families_on_the_simulated_market() -> None:
    default = config()
    assert [family.name for family in make_families(default.model)] == list(ROWS)
    assert default.data.source["_target_"] == "drf.data.sources.simulated"


def test_models_can_be_chosen_and_set() -> None:
    families = make_families(config("model=[lstm,linear]", "model.lstm.hidden=8", "model.lstm.seeds=2").model)
    assert [family.name for family in families] == ["linear", "lstm"]
    assert families[1].settings["hidden"] == 8
    assert families[1].seeds == 2


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("seed=-1", "seed=-1: must be a whole number, at least 0"),
        ("window.train_months=abc", "window.train_months=abc: must be a whole number"),
        ("window.test_months=0", "at least 1 (or null)"),
        ("window.lags=[0,3,3]", "window.lags=[0, 3, 3]"),
        ("window.lags=[]", "window.lags=[]"),
        ("window.target=log", "window.target=log: must be one of raw, excess"),
        ("tuning.trials=1.5", "tuning.trials=1.5: must be a whole number"),
        ("portfolio.quantiles=1", "portfolio.quantiles=1: must be a whole number, at least 2"),
        ("portfolio.cost_bps=-1", "portfolio.cost_bps=-1: must be a number, at least 0"),
        ("compute.jobs=0", "compute.jobs=0"),
        ("window.expanding=3", "window.expanding=3: must be true or false"),
        ("data.universe=true", "data.universe=True"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(override: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        check_config(config(override))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("+model.lstm.hiden=3", "model.lstm.hiden: unknown setting (did you mean hidden?)"),
        ("model.lstm.seeds=0", "model.lstm.seeds=0"),
        ("model.lstm.label=order", "model.lstm.label=order: must be one of return, rank"),
        ("model.dnn.linearisation=no", "model.dnn.linearisation=no: must be one of plain, spread-bias, neutral"),
    ],
)
def test_a_setting_that_a_family_lacks_is_refused(override: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        make_families(config(override).model)
    assert told in str(refused.value)


def test_what_the_user_sets_is_not_tuned() -> None:
    overrides = ["model.lstm.hidden=24", "model.dnn.hidden=80"]
    families = {family.name: family for family in make_families(config(*overrides).model, overrides)}
    assert "hidden" not in families["lstm"].space
    assert "hidden" not in families["dnn"].space
    assert families["dnn"].settings["hidden"] == "80"
    assert "learning_rate" in families["lstm"].space
    with pytest.raises(InputError, match=r"model\.lstm\.hidden=24: lies outside its search space"):
        make_families(config("model.lstm.hidden=24").model)


def test_flatten_names_every_value() -> None:
    flat = flatten(config("data.seed=7"))
    assert flat["data.source.seed"] == "${data.seed}"
    assert flat["window.lags"] == [0, 3, 6, 9, 12]


def factors(*overrides: str) -> dict[str, list[str]]:
    composed = config(*overrides)
    return make_factors(composed.factors, composed.data.descriptors)


def test_the_default_factors_are_the_papers() -> None:
    assert factors() == {name: list(members) for name, members in FACTORS.items()}


def test_a_panel_that_lacks_descriptors_runs_on_those_it_has() -> None:
    found = factors("data.descriptors=[PER,CAP,ILLIQ]")
    assert found == {"Value": ["PER"], "Size": ["CAP", "ILLIQ"]}
    assert descriptors_of(found) == ["PER", "CAP", "ILLIQ"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+factors.Twice=[PER]", "factors: descriptor PER stands more than once"),
        ("factors.Risk=BETA", "factors.Risk=BETA: must be a list of descriptors"),
        ("+factors.bias=[X]", "factors.bias: a forecast has a column of that name"),
        ("+factors.More=[ret_next]", "factors: ret_next cannot be a descriptor"),
        ("data.descriptors=[PERR]", "data.descriptors: PERR belongs to no factor (did you mean PER?)"),
        ("data.descriptors=[]", "at least one descriptor is needed"),
    ],
)
def test_factors_that_make_no_sense_are_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        factors(override)


def test_a_universe_needs_market_values() -> None:
    with pytest.raises(InputError, match=r"data\.universe=50: the largest stocks are chosen by CAP"):
        load_market(config("data.universe=50").data, ["PER"], 5)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("postgresql+psycopg2://drf:hunter2@host/studies", "holds a password"),
        ("a database", "is not the address of a database"),
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_without_repeating_it(
    address: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as refused:
        check_address(address)
    assert "hunter2" not in str(refused.value)
