"""The two requests of a reflector, and what their failures mean to its state machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from ..api.errors import (
    ApiError,
    ConfigError,
    ConnectFailed,
    KresilientError,
    Status,
    TransportError,
    WireError,
    api_error,
)
from ..api.errors import Expired as ExpiredError
from ..api.errors import Unauthorized as UnauthorizedError
from ..api.field_selectors import FieldRequirement, FieldSelector
from ..api.label_selectors import Operator
from ..api.resources import Key, Resource, split_key
from ..api.wire import Item, ListDecoder
from ..flow.door import Door
from ..flow.in_flight import InFlight
from ..flow.outage import Outage
from ..transport.base import Request, Response
from .states import (
    Denied,
    Expired,
    Listing,
    NotAList,
    PageExpired,
    Signal,
    Strategy,
    StreamingFailed,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreachable,
)

__all__ = ["ListResult", "ListWatch", "SnapshotLost", "signal_of", "signal_of_status"]

_ANSWER_WITHIN: Final = 75.0
"""Seconds for a list to begin: kube-apiserver gives up by itself after 60 (`--request-timeout`)."""

_ANSWER_LIMIT: Final = 600.0

_UNARY: Final = 30.0
"""Seconds for the answer to a request of one object."""

_PARTIAL: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


class SnapshotLost(KresilientError):
    """A later page could not be had from the snapshot of the first."""


@dataclass(slots=True)
class ListResult:
    """Filled in while a list is read.

    Attributes:
        version: the one it is of.
        begun: loop time at which its first request was sent, or just before.
        bytes, wire_bytes: of its bodies, and of what came over the wire for them.
    """

    version: str = ""
    begun: float = 0.0
    bytes: int = 0
    wire_bytes: int = 0


class ListWatch:
    """Opens lists and watches of one resource, in one namespace or all, through the door.

    Args:
        page_size: objects a page, where a list comes in pages.
        stall: seconds of silence within the body of a list after which it is given up.

    A server may encode a whole list before it sends the first byte. So a list gets 75 s to begin, twice as
    long after each one that did not (up to 600 s), and later no less than twice what the last one took.
    """

    def __init__(
        self,
        door: Door,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        page_size: int = 500,
        stall: float = 30.0,
    ) -> None:
        self.door = door
        self.resource = resource
        self._path = resource.collection_path(namespace)
        self._resource = str(resource)
        self._page_size = page_size
        self._stall = stall
        self._answer_within = _ANSWER_WITHIN
        self._selectors = tuple(
            (name, text)
            for name, text in (("labelSelector", label_selector), ("fieldSelector", field_selector))
            if text
        )
        self._fields = FieldSelector.parse(field_selector)
        self._labels = label_selector
        self._list_headers = _accept(_PARTIAL.format("List") if metadata_only else "")
        self._object_headers = _accept(_PARTIAL.format("") if metadata_only else "")

    @property
    def selective(self) -> bool:
        """Whether an object may leave what is followed, and come back, while it lives."""
        return bool(self._selectors)

    @property
    def outage(self) -> Outage:
        """Whether the server can be reached, and whose turn it is to ask."""
        return self.door.outage

    @property
    def lists(self) -> InFlight:
        """Where a place is held while a list is read: only so many are read at once."""
        return self.door.lists

    async def pages(
        self, listing: Listing, result: ListResult, *, yielding: bool = False
    ) -> AsyncGenerator[list[Item], None]:
        """The items of a whole list, in the pieces in which they arrive; *result* is complete at the end.

        It has a place in `lists` from when it is admitted. *yielding*: see `Door.admit`.

        Raises what the door raises, `WireError` for a body that is no list, and `SnapshotLost`. Cancelled, or
        closed early: the connection is given up.
        """
        first = self._list_request(self._page_query(listing, ""))
        await self.door.admit(first, place=self.lists, yielding=yielding)
        result.begun = asyncio.get_running_loop().time()
        try:
            async with aclosing(self._admitted_pages(first, listing, result)) as pages:
                async for items in pages:
                    yield items
        finally:
            self.lists.release()

    async def _admitted_pages(
        self, request: Request, listing: Listing, result: ListResult
    ) -> AsyncGenerator[list[Item], None]:
        token = ""
        while True:
            try:
                response = await self._begin(request)
            except ExpiredError as error:
                if token:
                    text = f"{request.what}: the page token expired"
                    raise SnapshotLost(f"{text}: {error}", brief=f"{text}: {error.brief}") from error
                raise
            try:
                decoder = ListDecoder()
                async for chunk in response.chunks():
                    if items := decoder.feed(chunk):
                        yield items
                items, meta = decoder.close()
                if items:
                    yield items
                result.bytes += decoder.bytes
            finally:
                result.wire_bytes += response.wire_bytes
                await response.close()
            if token and meta.resource_version != result.version:
                raise SnapshotLost(
                    f"{request.what}: a page of version {meta.resource_version} follows {result.version}"
                )
            result.version = meta.resource_version
            if not meta.continue_token:
                return
            if meta.continue_token == token:
                raise WireError(f"{request.what}: the server gave the same page token twice")
            token = meta.continue_token
            request = self._list_request(self._page_query(listing, token))

    async def _begin(self, request: Request) -> Response:
        """Open a list that was admitted, and learn from it how long the next one may take to begin."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            response = await self.door.open(request, admit=False)
        except TransportError as error:
            if error.overdue:
                self._answer_within = min(2 * self._answer_within, _ANSWER_LIMIT)
            raise
        self._answer_within = min(max(_ANSWER_WITHIN, 2 * (clock() - began)), _ANSWER_LIMIT)
        return response

    async def newest(self, *, yielding: bool = False) -> ListResult:
        """The version the server stands at, by a most recent list of one object.

        *yielding*: see `Door.admit`. Raises what the door raises, and `WireError`.
        """
        request = self.newest_request()
        await self.door.admit(request, yielding=yielding)
        result = ListResult(begun=asyncio.get_running_loop().time())
        async with await self.door.open(request, admit=False) as response:
            decoder = ListDecoder()
            decoder.feed(await response.read())
            result.version = decoder.close()[1].resource_version
        return result

    def newest_request(self) -> Request:
        """A most recent list of one object."""
        return replace(self._list_request((*self._selectors, ("limit", "1"))), timeout=_UNARY, stall=None)

    def object_request(self, key: Key) -> Request:
        """For one object, as it is now: a get; where there are selectors, a list of what they leave of it."""
        path, verb, headers = self.resource.object_path(key), "get", self._object_headers
        query: tuple[tuple[str, str], ...] = ()
        if self._selectors:
            namespace, name = split_key(key)
            named = FieldRequirement("metadata.name", Operator.EQUALS, name)
            selectors = (
                ("labelSelector", self._labels),
                ("fieldSelector", str(FieldSelector([*self._fields.requirements, named]))),
            )
            path, verb, headers = self.resource.collection_path(namespace), "list", self._list_headers
            query = tuple((name, text) for name, text in selectors if text)
        return Request("GET", path, query, headers, verb=verb, resource=self._resource, timeout=_UNARY)

    async def watch(
        self,
        version: str,
        *,
        lifetime: float,
        answer_within: float,
        stall: float | None = None,
        initial_events: ListResult | None = None,
        yielding: bool = False,
    ) -> Response:
        """Open a watch from *version*, to be ended by the server after *lifetime* seconds.

        A server that does not begin to answer within *answer_within* seconds, or that is silent for *stall*
        seconds later (None: whoever reads it sees to that), is a lost connection. With *initial_events* it is
        a streaming list, whose beginning is noted there, and has a place in `lists` that the caller releases.
        *yielding*: see `Door.admit`. Raises what the door raises.
        """
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(max(1, int(lifetime)))),
            *self._selectors,
        ]
        if version:
            query.append(("resourceVersion", version))
        if initial_events is not None:
            query += [("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]
        request = Request(
            "GET",
            self._path,
            tuple(query),
            self._object_headers,
            verb="watch",
            resource=self._resource,
            streaming=True,
            timeout=None,
            stall=stall,
            answer_within=answer_within,
        )
        if initial_events is None:
            return await self.door.open(request, yielding=yielding)
        await self.door.admit(request, place=self.lists, yielding=yielding)
        initial_events.begun = asyncio.get_running_loop().time()
        try:
            return await self.door.open(request, admit=False)
        except BaseException:
            self.lists.release()
            raise

    def _page_query(self, listing: Listing, token: str) -> tuple[tuple[str, str], ...]:
        query = list(self._selectors)
        if listing.strategy is Strategy.CACHE:
            query.append(("resourceVersion", "0"))
        elif listing.strategy is Strategy.NOT_OLDER:
            # Said explicitly: with a limit, older servers take a bare version for Exact.
            query += [("resourceVersion", listing.version), ("resourceVersionMatch", "NotOlderThan")]
        else:
            query.append(("limit", str(self._page_size)))
        if token:
            query = [*self._selectors, ("limit", str(self._page_size)), ("continue", token)]
        return tuple(query)

    def _list_request(self, query: tuple[tuple[str, str], ...]) -> Request:
        return Request(
            "GET",
            self._path,
            query,
            self._list_headers,
            verb="list",
            resource=self._resource,
            timeout=None,
            stall=self._stall,
            answer_within=self._answer_within,
        )


def _accept(kind: str) -> Mapping[str, str]:
    return {"Accept": f"{kind},application/json" if kind else "application/json"}


def signal_of(error: KresilientError, listing: Listing | None) -> Signal:
    """What *error*, met while *listing* or else watching, is to the state machine."""
    reason = error.brief
    if isinstance(error, ConfigError) or (isinstance(error, TransportError) and error.permanent):
        return Denied(reason)  # it stays wrong until somebody mends it
    if isinstance(error, SnapshotLost):
        return PageExpired(reason)
    if isinstance(error, WireError):
        return NotAList(reason)
    if isinstance(error, ConnectFailed) and not error.local:
        return Unreachable(reason)
    if isinstance(error, TransportError):
        return Unavailable(reason)
    if not isinstance(error, ApiError):
        return Unavailable(reason)
    if isinstance(error, ExpiredError):
        return Expired(reason)
    # A server says 504 to a version it has not reached. The Status that tells so may be lost on the way, and
    # the same request would be answered so for ever.
    lost = error.code == 504 and not error.status.message and listing is not None and bool(listing.version)
    if (
        error.status.has_cause("ResourceVersionTooLarge")
        or "Too large resource version" in error.status.message
        or lost
    ):
        return TooLarge(reason, error.retry_after or 0.0)
    if isinstance(error, UnauthorizedError):
        return Unauthorized(reason)
    if error.code == 429 or error.code >= 500:
        return Unavailable(reason, error.retry_after or 0.0)
    if error.code in (400, 405, 422) and listing is not None and listing.strategy is Strategy.STREAM:
        return StreamingFailed(reason)
    return Denied(reason)


def signal_of_status(status: Status, what: str, listing: Listing | None) -> Signal:
    """What the Status of an ERROR event is to the state machine."""
    return signal_of(api_error(status.code or 500, status, what=what), listing)
