"""Config maps and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import invalid_value
from kresilient.testing.server.statuses import Cause

__all__ = ["changed_config_map", "changed_secret", "config_map", "secret"]

_LIMIT: Final = 1024 * 1024
_KEY: Final = re.compile("[-._a-zA-Z0-9]+")
_KEY_WORDS: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def config_map(obj: Mapping[str, Any]) -> Iterator[Cause]:
    """The rules of a config map."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for field, keys, other in (("data", data, "binaryData"), ("binaryData", binary, "data")):
        for key in keys:
            yield from _key(field, key)
            if key in (obj.get(other) or {}):
                yield invalid_value(f"{field}[{key}]", key, f"duplicate of key present in {other}")
    size = sum(len(value.encode()) for value in data.values())
    size += sum(len(value) * 3 // 4 - value.count("=") for value in binary.values())
    if size > _LIMIT:
        yield ("FieldValueTooLong", f"Too long: may not be more than {_LIMIT} bytes", "[]")


def secret(obj: Mapping[str, Any]) -> Iterator[Cause]:
    """The rules of a secret."""
    data = obj.get("data") or {}
    for key in data:
        yield from _key("data", key)
    if sum(len(value) * 3 // 4 - value.count("=") for value in data.values()) > _LIMIT:
        yield ("FieldValueTooLong", f"Too long: may not be more than {_LIMIT} bytes", "data")


def _key(field: str, key: str) -> Iterator[Cause]:
    """A key has to be good for the name of a file."""
    said = []
    if len(key) > 253:
        said.append("must be no more than 253 characters")
    if not _KEY.fullmatch(key):
        said.append(_KEY_WORDS)
    if key in (".", ".."):
        said.append(f"must not be '{key}'")
    elif key.startswith(".."):
        said.append("must not start with '..'")
    yield from (invalid_value(f"{field}[{key}]", key, one) for one in said)


def changed_config_map(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    yield from _frozen(old, new, ("immutable", "data", "binaryData"))
    yield from config_map(new)


def changed_secret(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    if old.get("type") != new.get("type"):
        yield ("FieldValueInvalid", f'Invalid value: "{new.get("type")}": field is immutable', "type")
    yield from _frozen(old, new, ("immutable", "data"))
    yield from secret(new)


def _frozen(old: Mapping[str, Any], new: Mapping[str, Any], fields: tuple[str, ...]) -> Iterator[Cause]:
    if not old.get("immutable"):
        return
    for field in fields:
        if (new.get(field) or None) != (old.get(field) or None):
            said = "Forbidden: field is immutable when `immutable` is set"
            yield ("FieldValueForbidden", said, field)
