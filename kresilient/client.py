"""The client: what a user holds. One connection to one cluster, its informers, and every verb.

Everything it sends passes one door (`flow/door.py`); every task it starts is its own, ends with it, and
cannot take the user's code down: a crash is reported to the observers, to `health`, and to whoever waits.
"""

from __future__ import annotations

import asyncio
import math
import os
import random as _random
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar, cast, overload

from . import verbs
from .api.errors import (
    ConfigError,
    InvalidName,
    LifecycleError,
    OutcomeUnknown,
    PoisonObject,
    wrong_type,
)
from .api.field_selectors import FieldSelector
from .api.objects import KubeObject
from .api.resources import Key, Resource
from .api.views import View, view_of
from .cache.footprint import Footprint, footprint_of
from .cache.index import IndexSpec
from .cache.informer import Informer, running_loop
from .cache.intake import Transform
from .cache.options import InformerOptions
from .cache.reflector import Reflector
from .cache.shared import SharedInformer, health_of
from .cache.timing import Timing
from .client_health import ClientHealth, Readiness
from .decoding import object_deleted, object_written
from .discovery import Discovery, ResourceName, named
from .flow.answers import Answer
from .flow.budget import RetryBudget
from .flow.door import Door
from .flow.in_flight import MAX_IN_FLIGHT, InFlight
from .flow.limiter import Limiter
from .flow.retry import RetryPolicy
from .flow.shared import (
    shared_budget,
    shared_in_flight,
    shared_levels,
    shared_limiter,
    shared_lists,
    shared_outage,
)
from .informers import Informers
from .object_reads import CacheUse, ObjectReads
from .observe.counts import CostlyLists
from .observe.events import Observer, Observers, TaskCrashed
from .observe.log import log_observer
from .reads import ListCall, WatchStream
from .transport.base import Request, Response, Transport, route_of
from .verbs import Body, PatchType, Propagation, Selector, Write, WriteOptions
from .write_through import ReadAfterWrite, Stood, WriteThrough

__all__ = ["Client", "ClientHealth"]

V = TypeVar("V", bound=View)


class Client:
    """One API server, spoken to politely. Made by `connect`, or on a transport of your own.

    It belongs to the event loop it is entered on. Keys are `"namespace/name"`, or `"name"` at cluster
    scope; a resource is `"v1/pods"`, `"apps/v1/deployments"`, or a group and version with `kind=`.

    Every verb raises the typed `ApiError` of the server's answer, `ConnectFailed` or `ConnectionLost` where
    there was none, and `InvalidName` for a name no path can carry; a write whose answer was lost raises
    `OutcomeUnknown`. Reads, and writes that certainly did nothing, are retried within bounds first. With
    *shares*, clients of one server on one loop have one retry budget, one picture of its overload and of
    whether it can be reached, and, where their figures are equal, one limiter and one cap on calls under
    way; what is handed in is used as it is. The other options are those of `connect`; *timing* sets every
    time of its informers, these two too where they are not given. Cancelled: the request is aborted; a write
    may still have happened.
    """

    def __init__(
        self,
        transport: Transport | Callable[[], Awaitable[tuple[Transport, str]]],
        *,
        qps: float | None = 20.0,
        burst: int = 40,
        limiter: Limiter | None = None,
        shares: bool = False,
        retry: RetryPolicy | None = None,
        budget: RetryBudget | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        spread: float | None = None,
        start_jitter: float | None = None,
        serve_stale_for: float | None = None,
        strict: bool = False,
        read_after_write: ReadAfterWrite = "overlay",
        observers: Iterable[Observer] = (),
        random: Callable[[], float] = _random.random,
        timing: Timing | None = None,
    ) -> None:
        for name, given, kind in (
            ("limiter", limiter, Limiter),
            ("retry", retry, RetryPolicy),
            ("budget", budget, RetryBudget),
            ("strict", strict, bool),
        ):
            if given is not None and not isinstance(given, kind):
                raise wrong_type(name, f"a {kind.__name__}", given)
        if callable(observers) or not all(map(callable, observers := tuple(observers))):
            raise wrong_type("observers", "a list of functions, each of which hears every event", observers)
        self._transport = transport
        self._limiter = limiter if limiter is not None else Limiter(qps, burst)
        self._own_limiter = limiter is not None
        self._retry = retry
        self._budget = budget
        self._shares = shares
        self._in_flight = InFlight(max_in_flight)
        self._strict = strict
        self._random = random
        self._timing = _timed(timing or Timing(), spread, start_jitter)
        self._costly_lists = CostlyLists()
        self.observers = Observers(log_observer(), self._costly_lists, *observers)
        self.namespace = "default"
        """The default namespace of the configuration; nothing is put there unless you say so."""
        self._door: Door | None = None
        self._discovery: Discovery | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closed = False
        self._opening = asyncio.Lock()
        self._informers = Informers(
            self._opened,
            route=self._route,
            shares=shares,
            observe=self.observers,
            random=random,
            spawn=self._spawn,
            timing=self._timing,
            serve_stale_for=serve_stale_for,
        )
        self._object_reads = ObjectReads(self._informers.of, self._opened, self._spawn)
        self._write_through = WriteThrough(
            self._informers.near,
            wrote=self._informers.wrote,
            mode=read_after_write,
            observe=self.observers,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._crashes: deque[str] = deque(maxlen=20)

    # --- life ---

    async def open(self) -> Self:
        """Load the configuration and make ready; nothing is sent yet. `async with` does it.

        Raises `ConfigError`. Cancelled: it can be opened again.
        """
        async with self._opening:
            if self._door is None and not self._closed:
                transport = self._transport
                if not isinstance(transport, Transport):
                    transport, self.namespace = await transport()
                self._loop = asyncio.get_running_loop()
                self._door = self._made_door(transport)
                self._discovery = Discovery(self._door)
                if cast(bool, self._closed):  # while the configuration was loaded
                    await self._door.close()
            if self._closed:
                raise LifecycleError("this client is closed: make a new one")
        return self

    async def close(self, *, drain: bool = False, timeout: float = 10.0) -> None:
        """Close every informer, end every task, close the connections. Idempotent: a second call waits until
        what the first one ended is done, at most *timeout* seconds.

        With *drain*, handlers get what is pending first, within *timeout* seconds. Raises `LifecycleError`
        from another event loop; nothing has changed then. Cancelled: all that is left is cancelled and the
        connections are closed all the same.
        """
        own = asyncio.current_task()  # a handler may close the client that runs it
        if self._closed:
            if left := [task for task in self._tasks if task is not own]:
                self._check_loop()
                await asyncio.wait(left, timeout=timeout)
            return
        self._check_loop()
        self._closed = True
        try:
            await self._informers.close(drain=drain, timeout=timeout, caller=own)
        finally:
            left = [task for task in self._tasks if task is not own]
            for task in left:
                task.cancel()
            try:
                if left:
                    await asyncio.wait(left, timeout=timeout)
            finally:
                if self._door is not None:
                    await self._door.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def call_soon_threadsafe(self, function: Callable[..., object], *args: Any) -> None:
        """Call *function* on the client's event loop, from any thread: the bridge for all but plain reads."""
        if self._loop is None or self._closed:
            raise LifecycleError("this client is not open")
        self._loop.call_soon_threadsafe(function, *args)

    @property
    def health(self) -> ClientHealth:
        """How the client stands, for probes."""
        informers = tuple(
            health_of(shared, serve_stale_for=shared.serve_stale_for) for shared in self._informers
        )
        door, crashes = self._door, tuple(self._crashes)
        if door is None:
            return ClientHealth("", informers, crashes)
        return ClientHealth(
            door.transport.server,
            informers,
            crashes,
            reachable=not door.outage.lasts,
            waiting=door.waiting,
            pressure=door.pressure.levels,
            retries_left=door.budget.left,
            costly_lists=self._costly_lists.by_resource,
        )

    def ready(self, *, max_contact_age: float | None = None) -> Readiness:
        """Whether the informers can be relied on, for a readiness probe: each has synced, none is refused by
        the server, and none is read no more for being stale (`serve_stale_for`).

        *max_contact_age*: seconds since each last heard the server, above which it is not ready either. A
        watch that is well may be silent for a minute or two. Without it a server that is away makes nobody
        unready who can go on from memory, and takes no fleet out of its Services at once.

        Cheap: nothing is asked or copied. Ask it once the informers are entered; it knows of no others.
        """
        if self._door is None or self._closed:
            return Readiness((f"the client is {'closed' if self._closed else 'not open'}",))
        unready = (informer.unready(max_contact_age=max_contact_age) for informer in self._informers.handles)
        return Readiness(tuple(dict.fromkeys(filter(None, unready))))

    def footprint(self, *, top: int = 10) -> tuple[Footprint, ...]:
        """What each cache holds in memory, the largest first: the greedy informer is the first of them.

        See `Informer.footprint`; callable from any thread.
        """
        found = (footprint_of(shared, top=top) for shared in self._informers)
        return tuple(sorted(found, key=lambda one: one.bytes, reverse=True))

    @property
    def server(self) -> str:
        """The server's base URL; `""` before the client is open, unless its transport was handed in."""
        if self._door is not None:
            return self._door.transport.server
        return self._transport.server if isinstance(self._transport, Transport) else ""

    @property
    def door(self) -> Door:
        """The one way to the server, for what speaks HTTP itself (`kresilient.adapters`).

        Raises `LifecycleError` where the client cannot be used.
        """
        return self._opened()

    def caches(self, resource: Resource) -> tuple[SharedInformer, ...]:
        """The caches of *resource* that informers hold now, for what answers from them."""
        return self._informers.of(resource)

    def stand(self, resource: Resource, key: Key | None) -> Sequence[Stood]:
        """Where the informers stand before a write to *key* (None for a create), to be handed to
        `acknowledged` with its answer."""
        return self._write_through.before(resource, key)

    async def acknowledged(
        self, resource: Resource, verb: str, key: Key | None, body: bytes, *, before: Sequence[Stood]
    ) -> None:
        """Show in the informers that the write *verb* was answered with success and *body*: for what sends
        its writes through `door` by itself. Not for a dry run.

        *key* is None for a create; *before* is what `stand` returned before it was sent. Returns, and is
        cancelled, as the client's own writes.
        """
        await self._write_through.acknowledged(resource, verb, key, body, before=before)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._door is not None else "not open"
        server = self._door.transport.server if self._door is not None else "a cluster to be found"
        return f"<Client of {server}, {state}>"

    # --- reads ---

    @overload
    async def get(self, resource: type[V], key: Key, *, kind: str = "", cache: CacheUse = "bypass") -> V: ...
    @overload
    async def get(
        self, resource: ResourceName, key: Key, *, kind: str = "", cache: CacheUse = "bypass"
    ) -> KubeObject: ...
    async def get(
        self, resource: ResourceName | type[View], key: Key, *, kind: str = "", cache: CacheUse = "bypass"
    ) -> Any:
        """Read one object: from the server, or from an informer of this client.

        Args:
            cache: `"bypass"` asks the server: the answer holds all that was written before the call. Calls
                for the same object at the same time share one request. `"prefer"` is answered by a synced
                informer that knows the object, or knows that there is none, and by the server otherwise.
                `"only"` sends nothing, but to discover a *kind*: where no informer knows, it raises.

        An informer knows what it holds whole, or as the same View, and that there is none where no selector
        could hide it. It is as old as any cache (`Informer.proved_age`).

        Raises `NotFound`; where an informer said so, `status_sent` of it is False. With `"only"`, also
        `NotSyncedError`, `PoisonObject` for what was set aside, and `ConfigError` where an informer that
        could know is missing. Cancelled: the request is aborted, unless others share it.
        """
        where, view = await self._resolve(resource, kind)
        obj = await self._object_reads.get(where, key, view, cache)
        return obj if view is None else view_of(view, obj)

    @overload
    def list(
        self,
        resource: type[V],
        *,
        namespace: str | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        resource_version: str = "",
        page_size: int = 500,
        metadata_only: bool = False,
    ) -> ListCall[V]: ...
    @overload
    def list(
        self,
        resource: ResourceName,
        *,
        kind: str = "",
        namespace: str | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        resource_version: str = "",
        page_size: int = 500,
        metadata_only: bool = False,
    ) -> ListCall[KubeObject]: ...
    def list(
        self,
        resource: ResourceName | type[View],
        *,
        kind: str = "",
        namespace: str | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        resource_version: str = "",
        page_size: int = 500,
        metadata_only: bool = False,
    ) -> ListCall[Any]:
        """List from the server, in pages: `await` it for all, or `async for` over it.

        Args:
            namespace: one namespace; None for all.
            resource_version: `""` for the most recent; another for a list not older than it (`"0"`:
                whatever the server has cached).
            page_size: objects a request.
            metadata_only: headers only (`PartialObjectMetadata`).

        A list at short intervals is polling: an informer gives you the same from memory.
        """
        door = self._opened()
        view = self._checked_collection(resource, kind, namespace)
        if page_size < 1:
            raise ConfigError(f"list {resource}: page_size must be at least 1, not {page_size}")
        selected = verbs.selectors(label_selector, field_selector)

        async def page(token: str) -> Request:
            where, _ = await self._resolve(resource, kind)
            return verbs.list_page(
                where,
                namespace,
                selected,
                limit=page_size,
                token=token,
                version=resource_version,
                metadata_only=metadata_only,
            )

        convert = (lambda obj: obj) if view is None else (lambda obj: view_of(view, obj))
        return ListCall(door, page, convert)

    def watch(
        self,
        resource: ResourceName,
        *,
        kind: str = "",
        resource_version: str = "",
        namespace: str | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        timeout_seconds: int | None = None,
        stall: float = 150.0,
    ) -> WatchStream:
        """One raw watch, from *resource_version* on; it ends when the server ends it.

        *timeout_seconds* asks the server to end it after so long; *stall* is the silence in seconds after
        which it is given up. An informer does all of this, and recovers.
        """
        door = self._opened()
        self._checked_collection(resource, kind, namespace)
        selected = verbs.selectors(label_selector, field_selector)

        async def opened() -> Response:
            where, _ = await self._resolve(resource, kind)
            request = verbs.watch(
                where,
                namespace,
                selected,
                version=resource_version,
                timeout_seconds=timeout_seconds,
                stall=stall + 5.0,
            )
            return await door.open(request, probing=True)

        return WatchStream(opened, f"watch {kind or resource}", resource_version, stall)

    # --- writes ---

    async def create(
        self,
        resource: ResourceName,
        obj: Body,
        *,
        namespace: str | None = None,
        kind: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        field_validation: str = "",
    ) -> KubeObject:
        """Create *obj*; its namespace is *namespace*, else its own. Returns it as stored.

        With a subresource (`"v1/pods/eviction"`) the object's own name says whose; what comes back is then
        the server's answer, perhaps a `Status`. Raises `AlreadyExists`, `Invalid`. Never sent twice: a lost
        answer is `OutcomeUnknown`.
        """
        where, _ = await self._resolve(resource, kind)
        options = WriteOptions(dry_run, field_manager, field_validation)
        return await self._written(verbs.create(where, obj, namespace, options), where)

    async def update(
        self,
        resource: ResourceName,
        obj: Body,
        *,
        namespace: str | None = None,
        kind: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        field_validation: str = "",
    ) -> KubeObject:
        """Replace an object by *obj*. With its `metadata.resourceVersion` in, somebody else's change in
        between is a `Conflict`; without, it is overwritten."""
        where, _ = await self._resolve(resource, kind)
        options = WriteOptions(dry_run, field_manager, field_validation)
        return await self._written(verbs.update(where, obj, namespace, options), where)

    async def patch(
        self,
        resource: ResourceName,
        key: Key,
        patch: Body | Sequence[Mapping[str, Any]],
        *,
        type: PatchType = "merge",
        kind: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        field_validation: str = "",
        force: bool = False,
    ) -> KubeObject:
        """Change parts of an object.

        Args:
            patch: an object for `merge` (RFC 7386), `strategic` and `apply`; a list of operations for
                `json` (RFC 6902).
            type: `apply` is server-side apply: it needs *field_manager*, creates what is not there, and
                takes fields from other managers only with *force*.
        """
        where, _ = await self._resolve(resource, kind)
        options = WriteOptions(dry_run, field_manager, field_validation)
        change = cast(Any, list(patch) if isinstance(patch, Sequence) else patch)
        return await self._written(verbs.patch(where, key, change, type, options, force=force), where)

    async def delete(
        self,
        resource: ResourceName,
        key: Key,
        *,
        kind: str = "",
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation | None = None,
        grace_period: int | None = None,
        dry_run: bool = False,
    ) -> KubeObject | None:
        """Delete an object. Returns its last state where the server sends it (it may live on, waiting for
        finalizers or a grace period), else None.

        Args:
            uid, resource_version: preconditions; `Conflict` where they do not hold.
            propagation: what becomes of its dependents.
            grace_period: seconds; 0 deletes at once.
        """
        where, _ = await self._resolve(resource, kind)
        write = verbs.delete(
            where,
            key,
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            grace_period=grace_period,
            dry_run=dry_run,
        )
        before = self.stand(where, write.key)
        answer = await self._call(write.request, repeatable=write.repeatable)
        last = object_deleted(answer, where)
        if last is not None:
            self._write_through.compare(before, write, last.resource_version)
        await self._show(write, where, answer, before)
        return last

    # --- informers ---

    @overload
    def informer(
        self,
        resource: type[V],
        *,
        namespaces: str | Iterable[str] | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        index: IndexSpec = (),
        strip: Iterable[str] = (),
        transform: Transform | None = None,
        compact: bool = False,
        streaming: bool = True,
        serve_stale_for: float | None = None,
    ) -> Informer[V]: ...
    @overload
    def informer(
        self,
        resource: ResourceName,
        *,
        kind: str = "",
        namespaces: str | Iterable[str] | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        index: IndexSpec = (),
        metadata_only: bool = False,
        strip: Iterable[str] = (),
        transform: Transform | None = None,
        compact: bool = False,
        streaming: bool = True,
        serve_stale_for: float | None = None,
    ) -> Informer[KubeObject]: ...
    def informer(
        self,
        resource: ResourceName | type[View],
        *,
        kind: str = "",
        namespaces: str | Iterable[str] | None = None,
        label_selector: Selector | None = None,
        field_selector: str | FieldSelector | None = None,
        index: IndexSpec = (),
        metadata_only: bool = False,
        strip: Iterable[str] = (),
        transform: Transform | None = None,
        compact: bool = False,
        streaming: bool = True,
        serve_stale_for: float | None = None,
    ) -> Informer[Any]:
        """A handle on a shared cache of *resource*; equal arguments share one cache and one watch.

        Args:
            resource: a resource, a group and version with *kind*, or a `View` (which keeps its fields only).
            namespaces: each watched by itself; None for all with one watch.
            label_selector, field_selector: evaluated by the server.
            index: field paths (`["spec.nodeName"]`), or names with a field path or a function.
            metadata_only: hold headers, annotations and owners only.
            strip: field paths dropped on arrival, such as `metadata.managedFields`.
            transform: what is kept of each object.
            compact: hold what is kept compressed, in some fifth of the memory; to read a body takes 15 µs
                more for a pod of 7 KB. It needs the extra `compact`.
            streaming: ask for streaming lists (KEP-3157) where the server has them.
            serve_stale_for: seconds without contact with the server for which this handle is read; then plain
                reads raise `StaleError`. None for the client's, `math.inf` for ever. A watch that is well may
                be silent for a minute or two.

        Nothing is sent before the handle is entered. Raises `SelectorError`, `InvalidName` or `ConfigError`
        at once for arguments that cannot work.
        """
        self._opened()
        known: Resource | None
        if kind:
            known, view, described = None, None, f"{kind} in {resource}"
            stand_in = Resource("", "v1", "unresolved")
        else:
            known, view = named(resource)
            described, stand_in = str(known), known
        options = InformerOptions.checked(
            stand_in,
            namespaces=namespaces,
            label_selector=label_selector,
            field_selector=field_selector,
            index=index,
            metadata_only=metadata_only,
            strip=strip,
            transform=transform,
            view=view,
            compact=compact,
            streaming=streaming,
        )

        async def resolved() -> InformerOptions:
            if known is not None:
                return options
            return replace(options, resource=(await self._resolve(cast(str, resource), kind))[0])

        return self._informers.handle(described, resolved, view, serve_stale_for)

    # --- the parts ---

    def _made_door(self, transport: Transport) -> Door:
        server, shares = transport.server, self._shares
        limiter, budget = self._limiter, self._budget
        if shares and not self._own_limiter:
            limiter = shared_limiter(server, limiter)
        if shares and budget is None:
            budget = shared_budget(server)
        return Door(
            transport,
            limiter=limiter,
            observers=self.observers,
            retry=self._retry,
            budget=budget,
            in_flight=shared_in_flight(server, self._in_flight) if shares else self._in_flight,
            lists=shared_lists(server),
            levels=shared_levels(server) if shares else None,
            outage=shared_outage(server, self._random) if shares else None,
            spread=self._timing.spread,
            strict=self._strict,
            random=self._random,
        )

    async def _call(self, request: Request, *, repeatable: bool = False) -> Answer:
        return await self._opened().call(request, repeatable=repeatable, probing=True)

    async def _written(self, write: Write, where: Resource) -> KubeObject:
        request = write.request
        before = self.stand(where, write.key)
        answer = await self._call(request, repeatable=write.repeatable)
        try:
            obj = object_written(answer, where)
        except PoisonObject as error:
            raise OutcomeUnknown(f"{request.what}: done, but its answer cannot be read: {error}") from error
        above = self._write_through.compare(before, write, obj.resource_version)
        await self._show(write, where, answer, before, above)
        return obj

    async def _show(
        self,
        write: Write,
        where: Resource,
        answer: Answer,
        before: Sequence[Stood],
        above: Collection[Reflector] = (),
    ) -> None:
        if not write.dry_run:
            await self._write_through.acknowledged(
                where, write.request.verb, write.key, answer.body, before=before, above=above
            )

    def _checked_collection(
        self, resource: ResourceName | type[View], kind: str, namespace: str | None
    ) -> type[View] | None:
        """The view that *resource* is, if it is one; raises at once for what no list or watch can be of."""
        verbs.checked_namespace(namespace)
        if kind:
            return None
        where, view = named(resource)
        if where.subresource:
            raise InvalidName(f"{where} is a subresource: it cannot be listed or watched; {where.parent} can")
        where.collection_path(namespace)
        return view

    async def _resolve(
        self, resource: ResourceName | type[View], kind: str
    ) -> tuple[Resource, type[View] | None]:
        self._opened()
        assert self._discovery is not None
        return await self._discovery.resolve(resource, kind)

    def _route(self) -> Hashable:
        """Of a client that was opened, and may be closing."""
        assert self._door is not None
        return route_of(self._door.transport)

    def _opened(self) -> Door:
        if self._door is None or self._closed:
            state = "closed: make a new one" if self._closed else "not open: use `async with`, or open()"
            raise LifecycleError(f"this client is {state}")
        if os.getpid() != self._pid:
            raise LifecycleError("this client was made before a fork: make one in each process")
        self._check_loop()
        return self._door

    def _check_loop(self) -> None:
        if self._loop is not None and running_loop() is not self._loop:
            raise LifecycleError(
                "this client belongs to another event loop: use it there (call_soon_threadsafe leads from a "
                "thread), or make one for each loop"
            )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crashes.append(f"{task.get_name()}: {error!r}")
            self.observers(TaskCrashed(task.get_name(), error))


def _timed(timing: Timing, spread: float | None, start_jitter: float | None) -> Timing:
    spread = timing.spread if spread is None else spread
    start_jitter = timing.start_jitter if start_jitter is None else start_jitter
    for name, seconds in (("spread", spread), ("start_jitter", start_jitter)):
        if not isinstance(seconds, (int, float)) or not (seconds >= 0 and math.isfinite(seconds)):
            raise ConfigError(f"{name} must be seconds >= 0; got {seconds!r}")
    return replace(timing, spread=spread, start_jitter=start_jitter)
