"""Role-based access control, from the objects that the state holds at the moment of asking.

As `plugin/pkg/auth/authorizer/rbac` decides. A ClusterRole with an aggregation rule has the rules of those
that it selects, which in a cluster a controller writes into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from ..go_words import quote
from ..kinds import ApiResource
from ..state import ApiState
from ..storage import Stored
from ..users import User, service_account_name
from .attributes import Attributes
from .decision import Decision

__all__ = ["GROUP", "Grant", "Rbac", "Rule", "path_matches"]

GROUP: Final = "rbac.authorization.k8s.io"


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """A `PolicyRule`: these verbs on these resources, or on these paths."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")

    def allows(self, asked: Attributes) -> bool:
        """Whether the rule is about what is *asked*. A wildcard is one only alone, or as a path's end."""
        if "*" not in self.verbs and asked.verb not in self.verbs:
            return False
        if not asked.resource:
            return any(path_matches(one, asked.path) for one in self.non_resource_urls)
        return (
            ("*" in self.api_groups or asked.group in self.api_groups)
            and self._names(asked)
            and (not self.resource_names or asked.name in self.resource_names)
        )

    def _names(self, asked: Attributes) -> bool:
        wanted = {"*", asked.full}
        if asked.subresource:
            wanted.add(f"*/{asked.subresource}")
        return not wanted.isdisjoint(self.resources)


def path_matches(pattern: str, path: str) -> bool:
    """Whether *path* is what the `nonResourceURLs` entry *pattern* means."""
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


class _Subject(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""
    namespace: str = ""

    def is_(self, user: User, namespace: str) -> bool:
        match self.kind:
            case "User":
                return self.name == user.name
            case "Group":
                return self.name in user.groups
            case "ServiceAccount":
                where = self.namespace or namespace
                return bool(where) and user.name == service_account_name(where, self.name)
        return False

    def described(self, namespace: str) -> str:
        if self.kind != "ServiceAccount":
            return f"{self.kind} {quote(self.name)}"
        return f"{self.kind} {quote(f'{self.name}/{self.namespace or namespace}')}"


class _RoleRef(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""


class _Binding(msgspec.Struct, frozen=True, rename="camel"):
    subjects: tuple[_Subject, ...] | None = None
    role_ref: _RoleRef = _RoleRef()

    def subject(self, user: User, namespace: str) -> _Subject | None:
        """The first subject that *user* is."""
        return next((one for one in self.subjects or () if one.is_(user, namespace)), None)


class _Expression(msgspec.Struct, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
        return False


class _Selector(msgspec.Struct, frozen=True, rename="camel"):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[_Expression, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return self.match_labels.items() <= labels.items() and all(
            one.matches(labels) for one in self.match_expressions
        )


class _Aggregation(msgspec.Struct, frozen=True, rename="camel"):
    cluster_role_selectors: tuple[_Selector, ...] = ()


class _Role(msgspec.Struct, frozen=True, rename="camel"):
    rules: tuple[Rule, ...] | None = None
    aggregation_rule: _Aggregation | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A rule that holds for somebody, and by which binding; or, without a rule, why a binding grants none."""

    rule: Rule | None
    source: str


T = TypeVar("T")


class _Decoded(Generic[T]):
    """The objects of one collection, each decoded once."""

    def __init__(self, state: ApiState, plural: str, kind: type[T]) -> None:
        self._state = state
        self._resource = state.resource(f"{GROUP}/v1/{plural}")
        self._decoder = msgspec.json.Decoder(kind)
        self._known: dict[str, tuple[Stored, T | None]] = {}

    @property
    def resource(self) -> ApiResource:
        return self._resource

    def get(self, key: str) -> T | None:
        """The object under *key*; None where there is none, or none that can be read."""
        stored = self._state.collection(self._resource).objects.get(key)
        return None if stored is None else self._decode(stored)

    def all(self, namespace: str = "") -> Iterator[tuple[Stored, T]]:
        """Those of *namespace* (of all, where empty) that can be read, in key order."""
        collection = self._state.collection(self._resource)
        if len(self._known) > len(collection) + 64:  # the deleted ones are not kept for ever
            self._known = {key: self._known[key] for key in collection.keys if key in self._known}
        start, end = collection.keys_in(namespace)
        for key in collection.keys[start:end]:
            stored = collection.objects[key]
            decoded = self._decode(stored)
            if decoded is not None:
                yield stored, decoded

    def _decode(self, stored: Stored) -> T | None:
        known = self._known.get(stored.key)
        if known is not None and known[0] is stored:
            return known[1]
        try:
            decoded = self._decoder.decode(stored.item)
        except (msgspec.DecodeError, UnicodeDecodeError):  # put there as raw bytes: it grants nothing
            decoded = None
        self._known[stored.key] = (stored, decoded)
        return decoded


class Rbac:
    """Decides from the Roles, ClusterRoles and their bindings in *state*."""

    def __init__(self, state: ApiState) -> None:
        self._roles = _Decoded(state, "roles", _Role)
        self._cluster_roles = _Decoded(state, "clusterroles", _Role)
        self._bindings = _Decoded(state, "rolebindings", _Binding)
        self._cluster_bindings = _Decoded(state, "clusterrolebindings", _Binding)

    def decide(self, user: User, asked: Attributes) -> Decision:
        """Whether a rule allows *user* what is *asked*. The reason names the binding, or what is broken."""
        faults = []
        for grant in self.grants(user, asked.namespace if asked.resource else ""):
            if grant.rule is None:
                faults.append(grant.source)
            elif grant.rule.allows(asked):
                return Decision(True, f"RBAC: allowed by {grant.source}")
        if not faults:
            return Decision(False)
        said = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        return Decision(False, f"RBAC: {said}")

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """Every rule that holds for *user* in the cluster, and in *namespace* unless that is empty."""
        for stored, binding in self._cluster_bindings.all():
            subject = binding.subject(user, "")
            if subject is not None:
                yield from self._granted("ClusterRoleBinding", stored.name, binding, subject, "")
        if not namespace:
            return
        for stored, binding in self._bindings.all(namespace):
            subject = binding.subject(user, namespace)
            if subject is not None:
                name = f"{stored.name}/{namespace}"
                yield from self._granted("RoleBinding", name, binding, subject, namespace)

    def _granted(
        self, kind: str, name: str, binding: _Binding, subject: _Subject, namespace: str
    ) -> Iterator[Grant]:
        role = binding.role_ref
        rules = self.rules_of(role.kind, role.name, namespace)
        if rules is None:
            yield Grant(None, f"{role.kind.lower()}.{GROUP} {quote(role.name)} not found")
            return
        source = f"{kind} {quote(name)} of {role.kind} {quote(role.name)} to {subject.described(namespace)}"
        for rule in rules:
            yield Grant(rule, source)

    def rules_of(self, kind: str, name: str, namespace: str) -> tuple[Rule, ...] | None:
        """The rules of a Role in *namespace*, or of a ClusterRole; None where there is no such role."""
        if kind == "Role":
            role = self._roles.get(f"{namespace}/{name}")
            return None if role is None else role.rules or ()
        return self._cluster_rules(name, frozenset())

    def _cluster_rules(self, name: str, within: frozenset[str]) -> tuple[Rule, ...] | None:
        role = self._cluster_roles.get(name)
        if role is None:
            return None
        if role.aggregation_rule is None:
            return role.rules or ()
        selectors = role.aggregation_rule.cluster_role_selectors
        found: dict[Rule, None] = {}
        for stored, _ in self._cluster_roles.all():
            if stored.name not in within | {name} and any(one.matches(stored.labels) for one in selectors):
                found |= dict.fromkeys(self._cluster_rules(stored.name, within | {name}) or ())
        return tuple(found)
