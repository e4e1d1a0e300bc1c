"""Views: typed projections of an object, for those who want a few fields and no more.

    class PodSpec(msgspec.Struct, rename="camel"):
        node_name: str = ""

    class PodView(View, resource="v1/pods"):
        spec: PodSpec

An informer of a view keeps the header and the declared fields, and drops the rest on arrival. A change of
a dropped field is still an update, for the version in the header is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform

import msgspec

from .errors import ConfigError, PoisonObject
from .objects import KubeObject, ObjectMeta
from .resources import Key, Resource

__all__ = ["View", "project", "view_of"]

V = TypeVar("V", bound="View")


@dataclass_transform(field_specifiers=(msgspec.field,), kw_only_default=True, frozen_default=True)
class ViewMeta(msgspec.StructMeta):
    """Lets a view name its resource: `class PodView(View, resource="v1/pods")`."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        resource: str | Resource | None = None,
        **options: Any,
    ) -> ViewMeta:
        options = {"frozen": True, "kw_only": True, "rename": "camel", **options}
        cls = super().__new__(mcls, name, bases, namespace, **options)
        if resource is not None:
            cls.__resource__ = Resource.parse(resource)  # type: ignore[attr-defined]
        return cls


# Said of the class as well: mypy asks bases before the metaclass, and `Struct` says otherwise.
@dataclass_transform(field_specifiers=(msgspec.field,), kw_only_default=True, frozen_default=True)
class View(msgspec.Struct, metaclass=ViewMeta, frozen=True, kw_only=True):
    """The base of typed projections. Subclass it with `resource=` and the top-level fields wanted.

    Nested types are plain `msgspec.Struct`s (with `rename="camel"`); unknown fields are skipped.
    """

    __resource__: ClassVar[Resource]

    metadata: ObjectMeta

    @property
    def key(self) -> Key:
        """`"namespace/name"`, or `"name"` at cluster scope."""
        return (
            f"{self.metadata.namespace}/{self.metadata.name}"
            if self.metadata.namespace
            else self.metadata.name
        )

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def resource_version(self) -> str:
        return self.metadata.resource_version

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels

    def __repr__(self) -> str:
        version = self.metadata.resource_version or "no version"
        return f"<{type(self).__name__} {self.key} at {version}>"

    # Typing only: tells checkers that `resource=` and msgspec's options are class keywords here.
    def __init_subclass__(cls, *, resource: str | Resource | None = None, **options: Any) -> None:
        super().__init_subclass__()


def resource_of(view: type[View]) -> Resource:
    """The resource that *view* is declared for; raises `ConfigError` where it names none."""
    resource = getattr(view, "__resource__", None)
    if resource is None:
        raise ConfigError(
            f'{view.__name__} names no resource: write class {view.__name__}(View, resource="v1/pods")'
        )
    return resource  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _decoder(view: type[V]) -> msgspec.json.Decoder[V]:
    return msgspec.json.Decoder(view)


_encoder = msgspec.json.Encoder()


def view_of(view: type[V], obj: KubeObject) -> V:
    """*obj* as an instance of *view*, fresh. Raises `PoisonObject` where its fields have other types."""
    try:
        return cast(V, _decoder(view).decode(obj.raw))
    except msgspec.DecodeError as error:
        raise PoisonObject(f"{obj!r} does not fit {view.__name__}: {error}") from error


def project(view: type[View], obj: KubeObject) -> KubeObject:
    """*obj* with only the fields of *view* in its bytes. Raises `PoisonObject` where it does not fit."""
    raw = _encoder.encode(view_of(view, obj))
    return KubeObject(raw, obj.meta, obj.kind, obj.api_version)
