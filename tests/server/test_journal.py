"""What a server acknowledged outlives the death of its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kresilient.testing.server import ApiState, MemoryApiServer, Refused
from kresilient.testing.server.forms import ObjectForm
from kresilient.testing.server.journal import Journal
from kresilient.testing.server.selection import Selection

CRD = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def filled(path: Path) -> MemoryApiServer:
    server = MemoryApiServer(journal=path)
    server.create("v1/pods", {"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}})
    server.create("v1/pods", {"metadata": {"name": "b"}})
    server.patch("v1/pods", "default/a", {"metadata": {"labels": {"x": "1"}}})
    server.delete("v1/pods", "default/b")
    server.create("apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
    server.create("example.com/v1/widgets", {"metadata": {"name": "w"}, "spec": {"size": 1}})
    server.state.put_raw("v1/pods", "default/bad", b"\xff\n{")
    return server


def close(server: MemoryApiServer) -> None:
    assert server.journal is not None
    server.journal.close()


def test_everything_comes_back_but_the_watch_history(path: Path) -> None:
    before = filled(path)
    close(before)
    after = MemoryApiServer(journal=path)
    assert after.state.version == before.state.version
    pods = after.state.resources.parse("v1/pods")
    assert {key: one.item for key, one in after.state.collection(pods).objects.items()} == {
        key: one.item for key, one in before.state.collection(pods).objects.items()
    }
    assert after.objects("example.com/v1/widgets") == before.objects("example.com/v1/widgets")
    assert after.objects("v1/namespaces") == before.objects("v1/namespaces")
    assert [
        one.name for one in Selection(pods, fields="spec.nodeName=n1").select(after.state.collection(pods))
    ] == ["a"]
    with pytest.raises(Refused, match="too old resource version"):
        after.state.watch(pods, Selection(pods), ObjectForm(pods), version=after.state.version - 1)
    close(after)


def test_a_torn_last_line_is_cut_off(path: Path) -> None:
    close(filled(path))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v":99999,"g":"","r":"po')
    server = MemoryApiServer(journal=path)
    assert path.read_bytes() == whole
    server.create("v1/pods", {"metadata": {"name": "c"}})
    close(server)
    assert MemoryApiServer(journal=path).get("v1/pods", "default/c") is not None


def test_a_journal_that_is_broken_in_the_middle_is_refused(path: Path) -> None:
    close(filled(path))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"nonsense\n", *lines[1:]]))
    with pytest.raises(ValueError, match="line 2 of the journal"):
        MemoryApiServer(journal=path)


def test_a_rewind_is_kept_too(path: Path) -> None:
    server = MemoryApiServer(journal=path)
    version = int(server.create("v1/pods", {"metadata": {"name": "a"}})["metadata"]["resourceVersion"])
    server.create("v1/pods", {"metadata": {"name": "b"}})
    server.delete("v1/pods", "default/a")
    server.rewind(version)
    close(server)
    again = MemoryApiServer(journal=path)
    assert (list(again.objects("v1/pods")), again.state.version) == (["default/a"], version)


def test_a_write_that_cannot_be_kept_is_not_made(path: Path) -> None:
    state = ApiState()
    Journal.open(path, state).close()
    version = state.version
    with pytest.raises(OSError, match="is closed"):
        state.create(state.resources.parse("v1/configmaps"), {"metadata": {"name": "a"}}, namespace="default")
    assert state.version == version


def test_a_process_that_is_killed_has_lost_nothing_that_it_acknowledged(path: Path) -> None:
    script = """
import asyncio, sys
from kresilient.testing.server import MemoryApiServer
async def main():
    server = MemoryApiServer(journal=sys.argv[1])
    for number in range(10**9):
        print(server.create("v1/pods", {"metadata": {"name": f"p{number}"}})["metadata"]["name"], flush=True)
asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    state = ApiState()
    Journal.open(path, state).close()
    kept = {stored.name for stored in state.collection(state.resources.parse("v1/pods"))}
    assert set(acknowledged) <= kept
    assert len(acknowledged) >= 50


def test_the_journal_is_one_json_object_a_line(path: Path) -> None:
    state = ApiState()
    Journal.open(path, state)
    state.create(state.resources.parse("v1/configmaps"), {"metadata": {"name": "a"}}, namespace="default")
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert (last["v"], last["r"], last["k"]) == (state.version, "configmaps", "default/a")
    assert last["o"]["metadata"]["name"] == "a"
