"""Objects as they are read from a request and written to storage: typed, pruned, with defaults, in order.

What depends on one kind is in `builtin`, for custom resources in their schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from . import wire
from .builtin import conversion
from .builtin.defaults import default
from .forms import ordered_metadata
from .kinds import ApiResource
from .request_text import in_order
from .statuses import Refused, bad_request, unpatchable
from .storage import Stored
from .strict_decoding import duplicate_fields, heeded, strict_faults, unknown_fields
from .types.decode import DecodeFault, decoded
from .types.schema import builtin_types
from .types.untyped import untyped
from .writing import Write

__all__ = [
    "empty_object",
    "encode_ordered",
    "ordered",
    "read_object",
    "stored_at",
    "stored_form",
    "timestamp",
]


def timestamp(seconds: float) -> str:
    """Wall-clock *seconds* as RFC 3339 with whole seconds, as metadata has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stored_form(resource: ApiResource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """*obj* as it is stored, with its fields in order; `encode_ordered` makes the bytes of it. Raises
    `Refused` (400) for a value of a wrong type."""
    made = ordered(resource, obj)
    if resource.converted:
        group, version, _ = conversion.STORED_AS[resource.place]
        stored = builtin_types().of_kind(group, version, resource.kind)
        assert stored is not None
        made = decoded(stored, conversion.to_storage(resource.place, made))
    return made


def ordered(resource: ApiResource, obj: Mapping[str, Any]) -> dict[str, Any]:
    """*obj* of a built-in kind with its fields in the server's order, without what its type does not have; of
    a custom resource with its numbers as the server writes them."""
    if resource.custom:
        return {name: one if name == "metadata" else untyped(one) for name, one in obj.items()}
    try:
        return decoded(resource.type, obj)
    except DecodeFault as fault:
        raise _unreadable(resource, str(fault), None) from None


def encode_ordered(resource: ApiResource, obj: Mapping[str, Any]) -> bytes:
    """The bytes that are stored of an object whose fields are in order: see `Stored.item`."""
    if resource.custom:
        metadata = {key: value for key, value in obj["metadata"].items() if value not in (None, "", [], {})}
        rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
        return wire.encode_sorted({"kind": resource.kind, "metadata": metadata} | rest)
    metadata = ordered_metadata(obj["metadata"])
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    return wire.encode({"metadata": metadata} | rest)


def stored_at(
    resource: ApiResource, key: str, version: int, form: dict[str, Any], *, shows: bool = True
) -> Stored:
    """What is stored of *form* at *version*, which it *shows*, with what is looked up often at hand."""
    if shows:
        form["metadata"]["resourceVersion"] = str(version)
    labels = form["metadata"].get("labels") or {}
    spec = form.get("spec")
    node = spec.get("nodeName") if resource.storage == ("", "pods") and isinstance(spec, dict) else None
    return Stored(
        key,
        version,
        encode_ordered(resource, form),
        node if isinstance(node, str) else "",
        False,
        labels,
        resource.shape,
    )


def read_object(
    resource: ApiResource,
    obj: Mapping[str, Any],
    write: Write,
    *,
    patched: Callable[[], str] | None = None,
) -> dict[str, Any]:
    """*obj* as the server reads it from a request: typed, pruned, with defaults.

    *patched* makes the text by which a refusal shows *obj*, where a patch made that. Raises `Refused`: 400
    for a value of a wrong type, or, strictly, for a field that the type does not have or the body gave twice
    (422 where a patch made it).
    """
    unknown: list[str] = []
    try:
        if resource.shape is not None:
            read = resource.shape.taken(obj, unknown)
        elif resource.custom:
            read = dict(obj)
        else:
            read = decoded(resource.type, obj, unknown=unknown)
    except DecodeFault as fault:
        raise _unreadable(resource, str(fault), patched) from None
    faults = list(write.faults)
    if resource.custom:  # read without a type at first
        faults += [*duplicate_fields(write.repeated), *unknown_fields(unknown)]
    elif unknown or write.repeated:
        faults += strict_faults(obj if patched is None else in_order(obj), write.repeated, unknown)
    if why := heeded(faults, write.validation, write.warnings):
        raise _unreadable(resource, f"strict decoding error: {why}", patched)
    if resource.custom:
        return read
    if (obj.get("metadata") or {}).get("managedFields") == []:
        read.setdefault("metadata", {})["managedFields"] = []  # says that nobody is to own anything
    before = wire.encode(read)
    default(resource, read)
    return read if wire.encode(read) == before else ordered(resource, read)


def _unreadable(resource: ApiResource, why: str, patched: Callable[[], str] | None) -> Refused:
    if patched is not None:
        return unpatchable(patched(), why)
    kind = resource.kind
    return bad_request(f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {why}')


def empty_object(resource: ApiResource) -> dict[str, Any]:
    """What there is before a create: the kind, and what its type writes even where it is empty."""
    empty = {"apiVersion": resource.api_version, "kind": resource.kind}
    return empty if resource.custom else decoded(resource.type, empty)
