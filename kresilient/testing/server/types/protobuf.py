"""Objects of built-in kinds in protobuf, as typed Go clients (and some kubectl commands) send them.

Requests are read; answers are JSON, which every client that speaks protobuf accepts too. The frame is
`k8s\\0` and a `runtime.Unknown`, the message in it that of the kind; see
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from .schema import Field, List, Map, Scalar, Struct, Type, builtin_types

__all__ = ["MEDIA_TYPE", "ProtobufFault", "read_protobuf"]

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST: Final = 100


class ProtobufFault(ValueError):
    """Bytes that are no object in protobuf; the message says what is wrong with them."""


def read_protobuf(body: bytes) -> dict[str, Any]:
    """The object in *body*, as its JSON would be decoded; fields of a later version are dropped.

    Raises `ProtobufFault`.
    """
    if not body.startswith(_MAGIC):
        raise ProtobufFault(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    envelope = dict(_fields(body[len(_MAGIC) :]))
    about = dict(_fields(_message(envelope.get(1, b""))))
    api_version, kind = _text(about.get(1, b"")), _text(about.get(2, b""))
    group, _, version = api_version.rpartition("/")
    found = builtin_types().of_kind(group, version, kind)
    if found is None and kind == "DeleteOptions":  # it comes under the version of what is deleted
        found = builtin_types()["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]
    if found is None:
        raise ProtobufFault(f'no kind "{kind}" is registered for version "{api_version}"')
    value = _struct(found, [_message(envelope.get(2, b""))], 0)
    return {"kind": kind, "apiVersion": api_version} | value


# --- the wire ----------------------------------------------------------------------------------------


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number, and a whole number or bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ProtobufFault(f"illegal tag 0 (wire type {wire})")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ProtobufFault(f"wrong wireType = {wire} for field {number}")
        if at + size > end:
            raise ProtobufFault("unexpected EOF")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ProtobufFault("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
        if shift >= 64:
            raise ProtobufFault("integer overflow")


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtobufFault("wrong wireType = 0 for a message")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ProtobufFault("wrong wireType = 2 for a number")
    return value - 2**64 if value >= 2**63 else value


def _int32(value: int | bytes) -> int:
    """A whole number of which an `int32` keeps the lowest bits, as the generated decoders do."""
    return (_number(value) + 2**31) % 2**32 - 2**31


def _text(value: int | bytes) -> str:
    try:
        return _message(value).decode()
    except UnicodeDecodeError:
        raise ProtobufFault("a string is no UTF-8") from None


# --- by type -----------------------------------------------------------------------------------------


def _struct(kind: Struct, parts: list[bytes], depth: int) -> dict[str, Any]:
    """The struct whose message is *parts* one after the other, as protobuf joins one that comes twice."""
    if depth > _DEEPEST:
        raise ProtobufFault("the object is nested too deep")
    return _inlined(list(kind.fields.values()), b"".join(parts), 0, depth)


def _inlined(fields: list[Field], data: bytes, level: int, depth: int) -> dict[str, Any]:
    """Those of *fields* that *data* holds, a message that is inlined *level* deep."""
    came: dict[int, list[int | bytes]] = {}
    for number, value in _fields(data):
        came.setdefault(number, []).append(value)
    made: dict[str, Any] = {}
    below: dict[int, list[Field]] = {}
    for field in fields:
        place = field.number
        if len(place) <= level or place[level] not in came:
            continue
        if len(place) > level + 1:
            below.setdefault(place[level], []).append(field)
        else:
            made[field.name] = _value(field.type, came[place[level]], depth)
    for number, inner in below.items():
        joined = b"".join(_message(one) for one in came[number])
        made |= _inlined(inner, joined, level + 1, depth)
    return made


def _value(kind: Type, came: list[int | bytes], depth: int) -> Any:
    if isinstance(kind, List):
        return [_value(kind.element, [one], depth) for one in came]
    if isinstance(kind, Map):
        return dict(_entry(kind.element, _message(one), depth) for one in came)
    if isinstance(kind, Struct):
        return _struct(kind, [_message(one) for one in came], depth + 1)
    assert isinstance(kind, Scalar)
    return _scalar(kind.name, came[-1])


def _entry(element: Type, data: bytes, depth: int) -> tuple[str, Any]:
    came: dict[int, list[int | bytes]] = {}
    for number, value in _fields(data):
        came.setdefault(number, []).append(value)
    key = _text(came.get(1, [b""])[-1])
    if isinstance(element, List):  # a list has a message of its own here, such as ExtraValue
        items = [one for number, one in _fields(_message(came.get(2, [b""])[-1])) if number == 1]
        return key, _value(element, items, depth)
    if 2 not in came:
        return key, {} if isinstance(element, Struct | Map) else ""
    return key, _value(element, came[2], depth)


def _scalar(name: str, value: int | bytes) -> Any:
    match name:
        case "string":
            return _text(value)
        case "bool":
            return bool(_number(value))
        case "int32":
            return _int32(value)
        case "int64":
            return _number(value)
        case "float64":
            data = _message(value)
            if len(data) != 8:
                raise ProtobufFault("wrong wireType for a float64")
            return struct.unpack("<d", data)[0]
        case "bytes":
            return base64.b64encode(_message(value)).decode()
    parts = dict(_fields(_message(value)))
    match name:
        case "Time" | "MicroTime":
            if not parts:  # Go's zero time
                return None
            return _time(_number(parts.get(1, 0)), _number(parts.get(2, 0)), micro=name == "MicroTime")
        case "Quantity":
            return _text(parts.get(1, b"")) or "0"
        case "IntOrString":
            return _text(parts.get(3, b"")) if parts.get(1) else _int32(parts.get(2, 0))
        case "Duration":
            return f"{_number(parts.get(1, 0)) / 1e9:g}s"
    raw = _message(parts.get(1, b""))  # RawExtension, FieldsV1, JSON: JSON in a message
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtobufFault(f"an embedded value is no JSON: {error}") from None


def _time(seconds: int, nanos: int, *, micro: bool) -> str:
    try:
        moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds, microseconds=nanos // 1000)
    except OverflowError:
        raise ProtobufFault("a time is out of range") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")
