"""Every sentence that a person reads: how docstrings begin, and how long the documentation's sentences are."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from statistics import mean

import pytest

from tests.programs.processes import ROOT
from tests.test_documentation import PAGES

UNCLEAR = ("What", "Whether", "Of", "Those", "That", "How", "Who", "Whose", "Which")
"""First words of a head without a noun or a verb: a reader has to look for them."""

PROSE = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))]
LONGEST = 35  # words
USUAL = 18  # words, in the mean over all pages

NO_PROSE = re.compile(
    r"\A---\n.*?\n---\n|```.*?```|<!--.*?-->|\$\$.*?\$\$|^(?:\||#|    ).*?$|(?<=\])\([^)]*\)", re.DOTALL | re.MULTILINE
)


def heads(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, nodes))
    return [text.splitlines()[0] for text in texts if text]


def sentences(page: Path) -> list[str]:
    text = NO_PROSE.sub(lambda found: "\n\n" if "\n" in found[0] else "", page.read_text(encoding="utf-8"))
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*[*-] |\s*\d+\. )", text)
    joined = (" ".join(paragraph.split()) for paragraph in paragraphs)
    return [one for paragraph in joined for one in re.split(r"(?<=[.!?:])\s+(?=[A-Z`*\[(0-9])", paragraph) if one]


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    found = {
        f"{file.relative_to(ROOT)}: {head}"
        for file in sorted((ROOT / "drf").rglob("*.py"))
        for head in heads(file)
        if head.split()[0].rstrip(",:") in UNCLEAR
    }
    assert found == set()


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_no_sentence_of_the_documentation_is_long(page: Path) -> None:
    assert [one for one in sentences(page) if len(one.split()) > LONGEST] == []


def test_the_documentations_sentences_are_short_in_the_mean() -> None:
    assert mean(len(one.split()) for page in PROSE for one in sentences(page) if len(one.split()) > 2) <= USUAL
