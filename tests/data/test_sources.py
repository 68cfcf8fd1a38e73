from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from drf.data.panel import check_panel
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.sources import PanelFile
from drf.errors import InputError


def test_parquet_and_csv_give_the_same_panel(panel: pd.DataFrame, tmp_path: Path) -> None:
    panel.to_parquet(tmp_path / "panel.parquet")
    panel.to_csv(tmp_path / "panel.csv", index=False)
    tables = [
        check_panel(PanelFile(str(tmp_path / f"panel.{kind}")).panel(), DESCRIPTORS, 5) for kind in ("parquet", "csv")
    ]
    pd.testing.assert_frame_equal(*tables)


def test_asset_codes_in_csv_keep_their_leading_zeros(panel: pd.DataFrame, tmp_path: Path) -> None:
    panel.assign(asset=panel["asset"].str[1:]).to_csv(tmp_path / "panel.csv", index=False)
    assert PanelFile(str(tmp_path / "panel.csv")).panel()["asset"].iloc[0] == "0000"


def test_a_company_may_be_called_na(panel: pd.DataFrame, tmp_path: Path) -> None:
    panel.assign(asset=panel["asset"].replace("S0003", "NA")).to_csv(tmp_path / "panel.csv", index=False)
    assert "NA" in set(check_panel(PanelFile(str(tmp_path / "panel.csv")).panel(), DESCRIPTORS, 5)["asset"])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.parquet", None, "no such file"),
        ("empty.csv", b"", "empty"),
        ("broken.parquet", b"this is not parquet", "cannot be read as parquet"),
        ("panel.xlsx", b"PK", "cannot be read as Excel"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        PanelFile(str(tmp_path / name)).panel()
