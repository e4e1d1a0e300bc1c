"""Proxies: which one the environment means, and requests through a real one."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from kresilient.api.errors import ConfigError, ConnectFailed
from kresilient.transport.base import Request
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport
from kresilient.transport.proxy import bypasses_proxy, proxy_from_environment, redacted

from .servers import always, read_request, response, serve, unused_port

PODS = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods", timeout=5.0)

NO_PROXY = [
    # host, port, NO_PROXY, bypassed
    ("localhost", 6443, "", True),
    ("127.0.0.1", 6443, "", True),
    ("::1", 6443, "", True),
    ("10.0.0.1", 6443, "", False),
    ("10.0.0.1", 6443, "*", True),
    ("10.0.0.1", 6443, "10.0.0.1", True),
    ("10.0.0.1", 6443, "10.0.0.1:6443", True),
    ("10.0.0.1", 6443, "10.0.0.1:443", False),
    ("10.0.0.1", 6443, "10.0.0.0/8", True),
    ("11.0.0.1", 6443, "10.0.0.0/8", False),
    ("10.0.0.1", 6443, "10.0.0.5/8", True),
    ("fd00::1", 443, "fd00::/8", True),
    ("fd00::1", 443, "fd00::1", True),
    ("fd00::1", 443, "[fd00::1]:443", True),
    ("fd00::1", 443, "10.0.0.0/8", False),
    ("kube.example.com", 443, "example.com", True),
    ("example.com", 443, "example.com", True),
    ("badexample.com", 443, "example.com", False),
    ("kube.example.com", 443, ".example.com", True),
    ("example.com", 443, ".example.com", False),
    ("kube.example.com", 443, "*.example.com", True),
    ("KUBE.Example.com", 443, "kube.EXAMPLE.com", True),
    ("kube.example.com.", 443, "example.com", True),
    ("kube.example.com", 443, "a.org, ,example.com:443", True),
    ("kube.example.com", 8443, "example.com:443", False),
    ("kube.example.com", 443, "10.0.0.0/8,junk/99,.svc", False),
    ("10.0.0.1", 443, "0.0.1", False),
]


@pytest.mark.parametrize(("host", "port", "no_proxy", "bypassed"), NO_PROXY)
def test_no_proxy_is_matched_as_go_does(host: str, port: int, no_proxy: str, bypassed: bool) -> None:
    assert bypasses_proxy(host, port, no_proxy) is bypassed


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        (
            "https://kube:6443",
            {"HTTPS_PROXY": "http://p:3128", "HTTP_PROXY": "http://other:1"},
            "http://p:3128",
        ),
        ("http://kube", {"HTTPS_PROXY": "http://p:3128"}, None),
        ("https://kube", {"https_proxy": "p:3128"}, "http://p:3128"),
        ("https://kube", {"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:1"}, "http://a:1"),
        ("https://kube", {"HTTPS_PROXY": "", "https_proxy": "http://b:1"}, "http://b:1"),
        ("https://kube", {"HTTPS_PROXY": "http://a:1", "NO_PROXY": "kube"}, None),
        ("https://kube", {"HTTPS_PROXY": "http://a:1", "no_proxy": "kube:443"}, None),
        ("https://[fd00::1]:6443", {"HTTPS_PROXY": "http://a:1", "NO_PROXY": "fd00::/8"}, None),
        ("https://kube", {}, None),
    ],
)
def test_the_environment_names_the_proxy(server: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_from_environment(server, environ) == proxy


def test_an_unusable_proxy_is_a_config_error_without_its_password() -> None:
    for proxy in ("socks5://u:s3cret@p:1", "http://", "ftp://p"):
        with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
            proxy_from_environment("https://kube", {"HTTPS_PROXY": proxy})
        assert "s3cret" not in str(caught.value)
    assert redacted("http://u:p@host:1/x") == "http://host:1/x"


def test_a_proxy_reached_over_tls_is_refused_since_it_would_get_the_clusters_certificate() -> None:
    with pytest.raises(ConfigError, match=r"HTTPS_PROXY .*https:// proxy is not supported") as caught:
        proxy_from_environment("https://kube", {"HTTPS_PROXY": "https://u:s3cret@p:1"})
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match="https:// proxy is not supported"):
        ClusterConfig(server="https://kube", proxy="https://p:1")


class Proxy:
    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, str, str | None]] = []
        self.refuse = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def running_proxy(upstream: int) -> AsyncIterator[Proxy]:
    """A proxy that tunnels and forwards, whatever is asked for, to the port *upstream* on loopback."""
    proxy = Proxy()
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        up = None
        try:
            received = await read_request(reader)
            assert received is not None
            proxy.seen.append((received.method, received.target, received.header("Proxy-Authorization")))
            if proxy.refuse:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            up_reader, up = await asyncio.open_connection("127.0.0.1", upstream)
            if received.method == "CONNECT":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = "/" + received.target.split("/", 3)[3]
                up.write(f"{received.method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await asyncio.gather(pump(reader, up), pump(up_reader, writer))
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(task)
            writer.close()
            if up is not None:
                up.close()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def get(config: ClusterConfig) -> bytes:
    transport = HttpTransport(config)
    try:
        return await (await transport.send(PODS)).read()
    finally:
        await transport.close()


async def test_http_goes_through_the_proxy_of_the_environment() -> None:
    async with serve(always(response())) as server, running_proxy(server.port) as proxy:
        url = "http://kube.test:8080"
        config = ClusterConfig(server=url, proxy=proxy_from_environment(url, {"HTTP_PROXY": proxy.url}))
        assert await get(config) == b"{}"
        assert proxy.seen == [("GET", "http://kube.test:8080/api/v1/pods", None)]


async def test_https_is_tunnelled_and_the_server_still_verified(ca: trustme.CA) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("kube.test").configure_cert(tls)
    async with serve(always(response()), tls=tls) as server, running_proxy(server.port) as proxy:
        address = proxy.url.replace("//", "//jane:pw@")
        config = ClusterConfig(server="https://kube.test:6443", ca_data=ca.cert_pem.bytes(), proxy=address)
        assert await get(config) == b"{}"
        assert proxy.seen == [("CONNECT", "kube.test:6443", "Basic amFuZTpwdw==")]
        other = ClusterConfig(server="https://other.test:6443", ca_data=ca.cert_pem.bytes(), proxy=address)
        with pytest.raises(ConnectFailed, match="tls_server_name"):
            await get(other)


async def test_a_proxy_that_refuses_is_named_without_its_password(ca: trustme.CA) -> None:
    async with running_proxy(1) as proxy:
        proxy.refuse = True
        address = proxy.url.replace("//", "//jane:s3cret@")
        with pytest.raises(ConnectFailed, match=f"the proxy {proxy.url} refused .* 407") as caught:
            await get(ClusterConfig(server="https://kube.test", ca_data=ca.cert_pem.bytes(), proxy=address))
        assert "s3cret" not in str(caught.value)
        assert not caught.value.sent and caught.value.permanent


async def test_a_proxy_that_is_not_there_is_named() -> None:
    address = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(ConnectFailed, match=f"cannot connect to the proxy {address}"):
        await get(ClusterConfig(server="http://kube.test", proxy=address))


async def test_the_transport_itself_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    async with serve(always(response())) as server:
        assert await get(ClusterConfig(server=server.url)) == b"{}"
