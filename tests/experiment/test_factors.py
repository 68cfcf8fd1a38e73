from __future__ import annotations

import re

import pytest

from drf.data.paper_descriptors import FACTORS
from drf.errors import InputError
from drf.experiment.config import read
from drf.experiment.factors import descriptors_of, make_factors
from drf.experiment.market import load_market
from drf.experiment.schema import TrainConfig
from drf.samples.transforms import columns_of
from tests.experiment.composing import composed


def factors(*overrides: str) -> dict[str, list[str]]:
    config = read(composed(*overrides), TrainConfig)
    return make_factors(config.factors, config.data)


def test_the_default_factors_are_the_papers() -> None:
    assert factors() == {name: list(members) for name, members in FACTORS.items()}


def test_a_panel_that_lacks_descriptors_runs_on_those_it_has() -> None:
    found = factors("data.descriptors=[PER,CAP,ILLIQ]")
    assert found == {"Value": ["PER"], "Size": ["CAP", "ILLIQ"]}
    assert descriptors_of(found) == ["PER", "CAP", "ILLIQ"]


def test_states_and_their_products_are_factors_of_their_own() -> None:
    found = factors("data.descriptors=[PER,CAP]", "data.macro.states=[TBL,TMS]", "data.macro.interactions=true")
    assert found == {
        "Value": ["PER"],
        "Size": ["CAP"],
        "States": ["STATE_TBL", "STATE_TMS"],
        "With TBL": ["PER*STATE_TBL", "CAP*STATE_TBL"],
        "With TMS": ["PER*STATE_TMS", "CAP*STATE_TMS"],
    }
    assert columns_of(descriptors_of(found)) == ["PER", "CAP", "STATE_TBL", "STATE_TMS"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+factors.More=['A*B']", "factors: A*B: products are made by data.macro.interactions"),
        ("data.macro.interactions=true", "interactions=true: needs macro.states"),
        ("data.macro.states=[TBL,TBL]", "must be different names of series"),
        ("+factors.Twice=[PER]", "factors: descriptor PER appears more than once"),
        ("factors.Risk=BETA", "factors.Risk=BETA: must be a list of descriptors"),
        ("+factors.bias=[X]", "factors.bias: the name is reserved for another column"),
        ("+factors.weight=[X]", "factors.weight: the name is reserved for another column"),
        ("+factors.More=[ret_next]", "factors: ret_next cannot be a descriptor"),
        ("data.descriptors=[PERR]", "data.descriptors: PERR belongs to no factor (did you mean PER?)"),
        ("data.descriptors=[]", "at least one descriptor is needed"),
    ],
)
def test_factors_that_make_no_sense_are_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        factors(override)


def test_a_universe_needs_market_values() -> None:
    data = read(composed("data.universe=50"), TrainConfig).data
    with pytest.raises(InputError, match=r"data\.universe=50: the largest stocks are chosen by CAP"):
        load_market(data, ["PER"], 5)
