"""Snapshots: every object of a server as text, and back, with nothing lost between.

A snapshot is a stream of YAML documents: first what it is, at which version and how many objects follow, then
the objects, definitions and namespaces first. What is no object, or of no resource that is served, is kept as
the bytes that are stored.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from kresilient.api.resources import join_key

from . import wire
from .definitions import DEFINITIONS, defined
from .kinds import ApiResource, Registry
from .namespaces import NAMESPACES
from .state import ApiState
from .storage import Stored
from .yaml_text import yaml_text

__all__ = ["API_VERSION", "dump", "parse", "write"]

Contents = dict[tuple[str, str], dict[str, Stored]]

API_VERSION: Final = "testing.kresilient/v1"
_COMMENT: Final = "# What a fake API server of kresilient held; server.restore(Path(…)) brings it back.\n"


def dump(state: ApiState) -> str:
    """What *state* holds, as YAML."""
    documents = list(_documents(state))
    head = {
        "apiVersion": API_VERSION,
        "kind": "Snapshot",
        "resourceVersion": str(state.version),
        "objects": len(documents),
    }
    return _COMMENT + "---\n".join(yaml_text(document) for document in (head, *documents))


def write(text: str, path: str | Path) -> Path:
    """Write *text* to *path*, whole or not at all."""
    path = Path(path)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    return path


def parse(snapshot: str | Path) -> tuple[int, Contents]:
    """The version and the objects that *snapshot* (its text, or the path of a file of it) holds.

    Raises `ValueError`, which names the document that is wrong, and `OSError`.
    """
    where = str(snapshot) if isinstance(snapshot, Path) else "the snapshot"
    try:
        text = snapshot.read_text(encoding="utf-8") if isinstance(snapshot, Path) else snapshot
        head, *documents = _loaded(text) or [None]
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not YAML: {error}") from error
    if not isinstance(head, dict) or (head.get("apiVersion"), head.get("kind")) != (API_VERSION, "Snapshot"):
        hint = (
            "; for a file, pass a pathlib.Path" if isinstance(snapshot, str) and "\n" not in snapshot else ""
        )
        raise ValueError(
            f"{where} is no snapshot: it must begin with apiVersion: {API_VERSION}, kind: Snapshot{hint}"
        )
    version = _version(where, head)
    if head.get("objects") != len(documents):
        raise ValueError(
            f"{where} is not whole: it has {len(documents)} objects and ought to have {head.get('objects')!r}"
        )
    named = [(f"{where}, document {number}", one) for number, one in enumerate(documents, 2)]
    served = {(one.api_version, one.kind): one for one in _registry(named)}
    contents: Contents = {}
    for place, document in named:
        storage, stored = _stored(place, document, served)
        if stored.version > version:
            raise ValueError(f"{place}: its resourceVersion is beyond that of the snapshot, {version}")
        if stored.key in contents.setdefault(storage, {}):
            raise ValueError(f"{place}: {stored.key} of {storage[1]} is there twice")
        contents[storage][stored.key] = stored
    return version, contents


# --- out -------------------------------------------------------------------------------------------------


def _documents(state: ApiState) -> Iterator[dict[str, Any]]:
    first = (DEFINITIONS, NAMESPACES)
    for storage in sorted(state.collections(), key=lambda one: (one not in first, one != DEFINITIONS, one)):
        for stored in state.collections()[storage]:
            shown = None if stored.poison else _shown(stored, state.resources.stored_as(storage))
            yield shown or _raw(storage, stored)


def _shown(stored: Stored, resource: ApiResource | None) -> dict[str, Any] | None:
    """*stored* as a whole object, if that tells all of it."""
    if resource is None:
        return None
    shown: dict[str, Any] = wire.decode(stored.full(resource.header))
    metadata = shown.get("metadata") or {}
    namespace = metadata.get("namespace") if resource.namespaced else None
    tells = (join_key(namespace, str(metadata.get("name"))), metadata.get("resourceVersion"))
    same = _item(shown, resource) == stored.item
    return shown if same and tells == (stored.key, str(stored.version)) else None


def _raw(storage: tuple[str, str], stored: Stored) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "StoredBytes",
        "group": storage[0],
        "resource": storage[1],
        "key": stored.key,
        "resourceVersion": str(stored.version),
        "poison": stored.poison,
        "bytes": base64.b64encode(stored.item).decode(),
    }


# --- in --------------------------------------------------------------------------------------------------


def _loaded(text: str) -> list[Any]:
    import yaml

    try:
        return list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise ValueError(error) from error


def _registry(documents: list[tuple[str, Any]]) -> Registry:
    """What is served where *documents* are stored."""
    registry = Registry()
    for place, document in documents:
        if isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition":
            try:
                registry.define(str(document["metadata"]["name"]), defined(document))
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{place}: this definition defines nothing: {error!r}") from error
    return registry


def _stored(
    place: str, document: Any, served: Mapping[tuple[str, str], ApiResource]
) -> tuple[tuple[str, str], Stored]:
    if not isinstance(document, dict):
        raise ValueError(f"{place} is no object")
    api_version, kind = document.get("apiVersion"), document.get("kind")
    if api_version == API_VERSION and kind == "StoredBytes":
        return _from_bytes(place, document)
    resource = served.get((str(api_version), str(kind)))
    if resource is None:
        raise ValueError(f"{place}: nothing serves {kind} of {api_version}")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise ValueError(f"{place}: {kind} has no metadata.name")
    namespace = metadata.get("namespace")
    if resource.namespaced != (isinstance(namespace, str) and bool(namespace)):
        raise ValueError(f"{place}: {kind} {'needs a' if resource.namespaced else 'has no'} namespace")
    try:
        item = _item(document, resource)
    except (TypeError, ValueError) as error:  # a date, a key that is no text: YAML can say more than JSON
        raise ValueError(f"{place}: {kind} {metadata['name']} is not JSON: {error}") from error
    key = join_key(namespace, metadata["name"])
    return resource.storage, _indexed(resource.storage, Stored(key, _version(place, metadata), item))


def _from_bytes(place: str, document: Mapping[str, Any]) -> tuple[tuple[str, str], Stored]:
    group, plural, key = (document.get(name) for name in ("group", "resource", "key"))
    if not (isinstance(group, str) and isinstance(plural, str) and plural and isinstance(key, str) and key):
        raise ValueError(f"{place}: StoredBytes need group, resource and key")
    try:
        item = base64.b64decode(str(document.get("bytes")), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{place}: the bytes are not base64: {error}") from error
    stored = Stored(key, _version(place, document), item, poison=document.get("poison") is True)
    return (group, plural), _indexed((group, plural), stored)


def _indexed(storage: tuple[str, str], stored: Stored) -> Stored:
    """*stored* with what it is found by."""
    if storage == ("", "pods") and not stored.poison:
        spec = stored.get("spec")
        node = spec.get("nodeName") if isinstance(spec, dict) else None
        stored.node = node if isinstance(node, str) else ""
    return stored


def _item(shown: Mapping[str, Any], resource: ApiResource) -> bytes:
    """The bytes that are stored of an object that is shown whole: without what its resource says of it."""
    said: dict[str, Any] = wire.decode(resource.header.removesuffix(b",") + b"}")
    return wire.encode({key: value for key, value in shown.items() if key not in said})


def _version(place: str, holder: Mapping[str, Any]) -> int:
    text = holder.get("resourceVersion")
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()):
        raise ValueError(f"{place}: resourceVersion must be a number in quotes, not {text!r}")
    return int(text)
