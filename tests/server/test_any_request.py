"""Whatever is sent is answered, with no exception of the server's own, and all stays readable."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest

from .builtin.objects import VALID, valid
from .custom import Wire

_ROUNDS: Final = 10
_PARTS: Final = (
    *[""] * 14,
    *["/status"] * 3,
    "/scale",
    "/finalize",
    "/eviction",
    "/binding",
    "/token",
    "/approval",
)
_PATCHES: Final = ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
_CLUSTER: Final = ("namespaces", "nodes", "persistentvolumes", "clusterroles", "clusterrolebindings")
_CLUSTER_TOO: Final = ("priorityclasses", "storageclasses", "customresourcedefinitions")
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 1.0, 1.5, 2**63, 2**64, 10**30, 1e308, float("nan"), float("inf")),
    *("", "a", "é\u0000", "\ud800", "x" * 300, "1Gi", "1e999999999", "5%", "-5%"),
    *("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    *(
        [],
        {},
        [None],
        [{}],
        [[]],
        ["a"],
        [1],
        {"": None},
        {"a": None},
        {"a": "b"},
        {"a": {}},
        [{"name": "c"}],
    ),
    *([{"name": []}], [{"name": "c"}, {"name": "c"}], {"$patch": "delete"}, {"$patch": 1}),
    *([{"$patch": "replace"}], {"$retainKeys": [{}]}, {"$setElementOrder/a": [{}]}),
    *({"$deleteFromPrimitiveList/finalizers": 1}, [{"k": "v"}, 1]),
)
_KEYS: Final = (
    *("metadata", "spec", "status", "managedFields", "ownerReferences", "finalizers", "labels", "name"),
    *("generateName", "deletionTimestamp", "uid", "resourceVersion", "namespace", "annotations", "data", "a"),
    *("$patch", "$retainKeys", "$setElementOrder/finalizers", "$setElementOrder/ports", "conditions"),
    *("$deleteFromPrimitiveList/finalizers", "replicas", "selector", "kind", "apiVersion", ""),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from _places(one, (*path, key))


def _twisted(random: Random, obj: Any) -> Any:
    """*obj* with a few of its places given another value, or one more."""
    made = {"": copy.deepcopy(obj)}
    for _ in range(random.randint(1, 3)):
        *parents, last = random.choice(list(_places(made))[1:])
        place: Any = made
        for part in parents:
            place = place[part]
        value = copy.deepcopy(random.choice(_VALUES))
        if isinstance(place[last], dict) and random.random() < 0.6:
            place[last][random.choice(_KEYS)] = value
        else:
            place[last] = value
    return made[""]


def _operations(random: Random, obj: Any) -> Any:
    paths = ["/" + "/".join(map(str, path)) for path in _places(obj)]
    paths += ["", "a", "/metadata/labels/a", "/metadata/finalizers/-", "/a/-1", "/~", "/metadata/name/0"]
    operations = [
        {
            "op": random.choice(["add", "remove", "replace", "move", "copy", "test", "a", None]),
            "path": random.choice([*paths, 1]),
            "from": random.choice([*paths, None]),
            "value": random.choice(_VALUES),
        }
        for _ in range(random.randint(1, 3))
    ]
    return _twisted(random, operations) if random.random() < 0.3 else operations


def _root(resource: str) -> str:
    """The path of all objects of *resource*."""
    return f"/api/{resource}" if resource.startswith("v1/") else f"/apis/{resource}"


def _calls(random: Random, resource: str, obj: dict[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """Requests about one resource: method, path, media type and body."""
    root, _, plural = _root(resource).rpartition("/")
    namespaced = plural not in _CLUSTER + _CLUSTER_TOO
    where = f"{root}/namespaces/default/{plural}" if namespaced else f"{root}/{plural}"
    name = obj["metadata"]["name"]
    yield "POST", where, "application/json", obj
    for _ in range(12):
        path = f"{where}/{name}"
        path += random.choice(_PARTS)
        match random.randrange(20):
            case 0 | 5:
                yield "POST", where, "application/json", _twisted(random, obj)
            case 1:
                yield "POST", path, "application/json", _twisted(random, obj)
            case 2 | 6 | 7 | 8:
                yield "PUT", path, "application/json", _twisted(random, obj)
            case 3:
                yield "DELETE", path, "application/json", _twisted(random, {"preconditions": {"uid": "a"}})
            case 4 | 9 | 10 | 11:
                yield "PATCH", path, "application/json-patch+json", _operations(random, obj)
            case _:
                yield "PATCH", path, f"application/{random.choice(_PATCHES[1:])}", _twisted(random, obj)


WIDGET: Final[dict[str, Any]] = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "a"},
    "spec": {"size": 1, "parts": [{"name": "c"}], "tags": ["t"], "by": {"k": "v"}},
}
DEFINITION: Final[dict[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "default": 2, "minimum": 0},
                                    "parts": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {"name": {"type": "string"}},
                                        },
                                    },
                                    "tags": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "set",
                                        "items": {"type": "string"},
                                    },
                                    "by": {"type": "object", "additionalProperties": {"type": "string"}},
                                },
                                "x-kubernetes-validations": [{"rule": "!has(self.size) || self.size < 9"}],
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}
OTHERS: Final = {
    "example.com/v1/widgets": WIDGET,
    "apiextensions.k8s.io/v1/customresourcedefinitions": DEFINITION,
}


@pytest.mark.parametrize("resource", [*VALID, *OTHERS])
def test_whatever_is_sent_is_answered_and_all_stays_readable(resource: str) -> None:
    random = Random(resource)
    for _ in range(_ROUNDS):
        wire = Wire()
        wire.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
        obj = copy.deepcopy(OTHERS[resource]) if resource in OTHERS else valid(resource)
        kind = wire.state.resources.parse(resource)
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        for method, path, media, body in _calls(random, resource, obj):
            query = f"?fieldManager=fuzz&fieldValidation={random.choice(['Strict', 'Warn', 'Ignore'])}"
            query += random.choice(["", "&force=true", "&dryRun=All"])
            try:
                answer = wire.answer(method, path + query, body, media)
                said = json.loads(b"".join(answer.body))
            except Exception as error:
                error.add_note(f"{method} {path}{query} {media} {json.dumps(body)}")
                raise
            assert answer.status < 400 or said["code"] == answer.status
        status, listed = wire.ask("GET", _root(resource))
        assert status == 200
        assert all(item["metadata"]["name"] for item in listed["items"])
