"""In which form an answer is sent: the `Accept` header, and whether it is written for people to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from .forms import Form, MetadataForm, ObjectForm
from .go_words import quote
from .kinds import ApiResource
from .media_ranges import media_ranges
from .requests import Call
from .statuses import Refused, bad_request, not_acceptable, not_emulated
from .table import TableForm

__all__ = ["Shape", "accepts_gzip", "negotiated", "pretty", "wants_pretty"]

JSON: Final = "application/json"
_OTHERS: Final = frozenset({"application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"})
_METADATA: Final = ("PartialObjectMetadata", "PartialObjectMetadataList")
_BROWSERS: Final = ("curl", "Wget", "Mozilla/5.0")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})

Shape = Literal["object", "list", "watch"]
"""What is shown: one object, a list, or the events of a watch."""


def negotiated(call: Call, resource: ApiResource, shape: Shape, *, now: Callable[[], float]) -> Form:
    """The form that the client likes best among those there are.

    Raises `Refused`: 400 for a table of what there is not, 406 where it likes none, 501 where it takes only
    what the real server can send and this one cannot.
    """
    others = False
    for accepted in media_ranges(call.headers.get("accept", "")):
        if accepted.media_type in _OTHERS:
            others = True
        if not accepted.covers(JSON):
            continue
        wanted = accepted.parameters
        kind = wanted.get("as", "")
        if not kind:
            return ObjectForm(resource)
        if wanted.get("g") != "meta.k8s.io" or wanted.get("v") != "v1":
            others = others or (wanted.get("g"), wanted.get("v")) == ("meta.k8s.io", "v1beta1")
            continue
        if kind in _METADATA:
            if shape != "watch" and (kind == "PartialObjectMetadataList") != (shape == "list"):
                raise _misshapen(kind, resource, shape)
            return MetadataForm(resource)
        if kind == "Table":
            return TableForm(resource, now=now, include=_included(call.query.get("includeObject", "")))
    if others:
        raise not_emulated("answers in YAML, CBOR, protobuf or meta.k8s.io/v1beta1: accept application/json")
    raise not_acceptable()


def _included(asked: str) -> str:
    """What of each object a table carries along. Raises `Refused`: 400 for what there is not."""
    if asked not in ("", "Metadata", "Object", "None"):
        said = f"includeObject: Invalid value: {quote(asked)}: must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {said}")
    return asked or "Metadata"


def _misshapen(kind: str, resource: ApiResource, shape: Shape) -> Refused:
    is_list = shape == "list"
    package = "core" if resource.group in ("", "events.k8s.io") else resource.group.partition(".")[0]
    go_type = f"*{package}.{resource.list_kind if is_list else resource.kind}"
    if resource.custom:
        go_type = "*unstructured.UnstructuredList" if is_list else "*unstructured.Unstructured"
    said = "is a list" if is_list else "is not a list"
    message = f"you requested {kind}, but the requested object {said} ({go_type})"
    return Refused(406, "NotAcceptable", message)


# --- for people --------------------------------------------------------------------------------------


def wants_pretty(call: Call) -> bool:
    """Whether JSON is indented: where `pretty` says so, else for a browser or a tool on the command line."""
    if asked := call.query.get("pretty"):
        return asked in _TRUE
    return call.headers.get("user-agent", "").startswith(_BROWSERS)


def pretty(body: bytes) -> bytes:
    """*body* indented as `json.MarshalIndent` does; what is no JSON stays as it is."""
    try:
        return msgspec.json.format(body, indent=2)
    except msgspec.DecodeError:
        return body


# --- compression -------------------------------------------------------------------------------------


def accepts_gzip(header: str) -> bool:
    """Whether the `Accept-Encoding` *header* names gzip, and nothing more: the server reads no qualities, so
    that `gzip;q=0`, and `gzip;q=1` too, get an answer as it is."""
    return any(part.strip() == "gzip" for part in header.split(","))
