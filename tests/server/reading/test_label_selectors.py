"""Label selectors mean, and fail, as in `k8s.io/apimachinery/pkg/labels`."""

from __future__ import annotations

import pytest

from kresilient.testing.server.selectors import LabelQuery
from kresilient.testing.server.statuses import Refused

NAME = "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'"
KEY_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is {NAME})"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
UNABLE = "unable to parse requirement: "
NO_INTEGER = "for 'Gt', 'Lt' operators, the value must be an integer"
OPERATORS = "in, notin, =, ==, !=, gt, lt"


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a===b", UNABLE + "found '=', expected: identifier"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        ("!", UNABLE + "found '', expected: identifier"),
        ("a b", UNABLE + f"found 'b', expected: {OPERATORS}"),
        ("a (b)", UNABLE + f"found '(', expected: {OPERATORS}"),
        ("a in b", UNABLE + "found 'b' expected: '('"),
        ("a in (=)", UNABLE + "found '=', expected: ',', ')' or identifier"),
        ("a in (b c)", UNABLE + "found 'c', expected: ',' or ')'"),
        ("a in (b,=)", UNABLE + "found '=', expected: ',', or identifier"),
        ("a in (b", UNABLE + "found '', expected: ',' or ')'"),
        ("a-=b", UNABLE + f'<nil>: Invalid value: "a-": name part {KEY_RULE}'),
        ("/a", UNABLE + '<nil>: Invalid value: "/a": prefix part must be non-empty'),
        (
            "x/=b",
            UNABLE + f'<nil>: Invalid value: "x/": name part must be non-empty; name part {KEY_RULE}',
        ),
        (
            "a/b/c",
            UNABLE + f'<nil>: Invalid value: "a/b/c": a valid label key {KEY_RULE} with an optional DNS '
            "subdomain prefix and '/' (e.g. 'example.com/MyName')",
        ),
        (
            f"{'k' * 64}=v",
            UNABLE + f'<nil>: Invalid value: "{"k" * 64}": name part must be no more than 63 bytes',
        ),
        ("a=b_", UNABLE + f'values[0][a]: Invalid value: "b_": {VALUE_RULE}'),
        (
            "a in (ok,b_)",
            UNABLE + f'values[0][a]: Invalid value: "b_": {VALUE_RULE}',
        ),
        (
            f"a={'v' * 64}",
            UNABLE + f'values[0][a]: Invalid value: "{"v" * 64}": must be no more than 63 bytes',
        ),
        (
            "a>b",
            UNABLE
            + "values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "a<",
            UNABLE + f'values[0]: Invalid value: "": {NO_INTEGER}',
        ),
        (
            "a>b_",
            UNABLE + f'[values[0]: Invalid value: "b_": {NO_INTEGER}, '
            f'values[0][a]: Invalid value: "b_": {VALUE_RULE}]',
        ),
    ],
)
def test_a_selector_that_does_not_parse_is_refused_in_the_words_of_go(selector: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        LabelQuery.parse(selector)
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("selector", "met"),
    [
        ("", True),
        (" \t", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier", True),
        ("app=api", False),
        ("app!=api", True),
        ("app!=web", False),
        ("none!=web", True),
        ("app", True),
        ("none", False),
        ("!none", True),
        ("! app", False),
        ("app in (web,api)", True),
        ("app in (api)", False),
        ("app in ()", False),
        ("empty in ()", True),
        ("empty in (,x)", True),
        ("empty in (x,,y)", True),
        ("app notin (web)", False),
        ("none notin (web)", True),
        ("empty=", True),
        ("empty==", True),
        ("empty!=", False),
        ("empty", True),
        ("none=", False),
        ("app in (in,notin)", False),
        ("in", False),
        ("notin!=in", True),
        ("size>9", True),
        ("size>10", False),
        ("size<11", True),
        ("app>1", False),
        ("none<1", False),
        ("app\0=web", True),
    ],
)
def test_a_selector_is_met(selector: str, met: bool) -> None:
    labels = {"app": "web", "tier": "front", "empty": "", "size": "10"}
    assert LabelQuery.parse(selector).matches(labels) is met
