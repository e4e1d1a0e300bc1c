"""OpenAPI version 2 in protobuf, the messages of `openapiv2/OpenAPIv2.proto` in google/gnostic.

client-go asks for the document in this form alone: an older `kubectl apply` does, to check what it sends, and
`kubectl explain --output=plaintext-openapiv2` to this day.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from .. import wire
from .dialect import Schema

__all__ = ["ASKED_FOR", "MEDIA_TYPE", "in_protobuf"]

MEDIA_TYPE: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
ASKED_FOR: Final = (MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""What it may be asked for as: the second, which is no proper media type, is what client-go says."""

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_Write = Callable[[int, Any], bytes]
"""Makes a field of its number and its value."""


def in_protobuf(document: Schema) -> bytes:
    """*document*, in the form of version 2, as a message `Document`."""
    return _message("Document", document)


# --- the wire ----------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _flag(number: int, value: bool) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value % 2**64)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


# --- messages ----------------------------------------------------------------------------------------


def _any(number: int, value: Any) -> bytes:
    """An `Any`: whatever it is, as YAML, of which JSON is a part."""
    return _bytes(number, _text(2, wire.encode(value).decode()))


def _of(kind: str) -> _Write:
    return lambda number, value: _bytes(number, _message(kind, value))


def _each(write: _Write) -> _Write:
    return lambda number, values: b"".join(write(number, one) for one in values)


def _within(inner: int, write: _Write) -> _Write:
    """In a message that has nothing but this, as its field *inner*."""
    return lambda number, value: _bytes(number, write(inner, value))


def _named(write: _Write, *, inner: int = 1) -> _Write:
    """A map, as a message of pairs: the name is the first field of a pair, the value the second."""

    def written(number: int, value: Mapping[str, Any]) -> bytes:
        pairs = (_text(1, name) + write(2, one) for name, one in value.items())
        return _bytes(number, b"".join(_bytes(inner, pair) for pair in pairs))

    return written


def _additional(number: int, value: Any) -> bytes:
    """An `AdditionalPropertiesItem`: a schema, or whether there may be any."""
    return _bytes(number, _flag(2, value) if isinstance(value, bool) else _of("Schema")(1, value))


def _parameter(number: int, value: Mapping[str, Any]) -> bytes:
    """A `ParametersItem`, and the `Parameter` in it: a body, or what stands in the path or the query."""
    if value["in"] == "body":
        return _within(1, _within(1, _of("BodyParameter")))(number, value)
    where = {"query": 3, "path": 4}[value["in"]]
    kind = "QueryParameter" if where == 3 else "PathParameter"
    return _within(1, _within(2, _within(where, _of(kind))))(number, value)


_OPERATIONS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_MESSAGES: Final[dict[str, dict[str, tuple[int, _Write]]]] = {
    "Document": {
        "swagger": (1, _text),
        "info": (2, _of("Info")),
        "paths": (8, _named(_of("PathItem"), inner=2)),
        "definitions": (9, _named(_of("Schema"))),
    },
    "Info": {"title": (1, _text), "version": (2, _text)},
    "PathItem": {
        **{method: (number, _of("Operation")) for method, number in _OPERATIONS.items()},
        "parameters": (9, _each(_parameter)),
    },
    "Operation": {
        "tags": (1, _each(_text)),
        "operationId": (5, _text),
        "produces": (6, _each(_text)),
        "consumes": (7, _each(_text)),
        "parameters": (8, _each(_parameter)),
        "responses": (9, _named(_within(1, _of("Response")))),
    },
    "Response": {"description": (1, _text), "schema": (2, _within(1, _of("Schema")))},
    "BodyParameter": {
        "name": (2, _text),
        "in": (3, _text),
        "required": (4, _flag),
        "schema": (5, _of("Schema")),
    },
    "QueryParameter": {"in": (2, _text), "name": (4, _text), "type": (6, _text), "uniqueItems": (20, _flag)},
    "PathParameter": {
        "required": (1, _flag),
        "in": (2, _text),
        "name": (4, _text),
        "type": (5, _text),
        "uniqueItems": (19, _flag),
    },
    "Schema": {
        "$ref": (1, _text),
        "format": (2, _text),
        "title": (3, _text),
        "description": (4, _text),
        "default": (5, _any),
        "multipleOf": (6, _double),
        "maximum": (7, _double),
        "exclusiveMaximum": (8, _flag),
        "minimum": (9, _double),
        "exclusiveMinimum": (10, _flag),
        "maxLength": (11, _whole),
        "minLength": (12, _whole),
        "pattern": (13, _text),
        "maxItems": (14, _whole),
        "minItems": (15, _whole),
        "uniqueItems": (16, _flag),
        "maxProperties": (17, _whole),
        "minProperties": (18, _whole),
        "required": (19, _each(_text)),
        "enum": (20, _each(_any)),
        "additionalProperties": (21, _additional),
        "type": (22, _within(1, _text)),
        "items": (23, _within(1, _of("Schema"))),
        "properties": (25, _named(_of("Schema"))),
        "externalDocs": (29, _of("ExternalDocs")),
        "example": (30, _any),
    },
    "ExternalDocs": {"description": (1, _text), "url": (2, _text)},
}
_EXTENSIONS: Final = {"Operation": 13, "Schema": 31}
"""The field of a message that holds what begins with `x-`."""


def _message(kind: str, value: Mapping[str, Any]) -> bytes:
    fields, pieces = _MESSAGES[kind], []
    for name, one in value.items():
        if name in fields:
            number, write = fields[name]
            pieces.append(write(number, one))
        elif name.startswith("x-"):
            pieces.append(_bytes(_EXTENSIONS[kind], _text(1, name) + _any(2, one)))
    return b"".join(pieces)
