"""The reflector: walks the ListWatch table (`states.py`) and alone writes the store.

It lists, swaps the list in, watches, and applies each event; whatever goes wrong becomes a signal, and the
table says what follows. It never asks the server for anything except through the door. Own writes are shown
over what it wrote (`overlay.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

from cachetools import LRUCache

from ..api.errors import ConnectionLost, KresilientError, LifecycleError, PoisonObject
from ..api.objects import KubeObject
from ..api.resources import Key
from ..api.versions import is_newer, is_older, later, version_number
from ..api.wire import Bookmark, Item, Poison, WatchDecoder, WatchError, WatchEvent, WatchFrame
from ..flow.backoff import RESET_AFTER, Backoff
from ..flow.lanes import unasked
from ..observe.events import (
    Listed,
    ObjectQuarantined,
    Observers,
    ReflectorMoved,
    Rewound,
    StaleEventIgnored,
)
from ..transport.base import Response
from .announcements import Announcements, Recipient
from .events import Source
from .freshness import Freshness
from .health import ReflectorHealth
from .intake import Intake
from .listwatch import ListResult, ListWatch, signal_of, signal_of_status
from .overlay import Change, Overlay
from .own_versions import OwnVersion
from .progress import Progress
from .silence import Silence
from .states import (
    Action,
    Closed,
    Cut,
    Elapsed,
    Expired,
    HistoryLost,
    ListDone,
    Listing,
    NotAList,
    NotNewer,
    OlderList,
    Pause,
    Poisoned,
    Proved,
    Proving,
    RelistDue,
    Replaced,
    Signal,
    Stalled,
    State,
    Step,
    Stop,
    Stopped,
    Strategy,
    StreamingFailed,
    Unreachable,
    Waiting,
    Watching,
    WentBack,
    WriteBehind,
    first_listing,
    first_state,
    step,
)
from .store import Store, Table, differences, same
from .suspicion import Suspicion
from .timing import Timing

__all__ = ["Reflector", "Sink"]

_ENDED: Final = str(2**64)
"""Above every version: of a uid whose delete was acknowledged there is nothing new."""

_RUN: Final = 200
"""Frames applied before those who are told of them, and everybody else, get a turn."""

_NOTHING: Final = OwnVersion()

_PATIENCE: Final = 20
"""Turns of the event loop that whoever is behind has to catch up after a run: he may be so for ever."""

_SLICE: Final = 1000
"""Differences computed or delivered before the event loop gets a turn."""


class Sink(Protocol):
    """Who is told of changes; it never blocks. The informer is one."""

    def listed(self, reflector: Reflector) -> None:
        """The first list is in the store."""

    def recipients(self) -> Sequence[Recipient]:
        """Where a change of the store as it is now has to go."""

    def behind(self) -> bool:
        """Whether somebody who is told of changes has much to catch up with."""

    def moved(self, reflector: Reflector) -> None:
        """The state, or the reason for it, is another."""


class Reflector:
    """Keeps one store equal to one list of the server. `run` it; cancel that to stop.

    Args:
        name: for events and messages: the resource, its namespace and selectors.
        store: what it writes; nobody else may.
        random: uniform in [0, 1).
        own: the own writes that its first list has to show.
        streaming: whether to ask for streaming lists at all.
    """

    def __init__(
        self,
        name: str,
        listwatch: ListWatch,
        store: Store,
        sink: Sink,
        *,
        intake: Intake,
        observe: Observers,
        random: Callable[[], float],
        timing: Timing | None = None,
        streaming: bool = True,
        own: OwnVersion = _NOTHING,
    ) -> None:
        self.name = name
        self.store = store
        self.rewound_at = -math.inf
        """The loop time as of which what is sent is of the history that it follows."""
        self.freshness = Freshness()
        self.health = ReflectorHealth(freshness=self.freshness)
        self._progress = Progress()
        self._overlay = Overlay(store)
        self.announcements = Announcements(sink.recipients)
        self._listwatch = listwatch
        self._sink = sink
        self._intake = intake
        self._observe = observe
        self._random = random
        self._timing = timing or Timing()
        self._clock = asyncio.get_running_loop().time
        self._backoff = Backoff(
            base=self._timing.backoff_base, cap=self._timing.backoff_cap, clock=self._clock, random=random
        )
        self._relist_pace = Backoff(
            base=self._timing.relist_base,
            cap=self._timing.relist_cap,
            reset_after=2 * self._timing.relist_cap,
            clock=self._clock,
            random=random,
        )
        self._streaming = streaming
        self._streaming_off_until = 0.0
        self._stall = self._timing.stall
        self._stalled = False  # nothing was heard since the last watch ended in silence
        self._expired_at: float | None = None
        self._relist_at: float | None = None
        self._since = own.version if own.told else ""
        self._missed = not own.told  # own writes, which the server's cache may lack
        self._relist_next = False  # the relist comes before the stall limit
        self._spread_at: float | None = None  # when an outage's spread last let it go
        self._probes = False  # it is this one's turn to find out whether the server is back
        self._yielding = True  # what it asks now is no probe: not to be sent once the server is away
        self._cause = ""  # the row that led to the list under way
        self._deleted: LRUCache[str, str] = LRUCache(4096)  # uid -> version of its delete
        self._stream: _Stream | None = None  # a streaming list that goes on as the watch
        self._silence: Silence | None = None  # runs while a watch is read
        self._heard = 0.0  # when a watch brought something last, or was opened
        self._suspicion = Suspicion()
        self._went_back = ""  # the proof that the history went back, until a list was accepted for it
        self._went_back_at = 0.0  # when that was asked for
        self._fresh: Table | None = None  # the list that was read and is not swapped in yet
        self._result = ListResult()
        self._list_started = 0.0
        self._delay = 0.0
        self._state: State = first_listing(streaming)

    @property
    def state(self) -> State:
        return self._state

    async def run(self) -> None:
        """Follow the server until cancelled. Cancelled: every connection is closed; the store stays."""
        jitter = self._timing.start_jitter > 0
        self._state = first_state(self._may_stream(), jitter=jitter, since=self._since)
        if isinstance(self._state, Waiting):
            self._delay = self._seconds(self._state)
        try:
            with unasked():  # it serves all who hold it, not the one that entered it first
                while not isinstance(self._state, Stopped):
                    await self._take(await self._perform(self._state))
        finally:
            self._enter(step(self._state, Stop(), streaming=False), Stop())
            self.end()
            await self._drop_stream()

    def end(self) -> None:
        """End all waits for a version: it goes no further. For when `run` was cancelled before it began."""
        self._progress.end(LifecycleError(f"the informer of {self.name} ended"))
        self._suspicion.end()

    # --- own writes ---

    def wrote(self, key: Key, uid: str, version: str, obj: KubeObject | None, *, sent: float) -> None:
        """Show a write, *sent* at a loop time, that was acknowledged: *obj* as it is kept, None where it is
        outside of the cache."""
        if self._notes_nothing():
            return
        self._show(self._overlay.wrote(key, uid, version, obj, sent=sent), Source.WRITE)

    def deleted(self, key: Key, uid: str, version: str, *, sent: float) -> None:
        """Show *uid* no more: its delete, *sent* at a loop time, was acknowledged; *version* is its last one,
        where that is known."""
        if self._notes_nothing():
            return
        # Behind a selector it may only have left, and have come back, or be about to.
        if uid not in self._deleted or self._listwatch.selective:
            self._show(self._overlay.deleted(key, uid, version, sent=sent), Source.WRITE)

    def _notes_nothing(self) -> bool:
        """Whether it waits to be allowed its first list: that may take for ever, and so may what is noted."""
        refused = not self.store.synced and self.health.denied and isinstance(self._state, Waiting)
        self._missed = self._missed or refused
        return refused

    def reaching(self, version: str) -> asyncio.Future[None]:
        """Done once what this follows has reached *version*, own writes apart, or at once where versions do
        not compare; it fails where the reflector ends before. Cancel it, or it waits for ever."""
        return self._progress.reaching(version, self.store.version)

    def base(self, key: Key) -> KubeObject | None:
        """What the server was last heard to have under *key*, without own writes."""
        return self._overlay.base(key)

    @property
    def seen(self) -> str:
        """The version that the server has certainly reached, be it by an own write alone."""
        return self._overlay.seen

    def suspect_rewind(self, reason: str) -> None:
        """An own write came back with a version below the cache's: look for proof when next watching."""
        self._suspicion.suspect(reason)
        if self._silence is not None:
            self._silence.look()

    def settled(self) -> asyncio.Future[None] | None:
        """Done once it is known whether the history went back, as is suspected; None where it is not. Cancel
        it, or it waits for ever."""
        return self._suspicion.settled()

    # --- the two halves of the loop: do what the state says; take the signal it ends in ---

    async def _perform(self, state: State) -> Signal:
        outage, asking = self._listwatch.outage, not isinstance(state, Waiting) and self._stream is None
        if asking and outage.lasts and not self._probes:
            return Unreachable(outage.reason)
        self._yielding, self._probes = not self._probes, False
        try:
            if isinstance(state, Listing):
                return await self._list(state)
            if isinstance(state, Watching):
                return await self._watch(state.version)
            if isinstance(state, Proving):
                return await self._prove(state.version)
        except KresilientError as error:
            await self._drop_stream()
            return signal_of(error, state if isinstance(state, Listing) else None)
        if isinstance(state, Waiting) and state.pause is Pause.OUTAGE:
            if await outage.turn(self._timing.spread):
                self._spread_at = self._clock()
                if outage.history_lost and isinstance(state.then, Watching):
                    return HistoryLost()
            self._probes = outage.lasts
        else:
            await asyncio.sleep(self._delay)
        return Elapsed()

    async def _take(self, signal: Signal) -> None:
        if isinstance(self._state, Watching):
            self._state = Watching(self.store.version)  # whatever ended the watch, it got this far
        if isinstance(signal, Expired) and isinstance(self._state, Watching):
            self._listwatch.outage.expired(self._timing.spread)
        taken = step(self._state, signal, streaming=self._may_stream())
        match taken.action:
            case Action.REPLACE | Action.REWIND:
                await self._swap_in(rewind=taken.action is Action.REWIND)
            case Action.STREAMING_OFF:
                self._streaming_off_until = self._clock() + self._timing.streaming_off
        self._enter(taken, signal)

    def _enter(self, taken: Step, signal: Signal) -> None:
        was, state = self._state, taken.state
        self._state, self._delay = state, 0.0
        if isinstance(state, Waiting):
            self._delay = self._seconds(state)
        left_watch = isinstance(was, Watching | Proving) and not isinstance(state, Watching)
        if left_watch or isinstance(signal, HistoryLost):
            self._cause = taken.row.name
        health = self.health
        health.state = type(state).__name__.lower()
        health.since = self._clock()
        if not isinstance(signal, Elapsed | HistoryLost):
            well = isinstance(signal, ListDone | OlderList | Proved | Stop)
            health.reason = "" if well else signal.reason
            if health.reason:
                health.last_error, health.last_error_at = health.reason, health.since
            health.denied = taken.action is Action.DENIED
            if health.denied and not self.store.synced and self._overlay.pending:
                self._overlay.forget()
                self._missed = True
        self._observe(ReflectorMoved(self.name, taken.row.name, health.state, self._delay, signal.reason))
        self._sink.moved(self)

    def _seconds(self, state: Waiting) -> float:
        timing = self._timing
        match state.pause:
            case Pause.SPREAD:
                return timing.small_jitter * self._random()
            case Pause.CAP:
                return timing.backoff_cap * (1.0 + self._random())
            case Pause.START:
                return timing.start_jitter * self._random()
            case Pause.OUTAGE:
                return 0.0
            case Pause.EXPIRED:
                now = self._clock()
                before, self._expired_at = self._expired_at, now
                if before is None or now - before > RESET_AFTER:
                    spread = self._spread_at is not None and now - self._spread_at <= timing.spread
                    window = timing.small_jitter if spread else timing.spread
                    return max(window * self._random(), state.floor)
        return self._backoff.delay(state.floor)

    def _may_stream(self) -> bool:
        return self._streaming and self._clock() >= self._streaming_off_until

    # --- lists ---

    async def _list(self, listing: Listing) -> Signal:
        if self._missed and not listing.most_recent:
            return OlderList("the server's cache may lack what was written before", "")
        table, self._fresh = self.store.new_table(), None
        self._result, self._list_started = ListResult(), self._clock()
        self._overlay.begin_list(consistent=listing.most_recent)
        # A cached list may well lack what was written before it was asked for; the most recent one cannot.
        seen = self._overlay.seen if listing.most_recent else listing.version
        if listing.strategy is Strategy.STREAM:
            failed = await self._read_streaming_list(listing, table)
            if failed is not None:
                await self._drop_stream()
                return failed
        else:
            async with aclosing(
                self._listwatch.pages(listing, self._result, yielding=self._yielding)
            ) as pages:
                async for items in pages:
                    self.freshness.heard(self._clock())
                    for item in items:
                        self._keep(item, table)
                    if not self._intake.idle:
                        await asyncio.sleep(0)  # more may be there already, and each piece takes its time
        self._fresh, self._relist_at = table, None
        self._backoff.healthy()
        self.freshness.heard(self._clock())
        version, seen = self._result.version, later(self.store.version, seen)
        if not version and version_number(seen) is not None:
            return NotAList(f"the list has no resourceVersion, where the cache stands at {seen}")
        if is_older(version, seen):
            return OlderList(f"the list is of version {version}, and {seen} was seen before", version)
        if self._went_back:  # and has come past what was seen since, with other objects
            return OlderList(self._went_back, version)
        return ListDone(version=version)

    async def _read_streaming_list(self, listing: Listing, table: Table) -> Signal | None:
        """Fill *table* until the end bookmark; the stream is kept for the watch. A signal where it failed."""
        timing, clock = self._timing, self._clock
        deadline = clock() + timing.streaming_limit
        stream = await self._open(listing.version, initial_events=self._result)
        try:  # it has a place in `lists`
            async with asyncio.timeout(timing.streaming_patience) as patience:
                async for chunk in stream.response.chunks():
                    self.freshness.heard(clock())
                    self._result.bytes += len(chunk)
                    grew = False
                    # All are cut out before any is kept: what is kept of one, if that is less, would go where
                    # one before it stood, and leave a hole that no other fits into.
                    frames = iter([*stream.decoder.feed(chunk)])
                    for frame in frames:
                        if isinstance(frame, WatchEvent):
                            if frame.type == "DELETED":
                                table.remove(frame.object.key)
                            else:
                                self._keep(frame.object, table)
                                grew = True
                        elif isinstance(frame, Bookmark):
                            if frame.initial_events_end:
                                self._result.version = frame.resource_version
                                self._result.wire_bytes = stream.response.wire_bytes
                                stream.rest = tuple(frames)
                                return None
                        elif isinstance(frame, WatchError):
                            return signal_of_status(frame.status, self.name, listing)
                        elif frame.deleted and frame.key:
                            table.remove(frame.key)
                            self._set_aside(frame)
                        else:
                            self._keep(frame, table)
                            grew = True
                    if not self._intake.idle:
                        await asyncio.sleep(0)
                    if grew:
                        patience.reschedule(min(clock() + timing.streaming_patience, deadline))
        except TimeoutError:
            return StreamingFailed(
                f"a streaming list showed no end bookmark ({len(table.objects)} objects came): "
                "does the server have WatchList?"
            )
        finally:
            self._listwatch.lists.release()
        return StreamingFailed("a streaming list ended without its end bookmark")

    def _keep(self, item: Item, table: Table) -> None:
        """Put one item of a list into *table*; poison is set aside beside the last good state."""
        if isinstance(item, KubeObject):
            key = item.key
            try:
                kept = item if self._intake.idle else self._intake(item)
            except PoisonObject as error:
                item = Poison.of(key, error)
            else:
                table.adopt(key, kept, self.store.table)
                return
        if not item.key:
            table.nameless = True
        else:
            if (last := self.store.table.objects.get(item.key)) is not None:
                table.put(item.key, last)
            table.quarantined[item.key] = item.error
        self._set_aside(item)

    async def _swap_in(self, *, rewind: bool) -> None:
        table, self._fresh = self._fresh, None
        assert table is not None
        store, result, first = self.store, self._result, not self.store.synced
        changes: dict[Key, Change] = {}
        if not first:
            if table.nameless:
                for key, held in store.table.objects.items():
                    if key not in table.objects:
                        table.put(key, held)
            await self._compare(table, changes)
        # No other task has a turn from here on until readers see the new table.
        seen = self._overlay.seen
        written, self._overlay.touched = self._overlay.touched or set(), None
        if rewind:  # what was sent since is of the history that the list is of
            self.rewound_at = self._went_back_at if self._went_back else result.begun
            written |= self._overlay.forget(since=self.rewound_at)
        written |= self._overlay.rebase(table, result.version)
        if not first:
            for key in written:
                changes.pop(key, None)
                before, after = store.table.objects.get(key), table.objects.get(key)
                if before is None or after is None or not same(before, after):
                    if before is not after:
                        changes[key] = Change(key, before, after)
                else:
                    table.objects[key] = before
        if table.nameless:
            self._schedule_relist()
        recipients = self._sink.recipients()
        store.swap(table, result.version)
        self.health.resource_version = result.version
        self._progress.at(result.version)
        if rewind:
            self.health.rewinds += 1
            self._deleted.clear()
            self._went_back = ""
            self._suspicion.settle()
            self._observe(Rewound(self.name, seen, result.version))
        consistent = isinstance(self._state, Listing) and self._state.most_recent
        if consistent:
            self._suspicion.refuted()  # where it was none: what was seen before is in it
        self.freshness.replaced(result.version, consistent_since=result.begun if consistent else None)
        if first:
            self._missed = False
            self._sink.listed(self)
        else:
            self.health.relists[self._cause] = self.health.relists.get(self._cause, 0) + 1
        added = len(table.objects) if first else sum(one.before is None for one in changes.values())
        deleted = sum(one.after is None for one in changes.values())
        self._observe(
            Listed(
                self.name,
                str(self._state.strategy) if isinstance(self._state, Listing) else "",
                result.version,
                len(table.objects),
                added,
                0 if first else len(changes) - added - deleted,
                deleted,
                result.bytes,
                result.wire_bytes,
                self._clock() - self._list_started,
            )
        )
        self.announcements.relisted(changes, recipients)
        for count, key in enumerate(tuple(changes), 1):
            self.announcements.tell_relisted(key)
            if not count % _SLICE:
                await asyncio.sleep(0)

    async def _compare(self, table: Table, changes: dict[Key, Change]) -> None:
        """Fill *changes* with what *table* has otherwise; others have turns meanwhile, and may write."""
        self._overlay.touched = set()
        for difference in differences(self.store.table, table, pause_every=_SLICE):
            if difference is None:
                await asyncio.sleep(0)
            else:
                changes[difference[0]] = Change(*difference)

    # --- watches ---

    async def _prove(self, version: str) -> Signal:
        seen = later(version, self._overlay.seen)
        newest = await self._listwatch.newest(yielding=self._yielding)
        self.freshness.heard(self._clock())
        if is_older(newest.version, seen):
            self._went_back_at = newest.begun
            self._went_back = f"the server was at version {newest.version}, and {seen} was seen before"
            return WentBack(self._went_back)
        self.freshness.shown(newest.version, newest.begun)
        # The silence was harmless: be slower to suspect it, but no slower than the watch's own end.
        self._stall = min(2 * self._stall, self._timing.watch_lifetime[1] + self._timing.stall)
        self._stalled = False
        self._suspicion.refuted()
        return Proved()

    async def _open(self, version: str, *, initial_events: ListResult | None = None) -> _Stream:
        await self._drop_stream()
        least, most = self._timing.watch_lifetime
        response = await self._listwatch.watch(
            version,
            lifetime=least + (most - least) * self._random(),
            answer_within=self._stall + 5.0,
            initial_events=initial_events,
            yielding=self._yielding,
        )
        self._stream = _Stream(response, WatchDecoder())
        self.freshness.heard(self._clock())
        self._backoff.healthy()
        return self._stream

    async def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.response.close()

    async def _watch(self, version: str) -> Signal:
        listed = self._stream is not None  # a streaming list has shown that it lives
        if self._suspicion.raised:
            await self._drop_stream()
            return self._silent()
        # Opening may wait for admission, which is no silence of the server's.
        stream = self._stream or await self._open(version)
        self._recovered()  # the server took the watch; a quiet one may show no frame for long
        clock, due = self._clock, self._overlay.seen
        started = self._heard = clock()

        def lived() -> bool:
            """Whether it brought something, or lasted: a blank line is neither."""
            return listed or self.store.version != version or clock() - started >= self._timing.lived

        def unseen() -> WriteBehind | None:
            """It lasted, and did not get to what was written before it began."""
            if clock() - started < self._timing.stall or not is_older(self.store.version, due):
                return None
            return WriteBehind(f"the watch never got to version {due} of an own write")

        try:
            async with Silence(self._silence_due) as self._silence:
                if (ending := await self._receive_all(stream.rest)) is not None:
                    return ending
                stream.rest = ()
                async for chunk in stream.response.chunks():
                    self._heard = now = clock()
                    self.freshness.heard(now)
                    if not stream.heard:
                        stream.heard = True
                        self._stalled, self._stall = False, self._timing.stall
                        self._silence.look()
                    if (ending := await self._receive_all(stream.decoder.feed(chunk))) is not None:
                        return ending
                if not stream.heard and clock() - started >= self._timing.stall:
                    return self._silence_ended()
                if stream.decoder.cut:
                    return Cut("the stream ended in the middle of a frame", lived(), self.store.version)
                if (behind := unseen()) is not None:
                    return behind
                reason = "" if lived() else "the watch ended at once"
                return Closed(reason, lived(), self.store.version)
        except TimeoutError:
            return self._silent()
        except ConnectionLost as error:
            return unseen() or Cut(str(error), lived(), self.store.version)
        finally:
            self._silence = None
            await self._drop_stream()

    def _recovered(self) -> None:
        if self.health.reason or self.health.denied:
            self.health.reason, self.health.denied = "", False
            self._sink.moved(self)

    def _silence_due(self) -> float:
        """Loop time at which a watch is given up, if it stays silent until then."""
        if self._suspicion.raised:
            return self._clock()
        stall = self._heard + self._stall
        self._relist_next = self._relist_at is not None and self._relist_at <= stall
        return self._relist_at if self._relist_at is not None and self._relist_next else stall

    def _silent(self) -> Signal:
        """Why the time of a watch ran out."""
        if (suspected := self._suspicion.take()) is not None:
            return suspected
        if self._relist_next:
            self._relist_at, self._relist_next = None, False
            return RelistDue("to repair what poison may hide")
        return self._silence_ended()

    def _silence_ended(self) -> Signal:
        again, self._stalled = self._stalled, True
        expected = self._stall > self._timing.stall  # it was proved harmless before
        return Stalled("" if expected else "nothing came, not even a bookmark", again, self.store.version)

    async def _receive_all(self, frames: Iterable[WatchFrame]) -> Signal | None:
        """Apply *frames*, in runs after each of which others have a turn; a signal where one ends the stream.

        Whoever is told of changes and is behind has some turns more, and the server waits meanwhile: handlers
        that never wait would else be outrun by as much as their events cost more than to read them.

        Cancelled: those before are applied, and told of.
        """
        frames, announcements, more = iter(frames), self.announcements, True
        while more:
            left = _RUN
            announcements.hold()
            try:
                for frame in frames:
                    if (ending := self._receive(frame)) is not None:
                        return ending
                    left -= 1
                    if not left:
                        break
                else:
                    more = False
            finally:
                announcements.release()
                self._reached(self.store.version)
            turns = 0
            while turns < _PATIENCE and (self._sink.behind() or (more and not turns)):
                await asyncio.sleep(0)
                turns += 1
        return None

    def _receive(self, frame: WatchFrame) -> Signal | None:
        """Apply one frame; a signal where it ends the stream."""
        if isinstance(frame, WatchEvent):
            try:
                self._apply(frame)
            except PoisonObject as error:  # it does not fit here: no list would mend that
                poison = Poison.of(frame.object.key, error)
                self.store.table.quarantined[poison.key] = poison.error
                self._set_aside(poison)
            self._advance(frame.object.meta.resource_version)
            return None
        if isinstance(frame, Bookmark):
            self._advance(frame.resource_version)
            return None
        if isinstance(frame, WatchError):
            return signal_of_status(frame.status, self.name, None)
        table = self.store.table
        if frame.deleted and frame.key:
            self._show(self._overlay.remove(frame.key), Source.WATCH)
        elif frame.key:
            table.quarantined[frame.key] = frame.error
        else:
            table.nameless = True
        self._set_aside(frame)
        self._schedule_relist()
        return None

    def _schedule_relist(self) -> None:
        if self._relist_at is None:
            self._relist_at = self._clock() + self._relist_pace.delay()
            if self._silence is not None:
                self._silence.look()

    def _advance(self, version: str) -> None:
        self.store.version = reached = later(version, self.store.version)
        if self._overlay.settles:
            for change in self._overlay.advance(reached):
                self._show(change, Source.WATCH)

    def _reached(self, version: str) -> None:
        """Whoever waits for *version* may go on."""
        self.health.resource_version = version
        self._progress.at(version)
        self.freshness.reached(version)

    def _apply(self, event: WatchEvent) -> None:
        """Apply one event to the store and deliver it.

        Raises `PoisonObject` where the object cannot be kept; the store is unchanged then.
        """
        obj = event.object
        key, meta = obj.key, obj.meta
        held = self._overlay.base(key)
        if held is None:
            stale = not is_newer(meta.resource_version, self._deleted.get(meta.uid, ""))
        elif event.type == "DELETED" and held.meta.uid == meta.uid:
            stale = is_older(meta.resource_version, held.meta.resource_version)
        else:
            stale = not is_newer(meta.resource_version, held.meta.resource_version)
        if stale:
            self._mark(NotNewer())
            self.health.ignored += 1
            self._observe(StaleEventIgnored(self.name, key, meta.resource_version))
        elif event.type == "DELETED":
            # It may have left the selector only, to return before its end.
            self._deleted[meta.uid] = _ENDED if self._overlay.is_gone(meta.uid) else meta.resource_version
            self._show(self._overlay.remove(key, meta.uid, meta.resource_version), Source.WATCH, last=obj)
        else:
            kept = obj if self._intake.idle else self._intake(obj)
            if held is not None and held.meta.uid != meta.uid:
                self._mark(Replaced())
            self._show(self._overlay.put(key, kept), Source.WATCH)

    def _show(self, change: Change | None, source: Source, *, last: KubeObject | None = None) -> None:
        """Deliver *change*; *last* is the object of a DELETED event as it came."""
        if change is None:
            return
        key, before, after = change.key, change.before, change.after
        if before is not None and after is not None and before == after:
            return
        if last is not None and after is None and before is not None and last.meta.uid == before.meta.uid:
            last = self._last(last, before)
        else:
            last = None
        self.announcements.tell(key, before, after, source, last=last)

    def _last(self, last: KubeObject, held: KubeObject) -> KubeObject:
        """The last state known of an object that was deleted as *last*."""
        if self._intake.idle:
            return last
        try:
            return self._intake(last)
        except PoisonObject:
            return held

    def _set_aside(self, poison: Poison) -> None:
        self.health.poisoned += 1
        self._mark(Poisoned())
        self._observe(ObjectQuarantined(self.name, poison.key, str(poison.error)))

    def _mark(self, signal: Signal) -> None:
        """Check a signal that changes no state against the table."""
        assert step(self._state, signal, streaming=False).state is self._state


@dataclass(slots=True)
class _Stream:
    """An open watch, and frames that were cut out of it but not received yet."""

    response: Response
    decoder: WatchDecoder
    heard: bool = False
    rest: Iterable[WatchFrame] = ()
