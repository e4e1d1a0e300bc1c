"""Credentials from a program: the exec plug-ins of a kubeconfig (KEP-541, `client.authentication.k8s.io`).

`kubernetes_asyncio` runs these too, but leaves the program running when it is cancelled, blocks when one
writes much to its standard error, and puts certificates into temporary files that stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..api.errors import ConfigError, CredentialsError
from .auth import ClientCertificate, SingleFlight, bearer

__all__ = ["ExecPlugin"]

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MAX_OUTPUT = 1 << 20  # bytes kept of each stream
_DRAIN = 0.5  # seconds for what lies in the pipes of a program that has ended
_HOPELESS = (FileNotFoundError, NotADirectoryError, PermissionError)


class ExecPlugin:
    """Runs a program for a token or a client certificate, and again when that expires or is refused.

    The program gets no terminal. It runs once however many requests wait for it, and is killed, with every
    child that it left in its session's process group, when nobody waits any more or its time is over.

    Args:
        spec: the `exec` section of a kubeconfig's user.
        directory: what a relative command is relative to.
        cluster: told to the program where the section has `provideClusterInfo`.
        timeout: seconds that the program may take; a child that outlives it, and may hold its output open,
            is not waited for.
        wall: the wall clock, in seconds since the epoch, that `expirationTimestamp` is compared with.

    Raises:
        ConfigError: the section cannot be used.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        directory: Path | None = None,
        cluster: Mapping[str, Any] | None = None,
        timeout: float = 60.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._version = spec.get("apiVersion")
        if self._version not in _VERSIONS:
            raise ConfigError(f"exec plug-in: apiVersion {self._version!r} is none of {', '.join(_VERSIONS)}")
        command, args, env = spec.get("command"), spec.get("args") or [], spec.get("env") or []
        if not isinstance(command, str) or not command:
            raise ConfigError("exec plug-in: the command is missing")
        if not isinstance(args, list):
            raise ConfigError(f"exec plug-in {command}: args is no list")
        try:
            self._env = {str(item["name"]): str(item["value"]) for item in env}
        except (TypeError, KeyError) as error:
            raise ConfigError(f"exec plug-in {command}: env is no list of name and value") from error
        if spec.get("interactiveMode") == "Always":
            raise ConfigError(
                f"exec plug-in {command} needs a terminal (interactiveMode: Always): use another"
            )
        if directory is not None and os.sep in command:
            command = str(directory / command)
        self._command, self._args = command, [str(arg) for arg in args]
        self._hint = str(spec.get("installHint") or "").strip()
        self._cluster = cluster if spec.get("provideClusterInfo") else None
        self._timeout = timeout
        self._wall = wall
        self._run = SingleFlight[None]()
        self._headers: Mapping[str, str] | None = None
        self._expires: float | None = None
        self.client_certificate: ClientCertificate | None = None

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        expired = self._expires is not None and self._wall() >= self._expires
        if refresh or expired or self._headers is None:
            await self._run(self._ask)
        assert self._headers is not None
        return self._headers

    async def _ask(self) -> None:
        spec: dict[str, Any] = {"interactive": False}
        if self._cluster is not None:
            spec["cluster"] = self._cluster
        info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}
        loop = asyncio.get_running_loop()
        starting = loop.create_task(
            loop.subprocess_exec(
                _Run,
                self._command,
                *self._args,
                env={**os.environ, **self._env, "KUBERNETES_EXEC_INFO": json.dumps(info)},
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        )
        cancelled: asyncio.CancelledError | None = None
        while not starting.done():  # some turns of the loop; given up within them, its children would live on
            try:
                await asyncio.wait([starting])
            except asyncio.CancelledError as error:
                cancelled = error
        try:
            process, run = starting.result()
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            permanent = isinstance(error, _HOPELESS)
            raise self._error(f"cannot be run: {reason}", self._hint, permanent=permanent) from error
        try:
            if cancelled is not None:
                raise cancelled
            async with asyncio.timeout(self._timeout):
                await run.exited.wait()
            await _within(_DRAIN, run.drained)
        except TimeoutError as error:
            raise self._error(f"did not end within {self._timeout:g} s") from error
        finally:
            try:
                if process.get_returncode() is None:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.get_pid(), signal.SIGKILL)
                    await _within(_DRAIN, run.exited)
            finally:
                process.close()
        if (code := process.get_returncode()) != 0:
            said = run.output[2].decode("utf-8", "replace").strip()[-500:]
            raise self._error(f"ended with exit code {code}", said)
        self._take(bytes(run.output[1]))

    def _take(self, answer: bytes) -> None:
        try:
            credential = json.loads(answer)
            status = credential["status"]
            kind, version = credential["kind"], credential["apiVersion"]
            token = status.get("token")
            cert, key = status.get("clientCertificateData"), status.get("clientKeyData")
            expires = status.get("expirationTimestamp")
            expires_at = None if expires is None else datetime.fromisoformat(expires).timestamp()
        except (ValueError, TypeError, KeyError, AttributeError):
            # The answer may hold a token: neither it nor the parser's error is shown.
            raise self._error("did not print a readable ExecCredential with a status") from None
        if kind != "ExecCredential" or version != self._version:
            raise self._error(f"printed a {version} {kind} where a {self._version} ExecCredential was due")
        if not token and not (cert and key):
            raise self._error("gave neither a token nor a client certificate with its key")
        try:
            certificate = (
                ClientCertificate(cert_data=cert.encode(), key_data=key.encode()) if cert and key else None
            )
        except (ConfigError, AttributeError) as error:
            raise self._error(f"gave an unusable client certificate: {error}") from error
        self._headers = bearer(str(token), f"the token of {self!r}") if token else {}
        self.client_certificate, self._expires = certificate, expires_at

    def _error(self, what: str, more: str = "", *, permanent: bool = False) -> CredentialsError:
        text = f"the exec plug-in {self._command} {what}"
        return CredentialsError(f"{text}: {more}" if more else text, permanent=permanent, brief=text)

    def __repr__(self) -> str:
        return f"ExecPlugin({self._command!r})"


class _Run(asyncio.SubprocessProtocol):
    """One run of a program: what it printed, and when it ended.

    `asyncio.subprocess.Process.wait` also waits for the ends of the pipes, which a child may hold for ever.
    """

    def __init__(self) -> None:
        self.output = {1: bytearray(), 2: bytearray()}
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()
        self._pipes = set(self.output)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        kept = self.output[fd]
        kept += data[: _MAX_OUTPUT - len(kept)]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._pipes.discard(fd)
        if not self._pipes:
            self.drained.set()

    def process_exited(self) -> None:
        self.exited.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for *event*, but no longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
