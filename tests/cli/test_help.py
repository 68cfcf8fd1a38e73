"""The help names everything that can be chosen."""

from __future__ import annotations

import re

import pytest

from drf.cli.help import COMMANDS, GROUPS, command_help, overview
from drf.data.paper_descriptors import DESCRIPTORS
from drf.experiment.config_folder import CONFIG_DIR


def test_the_overview_names_every_command() -> None:
    assert all(re.search(rf"^  {command}\s+\w", overview(), re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize("command", GROUPS)
def test_every_choice_has_a_meaning(command: str) -> None:
    text = command_help(command)
    for group in GROUPS[command]:
        assert f"  {group}=\n" in text
        for file in (CONFIG_DIR / group).glob("*.yaml"):
            assert re.search(rf"^    {file.stem} +\S+ \S+ \S+", text, re.MULTILINE), f"{group}={file.stem}"


def test_the_help_on_data_says_what_a_panel_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from drf.cli.data import main

    monkeypatch.setattr("sys.argv", ["drf data", "--help"])
    main()
    printed = capsys.readouterr().out.split()
    assert {"date", "asset", "ret_next", *DESCRIPTORS} <= {word.strip(",") for word in printed}
