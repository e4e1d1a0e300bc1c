"""The audit log: requests as the Events of audit.k8s.io/v1 that kube-apiserver writes to its log file, one a
line, at level Metadata."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from . import wire
from .requests import RequestRecord

__all__ = ["AuditLog", "Stage", "audit_event", "has_stage", "save_audit"]

Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete"]
_AGENT_LIMIT: Final = 1024


def audit_event(record: RequestRecord, stage: Stage) -> dict[str, Any]:
    """The Event of *record* at *stage*, its fields in the server's order."""
    user = record.impersonator or record.who
    event: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": record.audit_id,
        "stage": stage,
        "requestURI": _uri(record),
        "verb": record.verb,
        "user": {} if user is None else user.info(),
    }
    begun = stage != "RequestReceived"
    if begun and record.impersonator is not None and record.who is not None:
        event["impersonatedUser"] = record.who.info()
    event["sourceIPs"] = [record.address]
    if record.user_agent:
        agent = record.user_agent
        event["userAgent"] = agent if len(agent) <= _AGENT_LIMIT else f"{agent[:_AGENT_LIMIT]}...TRUNCATED"
    if record.info.plural:
        event["objectRef"] = _reference(record, record.named if begun else {})
    if begun:
        event["responseStatus"] = _response_status(record)
    event["requestReceivedTimestamp"] = _micro_time(record.received)
    event["stageTimestamp"] = _micro_time(_reached(record, stage))
    if begun and record.allowed is not None:
        event["annotations"] = {
            "authorization.k8s.io/decision": "allow" if record.allowed else "forbid",
            "authorization.k8s.io/reason": record.reason,
        }
    return event


def save_audit(path: str | Path, records: Iterable[RequestRecord]) -> int:
    """Write every Event of *records* to *path*, in the order of their stages; returns how many."""
    # By loop time: that and the wall clock are read one after the other, and something may come between.
    stages = [(_moment(record, stage), record, stage) for record in records for stage in _stages(record)]
    stages.sort(key=lambda one: one[0])
    with Path(path).open("wb") as file:
        file.writelines(_line(record, stage) for _, record, stage in stages)
    return len(stages)


class AuditLog:
    """A file that Events are appended to as requests reach their stages. Raises `OSError`."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115  # open as long as the log is

    def write(self, record: RequestRecord, stage: Stage) -> None:
        """Append a whole line, or nothing where the file can be cut. Raises `OSError`."""
        line = memoryview(_line(record, stage))
        written = 0
        try:
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError:
            if written:
                self._take_back(written)
            raise

    def close(self) -> None:
        """Idempotent."""
        self._file.close()

    def _take_back(self, size: int) -> None:
        """Cut off the last *size* bytes: half a line would spoil the one that follows."""
        if self._file.seekable():  # what a pipe has is gone
            self._file.truncate(self._file.seek(0, os.SEEK_END) - size)


def _line(record: RequestRecord, stage: Stage) -> bytes:
    return wire.encode(audit_event(record, stage)) + b"\n"


def has_stage(record: RequestRecord, stage: Stage) -> bool:
    """Whether the log tells of *record* at *stage*, once it is there.

    Of a watch it does at all of them. What is turned away before it is known who asks (401, or a deadline
    that cannot be read) is told of when it is answered, and then alone (`WithFailedAuthenticationAudit`).
    """
    if record.who is None:
        return stage == "ResponseStarted"
    return stage != "ResponseStarted" or record.verb == "watch"


def _stages(record: RequestRecord) -> Iterator[Stage]:
    there: dict[Stage, bool] = {
        "RequestReceived": True,
        "ResponseStarted": record.began is not None,
        "ResponseComplete": record.end is not None,
    }
    yield from (stage for stage, came in there.items() if came and has_stage(record, stage))


def _moment(record: RequestRecord, stage: Stage) -> float:
    """When *record* came to *stage*, in loop time."""
    moments = {
        "RequestReceived": record.start,
        "ResponseStarted": record.began,
        "ResponseComplete": record.end,
    }
    moment = moments[stage]
    return record.start if moment is None else moment


def _reached(record: RequestRecord, stage: Stage) -> float:
    """When *record* came to *stage*, by the wall clock of its arrival."""
    return record.received + (_moment(record, stage) - record.start)


def _uri(record: RequestRecord) -> str:
    path = quote(record.path, safe="/:~!$&'()*+,;=@")
    return f"{path}?{urlencode(record.query)}" if record.query else path


def _reference(record: RequestRecord, named: Mapping[str, str]) -> dict[str, str]:
    """What the request is about: by its path, and, for the rest, by the object in its body."""
    info = record.info
    reference = {
        "resource": info.plural,
        "namespace": info.namespace or named.get("namespace", ""),
        "name": info.name or named.get("name", ""),
        "uid": named.get("uid", ""),
        "apiGroup": info.group,
        "apiVersion": info.version,
        "resourceVersion": named.get("resourceVersion", ""),
        "subresource": info.subresource,
    }
    return {key: value for key, value in reference.items() if value}


def _response_status(record: RequestRecord) -> dict[str, Any]:
    if not record.code:
        return {"metadata": {}, "status": "Success", "message": "Connection closed early", "code": 200}
    if record.refused is None or record.refused.plain:
        return {"metadata": {}, "code": record.code}
    status = record.refused.status()
    return {key: value for key, value in status.items() if key not in ("kind", "apiVersion")}


def _micro_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
