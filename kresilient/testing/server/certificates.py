"""The certificates of a server with TLS: its own, those of its clients, and whom one of these names."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from .users import User, authenticated_groups

__all__ = ["Authority", "certified"]

_CREDENTIAL: Final = "authentication.kubernetes.io/credential-id"


def certified(transport: asyncio.BaseTransport | None) -> User | None:
    """Whom the client's certificate on *transport* names: its CN, with each O a group. None without one."""
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    if tls is None or not (certificate := tls.getpeercert()):
        return None
    subject = [pair for names in certificate["subject"] for pair in names]
    name = next((value for key, value in subject if key == "commonName"), "")
    if not name:
        return None
    groups = [value for key, value in subject if key == "organizationName"]
    digest = hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()
    extra = {_CREDENTIAL: (f"X509SHA256={digest}",)}
    return User(name, groups=authenticated_groups(groups), extra=extra)


class Authority:
    """A certificate authority for one server."""

    def __init__(self) -> None:
        import trustme

        self._ca = trustme.CA()
        self._server = self._ca.issue_cert("127.0.0.1", "localhost")
        self.ca_pem: bytes = self._ca.cert_pem.bytes()

    def server_context(self, *, insist: bool) -> ssl.SSLContext:
        """For a server that takes client certificates, and with *insist* no client without one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        context.verify_mode = ssl.CERT_REQUIRED if insist else ssl.CERT_OPTIONAL
        self._ca.configure_trust(context)
        return context

    def client_certificate(self, name: str, groups: Iterable[str]) -> tuple[bytes, bytes]:
        """A certificate of *name* in *groups*, and its key, as PEM."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        issuer = x509.load_pem_x509_certificate(self.ca_pem)
        signer = serialization.load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey), "trustme makes no other"
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(signed_by, critical=False)
            .sign(signer, hashes.SHA256())
        )
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return certificate.public_bytes(pem), key.private_bytes(pem, form, serialization.NoEncryption())
