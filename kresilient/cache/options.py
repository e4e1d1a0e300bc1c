"""What an informer holds, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..api.errors import (
    ConfigError,
)
from ..api.field_selectors import FieldSelector
from ..api.label_selectors import LabelSelector
from ..api.resources import Resource
from ..api.views import View
from .compressed import zstd
from .index import IndexSpec, parse_indexes
from .intake import Intake, Transform

__all__ = ["InformerOptions"]


@dataclass(frozen=True, slots=True)
class InformerOptions:
    """What an informer holds. Equal options share one cache.

    Attributes:
        resource: which collection.
        namespaces: each watched by itself; None for all with one watch.
        label_selector, field_selector: evaluated by the server.
        index: declared indexes, name -> field path or function.
        metadata_only: ask the server for `PartialObjectMetadata`: headers, annotations, owners, no body.
        strip: field paths dropped on arrival.
        transform: what is kept of each object, as a function.
        view: keep the fields of this type only.
        compact: hold what is kept of each object compressed.
        streaming: ask for streaming lists where the server has them.
    """

    resource: Resource
    namespaces: tuple[str, ...] | None = None
    label_selector: str = ""
    field_selector: str = ""
    index: tuple[tuple[str, Any], ...] = ()
    metadata_only: bool = False
    strip: tuple[str, ...] = ()
    transform: Transform | None = None
    view: type[View] | None = None
    compact: bool = False
    streaming: bool = True

    @classmethod
    def checked(
        cls,
        resource: Resource,
        *,
        namespaces: str | Iterable[str] | None,
        label_selector: str | Any,
        field_selector: str | Any,
        index: IndexSpec,
        strip: Iterable[str],
        metadata_only: bool,
        transform: Transform | None,
        view: type[View] | None,
        compact: bool,
        streaming: bool,
    ) -> InformerOptions:
        """The options, each checked before anything is sent.

        Raises `SelectorError`, `InvalidName` or `ConfigError` with what is wrong.
        """
        if resource.subresource:
            raise ConfigError(f"{resource} is a subresource: it cannot be listed, so no informer can hold it")
        if isinstance(namespaces, str):
            namespaces = (namespaces,)
        places = None if namespaces is None else tuple(sorted(set(namespaces)))
        if places is not None and not places:
            raise ConfigError(f"namespaces= of an informer of {resource} is empty: leave it out for all")
        for place in places or ():
            resource.collection_path(place)
        strip = (strip,) if isinstance(strip, str) else tuple(strip)
        if metadata_only and view is not None:
            raise ConfigError("metadata_only= and a View exclude each other: a View says what is kept")
        if compact:
            zstd()
        intake = Intake(strip=strip, transform=transform, view=view, metadata_only=metadata_only)
        parse_indexes(index)
        named = dict(index) if not isinstance(index, Sequence) else {path: path for path in index}
        for name, how in named.items():
            if isinstance(how, str) and not intake.keeps(how):
                raise ConfigError(f"the index {name!r} needs {how}, which this informer of {resource} drops")
        return cls(
            resource=resource,
            namespaces=places,
            label_selector="" if label_selector is None else str(LabelSelector.parse(label_selector)),
            field_selector="" if field_selector is None else str(FieldSelector.parse(field_selector)),
            index=tuple(sorted(named.items(), key=lambda item: item[0])),
            metadata_only=metadata_only,
            strip=strip,
            transform=transform,
            view=view,
            compact=compact,
            streaming=streaming,
        )

    @property
    def name(self) -> str:
        """For messages: `v1/pods spec.nodeName=n1`."""
        parts = [str(self.resource), *(self.namespaces or ()), self.label_selector, self.field_selector]
        return " ".join(part for part in parts if part)
