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
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar, cast, overload

import msgspec

from . import verbs
from .api.errors import (
    ConfigError,
    InvalidName,
    LifecycleError,
    OutcomeUnknown,
    PoisonObject,
    WireError,
    wrong_type,
)
from .api.field_selectors import FieldSelector
from .api.label_selectors import LabelSelector
from .api.objects import Header, KubeObject
from .api.resources import Key, Resource
from .api.versions import is_older
from .api.views import View, resource_of, view_of
from .cache.health import InformerHealth
from .cache.index import IndexSpec
from .cache.informer import Informer, running_loop
from .cache.intake import Transform
from .cache.options import InformerOptions
from .cache.reflector import Reflector
from .cache.shared import SharedInformer, health_of
from .cache.timing import Timing
from .discovery import Discovery
from .flow.answers import Answer
from .flow.budget import RetryBudget
from .flow.door import Door
from .flow.in_flight import MAX_IN_FLIGHT, InFlight
from .flow.limiter import Limiter
from .flow.pressure import LevelPressure
from .flow.retry import RetryPolicy
from .flow.shared import shared_budget, shared_limiter, shared_lists
from .observe.events import Observer, Observers, TaskCrashed
from .observe.log import log_observer
from .reads import ListCall, WatchStream
from .transport.base import Request, Response, Transport
from .verbs import Body, PatchType, Propagation, Write, WriteOptions

__all__ = ["Client", "ClientHealth"]

V = TypeVar("V", bound=View)
ResourceName = str | Resource
Selector = str | Mapping[str, Any] | LabelSelector


@dataclass(frozen=True, slots=True)
class ClientHealth:
    """How a client stands.

    Attributes:
        server: its base URL.
        informers: each of them.
        crashes: what crashed lately (a bug; please report it).
        reachable: False from a refused connection until the next answer.
        waiting: requests of this client that wait for admission now.
        pressure: the priority levels, lanes and APIs that were asked, those held back first.
        retries_left: repeats that the retry budget allows now.
    """

    server: str
    informers: tuple[InformerHealth, ...]
    crashes: tuple[str, ...]
    reachable: bool = True
    waiting: int = 0
    pressure: tuple[LevelPressure, ...] = ()
    retries_left: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every informer has synced, none is refused by the server, and nothing crashed."""
        refused = any(reflector.denied for one in self.informers for reflector in one.reflectors)
        return not self.crashes and not refused and all(one.synced for one in self.informers)


class Client:
    """One API server, spoken to politely. Made by `connect`, or on a transport of your own.

    It belongs to the event loop it is entered on. Keys are `"namespace/name"`, or `"name"` at cluster
    scope; a resource is `"v1/pods"`, `"apps/v1/deployments"`, or a group and version with `kind=`.

    Every verb raises the typed `ApiError` of the server's answer, `ConnectFailed` or `ConnectionLost` where
    there was none, and `InvalidName` for a name no path can carry; a write whose answer was lost raises
    `OutcomeUnknown`. Reads, and writes that certainly did nothing, are retried within bounds first. With
    *shares_limiter*, clients of one server on one loop have one retry budget and, where their figures are
    equal, one limiter. The other options are those of `connect`; *timing* sets every time of its informers,
    these two too where they are not given. Cancelled: the request is aborted; a write may still have
    happened.
    """

    def __init__(
        self,
        transport: Transport | Callable[[], Awaitable[tuple[Transport, str]]],
        *,
        qps: float | None = 20.0,
        burst: int = 40,
        limiter: Limiter | None = None,
        shares_limiter: bool = False,
        retry: RetryPolicy | None = None,
        budget: RetryBudget | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        spread: float | None = None,
        start_jitter: float | None = None,
        strict: bool = False,
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
        self._shares_limiter = shares_limiter and limiter is None and qps is not None
        self._retry = retry
        self._budget = budget
        self._shares = shares_limiter
        self._in_flight = InFlight(max_in_flight)
        self._strict = strict
        self._random = random
        self._timing = _timed(timing or Timing(), spread, start_jitter)
        self.observers = Observers(log_observer(), *observers)
        self.namespace = "default"
        """The default namespace of the configuration; nothing is put there unless you say so."""
        self._door: Door | None = None
        self._discovery: Discovery | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._closed = False
        self._opening = asyncio.Lock()
        self._informers: dict[InformerOptions, SharedInformer] = {}
        self._handles: set[Informer[Any]] = set()
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
                if self._shares_limiter:
                    self._limiter = shared_limiter(transport.server, self._limiter)
                self._door = Door(
                    transport,
                    limiter=self._limiter,
                    observers=self.observers,
                    retry=self._retry,
                    budget=self._own_budget(transport.server),
                    in_flight=self._in_flight,
                    lists=shared_lists(transport.server),
                    spread=self._timing.spread,
                    strict=self._strict,
                    random=self._random,
                )
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
            handles = tuple(self._handles)
            await asyncio.gather(
                *(handle._end(drain=drain, timeout=timeout, caller=own) for handle in handles)
            )
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
        informers = tuple(health_of(shared) for shared in self._informers.values())
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
        )

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
        return tuple(shared for options, shared in self._informers.items() if options.resource == resource)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._door is not None else "not open"
        server = self._door.transport.server if self._door is not None else "a cluster to be found"
        return f"<Client of {server}, {state}>"

    # --- reads ---

    @overload
    async def get(self, resource: type[V], key: Key, *, kind: str = "") -> V: ...
    @overload
    async def get(self, resource: ResourceName, key: Key, *, kind: str = "") -> KubeObject: ...
    async def get(self, resource: ResourceName | type[View], key: Key, *, kind: str = "") -> Any:
        """Read one object from the server (an informer reads from memory). Raises `NotFound`."""
        where, view = await self._resolve(resource, kind)
        answer = await self._call(verbs.get(where, key))
        obj = self._decoded(answer, where)
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
        selectors = _selectors(label_selector, field_selector)
        accept = "application/json"
        if metadata_only:
            accept = f"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{accept}"

        async def page(token: str) -> Request:
            where, _ = await self._resolve(resource, kind)
            query = [*selectors, ("limit", str(page_size))]
            if token:
                query.append(("continue", token))
            elif resource_version:
                query += [("resourceVersion", resource_version), ("resourceVersionMatch", "NotOlderThan")]
            path, headers = where.collection_path(namespace), {"Accept": accept}
            return Request(
                "GET", path, tuple(query), headers, verb="list", resource=str(where), timeout=120.0
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
        query = [("watch", "true"), ("allowWatchBookmarks", "true")]
        query += _selectors(label_selector, field_selector)
        if resource_version:
            query.append(("resourceVersion", resource_version))
        if timeout_seconds is not None:
            query.append(("timeoutSeconds", str(timeout_seconds)))

        async def opened() -> Response:
            where, _ = await self._resolve(resource, kind)
            request = Request(
                "GET",
                where.collection_path(namespace),
                tuple(query),
                {"Accept": "application/json"},
                verb="watch",
                resource=str(where),
                streaming=True,
                timeout=None,
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
        answer = await self._call(write.request, repeatable=write.repeatable)
        return _object_or_none(answer, where)

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
        streaming: bool = True,
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
        streaming: bool = True,
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
        streaming: bool = True,
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
            streaming: ask for streaming lists (KEP-3157) where the server has them.

        Nothing is sent before the handle is entered. Raises `SelectorError`, `InvalidName` or `ConfigError`
        at once for arguments that cannot work.
        """
        self._opened()
        known: Resource | None
        if kind:
            known, view, described = None, None, f"{kind} in {resource}"
            stand_in = Resource("", "v1", "unresolved")
        else:
            known, view = _named(resource)
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
            streaming=streaming,
        )

        async def acquire() -> SharedInformer:
            where = known if known is not None else (await self._resolve(cast(str, resource), kind))[0]
            shared = self._join(options if known is not None else replace(options, resource=where))
            self._handles.add(handle)
            return shared

        async def release(shared: SharedInformer) -> None:
            self._handles.discard(handle)
            await self._leave(shared)

        handle: Informer[Any] = Informer(
            described, acquire, release, view=view, observe=self.observers, spawn=self._spawn
        )
        return handle

    def _join(self, options: InformerOptions) -> SharedInformer:
        door = self._opened()
        shared = self._informers.get(options)
        if shared is None or shared.error is not None:
            shared = SharedInformer(
                options,
                door,
                observe=self.observers,
                random=self._random,
                spawn=self._spawn,
                timing=self._timing,
            )
            self._informers[options] = shared
            shared.start()
        shared.handles += 1
        return shared

    async def _leave(self, shared: SharedInformer) -> None:
        shared.handles -= 1
        if not shared.handles:
            if self._informers.get(shared.options) is shared:
                del self._informers[shared.options]
            await shared.stop()

    # --- the parts ---

    def _own_budget(self, server: str) -> RetryBudget:
        if self._budget is not None:
            return self._budget
        return shared_budget(server) if self._shares else RetryBudget()

    async def _call(self, request: Request, *, repeatable: bool = False) -> Answer:
        return await self._opened().call(request, repeatable=repeatable, probing=True)

    async def _written(self, write: Write, where: Resource) -> KubeObject:
        request = write.request
        before = [
            (reflector, reflector.store.version, _version_of(reflector, write.key))
            for options, shared in self._informers.items()
            if options.resource == where
            for reflector in shared.reflectors.values()
            if reflector.store.synced
        ]
        answer = await self._call(request, repeatable=write.repeatable)
        try:
            obj = _object_written(answer, where)
        except PoisonObject as error:
            raise OutcomeUnknown(f"{request.what}: done, but its answer cannot be read: {error}") from error
        version = obj.resource_version
        if "dryRun" not in dict(request.query) and version != write.sent_version:
            for reflector, cache, held in before:
                # A write that changed nothing is answered with the version the object has had all along.
                if is_older(version, cache) and (write.key is None or held not in ("", version)):
                    reflector.suspect_rewind(
                        f"{request.what} was answered at version {version}, where the cache stood at {cache}"
                    )
        return obj

    def _decoded(self, answer: Answer, where: Resource) -> KubeObject:
        try:
            return KubeObject.decode(answer.body, kind=where.kind, api_version=where.api_version)
        except PoisonObject as error:
            raise WireError(f"{where}: the answer is no object: {error}") from error

    def _checked_collection(
        self, resource: ResourceName | type[View], kind: str, namespace: str | None
    ) -> type[View] | None:
        """The view that *resource* is, if it is one; raises at once for what no list or watch can be of."""
        verbs.checked_namespace(namespace)
        if kind:
            return None
        where, view = _named(resource)
        if where.subresource:
            raise InvalidName(f"{where} is a subresource: it cannot be listed or watched; {where.parent} can")
        where.collection_path(namespace)
        return view

    async def _resolve(
        self, resource: ResourceName | type[View], kind: str
    ) -> tuple[Resource, type[View] | None]:
        self._opened()
        if not kind:
            return _named(resource)
        if not isinstance(resource, str):
            raise wrong_type(
                "resource, where kind= is given,", 'a group and version such as "apps/v1"', resource
            )
        assert self._discovery is not None
        return await self._discovery.resource(resource, kind), None

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


def _version_of(reflector: Reflector, key: Key | None) -> str:
    held = reflector.store.table.objects.get(key) if key is not None else None
    return held.resource_version if held is not None else ""


def _named(resource: ResourceName | type[View]) -> tuple[Resource, type[View] | None]:
    if isinstance(resource, type):
        if not issubclass(resource, View):
            raise wrong_type("a resource", "a name, a Resource or a View", resource)
        return resource_of(resource), resource
    return Resource.parse(resource), None


def _selectors(labels: Selector | None, fields: str | FieldSelector | None) -> list[tuple[str, str]]:
    pairs = []
    if labels is not None and labels != "":
        pairs.append(("labelSelector", str(LabelSelector.parse(labels))))
    if fields is not None and fields != "":
        pairs.append(("fieldSelector", str(FieldSelector.parse(fields))))
    return pairs


def _object_written(answer: Answer, where: Resource) -> KubeObject:
    """What a write was answered with. It has no name where it is a Status (an eviction) or a review."""
    try:
        return KubeObject.decode(answer.body, kind=where.kind, api_version=where.api_version)
    except PoisonObject:
        try:
            header = msgspec.json.decode(answer.body, type=Header)
        except (msgspec.DecodeError, UnicodeDecodeError):
            header = None
        if header is None or not header.kind:
            raise
        return KubeObject(answer.body, header.metadata, header.kind, header.api_version)


def _object_or_none(answer: Answer, where: Resource) -> KubeObject | None:
    try:
        obj = KubeObject.decode(answer.body, kind=where.kind, api_version=where.api_version)
    except PoisonObject:
        return None
    return None if obj.kind == "Status" else obj
