"""The informers that run at once: what each of them is asked to hold, and what has to be in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from kresilient.api.objects import KubeObject
from kresilient.api.views import View

from .timeline import Truth

PODS, MAPS = "v1/pods", "v1/configmaps"
KEYS = ("a/x", "a/y", "b/x")


class Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class PodView(View, resource="v1/pods"):
    spec: Spec


def by_label(obj: KubeObject) -> list[str]:
    return [obj.labels["app"]] if "app" in obj.labels else []


def without_annotations(obj: KubeObject) -> dict[str, Any]:
    data = obj.to_dict()
    data["metadata"].pop("annotations", None)
    return data


@dataclass(frozen=True)
class Scope:
    """What an informer is made of; *holds* and *keeps* say once more, in plain words, what that means."""

    name: str
    resource: Any = PODS
    options: Mapping[str, Any] = field(default_factory=dict)
    holds: Callable[[Mapping[str, Any]], bool] = lambda data: True
    keeps: Callable[[dict[str, Any]], Any] = lambda data: data

    @property
    def plural(self) -> str:
        return PODS if self.resource is PodView else str(self.resource)

    @property
    def selective(self) -> bool:
        return bool(self.options.keys() & {"label_selector", "field_selector"})

    def expected(self, truth: Truth | None) -> Any:
        """What the cache has to show of *truth*; None where it is not to be seen."""
        if truth is None:
            return None
        if self.name not in truth.kept:
            data = msgspec.json.decode(msgspec.json.encode(truth.data))
            truth.kept[self.name] = self.keeps(data) if self.holds(data) else None
        return truth.kept[self.name]


def shown(obj: Any) -> Any:
    """*obj*, as a cache or an event shows it, in plain data."""
    if obj is None:
        return None
    return viewed(msgspec.json.encode(obj)) if isinstance(obj, View) else plain(obj.raw)


@lru_cache(maxsize=10_000)
def plain(raw: bytes) -> Any:
    """The object in *raw*, but for its type, which a list does not tell."""
    data = msgspec.json.decode(raw)
    data.pop("kind", None)
    data.pop("apiVersion", None)
    return data


@lru_cache(maxsize=10_000)
def viewed(raw: bytes) -> Any:
    return msgspec.json.decode(raw)


def _app(data: Mapping[str, Any]) -> str | None:
    return (data["metadata"].get("labels") or {}).get("app")


def _without(*paths: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def keeps(data: dict[str, Any]) -> dict[str, Any]:
        for path in paths:
            *outer, last = path.split(".")
            inside = data
            for step in outer:
                inside = inside.get(step, {})
            inside.pop(last, None)
        return data

    return keeps


def _viewed(data: dict[str, Any]) -> Any:
    return viewed(msgspec.json.encode(msgspec.convert(data, PodView)))


SCOPES = [
    Scope("all pods", options={"index": {"app": by_label, "node": "spec.nodeName"}}),
    Scope("all pods, listed", options={"streaming": False, "index": {"app": by_label}}),
    Scope("web pods", options={"label_selector": "app=web"}, holds=lambda data: _app(data) == "web"),
    Scope(
        "no db pods, listed",
        options={"label_selector": "app!=db", "streaming": False, "index": {"app": by_label}},
        holds=lambda data: _app(data) != "db",
    ),
    Scope(
        "running pods",
        options={"field_selector": "status.phase=Running", "index": {"app": by_label}},
        holds=lambda data: data["status"]["phase"] == "Running",
    ),
    Scope(
        "pods of n1, listed",
        options={"field_selector": "spec.nodeName=n1", "streaming": False},
        holds=lambda data: data["spec"].get("nodeName") == "n1",
    ),
    Scope("pods in a", options={"namespaces": "a"}, holds=lambda data: data["metadata"]["namespace"] == "a"),
    Scope("pods in a and in b", options={"namespaces": ("a", "b"), "index": {"app": by_label}}),
    Scope("viewed pods", PodView, keeps=_viewed),
    Scope(
        "stripped pods",
        options={"strip": ["metadata.managedFields", "spec"]},
        keeps=_without("metadata.managedFields", "spec"),
    ),
    Scope(
        "transformed pods",
        options={"transform": without_annotations, "label_selector": "app"},
        holds=lambda data: _app(data) is not None,
        keeps=_without("metadata.annotations"),
    ),
    Scope(
        "headers of pods",
        options={"metadata_only": True, "index": {"app": by_label}},
        keeps=lambda data: {"metadata": data["metadata"]},
    ),
    Scope("all maps", MAPS, options={"index": {"app": by_label}}),
    Scope(
        "web maps, listed",
        MAPS,
        options={"label_selector": "app=web", "streaming": False},
        holds=lambda data: _app(data) == "web",
    ),
    Scope(
        "headers of web maps",
        MAPS,
        options={"metadata_only": True, "label_selector": "app=web"},
        holds=lambda data: _app(data) == "web",
        keeps=lambda data: {"metadata": data["metadata"]},
    ),
]
