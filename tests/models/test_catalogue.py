from __future__ import annotations

from drf.models.base import Combines, Explains
from drf.models.catalogue import FAMILIES, ROWS, linearised, plain_row, row_named, rows_of

PAPERS = ["linear", "svr", "forest", "dnn", "dnn_lrp", "lstm", "lstm_lrp"]


def test_the_papers_rows_in_their_order_and_their_rivals() -> None:
    assert [row.name for row in ROWS if row.name in PAPERS] == PAPERS
    assert set(PAPERS) < {row.name for row in ROWS}
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert list(FAMILIES) == list(dict.fromkeys(row.family for row in ROWS))
    colours = {row.family: row.colour for row in ROWS}
    assert len(set(colours.values())) == len(colours)
    assert all(row.colour == colours[row.family] for row in ROWS)


def test_what_each_row_can_do() -> None:
    assert {"linear", "dnn_lrp", "lstm_lrp"} <= {row.name for row in ROWS if row.explained}
    assert all(row.linearised == row.name.endswith("_lrp") for row in ROWS)
    assert all(row.registrable == row.explained for row in ROWS)
    for row in ROWS:
        assert not row.explained or (issubclass(row.model, (Explains, Combines)) and row.carried)
        assert not row.linearised or row.explained


def test_rows_are_found_by_family_and_by_name() -> None:
    assert [row.name for row in rows_of(["lstm", "linear"])] == ["linear", "lstm", "lstm_lrp"]
    assert plain_row("dnn").name == "dnn"
    assert row_named("market") is None
    assert linearised(["lstm", "lstm_lrp", "market"]) == [False, True, False]
