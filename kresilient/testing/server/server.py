"""What the HTTP server and the in-memory one share: its parts put together, and its life from start to close.

A test holds it by its objects (`ObjectTracker`), by what they become (`AwaitableTracker`), and by the parts:
state, faults, requests, access.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from .access import Access, Authorization
from .access.priority import bootstrap_flows
from .epoch import Epoch, Reset
from .faults import Faults
from .handler_chain import HandlerChain, Reply
from .inflight import Inflight
from .journal import Journal
from .request_log import RequestLog
from .requests import Call
from .routes import Routes
from .state import ApiState
from .summary import summary
from .waiting import AwaitableTracker

__all__ = ["ApiServer"]


class ApiServer(AwaitableTracker):
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
        state = state or ApiState(
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
        self.journal = None if journal is None else Journal.open(journal, state)
        super().__init__(state)
        self.faults = Faults(self)
        tokens = [] if token is None else [token] if isinstance(token, str) else list(token)
        self.access = Access(state, tokens, authorization=authorization)
        if authorization == "rbac":
            bootstrap_flows(state)
        self.requests = RequestLog(seed=state.random.getrandbits(80))
        if audit is not None:
            self.requests.stream_audit(audit)
        self.routes = Routes(
            state,
            self.access,
            gone=gone,
            streaming_list=streaming_list,
            sharding=sharding,
        )
        self._inflight = Inflight(read_only=max_inflight, mutating=max_mutating_inflight)
        self._handlers = HandlerChain(
            state,
            self.routes,
            access=self.access,
            faults=self.faults,
            requests=self.requests,
            activity=self.activity,
            inflight=self._inflight,
            bookmark_interval=bookmark_interval,
            changed=self._changed,
        )
        self.epoch: Epoch | None = None

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

    @property
    def token(self) -> str | None:
        """A bearer token that is good now, or None where none is needed."""
        return self.access.token

    def summary(self, *, last: int = 20) -> str:
        """The *last* requests that came, and the armed faults that nothing has met, as text for a person."""
        return summary(self.url, self.requests, self.faults, last=last)

    @property
    def states(self) -> list[ApiState]:
        """The server's own state, and those of replicas that lag behind it."""
        return [self.state, *(replica.state for replica in self.faults.replicas)]

    def _objects_changed(self) -> None:
        self.faults.follow()
        super()._objects_changed()

    # --- one exchange ------------------------------------------------------------------------------------

    async def exchange(self, call: Call) -> Reply:
        """Answer *call*. Raises `Reset` where the connection is to be reset without an answer.

        Cancelled: the request counts as come, nothing of it goes on.
        """
        if self.epoch is None:  # it came while the server stopped
            raise Reset
        return await self._handlers.exchange(call, self.epoch)

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
