"""The audit log, line by line as `audit.k8s.io/v1` has it."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kresilient.testing.server import FakeApiServer, MemoryApiServer

from .asked import asked

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
NOW = 1_795_285_079.25


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.looptime
async def test_a_request_is_an_event_when_it_came_and_one_when_it_was_answered(tmp_path: Path) -> None:
    server = MemoryApiServer(authorization="rbac", now=lambda: NOW)
    server.faults.next("get").delay(1.5)
    headers = {"authorization": f"Bearer {server.token}", "user_agent": "kubectl/v1.36.2"}
    await asked(server, f"{CONFIGMAPS}/a?limit=5", **headers)
    assert server.requests.save_audit(tmp_path / "audit.log") == 2
    received, complete = events(tmp_path / "audit.log")
    (record,) = server.requests
    asked_for = {
        "requestURI": f"{CONFIGMAPS}/a?limit=5",
        "verb": "get",
        "user": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "sourceIPs": ["127.0.0.1"],
        "userAgent": "kubectl/v1.36.2",
        "objectRef": {"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"},
    }
    head = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": record.audit_id,
    }
    assert received == {
        **head,
        "stage": "RequestReceived",
        **asked_for,
        "requestReceivedTimestamp": "2026-11-21T18:17:59.250000Z",
        "stageTimestamp": "2026-11-21T18:17:59.250000Z",
    }
    assert complete == {
        **head,
        "stage": "ResponseComplete",
        **asked_for,
        "responseStatus": {
            "metadata": {},
            "status": "Failure",
            "message": 'configmaps "a" not found',
            "reason": "NotFound",
            "details": {"name": "a", "kind": "configmaps"},
            "code": 404,
        },
        "requestReceivedTimestamp": "2026-11-21T18:17:59.250000Z",
        "stageTimestamp": "2026-11-21T18:18:00.750000Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }
    assert list(complete) == [
        *head,
        "stage",
        *("requestURI", "verb", "user", "sourceIPs", "userAgent", "objectRef", "responseStatus"),
        *("requestReceivedTimestamp", "stageTimestamp", "annotations"),
    ]


async def test_a_decision_and_an_impersonation_are_noted(tmp_path: Path) -> None:
    server = MemoryApiServer(authorization="rbac")
    admin = f"Bearer {server.token}"
    await asked(server, CONFIGMAPS, authorization=admin, impersonate_user="joe")
    await asked(server, "/version")
    await asked(server, CONFIGMAPS, authorization="Bearer bad")
    server.requests.save_audit(tmp_path / "audit.log")
    acted, public, bad = (one for one in events(tmp_path / "audit.log") if one["stage"] != "RequestReceived")
    assert (acted["user"]["username"], acted["impersonatedUser"]["username"]) == ("admin", "joe")
    assert acted["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert public["annotations"]["authorization.k8s.io/reason"] == (
        'RBAC: allowed by ClusterRoleBinding "system:public-info-viewer" of ClusterRole '
        '"system:public-info-viewer" to Group "system:unauthenticated"'
    )
    assert "objectRef" not in public
    assert (bad["user"], bad["responseStatus"]["code"], "annotations" in bad) == ({}, 401, False)


async def test_an_event_names_the_object_that_is_written(tmp_path: Path) -> None:
    server = MemoryApiServer()
    made = await asked(server, CONFIGMAPS, method="POST", body={"metadata": {"name": "a"}})
    await asked(server, f"{CONFIGMAPS}/a", method="PUT", body=made.json)
    await asked(server, CONFIGMAPS, method="POST", body={"metadata": {"name": "a"}})
    server.requests.save_audit(tmp_path / "audit.log")
    received, created, _, updated, _, refused = (one["objectRef"] for one in events(tmp_path / "audit.log"))
    place = {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
    assert received == place, "its body is not read yet"
    assert created == refused == {**place, "name": "a"}
    metadata = made.json["metadata"]
    which = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    assert updated == {**place, "name": "a", **which}
    assert list(updated) == ["resource", "namespace", "name", "uid", "apiVersion", "resourceVersion"]


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [("", {"authorization": "Bearer bad"}, 401), ("?timeout=soon", {"authorization": "Bearer good"}, 400)],
)
async def test_what_is_turned_away_unasked_is_one_event_of_nobody(
    tmp_path: Path, query: str, headers: dict[str, str], code: int
) -> None:
    path = tmp_path / "audit.log"
    async with MemoryApiServer(token="good", audit=path) as server:
        answer = await asked(server, CONFIGMAPS + query, **headers)
        assert (answer.status, "X-Kubernetes-Pf-Flowschema-Uid" in answer.headers) == (code, False)
        assert server.requests.save_audit(tmp_path / "saved.log") == 1
    (event,) = events(path)
    assert events(tmp_path / "saved.log") == [event]
    assert (event["stage"], event["user"], event["responseStatus"]["code"]) == ("ResponseStarted", {}, code)
    assert event["responseStatus"]["message"] == answer.json["message"]


async def test_events_stand_in_the_order_they_happened_whatever_the_wall_clock_does(tmp_path: Path) -> None:
    hours = iter(range(100, 0, -1))
    server = MemoryApiServer(now=lambda: 3600.0 * next(hours))  # it goes back all the time
    for name in ("a", "b", "c"):
        await asked(server, f"/api/v1/namespaces/default/configmaps/{name}")
    server.requests.save_audit(tmp_path / "audit.log")
    ended = [one for one in events(tmp_path / "audit.log") if one["stage"] == "ResponseComplete"]
    assert [one["objectRef"]["name"] for one in ended] == ["a", "b", "c"]


@pytest.mark.looptime
async def test_a_watch_is_an_event_when_its_answer_began_too_and_stages_are_in_order(tmp_path: Path) -> None:
    server = MemoryApiServer()
    watching = asyncio.create_task(asked(server, f"{CONFIGMAPS}?watch=1&timeoutSeconds=5"))
    await server.watchers("v1/configmaps")
    await asyncio.sleep(1)
    await asked(server, CONFIGMAPS)
    path = tmp_path / "audit.log"
    server.requests.save_audit(path)
    seen = [(one["verb"], one["stage"]) for one in events(path)]
    assert seen == [
        ("watch", "RequestReceived"),
        ("watch", "ResponseStarted"),
        ("list", "RequestReceived"),
        ("list", "ResponseComplete"),
    ]
    await watching
    server.requests.save_audit(path)
    assert [(one["verb"], one["stage"]) for one in events(path)] == [*seen, ("watch", "ResponseComplete")]


async def test_a_log_that_streams_has_every_stage_as_it_comes_and_goes_on_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for _ in range(2):
        async with MemoryApiServer(audit=path) as server:
            await asked(server, CONFIGMAPS)
            assert len(events(path)) % 2 == 0
            text = (await asked(server, "/metrics")).text
            assert "apiserver_audit_event_total 3\n" in text, (
                "those of the list, and of this one that it came"
            )
    assert len(events(path)) == 8
    assert len({one["auditID"] for one in events(path)}) == 4


async def test_a_request_that_was_never_answered_was_closed_early(tmp_path: Path) -> None:
    server = MemoryApiServer()
    server.faults.next("list").reset()
    with pytest.raises(Exception, match=r"^$"):
        await asked(server, CONFIGMAPS)
    server.requests.save_audit(tmp_path / "audit.log")
    assert events(tmp_path / "audit.log")[-1]["responseStatus"]["message"] == "Connection closed early"


def test_a_log_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "none"))):
        MemoryApiServer(audit=tmp_path / "none" / "audit.log")


class ShortFile(io.FileIO):
    """Takes *at_once* bytes at a time, and no more than *room* in all."""

    def __init__(self, path: Path, *, at_once: int, room: int) -> None:
        super().__init__(path, "ab")
        self.at_once, self.room = at_once, room

    def write(self, data: Any) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(bytes(data)[: min(self.at_once, self.room)])
        self.room -= taken
        return taken


def short(server: MemoryApiServer, path: Path, *, at_once: int, room: int) -> None:
    server.requests.stream_audit(path)
    assert server.requests._audit is not None
    server.requests._audit._file.close()
    server.requests._audit._file = ShortFile(path, at_once=at_once, room=room)


async def test_a_line_that_the_file_takes_in_pieces_is_written_whole(tmp_path: Path) -> None:
    async with MemoryApiServer() as server:
        short(server, tmp_path / "audit.log", at_once=7, room=100_000)
        await asked(server, CONFIGMAPS)
        assert [one["stage"] for one in events(tmp_path / "audit.log")] == [
            "RequestReceived",
            "ResponseComplete",
        ]


async def test_a_full_disk_ends_the_log_with_a_whole_line_and_no_request_with_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    server = MemoryApiServer()
    short(server, path, at_once=1 << 20, room=700)
    for _ in range(3):
        assert (await asked(server, CONFIGMAPS)).status == 200
    written = events(path)
    assert len(written) == server.requests.audit_events == 1
    assert len(server.requests) == 3
    with pytest.raises(
        OSError, match=r"the audit log ends before ResponseComplete of list v1/configmaps"
    ) as e:
        await server.close()
    assert (e.value.errno, e.value.filename) == (errno.ENOSPC, str(path))
    await server.close()


async def test_a_log_that_fails_over_http_is_heard_of_when_the_server_is_left() -> None:
    server = FakeApiServer(audit="/dev/full")
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        for _ in range(2):
            async with http.get(CONFIGMAPS) as response:
                assert response.status == 200
    await server.settled(timeout=5)
    with pytest.raises(OSError, match="No space left on device"):
        await server.close()
