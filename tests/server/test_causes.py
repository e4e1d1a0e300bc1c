"""What is wrong with a field is said as Go's field errors say it."""

from __future__ import annotations

import pytest

from kresilient.testing.server import causes
from kresilient.testing.server.statuses import Cause


@pytest.mark.parametrize(
    ("cause", "reason", "message"),
    [
        (causes.required("f"), "FieldValueRequired", "Required value"),
        (causes.required("f", "say it"), "FieldValueRequired", "Required value: say it"),
        (causes.forbidden("f", "no"), "FieldValueForbidden", "Forbidden: no"),
        (causes.duplicate("f", {"b": 1, "a": 2}), "FieldValueDuplicate", 'Duplicate value: {"a":2,"b":1}'),
        (causes.invalid_value("f", "a\nb", "no"), "FieldValueInvalid", 'Invalid value: "a\\nb": no'),
        (causes.invalid_value("f", True, "no"), "FieldValueInvalid", "Invalid value: true: no"),
        (causes.invalid_value("f", 11.0, "no"), "FieldValueInvalid", "Invalid value: 11: no"),
        (causes.invalid_value("f", None, "no"), "FieldValueInvalid", 'Invalid value: "null": no'),
        (causes.invalid_type("f", "null", "no"), "FieldValueTypeInvalid", 'Invalid value: "null": no'),
        (
            causes.unsupported("f", "c", ["a", "b"]),
            "FieldValueNotSupported",
            'Unsupported value: "c": supported values: "a", "b"',
        ),
        (causes.too_long("f", 5), "FieldValueTooLong", "Too long: may not be more than 5 bytes"),
        (causes.too_many("f", 3, 1), "FieldValueTooMany", "Too many: 3: must have at most 1 item"),
    ],
)
def test_a_cause_has_the_words_of_the_server(cause: Cause, reason: str, message: str) -> None:
    assert cause == (reason, message, "f")
