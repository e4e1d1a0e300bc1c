"""A definition of custom resources that claims are made of, and its objects."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from .api import Api, eventually
from .client import Client, collection

__all__ = ["DEFINITIONS", "Widgets", "definition", "established"]

DEFINITIONS = "apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 0, "maximum": 10},
        "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "nullable": True},
        "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "either": {"x-kubernetes-int-or-string": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "count": {"type": "integer", "default": 1},
                },
            },
        },
    },
}
STATUS = {"type": "object", "properties": {"size": {"type": "integer"}}}


def schema(spec: dict[str, Any]) -> dict[str, Any]:
    properties = {"spec": spec, "status": STATUS}
    return {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": properties}}


def definition(group: str, plural: str = "widgets", **more: Any) -> dict[str, Any]:
    """The definition of `widgets` in *group*, at two versions of which v1 is stored."""
    kind = plural[:-1].capitalize()
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": schema(deepcopy(SPEC)),
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
        },
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }
    old = {"name": "v1beta1", "served": True, "storage": False, "schema": schema(deepcopy(SPEC))}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {
                "plural": plural,
                "singular": plural[:-1],
                "kind": kind,
                "listKind": f"{kind}List",
                "shortNames": ["wd"],
                "categories": ["contract"],
            },
            "scope": "Namespaced",
            "versions": [version, old],
            **more,
        },
    }


async def established(client: Client, name: str) -> dict[str, Any]:
    """The definition *name*, once its resource is served."""
    plural, _, group = name.partition(".")

    def good(body: dict[str, Any]) -> bool:
        conditions = (body.get("status") or {}).get("conditions") or []
        return any((one["type"], one["status"]) == ("Established", "True") for one in conditions)

    async def ask() -> dict[str, Any]:
        body: dict[str, Any] = (await client.get(f"{collection(DEFINITIONS)}/{name}")).ok()
        return body

    body = await eventually(ask, good, within=20.0)
    await eventually(lambda: client.get(f"/apis/{group}/v1/{plural}"), lambda answer: answer.status == 200)
    return body


class Widgets:
    """Widgets in the namespace of the run."""

    def __init__(self, api: Api, group: str) -> None:
        self.api = api
        self.version = f"{group}/v1"
        self.resource = f"{group}/v1/widgets"
        self.qualified = f"Widget.{group}"

    def body(self, spec: Any = None, **more: Any) -> dict[str, Any]:
        return {"apiVersion": self.version, "kind": "Widget", "spec": spec or {"size": 1}, **more}

    async def create(self, spec: Any = None, **more: Any) -> dict[str, Any]:
        return await self.api.create(self.resource, self.body(spec, **more))

    async def refused(self, spec: Any) -> list[tuple[str, str]]:
        """The causes, as reason and field, for which *spec* is refused."""
        body = self.body(spec, metadata={"name": self.api.name()})
        status = (await self.api.post(self.api.path(self.resource), body)).refused(422, "Invalid")
        return [(cause["reason"], cause["field"]) for cause in status["details"]["causes"]]

    def path(self, obj: dict[str, Any], sub: str = "") -> str:
        return self.api.path(self.resource, obj["metadata"]["name"], sub)
