"""The sentence that arms a fault: which requests, which of them, and what happens to those."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from ..requests import RequestRecord
from ..statuses import generic
from .answers import Ending, Failure, Scripted
from .arguments import (
    Body,
    checked_body,
    checked_call,
    checked_chance,
    checked_count,
    checked_headers,
    checked_seconds,
    checked_status,
)
from .bodies import Cut, Drip, Insert, Oversized
from .connection import Act, Hang, Hold, Late, NoAnswer
from .criteria import Criteria
from .effect import Effect, Exchange
from .events import Drop, Duplicate, ErrorEvent, NoEndBookmark, Reorder
from .fault import Fault
from .frames import CHANGES, TYPES, Place, Which
from .replica import Lag
from .said import said
from .schedule import Schedule

if TYPE_CHECKING:
    from .faults import Faults

__all__ = ["Match"]

_READS: Final = frozenset({"get", "list", "watch"})
_WATCH: Final = frozenset({"watch"})


@dataclass(frozen=True)
class Match:
    """Requests that a fault is for. Each modifier gives another match; each effect arms a `Fault`.

    Modifiers: `when`, `during` say which requests are counted; `after`, `every`, `nth`, `times` count them;
    `chance` picks; `delayed` lets what follows happen late. What they are called with is checked at once:
    `ValueError` says what to write instead.
    """

    faults: Faults
    criteria: Criteria
    text: str
    schedule: Schedule = field(default_factory=Schedule)
    late: float = 0.0

    # --- which of the requests ---------------------------------------------------------------------------

    def nth(self, n: int) -> Match:
        """The *n*-th such request alone, counted from 1; it does not go with `after` and `every`."""
        checked_count("nth", n)
        return self._with(said("nth", n), schedule=replace(self.schedule, nth=n))

    def after(self, n: int) -> Match:
        """Let the first *n* such requests pass."""
        checked_count("after", n, least=0)
        return self._with(said("after", n), schedule=replace(self.schedule, after=n))

    def every(self, n: int) -> Match:
        """Every *n*-th such request: with 3 the third, the sixth, …"""
        checked_count("every", n)
        return self._with(said("every", n), schedule=replace(self.schedule, every=n))

    def times(self, n: int) -> Match:
        """No more than *n* requests."""
        checked_count("times", n)
        return self._with(said("times", n), schedule=replace(self.schedule, times=n))

    def chance(self, probability: float, *, seed: int) -> Match:
        """Each such request with this *probability*; the same *seed* picks the same ones again."""
        checked_chance(probability)
        schedule = replace(self.schedule, probability=probability, seed=seed)
        return self._with(said("chance", probability, seed=seed), schedule=schedule)

    def when(self, condition: Callable[[RequestRecord], object]) -> Match:
        """Only requests of which *condition* is true when they come."""
        checked_call("when", condition)
        criteria = replace(self.criteria, when=(*self.criteria.when, condition))
        name = getattr(condition, "__name__", repr(condition))
        return replace(self, criteria=criteria, text=f"{self.text}.when({name})")

    def during(self, seconds: float) -> Match:
        """Only within so many *seconds* of loop time after the fault was armed."""
        checked_seconds("during", seconds, some=True)
        return self._with(said("during", seconds), schedule=replace(self.schedule, seconds=seconds))

    def delayed(self, seconds: float) -> Match:
        """Let the effect happen *seconds* after the request came."""
        checked_seconds("delayed", seconds)
        return replace(self, late=seconds, text=f"{self.text}.{said('delayed', seconds)}")

    # --- another answer ----------------------------------------------------------------------------------

    def status(
        self,
        code: int,
        *,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: int | None = None,
    ) -> Fault:
        """Answer with the HTTP status *code*, and do nothing.

        Args:
            body: of the answer; without one it is the Status that a real server sends with this failure.
            headers: beyond `Content-Type`, or in its place.
            retry_after: seconds, as the `Retry-After` header has them.
        """
        sent = None if body is None else checked_body(body)
        checked_status(code, body=None if sent is None else bool(sent))
        more = checked_headers(headers)
        if retry_after is not None:
            more["Retry-After"] = str(checked_count("retry_after", retry_after, least=0))
        effect = Failure(code, sent, more)
        return self._arm(effect, said("status", code, body=body, headers=headers, retry_after=retry_after))

    def answer(
        self,
        *pieces: Body,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        then: Ending = "close",
    ) -> Fault:
        """Answer with these very bytes, piece by piece, and do nothing; *then* `"close"` the body well,
        `"reset"` the connection, or `"stall"` for ever."""
        _check_ending(then)
        sent = tuple(map(checked_body, pieces))
        checked_status(status, body=any(sent))
        effect = Scripted(status, sent, checked_headers(headers), then)
        words: dict[str, object] = {"status": None if status == 200 else status, "headers": headers}
        return self._arm(effect, said("answer", *pieces, **words, then=None if then == "close" else then))

    # --- no answer, or a late one ------------------------------------------------------------------------

    def delay(self, seconds: float) -> Fault:
        """Answer as ever, *seconds* later."""
        checked_seconds("delay", seconds)
        return replace(self, late=self.late + seconds)._arm(Late(), said("delay", seconds))

    def hang(self) -> Fault:
        """Never begin to answer; the request is not carried out."""
        return self._arm(Hang(), "hang()")

    def hold(self) -> Fault:
        """Keep the request until the fault is lifted, then answer it as ever."""
        return self._arm(Hold(), "hold()")

    def reset(self, *, after_bytes: int | None = None, after_events: int | None = None) -> Fault:
        """Reset the connection: in place of an answer (the request is not carried out), or in the body of
        it, after so many events of a watch and so many bytes more."""
        words = said("reset", after_bytes=after_bytes, after_events=after_events)
        if after_bytes is None and after_events is None:
            return self._arm(NoAnswer(), words)
        return self._cut(words, after_bytes, after_events, "reset")

    # --- the body ----------------------------------------------------------------------------------------

    def close(self, *, after_bytes: int | None = None, after_events: int | None = None) -> Fault:
        """End the body of the answer too early, but well, as proxies do: after so many events of a watch and
        so many bytes more."""
        words = said("close", after_bytes=after_bytes, after_events=after_events)
        if after_bytes is None and after_events is None:
            raise ValueError("close() needs a place: after_bytes=0 is an empty body")
        return self._cut(words, after_bytes, after_events, "close")

    def silence(self, *, after_bytes: int | None = None, after_events: int | None = None) -> Fault:
        """Send nothing more, with the connection open: after so many events of a watch (bookmarks are some
        too) and so many bytes more, by default after the headers."""
        words = said("silence", after_bytes=after_bytes, after_events=after_events)
        return self._cut(words, after_bytes, after_events, "stall")

    def insert(self, data: Body, *, after_bytes: int | None = None, after_events: int | None = None) -> Fault:
        """Put *data* into the body of the answer: junk, or blank lines (`b"\\n\\n"`). At its start, or after
        so many events of a watch and so many bytes more."""
        words = said("insert", data, after_bytes=after_bytes, after_events=after_events)
        place = _place(after_bytes, after_events)
        return self._arm(Insert(place, checked_body(data)), words, only=_WATCH if place.events else None)

    def oversized(self, size: int, *, nth: int | None = None) -> Fault:
        """Make an object in the answer larger by *size* bytes, with an annotation: the one of a get, the
        first of a list; of a watch every one, or the *nth* that comes."""
        checked_count("oversized", size)
        which = self._which("oversized", CHANGES, nth, None, None, None)
        words = said("oversized", size, nth=nth)
        if nth is not None:
            self._check_verbs(words, _WATCH)
        return self._arm(Oversized(size, which), words, only=_READS)

    def drip(self, bytes_per_second: float) -> Fault:
        """Send the body at so many bytes a second of loop time."""
        if not 0 < bytes_per_second < math.inf:
            raise ValueError("drip() needs some bytes a second, more than 0; silence() is a body that stops")
        return self._arm(Drip(bytes_per_second), said("drip", bytes_per_second))

    # --- the events of a watch ---------------------------------------------------------------------------

    def drop_events(
        self,
        *,
        types: str | Iterable[str] = CHANGES,
        nth: int | None = None,
        every: int | None = None,
        chance: float | None = None,
        seed: int | None = None,
    ) -> Fault:
        """Lose events of a watch, by default all.

        Args:
            types: of them: `"ADDED"`, `"MODIFIED"`, `"DELETED"` (these by default), `"BOOKMARK"`, `"ERROR"`.
            nth: of those only this one, counted from 1 in each watch.
            every: of those only every so many.
            chance, seed: each with this probability; the same seed picks the same ones again.
        """
        which, words = self._events("drop_events", types, nth, every, chance, seed)
        return self._arm(Drop(which), words, only=_WATCH)

    def duplicate_events(
        self,
        *,
        types: str | Iterable[str] = CHANGES,
        nth: int | None = None,
        every: int | None = None,
        chance: float | None = None,
        seed: int | None = None,
    ) -> Fault:
        """Send events of a watch twice. Arguments as for `drop_events`."""
        which, words = self._events("duplicate_events", types, nth, every, chance, seed)
        return self._arm(Duplicate(which), words, only=_WATCH)

    def reorder_events(
        self,
        *,
        types: str | Iterable[str] = CHANGES,
        nth: int | None = None,
        every: int | None = None,
        chance: float | None = None,
        seed: int | None = None,
    ) -> Fault:
        """Send events of a watch after the one that follows them, but before any bookmark. Arguments as for
        `drop_events`."""
        which, words = self._events("reorder_events", types, nth, every, chance, seed)
        return self._arm(Reorder(which), words, only=_WATCH)

    def no_end_bookmark(self) -> Fault:
        """Leave out the bookmark that ends the initial events of a streaming list."""
        return self._arm(NoEndBookmark(), "no_end_bookmark()", only=_WATCH)

    def error_event(self, code: int, *, after_events: int = 0) -> Fault:
        """End a watch with an ERROR event whose Status has this *code*."""
        checked_count("after_events", after_events, least=0)
        if not 400 <= checked_count("code", code) <= 599:
            raise ValueError(f"{code} is no failure: those are 400 to 599")
        effect = ErrorEvent(Place(after_events), generic(code))
        return self._arm(effect, said("error_event", code, after_events=after_events or None), only=_WATCH)

    # --- what the server knows ---------------------------------------------------------------------------

    def lag(self, versions: int | None = None, *, consistent: bool = True) -> Fault:
        """Let a replica answer gets, lists and watches that lags behind; `lift` lets it catch up.

        A version that it has not seen is answered with 504 `Too large resource version`, as by a server whose
        watch cache is behind.

        Args:
            versions: how many it stays behind; by default it is stuck where it is when the fault is armed.
            consistent: gets and lists of what is most recent (without `resourceVersion`) are true all the
                same, since a server asks etcd for them. With False they lag too, as behind a caching proxy.

        Raises `ValueError` where the history does not reach back so far.
        """
        if versions is not None:
            checked_count("lag", versions)
        self._check_verbs("lag", _READS)
        replica = self.faults.replica(behind=versions, consistent=consistent)
        arguments = () if versions is None else (versions,)
        words = said("lag", *arguments, consistent=None if consistent else False)
        return self._arm(Lag(replica), words, only=_READS)

    # --- what happens to the server when the request comes -----------------------------------------------

    def call(self, action: Callable[[RequestRecord], Awaitable[None] | None]) -> Fault:
        """Call *action*, plain or async, with the record of the request, before it is answered as ever."""
        checked_call("call", action)
        name = getattr(action, "__name__", repr(action))
        return self._arm(Act(lambda exchange: action(exchange.record)), f"call({name})")

    def compact(self) -> Fault:
        """Forget the history before the request is answered; see `Faults.compact`."""
        return self._arm(Act(lambda _: self.faults.compact()), "compact()")

    def revoke_token(self) -> Fault:
        """No longer accept the token that the request has, beginning with the request itself.

        Only requests that come with a token that is good are counted: others have none to lose.
        """

        def has_one(record: RequestRecord) -> bool:
            return self.faults.is_good(record.token)

        meant = replace(self, criteria=replace(self.criteria, when=(*self.criteria.when, has_one)))
        revoking = Act(lambda exchange: self.faults.revoke_token(exchange.record.token))
        return meant._arm(revoking, "revoke_token()")

    def kill(self) -> Fault:
        """Kill the server when the request comes, which is not carried out; see `Faults.kill`."""
        return self._dies(self.faults.kill, "kill()")

    def restart(self, *, history: bool = True, down: float = 0.0) -> Fault:
        """Kill the server when the request comes, which is not carried out, and start it again *down* seconds
        later; see `Faults.restart`."""
        checked_seconds("restart", down)
        words = said("restart", history=None if history else False, down=down or None)
        return self._dies(lambda: self.faults.restart(history=history, down=down), words)

    def _dies(self, death: Callable[[], Coroutine[Any, Any, None]], words: str) -> Fault:
        async def dies(exchange: Exchange) -> None:
            self.faults.spawn(death())
            await exchange.held()

        return self._arm(Act(dies), words)

    # --- within ------------------------------------------------------------------------------------------

    def _with(self, text: str, *, schedule: Schedule) -> Match:
        if schedule.nth is not None and (schedule.after or schedule.every > 1):
            raise ValueError(f"{self.text}.{text}: nth is one request already: leave after and every out")
        return replace(self, schedule=schedule, text=f"{self.text}.{text}")

    def _cut(self, words: str, after_bytes: int | None, after_events: int | None, then: Ending) -> Fault:
        only = _WATCH if after_events is not None else None
        return self._arm(Cut(_place(after_bytes, after_events), then), words, only=only)

    def _events(
        self,
        effect: str,
        types: str | Iterable[str],
        nth: int | None,
        every: int | None,
        chance: float | None,
        seed: int | None,
    ) -> tuple[Which, str]:
        wanted = frozenset([types] if isinstance(types, str) else types)
        if not wanted:
            raise ValueError(f"{effect} needs types of events: {', '.join(sorted(TYPES))}")
        if unknown := sorted(wanted - TYPES):
            raise ValueError(f"no event has the type {unknown[0]!r}; there are {', '.join(sorted(TYPES))}")
        which = self._which(effect, wanted, nth, every, chance, seed)
        shown = None if wanted == CHANGES else tuple(sorted(wanted))
        return which, said(effect, types=shown, nth=nth, every=every, chance=chance, seed=seed)

    def _which(
        self,
        effect: str,
        types: frozenset[str],
        nth: int | None,
        every: int | None,
        chance: float | None,
        seed: int | None,
    ) -> Which:
        if nth is not None:
            checked_count(f"{effect}: nth", nth)
        if every is not None:
            checked_count(f"{effect}: every", every)
            if nth is not None:
                raise ValueError(f"{effect}(nth={nth}) is one event already: leave every={every} out")
        if chance is None:
            if seed is not None:
                raise ValueError(f"{effect}(seed={seed}) needs a chance=… that it is the seed of")
            return Which(types, nth, every or 1)
        checked_chance(chance)
        if seed is None:
            raise ValueError(f"{effect}(chance={chance:g}) needs a seed=…, so that it can be had again")
        return Which(types, nth, every or 1, chance, Random(seed))

    def _check_verbs(self, words: str, only: frozenset[str]) -> None:
        if self.criteria.verbs and not self.criteria.verbs & only:
            can = " or ".join(f'"{verb}"' for verb in sorted(only))
            asked = ", ".join(sorted(self.criteria.verbs))
            raise ValueError(f"{words} cannot happen to {asked}: arm it with on({can}, …)")

    def _arm(self, effect: Effect, words: str, *, only: frozenset[str] | None = None) -> Fault:
        """Arm *effect* for those of the requests whose verb is among *only*."""
        criteria = self.criteria
        if only is not None:
            self._check_verbs(words, only)
            criteria = replace(criteria, verbs=criteria.verbs & only if criteria.verbs else only)
        now = None
        if self.schedule.seconds is not None:
            try:
                now = asyncio.get_running_loop().time()
            except RuntimeError:
                raise RuntimeError("during() counts loop time: arm it where an event loop runs") from None
        fault = Fault(
            criteria,
            self.schedule.begin(now),
            effect,
            delay=self.late,
            said=f"{self.text}.{words}",
            disarm=self.faults.remove,
        )
        self.faults.add(fault)
        return fault


def _place(after_bytes: int | None, after_events: int | None) -> Place:
    for name, value in (("after_bytes", after_bytes), ("after_events", after_events)):
        if value is not None:
            checked_count(name, value, least=0)
    return Place(after_events or 0, after_bytes or 0)


def _check_ending(then: str) -> None:
    if then not in ("close", "reset", "stall"):
        raise ValueError(f'a body ends with "close", "reset" or "stall", not {then!r}')
