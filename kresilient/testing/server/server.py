"""What the HTTP server and the in-memory one share: one exchange from request to response, and the handles
that tests hold: state, faults, requests, tokens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from email.utils import formatdate
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from kresilient.api.resources import Resource, join_key

from . import wire
from .access import Access, Attributes, Authorization, forbidden
from .access.priority import EXEMPT, Flow, Flows, bootstrap_flows
from .activity import Activity
from .answers import Answer
from .broadcast import Broadcast
from .delete_options import DeleteOptions
from .epoch import TICK, Epoch, Reset, until
from .faults import Faults
from .faults.effect import Exchange, Pieces
from .faults.met import Met
from .go_words import duration_fault
from .inflight import Inflight, kind_of
from .journal import Journal
from .manifests import add_manifests, load_manifests
from .metrics import Metrics
from .request_log import RequestLog
from .requests import Call, RequestInfo, RequestRecord
from .routes import Routes
from .snapshot import dump, parse, write
from .state import ApiState
from .statuses import bad_request, too_many_requests, unauthorized
from .storage import Stored
from .subresources import CONNECTS
from .summary import summary
from .writing import Write

__all__ = ["ApiServer", "Reply"]

_LAST_BOOKMARK: Final = 2.0
"""Seconds before its end at which a watch gets its last bookmark."""
_PATIENCE: Final = 3.0
"""Seconds for which a request waits for a version that is not reached (`blockTimeout` of the watch cache)."""


class Reply:
    """A response on its way out. `finish` it in every case; it may be read once.

    `streaming` tells that a piece must not wait for the next one before it goes out.
    """

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        chunks: AsyncGenerator[bytes, None],
        finish: Callable[[], None],
        *,
        streaming: bool,
    ) -> None:
        self.status = status
        self.headers = headers
        self.chunks = chunks
        self.finish = finish
        self.streaming = streaming


class ApiServer:
    """A fake Kubernetes API server without a way in: see `FakeApiServer` and `MemoryApiServer`.

    Args:
        token: the bearer token of `admin`, or several; without any, everybody is let in as `admin`.
        authorization: `"authenticated"`: everybody with good credentials may do everything; `"rbac"`: what
            the roles and bindings among the objects say, with the default ones there from the start. Without
            a *token*, `admin` gets one then (`token`): whoever has none is `system:anonymous`. See `access`
            for other users.
        history: changes kept for each resource; a watch or list from before them is answered with 410.
        gone: how a watch learns of that: `"event"` (200 with an ERROR event) or `"status"` (HTTP 410).
        streaming_list: whether the server knows `sendInitialEvents`.
        sharding: whether it knows `shardSelector`, which is alpha in 1.36; without, it is ignored.
        bookmark_interval: seconds between the bookmarks of a watch.
        max_inflight: reading requests that may run at once, watches only until they have begun; one more is
            answered with 429. Who is in `system:masters`, as `admin` is with RBAC, is never made to wait.
        max_mutating_inflight: the same for writing requests.
        audit: a file to append the audit log to, as `RequestLog.stream_audit` does.
        page_ttl: seconds after which a page token expires.
        strict_namespaces: refuse objects in namespaces that do not exist.
        controllers: whether what is deleted takes along what it should, in the same step: dependents by the
            garbage collector, the content of a namespace by the namespace controller, and a bound pod by the
            kubelet of its node, as if its containers stopped when asked. False is an API server alone, where
            each waits for ever for somebody else to do so. Or the names of those to run: see `CONTROLLERS`.
        watch_queue: events that may wait for a slow watcher before it is cut off.
        first_version: the resource version that an empty cluster starts at.
        cel: what becomes of rules of definitions (`x-kubernetes-validations`): `"evaluate"` or `"ignore"`.
        now, random: the wall clock (seconds since the epoch), and the source of uids and names.
        journal: a file that keeps every write, and from which the objects come back.
        state: a state to serve instead of a new one; the options about state are then its own.
    """

    def __init__(
        self,
        *,
        token: str | Iterable[str] | None = None,
        authorization: Authorization = "authenticated",
        history: int = 10_000,
        gone: str = "event",
        streaming_list: bool = True,
        sharding: bool = False,
        bookmark_interval: float = 60.0,
        max_inflight: int | None = None,
        max_mutating_inflight: int | None = None,
        page_ttl: float = 300.0,
        strict_namespaces: bool = False,
        controllers: bool | Iterable[str] = True,
        watch_queue: int = 10_000,
        first_version: int = 60_740,
        cel: str = "evaluate",
        now: Callable[[], float] = time.time,
        random: Random | None = None,
        journal: str | Path | None = None,
        audit: str | Path | None = None,
        state: ApiState | None = None,
    ) -> None:
        if gone not in ("event", "status"):
            raise ValueError(f'gone must be "event" or "status", not {gone!r}')
        self.state = state or ApiState(
            now=now,
            random=random,
            first_version=first_version,
            history=history,
            page_ttl=page_ttl,
            strict_namespaces=strict_namespaces,
            controllers=controllers,
            watch_queue=watch_queue,
            cel=cel,
        )
        self.journal = None if journal is None else Journal.open(journal, self.state)
        tokens = [] if token is None else [token] if isinstance(token, str) else list(token)
        self.access = Access(self.state, tokens, authorization=authorization)
        self.flows = Flows(self.state)
        if authorization == "rbac":
            bootstrap_flows(self.state)
        self.faults = Faults(self)
        self.requests = RequestLog(seed=self.state.random.getrandbits(80))
        if audit is not None:
            self.requests.stream_audit(audit)
        self.activity = Activity()
        self._inflight = Inflight(read_only=max_inflight, mutating=max_mutating_inflight)
        self.bookmark_interval = bookmark_interval
        self.routes = Routes(
            self.state,
            self.access,
            gone=gone,
            streaming_list=streaming_list,
            sharding=sharding,
        )
        self.metrics = Metrics(self.state.resources, self.routes.paths)
        self.epoch: Epoch | None = None
        self._watching: list[tuple[str, int, asyncio.Future[None]]] = []
        self.state.on_watches = self._watches_changed
        self._changed = Broadcast()
        self.state.on_objects = self._objects_changed

    def _token_for(self, token: str | None, user: str | None, groups: Iterable[str] | None) -> str | None:
        """The token of credentials that are asked for by one, or by who they are for; None for `admin`'s."""
        if user is None:
            if groups is not None:
                raise ValueError("groups are those of a user: say which, with user=")
            if token is not None and self.access.user_of_token(token) is None:
                raise ValueError("this token is not good: accept it first (server.access.accept)")
            return token
        if token is not None:
            raise ValueError("a token says whose it is: give it or the user, not both")
        return self.access.token_of(user, groups=groups)

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        raise NotImplementedError("a server without a way in has no URL")

    @property
    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self.epoch is not None

    @property
    def inflight(self) -> int:
        """How many requests run now, watches only until they have begun."""
        return self._inflight.total

    # --- objects, for tests: at once, and without asking for access --------------------------------------

    @property
    def token(self) -> str | None:
        """A bearer token that is good now, or None where none is needed."""
        return self.access.token

    def create(
        self, resource: str | Resource, obj: Mapping[str, Any], *, namespace: str = ""
    ) -> dict[str, Any]:
        """Create *obj*, status and all, in *namespace* (else its own, else `default`); returns it as stored.

        It stays, even where it names owners that are not there. Raises `Refused` where a server would refuse
        it.
        """
        found = self.state.resource(resource)
        where = namespace or (obj.get("metadata") or {}).get("namespace") or "default"
        with self.state.trusting_owners():
            stored = self.state.create(
                found, obj, namespace=where if found.namespaced else "", write=Write(trusted=True)
            )
        return self._shown(resource, stored)

    def get(self, resource: str | Resource, key: str) -> dict[str, Any] | None:
        """The object under *key* (`"default/web-0"`), or None."""
        stored = self.state.collection(self.state.resource(resource)).objects.get(key)
        return None if stored is None else self._shown(resource, stored)

    def update(self, resource: str | Resource, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Write *obj* over what is there, but for the status; a status of its own replaces that too."""
        found = self.state.resource(resource)
        metadata = obj["metadata"]
        namespace = (metadata.get("namespace") or "default") if found.namespaced else None
        key = join_key(namespace, metadata["name"])
        if found.custom and not metadata.get("resourceVersion"):
            version = str(self.state.get(found, key).version)
            obj = {**obj, "metadata": {**metadata, "resourceVersion": version}}
        with self.state.trusting_owners():
            stored = self.state.update(found, key, obj, subresource="all", write=Write(trusted=True))
        return self._shown(resource, stored)

    def patch(self, resource: str | Resource, key: str, patch: Any, *, kind: str = "merge") -> dict[str, Any]:
        """Patch the object under *key*, status included; *kind* as `ApiState.patch` has it."""
        found = self.state.resource(resource)
        with self.state.trusting_owners():
            stored, _ = self.state.patch(
                found, key, patch, kind=kind, subresource="all", write=Write(trusted=True)
            )
        return self._shown(resource, stored)

    def delete(
        self,
        resource: str | Resource,
        key: str,
        *,
        grace: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete the object under *key*, or mark it where finalizers or its grace hold it.

        Args:
            grace: seconds that a pod has to end, instead of its own `terminationGracePeriodSeconds`.
            propagation: `"Background"`, `"Foreground"` or `"Orphan"`: what becomes of its dependents.
        """
        options = DeleteOptions(grace=grace, propagation=propagation)
        self.state.delete(self.state.resource(resource), key, options)

    def objects(self, resource: str | Resource) -> dict[str, dict[str, Any]]:
        """Every object of *resource* by key, in key order, without those that `put_raw` made poisonous."""
        return {
            stored.key: self._shown(resource, stored)
            for stored in self.state.collection(self.state.resource(resource))
            if not stored.poison
        }

    def add(self, *manifests: Mapping[str, Any]) -> list[str]:
        """Store objects that say with `apiVersion` and `kind` what they are, as `load` stores a file's.

        Definitions and namespaces go in first. Returns what was stored, as `"v1/pods default/web-0"`. Raises
        `ValueError`, saying which one the server refuses.
        """
        return add_manifests(self, manifests)

    def load(self, *paths: str | Path) -> list[str]:
        """Store every object of manifest files, as `kubectl apply -f` would; see `load_manifests`."""
        return load_manifests(self, paths)

    def snapshot(self) -> str:
        """Every object as YAML, exactly, with uids, versions, managed fields and status; see `snapshot.py`.

        The text of equal objects is equal, so it can be compared, kept beside a test and read in a diff.
        """
        return dump(self.state)

    def save(self, path: str | Path) -> Path:
        """Write `snapshot()` to *path*, in place of what is there, or not at all. Raises `OSError`."""
        return write(self.snapshot(), path)

    def restore(self, snapshot: str | Path) -> None:
        """Hold what *snapshot* says and nothing else, as a server on a restored backup: every watch ends.

        Args:
            snapshot: the text of one, or the `Path` of a file that holds it.

        Raises `ValueError` that says what is wrong with it, or `OSError`; nothing has changed then.
        """
        self.state.restore(*parse(snapshot))

    def compact(self) -> None:
        """Forget all history: older versions answer 410, older page tokens have expired."""
        for state in self.states:
            state.compact()

    def rewind(self, version: int) -> None:
        """Go back to an older version, as a server on a restored etcd; see `ApiState.rewind`."""
        self.state.rewind(version)

    def _shown(self, resource: str | Resource, stored: Stored) -> dict[str, Any]:
        found = self.state.resource(resource)
        decoded: dict[str, Any] = wire.decode(found.seen(stored).full(found.header))
        return decoded

    def summary(self, *, last: int = 20) -> str:
        """The *last* requests that came, and the armed faults that nothing has met, as text for a person."""
        return summary(self.url, self.requests, self.faults, last=last)

    # --- waiting -----------------------------------------------------------------------------------------

    async def settled(self, *, quiet: float = 0.0, timeout: float = 10.0) -> None:
        """Wait until the server has nothing left to do.

        It has not while a request other than a watch runs, or while a watch has not sent all that concerns
        it. Sent over HTTP is what the operating system has taken, in memory what the client has read. Not
        waited for are bookmarks, and what a fault holds for ever: more never comes of it. A server that
        does not run has settled.

        It says nothing of the client: what was sent may not have been read, and a request that the client is
        about to make is not known yet. For what a controller *does*, wait for the object that it writes
        (`wait_for`); for "and it does no more", ask for a *quiet* time, which costs nothing in virtual time.

        Args:
            quiet: seconds for which the server must stay so: no request comes, no watch is told anything.
            timeout: seconds after which to raise `TimeoutError`, which says what is still served.
        """
        await self.activity.settled(quiet=quiet, timeout=timeout)

    async def wait_for(
        self,
        resource: str | Resource,
        key: str,
        condition: Callable[[dict[str, Any]], object] | None = None,
        *,
        timeout: float = 10.0,
    ) -> dict[str, Any]:
        """Wait until the object under *key* is there and *condition* of it is true; returns it.

        It is looked at once for each state in which the object is found, so a state that is gone at once may
        be missed. What *condition* raises is raised. Raises `TimeoutError` after *timeout* seconds, with the
        object as it is then.
        """
        found = self.state.resource(resource)
        seen: Stored | None = None
        try:
            async with asyncio.timeout(timeout) as limit:
                while True:
                    stored = self.state.collection(found).objects.get(key)
                    if stored is not None and stored is not seen:
                        shown = self._shown(resource, stored)
                        if condition is None or condition(shown):
                            return shown
                    seen = stored
                    await self._changed.wait()
        except TimeoutError:
            if not limit.expired():  # the condition's own
                raise
            now = "is not there" if seen is None else f"is {_short(seen.item)}"
            raise TimeoutError(f"{resource} {key} {now} after {timeout:g} s") from None

    async def wait_gone(self, resource: str | Resource, key: str, *, timeout: float = 10.0) -> None:
        """Wait until there is no object under *key*. Raises `TimeoutError` as `wait_for` does."""
        found = self.state.resource(resource)
        try:
            async with asyncio.timeout(timeout):
                while key in self.state.collection(found).objects:
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{resource} {key} is still there after {timeout:g} s") from None

    async def watchers(self, resource: str | Resource, n: int = 1, *, timeout: float = 10.0) -> None:
        """Wait until at least *n* watches of *resource* run; with 0, until none does.

        Raises `TimeoutError` after *timeout* seconds, saying how many there are.
        """
        name = str(self.state.resource(resource))
        done = asyncio.get_running_loop().create_future()
        entry = (name, n, done)
        self._watching.append(entry)
        self._watches_changed()
        try:
            async with asyncio.timeout(timeout):
                await done
        except TimeoutError:
            running = self.watch_count(resource)
            raise TimeoutError(f"{running} of {n} watches of {name} ran after {timeout} s") from None
        finally:
            self._watching.remove(entry)

    def watch_count(self, resource: str | Resource) -> int:
        """How many watches of *resource* run now; one that was ended is none, even if it was not left yet."""
        found = self.state.resource(resource)
        return sum(state.watchers(found).running for state in self.states)

    @property
    def states(self) -> list[ApiState]:
        """The server's own state, and those of replicas that lag behind it."""
        return [self.state, *(replica.state for replica in self.faults.replicas)]

    def _objects_changed(self) -> None:
        self.faults.follow()
        self._changed.tell()

    def _watches_changed(self) -> None:
        for name, n, done in self._watching:
            running = self.watch_count(name)
            if not done.done() and (running >= n if n else running == 0):
                done.set_result(None)

    # --- one exchange ------------------------------------------------------------------------------------

    async def exchange(self, call: Call) -> Reply:
        """Answer *call*. Raises `Reset` where the connection is to be reset without an answer.

        Cancelled: the request counts as come, nothing of it goes on.
        """
        epoch = self.epoch
        if epoch is None:  # it came while the server stopped
            raise Reset
        info = RequestInfo.of(call)
        loop = asyncio.get_running_loop()
        record = self._record(call, info, loop.time())
        kind = kind_of(info.verb)
        seated = False
        answer: Answer | None = None
        finished = False

        def leave() -> None:
            nonlocal seated
            if seated:
                seated = False
                self._inflight.leave(kind)

        def finish() -> None:
            nonlocal finished
            if finished:
                return
            finished = True
            record.end = loop.time()
            leave()
            if answer is not None and answer.watch is not None and answer.resource is not None:
                state.unwatch(answer.resource, answer.watch)
            try:
                self.requests.ended(record)
            finally:  # an audit log that cannot be written must not leave the server busy for ever
                self.metrics.ended(record, long_running=answer is not None and answer.watch is not None)
                self.activity.ends(record)

        state = self.state
        self.activity.begins(record)
        try:
            self.requests.arrived(record)
            seated = self._inflight.enter(kind, exempt=record.priority_level == EXEMPT)
            met = self.faults.meet(Exchange(call, record, epoch, self.activity))
            await met.before()
            if epoch.killed:
                raise Reset
            full = not seated
            answer = self._answer(call, record, met, full=full)
            if answer.awaits:
                await self._reached(answer.awaits, met, epoch)
                answer = self._answer(call, record, met, full=full)
            state = met.state(self.state)
            answer.headers["Audit-Id"] = record.audit_id
            answer.headers.setdefault("Date", formatdate(self.state.now(), usegmt=True))
            answer.headers.setdefault("Cache-Control", "no-cache, private")
            record.began, record.refused = loop.time(), answer.refusal
            record.objects = answer.objects
            if answer.watch is not None:  # it has begun, and is no longer in the way of others
                leave()
                self.metrics.began(record)
            self.requests.answered(record, answer.status)
            if answer.watch is not None and epoch.over.is_set():  # the server stopped while it was delayed
                answer.watch.end()
            chunks = self._sent(met.body(self._pieces(answer, state, record)), epoch, record)
        except BaseException:
            finish()
            raise
        streaming = answer.watch is not None or met.streaming
        return Reply(answer.status, answer.headers, chunks, finish, streaming=streaming)

    async def _reached(self, version: int, met: Met, epoch: Epoch) -> None:
        """Wait until the state has reached *version*, as long as a server does. Raises `Reset` where the
        server was killed meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while met.state(self.state).version < version and not epoch.over.is_set():
                    await self._changed.wait()
        if epoch.killed:
            raise Reset

    def _record(self, call: Call, info: RequestInfo, start: float) -> RequestRecord:
        """The record of *call*, with who makes it."""
        caller = self.access.identify(call)
        record = RequestRecord(
            info,
            call.method,
            dict(call.query),
            call.headers.get("user-agent", ""),
            start,
            self.state.now(),
            caller.user,
            caller.impersonator,
            call.address,
            call.headers.get("audit-id", ""),
            refused=caller.refused,
            applies=call.headers.get("content-type", "").startswith("application/apply-patch"),
        )
        if caller.user is not None:
            flow = self.flows.of(caller.user, Attributes.of(info))
            record.flow_schema, record.priority_level = flow.schema, flow.level
        return record

    def _answer(self, call: Call, record: RequestRecord, met: Met, *, full: bool) -> Answer:
        answer = self._answered(call, record, met, full=full)
        if record.flow_schema and (answer.refusal is None or answer.refusal.code != 401):
            answer.headers |= self.flows.headers(Flow(record.flow_schema, record.priority_level))
        return answer

    def _answered(self, call: Call, record: RequestRecord, met: Met, *, full: bool) -> Answer:
        long_running = record.verb == "watch" or record.info.subresource in CONNECTS
        if not long_running and (fault := duration_fault(call.query.get("timeout") or "0")):
            # Before anybody asks who it is: the filter for deadlines stands outside of that.
            return Answer.refused(bad_request(f"invalid timeout specified in the request URL - {fault}"))
        caller = self.access.identify(call)
        if full and caller.user is not None:
            self.metrics.rejected(record)
            return Answer.refused(too_many_requests())
        scripted = met.answer()
        if scripted is not None:
            return scripted
        if caller.user is None or caller.refused is not None:
            return Answer.refused(caller.refused or unauthorized())
        asked = Attributes.of(record.info)
        decision = self.access.authorizer.decide(caller.user, asked)
        record.allowed, record.reason = decision.allowed, decision.reason
        if not decision.allowed:
            return Answer.refused(forbidden(caller.user, asked, decision.reason))
        if record.path == "/metrics" and call.method == "GET":
            return Answer.text(self._metrics())
        replica = met.replica()
        routes = self.routes if replica is None else replica.routes(self.routes)
        return routes.answer(call, record.info, caller.user)

    def _metrics(self) -> str:
        stored = {one: len(self.state.collection(one)) for one in self.state.resources}
        return self.metrics.text(
            inflight=self._inflight,
            objects={one: count for one, count in stored.items() if count},
            audit_events=self.requests.audit_events,
        )

    async def _sent(self, pieces: Pieces, epoch: Epoch, record: RequestRecord) -> Pieces:
        """*pieces*, counted, until the server is killed."""
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                if epoch.killed:
                    raise Reset
                record.bytes += len(piece)
                yield piece
        if epoch.killed:
            raise Reset

    async def _pieces(self, answer: Answer, state: ApiState, record: RequestRecord) -> Pieces:
        if answer.watch is None:
            for piece in answer.body:
                if piece:
                    yield piece
            return
        watch, loop = answer.watch, asyncio.get_running_loop()
        ready = asyncio.Event()

        def on_ready() -> None:
            self.activity.wakes(record)
            ready.set()

        watch.on_ready = on_ready
        deadline = loop.time() + answer.timeout
        # The last bookmark comes shortly before the end, so that a client can go on from there; a watch that
        # is not meant to live as long gets none.
        last_bookmark = deadline - _LAST_BOOKMARK if answer.timeout > _LAST_BOOKMARK else deadline
        bookmark = min(loop.time() + self.bookmark_interval, last_bookmark)
        while True:
            ready.clear()
            if frames := watch.take():
                record.objects += frames.count(b"\n")
                yield frames
            elif watch.end_bookmark is not None and watch.end_bookmark <= state.version:
                watch.end_bookmark = None
                yield watch.bookmark(state.version, initial_events_end=True)
            elif watch.ended or loop.time() + TICK >= deadline:
                return
            elif watch.bookmarks and loop.time() + TICK >= bookmark:
                # On a server that rests they come all the same, as in a cluster, which never does.
                last = loop.time() + TICK >= last_bookmark
                bookmark = deadline if last else min(loop.time() + self.bookmark_interval, last_bookmark)
                if frames := watch.bookmark(state.version, only_news=last):
                    yield frames
            else:
                self.activity.rests(record)  # a bookmark does not wake it: it is no news
                wake = min(deadline, bookmark) if watch.bookmarks else deadline
                # Never a wait too short for a clock to show: in virtual time it would not pass.
                await until(ready, max(wake - loop.time(), 1e-5))

    # --- life --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run, and let requests in. Raises `RuntimeError` where it runs already."""
        raise NotImplementedError("a server without a way in cannot be started")

    async def stop(self) -> None:
        """End the watches, let running requests finish, and take no new ones. Idempotent."""
        raise NotImplementedError("a server without a way in does not run")

    async def kill(self) -> None:
        """Break off everything that runs, and refuse new requests, as if the process had died. Idempotent."""
        raise NotImplementedError("a server without a way in does not run")

    async def restart(self, *, history: bool = True, down: float = 0.0) -> None:
        """Kill it, and start it again at the same place with the same objects.

        Args:
            history: without it older versions answer 410 afterwards, as from a server whose watch cache is
                new.
            down: seconds of loop time until it is there again; connections are refused meanwhile.

        Cancelled while it is down: it stays down, until `start`.
        """
        await self.kill()
        if not history:
            self.compact()
        await asyncio.sleep(down)
        if not self.runs:  # another restart, or somebody's start, may have been faster
            await self.start()

    async def close(self) -> None:
        """Stop for good, and close the journal and the audit log. Idempotent.

        Raises what failed in the background, such as a restart that a fault was to bring about, or a write
        to the audit log (`OSError`). Cancelled: connections are cut, and the files are closed all the same.
        """
        try:
            await self.faults.close()
        finally:
            try:
                await self.stop()
            finally:
                try:
                    if self.journal is not None:
                        self.journal.close()
                finally:
                    self.requests.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _refuse(self) -> None:
        """Let attempts to connect be refused. Nothing where they are."""
        raise NotImplementedError("a server without a way in has no connections")

    async def _accept(self) -> None:
        """Let them be accepted again. Nothing where they are, or where the server does not run."""
        raise NotImplementedError("a server without a way in has no connections")

    def _begin(self) -> None:
        self.epoch = Epoch()

    def _end(self, *, killed: bool) -> None:
        """Let everything that waits go: cleanly, or with a reset."""
        if self.epoch is not None:
            self.epoch.killed = killed
            self.epoch.over.set()
            self._changed.tell()
            self.epoch = None
        for state in self.states:
            state.end_watches()


def _short(item: bytes) -> str:
    text = item.decode("utf-8", "replace")
    return text if len(text) <= 500 else f"{text[:500]}…"
