"""Whole resources inside of a custom resource (`x-kubernetes-embedded-resource`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..causes import invalid_value, required
from ..statuses import Cause
from ..types.decode import DecodeFault, decoded
from .structure import EMBEDDED, Schema, additional, object_meta

__all__ = ["LABEL_1035_RULE", "embedded_faults", "is_label_1035"]

_LABEL_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_1035_RULE: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def is_label_1035(text: str) -> bool:
    """Whether *text* is a label as RFC 1035 has it."""
    return len(text) <= 63 and _LABEL_1035.fullmatch(text) is not None


def embedded_faults(schema: Schema | None, value: Any, path: str = "") -> Iterator[Cause]:
    """What is wrong with the type and the metadata of resources anywhere in *value*."""
    if schema is None:
        return
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from embedded_faults(schema.get("items"), one, f"{path}[{index}]")
    elif isinstance(value, dict):
        if schema.get(EMBEDDED):
            yield from _resource(value, path)
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        others = additional(schema)
        for key in sorted(value):
            if key in properties:
                yield from embedded_faults(properties[key], value[key], f"{path}.{key}" if path else key)
            elif others is not None:
                yield from embedded_faults(others, value[key], f"{path}[{key}]")


def _resource(obj: dict[str, Any], path: str) -> Iterator[Cause]:
    for field in ("apiVersion", "kind"):
        where = f"{path}.{field}"
        value = obj.get(field)
        if field not in obj:
            yield required(where)
        elif not isinstance(value, str):
            yield invalid_value(where, value, "must be a string")
        elif not value:
            yield invalid_value(where, value, "must not be empty")
        elif field == "apiVersion" and value.count("/") > 1:
            yield invalid_value(where, value, f"unexpected GroupVersion string: {value}")
        elif field == "kind" and not is_label_1035(value.lower()):
            why = f"may have mixed case, but should otherwise match: {LABEL_1035_RULE}"
            yield invalid_value(where, value, why)
    try:
        decoded(object_meta(), obj.get("metadata") or {})
    except DecodeFault as fault:
        yield invalid_value(f"{path}.metadata", obj["metadata"], str(fault))
