"""The configuration of a pod: its service account's token, CA and namespace.

See "Accessing the Kubernetes API from a Pod" in the Kubernetes documentation. Needs nothing beyond the
standard library, so that an agent on every node does not pay for what only a workstation needs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..api.errors import ConfigError
from .auth import TokenFile
from .config import ClusterConfig
from .proxy import proxy_from_environment

__all__ = ["SERVICE_ACCOUNT_DIRECTORY", "in_cluster_config", "why_not_in_cluster"]

SERVICE_ACCOUNT_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def why_not_in_cluster(directory: str | Path, environ: Mapping[str, str]) -> str | None:
    """What is missing for this to be a pod with a service account; None if nothing is."""
    if not environ.get("KUBERNETES_SERVICE_HOST") or not environ.get("KUBERNETES_SERVICE_PORT"):
        return "not in a pod (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set)"
    for name in ("token", "ca.crt"):
        if not Path(directory, name).is_file():
            return f"no service account in this pod ({Path(directory, name)} does not exist)"
    return None


def in_cluster_config(
    *,
    directory: str | Path = SERVICE_ACCOUNT_DIRECTORY,
    environ: Mapping[str, str] | None = None,
    **overrides: Any,
) -> ClusterConfig:
    """The configuration that the kubelet gave this pod.

    Args:
        directory: where the service account is mounted.
        environ: the environment to read `KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT` and the proxy
            variables from.
        overrides: fields of `ClusterConfig` to set instead.

    Raises:
        ConfigError: this is no pod, or its service account is not mounted; the message says what is missing.
    """
    environ = os.environ if environ is None else environ
    directory = Path(directory)
    if (missing := why_not_in_cluster(directory, environ)) is not None:
        raise ConfigError(f"{missing}; see automountServiceAccountToken, or pass server= or kubeconfig=")
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    try:
        namespace = (directory / "namespace").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        namespace = ""
    fields: dict[str, Any] = {
        "server": server,
        "ca_file": str(directory / "ca.crt"),
        "namespace": namespace or "default",
        "credentials": TokenFile(directory / "token"),
        "source": f"the service account in {directory}",
    }
    if "proxy" not in overrides:
        fields["proxy"] = proxy_from_environment(server, environ)
    return ClusterConfig(**(fields | overrides))
