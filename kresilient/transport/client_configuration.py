"""A `kubernetes_asyncio` `Configuration` or `ApiClient`, taken as it is.

Nothing is imported: whoever hands one in has imported its package. Its credentials are asked for before each
request, so a `refresh_api_key_hook`, or somebody who changes `api_key`, keeps working.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Mapping
from typing import Any

from ..api.errors import ConfigError, CredentialsError
from .auth import ClientCertificate
from .config import ClusterConfig
from .proxy import proxy_from_environment

__all__ = ["ConfigurationCredentials", "client_configuration_config"]

_log = logging.getLogger(__name__)


class ConfigurationCredentials:
    """The credentials of a `Configuration`, as its `auth_settings()` gives them."""

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration
        self._certificate: ClientCertificate | None = None

    @property
    def client_certificate(self) -> ClientCertificate | None:
        cert_file, key_file = self._configuration.cert_file or None, self._configuration.key_file or None
        held = self._certificate
        if cert_file is None:
            return None
        if held is None or (held.cert_file, held.key_file) != (cert_file, key_file):
            self._certificate = ClientCertificate(cert_file, key_file)
        return self._certificate

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        try:
            settings = self._configuration.auth_settings()
            if inspect.isawaitable(settings):
                settings = await settings
        except Exception as error:  # the hook is the user's own code
            raise CredentialsError(
                f"the refresh_api_key_hook of the Configuration failed: {type(error).__name__}: {error}",
                brief=f"the refresh_api_key_hook of the Configuration failed: {type(error).__name__}",
            ) from error
        return {
            setting["key"].title(): setting["value"]
            for setting in settings.values()
            if setting.get("in") == "header" and setting.get("value")
        }

    def __repr__(self) -> str:
        return "ConfigurationCredentials(…)"


def client_configuration_config(
    client: Any, *, environ: Mapping[str, str] | None = None, **overrides: Any
) -> ClusterConfig:
    """The configuration in a `kubernetes_asyncio` `Configuration`, or in the one of an `ApiClient`.

    Of an `ApiClient` the default headers are taken too, but for the generated user agent. A token that
    nothing can renew (no `refresh_api_key_hook`: what `load_kube_config` leaves of an exec plug-in) is used,
    with a warning.

    Raises:
        ConfigError: *client* is neither, or its settings cannot be used.
    """
    environ = os.environ if environ is None else environ
    headers: dict[str, str] = {}
    configuration = getattr(client, "configuration", client)
    if not hasattr(configuration, "auth_settings") or not hasattr(configuration, "ssl_ca_cert"):
        raise ConfigError(
            f"a {type(client).__name__} is no configuration: pass a ClusterConfig, or a Configuration or an"
            " ApiClient of kubernetes_asyncio"
        )
    if configuration is not client:
        headers = {str(name): str(value) for name, value in client.default_headers.items()}
        if headers.get("User-Agent", "").startswith("OpenAPI-Generator/"):
            del headers["User-Agent"]
        if getattr(client, "cookie", None):
            headers["Cookie"] = client.cookie
    verify = bool(configuration.verify_ssl)
    server = overrides.get("server") or configuration.host
    fields: dict[str, Any] = {
        "server": server,
        "ca_file": (configuration.ssl_ca_cert or None) if verify else None,
        "insecure_skip_tls_verify": not verify,
        "tls_server_name": getattr(configuration, "tls_server_name", None) or None,
        "proxy": getattr(configuration, "proxy", None) or None,
        "proxy_headers": getattr(configuration, "proxy_headers", None) or {},
        "credentials": ConfigurationCredentials(configuration),
        "headers": headers,
        "source": f"a {type(client).__name__}",
    }
    if (
        "credentials" not in overrides
        and configuration.api_key
        and getattr(configuration, "refresh_api_key_hook", None) is None
    ):
        _log.warning(
            "the token of the %s for %s cannot be renewed (no refresh_api_key_hook): requests fail with 401"
            " once it expires; pass kubeconfig= instead, whose plug-ins and providers are asked again",
            type(client).__name__,
            server,
        )
    if fields["proxy"] is None and "proxy" not in overrides:
        fields["proxy"] = proxy_from_environment(server, environ)
    return ClusterConfig(**(fields | overrides))
