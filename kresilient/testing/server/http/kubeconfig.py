"""Kubeconfigs of a server, and the files that hold them."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["kubeconfig", "write_kubeconfig"]


def kubeconfig(
    url: str,
    *,
    authority: bytes | None,
    certificate: tuple[bytes, bytes] | None,
    token: str | None,
) -> dict[str, Any]:
    """A kubeconfig as plain data, for the server at *url*.

    Args:
        authority: the certificate of the authority that signs the server's, as PEM; None without TLS.
        certificate: a client certificate and its key, as PEM.
        token: a bearer token.
    """
    cluster: dict[str, Any] = {"server": url}
    credentials: dict[str, Any] = {}
    if authority is not None:
        cluster["certificate-authority-data"] = _data(authority)
    if certificate is not None:
        credentials["client-certificate-data"] = _data(certificate[0])
        credentials["client-key-data"] = _data(certificate[1])
    if token is not None:
        credentials["token"] = token
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": cluster}],
        "users": [{"name": "fake", "user": credentials}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "current-context": "fake",
    }


def write_kubeconfig(config: Mapping[str, Any], path: str | Path) -> Path:
    """Write *config* to *path*, readable by its owner only; returns the path. Raises `OSError`."""
    import yaml

    path = Path(path)
    text = yaml.safe_dump(dict(config), sort_keys=False)
    with open(path, "w", opener=_private) as file:  # that of a Path takes no opener
        file.write(text)
    return path


def _data(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def _private(path: str, flags: int) -> int:
    """Open *path* for its owner only before anything is written: what was there may be open to others."""
    opened = os.open(path, flags, 0o600)
    try:
        os.fchmod(opened, 0o600)
    except BaseException:
        os.close(opened)
        raise
    return opened
