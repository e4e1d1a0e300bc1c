"""Whatever a client sends, it gets an answer: no body of any shape raises in the server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .custom import DEFINITIONS, WIDGETS, Wire, definition, version

_PODS = "/api/v1/namespaces/default/pods"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
_TEMPLATE = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "E", "value": "v"}]}]},
}
_OBJECTS: dict[str, dict[str, Any]] = {
    _PODS: {"apiVersion": "v1", "kind": "Pod", **_TEMPLATE},
    _DEPLOYMENTS: {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": _TEMPLATE},
    },
    "/api/v1/namespaces/default/secrets": {"apiVersion": "v1", "kind": "Secret", "data": {"a": "YQ=="}},
    "/api/v1/namespaces/default/services": {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}},
    },
    "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers": {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "x"}},
    },
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
    },
    WIDGETS: {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"n": 1, "list": [{"k": "a"}]}},
    DEFINITIONS: {**definition(names={"plural": "gadgets", "kind": "Gadget"})},
}
_SUBRESOURCES = ("", "", "", "/status", "/scale", "/binding", "/eviction", "/finalize", "/token", "/approval")
_NAMES = ("metadata", "spec", "status", "name", "labels", "finalizers", "managedFields", "containers", "")
_DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers")
_LEAVES = (
    *(None, True, 0, -1, 2**63, 2**64, 10**30, -0.5, 1e308, float("nan"), float("inf")),
    *("", "a", "\ud800", "\0", "x" * 300, "1Gi", "1e999999999", "0001-01-01T00:00:00Z", "-5%"),
)

_keys = st.sampled_from(_NAMES + _DIRECTIVES)
_any = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in _places(one, (*at, key)))]


@st.composite
def _spoilt(draw: st.DrawFn, path: str) -> Any:
    """An object with anything at one or two places of it."""
    obj = json.loads(json.dumps(_OBJECTS[path]))
    obj.setdefault("metadata", {})["name"] = draw(st.sampled_from(["a", "b"]))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(_places(obj)))
        if not place:
            return draw(_any)
        holder = obj
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = draw(_any)
    return obj


@st.composite
def _operations(draw: st.DrawFn, path: str) -> Any:
    """A JSON patch of anything to any place."""
    pointers = ["".join(f"/{part}" for part in place) for place in _places(_OBJECTS[path])]
    ends = st.sampled_from(["", "/-", "/0", "/-1", "/01", "/99999999999999999999", "/x"])
    pointer = st.builds(str.__add__, st.sampled_from(pointers), ends) | _any
    names = st.sampled_from(["add", "remove", "replace", "move", "copy", "test", 1])
    one = st.fixed_dictionaries({"op": names, "path": pointer}, optional={"value": _any, "from": pointer})
    return draw(st.lists(one | _any, min_size=1, max_size=3))


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, str, Any, str]:
    path = draw(st.sampled_from(list(_OBJECTS)))
    method = draw(st.sampled_from(["POST", "PUT", "PATCH", "PATCH", "PATCH", "DELETE"]))
    kind = draw(st.sampled_from(["json", "merge", "strategic", "apply"])) if method == "PATCH" else ""
    subresource = draw(st.sampled_from(_SUBRESOURCES))
    where = path if method == "POST" and not subresource else f"{path}/a{subresource}"
    query = "?fieldManager=m&force=true" if kind == "apply" else ""
    return method, where + query, draw(_operations(path) if kind == "json" else _spoilt(path)), kind


def _server() -> Wire:
    wire = Wire()
    schema = {
        "n": {"type": "integer", "minimum": 1},
        "list": {
            "type": "array",
            "items": {"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"]},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["k"],
        },
    }
    scale = {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}
    wire.define(version(schema, subresources={"status": {}, "scale": scale}))
    for path, obj in _OBJECTS.items():
        assert wire.ask("POST", path, {**obj, "metadata": {"name": "a"} | obj.get("metadata", {})})[0] == 201
    return wire


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(_requests(), min_size=1, max_size=8))
def test_every_request_is_answered_and_all_stays_readable(requests: list[tuple[str, str, Any, str]]) -> None:
    wire = _server()
    for method, path, body, kind in requests:
        status, answer = wire.ask(method, path, body, kind=kind)
        assert status < 400 or isinstance(answer, str) or answer["kind"] == "Status"
    for path in _OBJECTS:
        status, answer = wire.ask("GET", path)
        assert status == 200
        assert all(item["metadata"]["name"] for item in answer["items"])


@pytest.mark.parametrize("name", ["..", ".", "a%b"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_name_that_is_no_part_of_a_path_is_refused(method: str, name: str) -> None:
    status, answer = Wire().ask(method, f"{_PODS}/{name}", {"metadata": {"name": name}})
    assert status == 400
    said = "may not contain '%'" if "%" in name else f"may not be '{name}'"
    assert answer["message"] == f'Name parameter invalid: "{name}": {said}'


def test_an_apply_without_metadata_creates_what_the_url_names() -> None:
    wire = Wire()
    wire.define(version({"n": {"type": "integer"}}))
    applied = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"n": 1}}
    status, made = wire.ask("PATCH", f"{WIDGETS}/w?fieldManager=m", applied, kind="apply")
    assert (status, made["metadata"]["name"]) == (201, "w")


def test_a_secret_may_have_an_entry_that_is_null() -> None:
    status, made = Wire().ask(
        "POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "a"}, "data": {"k": None}}
    )
    assert (status, made["data"]) == (201, {"k": ""})


def test_a_json_patch_cannot_grow_an_object_deeper_than_the_server_can_go() -> None:
    wire = Wire()
    wire.define()
    wire.create({"a": {}})
    doubled = [{"op": "copy", "from": "/spec", "path": "/spec/a"}] * 100
    status, _ = wire.ask("PATCH", f"{WIDGETS}/w", doubled, kind="json")
    assert status == 422
