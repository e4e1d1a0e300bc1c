"""Snapshots: exact in both directions, the same text for the same objects, and clear about a bad file."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import kresilient as kr
from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.yaml_text import yaml_text


def definition(plural: str = "widgets", kind: str = "Widget") -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }


def a_pod(name: str = "web", node: str = "n1") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default", "annotations": {"script": "a: 1\n\n  b\n"}},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "nginx:1.27"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready"}]},
    }


def a_cluster(**options: Any) -> MemoryApiServer:
    server = MemoryApiServer(random=random.Random(3), now=lambda: 1_700_000_000.0, **options)
    server.add(definition())
    server.create("v1/pods", a_pod())
    server.create("v1/pods", a_pod("other", node="n2"))
    server.create(
        "example.com/v1/widgets",
        {"metadata": {"name": "left"}, "spec": {"zeta": 1.0, "alpha": {"<&>": None}}, "status": {"ok": True}},
    )
    server.patch("v1/pods", "default/web", {"metadata": {"labels": {"day": "2026-01-01", "on": "yes"}}})
    server.create("v1/secrets", {"metadata": {"name": "s"}, "stringData": {"key": "geheim"}})
    return server


def held(server: MemoryApiServer) -> dict[tuple[str, str], dict[str, tuple[int, bytes, bool]]]:
    return {
        storage: {one.key: (one.version, one.item, one.poison) for one in collection}
        for storage, collection in server.state.collections().items()
        if len(collection)
    }


# --- there and back --------------------------------------------------------------------------------------


def test_a_new_server_holds_byte_for_byte_what_the_old_one_did() -> None:
    old, new = a_cluster(), MemoryApiServer()
    new.restore(old.snapshot())
    assert held(new) == held(old)
    assert new.state.version == old.state.version
    assert new.snapshot() == old.snapshot()


def test_custom_resources_are_served_again_and_pods_found_by_their_node() -> None:
    new = MemoryApiServer()
    new.restore(a_cluster().snapshot())
    assert new.create("example.com/v1/widgets", {"metadata": {"name": "right"}})["kind"] == "Widget"
    assert new.state.collection(new.state.resource("v1/pods")).by_node == {
        "n1": {"default/web"},
        "n2": {"default/other"},
    }


def test_versions_count_on_from_the_snapshot() -> None:
    server = a_cluster()
    text, version = server.snapshot(), server.state.version
    for number in range(5):
        server.create("v1/configmaps", {"metadata": {"name": f"c{number}"}})
    server.restore(text)
    assert server.get("v1/configmaps", "default/c0") is None
    made = server.create("v1/configmaps", {"metadata": {"name": "next"}})
    assert made["metadata"]["resourceVersion"] == str(version + 1)


def test_poison_and_what_is_of_no_served_resource_is_kept_as_it_is() -> None:
    old, new = a_cluster(), MemoryApiServer()
    old.state.put_raw("v1/pods", "default/bad", b'{"metadata": \xff not json')
    old.delete("apiextensions.k8s.io/v1/customresourcedefinitions", "widgets.example.com")
    new.restore(old.snapshot())
    assert held(new) == held(old)


def test_a_restored_server_goes_on_to_be_durable(tmp_path: Path) -> None:
    text = a_cluster().snapshot()
    durable = MemoryApiServer(journal=tmp_path / "journal")
    durable.create("v1/configmaps", {"metadata": {"name": "gone"}})
    durable.restore(text)
    expected, version = held(durable), durable.state.version
    assert durable.journal is not None
    durable.journal.close()
    again = MemoryApiServer(journal=tmp_path / "journal")
    assert (held(again), again.state.version) == (expected, version)


def test_a_rewound_server_is_durable_at_the_version_it_went_back_to(tmp_path: Path) -> None:
    durable = MemoryApiServer(journal=tmp_path / "journal")
    durable.create("v1/configmaps", {"metadata": {"name": "kept"}})
    version = durable.state.version
    durable.patch("v1/configmaps", "default/kept", {"data": {"a": "b"}})
    durable.create("v1/configmaps", {"metadata": {"name": "gone"}})
    durable.rewind(version)
    expected = held(durable)
    assert durable.journal is not None
    durable.journal.close()
    again = MemoryApiServer(journal=tmp_path / "journal")
    assert (held(again), again.state.version) == (expected, version)


@pytest.mark.asyncio
@pytest.mark.looptime
async def test_an_informer_comes_through_a_restore() -> None:
    server = a_cluster()
    text = server.snapshot()
    async with kr.connect(server.transport(), qps=None) as client, client.informer("v1/pods") as pods:
        await pods.synced(10)
        server.delete("v1/pods", "default/web")
        server.create("v1/pods", a_pod("new"))
        await server.settled()
        assert pods.keys() == ["default/new", "default/other"]
        server.restore(text)
        async with asyncio.timeout(3600):  # it takes two silences to see that versions went back
            async for event in pods.events():
                if event.key == "default/web":
                    break
        assert pods.keys() == ["default/other", "default/web"]


# --- the text --------------------------------------------------------------------------------------------


def test_the_text_is_what_a_person_would_compare() -> None:
    server = a_cluster()
    head, *documents = server.snapshot().split("---\n")
    assert head == (
        "# What a fake API server of kresilient held; server.restore(Path(…)) brings it back.\n"
        "apiVersion: testing.kresilient/v1\n"
        "kind: Snapshot\n"
        f'resourceVersion: "{server.state.version}"\n'
        f"objects: {len(documents)}\n"
    )
    kinds = [yaml.safe_load(document)["kind"] for document in documents]
    assert [one for one in kinds if one != "Namespace"] == [
        *("CustomResourceDefinition", "Pod", "Pod", "Secret", "Widget")
    ]
    assert kinds.index("Namespace") == 1, "right behind the definitions"
    web = documents[kinds.index("Pod") + 1]
    assert "  annotations:\n    script: |\n      a: 1\n\n        b\n" in web
    assert '  labels:\n    day: "2026-01-01"\n    "on": "yes"\n' in web
    assert "  - image: nginx:1.27\n" in web or "  - name: app\n    image: nginx:1.27\n" in web


def test_one_changed_field_is_one_changed_line() -> None:
    server = a_cluster()
    before = server.snapshot().splitlines()
    server.patch("v1/pods", "default/web", {"status": {"phase": "Failed"}})
    after = server.snapshot().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.strip().partition(":")[0] for _, new in changed] == [
        "resourceVersion",
        "resourceVersion",
        "phase",
    ]


def test_equal_clusters_have_equal_text() -> None:
    assert a_cluster().snapshot() == a_cluster().snapshot()


text = st.text(st.characters(codec="utf-8"), max_size=20) | st.text(" \n\tab:-#'\"|>?{}[],&*!%@`=<~01.eyn")
leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
data = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=15
)


@settings(max_examples=300)
@given(data)
def test_every_reader_takes_back_what_was_written(value: Any) -> None:
    written = yaml_text(value)
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        assert json.dumps(yaml.load(written, Loader=loader)) == json.dumps(value), written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": {}, "b": [], "c": ""}, 'a: {}\nb: []\nc: ""\n'),
        ([[1, 2], {"a": [3]}], "- - 1\n  - 2\n- a:\n  - 3\n"),
        ({"a": "1", "b": "no", "c": "10:30", "d": "a: b"}, 'a: "1"\nb: "no"\nc: "10:30"\nd: "a: b"\n'),
        ({"a": "x\ny", "b": "x\n", "c": "x\n\n"}, "a: |-\n  x\n  y\nb: |\n  x\nc: |+\n  x\n\n"),
        ({"a": " x\ny", "b": "x \ny"}, 'a: " x\\ny"\nb: "x \\ny"\n'),
        ({"k" * 1001: {"a": 1}}, f"? {'k' * 1001}\n:\n  a: 1\n"),
        (1e300, "1.0e+300\n"),
    ],
)
def test_how_it_is_written(value: Any, written: str) -> None:
    assert yaml_text(value) == written


# --- files -----------------------------------------------------------------------------------------------


def test_a_file_keeps_it(tmp_path: Path) -> None:
    server, path = a_cluster(), tmp_path / "cluster.yaml"
    assert server.save(path) == path
    new = MemoryApiServer()
    new.restore(path)
    assert new.snapshot() == server.snapshot() == path.read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("before")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        a_cluster().save(path)
    assert [one.name for one in tmp_path.iterdir()] == ["cluster.yaml"]
    assert path.read_text() == "before"


def _without(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: "",
            "the snapshot is no snapshot: it must begin with apiVersion: testing.kresilient/v1",
        ),
        (lambda text: "cluster.yaml", r"is no snapshot: .*; for a file, pass a pathlib.Path"),
        (lambda text: "a: [", "the snapshot is not YAML: "),
        (
            lambda text: text[: text.rindex("---\n")],
            r"is not whole: it has \d+ objects and ought to have \d+",
        ),
        (_without("kind: Snapshot", "kind: Other"), "is no snapshot"),
        (
            _without('resourceVersion: "', 'resourceVersion: 1 # "'),
            "must be a number in quotes, not 1",
        ),
        (
            _without('resourceVersion: "', 'resourceVersion: "1" # "'),
            r"document \d+: its resourceVersion is beyond that of the snapshot, 1",
        ),
        (_without("kind: Secret", "kind: Nonsense"), r"document \d+: nothing serves Nonsense of v1"),
        (_without("  name: other\n", ""), r"document \d+: Pod has no metadata.name"),
        (_without("  namespace: default\n", ""), r"document \d+: Pod needs a namespace"),
        (_without("  name: other\n", "  name: web\n"), r"document \d+: default/web of pods is there twice"),
        (_without("  group: example.com\n", ""), r"document \d+: this definition defines nothing"),
    ],
)
def test_a_bad_file_is_refused_and_loses_nothing(change: Callable[[str], str], message: str) -> None:
    server = a_cluster()
    before = server.snapshot()
    watching = server.state.resource("v1/pods")
    bad = change(before)
    with pytest.raises(ValueError, match=message):
        server.restore(bad)
    assert server.snapshot() == before
    assert server.state.collection(watching).changes, "the history is as it was"


def test_a_file_is_named_in_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match=r"broken\.yaml is not YAML"):
        MemoryApiServer().restore(path)


def test_a_snapshot_is_no_manifest(tmp_path: Path) -> None:
    path = a_cluster().save(tmp_path / "cluster.yaml")
    with pytest.raises(ValueError, match=r"document 1 is of a snapshot, .* restore\(\) takes it"):
        MemoryApiServer().load(path)
