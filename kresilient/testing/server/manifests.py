"""Objects from YAML manifests, as `kubectl create -f` takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .bodies import check_shape
from .kinds import ApiResource
from .state import ApiState

__all__ = ["load_manifests"]


def load_manifests(state: ApiState, text: str | bytes) -> list[str]:
    """Create every object in *text*: YAML documents or JSON, `List`s taken apart; status and all.

    Returns what was created, as `"v1/pods default/web-0"`. Raises `ValueError` for what is no manifest, and
    `Refused` for an object that the server refuses; what came before it stays.
    """
    import yaml

    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ValueError(f"the manifest is no YAML: {error}") from error
    return [_create(state, obj) for document in documents if document for obj in _objects(document)]


def _objects(document: Any) -> Iterable[dict[str, Any]]:
    if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
        raise ValueError(f"a manifest needs apiVersion and kind: {str(document)[:200]}")
    if document["kind"].endswith("List") and isinstance(document.get("items"), list):
        kind = document["kind"].removesuffix("List")
        for item in document["items"]:
            shown = {"apiVersion": document["apiVersion"], "kind": kind} if kind else {}
            yield from _objects({**shown, **item})
    else:
        yield document


def _create(state: ApiState, obj: dict[str, Any]) -> str:
    resource = _resource(state, obj["apiVersion"], obj["kind"])
    check_shape(obj, resource.kind, resource.version)
    metadata = obj["metadata"]
    for field in ("resourceVersion", "uid"):  # left over from `kubectl get -o yaml`
        metadata.pop(field, None)
    namespace = (metadata.get("namespace") or "default") if resource.namespaced else ""
    return f"{resource} {state.create(resource, obj, namespace=namespace, keep_status=True).key}"


def _resource(state: ApiState, api_version: str, kind: str) -> ApiResource:
    for resource in state.resources:
        if resource.api_version == api_version and resource.kind == kind:
            return resource
    raise ValueError(
        f"this server serves no {kind} of {api_version}: put its CustomResourceDefinition before it"
    )
