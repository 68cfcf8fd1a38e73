"""``python -m drf.data build``: a panel made once and kept, month after month, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from drf.cli import build, data
from drf.data.bar_cache import kept_bars
from drf.data.changes import changes
from drf.data.daily import month_bars, read_prices
from drf.data.files import PLAIN
from drf.data.panel import check_panel, fingerprint
from drf.data.paper_descriptors import DESCRIPTORS
from tests.data.by_hand import DELISTINGS, MONTHS, prices, statements


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables of the market made by hand, and the words that name them."""
    monkeypatch.chdir(tmp_path)
    prices("none").drop(columns="market_value").to_parquet("prices.parquet")
    statements().to_parquet("statements.parquet")
    DELISTINGS.to_parquet("delistings.parquet")
    pd.DataFrame({"date": MONTHS, "close": np.linspace(100, 130, len(MONTHS))}).to_parquet("index.parquet")
    files = {"prices": "prices", "statements": "statements", "delistings": "delistings", "market_index": "index"}
    return ["data=raw", *(f"data.{key}={file}.parquet" for key, file in files.items()), "data.prices_adjusted=none"]


def made(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, pd.DataFrame, dict[str, object]]:
    build.main([*words, "--output", "panel.parquet"])
    said = capsys.readouterr().out
    return said, pd.read_parquet("panel.parquet"), json.loads(Path("panel.json").read_text())


def until(month: int) -> None:
    whole = prices("none").drop(columns="market_value")
    whole[whole["date"] <= MONTHS[month]].to_parquet("prices.parquet")


def test_a_panel_is_written_with_what_is_to_be_known_of_it(raw: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said, panel, beside = made(raw, capsys)
    assert fingerprint(panel) == fingerprint(check_panel(panel, DESCRIPTORS, 5)) == beside["fingerprint"]
    assert str(beside["fingerprint"]) in said
    assert (beside["rows"], beside["months"]) == (len(panel), ["2014-11", "2016-03"])
    assert any("returns over such a gap" in line for line in beside["treated"])  # type: ignore[attr-defined]
    assert beside["config"]["data"]["prices_adjusted"] == "none"  # type: ignore[index]
    assert sorted(path.name for path in Path().iterdir() if not path.name.startswith(".")) == [
        "delistings.parquet", "index.parquet", "panel.bars.parquet", "panel.json", "panel.parquet", "prices.parquet",
        "statements.parquet",
    ]  # fmt: skip


def test_months_that_come_are_added_and_what_changed_is_said(
    raw: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    until(72)
    made(raw, capsys)
    said, _, _ = made(raw, capsys)
    assert "no month of the prices has changed" in said
    assert "panel.parquet: nothing has changed" in said
    until(74)
    said, grown, beside = made(raw, capsys)
    assert "2 of 74 months of the prices are new or have changed (2016-02, 2016-03)" in said
    assert "ret_next is known now for 12 row(s) in 2 month(s): 2015-10, 2016-01" in said
    assert "new 26 row(s) in 5 month(s)" in said  # GAP comes back: it was listed all the time
    table = pd.read_parquet("prices.parquet")
    table.loc[(table["asset"] == "P2") & (table["date"] == MONTHS[73]), "adj_close"] *= 1.01
    table.sample(frac=1, random_state=0).to_parquet("prices.parquet")
    said, restated, _ = made(raw, capsys)
    assert "1 of 74 months of the prices are new or have changed (2016-02)" in said
    assert "MOM1 has changed for 2 row(s) in 2 month(s): 2016-02, 2016-03" in said
    Path("panel.bars.parquet").unlink()
    said, anew, _ = made(raw, capsys)
    assert "all months are summed up" in said and "nothing has changed" in said
    pd.testing.assert_frame_equal(anew, restated)
    assert beside["fingerprint"] == fingerprint(grown)


def test_kept_bars_are_those_summed_up_anew_whatever_has_changed(tmp_path: Path) -> None:
    rng, file, kept = np.random.default_rng(0), tmp_path / "prices.parquet", tmp_path / "bars.parquet"
    whole = prices("none")
    for step in range(12):
        table = whole[whole["date"] <= MONTHS[60 + step]].copy()
        for row in rng.integers(0, len(table), step % 3):
            table.iloc[row, 2 + step % 2] *= 1.5
        if step % 4 == 3:  # a day is missing, or a month in the middle, the first, or the newest
            month = [int(rng.integers(1, 60)), 0, 60 + step][step // 4]
            table = table[table["date"].dt.to_period("M") != MONTHS[month].to_period("M")]
        if step == 6:
            table = table.rename(columns={"market_value": "shares"})
        table.sample(frac=1, random_state=step).to_parquet(file)
        found, _ = kept_bars(read_prices(str(file), PLAIN), str(file), kept)
        pd.testing.assert_frame_equal(found, month_bars(str(file)), check_exact=True)


def test_another_file_is_not_taken_for_kept_bars(raw: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("statements.parquet").read_bytes()
    for name in ("statements.parquet", "notes.txt"):
        Path("notes.txt").write_text("no table")
        with pytest.raises(SystemExit) as refused:
            build.main([*raw, f"data.bars={name}", "--output", "panel.parquet"])
        assert refused.value.code == 2
        assert f"data.bars={name}: is not a file of kept bars" in capsys.readouterr().err
    assert Path("statements.parquet").read_bytes() == before
    assert not Path("panel.parquet").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "panel.csv", "data=raw"], "--output panel.csv: must end in .parquet"),
        (["--output", "nowhere/panel.parquet", "data=raw"], "the folder nowhere does not exist"),
        (["--output", "panel.parquet", "data=raw"], "data.prices has no value"),
        (["--output", "panel.parquet", "data=raww"], "raww"),
        (["--output", "panel.parquet", "data=5"], "choose one of the group's files"),
        (["--output", "panel.parquet", "data=panel", "data.pth=x"], "unknown config key data.pth (did you mean"),
        (["--output", "panel.parquet", "data=panel", "data.path=none.parquet"], "there is no such file"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["/drf/data/__main__.py", "build", *words])
    with pytest.raises(SystemExit) as refused:
        data.main()
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.glob("panel*"))


def test_macro_sensitivities_are_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build.main(["factors=paper16_macro", "data.source.stocks=30", "data.source.months=50", "--output", "panel.parquet"])
    assert {"BETA_FX", "BETA_RATES", "BETA_CPI"} <= set(pd.read_parquet("panel.parquet"))


def test_the_changes_of_a_panel_are_all_named(panel: pd.DataFrame) -> None:
    after = panel.copy()
    after.loc[3, "PER"] += 1
    after = after.drop(index=[5, 6]).assign(NEW=1.0).drop(columns="ROE")
    said = "; ".join(changes(panel, after))
    month = f"{panel['date'].iloc[0]:%Y-%m}"
    assert f"gone 2 row(s) in 1 month(s): {month}" in said
    assert f"PER has changed for 1 row(s) in 1 month(s): {month}" in said
    assert "column NEW is new" in said and "column ROE is gone" in said
    assert changes(panel, panel.copy()) == []


@pytest.mark.parametrize("name", ["prices.parquet", "statements.parquet", "delistings.parquet"])
def test_what_is_read_is_not_written_over(raw: list[str], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(name).read_bytes()
    with pytest.raises(SystemExit) as refused:
        build.main([*raw, "--output", name])
    assert refused.value.code == 2
    assert f"would be written over data.{name.removesuffix('.parquet')}={name}" in capsys.readouterr().err
    assert Path(name).read_bytes() == before


def test_another_file_is_not_taken_for_a_panel(raw: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    made(raw, capsys)
    own = Path("panel.parquet").read_bytes()
    for name, content in (("o.parquet", b"no panel"), ("o.parquet", own), ("o.json", b'{"mine": 1}')):
        Path(name).write_bytes(content)
        with pytest.raises(SystemExit) as refused:
            build.main([*raw, "--output", "o.parquet"])
        assert refused.value.code == 2
        assert "o.json beside it, exists and was not made by a build" in capsys.readouterr().err
        assert Path(name).read_bytes() == content
        Path(name).unlink()


def test_files_of_a_pattern_or_a_folder_are_not_written_over(
    raw: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, panel, _ = made(raw, capsys)
    Path("parts").mkdir()
    panel[:100].to_parquet("parts/p_1.parquet")
    panel[100:].to_parquet("parts/p_2.parquet")
    for path in ("parts", "'parts/p_*.parquet'"):
        with pytest.raises(SystemExit):
            build.main(["data=panel", f"data.path={path}", "--output", "parts/p_1.parquet"])
        assert "would be written over data.path=parts" in capsys.readouterr().err
    build.main(["data=panel", "data.path=parts", "--output", "whole.parquet"])
    assert fingerprint(pd.read_parquet("whole.parquet")) == fingerprint(panel)
    part = Path("parts/p_2.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(SystemExit):
        build.main(["data=panel", "data.path=parts", "--output", "whole.parquet"])
    assert "cannot be read as parquet" in capsys.readouterr().err


def test_a_build_beside_another_is_refused(raw: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(".panel.parquet.lock"), pytest.raises(SystemExit) as refused:
        build.main([*raw, "--output", "panel.parquet"])
    assert refused.value.code == 2
    assert "another build of it is running" in capsys.readouterr().err


def test_rows_without_a_date_are_refused_whether_bars_are_kept_or_not(
    raw: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    made(raw, capsys)
    table = pd.read_parquet("prices.parquet")
    pd.concat([table, table.tail(3).assign(date=pd.NaT)]).to_parquet("prices.parquet")
    with pytest.raises(SystemExit):
        build.main([*raw, "--output", "panel.parquet"])
    assert f"column date, 3 row(s), first row {len(table) + 1}" in capsys.readouterr().err
    table.assign(close=table["close"].mask(table.index == len(table) - 2, 0.0)).to_parquet("prices.parquet")
    with pytest.raises(SystemExit):
        build.main([*raw, "--output", "panel.parquet"])
    assert f"column close, 1 row(s), first row {len(table) - 1} (0.0)" in capsys.readouterr().err
