"""Reads made once for all who ask at the same time: who shares what, and what becomes of each caller."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from kresilient.api.errors import FlowTimeout, LifecycleError, NotFound, api_error
from kresilient.flow.lanes import Lane, admission
from kresilient.flow.single_flight import Sending, SingleFlight

pytestmark = pytest.mark.looptime


class Place:
    """Something to read that others change. A read waits 1 s to be sent, then 1 s for its answer."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.flights: SingleFlight[str] = SingleFlight(self.spawn)
        self.value = "old"
        self.sent = self.begun = self.aborted = 0
        self.failure: Exception | None = None
        self.tries = 1

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def work(self, sending: Sending) -> str:
        self.begun += 1
        try:
            for last in range(self.tries - 1, -1, -1):
                await asyncio.sleep(1)
                sending()
                self.sent += 1
                value = self.value
                await asyncio.sleep(1)
                if not last:
                    if self.failure is not None:
                        raise self.failure
                    return value
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        raise AssertionError("unreachable")

    def ask(self, lane: Lane = Lane.READ, key: str = "a") -> asyncio.Task[str]:
        return asyncio.create_task(self.flights.call(key, self.work, lane=lane))


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    assert not place.tasks and not len(place.flights), "nothing is left behind"


async def test_all_who_ask_before_it_is_sent_share_one_read(place: Place) -> None:
    early = [place.ask() for _ in range(500)]
    await asyncio.sleep(0.9)
    late = [place.ask() for _ in range(500)]
    assert set(await asyncio.gather(*early, *late)) == {"old"}
    assert place.sent == 1


async def test_reads_of_other_things_are_not_shared(place: Place) -> None:
    await asyncio.gather(place.ask(key="a"), place.ask(key="b"))
    assert place.sent == 2


async def test_one_who_comes_after_it_was_sent_never_gets_the_answer_of_before(place: Place) -> None:
    first = place.ask()
    await asyncio.sleep(1.1)
    place.value = "new"
    late = [place.ask() for _ in range(1000)]
    assert await first == "old"
    assert set(await asyncio.gather(*late)) == {"new"}
    assert place.sent == 2


async def test_however_many_come_one_by_one_a_single_read_is_in_the_air(place: Place) -> None:
    reads = []
    for _ in range(200):
        reads.append(place.ask())
        await asyncio.sleep(0.05)
        assert len(place.tasks) == 1
    await asyncio.gather(*reads)
    assert place.sent == 6, "ten seconds, two for each"


async def test_a_further_try_is_of_those_too_who_came_during_the_first(place: Place) -> None:
    place.tries = 2
    first = place.ask()
    await asyncio.sleep(1.1)
    place.value = "new"
    assert await asyncio.gather(first, place.ask()) == ["new", "new"]
    assert (place.begun, place.sent) == (1, 2)


@pytest.mark.parametrize("when", [0.5, 1.5], ids=["before it is sent", "in the air"])
async def test_a_caller_that_is_cancelled_takes_the_read_from_no_other(place: Place, when: float) -> None:
    first, second = place.ask(), place.ask()
    await asyncio.sleep(when)
    first.cancel()
    assert await second == "old"
    assert first.cancelled() and (place.begun, place.sent) == (1, 1)


async def test_one_who_waits_for_the_next_read_and_leaves_does_not_end_this_one(place: Place) -> None:
    first = place.ask()
    await asyncio.sleep(1.1)
    late = place.ask()
    await asyncio.sleep(0.1)
    late.cancel()
    assert await first == "old"
    assert (place.begun, place.aborted) == (1, 0)


async def test_the_next_read_ends_with_the_last_of_those_who_waited_for_it(place: Place) -> None:
    first = place.ask()
    await asyncio.sleep(1.1)
    late = place.ask()
    await first
    await asyncio.sleep(0.5)
    assert (place.begun, len(place.tasks)) == (2, 1)
    late.cancel()
    await asyncio.sleep(0.1)
    assert not place.tasks and place.aborted == 1


@pytest.mark.parametrize("when", [0.0, 0.5, 1.5], ids=["at once", "before it is sent", "in the air"])
async def test_the_last_caller_that_is_cancelled_ends_the_read(place: Place, when: float) -> None:
    callers = [place.ask() for _ in range(3)]
    await asyncio.sleep(when)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await asyncio.sleep(0.1)
    assert all(caller.cancelled() for caller in callers)
    assert not place.tasks and place.aborted == place.begun


async def test_who_waits_for_the_next_read_does_not_wait_for_one_that_nobody_wants(place: Place) -> None:
    first = place.ask()
    await asyncio.sleep(1.1)
    second = place.ask()
    await asyncio.sleep(0.1)
    first.cancel()
    started = asyncio.get_running_loop().time()
    assert await second == "old"
    assert asyncio.get_running_loop().time() - started == pytest.approx(2.0)
    assert (place.sent, place.aborted) == (2, 1)


async def test_one_who_comes_while_a_read_is_being_dropped_gets_another(place: Place) -> None:
    first = place.ask()
    await asyncio.sleep(0.5)
    first.cancel()
    second = place.ask()  # runs before the cancelled work does
    assert await second == "old"
    assert (place.begun, place.aborted) == (2, 1)


async def test_an_error_reaches_all_and_each_has_its_own(place: Place) -> None:
    place.failure = api_error(404, b"", what="get v1/pods")
    place.failure.add_note("from the server")
    place.failure.__cause__ = cause = ValueError("why")
    place.failure.attempts = 3
    errors = await asyncio.gather(*(place.ask() for _ in range(100)), return_exceptions=True)
    assert len({id(error) for error in errors}) == 100
    first, *others = errors
    assert isinstance(first, NotFound)
    first.add_note("mine alone")
    for error in others:
        assert isinstance(error, NotFound)
        assert (error.code, str(error), error.attempts) == (404, str(place.failure), 3)
        assert error.__notes__ == ["from the server"] and error.__cause__ is cause
        assert len(traceback.extract_tb(error.__traceback__)) == len(
            traceback.extract_tb(first.__traceback__)
        )


async def test_errors_that_are_built_of_more_than_a_message_are_told_whole(place: Place) -> None:
    place.failure = FlowTimeout("not in time", lane="read", queued=7, expected=2.5)
    with pytest.raises(FlowTimeout, match=r"\Anot in time\Z") as caught:
        await place.ask()
    assert (caught.value.lane, caught.value.queued, caught.value.expected) == ("read", 7, 2.5)


async def test_a_bug_is_told_as_it_is(place: Place) -> None:
    place.failure = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    errors = await asyncio.gather(place.ask(), place.ask(), return_exceptions=True)
    assert errors == [place.failure, place.failure]


async def test_a_failure_before_anything_was_sent_is_that_of_all_who_came(place: Place) -> None:
    begun = 0

    async def refused(sending: Sending) -> str:
        nonlocal begun
        begun += 1
        await asyncio.sleep(1)
        raise LifecycleError("closed")

    calls = [place.flights.call("a", refused, lane=Lane.READ) for _ in range(50)]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(error, LifecycleError) for error in errors) and begun == 1


async def test_one_in_an_earlier_lane_does_not_wait_behind_a_later_one(place: Place) -> None:
    listed = place.ask(Lane.LIST)
    await asyncio.sleep(0.5)
    read = place.ask(Lane.READ)
    also = place.ask(Lane.LIST)  # shares what is before it
    await asyncio.gather(listed, read, also)
    assert place.begun == 2


async def test_one_who_was_overtaken_and_leaves_ends_his_own_read_alone(place: Place) -> None:
    listed = place.ask(Lane.LIST)
    await asyncio.sleep(0.5)
    read = place.ask(Lane.READ)
    await asyncio.sleep(0)
    listed.cancel()
    assert await read == "old"
    assert (place.begun, place.aborted) == (2, 1)


async def test_what_was_overtaken_and_ends_first_makes_no_room_for_another(place: Place) -> None:
    listed = place.ask(Lane.LIST)
    await asyncio.sleep(0.5)
    read = place.ask(Lane.READ)
    await listed
    late = place.ask(Lane.READ)
    await asyncio.sleep(0.1)
    assert len(place.tasks) == 1
    await asyncio.gather(read, late)


async def test_who_waited_for_what_was_overtaken_shares_what_overtook_it(place: Place) -> None:
    first = place.ask(Lane.LIST)
    await asyncio.sleep(1.1)
    second = place.ask(Lane.LIST)
    await asyncio.sleep(0.1)
    read = place.ask(Lane.READ)
    await asyncio.gather(first, second, read)
    assert place.begun == 2


async def test_the_lane_chosen_for_a_block_counts(place: Place) -> None:
    with admission(lane="list"):
        listed = place.ask(Lane.READ)
        await asyncio.sleep(0)
    read = place.ask(Lane.READ)
    await asyncio.gather(listed, read)
    assert place.begun == 2


async def test_who_sets_a_time_for_admission_asks_alone(place: Place) -> None:
    other = place.ask()
    await asyncio.sleep(0)
    with admission(within=5.0):
        await place.flights.call("a", place.work, lane=Lane.READ)
    await other
    assert place.begun == 2


async def test_the_read_is_made_in_the_context_of_one_who_wants_it(place: Place) -> None:
    asker: ContextVar[str] = ContextVar("asker")
    seen: list[str] = []

    async def work(sending: Sending) -> str:
        seen.append(asker.get())
        sending()
        await asyncio.sleep(1)
        return ""

    async def ask(name: str, lane: Lane, delay: float) -> None:
        asker.set(name)
        await asyncio.sleep(delay)
        await place.flights.call("a", work, lane=lane)

    await asyncio.gather(
        ask("first", Lane.READ, 0.0), ask("second", Lane.LIST, 0.1), ask("third", Lane.READ, 0.2)
    )
    assert seen == ["first", "third"]


@pytest.mark.parametrize("when", [0.0, 1.5], ids=["before it ran", "in the air"])
async def test_where_the_owner_ends_the_task_every_caller_is_told(place: Place, when: float) -> None:
    first = place.ask()
    await asyncio.sleep(when)
    late = place.ask()
    await asyncio.sleep(0)
    for task in place.tasks:
        task.cancel()
    for caller in (first, late):
        with pytest.raises(LifecycleError, match="closed"):
            await caller


async def test_a_caller_cancelled_in_the_very_turn_of_the_answer_keeps_it_from_no_other(
    place: Place,
) -> None:
    async def work(sending: Sending) -> str:
        sending()
        await asyncio.sleep(1)
        first.cancel()
        return "answer"

    first, second = (asyncio.create_task(place.flights.call("a", work, lane=Lane.READ)) for _ in range(2))
    assert await second == "answer"
    assert first.cancelled()
