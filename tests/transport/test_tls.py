"""TLS over real sockets, with authorities made for the test."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from kresilient.api.errors import ConfigError, ConnectFailed, SyncError, TransportError
from kresilient.client import Client
from kresilient.transport.auth import Anonymous, ClientCertificate
from kresilient.transport.base import Request
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport
from kresilient.transport.tls import TlsContext, build_context

from .servers import always, response, serve

PODS = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods", timeout=5.0)


def context_for(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*names).configure_cert(context)
    return context


async def get(config: ClusterConfig) -> bytes:
    transport = HttpTransport(config)
    try:
        return await (await transport.send(PODS)).read()
    finally:
        await transport.close()


async def test_a_server_signed_by_the_given_ca_is_trusted(
    ca: trustme.CA, server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with serve(always(response()), tls=server_tls) as server:
        assert await get(ClusterConfig(server=server.url, ca_data=ca.cert_pem.bytes())) == b"{}"
        assert await get(ClusterConfig(server=server.url, ca_file=str(tmp_path / "ca.pem"))) == b"{}"


@pytest.mark.parametrize("trust", ["system", "another ca"])
async def test_an_untrusted_server_is_refused_and_the_cure_named(
    server_tls: ssl.SSLContext, trust: str
) -> None:
    ca_data = trustme.CA().cert_pem.bytes() if trust == "another ca" else None
    async with serve(always(response()), tls=server_tls) as server:
        with pytest.raises(ConnectFailed, match=f"certificate of {server.url} .*set ca_file") as caught:
            await get(ClusterConfig(server=server.url, ca_data=ca_data))
        assert not caught.value.sent and caught.value.permanent
        assert not server.requests
        assert await get(ClusterConfig(server=server.url, insecure_skip_tls_verify=True)) == b"{}"


async def test_an_informer_of_an_untrusted_server_names_the_cure_at_once(server_tls: ssl.SSLContext) -> None:
    async with (
        serve(always(response()), tls=server_tls) as server,
        Client(HttpTransport(ClusterConfig(server=server.url))) as client,
        client.informer("v1/pods") as pods,
    ):
        with pytest.raises(SyncError, match="set ca_file"):
            await asyncio.wait_for(pods.synced(60), 10)


async def test_tls_files_that_come_too_late_fail_the_call_in_time(ca: trustme.CA) -> None:
    gate = threading.Event()

    def slow(config: ClusterConfig, certificate: ClientCertificate | None) -> ssl.SSLContext:
        gate.wait(10)
        return build_context(config, certificate)

    config = ClusterConfig(server="https://127.0.0.1:1", ca_data=ca.cert_pem.bytes())
    transport = HttpTransport(config)
    transport._tls = TlsContext(config, build=slow)
    try:
        with pytest.raises(ConnectFailed, match=r"TLS files within 0\.1 s"):
            await asyncio.wait_for(transport.send(Request("POST", "/x", body=b"{}", timeout=0.1)), 5)
    finally:
        gate.set()
        await transport.close()


async def test_a_certificate_for_another_name_is_refused_and_tls_server_name_cures_it(ca: trustme.CA) -> None:
    async with serve(always(response()), tls=context_for(ca, "kubernetes.default.svc")) as server:
        config = ClusterConfig(server=server.url, ca_data=ca.cert_pem.bytes())
        with pytest.raises(ConnectFailed, match="set tls_server_name to a name in the certificate") as caught:
            await get(config)
        assert caught.value.permanent
        cured = ClusterConfig(
            server=server.url, ca_data=ca.cert_pem.bytes(), tls_server_name="kubernetes.default.svc"
        )
        assert await get(cured) == b"{}"


async def test_https_to_a_server_without_tls_says_so() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with listener:
        url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        with pytest.raises(ConnectFailed, match="served without TLS"):
            await get(ClusterConfig(server=url, insecure_skip_tls_verify=True))


def client_context(ca: trustme.CA) -> ssl.SSLContext:
    context = context_for(ca, "127.0.0.1")
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def common_name(certificate: dict[str, Any] | None) -> str:
    assert certificate is not None
    return next(value for rdn in certificate["subject"] for key, value in rdn if key == "commonName")


@pytest.mark.parametrize("form", ["files", "one file", "data"])
async def test_a_client_certificate_is_presented(ca: trustme.CA, tmp_path: Path, form: str) -> None:
    leaf = ca.issue_cert("jane@example.com", common_name="jane")
    chain = leaf.cert_chain_pems[0].bytes()
    if form == "data":
        certificate = ClientCertificate(cert_data=chain, key_data=leaf.private_key_pem.bytes())
    else:
        leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
        leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
        key = str(tmp_path / "key.pem") if form == "files" else None
        certificate = ClientCertificate(str(tmp_path / "both.pem"), key)
    async with serve(always(response()), tls=client_context(ca)) as server:
        await get(
            ClusterConfig(server=server.url, ca_data=ca.cert_pem.bytes(), credentials=Anonymous(certificate))
        )
        assert common_name(server.requests[0].client_certificate) == "jane"


async def test_a_server_that_wants_a_client_certificate_and_gets_none_is_an_error(ca: trustme.CA) -> None:
    async with serve(always(response()), tls=client_context(ca)) as server:
        with pytest.raises(TransportError):
            await get(ClusterConfig(server=server.url, ca_data=ca.cert_pem.bytes()))
        assert not server.requests


async def test_rotated_certificate_files_are_presented_without_a_new_transport(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kresilient.transport.tls._LOOK_EVERY", 0.0)
    path = tmp_path / "client.pem"
    ca.issue_cert("a@x.y", common_name="first").private_key_and_cert_chain_pem.write_to_path(path)
    async with serve(always(response()), tls=client_context(ca)) as server:
        transport = HttpTransport(
            ClusterConfig(
                server=server.url,
                ca_data=ca.cert_pem.bytes(),
                credentials=Anonymous(ClientCertificate(str(path))),
            )
        )
        await (await transport.send(PODS)).read()
        ca.issue_cert("a@x.y", common_name="second").private_key_and_cert_chain_pem.write_to_path(path)
        await (await transport.send(PODS)).read()
        await transport.close()
        names = [common_name(request.client_certificate) for request in server.requests]
    assert names == ["first", "second"]


async def test_the_context_is_built_once_and_again_once_when_a_file_changes(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kresilient.transport.tls._LOOK_EVERY", 0.0)
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    built: list[ssl.SSLContext] = []

    def build(config: ClusterConfig, certificate: ClientCertificate | None) -> ssl.SSLContext:
        built.append(build_context(config, certificate))
        return built[-1]

    tls = TlsContext(ClusterConfig(server="https://h", ca_file=str(path)), build=build)
    first = [await tls.get(None) for _ in range(5)]
    ca.cert_pem.write_to_path(tmp_path / "new")
    (tmp_path / "new").replace(path)
    second = [await tls.get(None) for _ in range(5)]
    assert len(built) == 2
    assert set(map(id, first)) == {id(built[0])}
    assert set(map(id, second)) == {id(built[1])}


async def test_two_certificates_wanted_at_once_each_get_their_own_context(ca: trustme.CA) -> None:
    def certificate() -> ClientCertificate:
        leaf = ca.issue_cert("a@x.y")
        return ClientCertificate(
            cert_data=leaf.cert_chain_pems[0].bytes(), key_data=leaf.private_key_pem.bytes()
        )

    built: dict[int, ClientCertificate | None] = {}

    def build(config: ClusterConfig, certificate: ClientCertificate | None) -> ssl.SSLContext:
        context = build_context(config, certificate)
        built[id(context)] = certificate
        return context

    tls = TlsContext(ClusterConfig(server="https://h"), build=build)
    one, other = certificate(), certificate()
    contexts = await asyncio.gather(tls.get(one), tls.get(other))
    assert [built[id(context)] for context in contexts] == [one, other]


async def test_files_are_looked_at_no_more_than_once_a_second(ca: trustme.CA, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    tls = TlsContext(ClusterConfig(server="https://h", ca_file=str(path)))
    first = await tls.get(None)
    await tls.get(None)
    trustme.CA().cert_pem.write_to_path(path)
    assert await tls.get(None) is first


async def test_changed_files_that_cannot_be_used_leave_the_last_good_ones_with_one_warning(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kresilient.transport.tls._LOOK_EVERY", 0.0)
    path = tmp_path / "client.pem"
    ca.issue_cert("a@x.y").private_key_and_cert_chain_pem.write_to_path(path)
    tls = TlsContext(ClusterConfig(server="https://h"))
    certificate = ClientCertificate(str(path))
    good = await tls.get(certificate)
    path.write_text("half writ")
    with caplog.at_level(logging.WARNING):
        assert [await tls.get(certificate) for _ in range(3)] == [good] * 3
    assert len(caplog.records) == 1
    ca.issue_cert("a@x.y").private_key_and_cert_chain_pem.write_to_path(path)
    assert await tls.get(certificate) is not good


async def test_a_first_context_that_cannot_be_built_is_a_config_error(ca: trustme.CA, tmp_path: Path) -> None:
    one, other = ca.issue_cert("a@x.y"), ca.issue_cert("a@x.y")
    mixed = ClientCertificate(
        cert_data=one.cert_chain_pems[0].bytes(), key_data=other.private_key_pem.bytes()
    )
    with pytest.raises(ConfigError, match=r"client certificate .*key values mismatch"):
        await TlsContext(ClusterConfig(server="https://h")).get(mixed)
    junk = b"-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n"
    with pytest.raises(ConfigError, match="the CA data cannot be used"):
        await TlsContext(ClusterConfig(server="https://h", ca_data=junk)).get(None)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(ca: trustme.CA) -> None:
    leaf = ca.issue_cert("a@x.y")
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pw"),
    )
    certificate = ClientCertificate(cert_data=leaf.cert_chain_pems[0].bytes(), key_data=key)
    with pytest.raises(ConfigError, match="encrypted keys are not supported"):
        build_context(ClusterConfig(server="https://h"), certificate)


def test_certificate_data_leaves_no_file_behind(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    leaf = ca.issue_cert("a@x.y")
    certificate = ClientCertificate(
        cert_data=leaf.cert_chain_pems[0].bytes(), key_data=leaf.private_key_pem.bytes()
    )
    build_context(ClusterConfig(server="https://h"), certificate)
    monkeypatch.delattr(os, "memfd_create")
    build_context(ClusterConfig(server="https://h"), certificate)
    assert list(tmp_path.iterdir()) == []


def test_contradicting_or_unusable_trust_is_a_config_error(tmp_path: Path) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n"
    (tmp_path / "junk").write_bytes(b"\x30\x82der")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"ca_file": str(tmp_path / "absent")}, "absent cannot be read: No such file"),
        ({"ca_file": str(tmp_path / "junk")}, "junk is not PEM"),
        ({"ca_data": b"junk"}, "CA data is not PEM"),
        ({"ca_data": pem, "ca_file": "x"}, "both as a file and as data"),
        ({"ca_data": pem, "insecure_skip_tls_verify": True}, "contradicts a CA"),
    ]
    for fields, message in cases:
        with pytest.raises(ConfigError, match=message):
            ClusterConfig(server="https://h", **fields)
    with pytest.raises(ConfigError, match="without its certificate"):
        ClientCertificate(key_data=b"-----BEGIN PRIVATE KEY-----")
    with pytest.raises(ConfigError, match="does not exist"):
        ClientCertificate(str(tmp_path / "absent"))
