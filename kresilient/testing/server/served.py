"""The built-in resources that kube-apiserver 1.36 serves by default, in the order of its discovery.

Kind and scope of each stand in `kresilient.api.resources.BUILTIN`; here is what a server adds to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .subresources import SCALE_KIND, STATUS_VERBS, Subresource

__all__ = ["ALL_VERBS", "Served", "served"]

ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")

_TABLE: Final = """\
v1
  bindings                  verbs=create
  componentstatuses         short=cs verbs=get,list
  configmaps                short=cm
  endpoints                 short=ep
  events                    short=ev
  limitranges               short=limits
  namespaces                short=ns verbs=-deletecollection /finalize:Namespace:update /status
  nodes                     short=no /proxy:NodeProxyOptions:ANY /status
  persistentvolumeclaims    short=pvc /status
  persistentvolumes         short=pv /status
  pods                      short=po all generation /attach:PodAttachOptions:create,get \
/binding:Binding:create /ephemeralcontainers /eviction:policy/v1/Eviction:create \
/exec:PodExecOptions:create,get /log:Pod:get /portforward:PodPortForwardOptions:create,get \
/proxy:PodProxyOptions:ANY /resize /status
  podtemplates
  replicationcontrollers    short=rc all generation /scale /status
  resourcequotas            short=quota /status
  secrets
  serviceaccounts           short=sa /token:authentication.k8s.io/v1/TokenRequest:create
  services                  short=svc all /proxy:ServiceProxyOptions:ANY /status
apiregistration.k8s.io/v1
  apiservices               categories=api-extensions /status
apps/v1
  controllerrevisions
  daemonsets                short=ds all generation /status
  deployments               short=deploy all generation /scale /status
  replicasets               short=rs all generation /scale /status
  statefulsets              short=sts all generation /scale /status
events.k8s.io/v1
  events                    short=ev
authentication.k8s.io/v1
  selfsubjectreviews        verbs=create
  tokenreviews              verbs=create
authorization.k8s.io/v1
  localsubjectaccessreviews verbs=create
  selfsubjectaccessreviews  verbs=create
  selfsubjectrulesreviews   verbs=create
  subjectaccessreviews      verbs=create
autoscaling/v2
  horizontalpodautoscalers  short=hpa all /status
autoscaling/v1
  horizontalpodautoscalers  short=hpa all /status
batch/v1
  cronjobs                  short=cj all generation /status
  jobs                      all generation /status
certificates.k8s.io/v1
  certificatesigningrequests short=csr /approval /status
networking.k8s.io/v1
  ingressclasses            generation
  ingresses                 short=ing generation /status
  ipaddresses               short=ip
  networkpolicies           short=netpol generation
  servicecidrs              /status
policy/v1
  poddisruptionbudgets      short=pdb generation /status
rbac.authorization.k8s.io/v1
  clusterrolebindings
  clusterroles
  rolebindings
  roles
storage.k8s.io/v1
  csidrivers
  csinodes
  csistoragecapacities
  storageclasses            short=sc
  volumeattachments         /status
  volumeattributesclasses   short=vac
admissionregistration.k8s.io/v1
  mutatingadmissionpolicies        categories=api-extensions generation
  mutatingadmissionpolicybindings  categories=api-extensions generation
  mutatingwebhookconfigurations    categories=api-extensions generation
  validatingadmissionpolicies      categories=api-extensions generation /status
  validatingadmissionpolicybindings categories=api-extensions generation
  validatingwebhookconfigurations  categories=api-extensions generation
apiextensions.k8s.io/v1
  customresourcedefinitions short=crd,crds categories=api-extensions generation /status
scheduling.k8s.io/v1
  priorityclasses           short=pc generation
coordination.k8s.io/v1
  leases
node.k8s.io/v1
  runtimeclasses
discovery.k8s.io/v1
  endpointslices            generation
resource.k8s.io/v1
  deviceclasses             generation
  resourceclaims            /status
  resourceclaimtemplates
  resourceslices            generation
flowcontrol.apiserver.k8s.io/v1
  flowschemas               generation /status
  prioritylevelconfigurations generation /status
"""
"""Group and version, then its resources: plural, short names, categories (`all` is one), verbs (every one
unless said), whether it counts generations, and `/SUBRESOURCE:KIND:VERBS`, where kind and verbs are those of
a status unless said."""
_ANY: Final = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Served:
    """How one resource is served."""

    group: str
    version: str
    plural: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    generation: bool
    subresources: tuple[str, ...]

    def below(self, kind: str) -> Iterator[Subresource]:
        """Its subresources, where its own kind is *kind*."""
        for text in self.subresources:
            name, _, said = text.partition(":")
            whose, _, verbs = said.partition(":")
            if name == "scale":
                group, version, whose = SCALE_KIND
            else:
                *place, whose = (whose or kind).split("/")
                group, version = place or ("", "")
            named = _ANY if verbs == "ANY" else tuple(verbs.split(",")) if verbs else STATUS_VERBS
            yield Subresource(name, whose, named, group, version)


def served() -> Iterator[Served]:
    """Every built-in resource, in the order of discovery."""
    group = version = ""
    for line in _TABLE.splitlines():
        plural, *traits = line.split()
        if not line.startswith(" "):
            group, _, version = plural.rpartition("/")
            continue
        said = dict(trait.partition("=")[::2] for trait in traits if not trait.startswith("/"))
        verbs = said.get("verbs", "")
        yield Served(
            group,
            version,
            plural,
            short_names=tuple(filter(None, said.get("short", "").split(","))),
            categories=("all",) if "all" in said else tuple(filter(None, [said.get("categories", "")])),
            verbs=_verbs(verbs),
            generation="generation" in said,
            subresources=tuple(trait[1:] for trait in traits if trait.startswith("/")),
        )


def _verbs(said: str) -> tuple[str, ...]:
    if said.startswith("-"):
        return tuple(verb for verb in ALL_VERBS if verb != said[1:])
    return tuple(said.split(",")) if said else ALL_VERBS
