"""The resources that a server serves: the built-in ones, and those that definitions add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kresilient.api.resources import BUILTIN, Resource

from . import wire
from .types.schema import Struct, builtin_types
from .types.structural import custom_type

if TYPE_CHECKING:
    from .schema import Shape
    from .storage import Stored

__all__ = ["ApiResource", "Registry", "ScalePaths"]

ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
STATUS_VERBS: Final = ("get", "patch", "update")


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the `scale` subresource finds its numbers, as field paths without the leading dot."""

    spec: str = "spec.replicas"
    status: str = "status.replicas"
    selector: str = ""


@dataclass(frozen=True, slots=True)
class ApiResource:
    """One resource at one version, and how the server treats it.

    Attributes:
        storage: what its objects are stored under; the versions of one resource share it.
        has_status: whether `status` is a subresource, which the main resource then does not write.
        has_generation: whether a change of anything but metadata and status raises `metadata.generation`.
        custom: made by a CustomResourceDefinition: keys are written sorted, strategic merge is refused.
        schema: the structural schema of a custom resource, or None.
        columns: `additionalPrinterColumns` of a custom resource.
        selectable: the field paths that a custom resource may be selected by.
        structure: the type of a custom resource, made from its schema.
        shape: what the schema keeps, fills in and refuses of an object.
        terminating: the definition is being deleted, so that no more objects are created.
        deprecation: what clients of this version are warned of, empty where it is not deprecated.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    list_kind: str = ""
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    has_status: bool = False
    has_generation: bool = False
    scale: ScalePaths | None = None
    custom: bool = False
    schema: Mapping[str, Any] | None = field(default=None, compare=False, hash=False, repr=False)
    columns: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, hash=False, repr=False)
    selectable: tuple[str, ...] = ()
    structure: Struct | None = field(default=None, compare=False, hash=False, repr=False)
    shape: Shape | None = field(default=None, compare=False, hash=False, repr=False)
    terminating: bool = field(default=False, compare=False)
    deprecation: str = ""

    @property
    def type(self) -> Struct:
        """What the server knows of its fields."""
        if self.structure is not None:
            return self.structure
        found = builtin_types().of_kind(self.group, self.version, self.kind)
        return custom_type(self.kind, None) if found is None else found

    @property
    def storage(self) -> tuple[str, str]:
        return (self.group, self.plural)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`pods`, `leases.coordination.k8s.io`: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def resource(self) -> Resource:
        return Resource(self.group, self.version, self.plural, kind=self.kind, namespaced=self.namespaced)

    @property
    def header(self) -> bytes:
        """What stands before the first field of a stored item in a whole object (see `Stored`)."""
        api_version = wire.encode(self.api_version)
        if self.custom:
            return b'{"apiVersion":' + api_version + b","
        return b'{"kind":' + wire.encode(self.kind) + b',"apiVersion":' + api_version + b","

    def seen(self, stored: Stored) -> Stored:
        """*stored* as this version of the resource shows it: see `Shape.seen`."""
        return stored if self.shape is None else self.shape.seen(stored)

    def __str__(self) -> str:
        return f"{self.api_version}/{self.plural}"


class Registry:
    """Every resource served, by group, version and plural."""

    def __init__(self) -> None:
        self._resources: dict[tuple[str, str, str], ApiResource] = {
            place: _builtin(*place, *about) for place, about in BUILTIN.items()
        }
        self._custom: dict[str, list[tuple[str, str, str]]] = {}

    def find(self, group: str, version: str, plural: str) -> ApiResource | None:
        return self._resources.get((group, version, plural))

    def parse(self, text: str | Resource) -> ApiResource:
        """The resource that `"v1/pods"` names; raises `KeyError` where this server does not serve it."""
        named = Resource.parse(text)
        found = self.find(named.group, named.version, named.plural)
        if found is None:
            raise KeyError(
                f"this server does not serve {named}: create its CustomResourceDefinition first, "
                "or correct the name"
            )
        return found

    def __iter__(self) -> Iterator[ApiResource]:
        return iter(tuple(self._resources.values()))

    def groups(self) -> dict[str, list[str]]:
        """The versions of each group, in the order of their discovery."""
        groups: dict[str, list[str]] = {}
        for group, version, _ in self._resources:
            versions = groups.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return groups

    def of(self, group: str, version: str) -> list[ApiResource]:
        """The resources of one group and version, by plural."""
        found = [one for place, one in self._resources.items() if place[:2] == (group, version)]
        return sorted(found, key=lambda one: one.plural)

    def define(self, name: str, resources: Iterable[ApiResource]) -> None:
        """Serve *resources*, which the definition *name* defines, in place of what it defined before."""
        self.undefine(name)
        made = {(one.group, one.version, one.plural): one for one in resources}
        self._custom[name] = list(made)
        self._resources |= made

    def undefine(self, name: str) -> None:
        for place in self._custom.pop(name, ()):
            self._resources.pop(place, None)

    def defined_by(self, name: str) -> list[ApiResource]:
        """What the definition *name* defines, one for each version."""
        return [self._resources[place] for place in self._custom.get(name, ())]

    @property
    def definitions(self) -> list[str]:
        return list(self._custom)


# --- built in ----------------------------------------------------------------------------------------

_SHORT: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("", "componentstatuses"): ("cs",),
    ("", "configmaps"): ("cm",),
    ("", "endpoints"): ("ep",),
    ("", "events"): ("ev",),
    ("", "limitranges"): ("limits",),
    ("", "namespaces"): ("ns",),
    ("", "nodes"): ("no",),
    ("", "persistentvolumeclaims"): ("pvc",),
    ("", "persistentvolumes"): ("pv",),
    ("", "pods"): ("po",),
    ("", "replicationcontrollers"): ("rc",),
    ("", "resourcequotas"): ("quota",),
    ("", "serviceaccounts"): ("sa",),
    ("", "services"): ("svc",),
    ("apiextensions.k8s.io", "customresourcedefinitions"): ("crd", "crds"),
    ("apps", "daemonsets"): ("ds",),
    ("apps", "deployments"): ("deploy",),
    ("apps", "replicasets"): ("rs",),
    ("apps", "statefulsets"): ("sts",),
    ("autoscaling", "horizontalpodautoscalers"): ("hpa",),
    ("batch", "cronjobs"): ("cj",),
    ("certificates.k8s.io", "certificatesigningrequests"): ("csr",),
    ("events.k8s.io", "events"): ("ev",),
    ("networking.k8s.io", "ingresses"): ("ing",),
    ("networking.k8s.io", "networkpolicies"): ("netpol",),
    ("policy", "poddisruptionbudgets"): ("pdb",),
    ("scheduling.k8s.io", "priorityclasses"): ("pc",),
    ("storage.k8s.io", "storageclasses"): ("sc",),
}
_CATEGORY_ALL: Final = frozenset(
    {"pods", "replicationcontrollers", "services", "daemonsets", "deployments", "replicasets", "statefulsets"}
    | {"horizontalpodautoscalers", "cronjobs", "jobs"}
)
_STATUS: Final = frozenset(
    {
        ("", "namespaces"),
        ("", "nodes"),
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "pods"),
        ("", "replicationcontrollers"),
        ("", "resourcequotas"),
        ("", "services"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apiregistration.k8s.io", "apiservices"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("autoscaling", "horizontalpodautoscalers"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
        ("certificates.k8s.io", "certificatesigningrequests"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "servicecidrs"),
        ("policy", "poddisruptionbudgets"),
        ("storage.k8s.io", "volumeattachments"),
    }
)
_GENERATION: Final = frozenset(
    {
        ("", "pods"),
        ("", "replicationcontrollers"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
        ("discovery.k8s.io", "endpointslices"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        ("scheduling.k8s.io", "priorityclasses"),
    }
)
_SCALE: Final = frozenset(
    {
        ("", "replicationcontrollers"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
    }
)
_CREATE_ONLY: Final = frozenset({"authentication.k8s.io", "authorization.k8s.io"})


def _builtin(group: str, version: str, plural: str, kind: str, namespaced: bool) -> ApiResource:
    place = (group, plural)
    verbs: tuple[str, ...] = ALL_VERBS
    if group in _CREATE_ONLY or place == ("", "bindings"):
        verbs = ("create",)
    elif place == ("", "componentstatuses"):
        verbs = ("get", "list")
    elif place == ("", "namespaces"):
        verbs = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
    selector = "spec.selector" if plural == "replicationcontrollers" else "spec.selector.matchLabels"
    return ApiResource(
        group,
        version,
        plural,
        kind,
        namespaced,
        list_kind=f"{kind}List",
        singular=kind.lower(),
        short_names=_SHORT.get(place, ()),
        categories=("all",) if plural in _CATEGORY_ALL else (),
        verbs=verbs,
        has_status=place in _STATUS,
        has_generation=place in _GENERATION,
        scale=ScalePaths(selector=selector) if place in _SCALE else None,
    )
