from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.cli import data
from drf.data.inspection import by_descriptor, by_month, coverage, findings, refusal
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket


@pytest.fixture
def panel() -> pd.DataFrame:
    return SimulatedMarket(60, 40, seed=4, exits=0.01).panel()


def test_a_good_panel_gives_little_to_say(panel: pd.DataFrame) -> None:
    assert refusal(panel, DESCRIPTORS, 5) == ""
    said = findings(panel, DESCRIPTORS)
    assert not [line for line in said if "outliers" not in line]


def test_months_are_counted_as_by_hand() -> None:
    dates = pd.to_datetime(["2000-01-31", "2000-02-29", "2000-03-31"])
    rows = [(0, "A", 0.1), (0, "B", 0.3), (1, "A", -0.1), (1, "C", np.nan), (2, "C", np.nan)]
    panel = pd.DataFrame([(dates[k], name, ret, 1.0 if name == "A" else np.nan) for k, name, ret in rows])
    panel.columns = ["date", "asset", "ret_next", "PER"]
    table = by_month(panel, ["PER"]).set_index("month")
    assert table["stocks"].tolist() == [2, 2, 1]
    assert table["entries"].tolist() == [2, 1, 0] and table["leavers"].tolist() == [0, 1, 1]
    assert table["known"].tolist() == [0.5, 0.5, 0.0]
    assert table["return_mean"].iloc[0] == pytest.approx(0.2) and table["return_max"].iloc[0] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("ROE", lambda p: p["ROE"].where(p["date"] > p["date"].min() + pd.offsets.MonthEnd(3)), "ROE is empty in"),
        ("ROE", lambda p: p["ROE"].where(np.arange(len(p)) % 3 == 0), "ROE is known for"),
        ("PER", lambda p: p["ret_next"].fillna(0.0), "PER has a rank IC of 1.00 with the next return"),
        ("PBR", lambda p: p.groupby("asset")["PBR"].transform("first").fillna(0.0), "PBR hardly ever changes"),
        ("SKEW", lambda p: p["SKEW"] * np.where(np.arange(len(p)) % 20, 1.0, 1e4), "far outliers: SKEW"),
        ("ret_next", lambda p: 100 * p["ret_next"].clip(lower=0), "ret_next is above 200 %"),
        ("date", lambda p: p["date"] - pd.Timedelta(days=10), "is not a month end"),
    ],
)
def test_what_is_wrong_is_said(panel: pd.DataFrame, column: str, values: object, message: str) -> None:
    assert callable(values)
    worse = panel.assign(**{column: values(panel)})
    assert any(message in line for line in [refusal(worse, DESCRIPTORS, 5), *findings(worse, DESCRIPTORS)])


def test_survivors_are_noticed() -> None:
    panel = SimulatedMarket(60, 40, seed=4, exits=0.0).panel()
    assert any("leave a year" in line for line in findings(panel, DESCRIPTORS))


def test_coverage_and_numbers_agree_with_counting(panel: pd.DataFrame) -> None:
    month = panel["date"].iloc[0]
    assert coverage(panel, DESCRIPTORS).loc[month, "ROE"] == panel.loc[panel["date"] == month, "ROE"].notna().mean()
    line = by_descriptor(panel, DESCRIPTORS).set_index("descriptor").loc["ROE"]
    assert line["known"] == panel["ROE"].notna().mean()
    months = panel[["date", "ROE", "ret_next"]].dropna().groupby("date")
    assert line["ic"] == pytest.approx(np.mean([m["ROE"].corr(m["ret_next"], method="spearman") for _, m in months]))


def test_the_command_prints_a_table_and_draws_the_coverage(
    panel: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    panel.drop(columns="PCFR").to_csv(tmp_path / "panel.csv", index=False)
    command = [sys.executable, "-m", "drf.data", "inspect"]
    done = subprocess.run([*command, "panel.csv"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for part in ("40 months from 1990-12 to 1994-03", "not there: PCFR: run with data.descriptors=[VOL60,"):
        assert part in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["panel.csv"]  # nothing is written that was not asked for
    monkeypatch.setattr(sys, "argv", ["/drf/data/__main__.py", "inspect", "panel.csv", "--figure", "coverage.png"])
    data.main()
    assert "coverage.png" in capsys.readouterr().out
    assert (tmp_path / "coverage.png").stat().st_size > 10_000
    holes = panel[~panel["date"].isin(panel["date"].unique()[[3, 9]])]
    holes.to_csv(tmp_path / "holes.csv", index=False, date_format="%d.%m.%Y")
    monkeypatch.setattr(sys, "argv", ["/drf/data/__main__.py", "inspect", "holes.csv"])
    data.main()
    assert "2 month(s) have no row: 1991-03, 1991-09" in capsys.readouterr().out
    padded = panel.assign(asset=panel["asset"].where(panel["date"] > "1992-06-30", panel["asset"] + " "))
    padded.drop(columns="ret_next").to_csv(tmp_path / "padded.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["/drf/data/__main__.py", "inspect", "padded.csv"])
    data.main()
    said = capsys.readouterr().out
    assert f"{panel['asset'].nunique():,} stocks" in said and "no column ret_next" in said
    panel.assign(ROE=panel["ROE"].astype(object).mask(panel.index == 7, "lots")).to_csv(tmp_path / "bad.csv")
    for words, message in (
        (["nowhere.csv"], "there is no such file"),
        (["panel.csv", "--descriptors", "X"], "none of"),
        (["bad.csv"], "bad.csv: column ROE, row 8: not a number ('lots')"),  # as a training would say
    ):
        monkeypatch.setattr(sys, "argv", ["/drf/data/__main__.py", "inspect", *words])
        with pytest.raises(SystemExit) as refused:
            data.main()
        said = capsys.readouterr().err
        assert refused.value.code == 2
        assert said.startswith("drf.data: ")
        assert message in said
        assert said.count("\n") == 1


def test_the_command_is_told_what_a_file_does_not_say(
    panel: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = panel.assign(asset="株" + panel["asset"], ROE=panel["ROE"].astype(object).mask(panel.index % 9 == 7, "B"))
    marked.to_csv(tmp_path / "panel.csv", index=False, encoding="cp932")
    words = ["inspect", str(tmp_path / "panel.csv")]
    monkeypatch.setattr(sys, "argv", ["/drf/data/__main__.py", *words, "--encoding", "cp932", "--unknown", "B,-99"])
    data.main()
    assert f"{panel['asset'].nunique():,} stocks" in capsys.readouterr().out
    for missing, message in ((["--encoding", "cp932"], "not a number ('B')"), (["--unknown", "B"], "is not UTF-8")):
        monkeypatch.setattr(sys, "argv", ["/drf/data/__main__.py", *words, *missing])
        with pytest.raises(SystemExit):
            data.main()
        assert message in capsys.readouterr().err
