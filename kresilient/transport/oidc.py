"""Credentials from an OpenID Connect provider: the `oidc` auth-provider of a kubeconfig.

`kubernetes_asyncio` has this too, but talks to the provider without verifying its certificate unless a CA is
given, and fails where one is.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from ..api.errors import ConfigError, CredentialsError
from .auth import ClientCertificate, SingleFlight, bearer

__all__ = ["OidcProvider"]

_log = logging.getLogger(__name__)
_LEEWAY = 10.0  # client-go's

Persist = Callable[[Mapping[str, str]], Awaitable[None]]


class OidcProvider:
    """Sends an id token, and gets a new one with the refresh token when it expires or is refused.

    Args:
        config: the `config` of the auth-provider: `idp-issuer-url`, `client-id`, `client-secret`, `id-token`,
            `refresh-token`, and `idp-certificate-authority` or `idp-certificate-authority-data`.
        directory: what a relative CA file is relative to.
        persist: stores the new tokens, since providers may accept a refresh token only once. Where it fails
            they are kept in memory and a warning is logged.
        timeout: seconds for the whole exchange with the provider.
        wall: the wall clock, in seconds since the epoch, that a token's expiry is compared with.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        directory: Path | None = None,
        persist: Persist | None = None,
        client_certificate: ClientCertificate | None = None,
        timeout: float = 30.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.client_certificate = client_certificate
        self._config = {str(key): str(value) for key, value in config.items() if value is not None}
        self._issuer = self._config.get("idp-issuer-url", "").rstrip("/")
        if not self._issuer or not self._config.get("client-id"):
            raise ConfigError("the oidc auth-provider needs idp-issuer-url and client-id")
        if not self._config.get("id-token") and not self._config.get("refresh-token"):
            raise ConfigError(
                "the oidc auth-provider has neither an id-token nor a refresh-token: log in again"
            )
        self._directory = directory or Path()
        self._persist = persist
        self._timeout = timeout
        self._wall = wall
        self._run = SingleFlight[None]()

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        token = self._config.get("id-token", "")
        if refresh or not token or self._expired(token):
            if self._config.get("refresh-token"):
                await self._run(self._renew)
                token = self._config["id-token"]
            elif not token or self._expired(token):
                raise CredentialsError(
                    "the oidc id-token expired, and there is no refresh-token: log in again", permanent=True
                )
        return bearer(token, "the oidc id-token")

    def _expired(self, token: str) -> bool:
        """Whether the JWT is past its `exp` (RFC 7519); one that cannot be read is the server's to judge."""
        try:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            return float(claims["exp"]) - _LEEWAY <= self._wall()
        except (ValueError, IndexError, KeyError, TypeError):
            return False

    async def _renew(self) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": self._config["refresh-token"]}
        headers = {"Accept": "application/json"}
        secret = self._config.get("client-secret")
        if secret:
            pair = base64.b64encode(f"{self._config['client-id']}:{secret}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        else:
            form["client_id"] = self._config["client-id"]
        try:
            tls = await asyncio.to_thread(self._context)
            async with aiohttp.ClientSession(
                trust_env=True, timeout=aiohttp.ClientTimeout(total=self._timeout)
            ) as session:
                well_known = f"{self._issuer}/.well-known/openid-configuration"
                async with session.get(well_known, ssl=tls) as response:
                    response.raise_for_status()
                    endpoint = (await response.json(content_type=None))["token_endpoint"]
                async with session.post(
                    endpoint, data=form, headers=headers, ssl=tls, allow_redirects=False
                ) as response:
                    if response.status != 200:
                        raise CredentialsError(
                            f"the oidc provider {self._issuer} refused the refresh-token"
                            f" ({response.status} {response.reason}): log in again",
                            permanent=response.status in (400, 401),  # RFC 6749, 5.2
                        )
                    answer = await response.json(content_type=None)
                    token, again = answer["id_token"], answer.get("refresh_token")
        except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, CredentialsError):
                raise
            reason = "its answer has no such field" if isinstance(error, KeyError) else type(error).__name__
            detail = f"{reason}: {error}" if isinstance(error, (OSError, aiohttp.ClientError)) else reason
            raise CredentialsError(
                f"the oidc provider {self._issuer} gave no id-token ({detail.rstrip(': ')})"
            ) from error
        bearer(str(token), "the oidc id-token")
        changed = {"id-token": str(token)} | ({"refresh-token": str(again)} if again else {})
        self._config.update(changed)
        if self._persist is not None:
            try:
                await self._persist(changed)
            except (OSError, ConfigError) as error:
                _log.warning("the new oidc tokens could not be stored (%s): they are kept in memory", error)

    def _context(self) -> ssl.SSLContext:
        data = self._config.get("idp-certificate-authority-data")
        file = self._config.get("idp-certificate-authority")
        if data:
            return ssl.create_default_context(cadata=base64.b64decode(data).decode("ascii"))
        return ssl.create_default_context(cafile=str(self._directory / file) if file else None)

    def __repr__(self) -> str:
        return f"OidcProvider({self._issuer!r})"
