"""The real kubectl reads from the fake server: get, watch, describe, explain, wait."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kresilient.testing.server import FakeApiServer

from .kubectl import Kubectl

CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"size": {"type": "integer", "description": "How large."}},
                            }
                        },
                    }
                },
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }
        ],
    },
}


def pod(name: str, phase: str) -> dict[str, Any]:
    running = {"state": {"running": {}}} if phase == "Running" else {}
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": "c", "ready": phase == "Running", "restartCount": 2, "image": "i", **running}
            ],
        },
    }


@pytest.fixture(autouse=True)
def pods(server: FakeApiServer) -> None:
    for name, phase in (("web-0", "Running"), ("web-1", "Pending")):
        server.create("v1/pods", pod(name, phase))


def define_widgets(server: FakeApiServer) -> None:
    server.create(CRDS, WIDGETS)
    server.create("example.com/v1/widgets", {"metadata": {"name": "w"}, "spec": {"size": 3}})


# --- get ---------------------------------------------------------------------------------------------


async def test_get_pods_of_all_namespaces_shows_their_columns(kubectl: Kubectl) -> None:
    lines = [line.split() for line in (await kubectl("get", "pods", "-A")).splitlines()]
    assert lines[0] == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1][:5] == ["default", "web-0", "1/1", "Running", "2"]
    assert lines[2][:5] == ["default", "web-1", "0/1", "Pending", "2"]


async def test_get_wide_shows_more_columns(kubectl: Kubectl) -> None:
    wide = (await kubectl("get", "pods", "-o", "wide")).splitlines()
    assert wide[0].split()[5:] == ["IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"]
    assert wide[1].split()[5:] == ["<none>", "n1", "<none>", "<none>"]


async def test_get_an_object_in_each_form(kubectl: Kubectl) -> None:
    text = await kubectl("get", "pod", "web-0", "-o", "yaml")
    assert text.startswith("apiVersion: v1\nkind: Pod\nmetadata:\n")
    assert "nodeName: n1" in text
    assert json.loads(await kubectl("get", "pod", "web-0", "-o", "json"))["spec"]["nodeName"] == "n1"
    found = json.loads(await kubectl("get", "pods", "-o", "json"))
    assert (found["kind"], found["items"][0]["kind"]) == ("List", "Pod")
    jsonpath = "jsonpath={.items[*].metadata.name}"
    assert await kubectl("get", "pods", "-o", jsonpath) == "web-0 web-1"
    columns = "custom-columns=NAME:.metadata.name,NODE:.spec.nodeName"
    shown = (await kubectl("get", "pods", "-o", columns)).split()
    assert shown == ["NAME", "NODE", "web-0", "n1", "web-1", "n1"]


async def test_get_with_selectors(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/pods", {"metadata": {"name": "other"}, "spec": {"containers": [{"name": "c"}]}})
    assert await kubectl("get", "pods", "-l", "app=web", "-o", "name") == "pod/web-0\npod/web-1\n"
    others = await kubectl("get", "pods", "--field-selector", "spec.nodeName!=n1", "-o", "name")
    assert others == "pod/other\n"


async def test_get_in_pages(kubectl: Kubectl, server: FakeApiServer) -> None:
    assert await kubectl("get", "pods", "--chunk-size", "1", "-o", "name") == "pod/web-0\npod/web-1\n"
    assert server.requests.count(verb="list", resource="v1/pods") == 2


async def test_get_sorted_by_a_field(kubectl: Kubectl) -> None:
    lines = (await kubectl("get", "pods", "--no-headers", "--sort-by", ".status.phase")).splitlines()
    assert [line.split()[0] for line in lines] == ["web-1", "web-0"]


async def test_get_all_shows_everything_of_that_category(kubectl: Kubectl, server: FakeApiServer) -> None:
    define_widgets(server)
    server.create("v1/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    shown = await kubectl("get", "all", "-o", "name")
    assert shown.split() == ["pod/web-0", "pod/web-1", "service/s", "widget.example.com/w"]


async def test_get_what_is_not_there_fails_with_the_servers_words(kubectl: Kubectl) -> None:
    assert await kubectl.fails("get", "pod", "nope") == (
        'Error from server (NotFound): pods "nope" not found\n'
    )
    assert "the server doesn't have a resource type" in await kubectl.fails("get", "gizmos")


async def test_custom_resources_are_found_by_their_short_name(
    kubectl: Kubectl, server: FakeApiServer
) -> None:
    define_widgets(server)
    assert (await kubectl("get", "wd", "--no-headers")).split() == ["w", "3"]


# --- watch and wait ----------------------------------------------------------------------------------


async def test_a_watch_shows_what_happens(kubectl: Kubectl, server: FakeApiServer) -> None:
    process = await kubectl.start("get", "pods", "-w", "--no-headers")
    assert process.stdout is not None
    try:
        first = [await process.stdout.readline(), await process.stdout.readline()]
        await server.watchers("v1/pods", 1)
        server.patch("v1/pods", "default/web-1", {"status": {"phase": "Running"}})
        changed = await process.stdout.readline()
        server.create("v1/pods", pod("web-2", "Pending"))
        created = await process.stdout.readline()
    finally:
        process.terminate()
        await process.communicate()
    assert [line.split()[0] for line in first] == [b"web-0", b"web-1"]
    assert changed.split()[:3] == [b"web-1", b"0/1", b"Running"]
    assert created.split()[0] == b"web-2"


async def test_a_watch_only_shows_nothing_of_before(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "a"}})
    process = await kubectl.start("get", "cm", "--watch-only", "--output-watch-events", "--no-headers")
    assert process.stdout is not None
    try:
        await server.watchers("v1/configmaps", 1)
        server.create("v1/configmaps", {"metadata": {"name": "b"}})
        server.delete("v1/configmaps", "default/a")
        lines = [await process.stdout.readline() for _ in range(2)]
    finally:
        process.terminate()
        await process.communicate()
    assert [line.split()[:2] for line in lines] == [[b"ADDED", b"b"], [b"DELETED", b"a"]]


async def test_wait_until_a_field_has_a_value(kubectl: Kubectl, server: FakeApiServer) -> None:
    process = await kubectl.start("wait", "--for=jsonpath={.status.phase}=Running", "pod/web-1")
    await server.watchers("v1/pods", 1)
    server.patch("v1/pods", "default/web-1", {"status": {"phase": "Running"}})
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"pod/web-1 condition met\n")


async def test_wait_until_a_condition_is_true(kubectl: Kubectl, server: FakeApiServer) -> None:
    process = await kubectl.start("wait", "--for=condition=Ready", "pod/web-0")
    await server.watchers("v1/pods", 1)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    server.patch("v1/pods", "default/web-0", {"status": ready})
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"pod/web-0 condition met\n")


async def test_wait_until_an_object_is_gone(kubectl: Kubectl, server: FakeApiServer) -> None:
    process = await kubectl.start("wait", "--for=delete", "pod/web-0")
    await server.watchers("v1/pods", 1)
    server.delete("v1/pods", "default/web-0")
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"pod/web-0 condition met\n"), err


# --- describe ----------------------------------------------------------------------------------------


async def test_describe_a_pod_with_its_events(kubectl: Kubectl, server: FakeApiServer) -> None:
    uid = server.objects("v1/pods")["default/web-0"]["metadata"]["uid"]
    about = {"kind": "Pod", "name": "web-0", "namespace": "default", "uid": uid}
    event = {"involvedObject": about, "type": "Normal", "reason": "Pulled", "message": "image is there"}
    server.create("v1/events", {"metadata": {"name": "web-0.1"}, **event})
    shown = await kubectl("describe", "pod", "web-0")
    assert re.search(r"^Status: +Running$", shown, re.MULTILINE)
    assert "image is there" in shown


async def test_describe_a_node_a_deployment_and_a_configmap(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/nodes", {"metadata": {"name": "n1"}})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    server.create("apps/v1/deployments", {"metadata": {"name": "d"}, "spec": spec})
    server.create("v1/configmaps", {"metadata": {"name": "c"}, "data": {"key": "value"}})
    assert "web-0" in await kubectl("describe", "node", "n1")
    assert "2 desired | 0 updated" in await kubectl("describe", "deployment", "d")
    assert "key:\n----\nvalue\n" in await kubectl("describe", "configmap", "c")


async def test_describe_a_custom_resource(kubectl: Kubectl, server: FakeApiServer) -> None:
    define_widgets(server)
    shown = await kubectl("describe", "widget", "w")
    assert "Kind:         Widget" in shown
    assert "  Size:  3" in shown


async def test_events_are_listed(kubectl: Kubectl, server: FakeApiServer) -> None:
    about = {"kind": "Pod", "name": "web-0", "namespace": "default"}
    event = {"involvedObject": about, "type": "Warning", "reason": "Failed", "message": "it broke"}
    server.create("v1/events", {"metadata": {"name": "e"}, "lastTimestamp": "2026-11-25T00:00:00Z", **event})
    shown = (await kubectl("events", "--no-headers")).split()
    assert shown[1:] == ["Warning", "Failed", "Pod/web-0", "it", "broke"]
    shown = (await kubectl("get", "events", "--no-headers")).split()
    assert shown[1:] == ["Warning", "Failed", "pod/web-0", "it", "broke"]


# --- what there is -----------------------------------------------------------------------------------


async def test_api_resources_and_versions_are_listed(kubectl: Kubectl, server: FakeApiServer) -> None:
    define_widgets(server)
    lines = (await kubectl("api-resources", "--no-headers")).splitlines()
    shown = {line.split()[-1]: line.split() for line in lines}
    assert shown["Pod"] == ["pods", "po", "v1", "true", "Pod"]
    assert shown["Widget"] == ["widgets", "wd", "example.com/v1", "true", "Widget"]
    extensions = await kubectl("api-resources", "--categories=api-extensions", "-o", "name")
    assert "customresourcedefinitions.apiextensions.k8s.io" in extensions.split()
    assert {"v1", "apps/v1", "example.com/v1"} <= set((await kubectl("api-versions")).split())


async def test_explain_shows_fields_types_and_texts(kubectl: Kubectl, server: FakeApiServer) -> None:
    shown = await kubectl("explain", "pods.spec.containers")
    assert "FIELD: containers <[]Container>" in shown
    assert "  image\t<string>\n" in shown
    shown = await kubectl("explain", "deployments", "--recursive")
    assert " containerPort\t<integer> -required-\n" in shown


async def test_explain_reads_version_2_of_openapi_in_protobuf(
    kubectl: Kubectl, server: FakeApiServer
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 3, "default": 3},
                    "name": {
                        "type": "string",
                        "description": "what it is called " * 20,
                        "pattern": "^[a-z]+$",
                        "maxLength": 5_000,
                        "enum": ["a", "b"],
                        "externalDocs": {"url": "https://example.com"},
                    },
                    "parts": {"type": "array", "maxItems": 3, "items": {"type": "string"}, "example": ["a"]},
                    "by": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "free": {"type": "object", "additionalProperties": True},
                    "either": {"x-kubernetes-int-or-string": True},
                },
            }
        },
    }
    definition = json.loads(json.dumps(WIDGETS))
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    server.create(CRDS, definition)
    shown = await kubectl("explain", "widgets.spec", "--output=plaintext-openapiv2")
    assert "what it is called what it is called" in shown
    types = {"by": "map[string]boolean", "parts": "[]string", "size": "integer"}
    for name, kind in types.items():
        assert re.search(rf"{name}\s+<{re.escape(kind)}>", shown), shown
    assert re.search(r"size\s+<integer> -required-", shown)
    assert "nodeName" in await kubectl("explain", "pods.spec", "--output=plaintext-openapiv2")


async def test_explain_knows_custom_resources(kubectl: Kubectl, server: FakeApiServer) -> None:
    define_widgets(server)
    shown = await kubectl("explain", "widgets.spec")
    assert "GROUP:      example.com" in shown
    assert "size\t<integer>\n    How large." in shown


async def test_version_cluster_and_config_are_shown(kubectl: Kubectl, server: FakeApiServer) -> None:
    assert "Server Version: v1.36.2+kresilient" in await kubectl("version")
    assert server.url in await kubectl("cluster-info")
    assert await kubectl("get", "--raw", "/readyz") == "ok"
    config = server.kubeconfig_file(kubectl.environment["KUBECONFIG"])
    assert f"server: {server.url}" in await kubectl("config", "view", "--kubeconfig", str(config))


async def test_what_is_not_emulated_says_so(kubectl: Kubectl) -> None:
    assert await kubectl.fails("logs", "web-0") == (
        "Error from server (NotImplemented): the fake API server does not emulate pods/log: "
        "no container runs here that writes a log\n"
    )
    assert "does not emulate pods/exec" in await kubectl.fails("exec", "web-0", "--", "ls")
    assert "Metrics API not available" in await kubectl.fails("top", "pods")
