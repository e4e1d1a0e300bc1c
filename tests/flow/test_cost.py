"""The guard on cost: what it takes for polling, whom it names, and how often it says so."""

from __future__ import annotations

import asyncio

import pytest

from kresilient.api.errors import CostlyListRefused
from kresilient.client import Client
from kresilient.flow.cost import CostGuard
from kresilient.observe.events import CostlyList, Event, Observers
from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request


def listing(path: str = "/api/v1/pods", **query: str) -> Request:
    return Request("GET", path, tuple(query.items()), verb="list", resource="v1/pods")


class Guarded:
    def __init__(self, *, strict: bool = False) -> None:
        self.now = 0.0
        self.told: list[Event] = []
        self.guard = CostGuard(observers=Observers(self.told.append), strict=strict, clock=lambda: self.now)

    def poll(self, times: int, every: float, request: Request) -> None:
        for _ in range(times):
            self.guard.check(request)
            self.now += every


def test_the_third_list_of_everything_in_a_row_is_told_once_for_its_place() -> None:
    one = Guarded()
    one.poll(2, 30.0, listing())
    assert one.told == []  # another place in the code
    one.poll(50, 30.0, listing())
    (told,) = one.told
    assert isinstance(told, CostlyList)
    assert (told.resource, told.interval) == ("v1/pods", 30.0)
    assert told.site.startswith(f"{__file__}:") and told.instead == 'client.informer("v1/pods")'


@pytest.mark.parametrize(
    ("every", "request_"),
    [
        (121.0, listing()),
        (1.0, listing(labelSelector="a=b")),
        (1.0, listing(fieldSelector="spec.nodeName=n")),
        (1.0, listing(**{"continue": "t"})),
        (1.0, listing("/api/v1/namespaces/default/pods")),
        (1.0, Request("GET", "/api/v1/pods/a", verb="get", resource="v1/pods")),
    ],
)
def test_what_is_rare_or_selects_is_none(every: float, request_: Request) -> None:
    one = Guarded(strict=True)
    one.poll(20, every, request_)
    assert one.told == []


def test_an_empty_selector_selects_nothing() -> None:
    one = Guarded()
    one.poll(3, 1.0, listing(labelSelector=""))
    assert len(one.told) == 1


def test_a_pause_breaks_the_row() -> None:
    one = Guarded()

    def poll(pause: float) -> None:
        one.guard.check(listing())
        one.now += pause

    for pause in (1.0, 200.0) * 10:
        poll(pause)
    assert one.told == []


def test_a_place_that_was_told_of_is_not_told_of_again_after_a_pause() -> None:
    one = Guarded()
    for number in range(12):
        one.now += 500.0 if number % 4 == 0 else 1.0
        one.guard.check(listing())
    assert len(one.told) == 1


def test_places_are_told_apart_and_so_are_paths() -> None:
    one = Guarded()
    for _ in range(2):
        one.guard.check(listing())
        one.guard.check(listing())
        one.guard.check(listing("/api/v1/nodes"))
    assert one.told == []


def test_no_number_of_places_makes_it_grow() -> None:
    one = Guarded()
    for number in range(3000):
        one.guard.check(listing(f"/apis/g{number}/v1/things"))
    assert len(one.guard._sites) == 1024


def test_strict_refuses_each_with_what_would_replace_it() -> None:
    one = Guarded(strict=True)
    refused: list[str] = []
    for _ in range(5):
        try:
            one.guard.check(listing())
        except CostlyListRefused as error:
            refused.append(str(error))
        one.now += 10.0
    assert len(refused) == 3 and len(one.told) == 1
    assert "(3 times by now), 10 s after the last" in refused[0]
    assert 'keep client.informer("v1/pods") instead' in refused[0]


@pytest.mark.looptime
@pytest.mark.parametrize("way", ["await", "iterate"])
async def test_the_place_is_the_callers_own_line_whichever_way_it_lists(way: str) -> None:
    told: list[Event] = []
    server = MemoryApiServer()
    async with server, Client(server.transport(), qps=None, observers=[told.append]) as client:
        for _ in range(4):
            if way == "await":
                await client.list("v1/pods")
            else:
                async for _obj in client.list("v1/pods"):
                    pass
    (costly,) = [event for event in told if isinstance(event, CostlyList)]
    assert costly.site.startswith(f"{__file__}:")


@pytest.mark.looptime
async def test_calls_that_are_tasks_of_their_own_are_not_taken_for_one_place() -> None:
    server = MemoryApiServer()
    async with server, Client(server.transport(), qps=None, strict=True) as client:

        async def all_pods() -> None:
            await client.list("v1/pods")

        for _ in range(2):
            await asyncio.create_task(client.list("v1/pods")._all())
            await asyncio.gather(all_pods())
        await asyncio.create_task(client.list("v1/pods")._all())
        with pytest.raises(
            CostlyListRefused, match=r"test_cost\.py:\d+ lists everything again and again \(3 times"
        ):
            await asyncio.gather(all_pods())


@pytest.mark.looptime
async def test_of_calls_without_a_place_many_are_told_of_and_none_is_refused() -> None:
    told: list[Event] = []
    server = MemoryApiServer()
    async with server, Client(server.transport(), qps=None, strict=True, observers=[told.append]) as client:
        for times, expected in ((9, []), (30, ["a task of its own"])):
            for _ in range(times):
                await asyncio.create_task(client.list("v1/pods")._all())
            assert [one.site for one in told if isinstance(one, CostlyList)] == expected
