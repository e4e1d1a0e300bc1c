"""What a method and a path mean, as kube-apiserver takes them apart."""

from __future__ import annotations

import pytest

from kresilient.adapters.request_info import RequestInfo
from kresilient.testing.server.requests import Call
from kresilient.testing.server.requests import RequestInfo as AsTheServerSaysIt

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


@pytest.mark.parametrize(
    ("method", "path", "verb", "resource", "namespace", "name"),
    [
        ("GET", "/api/v1/pods", "list", "v1/pods", None, ""),
        ("GET", "/api/v1/namespaces/a/pods", "list", "v1/pods", "a", ""),
        ("HEAD", "/api/v1/namespaces/a/pods/web", "get", "v1/pods", "a", "web"),
        ("GET", "/api/v1/namespaces/a/pods/a%2Fb", "get", "v1/pods", "a", "a/b"),
        ("POST", "/api/v1/namespaces/a/pods", "create", "v1/pods", "a", ""),
        ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection", "v1/pods", "a", ""),
        ("DELETE", "/api/v1/nodes/n1", "delete", "v1/nodes", None, "n1"),
        ("PATCH", "/api/v1/nodes/n1/status", "patch", "v1/nodes/status", None, "n1"),
        ("PUT", LEASES + "/l", "update", "coordination.k8s.io/v1/leases", "kube-system", "l"),
        ("POST", LEASES, "create", "coordination.k8s.io/v1/leases", "kube-system", ""),
        ("POST", "/api/v1/namespaces/a/pods/web/eviction", "create", "v1/pods/eviction", "a", "web"),
        (
            "POST",
            "/api/v1/namespaces/a/serviceaccounts/s/token",
            "create",
            "v1/serviceaccounts/token",
            "a",
            "s",
        ),
        (
            "GET",
            "/apis/apps/v1/namespaces/a/deployments/d/scale",
            "get",
            "apps/v1/deployments/scale",
            "a",
            "d",
        ),
        ("GET", "/api/v1/namespaces", "list", "v1/namespaces", None, ""),
        ("GET", "/api/v1/namespaces/a", "get", "v1/namespaces", "a", "a"),
        ("PUT", "/api/v1/namespaces/a/finalize", "update", "v1/namespaces/finalize", "a", "a"),
        ("GET", "/api/v1/namespaces/a/status", "get", "v1/namespaces/status", "a", "a"),
        ("GET", "/apis/example.com/v1/widgets", "list", "example.com/v1/widgets", None, ""),
        ("GET", "/api/v1/watch/namespaces/a/pods", "watch", "v1/pods", "a", ""),
        ("GET", "/api/v1/namespaces/a/pods/web/proxy/x/y", "get", "v1/pods/proxy", "a", "web"),
    ],
)
def test_a_resource_request(
    method: str, path: str, verb: str, resource: str, namespace: str | None, name: str
) -> None:
    info = RequestInfo.of(method, path)
    assert (info.verb, str(info.resource), info.namespace, info.name) == (verb, resource, namespace, name)
    served = AsTheServerSaysIt.of(Call(method, path.replace("%2F", "-"), {}, {}))
    assert verb == served.verb
    assert str(info.resource.parent) == served.resource, "the fake server reads it alike"


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/version", "/openapi/v3/api/v1"]
)
def test_a_document_of_the_server_is_no_resource(path: str) -> None:
    info = RequestInfo.of("GET", path)
    assert (info.verb, info.resource) == ("get", None)
    assert info.document is (path != "/")


@pytest.mark.parametrize("path", ["/healthz", "/readyz/ping", "/metrics", "/logs/kubelet.log"])
def test_what_is_no_object_is_told(path: str) -> None:
    assert not RequestInfo.of("GET", path).document


TRUE, FALSE = ("true", "True", "1", "yes", ""), ("false", "False", "0")


@pytest.mark.parametrize("value", [*TRUE, *FALSE])
def test_watch_is_what_the_server_takes_for_true(value: str) -> None:
    verb = RequestInfo.of("GET", "/api/v1/pods", [("watch", value)]).verb
    assert verb == ("watch" if value in TRUE else "list")


def test_a_get_of_one_object_is_never_a_watch() -> None:
    assert RequestInfo.of("GET", "/api/v1/nodes/n1", [("watch", "true")]).verb == "get"


@pytest.mark.parametrize(("what", "websocket"), [("exec", True), ("attach", True), ("portforward", True)])
def test_exec_and_its_like_are_websockets(what: str, websocket: bool) -> None:
    assert RequestInfo.of("GET", f"/api/v1/namespaces/a/pods/web/{what}").websocket is websocket


@pytest.mark.parametrize(("what", "long"), [("log", True), ("proxy/x", True), ("status", False)])
def test_logs_and_proxied_answers_may_go_on(what: str, long: bool) -> None:
    assert RequestInfo.of("GET", f"/api/v1/namespaces/a/pods/web/{what}").long_running is long


def test_a_built_in_resource_comes_with_its_kind_and_scope() -> None:
    resource = RequestInfo.of("GET", "/api/v1/nodes/n1").resource
    assert resource is not None
    assert (resource.kind, resource.namespaced) == ("Node", False)
