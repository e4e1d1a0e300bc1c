"""What a server saw, in a few lines, for whoever has to find out why a test failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from .faults import Fault
from .request_log import RequestLog
from .requests import RequestRecord

__all__ = ["summary"]

_WIDTH: Final = 60
"""Characters of a path or of a user agent that are shown."""


def summary(url: str, requests: RequestLog, faults: Iterable[Fault], *, last: int) -> str:
    """The *last* requests that came, newest last, and the armed faults that none of all of them met."""
    shown = list(islice(reversed(tuple(requests)), last))[::-1]
    came = "1 request" if requests.total == 1 else f"{requests.total} requests"
    which = f", the last {len(shown)} of them" if len(shown) < requests.total else ""
    lines = [f"{url}: {came} came{which}{':' if shown else ''}"]
    lines += _table([_row(record, _now(shown)) for record in shown])
    missed = [fault for fault in faults if not fault.hits]
    if missed:
        lines.append("faults that no request has met:")
        lines += [f"  {fault}" for fault in missed]
    return "\n".join(lines)


def _now(records: Sequence[RequestRecord]) -> float:
    """The time of the loop, or, where none runs any more, of the last thing that happened."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return max((record.end or record.start for record in records), default=0.0)


def _row(record: RequestRecord, now: float) -> tuple[str, ...]:
    resource = f"{record.resource}/{record.subresource}" if record.subresource else record.resource
    key = "/".join(filter(None, (record.namespace, record.name)))
    code = str(record.code) if record.code else "no answer"
    runs = "" if record.end is not None else "runs"
    age = f"-{max(0.0, now - record.start):.3f} s"
    return age, record.verb, _cut(f"{resource} {key}".strip()), code, runs, _cut(record.user_agent)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
