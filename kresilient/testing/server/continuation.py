"""The tokens that continue a list: where it stopped, and at which version it is read."""

from __future__ import annotations

import base64
import posixpath
from typing import Any, Final

from . import wire
from .go_words import base64_fault, json_fault
from .statuses import Refused, bad_request, expired

__all__ = ["encode_token", "expired_token", "read_token"]

_INVALID: Final = "continue key is not valid"
_GO_TYPES: Final = {"v": (str, "string"), "rv": (int, "int64"), "start": (str, "string")}


def encode_token(version: int, last: str, namespace: str) -> str:
    """The token that goes on behind the key *last*; with a negative *version*, at the newest then."""
    start = "/" + (last.removeprefix(namespace + "/") if namespace else last) + "\0"
    encoded = wire.encode({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


def read_token(text: str, namespace: str) -> tuple[int, str]:
    """The version and the key behind which a page begins. Raises `Refused` (400) as `DecodeContinue` says."""
    data, fault = base64_fault(text)
    if fault := fault or json_fault(data):
        raise _invalid(f"{_INVALID}: {fault}")
    token = _decoded(data)
    if token["v"] != "meta.k8s.io/v1":
        raise _invalid(f"{_INVALID}: server does not recognize this encoded version {token['v']}")
    if token["rv"] == 0:
        raise _invalid(f"{_INVALID}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not token["start"]:
        raise _invalid(f"{_INVALID}: encoded start key empty (version meta.k8s.io/v1)")
    key = token["start"] if token["start"].startswith("/") else "/" + token["start"]
    if posixpath.normpath(key) != key or key.startswith("//"):
        raise _invalid(f"{_INVALID}: {token['start']}")
    after = key[1:].removesuffix("\0")
    return token["rv"], f"{namespace}/{after}" if namespace else after


def expired_token(after: str, namespace: str) -> Refused:
    """The 410 for a token whose version is gone, with a fresh token that goes on at another version."""
    return expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter, or use the continue token in this response to retrieve the "
        "remainder of the results. Continuing with the provided token results in an inconsistent list - "
        "objects that were created, modified, or deleted between the time the first chunk was returned and "
        "now may show up in the list.",
        continue_token=encode_token(-1, after, namespace),
    )


def _invalid(message: str) -> Refused:
    return bad_request(f"invalid continue token: {message}")


def _decoded(data: bytes) -> dict[str, Any]:
    """The fields of the token, as `encoding/json` fills a struct: what is absent or null is empty."""
    token: dict[str, Any] = {"v": "", "rv": 0, "start": ""}
    found = wire.decode(data)
    if found is None:
        return token
    if not isinstance(found, dict):
        raise _mismatch(found, "value of type storage.continueToken")
    for name, value in found.items():
        field = name.lower()  # Go takes the names of fields in whichever case
        if field not in _GO_TYPES or value is None:
            continue
        kind, go_type = _GO_TYPES[field]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _mismatch(value, f"struct field continueToken.{field} of type {go_type}")
        token[field] = value
    return token


def _mismatch(value: Any, target: str) -> Refused:
    match value:
        case bool():
            found = "bool"
        case int():
            found = "number"
        case float():
            found = f"number {value!r}" if target.endswith("int64") else "number"
        case str():
            found = "string"
        case list():
            found = "array"
        case _:
            found = "object"
    return _invalid(f"{_INVALID}: json: cannot unmarshal {found} into Go {target}")
