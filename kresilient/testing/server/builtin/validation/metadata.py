"""Metadata, of objects of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kresilient.testing.server.causes import invalid_value, too_long
from kresilient.testing.server.statuses import Cause

from .names import label_value, qualified_name

__all__ = ["annotation_faults", "label_faults", "metadata"]

_ANNOTATIONS: Final = 256 * 1024
_STANDARD: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def metadata(
    meta: Mapping[str, Any], *, name_rule: Callable[[str], Iterator[str]], core: bool
) -> Iterator[Cause]:
    """What is wrong with *meta*, but for the name.

    *name_rule* is that of the kind's names, to which `generateName` has to lead. Finalizers of built-in kinds
    are qualified, but for those that the server knows.
    """
    prefix = meta.get("generateName") or ""
    if prefix:
        # What follows is added later, so a hyphen or a dot may stand at its end.
        masked = prefix[:-1] + "a" if prefix.endswith("-") else prefix
        yield from (invalid_value("metadata.generateName", prefix, fault) for fault in name_rule(masked))
    yield from label_faults(meta.get("labels") or {}, "metadata.labels")
    yield from annotation_faults(meta.get("annotations") or {}, "metadata.annotations")
    yield from _owners(meta.get("ownerReferences") or [])
    yield from _finalizers(meta.get("finalizers") or [], core=core)


def label_faults(texts: Mapping[str, str], at: str) -> Iterator[Cause]:
    for key, value in texts.items():
        yield from (invalid_value(at, key, fault) for fault in qualified_name(key))
        yield from (invalid_value(at, value, fault) for fault in label_value(value))


def annotation_faults(texts: Mapping[str, str], at: str) -> Iterator[Cause]:
    for key in texts:
        yield from (invalid_value(at, key, fault) for fault in qualified_name(key.lower()))
    if sum(len(key.encode()) + len(value.encode()) for key, value in texts.items()) > _ANNOTATIONS:
        yield too_long(at, _ANNOTATIONS)


def _owners(references: list[Mapping[str, Any]]) -> Iterator[Cause]:
    at = "metadata.ownerReferences"
    controllers = []
    for one in references:
        group, slash, version = (one.get("apiVersion") or "").rpartition("/")
        if not version or (slash and not group):
            yield invalid_value(f"{at}.apiVersion", one.get("apiVersion") or "", "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not one.get(field):
                yield invalid_value(f"{at}.{field}", "", "must not be empty")
        if not group and one.get("kind") == "Event":
            yield invalid_value(at, dict(one), "/v1, Kind=Event is disallowed from being an owner")
        if one.get("controller"):
            controllers.append(one.get("name"))
    if len(controllers) > 1:
        said = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        yield invalid_value(at, [dict(one) for one in references], said)


def _finalizers(finalizers: list[str], *, core: bool) -> Iterator[Cause]:
    at = "metadata.finalizers"
    for one in finalizers:
        yield from (invalid_value(at, one, fault) for fault in qualified_name(one))
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        said = "finalizer orphan and foregroundDeletion cannot be both set"
        yield invalid_value(at, finalizers, said)
    for place, one in enumerate(finalizers):
        if core and "/" not in one and one not in _STANDARD:
            said = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid_value(f"{at}[{place}]", one, said)
