"""When a server has nothing left to do, and waiting for what a controller does to an object."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import kresilient as kr
from kresilient.testing.server import FakeApiServer, Fault, Match, MemoryApiServer, MemoryTransport
from kresilient.transport.base import Request

pytestmark = pytest.mark.asyncio

PODS = "/api/v1/namespaces/default/pods"


def a_pod(name: str, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }


def watching(**query: str) -> Request:
    query = {"watch": "1", **query}
    return Request("GET", PODS, tuple(query.items()), streaming=True, timeout=None)


def listing() -> Request:
    return Request("GET", PODS, verb="list", resource="v1/pods", timeout=None)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer() as server:
        yield server


@pytest.fixture
def transport(server: MemoryApiServer) -> MemoryTransport:
    return server.transport()


def now() -> float:
    return asyncio.get_running_loop().time()


# --- in virtual time -------------------------------------------------------------------------------------


@pytest.mark.looptime
class TestInMemory:
    async def test_a_server_that_was_never_asked_has_settled(self, server: MemoryApiServer) -> None:
        await server.settled(timeout=0.001)
        assert now() == 0.0

    async def test_a_server_that_does_not_run_has_settled(self, server: MemoryApiServer) -> None:
        await server.stop()
        await server.settled(timeout=0.001)

    async def test_a_request_that_is_delayed_is_waited_for_to_its_end(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        server.faults.next("list").delay(5.0)

        async def lists() -> bytes:
            async with await transport.send(listing()) as response:
                return await response.read()

        task = asyncio.create_task(lists())
        await server.requests.wait_for(verb="list")
        await server.settled()
        assert now() == pytest.approx(5.0, abs=0.01)
        assert json.loads(await task)["kind"] == "PodList"

    async def test_an_answer_that_is_not_read_has_not_been_given(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        response = await transport.send(listing())
        with pytest.raises(TimeoutError, match=r"after 3 s; it still serves list v1/pods .* not read to its"):
            await server.settled(timeout=3.0)
        await response.read()
        await server.settled(timeout=0.001)

    async def test_a_watch_has_settled_once_its_client_has_read_what_concerns_it(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        response = await transport.send(watching())
        chunks = response.chunks()
        reading = asyncio.ensure_future(anext(chunks))
        await server.settled()  # there is nothing yet
        server.create("v1/pods", a_pod("one"))
        with pytest.raises(TimeoutError, match="watch v1/pods"):
            await server.settled(timeout=1.0)
        assert json.loads(await reading)["object"]["metadata"]["name"] == "one"
        reading = asyncio.ensure_future(anext(chunks))  # it comes back for more: it has taken the first
        await server.settled(timeout=0.001)
        server.create("v1/configmaps", {"metadata": {"name": "other"}})  # concerns no watch
        await server.settled(timeout=0.001)
        await response.close()
        await asyncio.gather(reading, return_exceptions=True)

    async def test_a_bookmark_is_no_news(self, server: MemoryApiServer, transport: MemoryTransport) -> None:
        response = await transport.send(watching(allowWatchBookmarks="true", timeoutSeconds="3600"))
        reading = asyncio.create_task(response.read())
        await server.settled(quiet=600.0, timeout=601.0)
        await response.close()
        await asyncio.gather(reading, return_exceptions=True)

    async def test_quiet_counts_from_the_last_request(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        async def asks() -> None:
            for _ in range(3):
                await asyncio.sleep(2.0)
                async with await transport.send(listing()) as response:
                    await response.read()

        task = asyncio.create_task(asks())
        await server.settled(quiet=5.0, timeout=60.0)
        assert task.done()
        assert now() == pytest.approx(6.0 + 5.0, abs=0.01)

    async def test_a_server_that_never_comes_to_rest_says_so(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        async def asks() -> None:
            while True:
                async with await transport.send(listing()) as response:
                    await response.read()
                await asyncio.sleep(1.0)

        task = asyncio.create_task(asks())
        with pytest.raises(TimeoutError, match="not at rest for 5 s at a time within 20 s"):
            await server.settled(quiet=5.0, timeout=20.0)
        task.cancel()

    @pytest.mark.parametrize(
        ("arm", "request_of"),
        [
            (lambda requests: requests.hang(), listing),
            (lambda requests: requests.hold(), listing),
            (lambda requests: requests.answer(b"{", then="stall"), listing),
            (lambda requests: requests.silence(), listing),
            (lambda requests: requests.silence(), watching),
        ],
    )
    async def test_what_a_fault_holds_for_ever_is_not_waited_for(
        self,
        server: MemoryApiServer,
        transport: MemoryTransport,
        arm: Callable[[Match], Fault],
        request_of: Callable[[], Request],
    ) -> None:
        held = arm(server.faults.next())

        async def asks() -> None:
            async with await transport.send(request_of()) as response:
                await response.read()

        task = asyncio.create_task(asks())
        await server.requests.wait_for()
        server.create("v1/pods", a_pod("one"))
        await server.settled(timeout=0.001)
        server.create("v1/pods", a_pod("two"))
        await server.settled(timeout=0.001)
        assert held.hits == 1
        assert not task.done()
        task.cancel()

    async def test_what_a_killed_server_left_is_settled(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        response = await transport.send(watching())
        server.create("v1/pods", a_pod("one"))  # not read
        await server.kill()
        with pytest.raises(kr.ConnectionLost):
            await response.read()
        await server.settled(timeout=0.001)

    async def test_waiting_can_be_cancelled(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        response = await transport.send(listing())
        waiting = asyncio.create_task(server.settled())
        await asyncio.sleep(1.0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        await response.read()
        await server.settled(timeout=0.001)

    async def test_five_are_named_and_the_rest_counted(
        self, server: MemoryApiServer, transport: MemoryTransport
    ) -> None:
        responses = [await transport.send(listing()) for _ in range(8)]
        with pytest.raises(TimeoutError, match=r"(list v1/pods [^;]*; ){5}and 3 more$"):
            await server.settled(timeout=1.0)
        for response in responses:
            await response.close()
        await server.settled(timeout=0.001)

    @pytest.mark.parametrize("seed", range(15))
    async def test_whatever_the_pace_of_its_readers_each_has_all_that_concerns_it(
        self, server: MemoryApiServer, seed: int
    ) -> None:
        chance = random.Random(seed)
        written: dict[str, set[str]] = {f"n{number}": set() for number in range(5)}
        read: list[tuple[str, set[str]]] = []

        async def reads(node: str, seen: set[str]) -> None:
            query = (("watch", "1"), ("fieldSelector", f"spec.nodeName={node}"))
            request = Request("GET", PODS, query, streaming=True, timeout=None)
            async with await server.transport().send(request) as response:
                async for piece in response.chunks():
                    seen.update(json.loads(line)["object"]["metadata"]["name"] for line in piece.splitlines())
                    await asyncio.sleep(chance.choice((0.0, 0.001, 3.0)))

        for number in range(20):
            read.append((f"n{number % 5}", set()))
        tasks = [asyncio.create_task(reads(*one)) for one in read]
        await server.watchers("v1/pods", 20)
        for number in range(60):
            node = chance.choice(list(written))
            pod = a_pod(f"p{number}")
            pod["spec"]["nodeName"] = node
            server.create("v1/pods", pod)
            written[node].add(f"p{number}")
            if chance.random() < 0.3:
                await server.settled(timeout=1000.0)
                assert all(seen == written[node] for node, seen in read)
            elif chance.random() < 0.3:
                await asyncio.sleep(chance.random())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert server.watch_count("v1/pods") == 0

    async def test_an_informer_has_taken_in_what_a_settled_server_sent(self, server: MemoryApiServer) -> None:
        """In memory the client asks for the next piece once it has dealt with the last."""
        async with kr.Client(server.transport(), qps=None) as client, client.informer("v1/pods") as pods:
            await pods.synced(10)
            for number in range(50):
                server.create("v1/pods", a_pod(f"p{number}"))
                await server.settled()
                assert f"default/p{number}" in pods

    async def test_a_quiet_time_shows_that_a_controller_does_no_more(self, server: MemoryApiServer) -> None:
        async with kr.Client(server.transport(), qps=None) as client, client.informer("v1/pods") as pods:

            async def label(pod: kr.KubeObject) -> None:
                await client.patch("v1/pods", pod.key, {"metadata": {"labels": {"seen": "yes"}}})

            pods.add_handler(on_add=label)
            server.create("v1/pods", a_pod("one"))
            await server.settled(quiet=30.0, timeout=60.0)
            assert server.requests.count(verb="patch") == 1


# --- over HTTP -------------------------------------------------------------------------------------------


async def test_over_http_every_watch_has_been_sent_what_concerns_it(apiserver: FakeApiServer) -> None:
    async with aiohttp.ClientSession(apiserver.url) as session:
        answers = [await session.get(PODS, params={"watch": "1"}) for _ in range(20)]
        await apiserver.watchers("v1/pods", 20)
        for number in range(30):
            apiserver.create("v1/pods", a_pod(f"p{number}"))
        await apiserver.settled()
        # All of it is with the operating system: a server that dies now takes none of it away.
        await apiserver.stop()
        for answer in answers:
            assert len((await answer.read()).splitlines()) == 30


async def test_over_http_a_client_that_does_not_read_is_named(apiserver: FakeApiServer) -> None:
    big = {"metadata": {"name": "big"}, "data": {"x": "x" * 900_000}}
    headers = {"User-Agent": "sleeper/1", "Accept-Encoding": "identity"}
    async with aiohttp.ClientSession(apiserver.url, headers=headers) as session:
        for number in range(12):
            apiserver.create("v1/configmaps", {**big, "metadata": {"name": f"big-{number}"}})
        answer = await session.get("/api/v1/configmaps", params={"watch": "1"})
        with pytest.raises(TimeoutError, match=r"watch v1/configmaps \(/api/v1/configmaps\) of sleeper/1"):
            await apiserver.settled(timeout=0.5)
        answer.close()
        await apiserver.settled()


async def test_a_call_that_has_returned_is_soon_settled(
    apiserver: FakeApiServer, kube_client: kr.Client
) -> None:
    for _ in range(20):
        await kube_client.list("v1/pods")
        await apiserver.settled()


# --- waiting for an object -------------------------------------------------------------------------------


async def later(act: Callable[[], object]) -> None:
    await asyncio.sleep(1.0)
    act()


@pytest.mark.looptime
class TestWaitingForAnObject:
    async def test_one_that_is_there_is_returned_at_once(self, server: MemoryApiServer) -> None:
        server.create("v1/pods", a_pod("one"))
        found = await server.wait_for("v1/pods", "default/one", timeout=0.001)
        assert found == server.get("v1/pods", "default/one")

    async def test_one_that_comes_is_returned_when_it_does(self, server: MemoryApiServer) -> None:
        task = asyncio.create_task(later(lambda: server.create("v1/pods", a_pod("one"))))
        found = await server.wait_for("v1/pods", "default/one")
        assert (found["metadata"]["name"], now()) == ("one", pytest.approx(1.0))
        await task

    async def test_a_condition_is_asked_once_for_each_state(self, server: MemoryApiServer) -> None:
        asked: list[str] = []

        def ready(pod: dict[str, Any]) -> bool:
            asked.append(pod["metadata"]["labels"]["step"])
            return asked[-1] == "3"

        server.create("v1/pods", a_pod("one", step="1"))

        async def steps() -> None:
            for step in "23":
                await asyncio.sleep(1.0)
                server.create("v1/pods", a_pod(f"other-{step}"))
                await asyncio.sleep(1.0)
                server.patch("v1/pods", "default/one", {"metadata": {"labels": {"step": step}}})

        task = asyncio.create_task(steps())
        await server.wait_for("v1/pods", "default/one", ready)
        assert asked == ["1", "2", "3"]
        await task

    async def test_one_that_does_not_come_is_named(self, server: MemoryApiServer) -> None:
        with pytest.raises(TimeoutError, match="v1/pods default/one is not there after 5 s"):
            await server.wait_for("v1/pods", "default/one", timeout=5.0)

    async def test_one_that_stays_as_it_is_is_shown(self, server: MemoryApiServer) -> None:
        server.create("v1/pods", a_pod("one", colour="red"))
        with pytest.raises(TimeoutError, match=r'v1/pods default/one is \{.*"colour":"red".* after 10 s'):
            await server.wait_for("v1/pods", "default/one", lambda pod: "x" in pod)

    async def test_what_a_condition_raises_is_raised(self, server: MemoryApiServer) -> None:
        server.create("v1/pods", a_pod("one"))

        def fails(_: dict[str, Any]) -> bool:
            raise TimeoutError("its own")

        with pytest.raises(TimeoutError, match="its own"):
            await server.wait_for("v1/pods", "default/one", fails)

    async def test_a_resource_that_is_not_served_is_refused(self, server: MemoryApiServer) -> None:
        with pytest.raises(KeyError, match="nope"):
            await server.wait_for("v1/nope", "default/one")

    @pytest.mark.parametrize("how", ["delete", "rewind"])
    async def test_one_that_goes_is_waited_for(self, server: MemoryApiServer, how: str) -> None:
        before = server.state.version
        server.create("v1/pods", a_pod("one"))
        acts: dict[str, Callable[[], None]] = {
            "delete": lambda: server.delete("v1/pods", "default/one"),
            "rewind": lambda: server.rewind(before),
        }
        task = asyncio.create_task(later(acts[how]))
        await server.wait_gone("v1/pods", "default/one")
        assert now() == pytest.approx(1.0)
        await task

    async def test_one_that_does_not_go_is_named(self, server: MemoryApiServer) -> None:
        server.create("v1/pods", a_pod("one"))
        with pytest.raises(TimeoutError, match="v1/pods default/one is still there after 10 s"):
            await server.wait_gone("v1/pods", "default/one")

    async def test_waiting_leaves_nothing_behind(self, server: MemoryApiServer) -> None:
        waits: list[Callable[[], Awaitable[object]]] = [
            lambda: server.wait_for("v1/pods", "default/none"),
            lambda: server.settled(quiet=100.0),
        ]
        tasks = [asyncio.ensure_future(wait()) for wait in waits]
        await asyncio.sleep(1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not server._changed._waiting
        assert not server.activity._turned._waiting
