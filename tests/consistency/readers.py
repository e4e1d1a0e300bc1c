"""One informer and its handlers, and what must hold of everything they show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from kresilient.api.errors import PoisonObject
from kresilient.api.resources import split_key
from kresilient.cache.events import Event, EventType, Source
from kresilient.cache.informer import Informer
from kresilient.cache.reflector import Reflector
from kresilient.cache.subscription import EventStream, Subscription

from .scopes import KEYS, Scope, by_label, shown
from .timeline import Positions, Timeline, Truth

SPOILT: Final = object()
"""What is shown of an object that does not decode."""


class Reader:
    """An informer that is looked at: each key only ever goes forward along its timeline, until the cache
    announces that the server went back."""

    def __init__(
        self, scope: Scope, informer: Informer[Any], timeline: Timeline, own: Callable[[str, int], bool]
    ) -> None:
        self.scope = scope
        self.informer = informer
        self.timeline = timeline
        self.own = own
        self.handlers: list[Handler] = []
        assert informer._shared is not None, "enter it first"
        self._shared = informer._shared
        self._rewinds = dict.fromkeys(self._shared.reflectors, 0)
        self.positions: dict[str, Positions] = {key: {timeline.now: 0} for key in KEYS}
        self.announced: dict[str, int] = {}
        """Which epochs it has said that there are, beyond the first."""
        self._gone: set[str] = set()
        self._synced = False

    @property
    def reflectors(self) -> list[Reflector]:
        return list(self._shared.reflectors.values())

    @property
    def rewinds(self) -> int:
        """How often it said that the server went back."""
        return sum(self._rewinds.values())

    @property
    def unconfirmed(self) -> int:
        """Own writes that stand over what the server's lists and watches have brought, deletes apart."""
        return sum(len(reflector._overlay._own) for reflector in self.reflectors)

    def reflector_of(self, key: str) -> Reflector | None:
        if self._shared.options.namespaces is None:
            return self._shared.reflectors[None]
        return self._shared.reflectors.get(split_key(key)[0])

    def reached(self, reflector: Reflector) -> int:
        """The highest version of which *reflector* is known to have shown something."""
        return max(
            (max(self.positions[key].values()) for key in KEYS if self.reflector_of(key) is reflector),
            default=0,
        )

    def version(self, key: str) -> str:
        """The version of what it has under *key*, `""` where there is nothing."""
        reflector = self.reflector_of(key)
        if reflector is None or not reflector.store.synced:
            return ""
        held = reflector.store.table.objects.get(key)
        return "" if held is None else held.resource_version

    def add_handler(self, **options: Any) -> Handler:
        handler = Handler(self, len(self.handlers), **options)
        self.handlers.append(handler)
        return handler

    # --- what is checked ---

    def check(self) -> None:
        """Everything that can be read now."""
        self.notice_rewinds()
        if not self.informer.has_synced:
            assert not self._synced, f"{self.scope.name} had synced, and says it has not"
            return
        self._synced = True
        self._check_order()
        self._check_indexes()
        for key in KEYS:
            self.check_key(key)

    def check_key(self, key: str) -> None:
        """That what is shown of *key* is no less than what was shown, or written, before."""
        self.notice_rewinds()
        if not self.informer.has_synced or self.reflector_of(key) is None:
            return
        state, before = self._state(key), self.positions[key]
        if state is SPOILT:  # at a version that it does not tell, so perhaps before an own write
            assert self.timeline.was_spoilt(self._track(key)), f"{self.scope.name} sets {key} aside"
            return
        assert state is None or state["metadata"]["uid"] not in self._gone, (
            f"{self.scope.name} shows {_brief(state)} of {key}, which we deleted"
        )
        reached = self.timeline.advance(self._track(key), before, lambda truth: self.fits(truth, state))
        assert reached, (
            f"{self.scope.name} shows {_brief(state)} of {key} after it was at {before}; "
            f"it happened: {self.timeline.told(self._track(key))}"
        )
        self.positions[key] = reached

    def owes(self, key: str, version: int, *, ended: bool, gone: str = "", excused: bool = False) -> None:
        """An own write was acknowledged: *key* must not show less than *version* from now on.

        But where the cache stands at a version that the server, which went back, has not reached again, and
        is *excused*: it has to notice that first. And where a delete was answered without an object, only its
        uid is known to be *gone*: whatever comes under another one may be older or newer. Where the write
        *ended* an object, the cache may take what it showed under that key for gone as well, though it has
        not noticed yet that the server went back.
        """
        reflector, now = self.reflector_of(key), self.timeline.now
        if reflector is None:
            return
        if ended:
            self.positions[key].setdefault(now, version)
            self.announced[key] = now
        if excused and reflector.store.synced and int(reflector.seen) > self.timeline.version:
            return
        if gone:
            self._gone.add(gone)
            return
        self.positions[key] = {now: max(version, self.positions[key].get(now, 0))}

    def told(self, key: str, positions: Positions) -> None:
        """A handler was told of *key*: the cache must be as far already."""
        before = self.positions[key]
        common = {
            epoch: max(version, before[epoch]) for epoch, version in positions.items() if epoch in before
        }
        if common:
            self.positions[key] = common
        self.check_key(key)

    def notice_rewinds(self) -> None:
        """Where the cache announced that the server went back, it may show less than it did."""
        for namespace, reflector in self._shared.reflectors.items():
            rewinds = reflector.health.rewinds
            if rewinds == self._rewinds[namespace]:
                continue
            assert rewinds <= self.timeline.now, f"{self.scope.name}: the server did not go back so often"
            self._rewinds[namespace] = rewinds
            self._gone.clear()
            for key in KEYS:
                if self.reflector_of(key) is not reflector:
                    continue
                oldest = min(self.positions[key])
                anew = dict.fromkeys(range(oldest + 1, self.timeline.now + 1), 0)
                if not anew:
                    continue  # what it shows is of after: it was undone under another key
                # A header without a name may be that of any object that the list seems to lack.
                kept = self.positions[key] if self._may_be_nameless() else {}
                self.positions[key] = kept | anew
                self.announced[key] = self.timeline.now

    def holds(self) -> dict[str, Any]:
        """What it shows now."""
        return {obj.key: shown(obj) for obj in self.informer.list()}

    def expected(self) -> dict[str, Any]:
        """What it would show if it were up to date."""
        return {
            key: kept
            for key in KEYS
            if self.reflector_of(key) is not None
            and not self.is_spoilt(key)
            and (kept := self.scope.expected(self.timeline.held(self._track(key)))) is not None
        }

    def is_spoilt(self, key: str) -> bool:
        """Whether the server holds an object of *key* that does not decode."""
        truth = self.timeline.held(self._track(key))
        return truth is not None and truth.spoilt

    def _may_be_nameless(self) -> bool:
        spoilt = any(self.timeline.was_spoilt(self._track(key)) for key in KEYS)
        return spoilt and "metadata_only" in self.scope.options

    def _track(self, key: str) -> tuple[str, str]:
        return self.scope.plural, key

    def _state(self, key: str) -> Any:
        try:
            return shown(self.informer.get(key))
        except PoisonObject:
            return SPOILT

    def fits(self, truth: Truth | None, state: Any) -> bool:
        """Whether it may show *state* where the server holds *truth*."""
        if truth is not None and truth.spoilt:  # who knows whether its selector would have it, or its name?
            return state is None and (self.scope.selective or "metadata_only" in self.scope.options)
        return bool(self.scope.expected(truth) == state)

    def _check_order(self) -> None:
        informer, name = self.informer, self.scope.name
        listed = informer.list()
        keys = [obj.key for obj in listed]
        assert keys == sorted(set(keys)) == informer.keys(), f"{name} lists {keys}, keys {informer.keys()}"
        assert len(informer) == len(keys), f"{name} has {len(informer)} objects and lists {len(keys)}"
        assert all(key in informer for key in keys)
        for obj in listed:
            state = self._state(obj.key)
            assert state is SPOILT or state == shown(obj), f"{name} gets and lists another {obj.key}"
        for place in self._shared.options.namespaces or {key.partition("/")[0] for key in KEYS}:
            there = [key for key in keys if key.startswith(f"{place}/")]
            assert informer.keys(namespace=place) == there
            assert [obj.key for obj in informer.list(namespace=place)] == there

    def _check_indexes(self) -> None:
        informer = self.informer
        for index in self.scope.options.get("index", ()):
            filed: dict[Any, list[str]] = {}
            for obj in informer.list():
                values = by_label(obj) if index == "app" else [obj.field("spec.nodeName")]
                for value in values:
                    if value is not None:
                        filed.setdefault(value, []).append(obj.key)
            assert set(informer.index_values(index)) == set(filed), f"{self.scope.name}: values of {index}"
            for value, keys in filed.items():
                assert [obj.key for obj in informer.by_index(index, value)] == keys, (
                    f"{self.scope.name}: {index}={value}"
                )

    def __repr__(self) -> str:
        return f"<reader of {self.scope.name}>"


class Handler:
    """A handler and the fold of its events: each leads from what it saw last to a later state of its key.

    Args:
        seconds: that it needs for each event.
        max_backlog, concurrency: of its subscription.
        raises: every third event, after it has taken note of it.
        pulled: it pulls from `events()`.
    """

    def __init__(
        self,
        reader: Reader,
        number: int,
        *,
        seconds: float = 0.0,
        max_backlog: int = 1000,
        concurrency: int = 1,
        raises: bool = False,
        pulled: bool = False,
    ) -> None:
        self.reader = reader
        self.name = f"handler {number} of {reader.scope.name}"
        self.fold: dict[str, Any] = {}
        self.positions: dict[str, Positions] = {
            key: dict.fromkeys(range(reader.timeline.now + 1), 0) for key in KEYS
        }
        self._seconds, self._raises = seconds, raises
        self._running: set[str] = set()
        self._count = 0
        self.wrong: AssertionError | None = None
        self._feed: EventStream[Any] | Subscription[Any]
        self.pulling: asyncio.Task[None] | None = None
        if pulled:
            self._feed = reader.informer.events(max_backlog=max_backlog)
            self.pulling = asyncio.create_task(self._pull(self._feed))
        else:
            self._feed = reader.informer.add_handler(
                on_event=self._take, max_backlog=max_backlog, concurrency=concurrency
            )

    async def _pull(self, events: EventStream[Any]) -> None:
        async for event in events:
            await self._take(event)

    async def _take(self, event: Event[Any]) -> None:
        try:
            assert event.key not in self._running, f"{self.name} was given two events of {event.key} at once"
            self._check(event)
        except AssertionError as error:
            self.wrong = self.wrong or error
        self._running.add(event.key)
        try:
            if self._seconds:
                await asyncio.sleep(self._seconds)
        finally:
            self._running.discard(event.key)
        self._count += 1
        if self._raises and not self._count % 3:
            raise RuntimeError("this handler fails now and then")

    def _check(self, event: Event[Any]) -> None:
        reader, key = self.reader, event.key
        reader.notice_rewinds()
        old, state, last = shown(event.old), shown(event.object), self.fold.get(key)
        what = f"{self.name}: {event.type} {key} from {_brief(old)} to {_brief(state)} ({event.source})"
        assert old == last, f"{what}, after it saw {_brief(last)}"
        if event.source is Source.WRITE and event.type is not EventType.DELETED:
            version = int(state["metadata"]["resourceVersion"])
            assert reader.own(key, version), f"{what}, and we did not write that"
        if event.type is EventType.ADDED:
            assert last is None, what
        else:
            assert last is not None and last["metadata"]["uid"] == state["metadata"]["uid"], what
            assert not event.initial, what
        if event.type is EventType.DELETED:
            del self.fold[key]
            state = None
        else:
            assert state != last, f"{what}: it has seen that already"
            self.fold[key] = state
        before, track = self.positions[key], (reader.scope.plural, key)
        # What it is told now may be of before the server went back, or of after.
        anew = range(max(before) + 1, reader.announced.get(key, 0) + 1)
        before = {**before, **dict.fromkeys(anew, 0)}
        reached = reader.timeline.advance(track, before, lambda truth: reader.fits(truth, state))
        assert reached, f"{what}, after it was at {before}; it happened: {reader.timeline.told(track)}"
        self.positions[key] = reached
        reader.told(key, reached)

    async def check(self) -> None:
        """Whatever it was told so far fits, and it has been told of everything once nothing is pending."""
        for _turn in range(5):  # between two events it may give way to others
            if self.wrong is not None:
                raise self.wrong
            if self.busy or not self.reader.informer.has_synced:
                return
            if self.fold == self.reader.holds():
                return
            await asyncio.sleep(0)
        raise AssertionError(
            f"{self.name} was told of all, and knows {_briefly(self.fold)}; "
            f"the cache holds {_briefly(self.reader.holds())}"
        )

    @property
    def busy(self) -> bool:
        return bool(self._feed.pending or self._running)


def _brief(state: Any) -> str:
    if state is None or state is SPOILT:
        return "nothing" if state is None else "something spoilt"
    meta = state["metadata"]
    labels = f" {meta['labels']}" if meta.get("labels") else ""
    return f"{meta['uid'][:4]}@{meta['resourceVersion']}{labels}"


def _briefly(states: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_brief(state)}" for key, state in states.items()) + "}"
