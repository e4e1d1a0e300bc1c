"""Every claim of the suite says where it comes from."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from .conftest import NO_CLAIMS
from .replay import exchanges

HERE = Path(__file__).parent
SOURCES = re.compile(
    r"Recorded: (?P<exchange>\d\d .+)"
    r"|(API conventions|API concepts|Kubernetes documentation): .+"
    r"|KEP-\d+: .+"
    r"|RFC \d+.*"
    r"|Source: (?P<path>[\w./-]+\.go)"
)
RECORDED = {one.name for one in exchanges()}


def claims() -> list[tuple[str, str]]:
    """Each test function of the claims, by its file and name, with its docstring."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body if path.name not in NO_CLAIMS else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.append((f"{path.name}::{node.name}", ast.get_docstring(node) or ""))
    return found


def test_every_claim_cites_its_source() -> None:
    wrong = [f"{claim}: {source!r}" for claim, source in claims() if not SOURCES.fullmatch(source)]
    assert not wrong, f"cite one of the forms in {Path(__file__).name}"


def test_every_exchange_that_is_cited_was_recorded() -> None:
    cited = {claim: SOURCES.fullmatch(source) for claim, source in claims()}
    exchanges = {claim: found["exchange"] for claim, found in cited.items() if found and found["exchange"]}
    assert {claim: one for claim, one in exchanges.items() if one not in RECORDED} == {}


def test_no_two_claims_have_one_name() -> None:
    names = [claim.split("::")[1] for claim, _ in claims()]
    assert len(names) == len(set(names))
