"""Finds the cluster that is meant: by arguments, a given configuration, the pod, or a kubeconfig."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..api.errors import ConfigError
from .auth import Anonymous, BasicAuth, BearerToken, ClientCertificate, Credentials, TokenFile
from .config import ClusterConfig, Impersonation
from .in_cluster import SERVICE_ACCOUNT_DIRECTORY, in_cluster_config, why_not_in_cluster
from .proxy import proxy_from_environment

__all__ = ["load_config"]


async def load_config(
    configuration: Any = None,
    *,
    server: str | None = None,
    kubeconfig: str | Path | Mapping[str, Any] | None = None,
    context: str | None = None,
    token: str | None = None,
    token_file: str | Path | None = None,
    username: str | None = None,
    password: str | None = None,
    client_cert_file: str | Path | None = None,
    client_key_file: str | Path | None = None,
    credentials: Credentials | None = None,
    ca_file: str | Path | None = None,
    ca_data: bytes | str | None = None,
    insecure_skip_tls_verify: bool | None = None,
    tls_server_name: str | None = None,
    proxy: str | None = None,
    namespace: str | None = None,
    impersonate: Impersonation | str | None = None,
    user_agent: str | None = None,
    headers: Mapping[str, str] | None = None,
    compression: bool | None = None,
    environ: Mapping[str, str] | None = None,
    service_account_directory: str | Path = SERVICE_ACCOUNT_DIRECTORY,
) -> ClusterConfig:
    """The configuration for the cluster that the arguments mean.

    The cluster comes from *configuration* (a `ClusterConfig`, or a `Configuration` or `ApiClient` of
    `kubernetes_asyncio`); else from *kubeconfig* or *context*; else it is *server* with nothing but the other
    arguments; else the pod's; else that of `KUBECONFIG` or `~/.kube/config`. The other arguments replace what
    was found there: any credential replaces all of them, any CA setting replaces all of those.

    Args:
        proxy: URL of an HTTP proxy, instead of the kubeconfig's or the environment's; `""` for none.
        impersonate: whom to act as; a string is a user name.
        environ: instead of `os.environ`.
        service_account_directory: where a pod's service account is mounted.

    Raises:
        ConfigError: arguments contradict each other, a value cannot be used, or no cluster was found; the
            message says where it was looked for.
    """
    environ = os.environ if environ is None else environ
    for one, other in (
        (("configuration", configuration), ("kubeconfig", kubeconfig)),
        (("configuration", configuration), ("context", context)),
        (("configuration", configuration), ("server", server)),
        (("ca_file", ca_file), ("ca_data", ca_data)),
        (("ca_file", ca_file), ("insecure_skip_tls_verify", insecure_skip_tls_verify or None)),
        (("ca_data", ca_data), ("insecure_skip_tls_verify", insecure_skip_tls_verify or None)),
    ):
        if one[1] is not None and other[1] is not None:
            raise ConfigError(f"{one[0]} and {other[0]} contradict each other: give one of them")

    fields: dict[str, Any] = {}
    given = _credentials(
        token, token_file, username, password, client_cert_file, client_key_file, credentials
    )
    if given is not None:
        fields["credentials"] = given
    if ca_file is not None or ca_data is not None or insecure_skip_tls_verify is not None:
        fields["ca_file"] = str(ca_file) if ca_file is not None else None
        fields["ca_data"] = ca_data.encode() if isinstance(ca_data, str) else ca_data
        if ca_file is not None or ca_data is not None or insecure_skip_tls_verify:
            fields["insecure_skip_tls_verify"] = bool(insecure_skip_tls_verify)
        else:  # verify, with whatever CA there is
            del fields["ca_file"], fields["ca_data"]
            fields["insecure_skip_tls_verify"] = False
    if impersonate is not None:
        fields["impersonate"] = Impersonation(impersonate) if isinstance(impersonate, str) else impersonate
    if proxy is not None:
        fields["proxy"] = proxy or None
    others = {
        "server": server,
        "tls_server_name": tls_server_name,
        "namespace": namespace,
        "user_agent": user_agent,
        "headers": headers,
        "compression": compression,
    }
    fields.update((name, value) for name, value in others.items() if value is not None)

    if isinstance(configuration, ClusterConfig):
        return replace(configuration, **fields)
    if configuration is not None:
        from .client_configuration import client_configuration_config

        return client_configuration_config(configuration, environ=environ, **fields)
    # What only a workstation needs is no part of what an agent in a cluster loads.
    if kubeconfig is not None or context is not None:
        from .kubeconfig import kubeconfig_config

        return await kubeconfig_config(kubeconfig, context=context, environ=environ, **fields)
    if server is not None:
        fields.setdefault("proxy", proxy_from_environment(server, environ))
        return ClusterConfig(**fields)
    missing = why_not_in_cluster(service_account_directory, environ)
    if missing is None:
        return in_cluster_config(directory=service_account_directory, environ=environ, **fields)
    from .kubeconfig import kubeconfig_config, kubeconfig_paths

    paths = kubeconfig_paths(environ)
    if not any(path.exists() for path in paths):
        raise ConfigError(
            f"no cluster is configured: {missing}, and no kubeconfig at {os.pathsep.join(map(str, paths))};"
            " set KUBECONFIG, or name a kubeconfig or a server"
        )
    return await kubeconfig_config(environ=environ, **fields)


def _credentials(
    token: str | None,
    token_file: str | Path | None,
    username: str | None,
    password: str | None,
    cert_file: str | Path | None,
    key_file: str | Path | None,
    credentials: Credentials | None,
) -> Credentials | None:
    given = {
        "token": token,
        "token_file": token_file,
        "username": username,
        "credentials": credentials,
    }
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ConfigError(f"{' and '.join(names)} contradict each other: give one of them")
    if (username is None) != (password is None):
        raise ConfigError("username and password go together: give both")
    certificate = None
    if cert_file is not None or key_file is not None:
        if credentials is not None:
            raise ConfigError("client_cert_file and credentials contradict each other: give one of them")
        certificate = ClientCertificate(
            str(cert_file) if cert_file is not None else None, str(key_file) if key_file is not None else None
        )
    if credentials is not None:
        return credentials
    if token is not None:
        return BearerToken(token, client_certificate=certificate)
    if token_file is not None:
        if not Path(token_file).is_file():
            raise ConfigError(f"the token file {token_file} does not exist")
        return TokenFile(token_file, client_certificate=certificate)
    if username is not None and password is not None:
        return BasicAuth(username, password, client_certificate=certificate)
    return Anonymous(certificate) if certificate is not None else None
