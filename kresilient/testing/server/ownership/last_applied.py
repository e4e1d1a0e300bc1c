"""The way from client-side to server-side apply: the annotation that `kubectl apply` keeps.

The rules are those of `lastappliedmanager.go` and `lastappliedupdater.go` in `k8s.io/apimachinery`'s
`managedfields`; they hold for the manager `kubectl` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kresilient.testing.server import wire
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.request_text import Unreadable, read_json

from .fieldset import FieldSet
from .typed import TypedFault, check, compared, fields_of

__all__ = ["renewed", "unchanged"]

_ANNOTATION: Final = "kubectl.kubernetes.io/last-applied-configuration"
_MOST: Final = 256 * 1024
"""How many bytes all annotations of an object may have."""


def unchanged(resource: ApiResource, live: Mapping[str, Any]) -> FieldSet:
    """The fields that were applied by the client and still are as that left them: to take them is no
    conflict. None where the annotation is missing or cannot be read."""
    said = _annotation(live)
    try:
        last = read_json(said.encode()) if said else None
    except Unreadable:
        return FieldSet()
    if not isinstance(last, dict) or any(last.get(name) != live[name] for name in ("apiVersion", "kind")):
        return FieldSet()
    if next(check(resource.type, last), None) is not None:
        return FieldSet()
    try:
        difference = compared(resource.type, last, live)
    except TypedFault:
        return FieldSet()
    return fields_of(resource.type, last) - difference.modified - difference.added - difference.removed


def renewed(obj: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """*obj* with the annotation, where it has one, saying *config*; without it where that is too large."""
    if not _annotation(obj):
        return dict(obj)
    metadata = dict(config["metadata"]) if isinstance(config.get("metadata"), dict) else None
    if metadata is not None and isinstance(metadata.get("annotations"), dict):
        metadata["annotations"] = {
            name: value for name, value in metadata["annotations"].items() if name != _ANNOTATION
        }
    said = config if metadata is None else {**config, "metadata": metadata}
    text = wire.encode_sorted(said).decode() + "\n"
    annotations = {**obj["metadata"]["annotations"], _ANNOTATION: text}
    if sum(len(name.encode()) + len(value.encode()) for name, value in annotations.items()) > _MOST:
        del annotations[_ANNOTATION]
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _annotation(obj: Mapping[str, Any]) -> str:
    said = ((obj.get("metadata") or {}).get("annotations") or {}).get(_ANNOTATION)
    return said if isinstance(said, str) else ""
