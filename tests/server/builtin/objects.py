"""One valid object of each kind, as small as the server takes it."""

from __future__ import annotations

import copy
from typing import Any, Final

__all__ = ["VALID", "changed", "valid"]

POD: Final[dict[str, Any]] = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE: Final[dict[str, Any]] = {"metadata": {"labels": {"app": "a"}}, "spec": POD}
SELECTOR: Final[dict[str, Any]] = {"matchLabels": {"app": "a"}}
WORKLOAD: Final[dict[str, Any]] = {"selector": SELECTOR, "template": TEMPLATE}
JOB: Final[dict[str, Any]] = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
ROLE_REF: Final[dict[str, Any]] = {
    "apiGroup": "rbac.authorization.k8s.io",
    "kind": "ClusterRole",
    "name": "r",
}
RULE: Final[dict[str, Any]] = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}

VALID: Final[dict[str, dict[str, Any]]] = {
    "v1/configmaps": {"data": {"k": "v"}},
    "v1/events": {"involvedObject": {"namespace": "default", "name": "a"}},
    "v1/namespaces": {},
    "v1/nodes": {},
    "v1/persistentvolumeclaims": {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    },
    "v1/persistentvolumes": {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/data"},
        }
    },
    "v1/pods": {"spec": POD},
    "v1/podtemplates": {"template": TEMPLATE},
    "v1/replicationcontrollers": {"spec": {"template": TEMPLATE}},
    "v1/secrets": {"stringData": {"k": "v"}},
    "v1/serviceaccounts": {},
    "v1/services": {"spec": {"ports": [{"port": 80}]}},
    "apps/v1/daemonsets": {"spec": WORKLOAD},
    "apps/v1/deployments": {"spec": WORKLOAD},
    "apps/v1/replicasets": {"spec": WORKLOAD},
    "apps/v1/statefulsets": {"spec": {**WORKLOAD, "serviceName": "s"}},
    "autoscaling/v2/horizontalpodautoscalers": {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}
    },
    "batch/v1/cronjobs": {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": JOB}}},
    "batch/v1/jobs": {"spec": JOB},
    "coordination.k8s.io/v1/leases": {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}},
    "events.k8s.io/v1/events": {
        "regarding": {"namespace": "default", "name": "a"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "type": "Normal",
        "reason": "Tested",
        "action": "Test",
        "reportingController": "example.com/c",
        "reportingInstance": "c-1",
    },
    "networking.k8s.io/v1/ingresses": {
        "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}
    },
    "networking.k8s.io/v1/networkpolicies": {"spec": {"podSelector": {}}},
    "policy/v1/poddisruptionbudgets": {"spec": {"minAvailable": 1, "selector": SELECTOR}},
    "rbac.authorization.k8s.io/v1/clusterrolebindings": {"roleRef": ROLE_REF},
    "rbac.authorization.k8s.io/v1/clusterroles": {"rules": [RULE]},
    "rbac.authorization.k8s.io/v1/rolebindings": {"roleRef": ROLE_REF},
    "rbac.authorization.k8s.io/v1/roles": {"rules": [RULE]},
    "scheduling.k8s.io/v1/priorityclasses": {"value": 1},
    "storage.k8s.io/v1/storageclasses": {"provisioner": "example.com/disks"},
}


def valid(resource: str) -> dict[str, Any]:
    """The valid object of *resource*, to be changed at will."""
    return {"metadata": {"name": "a"}, **copy.deepcopy(VALID[resource])}


def changed(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """*obj* with *value* at *path* (`spec.containers.0.name`); None takes away what is there."""
    *parents, last = path.split(".")
    place: Any = obj
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
    if value is None:
        place.pop(last, None)
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return obj
