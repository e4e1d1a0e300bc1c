"""Field selectors mean, and fail, as in `k8s.io/apimachinery/pkg/fields`; each resource has its fields."""

from __future__ import annotations

import json

import pytest

from kresilient.testing.server.kinds import Registry
from kresilient.testing.server.selectors import FieldQuery
from kresilient.testing.server.statuses import Refused
from kresilient.testing.server.storage import Stored

REGISTRY = Registry()


def stored(**fields: object) -> Stored:
    spec = fields.get("spec")
    node = str(spec.get("nodeName", "")) if isinstance(spec, dict) else ""
    return Stored("default/web-0", 1, json.dumps({"metadata": {"name": "web-0"}, **fields}).encode(), node)


@pytest.mark.parametrize(
    ("resource", "selector", "message"),
    [
        ("v1/pods", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("v1/pods", "b=1,a", "invalid selector: 'b=1,a'; can't understand 'a'"),
        ("v1/pods", r"status.phase=a\b", r"invalid field selector: invalid escape sequence: \b"),
        ("v1/pods", "status.phase=a\\", "invalid field selector: invalid escape sequence: \\"),
        ("v1/pods", "status.phase=a=b", "invalid field selector: unescaped character in value: 61"),
        ("v1/pods", "spec.foo=1", "field label not supported: spec.foo"),
        ("v1/pods", " metadata.name=a", "field label not supported:  metadata.name"),
        ("v1/pods", "=a", "field label not supported: "),
        ("v1/nodes", "metadata.namespace=a", "field label not supported: metadata.namespace"),
        ("batch/v1/jobs", "spec.x=1", 'field label "spec.x" not supported for batchv1.Job'),
        (
            "v1/configmaps",
            "data.k=1",
            '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_a_selector_that_cannot_be_used_is_refused_in_the_words_of_go(
    resource: str, selector: str, message: str
) -> None:
    with pytest.raises(Refused) as refused:
        FieldQuery.parse(selector, REGISTRY.parse(resource))
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")
    assert refused.value.message == message


def test_terms_are_looked_at_in_order_of_their_text() -> None:
    with pytest.raises(Refused, match="not supported: aa"):
        FieldQuery.parse("zz=1,aa=1", REGISTRY.parse("v1/pods"))


@pytest.mark.parametrize(
    ("selector", "met"),
    [
        ("", True),
        (",,", True),
        ("metadata.name=web-0", True),
        ("metadata.name==web-0", True),
        ("metadata.name!=web-0", False),
        ("metadata.namespace=default", True),
        ("spec.nodeName=n1", True),
        ("spec.host=n1", True),
        ("spec.nodeName!=n1", False),
        ("spec.restartPolicy=Always", True),
        ("spec.schedulerName=default-scheduler", True),
        ("spec.serviceAccountName=", True),
        ("spec.hostNetwork=false", True),
        ("status.phase=", True),
        ("status.podIP=10.0.0.1", True),
        ("status.nominatedNodeName!=x", True),
        (r"metadata.name=web\,0", False),
        (r"metadata.name!=web\=0,metadata.name=web-0", True),
    ],
)
def test_fields_of_a_pod_have_the_values_and_defaults_of_the_server(selector: str, met: bool) -> None:
    pod = stored(spec={"nodeName": "n1"}, status={"podIPs": [{"ip": "10.0.0.1"}]})
    assert FieldQuery.parse(selector, REGISTRY.parse("v1/pods")).matches(pod) is met


@pytest.mark.parametrize(
    ("resource", "selector", "fields"),
    [
        ("v1/nodes", "spec.unschedulable=false", {}),
        ("v1/nodes", "spec.unschedulable=true", {"spec": {"unschedulable": True}}),
        ("v1/namespaces", "status.phase=Active", {"status": {"phase": "Active"}}),
        ("v1/secrets", "type=kubernetes.io/tls", {"type": "kubernetes.io/tls"}),
        ("v1/services", "spec.type=ClusterIP,spec.clusterIP=None", {"spec": {"clusterIP": "None"}}),
        ("v1/replicationcontrollers", "status.replicas=0", {}),
        ("apps/v1/replicasets", "status.replicas=2", {"status": {"replicas": 2}}),
        ("batch/v1/jobs", "status.successful=3", {"status": {"succeeded": 3}}),
        (
            "v1/events",
            "involvedObject.name=web-0,source=kubelet",
            {
                "involvedObject": {"name": "web-0"},
                "source": {"component": "kubelet"},
            },
        ),
        ("v1/events", "source=me,reportingComponent=me", {"reportingComponent": "me"}),
        (
            "events.k8s.io/v1/events",
            "regarding.kind=Pod,type=Normal",
            {
                "regarding": {"kind": "Pod"},
                "type": "Normal",
            },
        ),
        (
            "certificates.k8s.io/v1/certificatesigningrequests",
            "spec.signerName=a/b",
            {"spec": {"signerName": "a/b"}},
        ),
    ],
)
def test_each_resource_can_be_selected_by_its_own_fields(
    resource: str, selector: str, fields: dict[str, object]
) -> None:
    query = FieldQuery.parse(selector, REGISTRY.parse(resource))
    assert query.matches(stored(**fields))
    assert not FieldQuery.parse("metadata.name=other", REGISTRY.parse(resource)).matches(stored(**fields))
