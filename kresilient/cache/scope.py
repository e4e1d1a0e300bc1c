"""Which objects a cache holds, and what it keeps of one that did not come from its own list or watch."""

from __future__ import annotations

from typing import Final

import msgspec

from ..api.errors import PoisonObject, SelectorError
from ..api.field_selectors import FieldMatcher, FieldSelector
from ..api.label_selectors import LabelSelector
from ..api.objects import KubeObject
from .intake import Intake
from .options import InformerOptions

__all__ = ["Scope"]

_metadata: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Scope:
    """The selectors of a cache, evaluated here as the server evaluates them."""

    __slots__ = ("_fields", "_intake", "_labels", "_metadata_only", "_tellable")

    def __init__(self, options: InformerOptions, intake: Intake) -> None:
        self._intake = intake
        self._metadata_only = options.metadata_only
        self._labels = LabelSelector.parse(options.label_selector) if options.label_selector else None
        self._fields: FieldMatcher | None = None
        self._tellable = True
        if options.field_selector:
            try:
                self._fields = FieldSelector.parse(options.field_selector).compile(options.resource)
            except SelectorError:  # a field that only the server knows: selectable ones of a definition
                self._tellable = False

    def holds(self, obj: KubeObject) -> bool | None:
        """Whether the cache holds *obj*, given whole; None where only the server could tell."""
        if self._labels is not None and not self._labels.matches(obj.meta.labels):
            return False
        if not self._tellable:
            return None
        return self._fields is None or self._fields(obj)

    def kept(self, obj: KubeObject) -> KubeObject:
        """What the cache keeps of *obj*, given whole. Raises `PoisonObject` where it cannot be kept."""
        if self._metadata_only:
            obj = _partial(obj)
        return obj if self._intake.idle else self._intake(obj)


def _partial(obj: KubeObject) -> KubeObject:
    """*obj* as the server shows it to whoever asks for `PartialObjectMetadata`."""
    metadata = _metadata.decode(obj.raw).get("metadata")
    if metadata is None:
        raise PoisonObject(f"{obj!r} has no metadata")
    raw = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}' % bytes(metadata)
    return KubeObject(raw, obj.meta, "PartialObjectMetadata", "meta.k8s.io/v1")
