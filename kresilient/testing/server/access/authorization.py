"""The ways in which a server decides who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from ..users import MASTERS, UNAUTHENTICATED, User
from .attributes import Attributes
from .decision import ALLOWED, Decision
from .rbac import Rbac, Rule

__all__ = ["Authorizer", "Everybody", "Roles", "Rules"]

_PUBLIC: Final = frozenset({"/version", "/version/", "/healthz", "/livez", "/readyz"})
"""What `system:public-info-viewer` lets everybody see."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What somebody may do, and what is wrong with the roles that would say more."""

    rules: tuple[Rule, ...]
    faults: tuple[str, ...] = ()


class Authorizer(Protocol):
    """Decides, and says what all is allowed."""

    def decide(self, user: User, asked: Attributes) -> Decision: ...

    def rules(self, user: User, namespace: str) -> Rules: ...


class Everybody:
    """Who has shown who they are may do everything; others may see that the server is there."""

    def decide(self, user: User, asked: Attributes) -> Decision:
        if UNAUTHENTICATED not in user.groups:
            return ALLOWED
        return Decision(not asked.resource and asked.verb == "get" and asked.path in _PUBLIC)

    def rules(self, user: User, namespace: str) -> Rules:
        everything = ("*",)
        return Rules(
            (Rule(everything, everything, everything), Rule(everything, non_resource_urls=everything))
        )


class Roles:
    """Role-based; `system:masters` are not asked."""

    def __init__(self, rbac: Rbac) -> None:
        self._rbac = rbac

    def decide(self, user: User, asked: Attributes) -> Decision:
        return ALLOWED if MASTERS in user.groups else self._rbac.decide(user, asked)

    def rules(self, user: User, namespace: str) -> Rules:
        grants = list(self._rbac.grants(user, namespace))
        return Rules(
            tuple(grant.rule for grant in grants if grant.rule is not None),
            tuple(grant.source for grant in grants if grant.rule is None),
        )
