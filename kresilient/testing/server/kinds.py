"""The resources that a server serves: the built-in ones, and those that definitions add."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kresilient.api.resources import BUILTIN, Resource

from . import wire
from .builtin import conversion
from .served import ALL_VERBS, Served, served
from .storage import Stored
from .subresources import Subresource
from .types.decode import decoded
from .types.schema import Struct, builtin_types
from .types.structural import custom_type

if TYPE_CHECKING:
    from .schema import Shape

__all__ = ["ApiResource", "Registry", "ScalePaths"]

CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the `scale` subresource finds its numbers, as field paths without the leading dot."""

    spec: str = "spec.replicas"
    status: str = "status.replicas"
    selector: str = ""


@dataclass(frozen=True, slots=True)
class ApiResource:
    """One resource at one version, and how the server treats it.

    Attributes:
        storage: what its objects are stored under; the versions of one resource share it.
        subresources: what stands below its objects, in the order of discovery.
        has_status: whether `status` is a subresource, which the main resource then does not write.
        has_generation: whether a change of anything but metadata and status raises `metadata.generation`.
        custom: made by a CustomResourceDefinition: keys are written sorted, strategic merge is refused.
        schema: the structural schema of a custom resource, or None.
        columns: `additionalPrinterColumns` of a custom resource.
        selectable: the field paths that a custom resource may be selected by.
        structure: the type of a custom resource, made from its schema.
        shape: what the schema keeps, fills in and refuses of an object.
        stored_version: the version that custom objects are stored at, empty where it is not served.
        terminating: the definition is being deleted, so that no more objects are created.
        deprecation: what clients of this version are warned of, empty where it is not deprecated.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    list_kind: str = ""
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    has_status: bool = False
    has_generation: bool = False
    scale: ScalePaths | None = None
    custom: bool = False
    schema: Mapping[str, Any] | None = field(default=None, compare=False, hash=False, repr=False)
    columns: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, hash=False, repr=False)
    selectable: tuple[str, ...] = ()
    structure: Struct | None = field(default=None, compare=False, hash=False, repr=False)
    shape: Shape | None = field(default=None, compare=False, hash=False, repr=False)
    stored_version: str = ""
    terminating: bool = field(default=False, compare=False)
    deprecation: str = ""

    @property
    def type(self) -> Struct:
        """What the server knows of its fields."""
        if self.structure is not None:
            return self.structure
        found = builtin_types().of_kind(self.group, self.version, self.kind)
        return custom_type(self.kind, None) if found is None else found

    @property
    def place(self) -> tuple[str, str, str]:
        return (self.group, self.version, self.plural)

    @property
    def converted(self) -> bool:
        """Whether its objects have another shape than they are stored in."""
        return conversion.converted(self.place)

    @property
    def storage(self) -> tuple[str, str]:
        group, _, plural = conversion.STORED_AS.get(self.place, self.place)
        return (group, plural)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`pods`, `leases.coordination.k8s.io`: how messages name the resource, by where it is stored."""
        group = self.storage[0]
        return f"{self.plural}.{group}" if group else self.plural

    def subresource(self, name: str) -> Subresource | None:
        return next((one for one in self.subresources if one.name == name), None)

    @property
    def resource(self) -> Resource:
        return Resource(self.group, self.version, self.plural, kind=self.kind, namespaced=self.namespaced)

    @property
    def header(self) -> bytes:
        """What stands before the first field of a stored item in a whole object (see `Stored`)."""
        api_version = wire.encode(self.api_version)
        if self.custom:
            return b'{"apiVersion":' + api_version + b","
        return b'{"kind":' + wire.encode(self.kind) + b',"apiVersion":' + api_version + b","

    def seen(self, stored: Stored) -> Stored:
        """*stored* as this version of the resource shows it: see `Shape.seen`."""
        if self.shape is not None:
            return self.shape.seen(stored)
        if stored.poison or not self.converted:
            return stored
        shown = decoded(self.type, conversion.from_storage(self.place, stored.decode()))
        return Stored(stored.key, stored.version, wire.encode(shown), stored.node, False, stored.labels)

    def __str__(self) -> str:
        return f"{self.api_version}/{self.plural}"


class Registry:
    """Every resource served, by group, version and plural. `revision` counts the changes to them."""

    def __init__(self) -> None:
        self._resources: dict[tuple[str, str, str], ApiResource] = {
            (one.group, one.version, one.plural): _builtin(one) for one in served()
        }
        self._custom: dict[str, list[tuple[str, str, str]]] = {}
        self.revision = 0
        self._reindex()

    def find(self, group: str, version: str, plural: str) -> ApiResource | None:
        return self._resources.get((group, version, plural))

    def parse(self, text: str | Resource) -> ApiResource:
        """The resource that `"v1/pods"` names; raises `KeyError` where this server does not serve it."""
        named = Resource.parse(text)
        found = self.find(named.group, named.version, named.plural)
        if found is None:
            raise KeyError(
                f"this server does not serve {named}: create its CustomResourceDefinition first, "
                "or correct the name"
            )
        return found

    def of_kind(self, api_version: str, kind: str) -> ApiResource | None:
        """The resource that an object of *kind* at *api_version* belongs to."""
        return self._by_kind.get((api_version, kind))

    def stored_as(self, storage: tuple[str, str]) -> ApiResource | None:
        """A resource that shows the objects of *storage* as they are stored, but for the version."""
        return self._by_storage.get(storage)

    def _reindex(self) -> None:
        self._by_kind = {(one.api_version, one.kind): one for one in self._resources.values()}
        self._by_storage = {
            one.storage: one
            for one in reversed(self._resources.values())
            if not conversion.converted(one.place)
        }

    def __iter__(self) -> Iterator[ApiResource]:
        return iter(tuple(self._resources.values()))

    def groups(self) -> dict[str, list[str]]:
        """The versions of each group, in the order of their discovery.

        A group of custom resources comes after the built-in ones, by its first version's name
        (`v1.example.com`), and has its most stable and newest version first.
        """
        groups: dict[str, list[str]] = {}
        custom: dict[str, set[str]] = {}
        for (group, version, _), one in self._resources.items():
            if one.custom:
                custom.setdefault(group, set()).add(version)
            elif version not in groups.setdefault(group, []):
                groups[group].append(version)
        for group in sorted(custom, key=lambda name: min(f"{version}.{name}" for version in custom[name])):
            versions = groups.setdefault(group, [])
            versions += sorted(custom[group].difference(versions), key=_preference)
        return groups

    def of(self, group: str, version: str) -> list[ApiResource]:
        """The resources of one group and version, by plural."""
        found = [one for place, one in self._resources.items() if place[:2] == (group, version)]
        return sorted(found, key=lambda one: one.plural)

    def builtin(self, group: str) -> bool:
        """Whether *group* is one of the server's own."""
        return any(one.group == group and not one.custom for one in self._resources.values())

    def define(self, name: str, resources: Iterable[ApiResource]) -> None:
        """Serve *resources*, which the definition *name* defines, in place of what it defined before."""
        self.undefine(name)
        made = {(one.group, one.version, one.plural): one for one in resources}
        self._custom[name] = list(made)
        self._resources |= made
        self._reindex()

    def undefine(self, name: str) -> None:
        self.revision += 1
        for place in self._custom.pop(name, ()):
            self._resources.pop(place, None)
        self._reindex()

    def defined_by(self, name: str) -> list[ApiResource]:
        """What the definition *name* defines, one for each version."""
        return [self._resources[place] for place in self._custom.get(name, ())]

    @property
    def definitions(self) -> list[str]:
        return list(self._custom)


def _preference(version: str) -> tuple[int, int, int, str]:
    """Sorts stable before beta before alpha, and newer first (`version.CompareKubeAwareVersionStrings`)."""
    known = _KUBE_VERSION.fullmatch(version)
    if known is None:
        return 3, 0, 0, version
    major, stage, minor = known.groups()
    return {None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), version


_KUBE_VERSION: Final = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")


# --- built in ----------------------------------------------------------------------------------------


def _builtin(one: Served) -> ApiResource:
    kind, namespaced = BUILTIN[one.group, one.version, one.plural]
    below = tuple(one.below(kind))
    names = {each.name for each in below}
    selector = "spec.selector" if one.plural == "replicationcontrollers" else "spec.selector.matchLabels"
    return ApiResource(
        one.group,
        one.version,
        one.plural,
        kind,
        namespaced,
        list_kind=f"{kind}List",
        singular=kind.lower(),
        short_names=one.short_names,
        categories=one.categories,
        verbs=one.verbs,
        subresources=below,
        has_status="status" in names,
        has_generation=one.generation,
        scale=ScalePaths(selector=selector) if "scale" in names else None,
    )
