"""JSON as Go's encoder writes it, since clients split and compare these bytes."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["decode", "encode", "encode_sorted", "same"]

_encoder = msgspec.json.Encoder()
_sorting = msgspec.json.Encoder(order="sorted")
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)

_decoder = msgspec.json.Decoder()


def decode(data: bytes) -> Any:
    """JSON bytes into plain data; raises `msgspec.DecodeError`, also for what lies too deep for Python."""
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise msgspec.DecodeError("exceeded max depth") from None


def encode(value: Any) -> bytes:
    """*value* as compact JSON, with the characters escaped that `encoding/json` escapes for HTML's sake."""
    return _escaped(_encoder.encode(value))


def encode_sorted(value: Any) -> bytes:
    """The same with the keys of every object sorted, as Go writes maps (and so custom resources)."""
    return _escaped(_sorting.encode(value))


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to a client: equal, and of equal types all the way, so that `true` is
    not 1. Numbers count by what they amount to, as `structured-merge-diff` has it."""
    if one is other:
        return True
    # Values that Python takes for different are; of equal ones nearly all have equal bytes.
    return bool(one == other) and (_sorting.encode(one) == _sorting.encode(other) or _alike(one, other))


def _alike(one: Any, other: Any) -> bool:
    """Whether equal values are of equal types."""
    if isinstance(one, dict):
        return all(_alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(map(_alike, one, other))
    return isinstance(one, bool) == isinstance(other, bool)


def _escaped(data: bytes) -> bytes:
    for plain, escape in _ESCAPES:  # none of these bytes stands outside a string in JSON
        if plain in data:
            data = data.replace(plain, escape)
    return data
