"""Whatever is written and whichever selector looks: a list and the watch from it lead to the next list."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from kresilient.testing.server.delete_options import DeleteOptions
from kresilient.testing.server.forms import ObjectForm
from kresilient.testing.server.listing import ListOptions
from kresilient.testing.server.selection import Selection
from kresilient.testing.server.state import ApiState
from kresilient.testing.server.watch import Watch
from kresilient.testing.server.writing import Write

SELECTORS: list[dict[str, str]] = [
    {},
    {"namespace": "a"},
    {"name": "p1"},
    {"namespace": "a", "name": "p1"},
    {"fields": "metadata.namespace=b"},
    {"fields": "metadata.name!=p1"},
    {"fields": "spec.nodeName=n1"},
    {"fields": "spec.nodeName=n1", "namespace": "a"},
    {"fields": "spec.nodeName="},
    {"fields": "spec.nodeName!=n1"},
    {"fields": "spec.nodeName=n2", "labels": "app=x"},
    {"labels": "app=x"},
    {"labels": "app!=x", "namespace": "b"},
    {"labels": "app in (x,y),app!=y"},
    {"fields": "status.phase=Running"},
]
Objects = dict[str, tuple[str, dict[str, Any]]]
"""By key: the version, and what of the object is not its version."""


def write(state: ApiState, random: Random) -> None:
    """One create, change, move or delete."""
    pods = state.resource("v1/pods")
    namespace, name = random.choice("ab"), f"p{random.randrange(4)}"
    key = f"{namespace}/{name}"
    spec = {"nodeName": random.choice(["", "n1", "n2"]), "containers": [{"name": "c", "image": "i"}]}
    pod = {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": random.choice("xyz")}},
        "spec": spec,
        "status": {"phase": random.choice(["Pending", "Running"])},
    }
    if key not in state.collection(pods).objects:
        state.create(pods, pod, namespace=namespace, write=Write(trusted=True))
    elif random.random() < 0.3:
        state.delete(pods, key, DeleteOptions(grace=0))
    else:
        patch = {"metadata": pod["metadata"], "spec": {"nodeName": spec["nodeName"]}, "status": pod["status"]}
        state.patch(pods, key, patch, kind="merge", subresource="all", write=Write(trusted=True))


def listed(state: ApiState, selectors: dict[str, str], options: ListOptions) -> tuple[Objects, int]:
    """The whole list, page by page."""
    pods = state.resource("v1/pods")
    found: Objects = {}
    while True:
        page = state.page(pods, Selection(pods, **selectors), options)
        for stored in page.items:
            found[stored.key] = _split(json.loads(stored.item))
        if not page.continue_token:
            return found, page.version
        options = ListOptions(limit=options.limit, continue_token=page.continue_token)


def followed(start: Objects, watch: Watch) -> Objects:
    """*start* after the events that wait in *watch*, each of which must be one that can follow."""
    held = dict(start)
    while frames := watch.take():
        for line in frames.splitlines():
            event = json.loads(line)
            metadata = event["object"]["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            version, content = _split(event["object"])
            assert (key in held) is (event["type"] != "ADDED"), (event["type"], key)
            if event["type"] != "DELETED":
                held[key] = version, content
                continue
            assert int(version) > int(held[key][0]), "a deletion has a version of its own"
            assert content["metadata"]["labels"] == held.pop(key)[1]["metadata"]["labels"], (
                "the last that matched"
            )
    return held


def _split(obj: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    version = obj["metadata"].pop("resourceVersion")
    for name in ("kind", "apiVersion"):
        obj.pop(name, None)
    return version, obj


@pytest.mark.parametrize("seed", range(12))
def test_a_list_and_the_watch_from_it_lead_to_the_next_list(seed: int) -> None:
    random = Random(seed)
    state = ApiState(random=Random(seed), now=lambda: 1_700_000_000.0)
    pods = state.resource("v1/pods")
    for _ in range(random.randrange(12)):
        write(state, random)
    begun = {
        index: listed(state, selectors, ListOptions(limit=random.randrange(4)))
        for index, selectors in enumerate(SELECTORS)
    }
    watches = {
        index: state.watch(pods, Selection(pods, **SELECTORS[index]), ObjectForm(pods), version=version)
        for index, (_, version) in begun.items()
    }
    for _ in range(40):
        write(state, random)
    for index, (start, version) in begun.items():
        selectors = SELECTORS[index]
        now, _ = listed(state, selectors, ListOptions())
        assert followed(start, watches[index]) == now, selectors
        late = state.watch(pods, Selection(pods, **selectors), ObjectForm(pods), version=version)
        assert followed(start, late) == now, selectors
        for limit in (0, 1, 3):
            then = ListOptions(version=version, match="Exact", limit=limit)
            assert listed(state, selectors, then) == (start, version), selectors


@pytest.mark.parametrize("seed", range(6))
def test_an_index_finds_what_a_look_at_every_object_finds(seed: int) -> None:
    random = Random(seed)
    state = ApiState(random=Random(seed), now=lambda: 1_700_000_000.0)
    pods = state.resource("v1/pods")
    for _ in range(60):
        write(state, random)
        selectors = random.choice(SELECTORS)
        selection = Selection(pods, **selectors)
        looked = [stored.key for stored in state.collection(pods) if selection.matches(stored)]
        assert [stored.key for stored in selection.select(state.collection(pods))] == looked, selectors
