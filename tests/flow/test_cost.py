"""The guard on cost: what it takes for polling, whom it names, and how often it says so."""

from __future__ import annotations

import asyncio

import pytest

from kresilient.api.errors import CostlyListRefused
from kresilient.client import Client
from kresilient.flow.cost import CostGuard
from kresilient.observe.counts import CostlyLists
from kresilient.observe.events import CostlyList, Event, Observers
from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request


def listing(path: str = "/api/v1/pods", *, resource: str = "v1/pods", **query: str) -> Request:
    return Request("GET", path, tuple(query.items()), verb="list", resource=resource)


def pods_in(namespace: str, **query: str) -> Request:
    return listing(f"/api/v1/namespaces/{namespace}/pods", **query)


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
        (1.0, listing(limit="1")),
        (121.0, pods_in("default")),
        (1.0, pods_in("default", labelSelector="a=b")),
        (1.0, pods_in("default", **{"continue": "t"})),
        (1.0, listing("/apis/storage.k8s.io/v1/storageclasses", resource="storage.k8s.io/v1/storageclasses")),
        (1.0, listing("/api/v1/namespaces/default/limitranges", resource="v1/limitranges")),
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


def test_a_limit_that_pages_is_no_look_at_a_few() -> None:
    one = Guarded()
    one.poll(3, 1.0, listing(limit="500"))
    assert len(one.told) == 1


def test_the_limit_ranges_of_all_namespaces_are_not_few() -> None:
    one = Guarded()
    one.poll(3, 1.0, listing("/api/v1/limitranges", resource="v1/limitranges"))
    assert len(one.told) == 1


def test_a_poll_of_one_namespace_is_told_once_with_the_informer_of_that_namespace() -> None:
    one = Guarded()
    one.poll(50, 30.0, pods_in("default"))
    (told,) = one.told
    assert isinstance(told, CostlyList)
    assert told.instead == 'client.informer("v1/pods", namespaces=["default"])'


def test_one_loop_over_all_namespaces_is_no_poll() -> None:
    one = Guarded(strict=True)
    for number in range(200):
        one.guard.check(pods_in(f"n{number}"))
        one.now += 0.1
    assert one.told == []


@pytest.mark.parametrize(
    ("namespaces", "instead"),
    [
        (2, 'client.informer("v1/pods", namespaces=["n0", "n1"])'),
        (50, 'client.informer("v1/pods")'),
        (2000, 'client.informer("v1/pods")'),
    ],
)
def test_a_loop_over_namespaces_that_begins_again_is_one_poll(namespaces: int, instead: str) -> None:
    one = Guarded()
    for _ in range(5):
        for number in range(namespaces):
            one.guard.check(pods_in(f"n{number}"))
        one.now += 30.0
    (told,) = one.told
    assert isinstance(told, CostlyList) and told.instead == instead


def test_a_place_that_goes_on_to_other_namespaces_is_told_of_what_it_polls_then() -> None:
    one = Guarded()
    for number in range(20):
        one.guard.check(pods_in(f"old{number}"))
    one.now += 121.0
    for _ in range(3):
        one.guard.check(pods_in("new"))
        one.now += 1.0
    (told,) = one.told
    assert isinstance(told, CostlyList)
    assert told.instead == 'client.informer("v1/pods", namespaces=["new"])'


def test_the_namespaces_themselves_are_in_none() -> None:
    one = Guarded()
    one.poll(3, 1.0, listing("/api/v1/namespaces", resource="v1/namespaces"))
    (told,) = one.told
    assert isinstance(told, CostlyList) and told.instead == 'client.informer("v1/namespaces")'


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
        one.guard.check(listing("/api/v1/nodes", resource="v1/nodes"))
    assert one.told == []


def test_no_number_of_places_makes_it_grow() -> None:
    one = Guarded()
    for number in range(3000):
        one.guard.check(listing(f"/apis/g{number}/v1/things", resource=f"g{number}/v1/things"))
        one.guard.check(pods_in(f"n{number}"))
    assert len(one.guard._places) == 1024
    assert max(len(place.rows) for place in one.guard._places.values()) == 8


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


def test_strict_refuses_the_poll_of_a_namespace_and_names_it() -> None:
    one = Guarded(strict=True)
    with pytest.raises(CostlyListRefused, match=r'everything in web again.*namespaces=\["web"\]\) instead'):
        one.poll(3, 1.0, pods_in("web"))


def test_what_was_told_of_is_counted_by_resource_and_the_count_does_not_grow_without_bound() -> None:
    counts = CostlyLists()
    for _ in range(2):
        counts(CostlyList("v1/pods", "a.py:1", 1.0, "…"))
    before = counts.by_resource
    for number in range(1000):
        counts(CostlyList(f"g{number}/v1/things", "a.py:2", 1.0, "…"))
    assert before == {"v1/pods": 2}
    assert len(counts.by_resource) == 257 and counts.by_resource["others"] == 1000 - 255
    assert counts.by_resource["v1/pods"] == 2


@pytest.mark.looptime
async def test_the_client_counts_the_places_that_poll() -> None:
    server = MemoryApiServer()
    async with server, Client(server.transport(), qps=None) as client:
        assert client.health.costly_lists == {}
        for _ in range(10):
            await client.list("v1/pods")
            await client.list("v1/pods", namespace="default")
            await client.list("v1/nodes")
        assert client.health.costly_lists == {"v1/pods": 2, "v1/nodes": 1}


@pytest.mark.looptime
async def test_the_pages_of_one_list_are_one_list() -> None:
    server = MemoryApiServer()
    for number in range(50):
        server.create("v1/configmaps", {"metadata": {"name": f"c{number}", "namespace": "default"}})
    async with server, Client(server.transport(), qps=None, strict=True) as client:
        assert len(await client.list("v1/configmaps", page_size=11)) == 50
        assert client.health.costly_lists == {}


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
