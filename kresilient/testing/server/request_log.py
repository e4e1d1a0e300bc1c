"""The record of the requests that came, for a test to ask and for a run to save."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, Final, overload

from .audit import AuditLog, Stage, has_stage, save_audit
from .requests import RequestRecord

__all__ = ["RequestLog", "RequestSelection"]

_FILTERS: Final = frozenset(
    {"verb", "resource", "namespace", "name", "subresource", "path", "user", "user_agent", "code"}
    | {"priority_level"}
)


class _Figures:
    """What can be said of several requests; they are in the order in which they came."""

    def __iter__(self) -> Iterator[RequestRecord]:
        raise NotImplementedError

    @property
    def bytes(self) -> int:
        """How much body was sent in all."""
        return sum(record.bytes for record in self)

    @property
    def objects(self) -> int:
        """How many objects and events were sent in all."""
        return sum(record.objects for record in self)

    @property
    def running(self) -> RequestSelection:
        """Those that run now."""
        return RequestSelection(record for record in self if record.end is None)

    @property
    def concurrent(self) -> int:
        """How many ran at the same time, at most."""
        ends: list[float] = []
        most = 0
        for record in self:
            while ends and ends[0] <= record.start:
                heappop(ends)
            heappush(ends, inf if record.end is None else record.end)
            most = max(most, len(ends))
        return most

    def max_rate(self, window: float) -> float:
        """Requests a second in the busiest *window* of that many seconds of loop time: how many of them came
        within one, divided by it."""
        if window <= 0:
            raise ValueError(f"a window has more than 0 seconds, not {window:g}")
        within: deque[float] = deque()
        most = 0
        for record in self:
            within.append(record.start)
            while within[0] <= record.start - window:
                within.popleft()
            most = max(most, len(within))
        return most / window


class RequestSelection(_Figures):
    """Some of the requests that were kept, as they were when it was made: a sequence, oldest first."""

    def __init__(self, records: Iterator[RequestRecord] | Sequence[RequestRecord] = ()) -> None:
        self._records = tuple(records)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._records)

    def where(self, **wanted: Any) -> RequestSelection:
        """Those of them that have these attributes too; see `RequestLog.where`."""
        _check(wanted)
        return RequestSelection(record for record in self._records if record.matches(wanted))

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int, /) -> RequestRecord: ...

    @overload
    def __getitem__(self, index: slice, /) -> RequestSelection: ...

    def __getitem__(self, index: int | slice, /) -> RequestRecord | RequestSelection:
        if isinstance(index, slice):
            return RequestSelection(self._records[index])
        return self._records[index]

    def __repr__(self) -> str:
        return f"RequestSelection({list(self._records)!r})"


@dataclass(slots=True, eq=False)
class _Waiter:
    number: int
    missing: int
    wanted: dict[str, Any]
    done: asyncio.Future[None]


class RequestLog(_Figures):
    """The last *size* requests, oldest first; `total` counts all that ever came.

    Args:
        seed: a number that the audit ids of this log begin with, of up to 80 bits.
    """

    def __init__(self, *, size: int = 100_000, seed: int = 0) -> None:
        self.total = 0
        self._ids = f"{seed:020x}"
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self._waiters: list[_Waiter] = []
        self._numbers = count()
        self.audit_events = 0
        self._audit: AuditLog | None = None
        self._audit_failed: OSError | None = None

    # --- asking ------------------------------------------------------------------------------------------

    def where(self, **wanted: Any) -> RequestSelection:
        """The kept requests that have these attributes: `where(verb="list", resource="v1/pods")`.

        By `verb`, `resource`, `namespace`, `name`, `subresource`, `path`, `user`, `user_agent` (a part of
        it), `code` and `priority_level`. A collection stands for each of its values:
        `verb=("list", "watch")`, `code=range(500, 600)`. Raises `TypeError` for another attribute.
        """
        _check(wanted)
        return RequestSelection(record for record in self._records if record.matches(wanted))

    def count(self, **wanted: Any) -> int:
        """How many of the kept requests have these attributes: `where(…).count`."""
        _check(wanted)
        return sum(record.matches(wanted) for record in self._records)

    @property
    def concurrent_watches(self) -> int:
        """How many watches ran at the same time, at most; now, it is `where(verb="watch").running.count`."""
        return self.where(verb="watch").concurrent

    async def wait_for(self, n: int = 1, *, timeout: float = 10.0, **wanted: Any) -> None:
        """Wait until *n* requests with these attributes have come, those already there included.

        A request counts once it arrives, or, where `code` is asked for, once its answer begins. Raises
        `TimeoutError` after *timeout* seconds, saying how many came. Cancelled: nothing is left behind.
        """
        missing = n - self.count(**wanted)
        if missing <= 0:
            return
        waiter = _Waiter(next(self._numbers), missing, wanted, asyncio.get_running_loop().create_future())
        for record in self._records:
            if record.matches(wanted):
                record.seen.add(waiter.number)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter.done
        except TimeoutError:
            came = n - waiter.missing
            raise TimeoutError(f"{came} of {n} requests {wanted} came within {timeout} s") from None
        finally:
            self._waiters.remove(waiter)

    def clear(self) -> None:
        """Forget the requests kept; the total stays."""
        self._records.clear()

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(tuple(self._records))

    def __len__(self) -> int:
        return len(self._records)

    # --- saving ------------------------------------------------------------------------------------------

    def save_audit(self, path: str | Path) -> int:
        """Write the kept requests to *path* as kube-apiserver's audit log has them; returns how many lines.

        JSON lines, each an Event of audit.k8s.io/v1 at level Metadata: one when a request came, one when a
        watch began to be answered, one when the answer was complete; one alone of a request with bad
        credentials. Raises `OSError`.
        """
        return save_audit(path, self)

    def stream_audit(self, path: str | Path) -> None:
        """Append the same to *path* as it happens, from now on, until `close`.

        A write that fails ends the stream; requests are answered all the same, and `close` raises it. Raises
        `OSError` where the file cannot be opened, or where that befell a stream before this one.
        """
        audit = AuditLog(path)
        try:
            self.close()
        finally:
            self._audit = audit

    def close(self) -> None:
        """End a stream of the audit log. Idempotent. Raises the `OSError` that ended it before, once."""
        audit, self._audit = self._audit, None
        failed, self._audit_failed = self._audit_failed, None
        if audit is not None:
            audit.close()
        if failed is not None:
            raise failed

    # --- what the server tells ---------------------------------------------------------------------------

    def arrived(self, record: RequestRecord) -> None:
        """*record* came."""
        self.total += 1
        if not record.audit_id:
            record.audit_id = _uuid(self._ids, self.total)
        self._records.append(record)
        self._log(record, "RequestReceived")
        self._notice(record)

    def answered(self, record: RequestRecord, code: int) -> None:
        """The answer to *record* begins."""
        record.code = code
        self._log(record, "ResponseStarted")
        self._notice(record)

    def ended(self, record: RequestRecord) -> None:
        """*record* is over."""
        self._log(record, "ResponseComplete")

    def _log(self, record: RequestRecord, stage: Stage) -> None:
        audit = self._audit
        if audit is None or not has_stage(record, stage):
            return
        try:
            audit.write(record, stage)
        except OSError as error:
            # It is no fault of the request, which is answered; who closes the log hears of it.
            self._audit = None
            self._audit_failed = _ended(audit, record, stage, error)
            audit.close()
        else:
            self.audit_events += 1

    def _notice(self, record: RequestRecord) -> None:
        for waiter in self._waiters:
            if waiter.number not in record.seen and record.matches(waiter.wanted):
                record.seen.add(waiter.number)
                waiter.missing -= 1
                if waiter.missing <= 0 and not waiter.done.done():
                    waiter.done.set_result(None)


def _uuid(prefix: str, number: int) -> str:
    text = f"{prefix}{number:012x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:32]}"


def _ended(audit: AuditLog, record: RequestRecord, stage: Stage, error: OSError) -> OSError:
    said = (
        f"the audit log ends before {stage} of {record.verb} {record.resource} ({record.audit_id}), "
        f"which could not be written: {error.strerror or error}; the requests since are in the "
        "server's record alone (requests.save_audit)"
    )
    failed = OSError(error.errno, said, str(audit.path)) if error.errno else OSError(said)
    failed.__cause__ = error
    return failed


def _check(wanted: Mapping[str, Any]) -> None:
    if unknown := wanted.keys() - _FILTERS:
        raise TypeError(f"requests have no {sorted(unknown)}; ask by {sorted(_FILTERS)}")
