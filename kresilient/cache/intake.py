"""What is kept of an object that arrives: strip, transform, view; and how it is held."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..api.errors import ConfigError, PoisonObject
from ..api.objects import KubeObject, ObjectMeta, shared_header
from ..api.views import View, project

__all__ = ["Intake", "Transform"]

Transform = Callable[[KubeObject], "KubeObject | Mapping[str, Any]"]
"""From the object that arrived to what is kept of it; name, namespace, uid and version must stay."""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encoder = msgspec.json.Encoder()


class Intake:
    """Turns each arriving object into the one that is kept. Raises `PoisonObject` where it cannot.

    *hold* makes of what is left of an object the one that is held, which has the same to say.
    """

    __slots__ = ("_hold", "_kept", "_same_header", "_strip", "_transform", "_view", "idle", "whole")

    def __init__(
        self,
        *,
        strip: Sequence[str] = (),
        transform: Transform | None = None,
        view: type[View] | None = None,
        metadata_only: bool = False,
        hold: Callable[[KubeObject], KubeObject] | None = None,
    ) -> None:
        if isinstance(strip, str):
            raise ConfigError(f"strip= takes a list of field paths: write strip=[{strip!r}]")
        self._strip = [_strip_path(path) for path in strip]
        self._same_header = not any(steps[:2] in _IN_HEADER for steps in self._strip)
        self._transform = transform
        self._view = view
        self._hold = hold
        self._kept: frozenset[str] | None = None  # the top-level fields that are left; None for all
        if metadata_only:
            self._kept = frozenset({"apiVersion", "kind", "metadata"})
        elif view is not None:
            self._kept = frozenset({"apiVersion", "kind", *view.__struct_encode_fields__})
        self.whole = not strip and transform is None and view is None
        """True where all of each object is kept."""
        self.idle = self.whole and hold is None
        """True where every object is held as it came."""

    def keeps(self, path: str) -> bool:
        """Whether the field at *path* (`spec.nodeName`) is still there to be looked at.

        What a transform drops cannot be known.
        """
        steps = tuple(re.split(r"[.\[]", path))
        if self._kept is not None and steps[0] not in self._kept:
            return False
        if self._view is not None and steps[0] == "metadata" and len(steps) > 1:
            return steps[1] in ObjectMeta.__struct_encode_fields__
        return not any(steps[: len(dropped)] == dropped for dropped in self._strip)

    def __call__(self, obj: KubeObject) -> KubeObject:
        kept = obj
        if self._strip:
            raw = obj.raw
            for steps in self._strip:
                raw = _without(raw, steps)
            if raw is obj.raw:
                pass
            elif self._same_header:
                kept = KubeObject(raw, obj.meta, obj.kind, obj.api_version)
            else:
                kept = KubeObject.decode(raw, kind=obj.kind, api_version=obj.api_version)
        if self._transform is not None:
            kept = self._transformed(kept)
        if self._view is not None:
            kept = project(self._view, kept)
        if kept is obj and self._hold is None:
            return obj
        kept = KubeObject(kept.raw, shared_header(kept.meta), kept.kind, kept.api_version)
        return kept if self._hold is None else self._hold(kept)

    def _transformed(self, obj: KubeObject) -> KubeObject:
        assert self._transform is not None
        try:
            result = self._transform(obj)
        except Exception as error:  # the user's function; the object is set aside with this as the cause
            raise PoisonObject(f"transform failed on {obj!r}: {error!r}") from error
        if isinstance(result, KubeObject):
            kept = result
        elif isinstance(result, Mapping):
            kept = KubeObject.from_dict(result)
            kept = KubeObject(kept.raw, kept.meta, kept.kind or obj.kind, kept.api_version or obj.api_version)
        else:
            raise PoisonObject(
                f"transform must return a KubeObject or a mapping, not {type(result).__name__}, for {obj!r}"
            )
        one, other = obj.meta, kept.meta
        if (one.name, one.namespace, one.uid, one.resource_version) != (
            other.name,
            other.namespace,
            other.uid,
            other.resource_version,
        ):
            raise PoisonObject(f"transform changed the name, namespace, uid or resourceVersion of {obj!r}")
        return kept


def _strip_path(path: str) -> tuple[str, ...]:
    steps = tuple(path.split("."))
    if not all(steps):
        raise ConfigError(f"strip: {path!r} is no field path; write it as metadata.managedFields")
    if steps in (("metadata",), *(("metadata", name) for name in _IDENTITY)):
        raise ConfigError(f"strip: {path!r} identifies the object and cannot be dropped")
    return steps


_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "labels")
_IN_HEADER = (("metadata", "labels"), ("metadata", "deletionTimestamp"))
"""What of the header may be dropped, the labels one by one."""


def _without(raw: bytes, steps: tuple[str, ...]) -> bytes:
    """*raw* without the field at *steps*; *raw* itself where it has none."""
    try:
        fields = _fields.decode(raw)
    except msgspec.ValidationError:  # no object here, so nothing to drop
        return raw
    step, rest = steps[0], steps[1:]
    if step not in fields:
        return raw
    if not rest:
        del fields[step]
    else:
        inner = bytes(fields[step])
        outer = _without(inner, rest)
        if outer is inner:
            return raw
        fields[step] = msgspec.Raw(outer)
    written = bytearray()
    _encoder.encode_into(fields, written)
    return bytes(written)  # at its exact size: one that had grown and was cut leaves a hole behind it
