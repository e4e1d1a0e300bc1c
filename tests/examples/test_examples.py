from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import kresilient
from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.seed import seed_pods, seed_services

ROOT = Path(kresilient.__file__).parents[1]
EXAMPLES = ROOT / "examples"
PATIENCE = 60.0


@asynccontextmanager
async def running(*command: Any) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *map(str, command)),
        stdout=PIPE,
        stderr=STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KUBECONFIG": "/nonexistent"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_with(process: Process, text: str) -> str:
    async with asyncio.timeout(PATIENCE):
        while text not in (line := (await process.stdout.readline()).decode()):
            assert line, f"it ended without saying {text!r}"
    return line


async def ended_with(process: Process) -> tuple[int, str]:
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    return process.returncode, out.decode()


def ended(name: str) -> dict[str, Any]:
    """A pod that has."""
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": name}, "spec": spec, "status": {"phase": "Succeeded"}}


async def test_the_informer_reads_and_hears_of_changes(apiserver: FakeApiServer) -> None:
    keys = seed_pods(apiserver.state, 60)
    async with running(EXAMPLES / "informer.py", apiserver.url) as process:
        await line_with(process, "60 pods on 2 nodes")
        await line_with(process, "registry.example.com/team/web:4.2.1")
        apiserver.delete("v1/pods", keys[0])
        await line_with(process, f"deleted {keys[0]}")
        process.send_signal(signal.SIGINT)
        assert await ended_with(process) == (0, "")


async def test_the_agent_follows_its_node_through_an_outage(apiserver: FakeApiServer) -> None:
    seed_pods(apiserver.state, 30, nodes=10)
    seed_services(apiserver.state, 4)
    where = ("--server", apiserver.url, "--node", "node-00003", "--spread", "0.5")
    command = (EXAMPLES / "daemonset_agent.py", *where)
    async with running(*command) as process:
        await line_with(process, "node-00003: 3 pods, 4 services, 0 nodes in step")
        await apiserver.kill()
        pod = {
            "metadata": {"name": "late"},
            "spec": {"nodeName": "node-00003", "containers": [{"name": "a"}]},
        }
        apiserver.create("v1/pods", pod)
        await apiserver.start()
        await line_with(process, "pod default/late came to node-00003")
        process.send_signal(signal.SIGTERM)
        assert await ended_with(process) == (0, "told to end\n")


async def test_the_agent_runs_without_any_cluster() -> None:
    async with running(EXAMPLES / "daemonset_agent.py", "--embedded") as process:
        await line_with(process, "node-00000: 30 pods, 20 services, 10 nodes in step")
        process.send_signal(signal.SIGINT)
        code, out = await ended_with(process)
        assert code == 0
        assert "Traceback" not in out


async def test_existing_code_tidies_through_an_outage_at_a_pace(apiserver: FakeApiServer) -> None:
    apiserver.create("v1/pods", ended("first"))
    command = (EXAMPLES / "existing_kubernetes_asyncio_code.py", "--server", apiserver.url)
    async with running(*command) as process:
        await line_with(process, "deleted default/first, which has succeeded: 1 so far")
        await apiserver.watchers("v1/pods", 1)
        await apiserver.kill()
        await line_with(process, "the server is away")
        apiserver.create("v1/pods", ended("second"))
        await apiserver.start()
        await line_with(process, "deleted default/second, which has succeeded: 2 so far")
        process.send_signal(signal.SIGINT)
        code, out = await ended_with(process)
        assert code == 0
        assert "Traceback" not in out
    assert apiserver.requests.max_rate(1.0) <= 60
    assert apiserver.requests.where(user_agent="kresilient/").count == apiserver.requests.total
    assert apiserver.get("v1/configmaps", "default/janitor")["data"] == {"deleted": "2"}


async def test_existing_code_runs_without_any_cluster() -> None:
    async with running(EXAMPLES / "existing_kubernetes_asyncio_code.py", "--embedded") as process:
        await line_with(process, "deleted default/job-4, which has succeeded: 3 so far")
        process.send_signal(signal.SIGINT)
        code, out = await ended_with(process)
        assert code == 0
        assert "Traceback" not in out


async def test_existing_code_without_a_cluster_says_so() -> None:
    async with running(EXAMPLES / "existing_kubernetes_asyncio_code.py") as process:
        code, out = await ended_with(process)
        assert code == 1
        assert "janitor: " in out
        assert "Traceback" not in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "which node is this?"),
        (["--node", "a", "--kubeconfig", "none"], 1, "daemonset_agent: "),
    ],
)
async def test_the_agent_says_what_it_misses(arguments: list[str], code: int, said: str) -> None:
    async with running(EXAMPLES / "daemonset_agent.py", *arguments) as process:
        got, out = await ended_with(process)
        assert got == code
        assert said in out
        assert "Traceback" not in out


async def test_the_manifest_of_the_agent_is_accepted(apiserver: FakeApiServer) -> None:
    assert len(apiserver.load(EXAMPLES / "daemonset.yaml")) == 5
    assert list(apiserver.objects("apps/v1/daemonsets")) == ["node-agent/node-agent"]


async def test_the_fixture_example_passes(tmp_path: Path) -> None:
    options = ("-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "--rootdir", tmp_path)
    async with running("-m", "pytest", *options, EXAMPLES / "test_labeller.py") as process:
        code, out = await ended_with(process)
        assert code == 0, out
        assert "3 passed" in out
