"""What an outsider sees of a release: one version, complete packages, typed, described."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import drf

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    folders = {"drf"} | {f"drf.{file.parent.name}" for file in (ROOT / "drf").glob("*/__init__.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders | {"drf.conf"}


def test_every_config_and_template_is_packed() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for package, folder in (("drf.conf", ROOT / "conf"), ("drf.reporting", ROOT / "drf" / "reporting")):
        packed = {file for pattern in data[package] for file in folder.glob(pattern)}
        assert {file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")} == packed
    assert (ROOT / "drf" / "py.typed").is_file() and data["drf"] == ["py.typed"]


def test_the_version_stands_in_one_place() -> None:
    version = (ROOT / "drf" / "lrp" / "VERSION").read_text().strip()
    assert drf.__version__ == version
    for file in ("pyproject.toml", "packaging/lrp/pyproject.toml"):
        project = tomllib.loads((ROOT / file).read_text())["project"]
        assert project["dynamic"] == ["version"] and "version" not in project
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert re.search(rf"^## {re.escape(version)}", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
