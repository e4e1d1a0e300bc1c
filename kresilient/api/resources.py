"""Resources: which collection of the API is meant, and the REST path of it.

A resource is written `"v1/pods"`, `"apps/v1/deployments"` or, with a subresource,
`"apps/v1/deployments/status"`. A key is `"namespace/name"`, or `"name"` at cluster scope.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from .errors import InvalidName, wrong_type

__all__ = ["BUILTIN", "Key", "Resource", "join_key", "path_segment", "split_key"]

Key = str
"""`"namespace/name"`, or `"name"` at cluster scope."""

_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d+)?\Z")
_GROUP = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\Z")
_PLURAL = re.compile(r"[a-z](?:[-a-z0-9.]*[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Resource:
    """One collection of the API, such as `apps/v1/deployments`, perhaps with a subresource.

    `kind` is `""` and `namespaced` is None where only discovery could tell. Two resources are equal when
    their group, version, plural and subresource are.
    """

    group: str
    version: str
    plural: str
    subresource: str = ""
    kind: str = field(default="", compare=False)
    namespaced: bool | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str | Resource) -> Resource:
        """The resource that *text* names; kinds and scope of built-in resources are filled in.

        Raises `InvalidName` with the three accepted forms where *text* has none of them.
        """
        if isinstance(text, Resource):
            return text
        if not isinstance(text, str):
            raise wrong_type("a resource", '"v1/pods" or "apps/v1/deployments"', text)
        return _parse(text)

    @property
    def api_version(self) -> str:
        """`"v1"` or `"apps/v1"`, as an object's `apiVersion` has it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def parent(self) -> Resource:
        """The resource itself, without a subresource."""
        return self if not self.subresource else _parse(f"{self.api_version}/{self.plural}")

    def with_subresource(self, name: str) -> Resource:
        """This resource's subresource *name* (`"status"`, `"scale"`, `"eviction"`, …)."""
        if not _PLURAL.match(name):
            raise InvalidName(f"{name!r} is no name of a subresource of {self}")
        return replace(self, subresource=name)

    def described(self, *, kind: str, namespaced: bool) -> Resource:
        """The same resource with what discovery says of it."""
        return replace(self, kind=kind, namespaced=namespaced)

    def collection_path(self, namespace: str | None = None) -> str:
        """The path of the list, of one *namespace* or of all (`None`)."""
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if namespace is None:
            return f"{base}/{self.plural}"
        if self.namespaced is False:
            raise InvalidName(f"{self} is cluster-scoped: it has no namespace {namespace!r}")
        return f"{base}/namespaces/{path_segment(namespace, 'namespace')}/{self.plural}"

    def object_path(self, key: Key) -> str:
        """The path of one object, with this resource's subresource if it has one."""
        namespace, name = split_key(key)
        if namespace is None and self.namespaced is True:
            raise InvalidName(f'{self} is namespaced: write the key as "namespace/{name}"')
        path = f"{self.collection_path(namespace)}/{path_segment(name, 'name')}"
        return f"{path}/{self.subresource}" if self.subresource else path

    def __str__(self) -> str:
        text = f"{self.api_version}/{self.plural}"
        return f"{text}/{self.subresource}" if self.subresource else text


@lru_cache(maxsize=512)
def _parse(text: str) -> Resource:
    parts = text.split("/")
    core = _VERSION.match(parts[0]) is not None
    group = "" if core else parts.pop(0)
    if (
        2 <= len(parts) <= 3
        and (core or _GROUP.match(group))
        and _VERSION.match(parts[0])
        and all(_PLURAL.match(part) for part in parts[1:])
    ):
        version, plural, subresource = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
        kind, namespaced = BUILTIN.get((group, version, plural), ("", None))
        return Resource(group, version, plural, subresource, kind, namespaced)
    raise InvalidName(
        f'{text!r} names no resource: write "v1/pods", "apps/v1/deployments" or "apps/v1/deployments/status"'
        " (version and lower-case plural)"
    )


def path_segment(text: str, what: str) -> str:
    """*text* percent-encoded as one segment of a path.

    Raises `InvalidName` for what could reach another path: an empty string, `.`, `..`, a slash, a percent
    sign (the server's own rule, `path.IsValidPathSegmentName`) or a control character.
    """
    if not isinstance(text, str):
        raise wrong_type(f"a {what}", "a string", text)
    if not text or text in (".", ".."):
        raise InvalidName(f"{text!r} cannot be a {what}")
    for char in text:
        if char in "/%" or ord(char) < 0x20 or char == "\x7f":
            raise InvalidName(f"{text!r} cannot be a {what}: it contains {char!r}")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise InvalidName(f"{text!r} cannot be a {what}: UTF-8 cannot encode it") from None


def split_key(key: Key) -> tuple[str | None, str]:
    """`"namespace/name"` or `"name"` as (namespace or None, name), both checked."""
    if not isinstance(key, str):
        raise wrong_type("a key", '"namespace/name" or "name"', key)
    namespace, slash, name = key.partition("/")
    if not slash:
        namespace, name = "", key
    elif not namespace:
        raise InvalidName(f'{key!r} is no key: write "namespace/name", or "name" at cluster scope')
    if not name or "/" in name or name in (".", "..") or namespace in (".", ".."):
        raise InvalidName(f'{key!r} is no key: write "namespace/name", or "name" at cluster scope')
    return namespace or None, name


def join_key(namespace: str | None, name: str) -> Key:
    """The key of an object that has this namespace (empty or None at cluster scope) and name."""
    return f"{namespace}/{name}" if namespace else name


_N, _C = True, False
BUILTIN: Final[dict[tuple[str, str, str], tuple[str, bool]]] = {
    (group, version, plural): (kind, namespaced)
    for group, version, rows in (
        (
            "",
            "v1",
            (
                ("bindings", "Binding", _N),
                ("componentstatuses", "ComponentStatus", _C),
                ("configmaps", "ConfigMap", _N),
                ("endpoints", "Endpoints", _N),
                ("events", "Event", _N),
                ("limitranges", "LimitRange", _N),
                ("namespaces", "Namespace", _C),
                ("nodes", "Node", _C),
                ("persistentvolumeclaims", "PersistentVolumeClaim", _N),
                ("persistentvolumes", "PersistentVolume", _C),
                ("pods", "Pod", _N),
                ("podtemplates", "PodTemplate", _N),
                ("replicationcontrollers", "ReplicationController", _N),
                ("resourcequotas", "ResourceQuota", _N),
                ("secrets", "Secret", _N),
                ("serviceaccounts", "ServiceAccount", _N),
                ("services", "Service", _N),
            ),
        ),
        (
            "admissionregistration.k8s.io",
            "v1",
            (
                ("mutatingadmissionpolicies", "MutatingAdmissionPolicy", _C),
                ("mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", _C),
                ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", _C),
                ("validatingadmissionpolicies", "ValidatingAdmissionPolicy", _C),
                ("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", _C),
                ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", _C),
            ),
        ),
        (
            "apiextensions.k8s.io",
            "v1",
            (("customresourcedefinitions", "CustomResourceDefinition", _C),),
        ),
        ("apiregistration.k8s.io", "v1", (("apiservices", "APIService", _C),)),
        (
            "apps",
            "v1",
            (
                ("controllerrevisions", "ControllerRevision", _N),
                ("daemonsets", "DaemonSet", _N),
                ("deployments", "Deployment", _N),
                ("replicasets", "ReplicaSet", _N),
                ("statefulsets", "StatefulSet", _N),
            ),
        ),
        (
            "authentication.k8s.io",
            "v1",
            (("selfsubjectreviews", "SelfSubjectReview", _C), ("tokenreviews", "TokenReview", _C)),
        ),
        (
            "authorization.k8s.io",
            "v1",
            (
                ("localsubjectaccessreviews", "LocalSubjectAccessReview", _N),
                ("selfsubjectaccessreviews", "SelfSubjectAccessReview", _C),
                ("selfsubjectrulesreviews", "SelfSubjectRulesReview", _C),
                ("subjectaccessreviews", "SubjectAccessReview", _C),
            ),
        ),
        ("autoscaling", "v1", (("horizontalpodautoscalers", "HorizontalPodAutoscaler", _N),)),
        ("autoscaling", "v2", (("horizontalpodautoscalers", "HorizontalPodAutoscaler", _N),)),
        ("batch", "v1", (("cronjobs", "CronJob", _N), ("jobs", "Job", _N))),
        (
            "certificates.k8s.io",
            "v1",
            (("certificatesigningrequests", "CertificateSigningRequest", _C),),
        ),
        ("coordination.k8s.io", "v1", (("leases", "Lease", _N),)),
        ("discovery.k8s.io", "v1", (("endpointslices", "EndpointSlice", _N),)),
        ("events.k8s.io", "v1", (("events", "Event", _N),)),
        (
            "flowcontrol.apiserver.k8s.io",
            "v1",
            (
                ("flowschemas", "FlowSchema", _C),
                ("prioritylevelconfigurations", "PriorityLevelConfiguration", _C),
            ),
        ),
        (
            "networking.k8s.io",
            "v1",
            (
                ("ingressclasses", "IngressClass", _C),
                ("ingresses", "Ingress", _N),
                ("ipaddresses", "IPAddress", _C),
                ("networkpolicies", "NetworkPolicy", _N),
                ("servicecidrs", "ServiceCIDR", _C),
            ),
        ),
        ("node.k8s.io", "v1", (("runtimeclasses", "RuntimeClass", _C),)),
        ("policy", "v1", (("poddisruptionbudgets", "PodDisruptionBudget", _N),)),
        (
            "rbac.authorization.k8s.io",
            "v1",
            (
                ("clusterrolebindings", "ClusterRoleBinding", _C),
                ("clusterroles", "ClusterRole", _C),
                ("rolebindings", "RoleBinding", _N),
                ("roles", "Role", _N),
            ),
        ),
        (
            "resource.k8s.io",
            "v1",
            (
                ("deviceclasses", "DeviceClass", _C),
                ("resourceclaims", "ResourceClaim", _N),
                ("resourceclaimtemplates", "ResourceClaimTemplate", _N),
                ("resourceslices", "ResourceSlice", _C),
            ),
        ),
        ("scheduling.k8s.io", "v1", (("priorityclasses", "PriorityClass", _C),)),
        (
            "storage.k8s.io",
            "v1",
            (
                ("csidrivers", "CSIDriver", _C),
                ("csinodes", "CSINode", _C),
                ("csistoragecapacities", "CSIStorageCapacity", _N),
                ("storageclasses", "StorageClass", _C),
                ("volumeattachments", "VolumeAttachment", _C),
                ("volumeattributesclasses", "VolumeAttributesClass", _C),
            ),
        ),
    )
    for plural, kind, namespaced in rows
}
"""Kind and scope of what kube-apiserver 1.36 serves by default, so that it needs no discovery."""
