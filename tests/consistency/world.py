"""A server, a client with several informers, and everything that either of them may do next."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from kresilient.api.errors import KresilientError
from kresilient.api.objects import KubeObject
from kresilient.cache.reflector import Reflector
from kresilient.client import Client
from kresilient.observe.events import Event, Rewound, WriteNotSeen
from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.faults import Faults
from kresilient.testing.server.state import ApiState
from kresilient.testing.server.storage import Change, Stored

from .network import ANSWERED_LATE, Network
from .readers import Handler, Reader
from .scopes import KEYS, MAPS, PODS, SCOPES, Scope
from .timeline import Timeline, Track, Truth

_APART = 1_000
"""Versions that other resources are given after a backup: so an older one is told from those given again."""


@dataclass
class Commits:
    """What one write of the client made the server store: `(track, version, None where it is gone)`."""

    epoch: int
    made: list[tuple[Track, int, Truth | None]] = field(default_factory=list)


_WRITING: ContextVar[Commits | None] = ContextVar("writing", default=None)


class World:
    """One server and one client in the loop that runs, and what is known of both."""

    def __init__(self, log: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.timeline = Timeline()
        self._restoring = False
        self._told: list[tuple[int, Track, int, dict[str, Any]]] = []  # acknowledged writes, by epoch
        self._unseen = 0
        state = ApiState(
            now=lambda: 1_700_000_000.0 + loop.time(),
            random=random.Random(7),
            controllers=False,
            commit=self._commit,
        )
        self.server = MemoryApiServer(state=state)
        self.network = Network(self.server)
        self.client = Client(
            self.network, qps=None, random=random.Random(11).random, observers=[self._observed]
        )
        self.readers: list[Reader] = []
        self._own: set[int] = set()  # versions that own writes were acknowledged at, in whichever epoch
        self._writing: Counter[str] = Counter()
        self.backup: int | None = None
        self._snapshot = ""
        self._rewound = self._stopped_rewinds = 0
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()
        self._wrong: BaseException | None = None

    # --- what is there ---

    @property
    def handlers(self) -> list[Handler]:
        return [handler for reader in self.readers for handler in reader.handlers]

    # --- readers ---

    async def start(self, scope: Scope) -> Reader:
        informer = self.client.informer(scope.resource, **scope.options)
        await informer.start()
        reader = Reader(scope, informer, self.timeline, self._is_own)
        for epoch, (resource, key), version, owed in self._told:
            if epoch == self.timeline.now and resource == scope.plural:
                reader.owes(key, version, **owed)
        self.readers.append(reader)
        return reader

    async def stop(self, reader: Reader) -> None:
        self.readers.remove(reader)
        await reader.informer.close()
        reader.notice_rewinds()
        self._stopped_rewinds += reader.rewinds
        for handler in reader.handlers:
            if handler.pulling is not None:
                await handler.pulling
            await handler.check()

    # --- own writes ---

    async def write(
        self,
        what: str,
        plural: str,
        call: Callable[[], Awaitable[KubeObject | None]],
        *,
        late: float = 0.0,
        dry: bool = False,
        wait: bool = True,
    ) -> None:
        """Make an own write, whose answer takes *late* seconds; *wait* for it, or let it run beside."""
        task = asyncio.get_running_loop().create_task(self._write(what, plural, call, late=late, dry=dry))
        self._beside(task)
        if wait:
            await asyncio.wait([task])

    async def _write(
        self,
        what: str,
        plural: str,
        call: Callable[[], Awaitable[KubeObject | None]],
        *,
        late: float,
        dry: bool,
    ) -> None:
        verb, key = what.split()
        self._writing[key] += 1
        stood = {reader: reader.version(key) for reader in self.readers}
        commits, unseen = Commits(self.timeline.now), self._unseen
        _WRITING.set(commits)
        ANSWERED_LATE.set(late)
        try:
            answer = await call()
        except KresilientError as error:
            self._log(f"{what}: {type(error).__name__}")
            return
        finally:
            self._writing[key] -= 1
        self._log(f"{what}: {answer!r}")
        if answer is not None and not dry:
            self._own.add(int(answer.resource_version))
        if commits.epoch == self.timeline.now and not dry:
            # What a cache does not show, or shows at that very version, may not have changed; a delete waits
            # for nothing; and no write waits for ever.
            known = set()
            if answer is not None and verb != "delete" and self._unseen == unseen:
                same = ("", answer.resource_version)
                known = {reader for reader, at in stood.items() if verb == "create" or at not in same}
            self._acknowledged(plural, commits, answer, known)

    def _is_own(self, key: str, version: int) -> bool:
        """Whether an own write of *key* was answered with *version*, as far as is known: one may be waiting
        for another cache."""
        return version in self._own or self._writing[key] > 0

    def _acknowledged(
        self, plural: str, commits: Commits, answer: KubeObject | None, known: set[Reader]
    ) -> None:
        """In the same turn in which the call returned: no cache shows less. Those of which it is *known* have
        noticed by the answer, if not before, that the server went back."""
        ended = False
        if commits.made:
            track, version, truth = commits.made[-1]
            ended = truth is None
        elif answer is not None and answer.resource_version:  # it changed nothing: what is there was told
            track, version = (plural, answer.key), int(answer.resource_version)
        else:
            return
        before = self.timeline.before(track, version)
        if before is not None and before.spoilt:
            return
        owed: dict[str, Any] = {"ended": ended, "gone": before.uid if before and answer is None else ""}
        self._told.append((self.timeline.now, track, version, owed))
        for reader in self.readers:
            if reader.scope.plural == track[0]:
                reader.notice_rewinds()
                reader.owes(track[1], version, **owed, excused=ended or reader not in known)
                reader.check_key(track[1])

    # --- the others' writes ---

    async def while_it_is_away(self, act: Callable[[], None]) -> None:
        """*act* on the server while nobody can watch; of its history nothing is left."""
        await self.server.kill()
        act()
        self.server.compact()
        await self.server.start()

    def spoil(self, track: Track) -> None:
        """Let the server hold what is no JSON under the key of *track*."""
        resource, key = track
        namespace, name = key.split("/")
        raw = b'{"metadata":{"name":"%s","namespace":"%s"},"spec":tru}' % (name.encode(), namespace.encode())
        self.server.state.put_raw(resource, key, raw)

    def foreign(self, what: str, act: Callable[[], object]) -> None:
        act()
        self._log(f"{what}, at version {self.server.state.version}")

    # --- faults ---

    def arm(self, trouble: Callable[[Faults], object]) -> None:
        try:
            trouble(self.server.faults)
        except ValueError as error:  # a replica cannot lag behind a history that was forgotten
            self._log(str(error))

    # --- the past ---

    @property
    def can_back_up(self) -> bool:
        """Whether there is no backup yet, and every cache has noticed that the server went back before."""
        return self.backup is None and all(
            reflector.store.synced and int(reflector.seen) <= self.server.state.version
            for reader in self.readers
            for reflector in reader.reflectors
        )

    def back_up(self) -> None:
        """Keep what is stored. The versions that follow are far from it, as if much else had been written."""
        self.backup = self.server.state.version
        self._snapshot = self.server.snapshot()
        self.server.state.version += _APART

    @property
    def can_go_back(self) -> bool:
        """Whether a backup is there, and every cache could notice that it was restored.

        It could not for a while, or not at all, where all it has seen beyond the backup are own deletes, or
        what does not decode: neither tells a version.
        """
        if self.backup is None or len(self.server.faults.replicas):
            return False
        return all(
            self._would_notice(reader, reflector, self.backup)
            for reader in self.readers
            for reflector in reader.reflectors
        )

    def _would_notice(self, reader: Reader, reflector: Reflector, backup: int) -> bool:
        if not reflector.store.synced or int(reflector.store.version) > backup:
            return reflector.store.synced
        if reflector._overlay._gone:
            return False
        return int(reflector.seen) > backup or reader.reached(reflector) <= backup

    def go_back(self) -> None:
        assert self.backup is not None
        self._restoring = True
        try:
            self.server.restore(self._snapshot)
        finally:
            self._restoring = False
        self.timeline.rewind(self.backup)
        self.network.server_is_another()
        self.backup = None

    # --- what has to hold ---

    async def check(self) -> None:
        """After every step: what can be read, and what the handlers were told."""
        if self._wrong is not None:
            raise self._wrong
        for reader in self.readers:
            reader.check()
        for handler in self.handlers:
            await handler.check()
        for reader in self.readers:
            reader.check()
        assert not self.client.health.crashes, self.client.health.crashes
        assert self._rewound == self._stopped_rewinds + sum(reader.rewinds for reader in self.readers), (
            "each time a cache says that the server went back, it is announced"
        )
        assert not self.server.requests.where(verb="get"), "a cache is read without asking the server"

    async def rest(self) -> None:
        """Lift every fault and wait until all is quiet: the caches hold what the server holds."""
        self.network.open()
        self.server.faults.clear()
        await self.server.start()
        await self.server.faults.accept_connections()
        while self._tasks:
            await asyncio.wait(self._tasks)
        deadline = asyncio.get_running_loop().time() + 10_000.0
        pause = 0.1
        while wrong := self._unequal():
            assert asyncio.get_running_loop().time() < deadline, f"at rest, {wrong}"
            await asyncio.sleep(pause)
            await self.check()
            pause = min(2 * pause, 20.0)
        await self.check()

    def _unequal(self) -> str:
        """What is not yet as it should be at rest."""
        for reader in self.readers:
            if not reader.informer.has_synced:
                return f"{reader.scope.name} has not synced: {reader.informer.health.reason}"
            expected, any_spoilt = reader.expected(), any(map(reader.is_spoilt, KEYS))
            held = {key: state for key, state in reader.holds().items() if not reader.is_spoilt(key)}
            if any_spoilt and reader.scope.options.get("metadata_only"):
                # Its header alone has no name: it may be any object that is held and not in the list.
                held = {key: state for key, state in held.items() if key in expected}
            if held != expected:
                return f"{reader.scope.name} holds {held}, and should hold {expected}"
            if reader.scope.plural == PODS and reader.unconfirmed:
                return f"{reader.scope.name} has not heard of {reader.unconfirmed} own writes"
        for handler in self.handlers:
            if handler.busy:
                return f"{handler.name} has something left to do"
        return ""

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        pulling = [handler.pulling for handler in self.handlers if handler.pulling is not None]
        await self.client.close()
        if pulling:
            await asyncio.wait(pulling)
        await self.server.close()

    # --- the parts ---

    def _beside(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def restart(self, history: bool, down: float) -> None:
        """Kill the server; it is there again after *down* seconds."""
        restarting = self.server.restart(history=history, down=down)
        self._beside(asyncio.get_running_loop().create_task(restarting))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._wrong = self._wrong or error

    def _observed(self, event: Event) -> None:
        if isinstance(event, Rewound):
            self._rewound += 1
        elif isinstance(event, WriteNotSeen):
            self._unseen += 1

    def _commit(self, storage: tuple[str, str], change: Change) -> None:
        if self._restoring or storage not in (("", "pods"), ("", "configmaps")):
            return
        plural = PODS if storage[1] == "pods" else MAPS
        track = (plural, change.new.key)
        truth = None if change.after is None else self._truth(plural, change.after)
        self.timeline.record(track, change.version, truth)
        commits = _WRITING.get()
        if commits is not None:
            commits.epoch = self.timeline.now
            commits.made.append((track, change.version, truth))

    def _truth(self, plural: str, stored: Stored) -> Truth:
        if stored.poison:
            return Truth("", stored.version, {}, spoilt=True)
        state = self.server.state
        data = state.resource(plural).seen(stored).decode()
        data["metadata"]["resourceVersion"] = str(stored.version)
        return Truth(stored.uid, stored.version, data)


SCOPE = {scope.name: scope for scope in SCOPES}
