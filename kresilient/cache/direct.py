"""Reads past a cache, of what the cache holds: what is asked of the server where memory cannot answer.

Each asks for what is most recent, so its answer holds all that was written before it was sent.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from ..api.errors import NotFound, PoisonObject, WireError
from ..api.objects import KubeObject
from ..api.resources import Key, split_key
from ..api.versions import later
from ..api.wire import Bookmark, Item, ListDecoder, Poison, WatchDecoder, WatchEvent
from ..flow.single_flight import Sending
from .intake import Intake
from .listwatch import ListResult, ListWatch
from .states import Listing, Strategy
from .store import Store, Table

__all__ = ["Newest", "newest", "nothing_until", "read_object", "read_table"]


@dataclass(frozen=True, slots=True)
class Newest:
    """What a most recent list of one object shows.

    Attributes:
        version: where the server stands.
        items: the object, if there is any.
        whole: there is no other.
    """

    version: str
    items: tuple[Item, ...]
    whole: bool

    def equals(self, table: Table) -> bool:
        """Whether it shows that *table* is all there is."""
        if not self.whole or len(self.items) != len(table.objects) or table.quarantined:
            return False
        return all(isinstance(item, KubeObject) and _same(item, table) for item in self.items)


def _same(obj: KubeObject, table: Table) -> bool:
    held = table.objects.get(obj.key)
    return held is not None and (held.uid, held.resource_version) == (obj.uid, obj.resource_version)


async def newest(listwatch: ListWatch, sending: Sending) -> Newest:
    """Where the server stands, by a most recent list of one object. Raises what `Door.call` raises."""
    answer = await listwatch.door.call(listwatch.newest_request(), probing=True, sending=sending)
    decoder = ListDecoder()
    items = decoder.feed(answer.body)
    last, meta = decoder.close()
    return Newest(meta.resource_version, (*items, *last), not meta.continue_token)


async def nothing_until(listwatch: ListWatch, version: str, *, lifetime: float) -> tuple[str, str] | None:
    """What a second watch shows that begins at *version*: where its last change was (*version*, without any),
    and up to which later version there is no other. None where it ends without showing it.

    A server sends a bookmark two seconds before it ends a watch, so one of a short *lifetime* (seconds, more
    than two) has it soon: `nextBookmarkTime` in apiserver's `storage/cacher/cache_watcher.go`. Raises what
    the door raises.
    """
    patience = 2 * lifetime
    response = await listwatch.watch(
        version, lifetime=lifetime, answer_within=patience, stall=patience, yielding=True
    )
    changed, decoder = version, WatchDecoder()
    async with response:
        async for chunk in response.chunks():
            for frame in decoder.feed(chunk):
                if isinstance(frame, Bookmark):
                    return changed, frame.resource_version
                if not isinstance(frame, WatchEvent):
                    return None
                changed = later(frame.object.resource_version, changed)
    return None


async def read_object(listwatch: ListWatch, key: Key, intake: Intake, sending: Sending) -> KubeObject | None:
    """The object under *key* as the cache would hold it; None where it would hold none.

    Raises what `Door.call` raises, and `PoisonObject` for what does not decode.
    """
    request = listwatch.object_request(key)
    try:
        answer = await listwatch.door.call(request, probing=True, sending=sending)
    except NotFound as error:
        details = error.status.details
        if details is not None and details.name == split_key(key)[1]:
            return None
        raise  # the resource, or a path that a proxy does not know
    if request.verb == "get":
        kind = listwatch.resource
        return intake(KubeObject.decode(answer.body.rstrip(), kind=kind.kind, api_version=kind.api_version))
    decoder = ListDecoder()
    items = decoder.feed(answer.body)
    last, meta = decoder.close()
    if meta.continue_token:
        raise WireError(f"{request.what}: a list of one name has several pages")
    for item in (*items, *last):
        if isinstance(item, Poison):
            raise item.error
        if item.key == key:
            return intake(item)
    return None


async def read_table(listwatch: ListWatch, store: Store, intake: Intake, sending: Sending) -> Table:
    """All that *store* should hold, in a table of its own; what does not decode is set aside there.

    Raises what the door raises, `SnapshotLost`, and `PoisonObject` for what has not even a key.
    """
    table = store.new_table()
    sending()
    async with aclosing(listwatch.pages(Listing(Strategy.LATEST), ListResult())) as pages:
        async for items in pages:
            for item in items:
                _keep(item, table, store, intake)
    return table


def _keep(item: Item, table: Table, store: Store, intake: Intake) -> None:
    if isinstance(item, KubeObject):
        try:
            table.put(item.key, intake(item))
        except PoisonObject as error:
            item = Poison(item.key, error)
        else:
            return
    if not item.key:
        raise item.error
    if (last := store.table.objects.get(item.key)) is not None:
        table.put(item.key, last)
    table.quarantined[item.key] = item.error
