"""Whether something is allowed, why, and how the server says that it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..go_words import quote
from ..statuses import Refused
from ..users import User
from .attributes import Attributes

__all__ = ["ALLOWED", "Decision", "forbidden"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What an authorizer says. `reason` is empty where it has none to give."""

    allowed: bool
    reason: str = ""


ALLOWED: Final = Decision(True)


def forbidden(user: User, asked: Attributes, reason: str = "") -> Refused:
    """The 403 of a request that *user* may not make."""
    name = quote(user.name)
    if not asked.resource:
        said = f"User {name} cannot {asked.verb} path {quote(asked.path)}"
        return Refused(403, "Forbidden", _with(f"forbidden: {said}", reason), details={})
    where = f"in the namespace {quote(asked.namespace)}" if asked.namespace else "at the cluster scope"
    said = (
        f"User {name} cannot {asked.verb} resource {quote(asked.full)} "
        f"in API group {quote(asked.group)} {where}"
    )
    subject = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    if asked.name:
        subject = f"{subject} {quote(asked.name)}"
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    return Refused(
        403,
        "Forbidden",
        _with(f"{subject} is forbidden: {said}", reason),
        details={key: value for key, value in details.items() if value},
    )


def _with(message: str, reason: str) -> str:
    return f"{message}: {reason}" if reason else message
