"""The roles and bindings that a server with RBAC has from its start (`bootstrappolicy`).

Those of users, of discovery and of the components that clients meet; a controller's own role, which only
the controller manager uses, is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..state import ApiState
from ..writing import Write
from .rbac import GROUP

__all__ = ["bootstrap"]

_LABELS: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS: Final = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_SETS: Final = {
    "READ": "get list watch",
    "WRITE": "create update patch delete deletecollection",
    "ALL": "get list watch create update patch delete deletecollection",
}
_AGGREGATED: Final = {"admin": "", "edit": "admin", "view": "edit"}
"""The aggregated roles, and which other one each is part of."""

_ROLES: Final = """
cluster-admin
  * ; * ; *
  * ; *
system:aggregate-to-admin > admin
  create ; authorization.k8s.io ; localsubjectaccessreviews
  ALL ; rbac.authorization.k8s.io ; roles rolebindings
system:aggregate-to-edit > edit
  READ ; "" ; pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy
  impersonate ; "" ; serviceaccounts
  WRITE ; "" ; pods pods/attach pods/proxy pods/exec pods/portforward
  create ; "" ; pods/eviction
  WRITE ; "" ; replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy \
persistentvolumeclaims configmaps secrets events
  create ; "" ; serviceaccounts/token
  WRITE ; apps ; statefulsets statefulsets/scale daemonsets deployments deployments/scale \
deployments/rollback replicasets replicasets/scale
  WRITE ; autoscaling ; horizontalpodautoscalers
  WRITE ; batch ; jobs cronjobs
  WRITE ; extensions ; daemonsets deployments deployments/scale deployments/rollback ingresses replicasets \
replicasets/scale replicationcontrollers/scale networkpolicies
  WRITE ; policy ; poddisruptionbudgets
  WRITE ; networking.k8s.io ; networkpolicies ingresses
  ALL ; coordination.k8s.io ; leases
  WRITE ; resource.k8s.io ; resourceclaims resourceclaimtemplates
system:aggregate-to-view > view
  READ ; "" ; pods replicationcontrollers replicationcontrollers/scale serviceaccounts services \
services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps
  READ ; "" ; limitranges resourcequotas bindings events pods/status resourcequotas/status \
namespaces/status replicationcontrollers/status pods/log
  READ ; "" ; namespaces
  READ ; discovery.k8s.io ; endpointslices
  READ ; apps ; controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets \
daemonsets/status deployments deployments/status deployments/scale replicasets replicasets/status \
replicasets/scale
  READ ; autoscaling ; horizontalpodautoscalers horizontalpodautoscalers/status
  READ ; batch ; jobs cronjobs cronjobs/status jobs/status
  READ ; extensions ; daemonsets daemonsets/status deployments deployments/scale deployments/status \
ingresses ingresses/status replicasets replicasets/scale replicasets/status replicationcontrollers/scale \
networkpolicies
  READ ; policy ; poddisruptionbudgets poddisruptionbudgets/status
  READ ; networking.k8s.io ; networkpolicies ingresses ingresses/status
  READ ; resource.k8s.io ; resourceclaims resourceclaims/status resourceclaimtemplates
system:auth-delegator
  create ; authentication.k8s.io ; tokenreviews
  create ; authorization.k8s.io ; subjectaccessreviews
system:basic-user
  create ; authorization.k8s.io ; selfsubjectaccessreviews selfsubjectrulesreviews
  create ; authentication.k8s.io ; selfsubjectreviews
system:discovery
  get ; /livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*
system:monitoring
  get ; /metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/*
system:node-problem-detector
  get ; "" ; nodes
  patch ; "" ; nodes/status
  create patch update ; "" events.k8s.io ; events
system:node-proxier
  list watch ; "" ; services endpoints
  READ ; "" ; nodes
  create patch update ; "" events.k8s.io ; events
  list watch ; discovery.k8s.io ; endpointslices
system:openshift:public-info-viewer
  get ; /.well-known /.well-known/*
system:public-info-viewer
  get ; /livez /readyz /healthz /version /version/
system:service-account-issuer-discovery
  get ; /.well-known/openid-configuration /openid/v1/jwks
"""
"""A role a line, perhaps with the aggregated role that it is part of, and its rules beneath: verbs; groups;
resources, or verbs; paths. `system:openshift:public-info-viewer` is no part of kube-apiserver's own sources,
but the recorded server has it."""

_BINDINGS: Final = {
    "cluster-admin": ("system:masters",),
    "system:basic-user": ("system:authenticated",),
    "system:discovery": ("system:authenticated",),
    "system:monitoring": ("system:monitoring",),
    "system:node-proxier": (),
    "system:openshift:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
    "system:service-account-issuer-discovery": ("system:serviceaccounts",),
}
"""Role: the groups that it is bound to."""
_USERS: Final = {"system:node-proxier": "system:kube-proxy"}


def bootstrap(state: ApiState) -> None:
    """Create the default roles and bindings that *state* lacks; those it has are left as they are."""
    for plural, objects in (("clusterroles", _roles()), ("clusterrolebindings", _bindings())):
        resource = state.resource(f"{GROUP}/v1/{plural}")
        for obj in objects:
            if obj["metadata"]["name"] not in state.collection(resource).objects:
                state.create(resource, obj, write=Write(manager="kube-apiserver", trusted=True))


def _roles() -> Iterator[dict[str, Any]]:
    for name, whole in _AGGREGATED.items():
        selector = {"matchLabels": _part_of(name)}
        yield {
            "metadata": _metadata(name, _part_of(whole) if whole else {}),
            "aggregationRule": {"clusterRoleSelectors": [selector]},
        }
    role: dict[str, Any] = {}
    for line in _ROLES.strip().splitlines():
        if line.startswith(" "):
            role["rules"].append(_rule(line))
            continue
        if role:
            yield role
        name, _, whole = line.partition(" > ")
        role = {"metadata": _metadata(name, _part_of(whole) if whole else {}), "rules": []}
    yield role


def _rule(line: str) -> dict[str, list[str]]:
    verbs, *rest = ([_SETS.get(word, word) for word in part.split()] for part in line.split(" ; "))
    rule = {"verbs": sorted(" ".join(verbs).split())}
    if len(rest) == 1:
        return rule | {"nonResourceURLs": sorted(rest[0])}
    groups, resources = rest
    return rule | {"apiGroups": [group.strip('"') for group in groups], "resources": sorted(resources)}


def _bindings() -> Iterator[dict[str, Any]]:
    for role, groups in _BINDINGS.items():
        named = [("Group", group) for group in groups]
        if role in _USERS:
            named.append(("User", _USERS[role]))
        yield {
            "metadata": _metadata(role, {}),
            "subjects": [{"kind": kind, "apiGroup": GROUP, "name": name} for kind, name in named],
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        }


def _metadata(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "labels": _LABELS | labels, "annotations": dict(_ANNOTATIONS)}


def _part_of(whole: str) -> dict[str, str]:
    return {f"rbac.authorization.k8s.io/aggregate-to-{whole}": "true"}
