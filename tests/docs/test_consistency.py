"""Every clause of docs/consistency.md is held by tests that exist, and no other is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs" / "consistency.md").read_text(encoding="utf-8")
CLAUSES = re.findall(r"^- \*\*([A-Z]\d+)\. ", TEXT, re.MULTILINE)
HELD = dict(re.findall(r"^\| ([A-Z]\d+) \| (.+) \|$", TEXT, re.MULTILINE))


def test_each_clause_says_what_holds_it_and_in_their_order() -> None:
    assert CLAUSES and len(set(CLAUSES)) == len(CLAUSES)
    assert list(HELD) == CLAUSES


@pytest.mark.parametrize("clause", HELD)
def test_what_holds_a_clause_is_a_test(clause: str) -> None:
    for file, named in re.findall(r"`(\S+\.py)`: ((?:`test_\w+`(?:, )?)+)", HELD[clause]):
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert set(re.findall(r"\w+", named)) <= there, file
    assert re.sub(r"`\S+\.py`: (?:`test_\w+`(?:, )?)+(?:; )?", "", HELD[clause]) == ""
