"""The life of definitions: stored, named, established, changed, and taken down with their objects.

A real server answers a create before its controllers have looked at the definition. Here they have looked
once the answer is out: the definition is stored as the client gave it, which is what the create answers, and
then again as each controller would, every time at a version of its own and with an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..kinds import ApiResource
from ..statuses import invalid, not_emulated
from ..storage import Stored
from ..update import updated
from ..writing import Write
from .conditions import approval, is_true, named, protected, with_condition
from .resources import defined, shape_of
from .validation import definition_faults

if TYPE_CHECKING:
    from ..state import ApiState

__all__ = ["DEFINITIONS", "Definitions"]

DEFINITIONS: Final = ("apiextensions.k8s.io", "customresourcedefinitions")
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer that holds a definition until its objects are gone."""


class Definitions:
    """The definitions of one state.

    Args:
        write: how a definition is stored in place of another state of it; returns that where they are equal.
        drop: how one is deleted.
        cel: what becomes of rules (`x-kubernetes-validations`): `"evaluate"`, or `"ignore"`.
    """

    def __init__(
        self,
        state: ApiState,
        *,
        write: Callable[[ApiResource, Stored, dict[str, Any]], Stored],
        drop: Callable[[ApiResource, Stored], Stored],
        cel: str = "evaluate",
    ) -> None:
        self._state = state
        if cel not in ("evaluate", "ignore"):
            raise ValueError(f'cel must be "evaluate" or "ignore", not {cel!r}')
        self._replace, self._drop = write, drop
        self._cel = cel

    @property
    def resource(self) -> ApiResource:
        return self._state.resources.parse("apiextensions.k8s.io/v1/customresourcedefinitions")

    # --- taking one in -----------------------------------------------------------------------------------

    def admitted(
        self, obj: dict[str, Any], old: Mapping[str, Any] | None, subresource: str, *, trusted: bool
    ) -> dict[str, Any]:
        """A definition as it is stored for a client in place of *old*: its status is not the client's.

        A *trusted* one may leave out schemas: its objects are then kept as they are. Raises `Refused`: 422
        where it breaks a rule, 501 for what this server does not do.
        """
        if subresource == "status":
            return obj
        versions = obj["spec"].get("versions") or []
        status: Mapping[str, Any] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}}
        if old is not None:
            status = old.get("status") or {}
        stored = status.get("storedVersions") or []
        new = [one["name"] for one in versions if one.get("storage") and one["name"] not in stored]
        obj["status"] = {**status, "storedVersions": [*stored, *new[:1]]}
        if causes := definition_faults(obj, old, schemas=not trusted, rules=self._cel == "evaluate"):
            raise invalid(self.resource, obj["metadata"].get("name") or "", *causes)
        conversion = obj["spec"]["conversion"]
        if conversion.get("strategy") == "Webhook":
            raise not_emulated(
                "conversion webhooks: use the conversion strategy None, by which objects differ between "
                "versions in apiVersion only"
            )
        known = {} if old is None else {one.version: one.shape for one in self._defined(old)}
        for version in versions:
            shape_of(version, known.get(version["name"]), cel=self._cel)  # what it cannot do, it says now
        return obj

    def accept(self, name: str) -> None:
        """Do what the controllers do once the definition *name* was written."""
        stored = self._stored(name)
        if stored is not None:
            self._approve(stored, stored.decode())
            self._name(name)
            self._establish(name)
        self._reconsider(name)

    def _approve(self, stored: Stored, obj: dict[str, Any]) -> None:
        if not protected(obj["spec"]["group"]):
            return
        state, why = approval(obj["metadata"])
        reasons = {
            "approved": ("True", "ApprovedAnnotation"),
            "bypassed": ("False", "UnapprovedAnnotation"),
            "invalid": ("False", "InvalidAnnotation"),
            "missing": ("False", "MissingAnnotation"),
        }
        value, reason = reasons[state]
        now = self._state.now()
        obj["status"] = with_condition(
            obj["status"], "KubernetesAPIApprovalPolicyConformant", value, reason, why, now
        )
        self._write_status(stored, obj)

    def _name(self, name: str) -> bool:
        """Give the definition *name* the names it may have; tells whether that changed anything."""
        stored = self._stored(name)
        if stored is None:
            return False
        obj = stored.decode()
        others = [(one.get("status") or {}).get("acceptedNames") or {} for one in self._others(name).values()]
        obj["status"] = named(obj, others, self._state.now())
        return self._write_status(stored, obj) is not stored

    def _establish(self, name: str) -> None:
        stored = self._stored(name)
        if stored is None:
            return
        obj = stored.decode()
        if not is_true(obj, "NamesAccepted") or is_true(obj, "Established"):
            return
        said = ("True", "InitialNamesAccepted", "the initial names have been accepted")
        obj["status"] = with_condition(obj["status"], "Established", *said, self._state.now())
        self._write_status(stored, obj)

    def _reconsider(self, name: str) -> None:
        """Look again at the definitions that may have waited for a name which *name* has left."""
        for other, obj in self._others(name).items():
            if not is_true(obj, "NamesAccepted") and self._name(other):
                self._establish(other)

    # --- letting one go ----------------------------------------------------------------------------------

    def delete(self, old: Stored, obj: dict[str, Any]) -> Stored:
        """Mark the definition, delete its objects, then the definition itself once none is left.

        *obj* is the definition with its `deletionTimestamp`. Returns it as marked.
        """
        metadata = obj["metadata"]
        metadata.pop("deletionGracePeriodSeconds", None)
        if "deletionTimestamp" in old.decode()["metadata"]:
            self.finish(old.name)
            return old
        finalizers = metadata.get("finalizers") or []
        metadata["finalizers"] = [*finalizers, *([] if CLEANUP in finalizers else [CLEANUP])]
        pending = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
        self._terminate(obj, "True", "InstanceDeletionPending", pending)
        marked = self._replace(self.resource, old, obj)
        self._clean(marked)
        return marked

    def _clean(self, marked: Stored) -> None:
        """Delete the objects of a definition that is *marked*, and then it."""
        obj = marked.decode()
        said = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        self._terminate(obj, *said)
        self._write_status(marked, obj)
        for one in self._state.resources.defined_by(marked.name)[:1]:
            for key in tuple(self._state.collection(one).keys):
                self._state.delete(one, key)
        self.finish(marked.name)

    def finish(self, name: str) -> None:
        """Let the definition *name* go where it was marked and none of its objects is left."""
        stored = self._stored(name)
        if stored is None:
            return
        obj = stored.decode()
        metadata = obj["metadata"]
        served = self._state.resources.defined_by(name)
        if "deletionTimestamp" not in metadata or any(len(self._state.collection(one)) for one in served):
            return
        finalizers = metadata.get("finalizers") or []
        if CLEANUP in finalizers:
            metadata["finalizers"] = [one for one in finalizers if one != CLEANUP]
        if not metadata.get("finalizers"):
            self._end_watches(served)
            self._drop(self.resource, stored)
            self._reconsider(name)
        elif CLEANUP in finalizers:
            established = is_true(obj, "Established")
            said = ("False", "InstanceDeletionCompleted", "removed all instances")
            never = ("False", "NeverEstablished", "resource was never established")
            self._terminate(obj, *(said if established else never))
            self._replace(self.resource, stored, obj)

    def _terminate(self, obj: dict[str, Any], value: str, reason: str, message: str) -> None:
        status, now = obj.get("status") or {}, self._state.now()
        obj["status"] = with_condition(status, "Terminating", value, reason, message, now)

    def resume(self) -> None:
        """Do what the controllers had still to do when the server ended in the middle of it."""
        for name in tuple(self._state.collection(self.resource).keys):
            stored = self._stored(name)
            if stored is None:
                continue
            metadata = stored.decode()["metadata"]
            if "deletionTimestamp" not in metadata:
                self.accept(name)
            elif CLEANUP in (metadata.get("finalizers") or ()):
                self._clean(stored)

    # --- what is served ----------------------------------------------------------------------------------

    def changed(self, name: str, stored: Stored | None) -> None:
        """Serve what the definition *name* says now that it is *stored*, or nothing.

        Where that differs from before, running watches of its objects end: the server sets up their storage
        anew. A definition is served once it is established.
        """
        resources = self._state.resources
        before = resources.defined_by(name)
        obj = None if stored is None or stored.poison else stored.decode()
        if obj is None or not is_true(obj, "Established"):
            resources.undefine(name)
        else:
            resources.define(name, defined(obj, before, cel=self._cel))
        after = resources.defined_by(name)
        if [_served(one) for one in before] != [_served(one) for one in after]:
            self._end_watches(before)

    def follow(self, stored: Mapping[str, Stored]) -> None:
        """Serve what the definitions *stored* say, and nothing else."""
        for name in self._state.resources.definitions:
            if name not in stored:
                self._state.resources.undefine(name)
        for name, one in stored.items():
            self.changed(name, one)

    def _defined(self, obj: Mapping[str, Any]) -> list[ApiResource]:
        return self._state.resources.defined_by(obj["metadata"]["name"])

    def _end_watches(self, served: Iterable[ApiResource]) -> None:
        for one in served:
            for watch in self._state.watchers(one):
                watch.end()

    # --- within ------------------------------------------------------------------------------------------

    def _stored(self, name: str) -> Stored | None:
        found = self._state.collection(self.resource).objects.get(name)
        return None if found is None or found.poison else found

    def _others(self, name: str) -> dict[str, dict[str, Any]]:
        """The other definitions of the group of *name*, by their names, which end in the group."""
        group = name.partition(".")[2]
        return {
            one.name: one.decode()
            for one in self._state.collection(self.resource)
            if one.name != name and one.name.partition(".")[2] == group and not one.poison
        }

    def _write_status(self, stored: Stored, obj: dict[str, Any]) -> Stored:
        """Store the status of *obj*, as a controller of the server does."""
        write = Write(manager="kube-apiserver")
        now = self._state.now()
        changed = updated(self.resource, stored, obj, subresource="status", now=now, write=write)
        return self._replace(self.resource, stored, changed)


def _served(resource: ApiResource) -> tuple[Any, ...]:
    """What of *resource* needs a new storage when it changes."""
    return resource, id(resource.shape), resource.columns
