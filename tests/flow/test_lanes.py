"""Which lane a request waits in, and how a caller chooses another."""

from __future__ import annotations

import asyncio

import pytest

from kresilient import verbs
from kresilient.api.errors import ConfigError
from kresilient.api.resources import Resource
from kresilient.flow.lanes import Admission, Lane, admission, current_admission, lane_of
from kresilient.transport.base import Request

LEASES = "coordination.k8s.io/v1/leases"


def request(verb: str, resource: str, method: str = "GET", **query: str) -> Request:
    return Request(method, "/x", tuple(query.items()), verb=verb, resource=resource)


@pytest.mark.parametrize(
    ("verb", "resource", "lane"),
    [
        ("get", "v1/pods", Lane.READ),
        ("watch", "v1/pods", Lane.READ),
        ("list", "v1/pods", Lane.LIST),
        ("create", "v1/pods", Lane.WRITE),
        ("update", "v1/pods/status", Lane.WRITE),
        ("patch", "apps/v1/deployments/scale", Lane.WRITE),
        ("delete", "v1/pods", Lane.WRITE),
        ("deletecollection", "v1/pods", Lane.WRITE),
        ("get", LEASES, Lane.LEASE),
        ("create", LEASES, Lane.LEASE),
        ("update", LEASES, Lane.LEASE),
        ("patch", LEASES, Lane.LEASE),
        ("watch", LEASES, Lane.READ),
        ("list", LEASES, Lane.LIST),
        ("deletecollection", LEASES, Lane.WRITE),
        ("update", "example.com/v1/leases", Lane.WRITE),
    ],
)
def test_the_lane_by_verb_and_resource(verb: str, resource: str, lane: Lane) -> None:
    assert lane_of(request(verb, resource)) is lane


def test_a_streaming_list_is_a_list() -> None:
    assert lane_of(request("watch", "v1/pods", sendInitialEvents="true")) is Lane.LIST


@pytest.mark.parametrize(("method", "lane"), [("GET", Lane.READ), ("HEAD", Lane.READ), ("POST", Lane.WRITE)])
def test_an_unknown_verb_goes_by_its_method(method: str, lane: Lane) -> None:
    assert lane_of(request("proxy", "v1/services/proxy", method)) is lane


def test_the_verbs_of_the_client_have_lanes() -> None:
    lease = Resource.parse(LEASES)
    body = {"metadata": {"name": "a", "namespace": "default"}}
    renewal = verbs.update(lease, body, None, verbs.WriteOptions())
    assert lane_of(renewal.request) is Lane.LEASE
    assert lane_of(verbs.get(lease, "default/a")) is Lane.LEASE


def test_a_caller_chooses_a_lane_and_a_time_and_inner_blocks_add_to_outer_ones() -> None:
    assert current_admission() == Admission()
    with admission(lane="list"):
        assert current_admission() == Admission(Lane.LIST, None)
        with admission(within=2.0):
            assert current_admission() == Admission(Lane.LIST, 2.0)
        with admission(lane=Lane.WRITE, within=0.0):
            assert current_admission() == Admission(Lane.WRITE, 0.0)
        assert current_admission() == Admission(Lane.LIST, None)
    assert current_admission() == Admission()


async def test_tasks_started_in_the_block_inherit_it_and_others_do_not() -> None:
    async def seen() -> Admission:
        await asyncio.sleep(0)
        return current_admission()

    before = asyncio.create_task(seen())
    with admission(lane="lease"):
        inside = asyncio.create_task(seen())
    assert await inside == Admission(Lane.LEASE, None)
    assert await before == Admission()


def test_a_lane_that_does_not_exist_is_named_with_those_that_do() -> None:
    with (
        pytest.raises(ConfigError, match="no lane 'fast'; there are lease, write, read, list"),
        admission(lane="fast"),
    ):
        pass


@pytest.mark.parametrize("within", [-1.0, float("nan")])
def test_a_time_below_nothing_is_refused(within: float) -> None:
    with pytest.raises(ConfigError, match="within"), admission(within=within):
        pass
