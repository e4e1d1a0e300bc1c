"""Nobody gives what he has not got: what is asked of a role or a binding before it is stored.

Whoever writes a role has to hold all that it grants, or the right to `escalate` it; whoever binds one, all
that it grants, or the right to `bind` it. As `pkg/registry/rbac/*/policybased` asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from ..go_words import quote
from ..kinds import ApiResource
from ..statuses import Refused, about, not_found
from ..users import MASTERS, User
from .attributes import Attributes
from .decision import Decision
from .rbac import GROUP, Rbac, Rule, path_matches

__all__ = ["Admission", "escalation"]

Admission = Callable[[Mapping[str, Any], Mapping[str, Any] | None], None]
"""Called with an object that is to be stored and with what it takes the place of; raises `Refused`."""
_EVERYTHING: Final = (Rule(("*",), ("*",), ("*",)), Rule(("*",), non_resource_urls=("*",)))


def escalation(
    rbac: Rbac,
    decide: Callable[[User, Attributes], Decision],
    user: User,
    resource: ApiResource,
    namespace: str,
) -> Admission | None:
    """What is asked of the objects of *resource* that *user* writes in *namespace*; None for nothing."""
    if resource.group != GROUP or MASTERS in user.groups:
        return None

    def may(verb: str, plural: str, name: str) -> bool:
        return decide(user, Attributes(verb, GROUP, "v1", plural, "", namespace, name)).allowed

    def confirm(obj: Mapping[str, Any], rules: Iterable[Rule], prefix: str = "") -> None:
        held = [grant.rule for grant in rbac.grants(user, namespace) if grant.rule is not None]
        missing = [
            atom for rule in rules for atom in _atoms(rule) if not any(_covers(one, atom) for one in held)
        ]
        if missing:
            raise _escalating(resource, str(obj["metadata"]["name"]), user, missing, prefix)

    def role(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
        parts = [(obj.get(key) or None, old and old.get(key)) for key in ("rules", "aggregationRule")]
        if old is not None and all(now == (before or None) for now, before in parts):
            return
        if may("escalate", resource.plural, obj["metadata"]["name"]):
            return
        confirm(obj, msgspec.convert(obj.get("rules") or [], list[Rule]))
        if obj.get("aggregationRule"):
            confirm(obj, _EVERYTHING, "must have cluster-admin privileges to use the aggregationRule: ")

    def binding(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
        if old is not None and all(old.get(key) == obj.get(key) for key in ("subjects", "roleRef")):
            return
        kind, name = str(obj["roleRef"]["kind"]), str(obj["roleRef"]["name"])
        plural = "roles" if kind == "Role" else "clusterroles"
        if may("bind", plural, name):
            return
        rules = rbac.rules_of(kind, name, namespace)
        if rules is None:
            raise not_found(ApiResource(GROUP, "v1", plural.removesuffix("s"), kind, bool(namespace)), name)
        confirm(obj, rules)

    return role if resource.plural in ("roles", "clusterroles") else binding


def _escalating(resource: ApiResource, name: str, user: User, missing: list[Rule], prefix: str) -> Refused:
    listed = "\n".join(sorted({_described(rule) for rule in _compact(missing)}))
    said = (
        f"{prefix}user {quote(user.name)} (groups={_list(user.groups)}) is attempting to grant RBAC "
        f"permissions not currently held:\n{listed}"
    )
    message = f"{resource.qualified} {quote(name)} is forbidden: {said}"
    return Refused(403, "Forbidden", message, details=about(resource, name))


def _atoms(rule: Rule) -> Iterator[Rule]:
    """*rule* taken apart into rules of one verb on one resource, one name or one path."""
    names: list[tuple[str, ...]] = [(one,) for one in rule.resource_names] or [()]
    for group in rule.api_groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in names:
                    yield Rule((verb,), (group,), (resource,), name)
    for url in rule.non_resource_urls:
        for verb in rule.verbs:
            yield Rule((verb,), non_resource_urls=(url,))


def _covers(held: Rule, atom: Rule) -> bool:
    """Whether *held* grants all of *atom*."""

    def has(mine: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
        return "*" in mine or set(wanted) <= set(mine)

    if not has(held.verbs, atom.verbs):
        return False
    if atom.non_resource_urls:
        return any(path_matches(one, atom.non_resource_urls[0]) for one in held.non_resource_urls)
    _, slash, subresource = atom.resources[0].partition("/")
    resources = (
        {*held.resources, atom.resources[0]}
        if slash and f"*/{subresource}" in held.resources
        else held.resources
    )
    named = not held.resource_names or (
        bool(atom.resource_names) and has(held.resource_names, atom.resource_names)
    )
    return has(held.api_groups, atom.api_groups) and has(tuple(resources), atom.resources) and named


def _compact(rules: list[Rule]) -> Iterator[Rule]:
    """*rules* of one verb each, with those that differ in it alone as one."""
    verbs: dict[Rule, dict[str, None]] = {}
    for rule in rules:
        plain = Rule((), rule.api_groups, rule.resources, rule.resource_names, rule.non_resource_urls)
        verbs.setdefault(plain, {})[rule.verbs[0]] = None
    for plain, found in verbs.items():
        if plain.resource_names or plain.non_resource_urls:  # those stay apart
            yield from (msgspec.structs.replace(plain, verbs=(verb,)) for verb in found)
        else:
            yield msgspec.structs.replace(plain, verbs=tuple(found))


def _described(rule: Rule) -> str:
    parts = {
        "APIGroups": rule.api_groups,
        "Resources": rule.resources,
        "NonResourceURLs": rule.non_resource_urls,
        "ResourceNames": rule.resource_names,
        "Verbs": rule.verbs,
    }
    return "{" + ", ".join(f"{name}:{_list(values)}" for name, values in parts.items() if values) + "}"


def _list(values: tuple[str, ...]) -> str:
    """*values* as Go's `%q` prints them."""
    return f"[{' '.join(map(quote, values))}]"
