"""What the server fills in where an object of a built-in kind says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


def template(**spec: Any) -> dict[str, Any]:
    whole = {"containers": [{"name": "c", "image": "i:1"}], **spec}
    return {"metadata": {"labels": {"app": "c"}}, "spec": whole}


async def test_text_of_a_secret_is_kept_encoded(api: Api) -> None:
    """Recorded: 02 secret with stringData"""
    made = await api.create("v1/secrets", {"stringData": {"p": "q"}})
    assert (made["data"], made["type"], "stringData" in made) == ({"p": "cQ=="}, "Opaque", False)


async def test_a_pod_is_filled_in(api: Api) -> None:
    """Recorded: 04 create a pod: defaults"""
    pod = await api.pod()
    spec, status = pod["spec"], pod["status"]
    assert (spec["restartPolicy"], spec["dnsPolicy"]) == ("Always", "ClusterFirst")
    assert (spec["terminationGracePeriodSeconds"], spec["securityContext"]) == (30, {})
    (container,) = spec["containers"]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["terminationMessagePolicy"] == "File"
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"] == {}
    assert (status["phase"], status["qosClass"]) == ("Pending", "BestEffort")


async def test_a_pod_is_scheduled_by_the_default_scheduler(api: Api) -> None:
    """Recorded: 03 create a deployment: defaults"""
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "c"}}, "template": template()}
    made = await api.create("apps/v1/deployments", {"spec": spec})
    assert made["spec"]["template"]["spec"]["schedulerName"] == "default-scheduler"


@pytest.mark.parametrize(
    ("image", "policy"), [("i", "Always"), ("i:latest", "Always"), ("i:1", "IfNotPresent")]
)
async def test_an_image_is_pulled_by_its_tag(api: Api, image: str, policy: str) -> None:
    """Kubernetes documentation: Images, default image pull policy"""
    pod = await api.pod(containers=[{"name": "c", "image": image}])
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


async def test_limits_are_requests_where_none_are_given(api: Api) -> None:
    """Source: pkg/apis/core/v1/defaults.go"""
    limits = {"limits": {"cpu": "1"}}
    pod = await api.pod(containers=[{"name": "c", "image": "i", "resources": limits}])
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    assert pod["status"]["qosClass"] == "Burstable"


async def test_a_probe_is_filled_in(api: Api) -> None:
    """Source: pkg/apis/core/v1/defaults.go"""
    probe = {"httpGet": {"port": 80}}
    pod = await api.pod(containers=[{"name": "c", "image": "i", "livenessProbe": probe}])
    assert pod["spec"]["containers"][0]["livenessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


async def test_a_deployment_is_filled_in(api: Api) -> None:
    """Recorded: 03 create a deployment: defaults"""
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "c"}}, "template": template()}
    made = (await api.create("apps/v1/deployments", {"spec": spec}))["spec"]
    assert made["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (made["revisionHistoryLimit"], made["progressDeadlineSeconds"]) == (10, 600)


async def test_a_service_is_filled_in(api: Api) -> None:
    """Source: pkg/apis/core/v1/defaults.go"""
    spec = {"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 80}]}
    made = (await api.create("v1/services", {"spec": spec}))["spec"]
    assert made["ports"] == [{"protocol": "TCP", "port": 80, "targetPort": 80}]
    assert (made["type"], made["sessionAffinity"]) == ("ClusterIP", "None")
    assert made["internalTrafficPolicy"] == "Cluster"


async def test_a_job_is_filled_in(api: Api) -> None:
    """Source: pkg/apis/batch/v1/defaults.go"""
    spec = {"suspend": True, "template": template(restartPolicy="Never")}
    made = (await api.create("batch/v1/jobs", {"spec": spec}))["spec"]
    assert (made["parallelism"], made["completions"], made["backoffLimit"]) == (1, 1, 6)
    assert made["completionMode"] == "NonIndexed"


async def test_a_stateful_set_is_filled_in(api: Api) -> None:
    """Source: pkg/apis/apps/v1/defaults.go"""
    selector = {"matchLabels": {"app": "c"}}
    spec = {"replicas": 0, "serviceName": "s", "selector": selector, "template": template()}
    made = (await api.create("apps/v1/statefulsets", {"spec": spec}))["spec"]
    assert (made["podManagementPolicy"], made["revisionHistoryLimit"]) == ("OrderedReady", 10)
    assert made["updateStrategy"]["type"] == "RollingUpdate"
    assert made["updateStrategy"]["rollingUpdate"]["partition"] == 0


async def test_an_event_is_filled_in(api: Api) -> None:
    """Recorded: 09 create an event"""
    about = {"kind": "ConfigMap", "namespace": api.namespace, "name": "x"}
    made = await api.create("v1/events", {"involvedObject": about})
    assert (made["eventTime"], made["reportingComponent"], made["reportingInstance"]) == (None, "", "")


async def test_a_time_keeps_its_microseconds(api: Api) -> None:
    """Recorded: 09 create a lease"""
    spec = {"holderIdentity": "a", "renewTime": "2026-01-01T00:00:00.500000Z"}
    made = await api.create("coordination.k8s.io/v1/leases", {"spec": spec})
    assert made["spec"]["renewTime"] == "2026-01-01T00:00:00.500000Z"


@pytest.mark.parametrize("time", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "yesterday"])
async def test_a_time_of_microseconds_has_all_six_digits(api: Api, time: str) -> None:
    """Source: apimachinery/pkg/apis/meta/v1/micro_time.go"""
    body = {"metadata": {"name": api.name()}, "spec": {"renewTime": time}}
    (await api.post(api.path("coordination.k8s.io/v1/leases"), body)).refused(400, "BadRequest")


async def test_a_quantity_is_written_the_short_way(api: Api) -> None:
    """Source: apimachinery/pkg/api/resource/quantity.go"""
    requests = {"requests": {"cpu": "1000m", "memory": "1024Mi"}}
    pod = await api.pod(containers=[{"name": "c", "image": "i", "resources": requests}])
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
