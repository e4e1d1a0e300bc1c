"""Who asks: a user as the server knows one after it has looked at the credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = [
    "ANONYMOUS",
    "AUTHENTICATED",
    "MASTERS",
    "UNAUTHENTICATED",
    "User",
    "authenticated_groups",
    "service_account_groups",
    "service_account_name",
    "service_account_of",
]

MASTERS: Final = "system:masters"
"""The group whose members may do everything and are never made to wait."""
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
_ACCOUNT_PREFIX: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """A name, and what else is known: `UserInfo` of authentication.k8s.io/v1."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    def info(self) -> dict[str, Any]:
        """The user as a `UserInfo`, without what is empty."""
        shown = {
            "username": self.name,
            "uid": self.uid,
            "groups": list(self.groups),
            "extra": {key: list(self.extra[key]) for key in sorted(self.extra)},
        }
        return {key: value for key, value in shown.items() if value}


ANONYMOUS: Final = User("system:anonymous", groups=(UNAUTHENTICATED,))
"""Who sends no credentials."""


def authenticated_groups(groups: Iterable[str]) -> tuple[str, ...]:
    """*groups* of somebody who has shown who they are: `system:authenticated` is one of them."""
    given = tuple(groups)
    if AUTHENTICATED in given or UNAUTHENTICATED in given:
        return given
    return (*given, AUTHENTICATED)


def service_account_name(namespace: str, name: str) -> str:
    """The user name of a ServiceAccount."""
    return f"{_ACCOUNT_PREFIX}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, str]:
    """The groups that every ServiceAccount of *namespace* is in."""
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"


def service_account_of(username: str) -> tuple[str, str] | None:
    """The namespace and the name of the ServiceAccount that *username* is, or None."""
    if not username.startswith(_ACCOUNT_PREFIX):
        return None
    namespace, _, name = username.removeprefix(_ACCOUNT_PREFIX).partition(":")
    return (namespace, name) if namespace and name and ":" not in name else None
