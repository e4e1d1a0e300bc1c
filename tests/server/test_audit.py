"""The audit log, line by line as `audit.k8s.io/v1` has it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

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
    acted, public, bad = (one for one in events(tmp_path / "audit.log") if one["stage"] == "ResponseComplete")
    assert (acted["user"]["username"], acted["impersonatedUser"]["username"]) == ("admin", "joe")
    assert acted["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert public["annotations"]["authorization.k8s.io/reason"] == (
        'RBAC: allowed by ClusterRoleBinding "system:public-info-viewer" of ClusterRole '
        '"system:public-info-viewer" to Group "system:unauthenticated"'
    )
    assert "objectRef" not in public
    assert (bad["user"], bad["responseStatus"]["code"], "annotations" in bad) == ({}, 401, False)


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
