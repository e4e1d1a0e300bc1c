"""What stands between a client and its server: addresses, TLS, credentials, restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import kresilient as kr
from kresilient.client import Client
from kresilient.transport.auth import TokenFile

from ..client.cluster import PATIENCE, QUICK, Cluster, held
from ..transport.servers import unused_port


def connect(server: str, **options: Any) -> Client:
    return kr.connect(server=server, qps=None, retry=QUICK, **options)


async def sync_error(client: Client, timeout: float = 5.0, **options: Any) -> str:
    """Why an informer of pods does not sync."""
    async with client.informer("v1/pods") as pods:
        with pytest.raises(kr.SyncError) as caught:
            await pods.synced(timeout, **options)
        with pytest.raises(kr.NotSyncedError):
            pods.list()
    return str(caught.value)


async def test_a_url_that_is_no_api_is_named(cluster: Cluster) -> None:
    async with connect(f"{cluster.server.url}/nowhere") as client:
        with pytest.raises(kr.NotFound, match=r"get v1/pods .*404"):
            await client.get("v1/pods", "default/a")
        assert "404" in await sync_error(client)


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x", "https://", "https://u:p@x", "https://x/?y"])
async def test_a_server_that_is_no_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(kr.ConfigError, match="server"):
        await connect(url).open()


async def test_a_refused_connection_names_the_server_and_heals_once_it_listens() -> None:
    port = unused_port()
    cluster = Cluster(port=port)
    async with cluster.client(url=f"http://127.0.0.1:{port}") as client:
        with pytest.raises(kr.ConnectFailed, match=f"cannot connect to http://127.0.0.1:{port}"):
            await client.get("v1/pods", "default/a")
        with pytest.raises(kr.ConnectFailed):  # nothing was sent, so nothing is in doubt
            await client.create("v1/configmaps", {"metadata": {"name": "a", "namespace": "default"}})
        async with client.informer("v1/pods") as pods:
            with pytest.raises(kr.SyncError, match=r"within 0\.1 s: .*cannot connect"):
                await pods.synced(0.1)
            cluster.create("a")
            async with cluster.server:
                await pods.synced(PATIENCE)
                assert held(pods) == cluster.truth()


@pytest.mark.apiserver(tls=True)
async def test_an_untrusted_or_misnamed_server_is_refused_and_the_cure_is_named(cluster: Cluster) -> None:
    other = Cluster(tls=True)
    for options, message in (
        ({"ca_data": other.server.ca_pem}, "not accepted.*set ca_file"),
        ({"ca_data": cluster.server.ca_pem, "tls_server_name": "elsewhere.example"}, "set tls_server_name"),
    ):
        async with connect(cluster.server.url, **options) as client:
            with pytest.raises(kr.ConnectFailed, match=message):
                await client.get("v1/pods", "default/a")
            assert "certificate" in await sync_error(client, 0.2)
    async with connect(cluster.server.url.replace("https", "http")) as client:
        with pytest.raises(kr.TransportError):
            await client.get("v1/pods", "default/a")
    assert cluster.server.requests.total == 0
    async with connect(cluster.server.url, ca_data=cluster.server.ca_pem) as client:
        assert await client.list("v1/pods") == []


async def test_tls_to_a_server_without_it_says_so(cluster: Cluster) -> None:
    async with connect(cluster.server.url.replace("http", "https")) as client:
        with pytest.raises(kr.ConnectFailed, match="without TLS"):
            await client.get("v1/pods", "default/a")


# --- who is let in ---


@pytest.mark.apiserver(token="good")
@pytest.mark.parametrize(
    ("token", "error", "code"), [("bad", kr.Unauthorized, "401"), (None, kr.Forbidden, "403")]
)
async def test_who_is_not_let_in_is_told_at_once(
    cluster: Cluster, token: str | None, error: type[Exception], code: str
) -> None:
    async with connect(cluster.server.url, token=token) as client:
        with pytest.raises(error, match=code):
            await client.get("v1/pods", "default/a")
        with pytest.raises(error):
            await client.create("v1/configmaps", {"metadata": {"name": "a", "namespace": "default"}})
        assert code in await sync_error(client)
    assert cluster.server.requests.count(verb="get") == 1, "no retry would help"


async def test_a_refusal_that_passes_is_waited_out_on_request(cluster: Cluster) -> None:
    cluster.create("a")
    for status in (401, 403, 404):
        cluster.server.faults.next("watch", "v1/pods").status(status)
    async with cluster.client() as client, client.informer("v1/pods") as pods:
        await pods.synced(PATIENCE, fail_fast=False)
        assert pods.keys() == ["default/a"]


async def test_an_unknown_resource_is_a_clear_error(cluster: Cluster, client: Client) -> None:
    for resource in ("example.com/v1/widgets", "v1/widgets"):
        with pytest.raises(kr.NotFound, match="404"):
            await client.list(resource)
        async with client.informer(resource) as widgets:
            with pytest.raises(kr.SyncError, match=r"cannot sync: .*404"):
                await widgets.synced(PATIENCE)


@pytest.mark.apiserver(token="one")
async def test_a_rotated_token_is_read_again_and_the_informer_goes_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    async with (
        cluster.client(credentials=TokenFile(file)) as client,
        cluster.following(client) as (pods, delivered),
    ):
        file.write_text("two\n")
        cluster.server.access.replace("two")
        assert await client.list("v1/pods") == [], "a 401 reads the file again"
        await cluster.server.restart()
        cluster.create("a")
        await cluster.agrees(pods, delivered)
        cluster.server.access.replace("three")
        with pytest.raises(kr.Unauthorized, match="check the credentials"):
            await client.get("v1/pods", "default/a")


# --- servers that go and come ---


@pytest.mark.parametrize("history", [True, False])
async def test_a_killed_server_comes_back_on_its_port_and_the_cache_is_right(
    cluster: Cluster, client: Client, history: bool
) -> None:
    cluster.create("stays", "goes", "changes")
    async with cluster.following(client) as (pods, delivered):
        await cluster.server.kill()
        assert pods.keys() == ["default/changes", "default/goes", "default/stays"], "still to be read"
        cluster.server.delete("v1/pods", "default/goes")
        cluster.server.patch("v1/pods", "default/changes", {"metadata": {"labels": {"x": "y"}}})
        cluster.create("new")
        await cluster.server.restart(history=history)
        await cluster.agrees(pods, delivered)
        await delivered.until(lambda: len({event.key for event in delivered[3:]}) == 3)
    assert {event.key: event.type for event in delivered[3:]} == {
        "default/new": "added",
        "default/goes": "deleted",
        "default/changes": "updated",
    }
    assert {event.source for event in delivered[3:]} == {"watch" if history else "relist"}


async def test_requests_meet_a_server_that_restarts_and_go_on(cluster: Cluster, client: Client) -> None:
    cluster.create("a")
    assert (await client.get("v1/pods", "default/a")).name == "a"
    for _ in range(3):
        await cluster.server.restart()
        assert (await client.get("v1/pods", "default/a")).name == "a", "the idle connection was dead"


async def test_a_server_that_never_answers_costs_the_caller_no_more_than_its_patience(
    cluster: Cluster, client: Client
) -> None:
    cluster.server.faults.on("watch", "v1/pods").hang()
    async with client.informer("v1/pods") as pods:
        with pytest.raises(kr.SyncError, match=r"did not sync within 0\.1 s"):
            await pods.synced(0.1)
        with pytest.raises(kr.NotFound):
            await client.get("v1/pods", "default/a")
