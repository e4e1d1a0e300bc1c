"""The fake server answers as kube-apiserver 1.36 did, exchange by exchange, in virtual time."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer

from .replay import Replay

NOT_DEFAULTED = "the fields of one kind are not defaulted"
NOT_VALIDATED = "the fields of one kind are not validated"
NO_OWNERSHIP = "apply is a merge, without field ownership"
NO_WARNINGS = "unknown fields are kept, and strict validation is not modelled"
OTHER_WORDS = "selector errors have this library's words, behind the same status and reason"
NO_GRACE = "a pod is deleted at once: there is no kubelet to end it"
NOT_REPLAYED = "other requests came while it ran"

VERSIONS_IN_TEXT = re.compile(r"(?<=current: )\d+|(?<=version: 1 \()\d+")

DIFFERENT = {
    "wrong type of a field": NOT_VALIDATED,
    "unknown field, default validation": NO_WARNINGS,
    "unknown field, strict": NO_WARNINGS,
    "create a deployment: defaults": NOT_DEFAULTED,
    "strategic merge patch: container by name": NOT_DEFAULTED,
    "strategic merge patch: delete directive": NOT_DEFAULTED,
    "apply: conflict": NO_OWNERSHIP,
    "apply: field removed by its only owner": NO_OWNERSHIP,
    "apply to status": NOT_DEFAULTED,
    "status by merge patch: spec in it is ignored": NOT_DEFAULTED,
    "generation after a spec change": NOT_DEFAULTED,
    "add a finalizer while deleting": "the server validates twice and names the cause twice",
    "create a pod: defaults": NOT_DEFAULTED,
    "change an immutable pod field": NOT_VALIDATED,
    "bound pod": NOT_DEFAULTED,
    "delete a bound pod: graceful": NO_GRACE,
    "delete it at once": NO_GRACE,
    "create a pod": NOT_DEFAULTED,
    "delete an unbound pod": NOT_DEFAULTED,
    "pod without containers": NOT_VALIDATED,
    "create a pod to evict": NOT_DEFAULTED,
    "create in a terminating namespace": "an empty namespace goes at once, as with its controller running",
    "label selector: invalid": OTHER_WORDS,
    "label selector: invalid value": OTHER_WORDS,
    "field selector: bad syntax": OTHER_WORDS,
    "bad continue": "Go's words for broken JSON",
    "sharded (gate off or on: see metadata)": "alpha, and off here: the parameter is ignored",
    "add, change, leave the selector, come back, delete": NOT_REPLAYED,
    "watch while the definition is deleted": NOT_REPLAYED,
    "create the definition": "it is established at once",
    "create a lease": "recorded after it was renewed",
    "create an event": NOT_DEFAULTED,
    "events by involved object": NOT_DEFAULTED,
    "create an event, events.k8s.io": NOT_VALIDATED,
}


@pytest.mark.asyncio
@pytest.mark.looptime
@pytest.mark.parametrize(
    "recording",
    ["create_get_update", "patch", "delete", "list", "watch", "custom_resources", "leases_and_events"],
)
async def test_answers_are_those_of_a_real_server(recording: str) -> None:
    async with MemoryApiServer(
        strict_namespaces=True, random=Random(1), now=lambda: 1_795_000_000.0
    ) as server:
        server.create("v1/namespaces", {"metadata": {"name": "rec"}})
        if recording == "patch":
            server.create(
                "v1/configmaps", {"metadata": {"name": "a", "namespace": "rec"}, "data": {"k": "v"}}
            )
        replay = Replay(recording, server)
        if recording in ("list", "watch"):
            stock(server, replay)
        wrong: list[str] = []
        differs: dict[str, bool] = {}
        for exchange in replay.exchanges:
            status, headers, answer = await replay.ask(exchange)
            recorded = exchange.get("events", exchange.get("answer"))
            replay.learn(recorded, answer)
            expected = replay.now(recorded)
            if (title := exchange["title"]) in DIFFERENT:
                same = status == exchange["status"] and shape(answer) == shape(expected)
                differs[title] = differs.get(title, False) or not same
                continue
            if status != exchange["status"] or shape(answer) != shape(expected):
                wrong.append(f"{exchange['title']}: {status} {shape(answer)}\n  not {shape(expected)}")
            for name, value in exchange.get("response_headers", {}).items():
                if name != "Warning" and headers.get(name) != value:
                    wrong.append(f"{exchange['title']}: {name}: {headers.get(name)}, not {value}")
        assert not wrong, "\n".join(wrong)
        stale = [title for title, different in differs.items() if not different]
        assert not stale, "listed as different, yet the same"


def stock(server: MemoryApiServer, replay: Replay) -> None:
    """Create what the recording of lists and watches found there."""
    found: dict[str, dict[str, Any]] = {}
    for exchange in replay.exchanges:
        items = list((exchange.get("answer") or {}).get("items") or ())
        items += [event["object"] for event in exchange.get("events", ()) if event.get("type") == "ADDED"]
        for item in items:
            if item.get("kind") == "Table":
                continue
            name = item["metadata"]["name"]
            if "data" in item or "immutable" in item or name not in found:
                found[name] = item
    found.pop("w1", None)
    for item in sorted(found.values(), key=lambda one: int(one["metadata"]["resourceVersion"])):
        metadata = {
            key: item["metadata"][key]
            for key in ("name", "generateName", "labels")
            if key in item["metadata"]
        }
        body = {key: value for key, value in item.items() if key in ("data", "immutable", "binaryData")}
        made = server.create("v1/configmaps", {"metadata": {**metadata, "namespace": "rec"}, **body})
        replay.learn(item, made)


def shape(value: Any) -> str:
    """*value* as text: the order of fields counts, but for what a map of the client's holds; what depends on
    the time or the texts of documentation does not count."""

    def plain(one: Any, depth: int, inside: str) -> Any:
        if isinstance(one, list):
            return [plain(each, depth, inside) for each in one]
        if not isinstance(one, dict):
            return one
        one = {key: each for key, each in one.items() if key not in ("storageVersionHash", "description")}
        if "cells" in one:
            one["cells"] = [None if str(cell).endswith("s") else cell for cell in one["cells"]]
        if isinstance(one.get("message"), str):
            one["message"] = VERSIONS_IN_TEXT.sub("N", one["message"])
        ordered = one if inside in ("", "object", "items", "metadata") else dict(sorted(one.items()))
        return {key: plain(each, depth + 1, key) for key, each in ordered.items()}

    return json.dumps(plain(value, 0, ""))
