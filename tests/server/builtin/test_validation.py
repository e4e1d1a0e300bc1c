"""What the server refuses in built-in kinds: the field, and the words of kube-apiserver."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from kresilient.testing.server import ApiState, Refused
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.writing import Write
from tests.server.custom import Wire

from .objects import VALID, changed, valid

DNS_LABEL = "a lowercase RFC 1123 label must consist of"
ROLES = "rbac.authorization.k8s.io/v1/roles"
BINDINGS = "rbac.authorization.k8s.io/v1/rolebindings"
CLAIMS = "v1/persistentvolumeclaims"
INGRESSES = "networking.k8s.io/v1/ingresses"


@pytest.fixture
def state() -> ApiState:
    return ApiState(random=Random(1))


def create(state: ApiState, resource: ApiResource, obj: dict[str, Any]) -> dict[str, Any]:
    stored = state.create(resource, obj, namespace="default" if resource.namespaced else "")
    return resource.seen(stored).decode()


def causes(refused: Refused) -> list[tuple[str, str]]:
    return [(one["field"], one["message"]) for one in refused.status()["details"]["causes"]]


def status_refused(state: ApiState, name: str, status: dict[str, Any]) -> list[tuple[str, str]]:
    """The causes for which a status is refused, in a kind whose status was empty."""
    resource = state.resources.parse(name)
    create(state, resource, valid(name))
    with pytest.raises(Refused) as refused:
        state.patch(resource, "default/a", {"status": status}, kind="merge", subresource="status")
    assert refused.value.code == 422
    return causes(refused.value)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("v1/replicationcontrollers", "fullyLabeledReplicas"),
        ("apps/v1/daemonsets", "numberReady"),
        ("apps/v1/deployments", "unavailableReplicas"),
        ("apps/v1/replicasets", "observedGeneration"),
        ("apps/v1/statefulsets", "currentReplicas"),
        ("autoscaling/v2/horizontalpodautoscalers", "desiredReplicas"),
        ("batch/v1/jobs", "succeeded"),
        ("policy/v1/poddisruptionbudgets", "expectedPods"),
    ],
)
def test_no_number_of_a_status_is_negative(state: ApiState, name: str, field: str) -> None:
    said = [(f"status.{field}", "Invalid value: -1: must be greater than or equal to 0")]
    assert status_refused(state, name, {field: -1}) == said


@pytest.mark.parametrize(
    ("name", "limit"),
    [("apps/v1/deployments", "readyReplicas"), ("apps/v1/statefulsets", "status.readyReplicas")],
)
def test_a_part_of_the_replicas_is_no_more_than_all(state: ApiState, name: str, limit: str) -> None:
    status = {"replicas": 1, "updatedReplicas": 2, "readyReplicas": 1, "availableReplicas": 3}
    assert status_refused(state, name, status) == [
        ("status.updatedReplicas", "Invalid value: 2: cannot be greater than status.replicas"),
        ("status.availableReplicas", "Invalid value: 3: cannot be greater than status.replicas"),
        ("status.availableReplicas", f"Invalid value: 3: cannot be greater than {limit}"),
    ]


def test_collisions_are_not_uncounted_and_what_a_test_put_there_may_stay(state: ApiState) -> None:
    resource = state.resources.parse("apps/v1/deployments")
    made = {**valid("apps/v1/deployments"), "status": {"replicas": -1, "collisionCount": 2}}
    state.create(resource, made, namespace="default", write=Write(trusted=True))

    def patch(status: dict[str, Any]) -> None:
        state.patch(resource, "default/a", {"status": status}, kind="merge", subresource="status")

    patch({"collisionCount": 3})
    with pytest.raises(Refused) as refused:
        patch({"collisionCount": 1})
    assert causes(refused.value) == [("status.collisionCount", "Invalid value: 1: cannot be decremented")]


MEMORY = {"resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}}}
CONTAINER = {"name": "c", "image": "i", **MEMORY}
CLAIM = {
    "metadata": {"name": "a"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("v1/pods", "spec.containers", [CONTAINER]),
        ("apps/v1/deployments", "spec.template.spec.containers", [CONTAINER]),
        ("apps/v1/statefulsets", "spec.volumeClaimTemplates", [CLAIM]),
        ("batch/v1/jobs", "spec.template.spec.containers", [CONTAINER]),
    ],
)
def test_an_amount_in_other_words_is_no_change(state: ApiState, name: str, path: str, value: Any) -> None:
    resource = state.resources.parse(name)
    made = create(state, resource, changed(valid(name), path, value))
    said = json.loads(json.dumps(made).replace("1Gi", "1073741824"))
    written = resource.seen(state.update(resource, "default/a", said)).decode()
    assert "1Gi" not in json.dumps(written["spec"])
    assert written["metadata"]["generation"] == made["metadata"]["generation"] == 1


@pytest.mark.parametrize("name", VALID)
def test_a_valid_object_is_taken_and_may_be_written_back(state: ApiState, name: str) -> None:
    resource = state.resources.parse(name)
    made = create(state, resource, valid(name))
    key = "default/a" if resource.namespaced else "a"
    assert state.update(resource, key, made).version == int(made["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("name", "path", "value", "field", "message"),
    [
        ("v1/configmaps", "metadata.labels", {"a b": "c"}, "metadata.labels", "name part must consist of"),
        (
            "v1/configmaps",
            "metadata.labels",
            {"a": "b c"},
            "metadata.labels",
            "a valid label must be an empty",
        ),
        (
            "v1/configmaps",
            "metadata.labels",
            {"a": "b" * 64},
            "metadata.labels",
            "no more than 63 characters",
        ),
        ("v1/configmaps", "metadata.labels", {"/a": "b"}, "metadata.labels", "prefix part must be non-empty"),
        ("v1/configmaps", "metadata.labels", {"a/b/c": ""}, "metadata.labels", "an optional DNS subdomain"),
        ("v1/configmaps", "metadata.annotations", {"a b": ""}, "metadata.annotations", "name part must"),
        ("v1/configmaps", "metadata.annotations", {"a": "x" * 262144}, "metadata.annotations", "Too long"),
        (
            "v1/configmaps",
            "metadata.finalizers",
            ["hold"],
            "metadata.finalizers[0]",
            "name is neither a standard finalizer name nor is it fully qualified",
        ),
        (
            "v1/configmaps",
            "metadata.finalizers",
            ["orphan", "foregroundDeletion"],
            "metadata.finalizers",
            "cannot be both set",
        ),
        (
            "v1/configmaps",
            "metadata.ownerReferences",
            [{"apiVersion": "v1", "kind": "Pod", "name": "p"}],
            "metadata.ownerReferences.uid",
            "must not be empty",
        ),
        ("v1/namespaces", "metadata.name", "a.b", "metadata.name", DNS_LABEL),
        ("v1/services", "metadata.name", "1a", "metadata.name", "a DNS-1035 label must consist of"),
        (ROLES, "metadata.name", "a/b", "metadata.name", "may not contain '/'"),
        ("v1/secrets", "data", {"b": "cQ" * 700_000}, "data", "Too long: may not be more than 1048576 bytes"),
        ("v1/pods", "spec.containers", [], "spec.containers", "Required value"),
        ("v1/pods", "spec.containers.0.name", "C", "spec.containers[0].name", DNS_LABEL),
        ("v1/pods", "spec.containers.0.name", None, "spec.containers[0].name", "Required value"),
        ("v1/pods", "spec.containers.0.image", "", "spec.containers[0].image", "Required value"),
        (
            "v1/pods",
            "spec.containers",
            [{"name": "c", "image": "i"}, {"name": "c", "image": "i"}],
            "spec.containers[1].name",
            'Duplicate value: "c"',
        ),
        (
            "v1/pods",
            "spec.containers.0.ports",
            [{"containerPort": 70000}],
            "spec.containers[0].ports[0].containerPort",
            "Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            "v1/pods",
            "spec.containers.0.env",
            [{"name": "a=b"}],
            "spec.containers[0].env[0].name",
            "printable ASCII characters other than '='",
        ),
        (
            "v1/pods",
            "spec.containers.0.volumeMounts",
            [{"name": "v", "mountPath": "/v"}],
            "spec.containers[0].volumeMounts[0].name",
            'Not found: "v"',
        ),
        (
            "v1/pods",
            "spec.containers.0.resources",
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            "spec.containers[0].resources.requests",
            'Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            "v1/pods",
            "spec.containers.0.livenessProbe",
            {},
            "spec.containers[0].livenessProbe",
            "must specify a handler type",
        ),
        (
            "v1/pods",
            "spec.restartPolicy",
            "Sometimes",
            "spec.restartPolicy",
            '"Always", "OnFailure", "Never"',
        ),
        (
            "v1/pods",
            "spec.dnsPolicy",
            "None!",
            "spec.dnsPolicy",
            '"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
        ),
        ("v1/pods", "spec.volumes", [{"name": "V"}], "spec.volumes[0].name", DNS_LABEL),
        (
            "v1/pods",
            "spec.volumes",
            [{"name": "v", "secret": {}}],
            "spec.volumes[0].secret.secretName",
            "Req",
        ),
        (
            "v1/pods",
            "spec.tolerations",
            [{"operator": "Equal"}],
            "spec.tolerations[0].operator",
            "operator must be Exists when `key` is empty",
        ),
        ("apps/v1/deployments", "spec.selector", None, "spec.selector", "Required value"),
        (
            "apps/v1/deployments",
            "spec.selector",
            {"matchLabels": {"app": "b"}},
            "spec.template.metadata.labels",
            "`selector` does not match template `labels`",
        ),
        *(
            (
                f"apps/v1/{kind}s",
                "spec.selector",
                {},
                "spec.selector",
                f"empty selector is invalid for {said}",
            )
            for kind, said in (
                ("deployment", "deployment"),
                ("replicaset", "deployment"),
                ("daemonset", "daemonset"),
                ("statefulset", "statefulset"),
            )
        ),
        *(
            (
                f"apps/v1/{kind}s",
                "spec.template.spec.activeDeadlineSeconds",
                5,
                "spec.template.spec.activeDeadlineSeconds",
                f"Forbidden: activeDeadlineSeconds in {said} is not Supported",
            )
            for kind, said in (
                ("deployment", "ReplicaSet"),
                ("replicaset", "ReplicaSet"),
                ("daemonset", "DaemonSet"),
                ("statefulset", "StatefulSet"),
            )
        ),
        ("apps/v1/deployments", "spec.replicas", -1, "spec.replicas", "greater than or equal to 0"),
        (
            "apps/v1/deployments",
            "spec.template.spec.restartPolicy",
            "Never",
            "spec.template.spec.restartPolicy",
            'Unsupported value: "Never": supported values: "Always"',
        ),
        (
            "apps/v1/deployments",
            "spec.strategy",
            {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}},
            "spec.strategy.rollingUpdate.maxUnavailable",
            "may not be 0 when `maxSurge` is 0",
        ),
        (
            "apps/v1/deployments",
            "spec.strategy",
            {"rollingUpdate": {"maxSurge": "lots"}},
            "spec.strategy.rollingUpdate.maxSurge",
            "a valid percent string must be",
        ),
        ("apps/v1/statefulsets", "spec.podManagementPolicy", "Any", "spec.podManagementPolicy", "must be"),
        (
            "batch/v1/jobs",
            "spec.template.spec.restartPolicy",
            "Always",
            "spec.template.spec.restartPolicy",
            'Required value: valid values: "OnFailure", "Never"',
        ),
        (
            "batch/v1/jobs",
            "spec.template.spec.restartPolicy",
            "Sometimes",
            "spec.template.spec.restartPolicy",
            'Unsupported value: "Sometimes": supported values: "OnFailure", "Never"',
        ),
        ("batch/v1/jobs", "spec.parallelism", -1, "spec.parallelism", "greater than or equal to 0"),
        (
            "batch/v1/cronjobs",
            "spec.schedule",
            "often",
            "spec.schedule",
            "expected exactly 5 fields, found 1",
        ),
        ("batch/v1/cronjobs", "spec.concurrencyPolicy", "X", "spec.concurrencyPolicy", '"Allow", "Forbid"'),
        ("v1/services", "spec.ports", [], "spec.ports", "Required value"),
        ("v1/services", "spec.ports", [{"port": 0}], "spec.ports[0].port", "between 1 and 65535"),
        ("v1/services", "spec.ports", [{"port": 1}, {"port": 2}], "spec.ports[0].name", "Required value"),
        ("v1/services", "spec.type", "Magic", "spec.type", "Unsupported value"),
        ("v1/services", "spec.type", "ExternalName", "spec.externalName", "Required value"),
        (INGRESSES, "spec", {}, "spec", "either `defaultBackend` or `rules` must be specified"),
        (
            INGRESSES,
            "spec.rules",
            [{"http": {"paths": [{"path": "/", "backend": {"resource": {"kind": "k", "name": "n"}}}]}}],
            "spec.rules[0].http.paths[0].pathType",
            "pathType must be specified",
        ),
        (CLAIMS, "spec.accessModes", [], "spec.accessModes", "at least 1 access mode is required"),
        (CLAIMS, "spec.resources", {}, "spec.resources[storage]", "Required value"),
        (
            "v1/persistentvolumes",
            "spec.hostPath",
            None,
            "spec",
            "Required value: must specify a volume type",
        ),
        ("storage.k8s.io/v1/storageclasses", "provisioner", "", "provisioner", "Required value"),
        (ROLES, "rules.0.verbs", [], "rules[0].verbs", "verbs must contain at least one value"),
        (ROLES, "rules.0.resources", [], "rules[0].resources", "at least one resource"),
        (BINDINGS, "roleRef.kind", "Group", "roleRef.kind", 'supported values: "Role", "ClusterRole"'),
        (BINDINGS, "roleRef.name", "a/b", "roleRef.name", "may not contain '/'"),
        (
            BINDINGS,
            "subjects",
            [{"kind": "Pet", "name": "x"}],
            "subjects[0].kind",
            'supported values: "ServiceAccount", "User", "Group"',
        ),
        (BINDINGS, "subjects", [{"kind": "User"}], "subjects[0].name", "user name cannot be empty"),
        (
            BINDINGS,
            "subjects",
            [{"kind": "ServiceAccount", "name": "A_"}],
            "subjects[0].name",
            "a lowercase RFC 1123 subdomain",
        ),
        (
            "coordination.k8s.io/v1/leases",
            "spec.leaseDurationSeconds",
            0,
            "spec.leaseDurationSeconds",
            "must be greater than 0",
        ),
        ("v1/events", "involvedObject.namespace", "x", "involvedObject.namespace", "does not match"),
        ("events.k8s.io/v1/events", "action", "", "action", "Required value"),
        (
            "policy/v1/poddisruptionbudgets",
            "spec.maxUnavailable",
            1,
            "spec",
            "minAvailable and maxUnavailable cannot be both set",
        ),
        (
            "autoscaling/v2/horizontalpodautoscalers",
            "spec.minReplicas",
            9,
            "spec.maxReplicas",
            "greater than or equal to `minReplicas`",
        ),
        (
            "scheduling.k8s.io/v1/priorityclasses",
            "value",
            2_000_000_000,
            "value",
            "maximum allowed value of a user defined priority",
        ),
    ],
)
def test_an_object_that_breaks_a_rule_is_refused(
    state: ApiState, name: str, path: str, value: Any, field: str, message: str
) -> None:
    resource = state.resources.parse(name)
    before = state.version
    with pytest.raises(Refused) as refused:
        create(state, resource, changed(valid(name), path, value))
    assert refused.value.code == 422
    said = causes(refused.value)
    assert [text for at, text in said if at == field and message in text], said
    assert state.version == before


@pytest.mark.parametrize(
    ("name", "path", "value", "field", "message"),
    [
        ("v1/pods", "spec.nodeName", "n1", "spec", "pod updates may not change fields other than"),
        ("v1/pods", "spec.containers.0.command", ["x"], "spec", "pod updates may not change fields other"),
        (
            "v1/pods",
            "spec.containers",
            [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}],
            "spec",
            "may not add or remove containers",
        ),
        ("v1/pods", "spec.tolerations", [], "spec.tolerations", "existing toleration can not be modified"),
        ("v1/secrets", "type", "example.com/other", "type", "field is immutable"),
        (
            "apps/v1/deployments",
            "spec.selector",
            {"matchLabels": {"app": "b"}},
            "spec.selector",
            "field is immutable",
        ),
        (
            "apps/v1/statefulsets",
            "spec.serviceName",
            "other",
            "spec",
            "updates to statefulset spec for fields other than 'replicas'",
        ),
        ("batch/v1/jobs", "spec.completions", 5, "spec.completions", "field is immutable"),
        ("v1/services", "spec.clusterIPs", ["10.0.0.9"], "spec.clusterIPs[0]", "may not change once set"),
        (CLAIMS, "spec.accessModes", ["ReadOnlyMany"], "spec", "spec is immutable after creation"),
        (BINDINGS, "roleRef.name", "other", "roleRef", "cannot change roleRef"),
        ("scheduling.k8s.io/v1/priorityclasses", "value", 2, "value", "may not be changed in an update."),
        ("storage.k8s.io/v1/storageclasses", "provisioner", "b", "provisioner", "updates to provisioner"),
        ("storage.k8s.io/v1/storageclasses", "reclaimPolicy", "Retain", "reclaimPolicy", "immutable"),
        ("v1/configmaps", "metadata.labels", {"a b": ""}, "metadata.labels", "name part must consist of"),
    ],
)
def test_what_may_not_change_is_refused(
    state: ApiState, name: str, path: str, value: Any, field: str, message: str
) -> None:
    resource = state.resources.parse(name)
    made = create(state, resource, valid(name))
    key = "default/a" if resource.namespaced else "a"
    with pytest.raises(Refused) as refused:
        state.update(resource, key, changed(made, path, value))
    assert refused.value.code == 422
    said = causes(refused.value)
    assert [text for at, text in said if at == field and message in text], said


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("v1/pods", "spec.containers.0.image", "other"),
        ("v1/pods", "spec.activeDeadlineSeconds", 60),
        ("v1/pods", "metadata.labels", {"a": "b"}),
        ("apps/v1/deployments", "spec.replicas", 7),
        ("apps/v1/statefulsets", "spec.template.spec.containers.0.image", "other"),
        ("batch/v1/jobs", "spec.parallelism", 3),
        ("v1/services", "spec.ports.0.port", 81),
        ("v1/services", "spec.clusterIP", None),
        (CLAIMS, "spec.resources.requests.storage", "2Gi"),
    ],
)
def test_what_may_change_is_taken(state: ApiState, name: str, path: str, value: Any) -> None:
    resource = state.resources.parse(name)
    made = create(state, resource, valid(name))
    version = int(made["metadata"]["resourceVersion"])
    stored = state.update(resource, "default/a", changed(made, path, value))
    assert (stored.version > version) == (value is not None)


def test_what_a_test_stored_against_the_rules_may_still_be_labelled(state: ApiState) -> None:
    pods = state.resources.parse("v1/pods")
    state.create(pods, {"metadata": {"name": "a"}}, namespace="default", write=Write(trusted=True))
    stored, _ = state.patch(pods, "default/a", {"metadata": {"labels": {"x": "y"}}}, kind="merge")
    assert stored.labels == {"x": "y"}


def test_every_fault_is_named_at_once(state: ApiState) -> None:
    pod = {"metadata": {"name": "a", "labels": {"x": "a b"}}, "spec": {"containers": [{"name": "C"}]}}
    with pytest.raises(Refused) as refused:
        create(state, state.resources.parse("v1/pods"), pod)
    assert [field for field, _ in causes(refused.value)] == [
        "metadata.labels",
        "spec.containers[0].name",
        "spec.containers[0].image",
    ]
    assert refused.value.message.startswith('Pod "a" is invalid: [metadata.labels: Invalid value: "a b":')


def test_a_lease_may_be_held_by_nobody() -> None:
    """`ValidateLeaseSpec` in `pkg/apis/coordination/validation` asks for no holder: who releases a lease
    writes an empty one."""
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    body = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
    status, made = Wire().ask("POST", leases, body)
    assert (status, made["spec"]) == (201, {"holderIdentity": "", "leaseDurationSeconds": 1})
