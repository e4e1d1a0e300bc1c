"""Running watches: what each one waits for, and the frames that wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from . import wire
from .forms import Form
from .selection import Selection, Term
from .statuses import Refused
from .storage import Change, Stored

__all__ = ["Watch", "Watchers", "frame"]


def frame(kind: str, body: bytes) -> bytes:
    """One event as Go writes it: `{"type":"ADDED","object":{…}}` and a line feed."""
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


class Watch:
    """One watch: its first frames, made as they are taken, then what `offer` queues.

    The state machine fills it and whoever serves it empties it: `take` returns what is there, `on_ready` is
    called when there is something new. `ended` says why no more will come: `"closed"`, `"slow"`, or "".

    Args:
        form: how objects are shown.
        bookmarks: whether the client wants them.
        limit: frames that may wait; a reader that falls further behind is cut off, as the real server does.

    Attributes:
        after: events at or below this version are not for this watch.
        end_bookmark: the version of the bookmark that ends the initial events, where one is due.
    """

    __slots__ = (
        "_begun",
        "_first",
        "_limit",
        "_queue",
        "_told",
        "after",
        "bookmarks",
        "end_bookmark",
        "ended",
        "form",
        "on_ready",
        "selection",
    )

    def __init__(
        self, selection: Selection, form: Form, *, bookmarks: bool = False, limit: int = 10_000
    ) -> None:
        self.selection = selection
        self.form = form
        self.after = self._told = 0
        self.bookmarks = bookmarks
        self.end_bookmark: int | None = None
        self.ended = ""
        self.on_ready: Callable[[], None] | None = None
        self._begun = False
        self._first: Iterator[bytes] | None = None
        self._queue: deque[bytes] = deque()
        self._limit = limit

    def begin_with(self, objects: Iterable[Stored], version: int) -> None:
        """Begin with an ADDED for each of *objects*, which are what there was at *version*."""
        self.after = self._told = version
        self._begin([("ADDED", stored) for stored in objects])

    def begin_after(self, version: int, changes: Iterable[Change]) -> None:
        """Begin with those *changes* after *version* that concern this watch."""
        self.after = self._told = version
        self._begin([seen for seen in map(self.sees, changes) if seen is not None])

    def _begin(self, events: list[tuple[str, Stored]]) -> None:
        self._begun = bool(events)
        shown = (self.form.more if place else self.form.one for place in range(len(events)))
        self._first = (frame(kind, show(stored)) for show, (kind, stored) in zip(shown, events, strict=True))

    def offer(self, change: Change, frames: dict[tuple[str, str], bytes]) -> None:
        """Queue *change* if it concerns this watch; *frames* are those already made for others."""
        found = self.sees(change)
        if found is None:
            return
        kind, stored = found
        place = (kind, self.form.name)
        encoded = frames.get(place)
        if not self._begun:
            self._begun = True
            encoded = frame(kind, self.form.one(stored))
        elif encoded is None:
            encoded = frames[place] = frame(kind, self.form.more(stored))
        if len(self._queue) >= self._limit:
            self._queue.clear()
            self.end("slow")
            return
        self._queue.append(encoded)
        self._wake()

    def sees(self, change: Change) -> tuple[str, Stored] | None:
        """The event that *change* is to this watch, which may see an object come or go by its selector."""
        if change.version <= self.after:
            return None
        is_in = change.type != "DELETED" and self.selection.matches(change.new)
        was_in = change.old is not None and self.selection.matches(change.old)
        if is_in:
            return ("MODIFIED" if was_in else "ADDED"), change.new
        if not was_in:
            return None
        if change.type == "DELETED":
            return "DELETED", change.new
        assert change.old is not None
        return "DELETED", self.form.at_version(change.old, change.version)

    def take(self, size: int = 1 << 18) -> bytes:
        """The frames that wait, about *size* bytes of them at most; empty where there are none now."""
        taken: list[bytes] = []
        weight = 0
        while self._first is not None and weight < size:
            one = next(self._first, None)
            if one is None:
                self._first = None
            else:
                taken.append(one)
                weight += len(one)
        if self._first is None:
            while self._queue and weight < size:
                taken.append(self._queue.popleft())
                weight += len(taken[-1])
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def bookmark(self, version: int, *, initial_events_end: bool = False, only_news: bool = False) -> bytes:
        """A frame that says that nothing up to *version* is missing; empty for a watch from the future, and
        with *only_news* where the client knows as much."""
        if version < self._told or (only_news and version == self._told):
            return b""
        self._told = version
        return frame("BOOKMARK", self.form.bookmark(version, initial_events_end=initial_events_end))

    def error(self, refused: Refused) -> None:
        """End with an ERROR event that holds the Status of *refused*."""
        self._queue.append(frame("ERROR", wire.encode(refused.status())))
        self.end("closed")

    def end(self, why: str = "closed") -> None:
        self.ended = self.ended or why
        self._wake()

    def _wake(self) -> None:
        if self.on_ready is not None:
            self.on_ready()


class Watchers:
    """The watches of one collection, by the term that narrows each most, so that a change asks few."""

    def __init__(self) -> None:
        self._by_term: dict[Term, dict[Watch, None]] = {}

    def add(self, watch: Watch) -> None:
        self._by_term.setdefault(watch.selection.term, {})[watch] = None

    def discard(self, watch: Watch) -> None:
        term = watch.selection.term
        same = self._by_term.get(term, {})
        same.pop(watch, None)
        if not same:
            self._by_term.pop(term, None)

    def offer(self, change: Change) -> None:
        """Give *change* to every watch that it may concern; each form of it is encoded once."""
        if not self._by_term:
            return
        new, old = change.new, change.old
        terms: set[Term] = {None, ("name", new.name), ("namespace", new.namespace), ("node", new.node)}
        if old is not None:
            terms.add(("node", old.node))
        frames: dict[tuple[str, str], bytes] = {}
        for term in terms:
            for watch in tuple(self._by_term.get(term, ())):
                watch.offer(change, frames)

    def __iter__(self) -> Iterator[Watch]:
        return (watch for same in tuple(self._by_term.values()) for watch in tuple(same))

    def __len__(self) -> int:
        return sum(map(len, self._by_term.values()))
