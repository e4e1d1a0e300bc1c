"""Who comes in, and what they may do: the credentials that are good now, and the way of deciding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final, Literal

from ..kinds import ApiResource
from ..requests import Call
from ..state import ApiState
from ..statuses import Refused, forbidden_because, unauthorized
from ..users import (
    ANONYMOUS,
    AUTHENTICATED,
    MASTERS,
    User,
    authenticated_groups,
    service_account_groups,
    service_account_of,
)
from .attributes import Attributes
from .authorization import Authorizer, Everybody, Roles
from .bootstrap import bootstrap
from .escalation import Admission, escalation
from .impersonation import impersonated
from .rbac import Rbac
from .service_accounts import AUDIENCE, ServiceAccountTokens

__all__ = ["Access", "Authorization", "Identity"]

Authorization = Literal["authenticated", "rbac"]
_ADMIN_TOKEN: Final = "admin-token"  # noqa: S105  # no secret: the server is this test's own


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request.

    Attributes:
        user: whose rights count; None where the credentials are bad.
        impersonator: who acts as *user*, having shown their own credentials; None where nobody does.
        refused: what to answer where that is as far as it goes: 401, or 403 for an impersonation.
    """

    user: User | None
    impersonator: User | None = None
    refused: Refused | None = None


class Access:
    """The credentials that are accepted now, and what each user may do.

    Without a token, and without RBAC, everybody is let in as `admin`. What is accepted or revoked holds for
    the requests that come from then on.

    Args:
        state: where roles and bindings are.
        tokens: bearer tokens of `admin`.
        authorization: `"authenticated"`: everybody with good credentials may do everything; `"rbac"`: as the
            roles and bindings in *state* say, which then has the default ones. `admin` is in
            `system:masters` there, and has a token in any case.
    """

    def __init__(
        self,
        state: ApiState,
        tokens: Iterable[str] = (),
        *,
        authorization: Authorization = "authenticated",
    ) -> None:
        if authorization not in ("authenticated", "rbac"):
            raise ValueError(f'authorization must be "authenticated" or "rbac", not {authorization!r}')
        rbac = authorization == "rbac"
        self._rbac = Rbac(state) if rbac else None
        self.authorizer: Authorizer = Everybody() if self._rbac is None else Roles(self._rbac)
        self.service_accounts = ServiceAccountTokens(state)
        self._admin_groups = (MASTERS, AUTHENTICATED) if rbac else (AUTHENTICATED,)
        self._admin = self.user("admin")
        self._tokens: dict[str, User] = {}
        self._revoked: set[str] = set()
        self._numbers = count(1)
        self._open = True
        given = list(tokens)
        if rbac:
            bootstrap(state)
            given = given or [_ADMIN_TOKEN]
        for token in given:
            self.accept(token)

    # --- tokens ------------------------------------------------------------------------------------------

    @property
    def token(self) -> str | None:
        """A token that is good now: the newest of `admin`, else the newest.

        None where none is needed, or none is left.
        """
        admins = (token for token, user in reversed(self._tokens.items()) if user.name == "admin")
        return next(admins, None) or (None if self._open else next(reversed(self._tokens), None))

    def token_of(self, user: str, *, groups: Iterable[str] | None = None) -> str:
        """A token of *user* in *groups* that is good now; made where there is none.

        Without *groups*, `admin` is whoever may do everything and a service account is in the groups of its
        kind. Whoever was let in without a token still is.
        """
        if groups is None and (account := service_account_of(user)) is not None:
            groups = service_account_groups(account[0])
        wanted = self.user(user, groups=groups)
        for token, known in reversed(self._tokens.items()):
            if known == wanted:
                return token
        token = f"token-{next(self._numbers)}-of-{user}"  # never one that was revoked
        self._tokens[token] = wanted
        return token

    def accept(
        self,
        token: str,
        *,
        user: str = "admin",
        uid: str = "",
        groups: Iterable[str] | None = None,
        extra: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Let *token* in, as *user*, from now on; whoever has none is nobody from then on.

        `system:authenticated` is added to the *groups*. Without any, `admin` is whoever may do everything.
        """
        self._tokens.pop(token, None)
        self._revoked.discard(token)
        self._tokens[token] = self.user(user, uid=uid, groups=groups, extra=extra)
        self._open = False

    def revoke(self, token: str) -> bool:
        """No longer accept *token*, that of a ServiceAccount included; requests that run go on. Idempotent.

        It is refused with 401 also where whoever has none is let in. Returns whether it ever was good.
        """
        if self.user_of_token(token) is not None:
            self._revoked.add(token)
        self._tokens.pop(token, None)
        return token in self._revoked

    def replace(
        self, token: str, *, user: str = "admin", uid: str = "", groups: Iterable[str] | None = None
    ) -> None:
        """Accept *token* alone, as `accept` does."""
        for one in tuple(self._tokens):
            self.revoke(one)
        self.accept(token, user=user, uid=uid, groups=groups)

    def user(
        self,
        name: str,
        *,
        uid: str = "",
        groups: Iterable[str] | None = None,
        extra: Mapping[str, Iterable[str]] | None = None,
    ) -> User:
        """The user that somebody with good credentials of *name* is."""
        if groups is None:
            groups = self._admin_groups if name == "admin" else ()
        kept = {key: tuple(values) for key, values in (extra or {}).items()}
        return User(name, uid, authenticated_groups(groups), kept)

    def user_of_token(self, token: str) -> User | None:
        """Whose *token* is, that of a ServiceAccount included; None for one that is not good."""
        found = self.review_token(token)
        return None if found is None else found[0]

    def review_token(
        self, token: str, audiences: Iterable[str] = (AUDIENCE,)
    ) -> tuple[User, list[str]] | None:
        """Whose *token* is, and for which of *audiences*; None for one that is not good, or for none."""
        if token in self._revoked:
            return None
        user = self._tokens.get(token)
        if user is None:
            return self.service_accounts.user_of(token, audiences)
        meant = [one for one in audiences if one == AUDIENCE]
        return (user, meant) if meant else None

    # --- requests ----------------------------------------------------------------------------------------

    def identify(self, call: Call) -> Identity:
        """Who makes *call*."""
        user = None
        try:
            user = self._authenticate(call)
            acting = impersonated(call, user, self.authorizer.decide)
        except Refused as refused:
            return Identity(user, refused=refused)
        return Identity(user) if acting is None else Identity(acting, user)

    def admission(self, user: User, resource: ApiResource, namespace: str) -> Admission | None:
        """What else is asked of the objects of *resource* that *user* writes; see `escalation`."""
        if self._rbac is None:
            return None
        return escalation(self._rbac, self.authorizer.decide, user, resource, namespace)

    def check_creates(self, user: User, resource: ApiResource, namespace: str, name: str) -> None:
        """Raises `Refused` (403) where *user*, who updates or applies what is not there, may not create it.

        As `withAuthorization` in `endpoints/handlers/update.go` asks and answers: with nothing but the
        authorizer's reason, which may be empty.
        """
        asked = Attributes("create", resource.group, resource.version, resource.plural, "", namespace, name)
        decision = self.authorizer.decide(user, asked)
        if not decision.allowed:
            raise forbidden_because(resource, name, decision.reason)

    def _authenticate(self, call: Call) -> User:
        if call.certificate is not None:
            return call.certificate
        if token := call.token:
            user = self.user_of_token(token)
            if user is not None:
                return user
            if not self._open or token in self._revoked:
                raise unauthorized()
        return self._admin if self._open else ANONYMOUS
