"""Tokens of ServiceAccounts: asked for (`serviceaccounts/token`), and known again until they expire.

They are JWTs with the claims of a real server's (`pkg/serviceaccount/claims.go`), but signed with a key of
this server alone (HS256), so that nobody else can check them. One is good as long as its account is there,
and the pod, secret or node that it is bound to.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from .. import wire
from ..causes import invalid_value
from ..kinds import ApiResource
from ..objects import timestamp
from ..state import ApiState
from ..statuses import bad_request, conflict, invalid
from ..types.decode import DecodeFault, decoded
from ..types.schema import builtin_types
from ..users import AUTHENTICATED, User, service_account_groups, service_account_name

__all__ = ["AUDIENCE", "ServiceAccountTokens"]

AUDIENCE: Final = "https://kubernetes.default.svc"
"""Whom tokens are for that are for the server itself."""
_ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
_PREFIX: Final = "authentication.kubernetes.io/"
_BOUND: Final = {"Pod": "v1/pods", "Secret": "v1/secrets", "Node": "v1/nodes"}
_LEAST, _MOST = 600, 1 << 32
_HEADER: Final = b'{"alg":"HS256","typ":"JWT"}'


class ServiceAccountTokens:
    """Issues tokens for the ServiceAccounts in *state*, and tells whose they are."""

    def __init__(self, state: ApiState) -> None:
        self._state = state
        self._key = state.random.getrandbits(256).to_bytes(32, "big")

    def issue(
        self, resource: ApiResource, namespace: str, name: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The TokenRequest *body* with its token, for the ServiceAccount *name*.

        Raises `Refused`: 404 for an account or an object that is not there, 400 for a value of a wrong type,
        an object of a kind that no token is bound to or of another account, 409 for one with another uid,
        422 for how long it is good.
        """
        account = self._state.get(resource, f"{namespace}/{name}")
        struct = builtin_types().of_kind("authentication.k8s.io", "v1", "TokenRequest")
        assert struct is not None, "the table of types has it"
        try:
            request = decoded(struct, body)
        except DecodeFault as fault:
            raise bad_request(
                f'TokenRequest in version "v1" cannot be handled as a TokenRequest: {fault}'
            ) from None
        spec = request["spec"]
        seconds = spec.get("expirationSeconds") or 3600
        if not _LEAST <= seconds <= _MOST:
            said = "less than 10 minutes" if seconds < _LEAST else "larger than 2^32 seconds"
            cause = invalid_value("spec.expirationSeconds", seconds, f"may not specify a duration {said}")
            kind = ApiResource("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest", True)
            raise invalid(kind, name, cause)
        audiences = spec.get("audiences") or [AUDIENCE]
        now = int(self._state.now())
        about: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": account.uid}}
        if reference := spec.get("boundObjectRef"):
            about[reference.get("kind", "").lower()] = self._bound(reference, namespace, name)
        claims = {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": _ISSUER,
            "jti": str(uuid.UUID(int=self._state.random.getrandbits(128), version=4)),
            "kubernetes.io": about,
            "nbf": now,
            "sub": service_account_name(namespace, name),
        }
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": timestamp(now)},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": seconds},
            "status": {"token": self._signed(claims), "expirationTimestamp": timestamp(now + seconds)},
        }

    def user_of(self, token: str, audiences: Iterable[str] = (AUDIENCE,)) -> tuple[User, list[str]] | None:
        """Whose *token* is, and for which of *audiences*; None for one that is not good, or for none."""
        claims = self._claims(token)
        if claims is None or claims["exp"] <= self._state.now():
            return None
        meant = [one for one in audiences if one in claims["aud"]]
        about = claims["kubernetes.io"]
        namespace, account = about["namespace"], about["serviceaccount"]
        if not meant or not self._there(
            "v1/serviceaccounts", f"{namespace}/{account['name']}", account["uid"]
        ):
            return None
        extra = {f"{_PREFIX}credential-id": (f"JTI={claims['jti']}",)}
        for kind, resource in _BOUND.items():
            bound = about.get(kind.lower())
            if bound is None:
                continue
            key = bound["name"] if kind == "Node" else f"{namespace}/{bound['name']}"
            if not self._there(resource, key, bound["uid"]):
                return None
            if kind != "Secret":
                extra |= {f"{_PREFIX}{kind.lower()}-{part}": (bound[part],) for part in ("name", "uid")}
        groups = (*service_account_groups(namespace), AUTHENTICATED)
        return User(claims["sub"], account["uid"], groups, extra), meant

    def _bound(self, reference: Mapping[str, str], namespace: str, account: str) -> dict[str, str]:
        kind, name = reference.get("kind", ""), reference.get("name", "")
        if reference.get("apiVersion") not in (None, "", "v1") or kind not in _BOUND:
            raise bad_request(
                f"cannot bind token to object of type {reference.get('apiVersion', '')}, Kind={kind}"
            )
        resource = self._state.resource(_BOUND[kind])
        found = self._state.get(resource, name if kind == "Node" else f"{namespace}/{name}")
        runs_as = (
            (found.get("spec") or {}).get("serviceAccountName") or "default" if kind == "Pod" else account
        )
        if runs_as != account:
            raise bad_request(
                f'cannot bind token for serviceaccount "{account}" to pod running with serviceaccount '
                f'"{runs_as}"'
            )
        uid = reference.get("uid")
        if uid and uid != found.uid:
            why = (
                f"the UID in the bound object reference ({uid}) does not match the UID in record "
                f"({found.uid}). The object might have been deleted and then recreated"
            )
            raise conflict(resource, name, why, kind=kind, qualified=kind)
        return {"name": name, "uid": found.uid}

    def _there(self, resource: str, key: str, uid: str) -> bool:
        stored = self._state.collection(self._state.resource(resource)).objects.get(key)
        return stored is not None and stored.uid == uid

    def _signed(self, claims: Mapping[str, Any]) -> str:
        text = f"{_encoded(_HEADER)}.{_encoded(wire.encode(claims))}"
        return f"{text}.{self._signature(text)}"

    def _signature(self, text: str) -> str:
        return _encoded(hmac.new(self._key, text.encode(), hashlib.sha256).digest())

    def _claims(self, token: str) -> dict[str, Any] | None:
        """What *token* says, None for one that is not of this server."""
        text, _, signature = token.rpartition(".")
        if not text.isascii() or not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        payload = text.partition(".")[2]
        claims: dict[str, Any] = msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
