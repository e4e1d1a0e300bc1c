"""The clients' parsers and the server's are two pieces of code: here they are asked the same questions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kresilient.api.errors import SelectorError
from kresilient.api.field_selectors import FieldSelector
from kresilient.api.label_selectors import LabelSelector
from kresilient.testing.server.kinds import Registry
from kresilient.testing.server.selectors import FieldQuery, LabelQuery
from kresilient.testing.server.statuses import Refused

PODS = Registry().parse("v1/pods")

WORDS = ["a", "b1", "in", "notin", "x.io/y", "-", "9", "12", "_"]
PIECES = [*WORDS, "=", "==", "!=", "!", "(", ")", ",", ">", "<", " "]
LABELS = st.dictionaries(
    st.sampled_from(["a", "b1", "x.io/y", "in", "9"]), st.sampled_from(["", "a", "9", "12"])
)
FIELDS = ["metadata.name", "spec.nodeName", "spec.foo", "=", "==", "!=", ",", "\\", "\\,", "\\=", "n1", "a"]


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), LABELS)
def test_a_label_selector_is_taken_by_both_or_none_and_means_the_same(
    text: str, labels: dict[str, str]
) -> None:
    try:
        query = LabelQuery.parse(text)
    except Refused:
        query = None
    try:
        selector = LabelSelector.parse(text)
    except SelectorError:
        selector = None
    if text.strip(" "):
        assert (selector is None) == (query is None)
    else:
        assert query is not None, "blanks select everything, and a client takes them for a mistake"
    if selector is not None and query is not None:
        assert selector.matches(labels) is query.matches(labels)
        assert LabelQuery.parse(str(selector)).matches(labels) is query.matches(labels)


@given(st.lists(st.sampled_from(FIELDS), max_size=7).map("".join))
def test_what_a_client_takes_for_a_field_selector_the_server_takes_too(text: str) -> None:
    try:
        selector = FieldSelector.parse(text)
        selector.compile(PODS.resource)
    except SelectorError:
        return
    asked = {(one.field, one.operator.value == "=", one.value) for one in selector.requirements}
    assert set(FieldQuery.parse(text, PODS).terms) == asked
    assert set(FieldQuery.parse(str(selector), PODS).terms) == asked
