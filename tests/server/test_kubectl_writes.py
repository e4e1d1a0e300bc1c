"""The real kubectl writes to the fake server: create, apply, edit, patch, delete and the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kresilient.testing.server import FakeApiServer

from .kubectl import Kubectl
from .test_kubectl import CRDS, WIDGETS

LABELS = {"app": "d"}


def configmap(name: str = "c", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(*containers: str) -> dict[str, Any]:
    listed = [{"name": name, "image": f"{name}:1"} for name in containers or ("c",)]
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": listed}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template},
    }


def spec_of(server: FakeApiServer, resource: str = "apps/v1/deployments", key: str = "default/d") -> Any:
    return server.objects(resource)[key]["spec"]


# --- create ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "resource", "key"),
    [
        ("configmap c --from-literal=a=1", "v1/configmaps", "default/c"),
        ("secret generic s --from-literal=a=1", "v1/secrets", "default/s"),
        ("namespace n", "v1/namespaces", "n"),
        ("serviceaccount a", "v1/serviceaccounts", "default/a"),
        ("deployment d --image=nginx --replicas=2", "apps/v1/deployments", "default/d"),
        ("job j --image=busybox -- true", "batch/v1/jobs", "default/j"),
        ("service clusterip s --tcp=80", "v1/services", "default/s"),
        ("ingress i --rule=example.com/=s:80", "networking.k8s.io/v1/ingresses", "default/i"),
        ("role r --verb=get --resource=pods", "rbac.authorization.k8s.io/v1/roles", "default/r"),
        ("clusterrole r --verb=get --resource=nodes", "rbac.authorization.k8s.io/v1/clusterroles", "r"),
        ("quota q --hard=pods=1", "v1/resourcequotas", "default/q"),
        ("pdb p --selector=a=b --min-available=1", "policy/v1/poddisruptionbudgets", "default/p"),
        ("priorityclass p --value=10", "scheduling.k8s.io/v1/priorityclasses", "p"),
    ],
)
async def test_create_makes_an_object_of_each_kind(
    arguments: str, resource: str, key: str, kubectl: Kubectl, server: FakeApiServer
) -> None:
    assert " created" in await kubectl("create", *arguments.split())
    assert server.get(resource, key) is not None


async def test_create_from_a_literal_keeps_its_value(kubectl: Kubectl, server: FakeApiServer) -> None:
    await kubectl("create", "configmap", "c", "--from-literal=a=1", "--from-literal=b=2")
    assert server.objects("v1/configmaps")["default/c"]["data"] == {"a": "1", "b": "2"}


async def test_create_in_a_dry_run_of_the_server_stores_nothing(
    kubectl: Kubectl, server: FakeApiServer
) -> None:
    shown = await kubectl("create", "configmap", "c", "--dry-run=server", "-o", "yaml")
    assert "uid: " in shown
    assert not server.objects("v1/configmaps")


async def test_create_twice_fails(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/configmaps", configmap())
    assert await kubectl.fails("create", "-f", "-", stdin=configmap()) == (
        'Error from server (AlreadyExists): error when creating "STDIN": configmaps "c" already exists\n'
    )


async def test_run_and_expose_make_a_pod_and_its_service(kubectl: Kubectl, server: FakeApiServer) -> None:
    await kubectl("run", "p", "--image=nginx", "--port=80")
    await kubectl("expose", "pod", "p")
    assert spec_of(server, "v1/services", "default/p")["selector"] == {"run": "p"}


# --- apply -------------------------------------------------------------------------------------------


async def test_apply_creates_changes_and_leaves_as_it_is(kubectl: Kubectl, server: FakeApiServer) -> None:
    apply = ("apply", "-f", "-")
    assert "created" in await kubectl(*apply, stdin=configmap(k="1"))
    assert "configured" in await kubectl(*apply, stdin=configmap(k="2"))
    assert "unchanged" in await kubectl(*apply, stdin=configmap(k="2"))
    assert server.objects("v1/configmaps")["default/c"]["data"] == {"k": "2"}


async def test_apply_merges_lists_by_the_servers_schema(kubectl: Kubectl, server: FakeApiServer) -> None:
    await kubectl("apply", "-f", "-", stdin=deployment("a", "b"))
    side = {"name": "side", "image": "side:1"}
    patch = {"spec": {"template": {"spec": {"containers": [side]}}}}
    server.patch("apps/v1/deployments", "default/d", patch, kind="strategic")
    await kubectl("apply", "-f", "-", stdin=deployment("a"))
    names = [one["name"] for one in spec_of(server)["template"]["spec"]["containers"]]
    assert sorted(names) == ["a", "side"]
    assert server.requests.count(resource="/openapi/v2") == 0


async def test_apply_with_a_field_that_is_none_is_refused(kubectl: Kubectl, server: FakeApiServer) -> None:
    wrong = {**configmap(), "datta": {"k": "1"}}
    assert 'strict decoding error: unknown field "datta"' in await kubectl.fails(
        "apply", "-f", "-", stdin=wrong
    )
    assert not server.objects("v1/configmaps")
    _, out, err = await kubectl.run("apply", "--validate=warn", "-f", "-", stdin=wrong)
    assert (out, err) == ("configmap/c created\n", 'Warning: unknown field "datta"\n')


async def test_apply_on_the_server_says_who_owns_a_field(kubectl: Kubectl, server: FakeApiServer) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    await kubectl(*apply, stdin=configmap(k="1"))
    conflict = await kubectl.fails(*apply, "--field-manager=other", stdin=configmap(k="2"))
    assert 'conflict with "kubectl": .data.k' in conflict
    await kubectl(*apply, "--field-manager=other", "--force-conflicts", stdin=configmap(k="2"))
    assert server.objects("v1/configmaps")["default/c"]["data"] == {"k": "2"}


async def test_apply_validates_custom_resources_by_their_schema(
    kubectl: Kubectl, server: FakeApiServer
) -> None:
    server.create(CRDS, WIDGETS)
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    await kubectl("apply", "-f", "-", stdin={**widget, "spec": {"size": 3}})
    assert "configured" in await kubectl("apply", "-f", "-", stdin={**widget, "spec": {"size": 4}})
    wrong = await kubectl.fails("apply", "-f", "-", stdin={**widget, "spec": {"sise": 4}})
    assert 'unknown field "spec.sise"' in wrong
    assert spec_of(server, "example.com/v1/widgets", "default/w") == {"size": 4}


async def test_diff_shows_what_apply_would_change(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=configmap(k="1"))
    code, shown, _ = await kubectl.run("diff", "-f", "-", stdin=configmap(k="2"))
    assert code == 1
    assert '-  k: "1"\n+  k: "2"\n' in shown


# --- change ------------------------------------------------------------------------------------------


async def test_edit_writes_what_the_editor_leaves(
    kubectl: Kubectl, server: FakeApiServer, tmp_path: Path
) -> None:
    server.create("v1/configmaps", configmap(k="before"))
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/k: before/k: after/" "$1"\n')
    editor.chmod(0o755)
    kubectl.environment["KUBE_EDITOR"] = str(editor)
    assert await kubectl("edit", "configmap", "c") == "configmap/c edited\n"
    assert server.objects("v1/configmaps")["default/c"]["data"] == {"k": "after"}


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", '{"data": {"k": "2"}}'),
        ("merge", '{"data": {"k": "2"}}'),
        ("json", '[{"op": "replace", "path": "/data/k", "value": "2"}]'),
    ],
)
async def test_patch_in_each_form(kind: str, patch: str, kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/configmaps", configmap(k="1"))
    assert await kubectl("patch", "cm", "c", "--type", kind, "-p", patch) == "configmap/c patched\n"
    assert server.objects("v1/configmaps")["default/c"]["data"] == {"k": "2"}


async def test_patch_a_status(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("apps/v1/deployments", deployment())
    patch = '{"status": {"replicas": 1}}'
    await kubectl("patch", "deploy", "d", "--subresource=status", "--type=merge", "-p", patch)
    assert server.objects("apps/v1/deployments")["default/d"]["status"]["replicas"] == 1


async def test_replace_label_and_annotate(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/configmaps", configmap(k="1"))
    await kubectl("replace", "-f", "-", stdin=configmap(k="2"))
    await kubectl("label", "cm", "c", "a=1", "b=2")
    await kubectl("label", "cm", "c", "b-")
    await kubectl("annotate", "cm", "c", "note=text")
    assert await kubectl.fails("label", "cm", "c", "a=3") == (
        "error: 'a' already has a value (1), and --overwrite is false\n"
    )
    stored = server.objects("v1/configmaps")["default/c"]
    assert stored["data"] == {"k": "2"}
    assert stored["metadata"]["labels"] == {"a": "1"}
    assert stored["metadata"]["annotations"] == {"note": "text"}


async def test_taint_cordon_and_drain_a_node(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/nodes", {"metadata": {"name": "n1"}})
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True}
    metadata = {"name": "p", "ownerReferences": [owner]}
    server.create(
        "v1/pods", {"metadata": metadata, "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}}
    )
    await kubectl("taint", "nodes", "n1", "k=v:NoSchedule")
    assert "drained" in await kubectl("drain", "n1", "--force")
    node = spec_of(server, "v1/nodes", "n1")
    assert node["unschedulable"] is True
    assert {"key": "k", "value": "v", "effect": "NoSchedule"} in node["taints"]
    assert not server.objects("v1/pods")
    await kubectl("uncordon", "n1")
    assert "unschedulable" not in spec_of(server, "v1/nodes", "n1")


async def test_scale_autoscale_set_and_restart_a_deployment(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("apps/v1/deployments", deployment())
    await kubectl("scale", "deployment/d", "--current-replicas=1", "--replicas=3")
    shown = (await kubectl("get", "deployment", "d", "--subresource=scale")).split()
    assert shown[:7] == ["NAME", "DESIRED", "AVAILABLE", "AGE", "d", "3", "0"]
    await kubectl("set", "image", "deployment/d", "c=c:2")
    await kubectl("set", "env", "deployment/d", "A=b")
    await kubectl("rollout", "restart", "deployment/d")
    await kubectl("autoscale", "deployment", "d", "--min=1", "--max=4")
    spec = spec_of(server)
    assert spec["replicas"] == 3
    container = spec["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("c:2", [{"name": "A", "value": "b"}])
    assert "kubectl.kubernetes.io/restartedAt" in spec["template"]["metadata"]["annotations"]
    target = spec_of(server, "autoscaling/v2/horizontalpodautoscalers")["scaleTargetRef"]
    assert target["name"] == "d"


async def test_a_signing_request_is_approved_and_denied(kubectl: Kubectl, server: FakeApiServer) -> None:
    requests = "certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"request": "YQ==", "signerName": "example.com/s", "usages": ["client auth"]}
    for name, verb, kind in (("a", "approve", "Approved"), ("b", "deny", "Denied")):
        server.create(requests, {"metadata": {"name": name}, "spec": spec, "status": {"certificate": "Yg=="}})
        await kubectl("certificate", verb, name)
        status = server.objects(requests)[name]["status"]
        assert [one["type"] for one in status["conditions"]] == [kind]
        assert status["certificate"] == "Yg=="
        assert f"{kind},Issued" in await kubectl("get", "csr", name)


# --- delete ------------------------------------------------------------------------------------------


async def test_delete_and_wait_until_it_is_gone(kubectl: Kubectl, server: FakeApiServer) -> None:
    for name in ("a", "b"):
        server.create("v1/configmaps", configmap(name))
    assert await kubectl("delete", "cm", "a") == 'configmap "a" deleted from default namespace\n'
    assert list(server.objects("v1/configmaps")) == ["default/b"]
    assert "not found" in await kubectl.fails("delete", "cm", "a")
    assert await kubectl("delete", "cm", "a", "--ignore-not-found") == ""


async def test_delete_waits_for_finalizers(kubectl: Kubectl, server: FakeApiServer) -> None:
    metadata = {"name": "c", "finalizers": ["example.com/hold"]}
    server.create("v1/configmaps", {"metadata": metadata})
    process = await kubectl.start("delete", "cm", "c")
    await server.watchers("v1/configmaps", 1)
    marked = server.objects("v1/configmaps")["default/c"]
    assert marked["metadata"]["deletionTimestamp"]
    server.patch("v1/configmaps", "default/c", {"metadata": {"finalizers": None}})
    out, err = await process.communicate()
    assert (process.returncode, out.split()[:3]) == (0, [b"configmap", b'"c"', b"deleted"]), err
    assert not server.objects("v1/configmaps")


async def test_delete_without_waiting_leaves_finalizers_alone(
    kubectl: Kubectl, server: FakeApiServer
) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "c", "finalizers": ["example.com/hold"]}})
    assert "deleted" in await kubectl("delete", "cm", "c", "--wait=false")
    assert server.objects("v1/configmaps")["default/c"]["metadata"]["deletionTimestamp"]


@pytest.mark.parametrize(("cascade", "left"), [("background", 0), ("foreground", 0), ("orphan", 1)])
async def test_delete_says_what_becomes_of_dependents(
    cascade: str, left: int, kubectl: Kubectl, server: FakeApiServer
) -> None:
    uid = server.create("apps/v1/deployments", deployment())["metadata"]["uid"]
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": uid}
    metadata = {"name": "r", "ownerReferences": [{**owner, "blockOwnerDeletion": True}]}
    spec = {key: value for key, value in deployment()["spec"].items() if key != "strategy"}
    server.create("apps/v1/replicasets", {"metadata": metadata, "spec": spec})
    assert "deleted" in await kubectl("delete", "deployment", "d", f"--cascade={cascade}")
    await server.wait_gone("apps/v1/deployments", "default/d")
    if left:
        found = server.objects("apps/v1/replicasets")["default/r"]
        assert "ownerReferences" not in found["metadata"]
    else:
        await server.wait_gone("apps/v1/replicasets", "default/r")


async def test_a_pod_is_deleted_at_once_by_force(kubectl: Kubectl, server: FakeApiServer) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}}
    server.create("v1/pods", pod)
    _, out, err = await kubectl.run("delete", "pod", "p", "--force", "--grace-period=0")
    assert out == 'pod "p" force deleted from default namespace\n'
    assert err.startswith("Warning: Immediate deletion does not wait")
    assert not server.objects("v1/pods")


async def test_delete_by_label_and_a_namespace_with_all_in_it(
    kubectl: Kubectl, server: FakeApiServer
) -> None:
    server.create("v1/namespaces", {"metadata": {"name": "extra"}})
    for name, labels in (("a", {"x": "1"}), ("b", {})):
        server.create("v1/configmaps", {"metadata": {"name": name, "namespace": "extra", "labels": labels}})
    await kubectl("delete", "cm", "-n", "extra", "-l", "x=1")
    assert list(server.objects("v1/configmaps")) == ["extra/b"]
    await kubectl("delete", "namespace", "extra")
    assert server.get("v1/namespaces", "extra") is None
    assert not server.objects("v1/configmaps")
