"""The values that built-in kinds have where a client gives none.

They are set when an object is read from a request, before anybody owns its fields, as `SetDefaults_*` do.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kresilient.testing.server.kinds import ApiResource

__all__ = ["default"]

Object = dict[str, Any]

_RBAC: Final = "rbac.authorization.k8s.io"
_QUARTER: Final = "25%"


def default(resource: ApiResource, obj: Object) -> None:
    """Fill in *obj* as *resource* shows it, in place."""
    setter = _SETTERS.get(resource.place) or _SETTERS.get((resource.group, resource.plural))
    if setter is not None:
        setter(obj)


def _part(obj: Object, name: str) -> Object:
    """The object in the field *name*, made where it is absent."""
    if not isinstance(obj.get(name), dict):
        obj[name] = {}
    part: Object = obj[name]
    return part


def _fill(obj: Object, **values: Any) -> None:
    for name, value in values.items():
        if obj.get(name) in (None, ""):
            obj[name] = value


def _each(obj: Object, name: str) -> Iterator[Object]:
    return (one for one in obj.get(name) or () if isinstance(one, dict))


# --- pods --------------------------------------------------------------------------------------------


def _pod(obj: Object) -> None:
    spec = _part(obj, "spec")
    for container in (*_each(spec, "initContainers"), *_each(spec, "containers")):
        resources = container.get("resources") or {}
        limits = resources.get("limits")
        if limits:
            container["resources"] = {
                **resources,
                "requests": {**limits, **(resources.get("requests") or {})},
            }
    pod_spec(spec)
    _fill(spec, enableServiceLinks=True)


def pod_spec(spec: Object) -> None:
    """The defaults of a pod's spec, also in the templates of others."""
    _fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
    )
    spec.setdefault("securityContext", {})
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        _fill(
            spec, serviceAccountName=spec.get("serviceAccount"), serviceAccount=spec.get("serviceAccountName")
        )
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for container in _each(spec, name):
            _container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in _each(spec, "volumes"):
        _volume(volume)
    for constraint in _each(spec, "topologySpreadConstraints"):
        _fill(constraint, whenUnsatisfiable=constraint.get("whenUnsatisfiable") or "DoNotSchedule")


def _container(container: Object, *, host_network: bool) -> None:
    _fill(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(str(container.get("image") or "")),
    )
    for port in _each(container, "ports"):
        _fill(port, protocol="TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort")
    for variable in _each(container, "env"):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if isinstance(reference, dict):
            _fill(reference, apiVersion="v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if isinstance(probe, dict):
            _fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            _handler(probe)
    lifecycle = container.get("lifecycle")
    if isinstance(lifecycle, dict):
        for name in ("postStart", "preStop"):
            if isinstance(lifecycle.get(name), dict):
                _handler(lifecycle[name])


def _handler(handler: Object) -> None:
    http, grpc = handler.get("httpGet"), handler.get("grpc")
    if isinstance(http, dict):
        _fill(http, path="/", scheme="HTTP")
    if isinstance(grpc, dict):
        grpc.setdefault("service", "")


def _pull_policy(image: str) -> str:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or (not tag and not digest) else "IfNotPresent"


_MODES: Final = {"secret": 420, "configMap": 420, "downwardAPI": 420, "projected": 420}


def _volume(volume: Object) -> None:
    if not any(value is not None for name, value in volume.items() if name != "name"):
        volume["emptyDir"] = {}
    for name, mode in _MODES.items():
        source = volume.get(name)
        if isinstance(source, dict):
            _fill(source, defaultMode=mode)
    for source in _each(volume.get("projected") or {}, "sources"):
        token = source.get("serviceAccountToken")
        if isinstance(token, dict):
            _fill(token, expirationSeconds=3600)
    items = [*_each(volume.get("downwardAPI") or {}, "items")]
    for source in _each(volume.get("projected") or {}, "sources"):
        items += _each(source.get("downwardAPI") or {}, "items")
    for item in items:
        reference = item.get("fieldRef")
        if isinstance(reference, dict):
            _fill(reference, apiVersion="v1")
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if isinstance(claim, dict):
        _fill(_part(claim, "spec"), volumeMode="Filesystem")


def _template(spec: Object) -> None:
    pod_spec(_part(_part(spec, "template"), "spec"))


# --- workloads ---------------------------------------------------------------------------------------


def _deployment(obj: Object) -> None:
    spec = _part(obj, "spec")
    _template(spec)
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _part(spec, "strategy")
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(_part(strategy, "rollingUpdate"), maxUnavailable=_QUARTER, maxSurge=_QUARTER)


def _replica_set(obj: Object) -> None:
    spec = _part(obj, "spec")
    _fill(spec, replicas=1)
    _template(spec)


def _replication_controller(obj: Object) -> None:
    spec = _part(obj, "spec")
    _fill(spec, replicas=1)
    if spec.get("template") is not None:
        _template(spec)
        labels = (spec["template"].get("metadata") or {}).get("labels")
        if labels:
            _fill(spec, selector=dict(labels))
            metadata = _part(obj, "metadata")
            if not metadata.get("labels"):
                metadata["labels"] = dict(labels)


def _stateful_set(obj: Object) -> None:
    spec = _part(obj, "spec")
    _template(spec)
    _fill(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    strategy = _part(spec, "updateStrategy")
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(_part(strategy, "rollingUpdate"), partition=0)
    _fill(_part(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
    for claim in _each(spec, "volumeClaimTemplates"):
        # A template has been through the server as a claim of its own kind, and shows it.
        _fill(claim, kind="PersistentVolumeClaim", apiVersion="v1")
        _claim(claim)


def _daemon_set(obj: Object) -> None:
    spec = _part(obj, "spec")
    _template(spec)
    _fill(spec, revisionHistoryLimit=10)
    strategy = _part(spec, "updateStrategy")
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(_part(strategy, "rollingUpdate"), maxUnavailable=1, maxSurge=0)


def _job(obj: Object) -> None:
    spec = _part(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    _fill(
        spec,
        parallelism=1,
        backoffLimit=6 if spec.get("backoffLimitPerIndex") is None else 2**31 - 1,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy="TerminatingOrFailed" if spec.get("podFailurePolicy") is None else "Failed",
    )
    _template(spec)


def _cron_job(obj: Object) -> None:
    spec = _part(obj, "spec")
    _fill(
        spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1
    )
    _template(_part(_part(spec, "jobTemplate"), "spec"))


# --- the network -------------------------------------------------------------------------------------


def _service(obj: Object) -> None:
    spec = _part(obj, "spec")
    _fill(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "ClientIP":
        _fill(_part(_part(spec, "sessionAffinityConfig"), "clientIP"), timeoutSeconds=10800)
    elif spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    for port in _each(spec, "ports"):
        _fill(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
        _fill(spec, internalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _fill(spec, allocateLoadBalancerNodePorts=True)


def _endpoints(obj: Object) -> None:
    for subset in _each(obj, "subsets"):
        for port in _each(subset, "ports"):
            _fill(port, protocol="TCP")


def _endpoint_slice(obj: Object) -> None:
    for port in _each(obj, "ports"):
        _fill(port, protocol="TCP")
        port.setdefault("name", "")


def _network_policy(obj: Object) -> None:
    spec = _part(obj, "spec")
    for direction in ("ingress", "egress"):
        for rule in _each(spec, direction):
            for port in _each(rule, "ports"):
                _fill(port, protocol="TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


# --- storage -----------------------------------------------------------------------------------------


def _claim(obj: Object) -> None:
    _fill(_part(obj, "spec"), volumeMode="Filesystem")
    _fill(_part(obj, "status"), phase="Pending")


def _volume_object(obj: Object) -> None:
    spec = _part(obj, "spec")
    _fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    if isinstance(spec.get("hostPath"), dict):
        spec["hostPath"].setdefault("type", "")


def _storage_class(obj: Object) -> None:
    _fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _csi_driver(obj: Object) -> None:
    _fill(
        _part(obj, "spec"),
        attachRequired=True,
        podInfoOnMount=False,
        storageCapacity=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        requiresRepublish=False,
        seLinuxMount=False,
    )
    spec = obj["spec"]
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


# --- everything else ---------------------------------------------------------------------------------


def _namespace(obj: Object) -> None:
    metadata = _part(obj, "metadata")
    if metadata.get("name"):
        labels = metadata.get("labels") or {}
        metadata["labels"] = {**labels, "kubernetes.io/metadata.name": metadata["name"]}


def _secret(obj: Object) -> None:
    strings = obj.pop("stringData", None)
    if strings:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in strings.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
    _fill(obj, type="Opaque")


def _definition(obj: Object) -> None:
    spec = _part(obj, "spec")
    names = _part(spec, "names")
    if names.get("kind"):
        _fill(names, singular=names["kind"].lower(), listKind=f"{names['kind']}List")
    _fill(_part(spec, "conversion"), strategy="None")
    status = _part(obj, "status")
    if not status.get("storedVersions"):
        status["storedVersions"] = [one.get("name") for one in _each(spec, "versions") if one.get("storage")]


def _binding_of_roles(obj: Object) -> None:
    reference = obj.get("roleRef")
    if isinstance(reference, dict):
        _fill(reference, apiGroup=_RBAC)
    for subject in _each(obj, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, apiGroup=_RBAC)


def _priority_class(obj: Object) -> None:
    _fill(obj, preemptionPolicy="PreemptLowerPriority")


def _autoscaler(obj: Object) -> None:
    spec = _part(obj, "spec")
    _fill(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        up = [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]
        _scaling(_part(behavior, "scaleUp"), up, stabilization=0)
        _scaling(_part(behavior, "scaleDown"), [{"type": "Percent", "value": 100, "periodSeconds": 15}], None)


def _old_autoscaler(obj: Object) -> None:
    _fill(_part(obj, "spec"), minReplicas=1)


def _scaling(rules: Object, policies: list[Object], stabilization: int | None) -> None:
    _fill(rules, selectPolicy="Max")
    if stabilization is not None:
        _fill(rules, stabilizationWindowSeconds=stabilization)
    if rules.get("policies") is None:
        rules["policies"] = policies


def _webhooks(obj: Object) -> None:
    for hook in _each(obj, "webhooks"):
        _fill(hook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        for name in ("namespaceSelector", "objectSelector"):
            if hook.get(name) is None:
                hook[name] = {}
        service = (hook.get("clientConfig") or {}).get("service")
        if isinstance(service, dict):
            _fill(service, port=443)
        for rule in _each(hook, "rules"):
            _fill(rule, scope="*")


def _mutating_webhooks(obj: Object) -> None:
    _webhooks(obj)
    for hook in _each(obj, "webhooks"):
        _fill(hook, reinvocationPolicy="Never")


def _limit_range(obj: Object) -> None:
    for item in _each(_part(obj, "spec"), "limits"):
        if item.get("type") != "Container":
            continue
        item["default"] = {**(item.get("max") or {}), **(item.get("default") or {})}
        item["defaultRequest"] = {
            **(item.get("min") or {}),
            **item["default"],
            **(item.get("defaultRequest") or {}),
        }


def _api_service(obj: Object) -> None:
    service = _part(obj, "spec").get("service")
    if isinstance(service, dict):
        _fill(service, port=443)


_SETTERS: Final[dict[tuple[str, ...], Callable[[Object], None]]] = {
    ("", "endpoints"): _endpoints,
    ("", "limitranges"): _limit_range,
    ("", "namespaces"): _namespace,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume_object,
    ("", "pods"): _pod,
    ("", "podtemplates"): lambda obj: pod_spec(_part(_part(obj, "template"), "spec")),
    ("", "replicationcontrollers"): _replication_controller,
    ("", "secrets"): _secret,
    ("", "services"): _service,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _mutating_webhooks,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _webhooks,
    ("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ("apiregistration.k8s.io", "apiservices"): _api_service,
    ("apps", "daemonsets"): _daemon_set,
    ("apps", "deployments"): _deployment,
    ("apps", "replicasets"): _replica_set,
    ("apps", "statefulsets"): _stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): _autoscaler,
    ("autoscaling", "v1", "horizontalpodautoscalers"): _old_autoscaler,
    ("batch", "cronjobs"): _cron_job,
    ("batch", "jobs"): _job,
    ("discovery.k8s.io", "endpointslices"): _endpoint_slice,
    ("networking.k8s.io", "networkpolicies"): _network_policy,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding_of_roles,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding_of_roles,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("storage.k8s.io", "csidrivers"): _csi_driver,
    ("storage.k8s.io", "storageclasses"): _storage_class,
}
