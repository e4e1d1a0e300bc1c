"""Reads from a kubeconfig what a client needs to know of a cluster: where it is, whom to trust, who asks."""

from __future__ import annotations

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Cluster", "load_cluster"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server and the credentials for it; `trust` is what TLS takes without a client certificate."""

    url: str
    ssl: ssl.SSLContext | None
    trust: ssl.SSLContext | None
    authorization: str


def load_cluster(path: str | Path, context: str = "") -> Cluster:
    """The cluster of *context*, by default the current one.

    Raises `ValueError` for what is not there, and for credentials that a program would have to run for.
    """
    folder = Path(path).resolve().parent
    config = yaml.safe_load(Path(path).read_text())
    chosen = _named(config, "context", context or config.get("current-context") or "")
    cluster = _named(config, "cluster", chosen["cluster"])
    user = _named(config, "user", chosen["user"]) if chosen.get("user") else {}
    for way in ("exec", "auth-provider"):
        if way in user:
            raise ValueError(f"{path}: the user has {way} credentials: give it a token or a certificate")
    url = cluster["server"].rstrip("/")
    token = user.get("token") or ""
    if not token and user.get("tokenFile"):
        token = (folder / user["tokenFile"]).read_text().strip()
    if url.startswith("http://"):
        return Cluster(url, None, None, f"Bearer {token}" if token else "")
    trust = _trust(cluster, folder)
    identified = _trust(cluster, folder)
    certificate = _bytes(user, "client-certificate", folder)
    if certificate is not None:
        key = _bytes(user, "client-key", folder)
        with tempfile.NamedTemporaryFile() as pem:  # an SSL context reads files only
            pem.write(certificate + b"\n" + (key or b""))
            pem.flush()
            identified.load_cert_chain(pem.name)
    return Cluster(url, identified, trust, f"Bearer {token}" if token else "")


def _named(config: dict[str, Any], what: str, name: str) -> dict[str, Any]:
    for entry in config.get(f"{what}s") or ():
        if entry["name"] == name:
            found: dict[str, Any] = entry[what]
            return found
    raise ValueError(f"the kubeconfig has no {what} {name!r}")


def _trust(cluster: dict[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _bytes(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=None if authority is None else authority.decode())
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _bytes(entry: dict[str, Any], name: str, folder: Path) -> bytes | None:
    """The data under *name*, in the file itself or in one that it names."""
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return (folder / entry[name]).read_bytes() if entry.get(name) else None
