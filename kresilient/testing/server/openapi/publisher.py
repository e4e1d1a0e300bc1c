"""Publishes the documents: made when first asked for, and again only when what they describe has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from email.utils import formatdate
from functools import cache
from typing import Final

from ..discovery import VERSION
from ..documents import Document, acceptable
from ..kinds import ApiResource, Registry
from ..statuses import unknown_path
from ..wire import encode
from .dialect import V2, V3, Dialect, Schema
from .gnostic import ASKED_FOR, MEDIA_TYPE, in_protobuf
from .operations import operations
from .schemas import Schemas

__all__ = ["OpenApi"]

_JSON: Final = "application/json"
_TITLE: Final = "Kubernetes"
_YEAR: Final = 365 * 24 * 3600.0
_VARY: Final = (("Vary", "Accept"),)


def _json(document: Schema) -> Document:
    return Document.json(document, headers=_VARY)


def _protobuf(document: Schema) -> Document:
    return Document(in_protobuf(document), MEDIA_TYPE, headers=_VARY)


class OpenApi:
    """The OpenAPI documents of what *registry* serves; *now* is the wall clock (seconds since the epoch)."""

    def __init__(self, registry: Registry, now: Callable[[], float]) -> None:
        self._registry = registry
        self._now = now
        self._revision = registry.revision
        self._made: dict[tuple[str, ...], Document] = {}

    def root(self, accept: str) -> Document:
        """`/openapi/v3`: where the document of each group and version is, by a path with its hash."""
        acceptable(accept, _JSON)
        paths = {}
        for group, versions in self._registry.groups().items():
            for version in versions:
                place = f"apis/{group}/{version}" if group else f"api/{version}"
                tag = self._tag(group, version)
                paths[place] = {"serverRelativeURL": f"/openapi/v3/{place}?hash={tag}"}
        return Document.json({"paths": paths})

    def version_3(self, accept: str, group: str, version: str, tag: str) -> Document:
        """The document of one group and version; with its hash as *tag* it may be kept for a year.

        Raises `Refused`: 404 where nothing is served there, 406 where *accept* has no JSON.
        """
        resources = self._resources(group, version)
        acceptable(accept, _JSON)
        current = self._tag(group, version)
        place = f"apis/{group}/{version}" if group else f"api/{version}"
        if tag and tag != current:
            location = ("Location", f"/openapi/v3/{place}?hash={current}")
            return Document(b"", headers=(*_VARY, location), status=301)
        found = self._kept((group, version), resources, V3)
        kept_for = formatdate(self._now() + _YEAR, usegmt=True)
        lasting = (("Cache-Control", "public, immutable"), ("Expires", kept_for)) if tag else ()
        return Document(found.body, etag=f'"{current}"', headers=(*_VARY, *lasting))

    def version_2(self, accept: str) -> Document:
        """`/openapi/v2`: one document for all, in JSON or in protobuf. Raises `Refused` (406)."""
        if acceptable(accept, _JSON, *ASKED_FOR) == _JSON:
            return self._kept((), tuple(self._registry), V2)
        return self._kept(("protobuf",), tuple(self._registry), V2, _protobuf)

    def _resources(self, group: str, version: str) -> tuple[ApiResource, ...]:
        found = tuple(self._registry.of(group, version))
        if not found:
            raise unknown_path()
        return found

    def _kept(
        self,
        place: tuple[str, ...],
        resources: tuple[ApiResource, ...],
        kind: type[Dialect],
        write: Callable[[Schema], Document] = _json,
    ) -> Document:
        if not any(one.custom for one in resources):
            return _builtin(kind, resources, write)
        if self._revision != self._registry.revision:
            self._revision = self._registry.revision
            self._made.clear()
        if place not in self._made:
            self._made[place] = _document(kind, resources, write)
        return self._made[place]

    def _tag(self, group: str, version: str) -> str:
        """Changes when what is served there does: made of custom schemas, and of the version of the rest."""
        found = [VERSION["gitVersion"], group, version]
        for one in self._registry.of(group, version):
            found += [one.plural, one.kind, *(each.name for each in one.subresources)]
            found.append(encode(one.schema).decode() if one.custom else "")
        return hashlib.sha512("\n".join(found).encode()).hexdigest().upper()


@cache
def _builtin(
    kind: type[Dialect], resources: tuple[ApiResource, ...], write: Callable[[Schema], Document]
) -> Document:
    """The document of built-in resources: the same for every server of a process."""
    return _document(kind, resources, write)


def _document(
    kind: type[Dialect], resources: Sequence[ApiResource], write: Callable[[Schema], Document]
) -> Document:
    dialect = kind()
    groups = {one.group.partition(".")[0] or "core": one.group for one in resources}
    schemas = Schemas(dialect, {"autoscaling": "autoscaling", "policy": "policy", **_SHARED, **groups})
    paths: Schema = {}
    for one in resources:
        paths |= operations(one, dialect, schemas)
    made = dict(sorted(schemas.made.items()))
    shown = dialect.document(_TITLE, VERSION["gitVersion"], dict(sorted(paths.items())), made)
    return write(shown).tagged()


_SHARED: Final = {"authentication": "authentication.k8s.io"}
"""Groups of kinds that subresources of other groups have (`serviceaccounts/token`)."""
