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


class Occurrence:
    """One change as it is told to the watches that it concerns: encoded once for each form in which it is
    shown."""

    __slots__ = ("_frames", "_left", "change")

    def __init__(self, change: Change) -> None:
        self.change = change
        self._left: Stored | None = None
        self._frames: dict[tuple[str, str, bool], bytes] = {}

    def left(self, form: Form) -> Stored:
        """The last state of the object before the change, as a DELETED event shows it to those whose
        selector it has left: at the version of the change."""
        assert self.change.old is not None
        if self._left is None:
            self._left = form.at_version(self.change.old, self.change.version)
        return self._left

    def frame(self, kind: str, stored: Stored, form: Form, *, first: bool) -> bytes:
        """The event; *first* where the watch has shown none before."""
        place = (kind, form.name, first and form.begins)
        found = self._frames.get(place)
        if found is None:
            shown = form.one(stored) if first else form.more(stored)
            found = self._frames[place] = frame(kind, shown)
        return found


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
        on_end: called once when it ends.
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
        "on_end",
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
        self.on_end: Callable[[], None] | None = None
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
        self._begin([seen for change in changes if (seen := self.sees(Occurrence(change))) is not None])

    def _begin(self, events: list[tuple[str, Stored]]) -> None:
        self._begun = bool(events)
        shown = (self.form.more if place else self.form.one for place in range(len(events)))
        self._first = (frame(kind, show(stored)) for show, (kind, stored) in zip(shown, events, strict=True))

    def offer(self, occurrence: Occurrence) -> None:
        """Queue the event that *occurrence* is to this watch, if it concerns it."""
        found = self.sees(occurrence)
        if found is None:
            return
        encoded = occurrence.frame(*found, self.form, first=not self._begun)
        self._begun = True
        if len(self._queue) >= self._limit:
            self._queue.clear()
            self.end("slow")
            return
        self._queue.append(encoded)
        self._wake()

    def sees(self, occurrence: Occurrence) -> tuple[str, Stored] | None:
        """The event that it is to this watch, which may see an object come or go by its selector."""
        change = occurrence.change
        if change.version <= self.after:
            return None
        is_in = change.type != "DELETED" and self.selection.matches(change.new)
        was_in = change.old is not None and self.selection.matches(change.old)
        if is_in:
            return ("MODIFIED" if was_in else "ADDED"), change.new
        if not was_in:
            return None
        return "DELETED", change.new if change.type == "DELETED" else occurrence.left(self.form)

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
        """Give it nothing more. Idempotent."""
        if not self.ended:
            self.ended = why
            if self.on_end is not None:
                self.on_end()
        self._wake()

    def _wake(self) -> None:
        if self.on_ready is not None:
            self.on_ready()


class Watchers:
    """The watches of one collection, by the term that narrows each most, so that a change asks few.

    `running` counts those that have not ended, also where whoever serves one has not let it go yet.
    """

    def __init__(self) -> None:
        self.running = 0
        self._by_term: dict[Term, dict[Watch, None]] = {}
        self._count = 0

    def add(self, watch: Watch) -> None:
        self._by_term.setdefault(watch.selection.term, {})[watch] = None
        self._count += 1
        self.running += 1
        watch.on_end = self._ended

    def discard(self, watch: Watch) -> None:
        """Give *watch* no more changes. Idempotent."""
        term = watch.selection.term
        same = self._by_term.get(term, {})
        if watch not in same:
            return
        del same[watch]
        self._count -= 1
        if not same:
            del self._by_term[term]

    def _ended(self) -> None:
        self.running -= 1

    def offer(self, change: Change) -> None:
        """Give *change* to every watch that it may concern."""
        if not self._by_term:
            return
        new = change.new
        terms: list[Term] = [None, ("name", new.name), ("namespace", new.namespace)]
        terms += [("node", node) for node in change.nodes]
        occurrence = Occurrence(change)
        for term in terms:
            for watch in tuple(self._by_term.get(term, ())):
                watch.offer(occurrence)

    def __iter__(self) -> Iterator[Watch]:
        return (watch for same in tuple(self._by_term.values()) for watch in tuple(same))

    def __len__(self) -> int:
        return self._count
