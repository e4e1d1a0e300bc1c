"""Kubeconfig files: found, merged as kubectl merges them, and turned into a configuration.

See "Organizing Cluster Access Using kubeconfig Files" in the Kubernetes documentation. Data stays in memory:
no certificate and no key is written to a temporary file.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..api.errors import ConfigError
from .auth import Anonymous, BasicAuth, BearerToken, ClientCertificate, Credentials, TokenFile
from .config import ClusterConfig, Impersonation
from .exec_plugin import ExecPlugin
from .oidc import OidcProvider
from .proxy import proxy_from_environment

__all__ = ["kubeconfig_config", "kubeconfig_paths"]


def kubeconfig_paths(environ: Mapping[str, str]) -> list[Path]:
    """The files that `KUBECONFIG` names, else `~/.kube/config`; they need not exist."""
    listed = [Path(part).expanduser() for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path("~/.kube/config").expanduser()]


async def kubeconfig_config(
    source: str | Path | Mapping[str, Any] | None = None,
    *,
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    **overrides: Any,
) -> ClusterConfig:
    """The configuration that a kubeconfig describes.

    Args:
        source: a file, or the content as plain data; None for `KUBECONFIG`, else `~/.kube/config`. Of several
            files the first that names a thing wins, and those that do not exist are skipped.
        context: the context to use instead of the current one.
        environ: where `KUBECONFIG` and the proxy variables are read from.
        overrides: fields of `ClusterConfig` to set instead.

    Raises:
        ConfigError: a file, or what it says, cannot be used; the message names both.
    """
    environ = os.environ if environ is None else environ

    def read() -> _Kubeconfig:
        if isinstance(source, Mapping):
            kubeconfig = _Kubeconfig("the given kubeconfig")
            kubeconfig.merge(source, None)
            return kubeconfig
        return _read(kubeconfig_paths(environ) if source is None else [Path(source).expanduser()])

    kubeconfig = await asyncio.to_thread(read)
    return await asyncio.to_thread(_config, kubeconfig, context, read, environ, overrides)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One named cluster, user or context, and the file that it stands in."""

    value: Mapping[str, Any]
    file: Path | None

    @property
    def directory(self) -> Path | None:
        return None if self.file is None else self.file.parent

    def text(self, key: str) -> str | None:
        """The string under *key*; None where it is absent or empty."""
        value = self.value.get(key)
        return None if value is None or value == "" else str(value)

    def path(self, key: str) -> str | None:
        """The file under *key*, which may be relative to the kubeconfig."""
        text = self.text(key)
        return None if text is None else str((self.directory or Path()) / Path(text).expanduser())

    def data(self, key: str, where: str) -> bytes | None:
        """The base64 under *key*, decoded."""
        text = self.text(key)
        try:
            return None if text is None else base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigError(f"{where}: {key} is no base64") from error


@dataclass(slots=True)
class _Kubeconfig:
    source: str
    clusters: dict[str, _Entry] = field(default_factory=dict)
    contexts: dict[str, _Entry] = field(default_factory=dict)
    users: dict[str, _Entry] = field(default_factory=dict)
    current: str | None = None

    def merge(self, content: Any, file: Path | None) -> None:
        """Add what *content* names and nothing before it did."""
        where = str(file) if file is not None else self.source
        if content is None:  # an empty file
            return
        if not isinstance(content, Mapping):
            raise ConfigError(f"{where} is no kubeconfig: a mapping was due")
        self.current = self.current or content.get("current-context") or None
        for section, kind in (("clusters", "cluster"), ("contexts", "context"), ("users", "user")):
            entries: dict[str, _Entry] = getattr(self, section)
            for item in content.get(section) or ():
                value = item.get(kind) if isinstance(item, Mapping) else None
                if not isinstance(item, Mapping) or "name" not in item:
                    raise ConfigError(f"{where}: an item of {section} has no name")
                if value is not None and not isinstance(value, Mapping):
                    raise ConfigError(f"{where}: the {kind} {item['name']!r} is no mapping")
                entries.setdefault(str(item["name"]), _Entry(value or {}, file))

    def find(self, kind: str, name: str) -> _Entry:
        entries: dict[str, _Entry] = getattr(self, f"{kind}s")
        if name not in entries:
            known = ", ".join(sorted(entries)) or "none"
            raise ConfigError(f"{self.source} has no {kind} {name!r}; it has: {known}")
        return entries[name]


def _read(paths: list[Path]) -> _Kubeconfig:
    import yaml  # costs memory that a pod need not pay

    kubeconfig = _Kubeconfig(os.pathsep.join(map(str, paths)))
    found = False
    for path in paths:
        try:
            content = yaml.safe_load(path.read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"the kubeconfig {path} cannot be read: {error.strerror or error}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            # The parser quotes lines of the file, which may hold a token: say only where.
            mark = getattr(error, "problem_mark", None)
            at = f" (line {mark.line + 1})" if mark is not None else ""
            raise ConfigError(f"the kubeconfig {path} is no YAML{at}") from None
        found = True
        kubeconfig.merge(content, path)
    if not found:
        raise ConfigError(
            f"no kubeconfig at {kubeconfig.source}: set KUBECONFIG, or name a kubeconfig or a server"
        )
    return kubeconfig


def _config(
    kubeconfig: _Kubeconfig,
    context_name: str | None,
    read: Callable[[], _Kubeconfig],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> ClusterConfig:
    context_name = context_name or kubeconfig.current
    if not context_name:
        known = ", ".join(sorted(kubeconfig.contexts)) or "none"
        raise ConfigError(f"{kubeconfig.source} has no current-context: pass context=; it has: {known}")
    where = f"{kubeconfig.source}, context {context_name!r}"
    context = kubeconfig.find("context", context_name)
    cluster_name, user_name = context.text("cluster"), context.text("user")
    if cluster_name is None:
        raise ConfigError(f"{where} names no cluster")
    cluster = kubeconfig.find("cluster", cluster_name)
    server = overrides.get("server") or cluster.text("server")
    if server is None:
        raise ConfigError(f"{where}: the cluster {cluster_name!r} has no server")
    fields: dict[str, Any] = {
        "server": server,
        "insecure_skip_tls_verify": bool(cluster.value.get("insecure-skip-tls-verify")),
        "tls_server_name": cluster.text("tls-server-name"),
        "proxy": cluster.text("proxy-url"),
        "compression": not cluster.value.get("disable-compression"),
        "namespace": context.text("namespace") or "default",
        "source": where,
    }
    # As in client-go, data wins over a file.
    fields["ca_data"] = cluster.data("certificate-authority-data", where)
    fields["ca_file"] = cluster.path("certificate-authority") if fields["ca_data"] is None else None
    if fields["proxy"] is None and "proxy" not in overrides:
        fields["proxy"] = proxy_from_environment(server, environ)
    if user_name is not None:
        user = kubeconfig.find("user", user_name)
        fields["impersonate"] = _impersonation(user)
        if "credentials" not in overrides:
            info = _cluster_info(cluster, server, fields)
            fields["credentials"] = KubeconfigUser(
                user_name, user, info, where, lambda: read().users.get(user_name)
            )
    return ClusterConfig(**(fields | dict(overrides)))


class KubeconfigUser:
    """The credentials of a kubeconfig's user, read from the file again when the server refuses them."""

    def __init__(
        self,
        name: str,
        user: _Entry,
        cluster_info: Mapping[str, Any],
        where: str,
        read: Callable[[], _Entry | None],
    ) -> None:
        self._name, self._cluster_info, self._where, self._read = name, cluster_info, where, read
        self._user = user
        self._credentials = _credentials(name, user, cluster_info, where)
        self._last: Mapping[str, str] | None = None

    @property
    def client_certificate(self) -> ClientCertificate | None:
        return self._credentials.client_certificate

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        if refresh and await asyncio.to_thread(self._changed):
            refused, headers = self._last, await self._credentials.headers()
            refresh = headers == refused
        self._last = await self._credentials.headers(refresh=refresh)
        return self._last

    def _changed(self) -> bool:
        """Take the user from the file again; whether it differs. A broken file changes nothing."""
        try:
            user = self._read()
            if user is None or user.value == self._user.value:
                return False
            self._credentials = _credentials(self._name, user, self._cluster_info, self._where)
        except ConfigError:
            return False
        self._user = user
        return True

    def __repr__(self) -> str:
        return f"KubeconfigUser({self._name!r}, {self._credentials!r})"


def _credentials(name: str, user: _Entry, cluster_info: Mapping[str, Any], where: str) -> Credentials:
    """The first there is, in client-go's order: a token, a password, an auth-provider, an exec plug-in."""
    where = f"{where}, user {name!r}"
    cert_data, key_data = user.data("client-certificate-data", where), user.data("client-key-data", where)
    cert_file = user.path("client-certificate") if cert_data is None else None
    key_file = user.path("client-key") if key_data is None else None
    certificate = None
    if cert_data or cert_file or key_data or key_file:
        certificate = ClientCertificate(cert_file, key_file, cert_data, key_data)
    if (token_file := user.path("tokenFile")) is not None:
        return TokenFile(token_file, client_certificate=certificate)
    if (token := user.text("token")) is not None:
        return BearerToken(token, client_certificate=certificate)
    if (username := user.text("username")) is not None:
        return BasicAuth(username, user.text("password") or "", client_certificate=certificate)
    if isinstance(provider := user.value.get("auth-provider"), Mapping):
        if provider.get("name") != "oidc":
            raise ConfigError(
                f"{where}: the auth-provider {provider.get('name')!r} is gone since Kubernetes 1.26;"
                " use the exec plug-in of the provider"
            )
        return OidcProvider(
            provider.get("config") or {},
            directory=user.directory,
            persist=_persist_in(user.file, name) if user.file is not None else None,
            client_certificate=certificate,
        )
    if isinstance(spec := user.value.get("exec"), Mapping):
        return ExecPlugin(spec, directory=user.directory, cluster=cluster_info)
    return Anonymous(certificate)


def _cluster_info(cluster: _Entry, server: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What an exec plug-in may be told of the cluster (`ExecCredential.spec.cluster`)."""
    info: dict[str, Any] = {"server": server}
    if fields["tls_server_name"]:
        info["tls-server-name"] = fields["tls_server_name"]
    if fields["insecure_skip_tls_verify"]:
        info["insecure-skip-tls-verify"] = True
    authority = fields["ca_data"]
    if authority is None and fields["ca_file"] is not None:
        try:
            authority = Path(fields["ca_file"]).read_bytes()
        except OSError as error:
            raise ConfigError(f"the CA file {fields['ca_file']} cannot be read: {error.strerror}") from error
    if authority is not None:
        info["certificate-authority-data"] = base64.b64encode(authority).decode()
    if fields["proxy"]:
        info["proxy-url"] = fields["proxy"]
    for extension in cluster.value.get("extensions") or ():
        if extension.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = extension.get("extension")
    return info


def _impersonation(user: _Entry) -> Impersonation | None:
    if (name := user.text("as")) is None:
        return None
    extra = user.value.get("as-user-extra") or {}
    return Impersonation(
        name,
        groups=tuple(map(str, user.value.get("as-groups") or ())),
        uid=user.text("as-uid"),
        extra={str(key): tuple(map(str, values)) for key, values in extra.items()},
    )


def _persist_in(file: Path, name: str) -> Callable[[Mapping[str, str]], Any]:
    """Stores new settings of the user's auth-provider in its file, whole or not at all."""

    def store(changed: Mapping[str, str]) -> None:
        import yaml

        target = file.resolve()
        content = yaml.safe_load(target.read_bytes())
        for item in content.get("users") or ():
            if item.get("name") == name:
                item["user"]["auth-provider"]["config"].update(changed)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                yaml.safe_dump(content, out, default_flow_style=False, sort_keys=False)
            Path(temporary).chmod(stat.S_IMODE(target.stat().st_mode))
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    async def persist(changed: Mapping[str, str]) -> None:
        try:
            await asyncio.to_thread(store, changed)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ConfigError(f"{file} has no oidc auth-provider for {name!r} any more") from error

    return persist
