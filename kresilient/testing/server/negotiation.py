"""In which form an answer is sent: the `Accept` header, and whether it is written for people to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from .forms import Form, MetadataForm, ObjectForm
from .kinds import ApiResource
from .requests import Call
from .statuses import Refused, not_acceptable, not_emulated
from .table import TableForm

__all__ = ["Shape", "accepts_gzip", "negotiated", "pretty", "wants_pretty"]

JSON: Final = ("application", "json")
_OTHERS: Final = frozenset(
    {("application", "yaml"), ("application", "vnd.kubernetes.protobuf"), ("application", "cbor")}
)
_METADATA: Final = ("PartialObjectMetadata", "PartialObjectMetadataList")
_BROWSERS: Final = ("curl", "Wget", "Mozilla/5.0")
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})

Shape = Literal["object", "list", "watch"]
"""What is shown: one object, a list, or the events of a watch."""


def negotiated(call: Call, resource: ApiResource, shape: Shape, *, now: Callable[[], float]) -> Form:
    """The form that the client likes best among those there are.

    Raises `Refused`: 406 where it likes none, 501 where it takes only what the real server can send and this
    one cannot.
    """
    others = False
    for media_type, wanted in _clauses(call.headers.get("accept") or "*/*"):
        if media_type in _OTHERS:
            others = True
        if media_type not in (JSON, ("application", "*"), ("*", "*")):
            continue
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
            return TableForm(resource, now=now, include=call.query.get("includeObject") or "Metadata")
    if others:
        raise not_emulated("answers in YAML, CBOR, protobuf or meta.k8s.io/v1beta1: accept application/json")
    raise not_acceptable()


def _clauses(accept: str) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    """The media ranges of the header with their parameters, the most wanted first."""
    found: list[tuple[float, tuple[str, str], dict[str, str]]] = []
    for clause in accept.split(","):
        media_range, *parameters = (part.strip() for part in clause.split(";"))
        named = {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in parameters)}
        kind, _, subtype = media_range.partition("/")
        if kind == "*" and not subtype:
            subtype = "*"
        try:
            quality = float(named.pop("q", "1"))
        except ValueError:
            quality = 1.0
        found.append((quality, (kind, subtype), named))
    found.sort(key=lambda one: (-one[0], one[1][0] == "*", one[1][1] == "*"))
    return ((media_type, named) for _, media_type, named in found)


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
