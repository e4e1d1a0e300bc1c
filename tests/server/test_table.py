"""Objects as rows: what `kubectl get` shows of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.served import served
from kresilient.testing.server.table import PRINTERS
from kresilient.testing.server.tables import jsonpath
from kresilient.testing.server.tables.printer import format_selector, human_duration

from .asked import asked

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
NOW = 1_800_000_000.0
MADE = "2027-01-15T07:00:00Z"
"""An hour before NOW."""
AGE = "60m"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer(now=lambda: NOW) as server:
        yield server


def cells(place: tuple[str, str], obj: dict[str, Any]) -> list[Any]:
    metadata = {"name": "x", "creationTimestamp": MADE} | obj.get("metadata", {})
    found: list[Any] = PRINTERS[place].cells({**obj, "metadata": metadata}, NOW)
    return found


# --- pods --------------------------------------------------------------------------------------------

RUNNING = {"name": "c", "ready": True, "restartCount": 0, "state": {"running": {}}}


def status_of(pod: dict[str, Any]) -> list[Any]:
    return cells(("", "pods"), pod)[1:4]


def pod(phase: str, *statuses: dict[str, Any], **more: Any) -> dict[str, Any]:
    containers = [{"name": str(index)} for index, _ in enumerate(statuses or (1,))]
    status = {"phase": phase, "containerStatuses": list(statuses), **more.pop("status", {})}
    return {"spec": {"containers": containers, **more.pop("spec", {})}, "status": status, **more}


def ended(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"ready": False, "state": {"terminated": {"exitCode": code, "reason": reason, **more}}}


def waiting(reason: str) -> dict[str, Any]:
    return {"ready": False, "state": {"waiting": {"reason": reason}}}


def condition(kind: str, status: str = "True", reason: str = "") -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": status, "reason": reason}]}}


DELETED = {"metadata": {"deletionTimestamp": MADE}}


@pytest.mark.parametrize(
    ("shown", "ready", "given"),
    [
        ("Pending", "0/1", pod("Pending")),
        ("Running", "2/2", pod("Running", RUNNING, RUNNING)),
        ("Evicted", "0/1", pod("Failed", status={"reason": "Evicted"})),
        ("CrashLoopBackOff", "0/1", pod("Running", waiting("CrashLoopBackOff"))),
        ("ErrImagePull", "1/2", pod("Pending", RUNNING, waiting("ErrImagePull"))),
        ("Completed", "0/1", pod("Succeeded", ended(0, "Completed"))),
        ("Error", "0/1", pod("Failed", ended(1, "Error"))),
        ("ExitCode:3", "0/1", pod("Failed", ended(3))),
        ("Signal:9", "0/1", pod("Failed", ended(137, signal=9))),
        ("NotReady", "1/2", pod("Running", ended(0, "Completed"), RUNNING)),
        ("Running", "1/2", pod("Running", ended(0, "Completed"), RUNNING, **condition("Ready"))),
        ("Error", "0/2", pod("Running", ended(0, "Completed"), ended(1, "Error"))),
        ("SchedulingGated", "0/1", pod("Pending", **condition("PodScheduled", "False", "SchedulingGated"))),
        ("Terminating", "1/1", pod("Running", RUNNING, **DELETED)),
        ("Completed", "0/1", pod("Succeeded", ended(0, "Completed"), **DELETED)),
        ("Unknown", "1/1", pod("Running", RUNNING, status={"reason": "NodeLost"}, **DELETED)),
    ],
)
def test_a_pod_shows_what_its_containers_do(shown: str, ready: str, given: dict[str, Any]) -> None:
    assert status_of(given)[:2] == [ready, shown]


@pytest.mark.parametrize(
    ("shown", "ready", "statuses"),
    [
        ("Init:0/2", "0/2", [{"name": "a", "state": {"running": {}}}]),
        ("Init:1/2", "0/2", [{"name": "a", **ended(0)}, {"name": "side", "state": {"waiting": {}}}]),
        ("Init:Error", "0/2", [{"name": "a", **ended(1, "Error")}]),
        ("Init:ExitCode:2", "0/2", [{"name": "a", **ended(2)}]),
        ("Init:Signal:9", "0/2", [{"name": "a", **ended(137, signal=9)}]),
        ("Init:CrashLoopBackOff", "0/2", [{"name": "a", **waiting("CrashLoopBackOff")}]),
        ("Init:0/2", "0/2", [{"name": "a", **waiting("PodInitializing")}]),
        (
            "PodInitializing",
            "1/2",
            [{"name": "a", **ended(0)}, {"name": "side", "started": True, "ready": True, "state": {}}],
        ),
    ],
)
def test_a_pod_that_initializes_shows_how_far_it_is(
    shown: str, ready: str, statuses: list[dict[str, Any]]
) -> None:
    spec = {"initContainers": [{"name": "a"}, {"name": "side", "restartPolicy": "Always"}]}
    given = pod("Pending", waiting("PodInitializing"), spec=spec, status={"initContainerStatuses": statuses})
    assert status_of(given)[:2] == [ready, shown]


def test_restarts_tell_how_long_ago_the_last_one_was() -> None:
    last = {"restartCount": 2, "lastState": {"terminated": {"finishedAt": "2027-01-15T07:55:00Z"}}}
    older = {"restartCount": 3, "lastState": {"terminated": {"finishedAt": "2027-01-15T07:00:00Z"}}}
    assert status_of(pod("Running", RUNNING | last, RUNNING | older))[2] == "5 (5m ago)"
    assert status_of(pod("Running", RUNNING | last | {"restartCount": 0}))[2] == "0"


def test_the_restarts_of_init_containers_count_until_they_are_through() -> None:
    spec = {"initContainers": [{"name": "a"}, {"name": "side", "restartPolicy": "Always"}]}
    statuses = [
        {"name": "a", "restartCount": 7, **waiting("CrashLoopBackOff")},
        {"name": "side", "restartCount": 2, "started": True, "state": {"running": {}}},
    ]
    given = pod("Pending", RUNNING, spec=spec, status={"initContainerStatuses": statuses})
    assert status_of(given)[2] == "7"
    statuses[0] |= ended(0)
    assert status_of(given)[2] == "2"


async def test_a_wide_row_has_address_node_and_readiness_gates(server: MemoryApiServer) -> None:
    given = pod(
        "Running",
        RUNNING,
        spec={"nodeName": "n1", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]},
        status={"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd::1"}], "nominatedNodeName": "n2"}
        | condition("a")["status"],
    )
    assert cells(("", "pods"), given)[4:] == [AGE, "10.0.0.1", "n1", "n2", "1/2"]
    assert cells(("", "pods"), pod("Pending"))[5:] == ["<none>"] * 4


async def test_the_row_of_a_pod_that_is_done_says_so(server: MemoryApiServer) -> None:
    server.create(
        "v1/pods",
        {
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Succeeded"},
        },
    )
    rows = (await asked(server, "/api/v1/pods", accept=TABLE)).json["rows"]
    assert rows[0]["conditions"] == [
        {
            "type": "Completed",
            "status": "True",
            "reason": "Succeeded",
            "message": "The pod has completed successfully.",
        }
    ]
    assert list(rows[0]) == ["cells", "conditions", "object"]


# --- the other kinds ---------------------------------------------------------------------------------

TEMPLATE = {
    "metadata": {"labels": {"app": "x"}},
    "spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]},
}
LABELS = {"app": "x"}
SELECTOR = {"matchLabels": LABELS}
PORTS = [{"port": 80, "protocol": "TCP"}, {"port": 443, "nodePort": 30443, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("place", "obj", "shown"),
    [
        (
            "/nodes",
            {
                "metadata": {
                    "labels": {"node-role.kubernetes.io/b": "", "kubernetes.io/role": "a", "app": "x"}
                },
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "False"}],
                    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                    "nodeInfo": {"kubeletVersion": "v1.36.2", "osImage": "Linux"},
                },
            },
            ["NotReady,SchedulingDisabled", "a,b", AGE, "v1.36.2", "10.0.0.1", "<none>", "Linux"]
            + ["<unknown>"] * 2,
        ),
        ("/nodes", {}, ["Unknown", "<none>", AGE, "", "<none>", "<none>", *["<unknown>"] * 3]),
        ("/namespaces", {"status": {"phase": "Active"}}, ["Active", AGE]),
        (
            "/services",
            {
                "spec": {
                    "type": "NodePort",
                    "clusterIPs": ["10.1.1.1"],
                    "ports": PORTS,
                    "selector": {"a": "b"},
                }
            },
            ["NodePort", "10.1.1.1", "<none>", "80/TCP,443:30443/TCP", AGE, "a=b"],
        ),
        (
            "/services",
            {"spec": {"type": "LoadBalancer"}},
            ["LoadBalancer", "<none>", "<pending>", "<none>", AGE, "<none>"],
        ),
        (
            "/services",
            {
                "spec": {"type": "LoadBalancer", "externalIPs": ["9.9.9.9"]},
                "status": {"loadBalancer": {"ingress": [{"hostname": "lb"}, {"ip": "1.2.3.4"}]}},
            },
            ["LoadBalancer", "<none>", "1.2.3.4,lb,9.9.9.9", "<none>", AGE, "<none>"],
        ),
        (
            "/services",
            {"spec": {"type": "ExternalName", "externalName": "example.com"}},
            ["ExternalName", "<none>", "example.com", "<none>", AGE, "<none>"],
        ),
        (
            "/endpoints",
            {
                "subsets": [
                    {
                        "addresses": [{"ip": "10.0.0.1"}, {"ip": "fd::1"}],
                        "ports": [{"port": 80}, {"port": 443}],
                    }
                ]
            },
            ["10.0.0.1:80,[fd::1]:80,10.0.0.1:443 + 1 more...", AGE],
        ),
        ("/endpoints", {}, ["<none>", AGE]),
        ("/configmaps", {"data": {"a": "1"}, "binaryData": {"b": "Yg=="}}, [2, AGE]),
        ("/secrets", {"type": "Opaque", "data": {"a": "YQ=="}}, ["Opaque", 1, AGE]),
        ("/serviceaccounts", {}, [AGE]),
        (
            "/podtemplates",
            {"template": TEMPLATE},
            ["a,b", "a:1,b:2", "app=x"],
        ),
        (
            "/persistentvolumes",
            {
                "spec": {
                    "capacity": {"storage": "5Gi"},
                    "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "claimRef": {"namespace": "n", "name": "c"},
                    "storageClassName": "fast",
                },
                "status": {"phase": "Bound"},
            },
            ["5Gi", "RWO,RWX", "Retain", "Bound", "n/c", "fast", "<unset>", "", AGE, "<unset>"],
        ),
        (
            "/persistentvolumeclaims",
            {
                "spec": {"volumeName": "v", "storageClassName": "fast", "volumeMode": "Filesystem"},
                "status": {
                    "phase": "Bound",
                    "capacity": {"storage": "5Gi"},
                    "accessModes": ["ReadWriteOnce"],
                },
            },
            ["Bound", "v", "5Gi", "RWO", "fast", "<unset>", AGE, "Filesystem"],
        ),
        (
            "/persistentvolumeclaims",
            {"metadata": {"deletionTimestamp": MADE}, "status": {"capacity": {"storage": "5Gi"}}},
            ["Terminating", "", "", "", "", "<unset>", AGE, "<unset>"],
        ),
        (
            "/replicationcontrollers",
            {
                "spec": {"replicas": 3, "selector": {"app": "x"}, "template": TEMPLATE},
                "status": {"replicas": 2},
            },
            [3, 2, 0, AGE, "a,b", "a:1,b:2", "app=x"],
        ),
        (
            "/resourcequotas",
            {"status": {"hard": {"limits.cpu": "2", "pods": "9", "cpu": "1"}, "used": {"pods": "3"}}},
            ["cpu: 0/1, pods: 3/9", "limits.cpu: 0/2", AGE],
        ),
        (
            "apps/deployments",
            {
                "spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE},
                "status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
            },
            ["1/3", 2, 1, AGE, "a,b", "a:1,b:2", "app=x"],
        ),
        (
            "apps/replicasets",
            {"spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE}, "status": {"replicas": 2}},
            [3, 2, 0, AGE, "a,b", "a:1,b:2", "app=x"],
        ),
        (
            "apps/statefulsets",
            {"spec": {"replicas": 2, "template": TEMPLATE}},
            ["0/2", AGE, "a,b", "a:1,b:2"],
        ),
        (
            "apps/daemonsets",
            {
                "spec": {"selector": SELECTOR, "template": TEMPLATE},
                "status": {"desiredNumberScheduled": 4, "currentNumberScheduled": 3, "numberReady": 2},
            },
            [4, 3, 2, 0, 0, "<none>", AGE, "a,b", "a:1,b:2", "app=x"],
        ),
        (
            "apps/controllerrevisions",
            {
                "metadata": {
                    "ownerReferences": [
                        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}
                    ]
                },
                "revision": 4,
            },
            ["daemonset.apps/d", 4, AGE],
        ),
        (
            "batch/jobs",
            {
                "spec": {"completions": 3, "template": TEMPLATE, "selector": SELECTOR},
                "status": {
                    "succeeded": 3,
                    "startTime": MADE,
                    "completionTime": "2027-01-15T07:05:30Z",
                    "conditions": [{"type": "Complete", "status": "True"}],
                },
            },
            ["Complete", "3/3", "5m30s", AGE, "a,b", "a:1,b:2", "app=x"],
        ),
        (
            "batch/jobs",
            {"spec": {"parallelism": 2}, "status": {"startTime": MADE}},
            ["Running", "0/1 of 2", "60m", AGE, "", "", "<none>"],
        ),
        (
            "batch/cronjobs",
            {
                "spec": {"schedule": "* * * * *", "suspend": False},
                "status": {"active": [{"name": "a"}], "lastScheduleTime": MADE},
            },
            ["* * * * *", "<none>", "False", 1, "60m", AGE, "", "", "<none>"],
        ),
        (
            "autoscaling/horizontalpodautoscalers",
            {
                "spec": {
                    "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                    "minReplicas": 1,
                    "maxReplicas": 5,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {"name": "cpu", "target": {"averageUtilization": 80}},
                        },
                        {"type": "Pods", "pods": {"target": {"averageValue": "10"}}},
                        {"type": "External", "external": {"target": {"value": "7"}}},
                    ],
                },
                "status": {
                    "currentReplicas": 2,
                    "currentMetrics": [
                        {"type": "Resource", "resource": {"current": {"averageUtilization": 50}}}
                    ],
                },
            },
            ["Deployment/d", "cpu: 50%/80%, <unknown>/10 + 1 more...", "1", 5, 2, AGE],
        ),
        (
            "autoscaling/horizontalpodautoscalers",
            {"spec": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 70}},
            ["/", "cpu: <unknown>/70%", "<unset>", 5, 0, AGE],
        ),
        (
            "policy/poddisruptionbudgets",
            {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2}},
            ["50%", "N/A", 2, AGE],
        ),
        (
            "networking.k8s.io/ingresses",
            {
                "spec": {
                    "ingressClassName": "nginx",
                    "rules": [{"host": "a"}, {"host": "b"}, {"host": "c"}, {"host": "d"}],
                    "tls": [{}],
                }
            },
            ["nginx", "a,b,c + 1 more...", "", "80, 443", AGE],
        ),
        ("networking.k8s.io/ingresses", {"spec": {"rules": [{}]}}, ["<none>", "*", "", "80", AGE]),
        (
            "networking.k8s.io/ingressclasses",
            {"spec": {"controller": "c", "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}}},
            ["c", "K.g/n", AGE],
        ),
        ("networking.k8s.io/networkpolicies", {"spec": {"podSelector": {}}}, ["<none>", AGE]),
        (
            "networking.k8s.io/servicecidrs",
            {"spec": {"cidrs": ["10.0.0.0/8", "fd::/64"]}},
            ["10.0.0.0/8,fd::/64", AGE],
        ),
        (
            "networking.k8s.io/ipaddresses",
            {"spec": {"parentRef": {"resource": "services", "namespace": "n", "name": "s"}}},
            ["services/n/s", AGE],
        ),
        (
            "discovery.k8s.io/endpointslices",
            {
                "addressType": "IPv4",
                "ports": [{"port": 80}, {"name": "http"}, {}],
                "endpoints": [{"addresses": ["1.1.1.1"]}, {"addresses": ["2.2.2.2", "3.3.3.3", "4.4.4.4"]}],
            },
            ["IPv4", "80,http,*", "1.1.1.1,2.2.2.2,3.3.3.3 + 1 more...", AGE],
        ),
        ("discovery.k8s.io/endpointslices", {"addressType": "IPv4"}, ["IPv4", "<unset>", "<unset>", AGE]),
        (
            "storage.k8s.io/csidrivers",
            {"spec": {"tokenRequests": [{"audience": "a"}, {"audience": "b"}]}},
            [True, False, False, "a,b", False, "<none>", AGE],
        ),
        ("storage.k8s.io/csinodes", {"spec": {"drivers": [{}, {}]}}, [2, AGE]),
        ("storage.k8s.io/csistoragecapacities", {"storageClassName": "s"}, ["s", "<unset>"]),
        (
            "storage.k8s.io/volumeattachments",
            {
                "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "p"}},
                "status": {"attached": True},
            },
            ["a", "p", "n", True, AGE],
        ),
        ("storage.k8s.io/volumeattributesclasses", {"driverName": "d"}, ["d", AGE]),
        ("resource.k8s.io/deviceclasses", {}, [AGE]),
        ("resource.k8s.io/resourceclaims", {}, ["pending", AGE]),
        (
            "resource.k8s.io/resourceclaims",
            {
                "metadata": {"deletionTimestamp": MADE},
                "status": {"allocation": {}, "reservedFor": [{"name": "p"}]},
            },
            ["deleted,allocated,reserved", AGE],
        ),
        (
            "resource.k8s.io/resourceslices",
            {"spec": {"nodeName": "n", "driver": "d", "pool": {"name": "p"}}},
            ["n", "d", "p", AGE],
        ),
        (
            "rbac.authorization.k8s.io/rolebindings",
            {
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "name": "u"},
                    {"kind": "User", "name": "v"},
                    {"kind": "Group", "name": "g"},
                    {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
                ],
            },
            ["Role/r", AGE, "u, v", "g", "n/s"],
        ),
        (
            "certificates.k8s.io/certificatesigningrequests",
            {
                "spec": {"signerName": "s", "username": "u", "expirationSeconds": 86400},
                "status": {"conditions": [{"type": "Approved"}], "certificate": "YQ=="},
            },
            [AGE, "s", "u", "24h", "Approved,Issued"],
        ),
        ("coordination.k8s.io/leases", {"spec": {"holderIdentity": "me"}}, ["me", AGE]),
        (
            "scheduling.k8s.io/priorityclasses",
            {"value": 7, "globalDefault": True, "preemptionPolicy": "Never"},
            [7, True, AGE, "Never"],
        ),
        ("node.k8s.io/runtimeclasses", {"handler": "runc"}, ["runc", AGE]),
        ("admissionregistration.k8s.io/mutatingwebhookconfigurations", {"webhooks": [{}]}, [1, AGE]),
        (
            "admissionregistration.k8s.io/validatingadmissionpolicies",
            {"spec": {"validations": [{}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}},
            [1, "v1/ConfigMap", AGE],
        ),
        (
            "admissionregistration.k8s.io/validatingadmissionpolicybindings",
            {"spec": {"policyName": "p", "paramRef": {"name": "c"}}},
            ["p", "*/c", AGE],
        ),
        (
            "admissionregistration.k8s.io/mutatingadmissionpolicybindings",
            {"spec": {"policyName": "p", "paramRef": {"selector": {"matchLabels": {"a": "b"}}}}},
            [
                "p",
                "&LabelSelector{MatchLabels:map[string]string{a: b,},"
                "MatchExpressions:[]LabelSelectorRequirement{},}",
                AGE,
            ],
        ),
        (
            "apiregistration.k8s.io/apiservices",
            {
                "spec": {"service": {"namespace": "n", "name": "s"}},
                "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]},
            },
            ["n/s", "False (Gone)", AGE],
        ),
        ("apiregistration.k8s.io/apiservices", {"spec": {}}, ["Local", "Unknown", AGE]),
        (
            "flowcontrol.apiserver.k8s.io/flowschemas",
            {
                "spec": {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 9},
                "status": {"conditions": [{"type": "Dangling", "status": "False"}]},
            },
            ["p", 9, "<none>", AGE, "False"],
        ),
        (
            "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
            {
                "spec": {
                    "type": "Limited",
                    "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"queuing": {"queues": 8}}},
                }
            },
            ["Limited", 5, 8, 0, 0, AGE],
        ),
        (
            "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
            {"spec": {"type": "Exempt"}},
            ["Exempt", *["<none>"] * 4, AGE],
        ),
    ],
)
def test_a_row_shows_what_kubectl_shows(place: str, obj: dict[str, Any], shown: list[Any]) -> None:
    group, _, plural = place.partition("/")
    assert cells((group, plural), obj) == ["x", *shown]


@pytest.mark.parametrize("annotation", ["true", "false"])
def test_the_default_storage_class_says_that_it_is(annotation: str) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": annotation}
    obj = {"metadata": {"annotations": annotations}, "provisioner": "p"}
    name = "x (default)" if annotation == "true" else "x"
    shown = [name, "p", "Delete", "Immediate", False, AGE]
    assert cells(("storage.k8s.io", "storageclasses"), obj) == shown


def test_an_event_shows_the_same_in_both_groups() -> None:
    core = {
        "type": "Normal",
        "reason": "Made",
        "message": " done\n",
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec"},
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": MADE,
        "lastTimestamp": "2027-01-15T07:55:00Z",
        "count": 4,
    }
    renamed = {
        "type": "Normal",
        "reason": "Made",
        "note": " done\n",
        "regarding": core["involvedObject"],
        "deprecatedSource": core["source"],
        "deprecatedFirstTimestamp": MADE,
        "deprecatedLastTimestamp": core["lastTimestamp"],
        "deprecatedCount": 4,
    }
    shown = ["5m", "Normal", "Made", "pod/p", "spec", "kubelet, n1", "done", "60m", 4, "x"]
    assert cells(("", "events"), core) == shown
    assert cells(("events.k8s.io", "events"), renamed) == shown


def test_a_series_of_events_shows_its_own_count_and_time() -> None:
    series = {"count": 9, "lastObservedTime": "2027-01-15T07:59:00.000000Z"}
    obj = {"eventTime": MADE, "series": series, "reportingComponent": "c", "regarding": {"kind": "Node"}}
    assert cells(("events.k8s.io", "events"), obj) == ["60s", "", "", "node", "", "c", "", "60m", 9, "x"]


async def test_every_kind_has_as_many_cells_as_columns(server: MemoryApiServer) -> None:
    for one in served():
        if "list" not in one.verbs:
            continue
        where = f"{one.group}/{one.version}/{one.plural}" if one.group else f"{one.version}/{one.plural}"
        resource = server.state.resource(where)
        table = (await asked(server, resource.resource.collection_path(), accept=TABLE)).json
        assert table["columnDefinitions"], where
        printer = PRINTERS.get(resource.storage)
        if printer is not None:
            more = 1 if one.plural == "ipaddresses" else 0  # the server has an age there without a column
            assert len(printer.cells({"metadata": {"name": "x"}}, NOW)) == len(printer.columns) + more, where


async def test_a_kind_without_a_printer_shows_when_it_was_created(server: MemoryApiServer) -> None:
    server.create("rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": "r"}, "rules": []})
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/r"
    table = (await asked(server, path, accept=TABLE)).json
    assert [one["name"] for one in table["columnDefinitions"]] == ["Name", "Created At"]
    assert table["columnDefinitions"][1]["type"] == "date"
    assert table["rows"][0]["cells"] == ["r", "2027-01-15T08:00:00Z"]


async def test_flow_schemas_are_listed_in_the_order_in_which_they_match(server: MemoryApiServer) -> None:
    for name, precedence in (("a", 9), ("b", 1), ("c", 9)):
        spec = {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": precedence}
        server.create(
            "flowcontrol.apiserver.k8s.io/v1/flowschemas", {"metadata": {"name": name}, "spec": spec}
        )
    path = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
    rows = (await asked(server, path, accept=TABLE)).json["rows"]
    assert [row["cells"][0] for row in rows] == ["b", "a", "c"]


async def test_a_poisonous_object_has_a_row_that_says_so(server: MemoryApiServer) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "a"}})
    server.state.put_raw(server.state.resource("v1/configmaps"), "default/b", b'{"metadata":{"name":"b"')
    rows = (await asked(server, "/api/v1/configmaps", accept=TABLE)).json["rows"]
    assert [row["cells"][:2] for row in rows] == [["a", 0], ["b", "<invalid>"]]


@pytest.mark.parametrize(
    ("include", "kind"), [("Object", "ConfigMap"), ("Metadata", "PartialObjectMetadata")]
)
async def test_a_row_carries_what_is_asked_for(include: str, kind: str, server: MemoryApiServer) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "a"}, "data": {"k": "v"}})
    path = f"/api/v1/configmaps?includeObject={include}"
    assert (await asked(server, path, accept=TABLE)).json["rows"][0]["object"]["kind"] == kind


# --- custom resources --------------------------------------------------------------------------------

OBJ = {
    "spec": {
        "size": 3,
        "ratio": 0.5,
        "on": True,
        "since": MADE,
        "a.b": "dotted",
        "list": [{"name": "x", "n": 1}, {"name": "y", "n": 2}],
    },
    "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [3]),
        ("{.spec.size}", [3]),
        ("$.spec.size", [3]),
        (".spec['size']", [3]),
        (".spec['a.b']", ["dotted"]),
        (r".spec.a\.b", ["dotted"]),
        (".spec.none.of.it", []),
        (".spec.list[0].name", ["x"]),
        (".spec.list[-1].name", ["y"]),
        (".spec.list[*].name", ["x", "y"]),
        (".spec.list[0:1].name", ["x"]),
        (".spec.list[1,0].name", ["y", "x"]),
        (".spec.list.*.n", [1, 2]),
        ("..name", ["x", "y"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type == 'Ready')].status", ["True"]),
        ('.status.conditions[?(@.type!="Ready")].status', ["False"]),
        (".spec.list[?(@.n>1)].name", ["y"]),
        (".spec.list[?(@.n<=1)].name", ["x"]),
        (".spec.list[?(@.none)].name", []),
        (".spec.list[?(@.name)].n", [1, 2]),
    ],
)
def test_a_path_finds_what_it_names(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path).find(OBJ) == found


@pytest.mark.parametrize("path", [".spec.list[", ".spec.list[x]", ".spec.(", ".list[?(]"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"unterminated|invalid|unrecognized"):
        jsonpath.parse(path)


@pytest.mark.parametrize("path", [".spec.list[7]", ".spec.size[0]", '.spec.list[?(@.n<"1")].name'])
def test_a_path_that_does_not_fit_the_object_has_no_value(path: str) -> None:
    with pytest.raises((LookupError, TypeError)):
        jsonpath.parse(path).find(OBJ)


async def custom_cells(
    server: MemoryApiServer, *columns: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[Any]]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    if columns:
        version["additionalPrinterColumns"] = list(columns)
    server.create(
        "apiextensions.k8s.io/v1/customresourcedefinitions",
        {
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [version],
            },
        },
    )
    server.create("example.com/v1/widgets", {"metadata": {"name": "w"}, **OBJ})
    table = (await asked(server, "/apis/example.com/v1/widgets", accept=TABLE)).json
    return table["columnDefinitions"], table["rows"][0]["cells"]


async def test_a_custom_resource_shows_its_printer_columns(server: MemoryApiServer) -> None:
    declared, shown = await custom_cells(
        server,
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1, "format": "int32"},
        {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
        {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
        {"name": "Since", "type": "date", "jsonPath": ".spec.since", "description": "how long"},
        {"name": "Text", "type": "string", "jsonPath": ".spec.size"},
        {"name": "Parts", "type": "string", "jsonPath": ".spec.list[0]"},
        {"name": "Wrong", "type": "integer", "jsonPath": ".spec.since"},
        {"name": "Far", "type": "string", "jsonPath": ".spec.list[9].name"},
        {"name": "None", "type": "string", "jsonPath": ".spec.none"},
    )
    assert shown == ["w", 3, 0.5, True, "60m", "3", '{"n":1,"name":"x"}', None, None, None]
    assert declared[1] == {
        "name": "Size",
        "type": "integer",
        "format": "int32",
        "description": "Custom resource definition column (in JSONPath format): .spec.size",
        "priority": 1,
    }
    assert declared[4]["description"] == "how long"


async def test_a_custom_resource_without_columns_shows_its_age(server: MemoryApiServer) -> None:
    declared, shown = await custom_cells(server)
    assert [(one["name"], one["type"]) for one in declared] == [("Name", "string"), ("Age", "date")]
    assert shown == ["w", "0s"]


# --- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 720, "3h12m"),
        (8 * 3600 + 60, "8h"),
        (49 * 3600, "2d1h"),
        (48 * 3600, "2d"),
        (9 * 86400, "9d"),
        (2 * 365 * 86400, "2y"),
        (2 * 365 * 86400 + 31 * 86400, "2y31d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_a_duration_is_written_for_people(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, "<none>"),
        ({}, "<none>"),
        (
            {
                "matchLabels": {"b": "1"},
                "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["y", "x"]},
                    {"key": "c", "operator": "NotIn", "values": ["z"]},
                    {"key": "d", "operator": "Exists"},
                    {"key": "e", "operator": "DoesNotExist"},
                ],
            },
            "a in (x,y),b=1,c notin (z),d,!e",
        ),
        ({"matchExpressions": [{"key": "a", "operator": "Nope"}]}, "<error>"),
    ],
)
def test_a_selector_is_written_in_its_syntax(selector: Any, text: str) -> None:
    assert format_selector(selector) == text
