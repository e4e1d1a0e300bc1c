"""The objects that `seed` fills in by the thousand: a pod of about 7 KB, a node and a service.

A text `@name@` is a slot of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["APPS", "NODE", "POD", "SERVICE"]

APPS: Final = ("web", "api", "worker", "cache", "search", "billing", "ingest", "auth", "mailer", "reports")


def _fields(tree: Mapping[str, Any] | str) -> dict[str, Any]:
    """A FieldsV1 tree: names become `f:name`; a text of names is a level of leaves."""
    if isinstance(tree, str):
        return {f"f:{name}": {} for name in tree.split()}
    return {
        key if key.startswith(("k:", ".", "v:")) else f"f:{key}": _fields(below)
        for key, below in tree.items()
    }


def _env(names: str) -> dict[str, Any]:
    return {f'k:{{"name":"{name}"}}': "name value" for name in names.split()}


def _probe_fields() -> dict[str, Any]:
    return {
        "failureThreshold": "",
        "httpGet": "path port scheme",
        "initialDelaySeconds": "",
        "periodSeconds": "",
        "successThreshold": "",
        "timeoutSeconds": "",
    }


def _condition_fields() -> str:
    return "lastProbeTime lastTransitionTime status type"


_ENV: Final = "LOG_LEVEL PORT DATABASE_HOST DATABASE_POOL CACHE_HOST OTEL_EXPORTER_OTLP_ENDPOINT"
_MANAGED: Final[list[dict[str, Any]]] = [
    {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "@created@",
        "fieldsType": "FieldsV1",
        "fieldsV1": _fields(
            {
                "metadata": {
                    "annotations": "checksum/config prometheus.io/path prometheus.io/port "
                    "prometheus.io/scrape",
                    "generateName": "",
                    "labels": "app.kubernetes.io/instance app.kubernetes.io/name app.kubernetes.io/version "
                    "pod-template-hash topology.example.com/tier",
                    "ownerReferences": {'k:{"uid":"@owner_uid@"}': {}},
                },
                "spec": {
                    "containers": {
                        'k:{"name":"app"}': {
                            "env": _env(_ENV),
                            "image": "",
                            "imagePullPolicy": "",
                            "livenessProbe": _probe_fields(),
                            "name": "",
                            "ports": {
                                'k:{"containerPort":8080,"protocol":"TCP"}': "containerPort name protocol",
                            },
                            "resources": {"limits": "memory", "requests": "cpu memory"},
                            "terminationMessagePath": "",
                            "terminationMessagePolicy": "",
                            "volumeMounts": {'k:{"mountPath":"/etc/app"}': "mountPath name readOnly"},
                        },
                        'k:{"name":"proxy"}': {
                            "args": "",
                            "image": "",
                            "imagePullPolicy": "",
                            "name": "",
                            "resources": {"limits": "memory", "requests": "cpu memory"},
                            "terminationMessagePath": "",
                            "terminationMessagePolicy": "",
                        },
                    },
                    "dnsPolicy": "",
                    "enableServiceLinks": "",
                    "restartPolicy": "",
                    "schedulerName": "",
                    "securityContext": "fsGroup runAsNonRoot runAsUser",
                    "serviceAccount": "",
                    "serviceAccountName": "",
                    "terminationGracePeriodSeconds": "",
                    "volumes": {'k:{"name":"config"}': {"configMap": "defaultMode name", "name": ""}},
                },
            }
        ),
    },
    {
        "manager": "kubelet",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "@created@",
        "fieldsType": "FieldsV1",
        "fieldsV1": _fields(
            {
                "status": {
                    "conditions": {
                        f'k:{{"type":"{kind}"}}': _condition_fields()
                        for kind in (
                            "ContainersReady",
                            "Initialized",
                            "PodReadyToStartContainers",
                            "Ready",
                        )
                    },
                    "containerStatuses": "",
                    "hostIP": "",
                    "phase": "",
                    "podIP": "",
                    "podIPs": {'k:{"ip":"@pod_ip@"}': "ip"},
                    "startTime": "",
                }
            }
        ),
        "subresource": "status",
    },
]


def _probe(path: str, delay: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "initialDelaySeconds": delay,
        "timeoutSeconds": 2,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


def _container(name: str, image: str, **more: Any) -> dict[str, Any]:
    token = {
        "name": "kube-api-access-@volume@",
        "readOnly": True,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }
    return {
        "name": name,
        "image": image,
        **more,
        "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "250m", "memory": "256Mi"}},
        "volumeMounts": [*more.get("volumeMounts", ()), token],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }


def _container_status(name: str, image: str, container: str) -> dict[str, Any]:
    return {
        "name": name,
        "state": {"running": {"startedAt": "@created@"}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": image,
        "imageID": f"{image.partition(':')[0]}#sha256:@digest@",
        "containerID": f"containerd://@{container}@",
        "started": True,
    }


def _condition(kind: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": "@created@",
    }


_APP_IMAGE: Final = "registry.example.com/team/@app@:4.2.1"
_PROXY_IMAGE: Final = "registry.example.com/mesh/proxy:1.29.0"
POD: Final[dict[str, Any]] = {
    "metadata": {
        "name": "@name@",
        "generateName": "@prefix@",
        "namespace": "@namespace@",
        "uid": "@uid@",
        "resourceVersion": "@version@",
        "generation": 1,
        "creationTimestamp": "@created@",
        "labels": {
            "app.kubernetes.io/instance": "@instance@",
            "app.kubernetes.io/name": "@app@",
            "app.kubernetes.io/version": "4.2.1",
            "pod-template-hash": "@hash@",
            "topology.example.com/tier": "@tier@",
        },
        "annotations": {
            "checksum/config": "@digest@",
            "prometheus.io/path": "/metrics",
            "prometheus.io/port": "8080",
            "prometheus.io/scrape": "true",
        },
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "@owner@",
                "uid": "@owner_uid@",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "managedFields": _MANAGED,
    },
    "spec": {
        "volumes": [
            {"name": "config", "configMap": {"name": "@app@-config", "defaultMode": 420}},
            {
                "name": "kube-api-access-@volume@",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {
                            "configMap": {
                                "name": "kube-root-ca.crt",
                                "items": [{"key": "ca.crt", "path": "ca.crt"}],
                            }
                        },
                        {
                            "downwardAPI": {
                                "items": [
                                    {
                                        "path": "namespace",
                                        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                                    }
                                ]
                            }
                        },
                    ],
                    "defaultMode": 420,
                },
            },
        ],
        "containers": [
            _container(
                "app",
                _APP_IMAGE,
                ports=[{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                env=[
                    {"name": "LOG_LEVEL", "value": "info"},
                    {"name": "PORT", "value": "8080"},
                    {"name": "DATABASE_HOST", "value": "postgres.@namespace@.svc.cluster.local"},
                    {"name": "DATABASE_POOL", "value": "20"},
                    {"name": "CACHE_HOST", "value": "redis.@namespace@.svc.cluster.local"},
                    {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel-collector.observe:4317"},
                ],
                volumeMounts=[{"name": "config", "readOnly": True, "mountPath": "/etc/app"}],
                livenessProbe=_probe("/healthz", 15),
            ),
            _container("proxy", _PROXY_IMAGE, args=["--concurrency=2", "--service=@app@.@namespace@"]),
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "@app@",
        "serviceAccount": "@app@",
        "nodeName": "@node@",
        "securityContext": {"runAsUser": 10001, "runAsNonRoot": True, "fsGroup": 10001},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{taint}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for taint in ("not-ready", "unreachable")
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    },
    "status": {
        "phase": "Running",
        "conditions": [
            _condition(kind)
            for kind in (
                "PodReadyToStartContainers",
                "Initialized",
                "Ready",
                "ContainersReady",
                "PodScheduled",
            )
        ],
        "hostIP": "@host_ip@",
        "podIP": "@pod_ip@",
        "podIPs": [{"ip": "@pod_ip@"}],
        "startTime": "@created@",
        "containerStatuses": [
            _container_status("app", _APP_IMAGE, "container"),
            _container_status("proxy", _PROXY_IMAGE, "sidecar"),
        ],
        "qosClass": "Burstable",
    },
}
_CAPACITY: Final = {
    "cpu": "16",
    "ephemeral-storage": "101430960Ki",
    "hugepages-2Mi": "0",
    "memory": "65842028Ki",
    "pods": "110",
}
_NODE_HEALTH: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
NODE: Final[dict[str, Any]] = {
    "metadata": {
        "name": "@name@",
        "uid": "@uid@",
        "resourceVersion": "@version@",
        "creationTimestamp": "@created@",
        "labels": {
            "beta.kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": "@name@",
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": "m7.4xlarge",
            "topology.kubernetes.io/region": "region-1",
            "topology.kubernetes.io/zone": "@zone@",
        },
        "annotations": {
            "node.alpha.kubernetes.io/ttl": "0",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        },
    },
    "spec": {"podCIDR": "@host_ip@/24", "podCIDRs": ["@host_ip@/24"], "providerID": "fake:///@zone@/@name@"},
    "status": {
        "capacity": _CAPACITY,
        "allocatable": _CAPACITY | {"cpu": "15890m"},
        "conditions": [
            {
                "type": kind,
                "status": status,
                "lastHeartbeatTime": "@created@",
                "lastTransitionTime": "@created@",
                "reason": reason,
                "message": message,
            }
            for kind, status, reason, message in _NODE_HEALTH
        ],
        "addresses": [
            {"type": "InternalIP", "address": "@host_ip@"},
            {"type": "Hostname", "address": "@name@"},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": "@digest@",
            "systemUUID": "@uid@",
            "bootID": "@uid@",
            "kernelVersion": "6.12.0",
            "osImage": "Linux",
            "containerRuntimeVersion": "containerd://2.1.4",
            "kubeletVersion": "v1.36.2",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
        "images": [
            {"names": [f"registry.example.com/team/{app}:4.2.1"], "sizeBytes": 123_456_789} for app in APPS
        ],
    },
}
SERVICE: Final[dict[str, Any]] = {
    "metadata": {
        "name": "@name@",
        "namespace": "@namespace@",
        "uid": "@uid@",
        "resourceVersion": "@version@",
        "creationTimestamp": "@created@",
        "labels": {"app.kubernetes.io/name": "@app@"},
    },
    "spec": {
        "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "http"}],
        "selector": {"app.kubernetes.io/name": "@app@"},
        "clusterIP": "@cluster_ip@",
        "clusterIPs": ["@cluster_ip@"],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    },
    "status": {"loadBalancer": {}},
}
