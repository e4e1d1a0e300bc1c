"""Acting as somebody else: the `Impersonate-*` headers, each of which needs a right of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from ..requests import Call
from ..statuses import bad_request
from ..users import (
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    User,
    authenticated_groups,
    service_account_groups,
    service_account_of,
)
from .attributes import Attributes
from .decision import Decision, forbidden

__all__ = ["impersonated"]

_EXTRA: Final = "impersonate-extra-"
_GROUP: Final = "authentication.k8s.io"


def impersonated(call: Call, user: User, decide: Callable[[User, Attributes], Decision]) -> User | None:
    """Whom *user* acts as in *call*, or None where it asks for nobody.

    Raises `Refused`: 403 for what *user* may not impersonate, 400 for a group, uid or extra without a user.
    """
    name = call.headers.get("impersonate-user", "")
    groups = call.values("impersonate-group")
    uid = call.headers.get("impersonate-uid", "")
    extra = {
        unquote(header.removeprefix(_EXTRA)): tuple(call.values(header))
        for header in call.headers
        if header.startswith(_EXTRA)
    }
    if not name:
        if groups or uid or extra:
            given = [_reference("Group", group) for group in groups]
            given += [_reference("UserExtra", one, key) for key, values in extra.items() for one in values]
            given += [_reference("UID", uid)] if uid else []
            raise bad_request(f"requested [{' '.join(given)}] without impersonating a user")
        return None
    account = service_account_of(name)
    if account is None:
        asked = [Attributes("impersonate", version="v1", resource="users", name=name)]
    else:
        asked = [
            Attributes(
                "impersonate", version="v1", resource="serviceaccounts", namespace=account[0], name=account[1]
            )
        ]
    asked += [Attributes("impersonate", version="v1", resource="groups", name=group) for group in groups]
    asked += [
        Attributes("impersonate", _GROUP, "v1", "userextras", subresource=key, name=value)
        for key, values in extra.items()
        for value in values
    ]
    if uid:
        asked.append(Attributes("impersonate", _GROUP, "v1", "uids", name=uid))
    for one in asked:
        decision = decide(user, one)
        if not decision.allowed:
            raise forbidden(user, one, decision.reason)
    return User(name, uid, _groups(name, groups, account), extra)


def _reference(kind: str, name: str, path: str = "") -> str:
    """An ObjectReference as Go prints one."""
    version = "" if kind == "Group" else f"{_GROUP}/v1"
    return f"{{{kind}  {name}  {version}  {path}}}"


def _groups(name: str, groups: list[str], account: tuple[str, str] | None) -> tuple[str, ...]:
    if name == ANONYMOUS.name:
        return tuple(groups) if UNAUTHENTICATED in groups else (*groups, UNAUTHENTICATED)
    if not groups and account is not None:
        return (*service_account_groups(account[0]), AUTHENTICATED)
    return authenticated_groups(groups)
