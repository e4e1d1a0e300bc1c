"""Who may ask: bearer tokens, and what the server says to those that have none or a bad one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .kinds import ApiResource
from .requests import Call, RequestInfo
from .statuses import forbidden, forbidden_path, unauthorized

__all__ = ["ANONYMOUS", "Access"]

ANONYMOUS: Final = "system:anonymous"
_PUBLIC: Final = ("/version", "/healthz", "/livez", "/readyz")


class Access:
    """The bearer tokens that are accepted now; with none ever given, everybody is let in.

    Everybody with a good token may do everything: roles are not modelled.
    """

    def __init__(self, tokens: Iterable[str] = (), *, certificates: bool = False) -> None:
        self._tokens: dict[str, str] = dict.fromkeys(tokens, "admin")
        self._open = not self._tokens and not certificates

    @property
    def token(self) -> str | None:
        """A token that is good now, the newest one, or None where none is needed (or none is left)."""
        return next(reversed(self._tokens), None)

    def accept(self, token: str, *, user: str = "admin") -> None:
        """Let *token* in, as *user*, from now on."""
        self._tokens.pop(token, None)
        self._tokens[token] = user
        self._open = False

    def revoke(self, token: str) -> None:
        """No longer accept *token*; requests that run go on. Idempotent."""
        self._tokens.pop(token, None)

    def replace(self, token: str) -> None:
        """Accept *token* alone."""
        self._tokens.clear()
        self.accept(token)

    def user_of(self, call: Call, *, certificate: bool = False) -> str:
        """Whose request this is. Raises `Refused` (401) for a token that is not good."""
        kind, _, token = call.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token:
            user = self._tokens.get(token.strip())
            if user is None and not self._open:
                raise unauthorized()
            return user or "admin"
        return "admin" if self._open or certificate else ANONYMOUS

    def authorize(self, user: str, info: RequestInfo, resource: ApiResource | None) -> None:
        """Raises `Refused` (403) for what *user* may not do."""
        if user != ANONYMOUS:
            return
        if not info.plural:
            if not info.path.startswith(_PUBLIC):
                raise forbidden_path(user, info.verb, info.path)
            return
        known = resource or ApiResource(info.group, info.version, info.plural, "", bool(info.namespace))
        raise forbidden(
            user,
            info.verb,
            known,
            namespace=info.namespace or None,
            name="" if info.verb == "create" else info.name,
            subresource=info.subresource,
        )

    def review(self, resource: ApiResource, body: Mapping[str, Any], user: str) -> dict[str, Any]:
        """The answer to a review (`TokenReview`, `SubjectAccessReview`, …): what this server would decide."""
        status: dict[str, Any]
        spec = body.get("spec") or {}
        match resource.plural:
            case "tokenreviews":
                found = self._tokens.get(str(spec.get("token")))
                status = {"user": {}, "error": "invalid bearer token"}
                if found is not None:
                    groups = ["system:authenticated"]
                    status = {"authenticated": True, "user": {"username": found, "groups": groups}}
            case "selfsubjectreviews":
                status = {"userInfo": {"username": user, "groups": ["system:authenticated"]}}
            case "selfsubjectrulesreviews":
                rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
                status = {"resourceRules": [rule], "nonResourceRules": [], "incomplete": False}
            case _:
                status = {"allowed": spec.get("user") != ANONYMOUS}
        shown: dict[str, Any] = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
        if spec:
            shown["spec"] = spec
        return shown | {"status": status}
