"""The TLS context of a cluster: built once, off the event loop, and again only when its files change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..api.errors import ConfigError
from .auth import ClientCertificate, SingleFlight
from .config import ClusterConfig

__all__ = ["TlsContext", "build_context"]

_log = logging.getLogger(__name__)
_LOOK_EVERY = 1.0

_Stamp = tuple[tuple[int, int, int] | None, ...]


class TlsContext:
    """Keeps the SSL context that fits the configuration, the client certificate and the files of both.

    The files are looked at no more than once a second. When they changed and the new ones cannot be used
    (half written, a key that is not the certificate's), the last good context stays, with one warning.
    """

    def __init__(
        self,
        config: ClusterConfig,
        *,
        build: Callable[[ClusterConfig, ClientCertificate | None], ssl.SSLContext] | None = None,
    ) -> None:
        self._config = config
        self._build = build or build_context
        self._flight = SingleFlight[ssl.SSLContext]()
        self._context: ssl.SSLContext | None = None
        self._built_for: tuple[ClientCertificate | None, _Stamp] | None = None
        self._failed_for: tuple[ClientCertificate | None, _Stamp] | None = None
        self._looked = float("-inf")

    async def get(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        """The context to connect with, presenting *certificate*.

        Raises `ConfigError` where none can be built and none was. Cancelled: a build that others wait for
        goes on.
        """
        now = asyncio.get_running_loop().time()
        if self._context is not None and self._built_for is not None:
            if certificate == self._built_for[0] and now - self._looked < _LOOK_EVERY:
                return self._context
            self._looked = now
            wanted = (certificate, self._stamp(certificate))
            if wanted in (self._built_for, self._failed_for):
                return self._context
        while True:
            context = await self._flight(lambda: self._rebuild(certificate))
            done = {key[0] for key in (self._built_for, self._failed_for) if key is not None}
            if certificate in done:  # else it was the build for another certificate
                return context

    async def _rebuild(self, certificate: ClientCertificate | None) -> ssl.SSLContext:
        # Stamped before the files are read: a change in between is seen at the next look.
        wanted = (certificate, self._stamp(certificate))
        try:
            context = await asyncio.to_thread(self._build, self._config, certificate)
        except ConfigError as error:
            if self._context is None:
                raise
            self._failed_for = wanted
            _log.warning("the changed TLS files cannot be used (%s): the last good ones stay in use", error)
            return self._context
        self._context, self._built_for, self._failed_for = context, wanted, None
        return context

    def _stamp(self, certificate: ClientCertificate | None) -> _Stamp:
        paths = [self._config.ca_file]
        if certificate is not None:
            paths += [certificate.cert_file, certificate.key_file]
        return tuple(_file_stamp(path) for path in paths)


def _file_stamp(path: str | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def build_context(config: ClusterConfig, certificate: ClientCertificate | None) -> ssl.SSLContext:
    """The SSL context for *config* that presents *certificate*. Reads files: call it in a thread.

    Raises `ConfigError` naming the file, or the data, that cannot be used.
    """
    try:
        data = config.ca_data.decode("ascii", "replace") if config.ca_data is not None else None
        context = ssl.create_default_context(cafile=config.ca_file, cadata=data)
    except (OSError, ValueError) as error:
        where = f"the CA file {config.ca_file}" if config.ca_file else "the CA data"
        raise ConfigError(f"{where} cannot be used: {_reason(error)}") from error
    if config.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if not config.verify_strict:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(("http/1.1",))
    if certificate is not None:
        try:
            with _as_files(certificate) as (cert_file, key_file):
                # Without a password callback OpenSSL would ask for one on the terminal.
                context.load_cert_chain(cert_file, key_file, password=_no_password)
        except (OSError, ValueError) as error:
            where = certificate.cert_file or "data"
            key = certificate.key_file or ("data" if certificate.key_data is not None else "in the same")
            raise ConfigError(
                f"the client certificate ({where}, key: {key}) cannot be used: {_reason(error)}"
            ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, and encrypted keys are not supported")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or str(error)


@contextlib.contextmanager
def _as_files(certificate: ClientCertificate) -> Iterator[tuple[str, str | None]]:
    """The certificate's and the key's file names; data is lent a name for as long as the block lasts.

    OpenSSL reads keys from files only. Where the system has anonymous files, the key never gets a name that
    another process could open, and a read-only root file system is no obstacle.
    """
    with contextlib.ExitStack() as stack:
        cert_file = certificate.cert_file or stack.enter_context(_lent_name(certificate.cert_data or b""))
        key_file = certificate.key_file
        if key_file is None and certificate.key_data is not None:
            key_file = stack.enter_context(_lent_name(certificate.key_data))
        yield cert_file, key_file


@contextlib.contextmanager
def _lent_name(data: bytes) -> Iterator[str]:
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with os.fdopen(os.memfd_create("kresilient", os.MFD_CLOEXEC), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.TemporaryDirectory(prefix="kresilient-") as directory:
        path = Path(directory, "pem")
        path.touch(0o600)
        path.write_bytes(data)
        yield str(path)
