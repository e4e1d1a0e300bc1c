"""The fake API server over HTTP on the loopback interface, plain or with TLS."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from ..answers import JSON
from ..certificates import Authority
from ..epoch import Reset
from ..server import ApiServer
from ..statuses import bad_request
from ..users import AUTHENTICATED
from .connections import Connections, reset
from .kubeconfig import kubeconfig, write_kubeconfig
from .port import Port
from .requests import ExpectationFailed, call_of
from .responses import aborted, closing, send

__all__ = ["FakeApiServer"]

_FAREWELL: Final = 0.25
"""Seconds in which a client may answer the end of its TLS session; one that reads no more never does."""


class FakeApiServer(ApiServer):
    """A Kubernetes API server in this process, for tests: `async with FakeApiServer() as server: …`

    Args, beyond those of `ApiServer`:
        port: where to listen on 127.0.0.1; 0 picks a free port, which is then kept across restarts.
        tls: serve HTTPS, with a certificate of an authority made for it (`ca_pem`).
        client_certificates: refuse connections without a client certificate of the same authority. With TLS
            it is asked for in any case, and names the user: its CN, with each O a group.
    """

    def __init__(
        self, *, port: int = 0, tls: bool = False, client_certificates: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self._port = Port(port)
        self._tls = Authority() if tls or client_certificates else None
        self._client_certificates = client_certificates
        self._web: Connections | None = None

    # --- where it is -------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port it listens on, or last listened on."""
        return self._port.number

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port.number}"

    @property
    def ca_pem(self) -> bytes | None:
        """The certificate of its authority; None without TLS."""
        return self._tls.ca_pem if self._tls else None

    def client_certificate(
        self, user: str = "admin", *, groups: Iterable[str] | None = None
    ) -> tuple[bytes, bytes]:
        """A client certificate of *user* in *groups* and its key, as PEM, that the server accepts.

        Without *groups*, `admin` is whoever may do everything. Raises `ValueError` without TLS.
        """
        if self._tls is None:
            raise ValueError("a server without TLS takes no client certificates: pass tls=True")
        named = self.access.user(user, groups=groups)
        return self._tls.client_certificate(user, [one for one in named.groups if one != AUTHENTICATED])

    def kubeconfig(
        self,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """A kubeconfig for this server, as plain data: of `admin`, of whose *token* it is, or of *user*.

        Args:
            token: a bearer token that is good.
            user, groups: who else it is for; a token is made where there is none (see `Access.token_of`). A
                server that insists on client certificates knows the user by that alone.

        Raises `ValueError` for a token that is not good, or one beside a user.
        """
        token = self._token_for(token, user, groups)
        whose = None if token is None else self.access.user_of_token(token)
        certificate = None
        if self._client_certificates:
            named, among = ("admin", None) if whose is None else (whose.name, whose.groups)
            certificate = self.client_certificate(named, groups=among)
        return kubeconfig(
            self.url,
            authority=self.ca_pem,
            certificate=certificate,
            token=self.token if token is None else token,
        )

    def kubeconfig_file(
        self,
        path: str | Path,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Iterable[str] | None = None,
    ) -> Path:
        """Write `kubeconfig(…)` to *path*, readable by its owner only; returns the path."""
        return write_kubeconfig(self.kubeconfig(token=token, user=user, groups=groups), path)

    # --- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen. Raises `OSError` where the port is taken, `RuntimeError` where it runs already."""
        if self._web is not None:
            raise RuntimeError("the server runs already")
        self._web = Connections(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=3600.0,
            max_line_size=1 << 16,
            max_field_size=1 << 16,
            auto_decompress=False,  # a server takes bodies as they are: one that is packed is no JSON
        )
        self._begin()
        try:
            await self._accept()
        except BaseException:
            self._port.stop_listening()
            self._web = None
            self._end(killed=True)
            raise

    async def stop(self) -> None:
        """End the watches, let running requests finish, and close every connection. Idempotent.

        Cancelled: it is stopped, and connections that were still busy are cut.
        """
        try:
            await self._close(killed=False)
        finally:
            if not self.runs:  # nobody started it again meanwhile
                self._port.let_go()

    async def kill(self) -> None:
        """Reset every connection at once and refuse new ones, as if the process had died. Idempotent.

        The port stays its own until it is stopped or closed. Cancelled: it is dead all the same.
        """
        await self._close(killed=True)

    async def _close(self, *, killed: bool) -> None:
        handlers, self._web = self._web, None
        if handlers is None:
            return
        self._port.stop_listening()
        self._end(killed=killed)
        try:
            if killed:
                self._port.hold()  # at once: during what follows somebody else could take it
                for connection in handlers.connections:
                    if connection.transport is not None:
                        reset(connection.transport)
                await handlers.shutdown(0)
            else:
                handlers.pre_shutdown()
                await handlers.shutdown(2.0)
            await handlers.closed(_FAREWELL)
        finally:
            handlers.cut()

    # --- who may connect ---------------------------------------------------------------------------------

    def _refuse(self) -> None:
        if self._web is None or not self._port.listens:
            return
        self._port.hold()
        self._web.leave()

    async def _accept(self) -> None:
        if self._web is None or self._port.listens:
            return
        self._port.hold()
        self.routes.address = f"127.0.0.1:{self._port.number}"
        context = self._tls.server_context(insist=self._client_certificates) if self._tls else None
        await self._port.listen(self._web, context)

    # --- one request -------------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            call = await call_of(request)
        except ExpectationFailed:
            return closing(417)
        except web.RequestPayloadError as error:
            refused = bad_request(f"the body of the request is broken: {error}")
            return closing(refused.code, refused.body(), {"Content-Type": JSON})
        try:
            reply = await self.exchange(call)
        except Reset:
            return aborted(request)
        try:
            return await send(request, reply)
        except Reset:
            return aborted(request)
        except ConnectionError:  # the client went away; aiohttp knows
            return web.Response()
        finally:
            reply.finish()
