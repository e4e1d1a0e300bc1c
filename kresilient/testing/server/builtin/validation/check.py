"""The way in: which rules an object of which kind has to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from kresilient.testing.server.statuses import Cause, invalid

from . import cluster, config, network, pods, storage, workloads
from .counts import changed_counts, counts
from .metadata import metadata
from .names import dns_label, dns_subdomain, path_segment, service_name

if TYPE_CHECKING:
    from kresilient.testing.server.kinds import ApiResource

__all__ = ["check_new", "check_update", "name_rule"]

Object = Mapping[str, Any]
Rules = Callable[[Object], Iterator[Cause]]
Changes = Callable[[Object, Object], Iterator[Cause]]

_NEW: Final[dict[tuple[str, str], Rules]] = {
    ("", "configmaps"): config.config_map,
    ("", "events"): cluster.event,
    ("", "persistentvolumeclaims"): storage.claim,
    ("", "persistentvolumes"): storage.volume,
    ("", "pods"): pods.new_pod,
    ("", "podtemplates"): lambda obj: pods.pod_template(obj.get("template") or {}, "template"),
    ("", "replicationcontrollers"): workloads.replication_controller,
    ("", "secrets"): config.secret,
    ("", "services"): network.service,
    ("apps", "daemonsets"): workloads.daemon_set,
    ("apps", "deployments"): workloads.deployment,
    ("apps", "replicasets"): workloads.replica_set,
    ("apps", "statefulsets"): workloads.stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): cluster.autoscaler,
    ("batch", "cronjobs"): workloads.cron_job,
    ("batch", "jobs"): workloads.job,
    ("coordination.k8s.io", "leases"): cluster.lease,
    ("events.k8s.io", "events"): cluster.new_event,
    ("networking.k8s.io", "ingresses"): network.ingress,
    ("networking.k8s.io", "networkpolicies"): network.network_policy,
    ("policy", "poddisruptionbudgets"): cluster.disruption_budget,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): cluster.role_binding,
    ("rbac.authorization.k8s.io", "clusterroles"): cluster.role,
    ("rbac.authorization.k8s.io", "rolebindings"): cluster.role_binding,
    ("rbac.authorization.k8s.io", "roles"): cluster.role,
    ("scheduling.k8s.io", "priorityclasses"): cluster.priority_class,
    ("storage.k8s.io", "storageclasses"): storage.storage_class,
}
_CHANGED: Final[dict[tuple[str, str], Changes]] = {
    ("", "configmaps"): config.changed_config_map,
    ("", "persistentvolumeclaims"): storage.changed_claim,
    ("", "pods"): pods.changed_pod,
    ("", "secrets"): config.changed_secret,
    ("", "services"): network.changed_service,
    ("apps", "daemonsets"): workloads.changed_controller,
    ("apps", "deployments"): workloads.changed_controller,
    ("apps", "replicasets"): workloads.changed_controller,
    ("apps", "statefulsets"): workloads.changed_stateful_set,
    ("batch", "jobs"): workloads.changed_job,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): cluster.changed_binding,
    ("rbac.authorization.k8s.io", "rolebindings"): cluster.changed_binding,
    ("scheduling.k8s.io", "priorityclasses"): cluster.changed_priority_class,
    ("storage.k8s.io", "storageclasses"): storage.changed_class,
}
_NO_METADATA_RULES: Final = frozenset({("", "events")})
"""Events of the core group are older than the rules, and not held to them."""
_OTHER_SERVERS: Final = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})
"""Groups that are served beside the core, and have the rules of every API server alone."""
_NAMES: Final[dict[tuple[str, str], Callable[[str], Iterator[str]]]] = {
    ("", "namespaces"): dns_label,
    ("", "services"): service_name,
    ("apps", "statefulsets"): dns_label,
}
"""Kinds whose names are something else than a DNS subdomain."""


def name_rule(resource: ApiResource) -> Callable[[str], Iterator[str]]:
    """What the names of *resource* have to be."""
    if resource.group == "rbac.authorization.k8s.io":
        return path_segment
    return _NAMES.get(resource.storage, dns_subdomain)


def check_new(resource: ApiResource, obj: Object) -> None:
    """Raises `Refused` (422) where *obj* breaks a rule of its kind; it names every one."""
    if causes := [*_metadata(resource, obj), *_kind(resource, obj)]:
        raise invalid(resource, obj["metadata"].get("name") or "", *causes)


def check_update(resource: ApiResource, old: Object, new: Object, *, subresource: str) -> None:
    """Raises `Refused` (422) where *new* breaks a rule of its kind, or changes what may not change.

    A rule that *old* breaks already is not asked again: a test may have stored what no client could.
    """
    causes = [*_metadata(resource, new)]
    if (
        subresource in ("", "scale")
        and (changes := _CHANGED.get((resource.group, resource.plural))) is not None
    ):
        causes += changes(old, new)
    if subresource in ("", "scale") and not causes:
        causes += _kind(resource, new)
    place, status = (resource.group, resource.plural), old.get("status") or {}
    if subresource == "status":
        causes += changed_counts(place, status, new.get("status") or {})
    if causes:
        held = {*_metadata(resource, old), *_kind(resource, old), *counts(place, status)}
        causes = [cause for cause in causes if cause not in held]
    if causes:
        raise invalid(resource, new["metadata"]["name"], *causes)


def _kind(resource: ApiResource, obj: Object) -> Iterator[Cause]:
    rules = _NEW.get((resource.group, resource.plural))
    return iter(()) if rules is None else rules(obj)


def _metadata(resource: ApiResource, obj: Object) -> Iterator[Cause]:
    if (resource.group, resource.plural) in _NO_METADATA_RULES:
        return
    core = not resource.custom and resource.group not in _OTHER_SERVERS
    yield from metadata(obj["metadata"], name_rule=name_rule(resource), core=core)
