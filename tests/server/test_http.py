"""The server over real HTTP: bodies, streams, TLS, tokens, limits, and its life."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.seed import seed_pods

PODS = "/api/v1/namespaces/default/pods"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        yield server


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def answer(
    http: aiohttp.ClientSession, server: FakeApiServer, path: str, *, method: str = "GET", **options: Any
) -> tuple[int, Any]:
    async with http.request(method, server.url + path, **options) as response:
        text = await response.text()
        return response.status, json.loads(text) if "json" in response.content_type else text


async def frame(response: aiohttp.ClientResponse) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(await response.content.readline())
    return decoded


async def test_a_watch_answers_its_headers_before_there_is_any_event(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{server.url}{PODS}?watch=1&resourceVersion={server.state.version}") as response:
        assert response.status == 200
        await server.watchers("v1/pods", 1)
        server.create("v1/pods", {"metadata": {"name": "a"}})
        assert (await frame(response))["object"]["metadata"]["name"] == "a"
    await server.watchers("v1/pods", 0)


async def test_a_watch_ends_in_time(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.create("v1/pods", {"metadata": {"name": "a"}})
    async with http.get(f"{server.url}{PODS}?watch=1&timeoutSeconds=1") as response:
        lines = (await response.text()).splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["ADDED"]


async def test_a_large_list_arrives_whole_in_pieces_and_gzipped(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    seed_pods(server.state, 500)
    _, plain = await answer(http, server, "/api/v1/pods", headers={"Accept-Encoding": "identity"})
    assert len(plain["items"]) == 500
    async with (
        aiohttp.ClientSession(auto_decompress=False) as raw,
        raw.get(f"{server.url}/api/v1/pods") as response,
    ):
        assert response.headers["Content-Encoding"] == "gzip"
        packed = await response.read()
    assert json.loads(gzip.decompress(packed)) == plain
    assert "kind" not in plain["items"][0]


async def test_the_body_of_a_list_is_that_of_one_moment(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    keys = seed_pods(server.state, 1000)
    async with http.get(f"{server.url}/api/v1/pods", headers={"Accept-Encoding": "identity"}) as response:
        first = await response.content.readany()
        server.delete("v1/pods", keys[-1])
        body = first + await response.content.read()
    assert len(json.loads(body)["items"]) == 1000


async def test_an_object_of_20_mb_passes(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    server.create("v1/configmaps", {"metadata": {"name": "big"}, "data": {"k": "x" * 20_000_000}})
    _, got = await answer(http, server, "/api/v1/namespaces/default/configmaps/big")
    assert len(got["data"]["k"]) == 20_000_000


async def test_a_body_over_3_mib_is_refused(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    body = json.dumps({"metadata": {"name": "big"}, "data": {"k": "x" * 3_200_000}})
    status, got = await answer(
        http,
        server,
        "/api/v1/namespaces/default/configmaps",
        method="POST",
        data=io.BytesIO(body.encode()),
        headers={"Content-Type": "application/json"},
    )
    assert (status, got["reason"]) == (413, "RequestEntityTooLarge")


async def test_discovery_and_paths_that_are_none(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    assert (await answer(http, server, "/nope")) == (404, "404 page not found\n")
    assert (await answer(http, server, "/apis/nope.example.com/v1/things")) == (404, "404 page not found\n")
    assert (await answer(http, server, f"{PODS.replace('pods', 'gizmos')}"))[1]["message"] == (
        "the server could not find the requested resource"
    )
    assert (await answer(http, server, f"{PODS}/x", method="POST", json={}))[0] == 405
    assert (await answer(http, server, "/readyz")) == (200, "ok")
    _, groups = await answer(http, server, "/apis")
    assert "apps" in {group["name"] for group in groups["groups"]}
    _, apps = await answer(http, server, "/apis/apps/v1")
    assert {"deployments", "deployments/scale", "deployments/status"} <= {
        one["name"] for one in apps["resources"]
    }


async def test_tokens_are_asked_for_and_can_be_replaced(http: aiohttp.ClientSession) -> None:
    async with FakeApiServer(token="good") as server:

        async def ask(token: str | None) -> tuple[int, Any]:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            return await answer(http, server, PODS, headers=headers)

        status, refused = await ask(None)
        assert (status, refused["message"]) == (
            403,
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
            'in the namespace "default"',
        )
        assert (await ask("bad"))[1]["message"] == "Unauthorized"
        assert (await ask("good"))[0] == 200
        server.access.replace("newer")
        assert (await ask("good"))[0] == 401
        assert server.token is not None
        assert (await ask(server.token))[0] == 200
        assert (await answer(http, server, "/version"))[0] == 200


async def test_more_requests_than_may_run_are_sent_away(http: aiohttp.ClientSession) -> None:
    async with (
        FakeApiServer(max_inflight=1) as server,
        http.get(f"{server.url}{PODS}?watch=1&timeoutSeconds=60") as running,
    ):
        assert running.status == 200
        server.faults.next("list").hang()
        hung = asyncio.create_task(answer(http, server, PODS))
        await server.requests.wait_for(1, verb="list")
        async with http.get(server.url + PODS) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "1")
            assert "X-Kubernetes-PF-PriorityLevel-UID" in response.headers
            assert await response.text() == "Too many requests, please try again later.\n"
        async with http.get(f"{server.url}{PODS}?watch=1") as response:
            assert response.status == 429, (
                "a watch that begins has to wait too, one that runs is in nobody's way"
            )
        status, _ = await answer(http, server, PODS, method="POST", json={"metadata": {"name": "a"}})
        assert status != 429, "writing has a limit of its own"
        hung.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hung


async def test_a_client_that_does_not_end_its_tls_session_is_cut_off_when_the_server_closes() -> None:
    async with FakeApiServer(tls=True) as server:
        context = ssl.create_default_context(cadata=(server.ca_pem or b"").decode())

        def a_call() -> ssl.SSLSocket:
            raw = socket.create_connection(("127.0.0.1", server.port))
            sock = context.wrap_socket(raw, server_hostname="127.0.0.1")
            sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(15) == b"HTTP/1.1 200 OK"
            return sock

        idle = await asyncio.to_thread(a_call)  # it reads no more, and so does not see the server's farewell
        connections = server._web
        assert connections is not None
        async with asyncio.timeout(5):
            await server.close()
        assert not connections._open, "a transport left to the next test warns there"
        idle.close()


async def test_tls_is_trusted_by_its_own_authority_alone(tmp_path: Path) -> None:
    async with FakeApiServer(tls=True, token="t") as server, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(server.url)
        assert server.ca_pem is not None
        context = ssl.create_default_context(cadata=server.ca_pem.decode())
        status, _ = await answer(http, server, PODS, ssl=context, headers={"Authorization": "Bearer t"})
        assert status == 200
        config = yaml.safe_load(server.kubeconfig_file(tmp_path / "config").read_text())
        assert config["users"][0]["user"] == {"token": "t"}
        assert config["clusters"][0]["cluster"]["server"] == server.url


async def test_client_certificates_let_in(tmp_path: Path) -> None:
    async with FakeApiServer(tls=True, client_certificates=True) as server, aiohttp.ClientSession() as http:
        assert server.ca_pem is not None
        context = ssl.create_default_context(cadata=server.ca_pem.decode())
        with pytest.raises(aiohttp.ClientError):
            await answer(http, server, PODS, ssl=context)
        certificate, key = server.client_certificate()
        (tmp_path / "c.pem").write_bytes(certificate + key)
        context = ssl.create_default_context(cadata=server.ca_pem.decode())
        context.load_cert_chain(tmp_path / "c.pem")
        assert (await answer(http, server, PODS, ssl=context))[0] == 200


async def test_a_kill_resets_what_runs_and_refuses_what_comes(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    server.create("v1/pods", {"metadata": {"name": "a"}})
    async with http.get(f"{server.url}{PODS}?watch=1") as response:
        await frame(response)
        await server.kill()
        with pytest.raises(aiohttp.ClientError):
            await response.content.readline()
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(server.url + PODS)
    assert server.watch_count("v1/pods") == 0


@pytest.mark.parametrize("history", [True, False])
async def test_a_restart_keeps_the_objects_and_perhaps_the_history(
    server: FakeApiServer, http: aiohttp.ClientSession, history: bool
) -> None:
    version, url = server.state.version, server.url
    server.create("v1/pods", {"metadata": {"name": "a"}})
    await server.restart(history=history)
    assert server.url == url
    assert (await answer(http, server, PODS))[1]["items"][0]["metadata"]["name"] == "a"
    async with http.get(f"{url}{PODS}?watch=1&resourceVersion={version}") as response:
        first = await frame(response)
    assert first["type"] == ("ADDED" if history else "ERROR")
    assert history or first["object"]["code"] == 410


async def test_a_stop_ends_watches_cleanly(server: FakeApiServer, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{server.url}{PODS}?watch=1") as response:
        await server.watchers("v1/pods", 1)
        await server.stop()
        assert await response.content.read() == b""


async def test_410_may_come_as_a_status(http: aiohttp.ClientSession) -> None:
    async with FakeApiServer(gone="status") as server:
        status, refused = await answer(http, server, f"{PODS}?watch=1&resourceVersion=1")
        assert (status, refused["reason"]) == (410, "Expired")


async def test_a_server_without_streaming_lists_refuses_one(http: aiohttp.ClientSession) -> None:
    async with FakeApiServer(streaming_list=False) as server:
        path = f"{PODS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        status, refused = await answer(http, server, path)
        assert (status, refused["reason"]) == (422, "Invalid")


async def test_every_request_is_recorded_and_counted(
    server: FakeApiServer, http: aiohttp.ClientSession
) -> None:
    await answer(http, server, f"{PODS}?limit=5", headers={"User-Agent": "agent-7/1.0"})
    await answer(http, server, f"{PODS}/none")
    listed, got = server.requests
    assert (listed.verb, listed.resource, listed.namespace, listed.code) == (
        "list",
        "v1/pods",
        "default",
        200,
    )
    assert (listed.query, listed.user_agent, got.name) == ({"limit": "5"}, "agent-7/1.0", "none")
    assert server.requests.count(user_agent="agent-7") == server.requests.count(code=404) == 1
    await server.requests.wait_for(1, verb="get", code=404)
    with pytest.raises(TimeoutError, match="1 of 2 requests"):
        await server.requests.wait_for(2, verb="get", timeout=0.01)
    _, text = await answer(http, server, "/metrics")
    assert (
        'apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",'
        'scope="namespace",subresource="",verb="LIST",version="v1"} 1'
    ) in text


async def test_manifests_are_loaded(server: FakeApiServer, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(
        """
apiVersion: v1
kind: Pod
metadata: {name: a}
status: {phase: Running}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: other}}
"""
    )
    assert server.load(tmp_path / "all.yaml") == ["v1/pods default/a", "v1/configmaps other/c"]
    pod = server.get("v1/pods", "default/a")
    assert pod is not None
    assert pod["status"]["phase"] == "Running"
    (tmp_path / "bad.yaml").write_text("{kind: Gizmo, apiVersion: v1, metadata: {name: g}}")
    with pytest.raises(ValueError, match="nothing serves Gizmo"):
        server.load(tmp_path / "bad.yaml")


@pytest.mark.parametrize("header", ["User-Agent", "Audit-Id", "Authorization", "Impersonate-User"])
async def test_a_header_that_is_no_text_is_answered_and_leaves_nothing_busy(header: str) -> None:
    async with FakeApiServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        writer.write(head + header.encode() + b": Bearer \xff\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), 10)
        assert status.split()[1] in (b"200", b"403"), status
        writer.close()
        await server.settled(timeout=10)


async def test_an_audit_log_that_cannot_be_written_leaves_nothing_busy(
    server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(record: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(server.requests, "ended", full)
    async with aiohttp.ClientSession(server.url) as session:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get("/version") as answer:
                await answer.read()
    await server.settled(timeout=10)
