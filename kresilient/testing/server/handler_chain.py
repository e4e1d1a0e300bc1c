"""One exchange from request to response, in the order of a server's handler chain: who asks, which faults it
meets, whether it is let in, the answer, the record of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from .access import Access, Attributes, Identity, forbidden
from .access.priority import EXEMPT, Flow, Flows
from .activity import Activity
from .answers import Answer
from .broadcast import Broadcast
from .epoch import Epoch, Reset
from .faults import Faults
from .faults.effect import Exchange, Pieces
from .faults.met import Met
from .go_words import duration_fault
from .inflight import Inflight, kind_of
from .metrics import Metrics
from .request_log import RequestLog
from .requests import Call, RequestInfo, RequestRecord
from .routes import Routes
from .state import ApiState
from .statuses import bad_request, too_many_requests, unauthorized
from .subresources import CONNECTS
from .watch_body import watch_body

__all__ = ["HandlerChain", "Reply"]

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


class HandlerChain:
    """Answers calls on *state* with *routes*, and keeps account of them.

    Args:
        access: who may do what.
        faults: what befalls a request on its way.
        requests, activity: what is told of each request that comes, and ends.
        inflight: how many requests may run at once.
        bookmark_interval: seconds between the bookmarks of a watch.
        changed: told whenever the objects have changed.
    """

    def __init__(
        self,
        state: ApiState,
        routes: Routes,
        *,
        access: Access,
        faults: Faults,
        requests: RequestLog,
        activity: Activity,
        inflight: Inflight,
        bookmark_interval: float,
        changed: Broadcast,
    ) -> None:
        self._inflight = inflight
        self._state = state
        self._routes = routes
        self._access = access
        self._faults = faults
        self._requests = requests
        self._activity = activity
        self._bookmark_interval = bookmark_interval
        self._changed = changed
        self._flows = Flows(state)
        self._metrics = Metrics(state.resources, routes.paths)

    async def exchange(self, call: Call, epoch: Epoch) -> Reply:
        """Answer *call*, in *epoch*. Raises `Reset` where the connection is to be reset without an answer.

        Cancelled: the request counts as come, nothing of it goes on.
        """
        info = RequestInfo.of(call)
        loop = asyncio.get_running_loop()
        record = self._record(call, info, loop.time())
        call = replace(call, on_object=record.read)
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
                self._requests.ended(record)
            finally:  # an audit log that cannot be written must not leave the server busy for ever
                self._metrics.ended(record, long_running=answer is not None and answer.watch is not None)
                self._activity.ends(record)

        state = self._state
        self._activity.begins(record)
        try:
            self._requests.arrived(record)
            seated = self._inflight.enter(kind, exempt=record.priority_level == EXEMPT)
            met = self._faults.meet(Exchange(call, record, epoch, self._activity))
            await met.before()
            if epoch.killed:
                raise Reset
            full = not seated
            answer = self._answer(call, record, met, full=full)
            if answer.awaits:
                await self._reached(answer.awaits, met, epoch)
                answer = self._answer(call, record, met, full=full)
            state = met.state(self._state)
            answer.headers["Audit-Id"] = record.audit_id
            answer.headers.setdefault("Date", formatdate(self._state.now(), usegmt=True))
            answer.headers.setdefault("Cache-Control", "no-cache, private")
            record.began, record.refused = loop.time(), answer.refusal
            record.objects = answer.objects
            if answer.watch is not None:  # it has begun, and is no longer in the way of others
                leave()
                self._metrics.began(record)
            self._requests.answered(record, answer.status)
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
                while met.state(self._state).version < version and not epoch.over.is_set():
                    await self._changed.wait()
        if epoch.killed:
            raise Reset

    def _record(self, call: Call, info: RequestInfo, start: float) -> RequestRecord:
        """The record of *call*, with who makes it."""
        caller = self._caller(call, info)
        record = RequestRecord(
            info,
            call.method,
            dict(call.query),
            call.headers.get("user-agent", ""),
            start,
            self._state.now(),
            caller.user,
            caller.impersonator,
            call.address,
            call.headers.get("audit-id", ""),
            refused=caller.refused,
            token=call.token,
            applies=call.headers.get("content-type", "").startswith("application/apply-patch"),
        )
        if caller.user is not None and caller.refused is None:
            flow = self._flows.of(caller.user, Attributes.of(info))
            record.flow_schema, record.priority_level = flow.schema, flow.level
        return record

    def _caller(self, call: Call, info: RequestInfo) -> Identity:
        """Who makes *call*.

        Nobody where its deadline cannot be read: that filter stands outside of the one that asks who it is.
        """
        long_running = info.verb == "watch" or info.subresource in CONNECTS
        if not long_running and (fault := duration_fault(call.query.get("timeout") or "0")):
            said = f"invalid timeout specified in the request URL - {fault}"
            return Identity(None, refused=bad_request(said))
        return self._access.identify(call)

    def _answer(self, call: Call, record: RequestRecord, met: Met, *, full: bool) -> Answer:
        answer = self._answered(call, record, met, full=full)
        if record.flow_schema and (answer.refusal is None or answer.refusal.code != 401):
            answer.headers |= self._flows.headers(Flow(record.flow_schema, record.priority_level))
        return answer

    def _answered(self, call: Call, record: RequestRecord, met: Met, *, full: bool) -> Answer:
        caller = self._caller(call, record.info)
        if full and caller.user is not None and caller.refused is None:
            self._metrics.rejected(record)
            return Answer.refused(too_many_requests())
        scripted = met.answer()
        if scripted is not None:
            return scripted
        if caller.user is None or caller.refused is not None:
            return Answer.refused(caller.refused or unauthorized())
        asked = Attributes.of(record.info)
        decision = self._access.authorizer.decide(caller.user, asked)
        record.allowed, record.reason = decision.allowed, decision.reason
        if not decision.allowed:
            return Answer.refused(forbidden(caller.user, asked, decision.reason))
        if record.path == "/metrics" and call.method == "GET":
            return Answer.text(self._metrics_text())
        replica = met.replica()
        routes = self._routes if replica is None else replica.routes(self._routes)
        return routes.answer(call, record.info, caller.user)

    def _metrics_text(self) -> str:
        stored = {one: len(self._state.collection(one)) for one in self._state.resources}
        return self._metrics.text(
            inflight=self._inflight,
            objects={one: count for one, count in stored.items() if count},
            audit_events=self._requests.audit_events,
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

    def _pieces(self, answer: Answer, state: ApiState, record: RequestRecord) -> Pieces:
        if answer.watch is None:
            return _whole(answer)
        return watch_body(
            answer.watch,
            state,
            record,
            activity=self._activity,
            timeout=answer.timeout,
            bookmark_interval=self._bookmark_interval,
        )


async def _whole(answer: Answer) -> Pieces:
    for piece in answer.body:
        if piece:
            yield piece
