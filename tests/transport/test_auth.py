"""Credentials: token files, refresh on 401, and what is never shown."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from kresilient.api.errors import ConfigError, ConnectFailed, CredentialsError
from kresilient.transport.auth import (
    Anonymous,
    Authenticator,
    BasicAuth,
    BearerToken,
    ClientCertificate,
    Credentials,
    SingleFlight,
    TokenFile,
)
from kresilient.transport.base import Request
from kresilient.transport.config import ClusterConfig
from kresilient.transport.http import HttpTransport

from .servers import Answer, Received, always, response, serve

PODS = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods", timeout=5.0)
DENIED = response(b'{"kind":"Status"}', status="401 Unauthorized")


class Rotating:
    """Gives token 1, and one more at each refresh; a refresh waits for `gate`."""

    client_certificate: ClientCertificate | None = None

    def __init__(self, *, changes: bool = True) -> None:
        self.number = 1
        self.refreshes = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.changes = changes
        self.error: Exception | None = None

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        if refresh:
            self.refreshes += 1
            self.asked.set()
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            self.number += self.changes
        return {"Authorization": f"Bearer {self.number}"}


def accepting(number: int) -> Answer:
    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response() if received.header("Authorization") == f"Bearer {number}" else DENIED)

    return answer


async def status(transport: HttpTransport, request: Request = PODS) -> int:
    async with await transport.send(request) as got:
        await got.read()
        return got.status


# --- 401 -----------------------------------------------------------------------------------------------


async def test_a_401_refreshes_once_and_sends_the_same_request_again() -> None:
    credentials = Rotating()
    async with serve(accepting(2)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        post = Request("POST", "/api/v1/pods", (("dryRun", "All"),), body=b'{"a":1}', verb="create")
        assert await status(transport, post) == 200
        await transport.close()
    first, second = server.requests
    assert (
        (first.target, first.body) == (second.target, second.body) == ("/api/v1/pods?dryRun=All", b'{"a":1}')
    )
    assert credentials.refreshes == 1


async def test_a_second_401_is_handed_on() -> None:
    credentials = Rotating()
    async with serve(always(DENIED)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        async with await transport.send(PODS) as got:
            assert got.status == 401
            assert await got.read() == b'{"kind":"Status"}'
        await transport.close()
    assert len(server.requests) == 2


async def test_many_requests_refused_at_once_share_one_refresh() -> None:
    credentials = Rotating()
    arrived = asyncio.Barrier(20)

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.header("Authorization") == "Bearer 1":
            await arrived.wait()
        await accepting(2)(received, writer)

    async with serve(answer) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        codes = await asyncio.wait_for(asyncio.gather(*(status(transport) for _ in range(20))), 10)
        await transport.close()
    assert set(codes) == {200}
    assert credentials.refreshes == 1


async def test_a_401_that_arrives_after_the_refresh_is_served_by_it() -> None:
    credentials = Rotating()
    late = asyncio.Event()

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.target == "/late" and received.header("Authorization") == "Bearer 1":
            await late.wait()
        await accepting(2)(received, writer)

    async with serve(answer) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        slow = asyncio.create_task(status(transport, Request("GET", "/late")))
        await server.received(1)
        assert await status(transport) == 200
        late.set()
        assert await asyncio.wait_for(slow, 5) == 200
        await transport.close()
    assert credentials.refreshes == 1


async def test_a_refresh_that_changes_nothing_sends_nothing_again_and_is_not_repeated_at_once() -> None:
    credentials = Rotating(changes=False)
    async with serve(always(DENIED)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        assert [await status(transport) for _ in range(3)] == [401, 401, 401]
        await transport.close()
    assert len(server.requests) == 3
    assert credentials.refreshes == 1


@pytest.mark.looptime
@pytest.mark.asyncio
async def test_credentials_that_stay_refused_are_refreshed_no_more_than_once_a_second() -> None:
    credentials = Rotating()
    authenticator = Authenticator(credentials)
    for _ in range(100):
        await authenticator.refreshed(await authenticator.identity())
        await asyncio.sleep(0.1)
    assert 9 <= credentials.refreshes <= 11


async def test_a_refresh_that_fails_reaches_whoever_waits_and_the_next_request_tries_again() -> None:
    credentials = Rotating()
    credentials.error = CredentialsError("the provider is down")
    async with serve(accepting(2)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        with pytest.raises(CredentialsError, match="provider is down") as caught:
            await transport.send(PODS)
        assert not caught.value.sent
        credentials.error = None
        assert await status(transport) == 200
        await transport.close()


class Slow(Rotating):
    """Its first token comes when `gate` opens."""

    async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
        await self.gate.wait()
        return await super().headers(refresh=refresh)


async def test_credentials_that_come_too_late_fail_the_call_in_time_and_nothing_is_sent() -> None:
    credentials = Slow()
    credentials.gate.clear()
    async with serve(always(response())) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        with pytest.raises(ConnectFailed, match=r"no credentials .* within 0\.1 s") as caught:
            await asyncio.wait_for(transport.send(Request("POST", "/x", body=b"{}", timeout=0.1)), 5)
        assert not caught.value.sent and server.requests == []
        await transport.close()


async def test_a_refresh_that_comes_too_late_fails_the_call_in_time() -> None:
    credentials = Rotating()
    credentials.gate.clear()
    async with serve(accepting(2)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        with pytest.raises(ConnectFailed, match="no credentials") as caught:
            await asyncio.wait_for(transport.send(Request("POST", "/x", body=b"{}", timeout=0.3)), 5)
        assert not caught.value.sent and len(server.requests) == 1
        await transport.close()


async def test_a_call_past_its_deadline_is_not_sent() -> None:
    class Blocking(Anonymous):
        async def headers(self, *, refresh: bool = False) -> Mapping[str, str]:
            time.sleep(0.1)  # noqa: ASYNC251  # never yields, so no timeout can end it
            return {}

    async with serve(always(response())) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=Blocking()))
        with pytest.raises(ConnectFailed) as caught:
            await transport.send(Request("POST", "/x", body=b"{}", timeout=0.05))
        assert not caught.value.sent and server.requests == []
        await transport.close()


async def test_a_cancelled_request_does_not_cancel_the_refresh_that_others_wait_for() -> None:
    credentials = Rotating()
    credentials.gate.clear()
    async with serve(accepting(2)) as server:
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        first, second = (asyncio.create_task(status(transport)) for _ in range(2))
        await server.received(2)
        await asyncio.wait_for(credentials.asked.wait(), 5)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        credentials.gate.set()
        assert await asyncio.wait_for(second, 5) == 200
        await transport.close()
    assert credentials.refreshes == 1


async def test_when_the_last_waiter_is_cancelled_the_work_is_too() -> None:
    flight = SingleFlight[int]()
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return 1

    async def quick() -> int:
        return 2

    waiters = [asyncio.create_task(flight(work)) for _ in range(3)]
    await started.wait()
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    await asyncio.wait_for(cancelled.wait(), 5)
    assert await flight(quick) == 2


# --- token files ---------------------------------------------------------------------------------------


def rotate(path: Path, token: str) -> None:
    new = path.with_name("..new")
    new.write_text(token)
    new.replace(path)


@pytest.mark.looptime
@pytest.mark.asyncio
async def test_a_rotated_token_file_is_noticed_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    credentials = TokenFile(path)
    assert await credentials.headers() == {"Authorization": "Bearer one"}
    rotate(path, "two")
    assert await credentials.headers() == {"Authorization": "Bearer one"}
    await asyncio.sleep(1)
    assert await credentials.headers() == {"Authorization": "Bearer two"}


@pytest.mark.looptime
@pytest.mark.asyncio
async def test_a_token_file_is_read_each_minute_even_if_it_seems_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    credentials = TokenFile(path)
    await credentials.headers()
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    await asyncio.sleep(59)
    assert await credentials.headers() == {"Authorization": "Bearer one"}
    await asyncio.sleep(2)
    assert await credentials.headers() == {"Authorization": "Bearer two"}


@pytest.mark.looptime
@pytest.mark.asyncio
async def test_a_token_file_that_vanishes_leaves_the_last_token_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "token"
    path.write_text("s3cret")
    credentials = TokenFile(path)
    await credentials.headers()
    for damage in (path.unlink, lambda: path.write_text(""), lambda: path.write_text("a\x00b")):
        damage()
        await asyncio.sleep(61)
        assert await credentials.headers() == {"Authorization": "Bearer s3cret"}
    assert len(caplog.records) == 1
    assert "s3cret" not in caplog.text
    path.write_text("new")
    await asyncio.sleep(2)
    assert await credentials.headers() == {"Authorization": "Bearer new"}


async def test_a_refused_token_is_read_again_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("1")
    async with serve(accepting(2)) as server:
        credentials = TokenFile(path)
        assert await credentials.headers() == {"Authorization": "Bearer 1"}
        rotate(path, "2")  # not noticed by itself within the same second
        transport = HttpTransport(ClusterConfig(server=server.url, credentials=credentials))
        assert await status(transport) == 200
        await transport.close()


@pytest.mark.parametrize("content", [None, "", " \n", "a b", "a\x7f", "é"])
async def test_a_token_file_without_a_token_is_an_error_that_names_it(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CredentialsError, match=str(path)):
        await TokenFile(path).headers()


# --- the others ----------------------------------------------------------------------------------------


async def test_basic_authentication_encodes_user_and_password() -> None:
    assert await BasicAuth("jane", "pä:ss").headers() == {"Authorization": "Basic amFuZTpww6Q6c3M="}
    with pytest.raises(ConfigError, match="colon"):
        BasicAuth("a:b", "c")


def test_an_unusable_token_is_a_config_error() -> None:
    for token in ("", "  ", "a\nb", "a b"):
        with pytest.raises(ConfigError):
            BearerToken(token)


def test_no_secret_is_shown(tmp_path: Path) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\nc3RvcA"
    key = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0"
    certificate = ClientCertificate(cert_data=pem, key_data=key)
    sources: list[Credentials] = [
        Anonymous(certificate),
        BearerToken("s3cret"),
        BasicAuth("jane", "s3cret"),
        TokenFile(tmp_path / "t"),
    ]
    for credentials in sources:
        config = ClusterConfig(
            server="https://h",
            credentials=credentials,
            proxy="http://u:s3cret@p:1",
            headers={"Cookie": "s3cret"},
        )
        assert "s3cret" not in repr(config) + str(config)
        assert "PRIVATE" not in repr(config)
        assert isinstance(credentials, Credentials)
