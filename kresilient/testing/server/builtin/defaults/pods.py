"""Pods, and the templates of pods in other kinds."""

from __future__ import annotations

from typing import Any, Final

from .filling import each, fill, part

__all__ = ["pod", "pod_spec", "pod_template"]

Object = dict[str, Any]


def pod(obj: Object) -> None:
    spec = part(obj, "spec")
    for container in (*each(spec, "initContainers"), *each(spec, "containers")):
        resources = container.get("resources") or {}
        limits = resources.get("limits")
        if limits:
            container["resources"] = {
                **resources,
                "requests": {**limits, **(resources.get("requests") or {})},
            }
    pod_spec(spec)
    fill(spec, enableServiceLinks=True)


def pod_spec(spec: Object) -> None:
    """The defaults of a pod's spec, also in the templates of others."""
    fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
    )
    spec.setdefault("securityContext", {})
    if spec.get("serviceAccountName") or spec.get("serviceAccount"):
        fill(
            spec, serviceAccountName=spec.get("serviceAccount"), serviceAccount=spec.get("serviceAccountName")
        )
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for container in each(spec, name):
            _container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in each(spec, "volumes"):
        _volume(volume)
    for constraint in each(spec, "topologySpreadConstraints"):
        fill(constraint, whenUnsatisfiable=constraint.get("whenUnsatisfiable") or "DoNotSchedule")


def _container(container: Object, *, host_network: bool) -> None:
    fill(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(str(container.get("image") or "")),
    )
    for port in each(container, "ports"):
        fill(port, protocol="TCP")
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port.get("containerPort")
    for variable in each(container, "env"):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if isinstance(reference, dict):
            fill(reference, apiVersion="v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if isinstance(probe, dict):
            fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            _handler(probe)
    lifecycle = container.get("lifecycle")
    if isinstance(lifecycle, dict):
        for name in ("postStart", "preStop"):
            if isinstance(lifecycle.get(name), dict):
                _handler(lifecycle[name])


def _handler(handler: Object) -> None:
    http, grpc = handler.get("httpGet"), handler.get("grpc")
    if isinstance(http, dict):
        fill(http, path="/", scheme="HTTP")
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
            fill(source, defaultMode=mode)
    for source in each(volume.get("projected") or {}, "sources"):
        token = source.get("serviceAccountToken")
        if isinstance(token, dict):
            fill(token, expirationSeconds=3600)
    items = [*each(volume.get("downwardAPI") or {}, "items")]
    for source in each(volume.get("projected") or {}, "sources"):
        items += each(source.get("downwardAPI") or {}, "items")
    for item in items:
        reference = item.get("fieldRef")
        if isinstance(reference, dict):
            fill(reference, apiVersion="v1")
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if isinstance(claim, dict):
        fill(part(claim, "spec"), volumeMode="Filesystem")


def pod_template(spec: Object) -> None:
    """The defaults of the template in the *spec* of another kind, or in a `PodTemplate`."""
    pod_spec(part(part(spec, "template"), "spec"))
