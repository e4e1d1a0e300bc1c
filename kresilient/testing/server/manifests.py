"""Objects from manifest files, as `kubectl apply -f` takes them: YAML or JSON, several documents, Lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kresilient.api.resources import join_key

from .bodies import check_shape
from .kinds import ApiResource
from .snapshot import API_VERSION as SNAPSHOT
from .statuses import Refused

if TYPE_CHECKING:
    from .tracker import ObjectTracker

__all__ = ["add_manifests", "load_manifests", "read_manifests"]

_FIRST: Final = ("CustomResourceDefinition", "Namespace")


def read_manifests(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in the file *path*, each with where it stands, for messages.

    Empty documents are left out and Lists taken apart. Raises `ValueError` for what is no manifest, and
    `OSError`.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with Path(path).open("rb") as file:
        try:
            documents = list(yaml.load_all(file, Loader=loader))  # a safe loader, in C or not
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is neither YAML nor JSON: {error}") from error
    for number, document in enumerate(documents, 1):
        if document is not None:
            yield from _objects(f"{path}, document {number}", document)


def load_manifests(server: ObjectTracker, paths: Iterable[str | Path]) -> list[str]:
    """Store every object of the files *paths*, status and all; definitions and namespaces go in first.

    An object that is there already is replaced. Returns what was stored, as `"v1/pods default/web-0"`.
    Raises `ValueError` that names the document a server would refuse; what came before it stays.
    """
    return _store_all(server, [entry for path in paths for entry in read_manifests(path)])


def add_manifests(server: ObjectTracker, manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    """Store objects in plain data, Lists taken apart, as `load_manifests` stores those of a file."""
    return _store_all(
        server,
        [entry for number, one in enumerate(manifests, 1) for entry in _objects(f"object {number}", one)],
    )


def _store_all(server: ObjectTracker, found: list[tuple[str, dict[str, Any]]]) -> list[str]:
    found.sort(key=lambda entry: entry[1]["kind"] not in _FIRST)
    return [_store(server, where, manifest) for where, manifest in found]


def _objects(where: str, document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
        raise ValueError(f"{where} is no Kubernetes object: a manifest needs apiVersion and kind")
    kind, items = str(document["kind"]), document.get("items")
    if document["apiVersion"] == SNAPSHOT:
        raise ValueError(f"{where} is of a snapshot, which is no manifest: restore() takes it")
    if isinstance(items, list) and kind.endswith("List"):
        for number, item in enumerate(items, 1):
            if isinstance(item, dict) and kind != "List":  # items of a typed list carry no type of their own
                item = {"apiVersion": document["apiVersion"], "kind": kind.removesuffix("List"), **item}
            yield from _objects(f"{where}, item {number}", item)
        return
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        raise ValueError(f"{where}: {kind} has no metadata.name")
    yield where, document


def _store(server: ObjectTracker, where: str, manifest: Mapping[str, Any]) -> str:
    api_version, kind = str(manifest["apiVersion"]), str(manifest["kind"])
    resource = _resource(server, api_version, kind)
    if resource is None:
        raise ValueError(
            f"{where}: nothing serves {kind} of {api_version}: load its CustomResourceDefinition too"
        )
    left_over = ("resourceVersion", "uid")  # of `kubectl get -o yaml`
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in left_over}
    obj = {**manifest, "metadata": metadata}
    namespace = (metadata.get("namespace") or "default") if resource.namespaced else None
    key = join_key(namespace, str(metadata.get("name") or ""))
    try:
        check_shape(obj, resource.kind, resource.version)
        known = bool(metadata.get("name")) and server.get(resource.resource, key) is not None
        stored = (server.update if known else server.create)(resource.resource, obj)
    except Refused as refused:
        raise ValueError(f"{where}: the server refuses it: {refused}") from refused
    except (TypeError, AttributeError) as error:  # an object of a shape nothing expects
        raise ValueError(f"{where}: {kind} cannot be stored: {error}") from error
    return f"{resource} {join_key(namespace, stored['metadata']['name'])}"


def _resource(server: ObjectTracker, api_version: str, kind: str) -> ApiResource | None:
    served = server.state.resources
    return next((one for one in served if one.api_version == api_version and one.kind == kind), None)
