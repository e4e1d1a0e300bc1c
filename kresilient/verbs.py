"""The verbs of the API as requests: what is sent for a read, a create, an update, a patch or a delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import msgspec

from .api.errors import ConfigError, InvalidName, wrong_type
from .api.field_selectors import FieldSelector
from .api.label_selectors import LabelSelector
from .api.objects import KubeObject
from .api.resources import Key, Resource, join_key, path_segment
from .api.views import View
from .transport.base import Request

__all__ = [
    "Body",
    "PatchType",
    "Propagation",
    "Selector",
    "Write",
    "WriteOptions",
    "checked_namespace",
    "create",
    "delete",
    "get",
    "list_page",
    "patch",
    "selectors",
    "update",
    "watch",
]

Body = Mapping[str, Any] | KubeObject | msgspec.Struct
"""An object to write: plain data, an object that was read, or a struct that msgspec encodes."""

Selector = str | Mapping[str, Any] | LabelSelector
PatchType = Literal["merge", "json", "strategic", "apply"]
Propagation = Literal["Background", "Foreground", "Orphan"]

_JSON: Final = {"Accept": "application/json"}
_CONTENT_TYPE: Final[dict[str, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Options that every write knows.

    Attributes:
        dry_run: all but the storing is done.
        field_manager: who owns the fields set; needed for an apply.
        field_validation: `Strict`, `Warn` or `Ignore` unknown fields; the server's default where empty.
    """

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = ""

    def query(self) -> tuple[tuple[str, str], ...]:
        pairs = (
            ("dryRun", "All" if self.dry_run else ""),
            ("fieldManager", self.field_manager),
            ("fieldValidation", self.field_validation),
        )
        return tuple((name, value) for name, value in pairs if value)


@dataclass(frozen=True, slots=True)
class Write:
    """A write, ready to be sent.

    Attributes:
        request: what is sent.
        key: of the object it changes; None for a create, whose name the server may make up.
        sent_version: the resource version in its body, `""` where there is none.
        repeatable: a precondition makes a repeat safe.
        dry_run: nothing is stored.
    """

    request: Request
    key: Key | None = None
    sent_version: str = ""
    repeatable: bool = False
    dry_run: bool = False


def get(resource: Resource, key: Key) -> Request:
    return Request("GET", resource.object_path(key), (), _JSON, verb="get", resource=str(resource))


def selectors(labels: Selector | None, fields: str | FieldSelector | None) -> tuple[tuple[str, str], ...]:
    """The options of a list or a watch that select. Raises `SelectorError`."""
    pairs = []
    if labels is not None and labels != "":
        pairs.append(("labelSelector", str(LabelSelector.parse(labels))))
    if fields is not None and fields != "":
        pairs.append(("fieldSelector", str(FieldSelector.parse(fields))))
    return tuple(pairs)


def list_page(
    resource: Resource,
    namespace: str | None,
    selected: tuple[tuple[str, str], ...],
    *,
    limit: int,
    token: str,
    version: str,
    metadata_only: bool,
) -> Request:
    """A GET of one page: the one that *token* continues at, else the first, not older than *version*."""
    query = (*selected, ("limit", str(limit)))
    if token:
        query += (("continue", token),)
    elif version:
        query += (("resourceVersion", version), ("resourceVersionMatch", "NotOlderThan"))
    accept = "application/json"
    if metadata_only:
        accept = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{accept}"
    path, headers = resource.collection_path(namespace), {"Accept": accept}
    return Request("GET", path, query, headers, verb="list", resource=str(resource), timeout=120.0)


def watch(
    resource: Resource,
    namespace: str | None,
    selected: tuple[tuple[str, str], ...],
    *,
    version: str,
    timeout_seconds: int | None,
    stall: float,
) -> Request:
    """A GET of the stream of changes after *version*; *stall*: seconds of silence that end it."""
    query = (("watch", "true"), ("allowWatchBookmarks", "true"), *selected)
    if version:
        query += (("resourceVersion", version),)
    if timeout_seconds is not None:
        query += (("timeoutSeconds", str(timeout_seconds)),)
    return Request(
        "GET",
        resource.collection_path(namespace),
        query,
        _JSON,
        verb="watch",
        resource=str(resource),
        streaming=True,
        timeout=None,
        stall=stall,
    )


def create(resource: Resource, body: Body, namespace: str | None, options: WriteOptions) -> Write:
    """A POST to the collection, or to an object's subresource (`v1/pods/eviction`).

    The namespace is the given one, else the object's own.
    """
    data, meta = _encoded(body, resource)
    own = meta.get("namespace") or None
    if namespace is not None and own is not None and namespace != own:
        raise InvalidName(f"create {resource}: the object is of namespace {own!r}, not {namespace!r}")
    place = namespace or own
    if resource.subresource:
        path = resource.object_path(join_key(place, str(meta.get("name", ""))))
    else:
        if place is None and resource.namespaced:
            raise InvalidName(f"create {resource}: it is namespaced: set metadata.namespace, or namespace=")
        path = resource.collection_path(place)
    request = _write("POST", path, data, "application/json", "create", resource, options.query())
    return Write(request, dry_run=options.dry_run)


def update(resource: Resource, body: Body, namespace: str | None, options: WriteOptions) -> Write:
    """A PUT of the whole object; a resource version in it makes its repeat safe."""
    data, meta = _encoded(body, resource)
    name = meta.get("name")
    if not name:
        raise InvalidName(f"update {resource}: the object has no metadata.name")
    key, version = join_key(namespace or meta.get("namespace"), str(name)), _version_in(meta)
    path = resource.object_path(key)
    request = _write("PUT", path, data, "application/json", "update", resource, options.query())
    return Write(request, key, version, bool(version), options.dry_run)


def patch(
    resource: Resource,
    key: Key,
    change: Body | list[Mapping[str, Any]],
    kind: PatchType,
    options: WriteOptions,
    *,
    force: bool,
) -> Write:
    """A PATCH; a resource version in it makes its repeat safe."""
    if kind not in get_args(PatchType):
        raise ConfigError(f"patch {resource}: {kind!r} is no type of patch; there are {get_args(PatchType)}")
    if (kind == "json") != isinstance(change, list):
        expected = "a list of operations" if kind == "json" else "an object"
        raise wrong_type(f"patch {resource}: a {kind} patch", expected, change)
    query = options.query()
    if kind == "apply":
        if not options.field_manager:
            raise ConfigError(f"patch {resource} {key}: an apply needs field_manager= (who owns the fields)")
        query += (("force", "true" if force else "false"),)
    elif force:
        raise ConfigError(f"patch {resource} {key}: force= goes with type='apply' only")
    if isinstance(change, list):
        data = _encoder.encode(change)
        tests = [step for step in change if step.get("op") == "test"]
        versions = [step.get("value") for step in tests if step.get("path") == "/metadata/resourceVersion"]
        version = str(versions[0]) if versions else ""
    else:
        data, meta = _encoded(change, resource)
        version = _version_in(meta)
    path = resource.object_path(key)
    request = _write("PATCH", path, data, _CONTENT_TYPE[kind], "patch", resource, query)
    return Write(request, key, version, bool(version), options.dry_run)


def delete(
    resource: Resource,
    key: Key,
    *,
    uid: str | None,
    resource_version: str | None,
    propagation: Propagation | None,
    grace_period: int | None,
    dry_run: bool,
) -> Write:
    """A DELETE with its options; a precondition makes its repeat safe."""
    if propagation is not None and propagation not in get_args(Propagation):
        raise ConfigError(f"delete {resource}: propagation= is one of {get_args(Propagation)}")
    if grace_period is not None and grace_period < 0:
        raise ConfigError(f"delete {resource}: grace_period= is in seconds and not negative")
    preconditions = {
        name: value for name, value in (("uid", uid), ("resourceVersion", resource_version)) if value
    }
    options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    if preconditions:
        options["preconditions"] = preconditions
    if propagation is not None:
        options["propagationPolicy"] = propagation
    if grace_period is not None:
        options["gracePeriodSeconds"] = grace_period
    if dry_run:
        options["dryRun"] = ["All"]
    data = _encoder.encode(options)
    path = resource.object_path(key)
    request = _write("DELETE", path, data, "application/json", "delete", resource, ())
    return Write(request, key, resource_version or "", bool(preconditions), dry_run)


def _version_in(meta: Mapping[str, Any]) -> str:
    return str(meta.get("resourceVersion") or "")


def checked_namespace(namespace: str | None) -> str | None:
    """*namespace*, or None for all; raises `InvalidName` for one that no path can carry."""
    if namespace is not None:
        path_segment(namespace, "namespace")
    return namespace


def _write(
    method: str,
    path: str,
    data: bytes,
    content_type: str,
    verb: str,
    resource: Resource,
    query: tuple[tuple[str, str], ...],
) -> Request:
    headers = {**_JSON, "Content-Type": content_type}
    return Request(method, path, query, headers, data, verb=verb, resource=str(resource))


def _encoded(body: Body, resource: Resource) -> tuple[bytes, Mapping[str, Any]]:
    """The JSON to send, with `apiVersion` and `kind` where they can be known, and its metadata."""
    if isinstance(body, View):
        raise TypeError(f"{type(body).__name__} is a projection: writing it would drop the other fields")
    if isinstance(body, KubeObject):
        data: Any = body.to_dict()
    elif isinstance(body, msgspec.Struct):
        data = msgspec.to_builtins(body)
    else:
        data = body
    if not isinstance(data, Mapping):
        raise wrong_type(f"the object for {resource}", "a mapping, a KubeObject or a Struct", body)
    if "kind" not in data and resource.kind and not resource.subresource:
        data = {"apiVersion": resource.api_version, "kind": resource.kind, **data}
    meta = data.get("metadata") or {}
    if not isinstance(meta, Mapping):
        raise wrong_type(f"metadata of the object for {resource}", "a mapping", meta)
    try:
        return _encoder.encode(data), meta
    except (TypeError, ValueError) as error:
        raise TypeError(f"the object for {resource} does not encode as JSON: {error}") from error
