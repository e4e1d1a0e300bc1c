"""Which defaults an object of which kind has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from . import cluster, network, pods, storage, workloads

if TYPE_CHECKING:
    from kresilient.testing.server.kinds import ApiResource

__all__ = ["default"]

Object = dict[str, Any]

_SETTERS: Final[dict[tuple[str, ...], Callable[[Object], None]]] = {
    ("", "endpoints"): network.endpoints,
    ("", "limitranges"): cluster.limit_range,
    ("", "namespaces"): cluster.namespace,
    ("", "persistentvolumeclaims"): storage.claim,
    ("", "persistentvolumes"): storage.volume,
    ("", "pods"): pods.pod,
    ("", "podtemplates"): pods.pod_template,
    ("", "replicationcontrollers"): workloads.replication_controller,
    ("", "secrets"): cluster.secret,
    ("", "services"): network.service,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): cluster.mutating_webhooks,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): cluster.webhooks,
    ("apiextensions.k8s.io", "customresourcedefinitions"): cluster.definition,
    ("apiregistration.k8s.io", "apiservices"): cluster.api_service,
    ("apps", "daemonsets"): workloads.daemon_set,
    ("apps", "deployments"): workloads.deployment,
    ("apps", "replicasets"): workloads.replica_set,
    ("apps", "statefulsets"): workloads.stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): cluster.autoscaler,
    ("autoscaling", "v1", "horizontalpodautoscalers"): cluster.old_autoscaler,
    ("batch", "cronjobs"): workloads.cron_job,
    ("batch", "jobs"): workloads.job,
    ("discovery.k8s.io", "endpointslices"): network.endpoint_slice,
    ("networking.k8s.io", "networkpolicies"): network.network_policy,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): cluster.role_binding,
    ("rbac.authorization.k8s.io", "rolebindings"): cluster.role_binding,
    ("scheduling.k8s.io", "priorityclasses"): cluster.priority_class,
    ("storage.k8s.io", "csidrivers"): storage.csi_driver,
    ("storage.k8s.io", "storageclasses"): storage.storage_class,
}
"""By group and plural, where the versions of a kind differ by group, version and plural."""


def default(resource: ApiResource, obj: Object) -> None:
    """Fill in *obj* as *resource* shows it, in place."""
    setter = _SETTERS.get(resource.place) or _SETTERS.get((resource.group, resource.plural))
    if setter is not None:
        setter(obj)
