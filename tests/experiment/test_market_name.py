"""The registered model follows from the market, and the words that a training prints choose its data again."""

from __future__ import annotations

import pytest

from drf.experiment.market_name import BUILT_IN, of_panel
from tests.experiment.composing import settings_of

OWN = ["data=panel", "data.path=own/panel.parquet"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["data.seed=1", "data.source.stocks=60"],
        ["data=noise", "data.universe=100"],
        OWN,
        [*OWN, "data.universe=500", "data.unknown=['.',B,-99]", "data.encoding=cp932"],
        ["data=panel", "data.path='own/a b (v2) 日本=1.csv'", "data.descriptors=[PER,PBR,CAP]"],
        ["data=panel", "data.path='日本.parquet'"],
        ["data=jkp", "data.path=jkp.csv", "data.keep=null"],
        ["data=raw", "data.prices=p_*.csv", "data.market_index=i.csv", "data.statements='m.db#SELECT * FROM s'"],
        ["data=jkp", "data.path=jkp.csv", "+data.keep.excntry=JPN"],
        ["factors=paper16_macro", *OWN, "data.macro.path=fx.csv", "data.macro.lag_months=2"],
        ["factors=paper16_macro"],
    ],
)
def test_the_words_choose_the_same_data_and_the_same_name(words: list[str]) -> None:
    first = settings_of(*words)
    again = settings_of(*first.data_words)
    assert again.config.data == first.config.data
    assert again.config.registry.name == first.config.registry.name
    assert again.data_words == first.data_words


def name(*words: str) -> str:
    return settings_of(*words).config.registry.name


def test_the_built_in_market_alone_has_the_short_name() -> None:
    assert name() == name("seed=3") == name("data.source.months=120") == BUILT_IN
    others = [
        name("data.seed=1"),
        name("data=noise"),
        name("data.universe=50"),
        name(*OWN),
        name(*OWN, "data.universe=9"),
    ]
    assert len({BUILT_IN, *others}) == 6 and all(other.startswith(f"{BUILT_IN}-") for other in others)
    assert name(*OWN, "registry.name=mine") == "mine"


def test_dates_in_a_files_name_are_left_out() -> None:
    files = ["panel.parquet", "x/panel_2024-10.csv", "panel_20241031.csv.gz", "panel2024Q3.parquet"]
    assert {of_panel(file) for file in files} == {f"{BUILT_IN}-panel"}
    assert of_panel("2024/jp500.parquet") == f"{BUILT_IN}-jp500"
    assert of_panel("market.db#japan") == f"{BUILT_IN}-market-japan" != of_panel("market.db#us")
    assert of_panel("日本.parquet") == f"{BUILT_IN}-panel"
