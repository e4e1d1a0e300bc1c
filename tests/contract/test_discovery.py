"""What the server serves, path by path and all at once."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


async def resources(api: Api, path: str) -> dict[str, dict[str, Any]]:
    """What the group version at *path* serves, by name."""
    body = (await api.get(path)).ok(200)
    assert body["kind"] == "APIResourceList"
    return {one["name"]: one for one in body["resources"]}


# --- discovery, path by path -------------------------------------------------------------------------------


async def test_the_core_group_has_one_version(api: Api) -> None:
    """Recorded: 01 core versions"""
    body = (await api.get("/api")).ok(200)
    assert (body["kind"], body["versions"]) == ("APIVersions", ["v1"])
    assert body["serverAddressByClientCIDRs"]


async def test_every_group_has_a_preferred_version(api: Api) -> None:
    """Recorded: 01 groups"""
    body = (await api.get("/apis")).ok(200)
    assert (body["kind"], body["apiVersion"]) == ("APIGroupList", "v1")
    for group in body["groups"]:
        assert group["preferredVersion"] in group["versions"]
        for one in group["versions"]:
            assert one["groupVersion"] == f"{group['name']}/{one['version']}"


@pytest.mark.parametrize(
    "name",
    [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    ],
)
async def test_a_group_is_served(api: Api, name: str) -> None:
    """Recorded: 01 groups"""
    assert name in {group["name"] for group in (await api.get("/apis")).ok()["groups"]}


async def test_a_group_may_be_asked_for_alone(api: Api) -> None:
    """Recorded: 01 one group"""
    assert (await api.get("/apis/apps")).ok(200) == {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "apps",
        "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
        "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
    }


async def test_a_version_says_what_it_serves(api: Api) -> None:
    """Recorded: 01 core resources"""
    found = await resources(api, "/api/v1")
    configmaps = found["configmaps"]
    configmaps.pop("storageVersionHash")
    assert configmaps == {
        "name": "configmaps",
        "singularName": "configmap",
        "namespaced": True,
        "kind": "ConfigMap",
        "verbs": VERBS,
        "shortNames": ["cm"],
    }


@pytest.mark.parametrize(
    ("path", "name", "kind", "namespaced", "short"),
    [
        ("/api/v1", "pods", "Pod", True, "po"),
        ("/api/v1", "nodes", "Node", False, "no"),
        ("/api/v1", "namespaces", "Namespace", False, "ns"),
        ("/api/v1", "services", "Service", True, "svc"),
        ("/api/v1", "serviceaccounts", "ServiceAccount", True, "sa"),
        ("/api/v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, "pvc"),
        ("/apis/apps/v1", "deployments", "Deployment", True, "deploy"),
        ("/apis/apps/v1", "daemonsets", "DaemonSet", True, "ds"),
        ("/apis/batch/v1", "cronjobs", "CronJob", True, "cj"),
        ("/apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", True, "pdb"),
        ("/apis/storage.k8s.io/v1", "storageclasses", "StorageClass", False, "sc"),
        ("/apis/networking.k8s.io/v1", "ingresses", "Ingress", True, "ing"),
        (
            "/apis/apiextensions.k8s.io/v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            False,
            "crd",
        ),
    ],
)
async def test_a_resource_is_served(
    api: Api, path: str, name: str, kind: str, namespaced: bool, short: str
) -> None:
    """Kubernetes documentation: kubectl, resource types"""
    found = (await resources(api, path))[name]
    assert (found["kind"], found["namespaced"]) == (kind, namespaced)
    assert short in found["shortNames"]
    assert {"get", "list", "watch", "create", "update", "patch", "delete"} <= set(found["verbs"])


@pytest.mark.parametrize(
    ("path", "name", "kind", "verbs"),
    [
        ("/api/v1", "pods/status", "Pod", ["get", "patch", "update"]),
        ("/api/v1", "pods/binding", "Binding", ["create"]),
        ("/api/v1", "pods/eviction", "Eviction", ["create"]),
        ("/api/v1", "namespaces/finalize", "Namespace", ["update"]),
        ("/apis/apps/v1", "deployments/scale", "Scale", ["get", "patch", "update"]),
    ],
)
async def test_a_subresource_is_served(api: Api, path: str, name: str, kind: str, verbs: list[str]) -> None:
    """Recorded: 01 core resources"""
    found = (await resources(api, path))[name]
    assert (found["kind"], found["singularName"], found["verbs"]) == (kind, "", verbs)


async def test_a_subresource_of_another_group_names_it(api: Api) -> None:
    """Recorded: 01 apps resources"""
    scale = (await resources(api, "/apis/apps/v1"))["deployments/scale"]
    assert (scale["group"], scale["version"]) == ("autoscaling", "v1")


async def test_what_belongs_to_all_is_said_to(api: Api) -> None:
    """Recorded: 01 apps resources"""
    assert (await resources(api, "/apis/apps/v1"))["deployments"]["categories"] == ["all"]


# --- aggregated discovery ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "group"), [("/api", None), ("/apis", "apps")])
async def test_all_of_discovery_comes_at_once(api: Api, path: str, group: str | None) -> None:
    """KEP-3352: aggregated discovery"""
    answer = await api.get(path, accept=f"{AGGREGATED},application/json")
    assert answer.headers["Content-Type"] == AGGREGATED
    body = answer.ok(200)
    assert (body["kind"], body["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    assert group in {one["metadata"].get("name") for one in body["items"]}


async def test_aggregated_discovery_nests_subresources(api: Api) -> None:
    """Recorded: 01 aggregated discovery, core"""
    body = (await api.get("/api", accept=AGGREGATED)).ok(200)
    found = {one["resource"]: one for one in body["items"][0]["versions"][0]["resources"]}
    assert found["configmaps"] == {
        "resource": "configmaps",
        "responseKind": {"group": "", "version": "", "kind": "ConfigMap"},
        "scope": "Namespaced",
        "singularResource": "configmap",
        "verbs": VERBS,
        "shortNames": ["cm"],
    }
    assert {one["subresource"] for one in found["pods"]["subresources"]} >= {"status", "binding", "eviction"}


async def test_aggregated_discovery_is_not_forced_upon_anybody(api: Api) -> None:
    """KEP-3352: aggregated discovery"""
    assert (await api.get("/api")).ok()["kind"] == "APIVersions"


async def test_discovery_has_a_tag_by_which_it_need_not_be_sent_again(api: Api) -> None:
    """KEP-3352: aggregated discovery"""
    answer = await api.get("/apis", accept=AGGREGATED)
    headers = {"If-None-Match": answer.headers["ETag"]}
    again = await api.send("GET", "/apis", accept=AGGREGATED, headers=headers)
    assert (again.status, again.data) == (304, b"")
