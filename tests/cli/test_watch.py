from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys

import pytest

from kresilient.testing.server import FakeApiServer
from kresilient.testing.server.seed import seed_nodes, seed_pods

from .commands import PATIENCE, Finished, environment, run, running


def one_line(ended: Finished) -> str:
    """The single line on stderr of a command that failed."""
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("kresilient watch: ")
    assert ended.err.count("\n") == 1
    return ended.err


def a_pod(name: str, **labels: str) -> dict[str, object]:
    containers = [{"name": "app", "image": "app"}]
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": containers}}


# --- synced once -----------------------------------------------------------------------------------------


async def test_once_with_stats_prints_one_line_of_true_figures(apiserver: FakeApiServer) -> None:
    seed_pods(apiserver.state, 500)
    stored = sum(len(one.item) for one in apiserver.state.collection(apiserver.state.resource("v1/pods")))
    ended = await run("watch", "v1/pods", "-A", "--once", "--stats", "--server", apiserver.url)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count("\n") == 1
    stats = json.loads(ended.out)
    assert list(stats) == ["objects", "bytes", "wire_bytes", "sync_s", "cpu_s", "peak_rss_mb", "requests"]
    assert stats["objects"] == 500
    assert stored < stats["bytes"] < 1.1 * stored
    assert stats["wire_bytes"] == sum(one.bytes for one in apiserver.requests.where(verb="watch"))
    assert stats["requests"] == apiserver.requests.total
    assert 0 < stats["sync_s"] < PATIENCE
    assert 0 < stats["cpu_s"] < PATIENCE
    assert 10 < stats["peak_rss_mb"] < 60 + 1.6 * stats["bytes"] / 1e6


async def test_the_way_to_stats_loads_neither_the_tables_nor_the_fake_server(
    apiserver: FakeApiServer,
) -> None:
    script = (
        "import sys; from kresilient.cli import main; code = main();"
        "heavy = ('rich', 'matplotlib', 'kubernetes_asyncio', 'kresilient.testing');"
        "print([name for name in sys.modules if name.startswith(heavy)]); sys.exit(code)"
    )
    ended = await run(
        *("watch", "v1/pods", "-A", "--once", "--stats", "--server", apiserver.url), program=("-c", script)
    )
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1] == "[]"


async def test_once_prints_a_list_that_other_tools_read(apiserver: FakeApiServer) -> None:
    apiserver.create("v1/pods", a_pod("b"))
    apiserver.create("v1/pods", a_pod("a"))
    ended = await run("watch", "v1/pods", "--once", "--server", apiserver.url)
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert (found["apiVersion"], found["kind"]) == ("v1", "List")
    assert [(one["kind"], one["apiVersion"], one["metadata"]["name"]) for one in found["items"]] == [
        ("Pod", "v1", "a"),
        ("Pod", "v1", "b"),
    ]


async def test_once_prints_a_plain_table_into_a_pipe(apiserver: FakeApiServer) -> None:
    seed_nodes(apiserver.state, 2)
    ended = await run("watch", "v1/nodes", "--once", "-o", "table", "--server", apiserver.url)
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    assert rows[0] == ["NAME", "STATUS", "AGE", "VERSION"]
    assert [row[:3] for row in rows[1:]] == [["node-00000", "Ready", "2d"], ["node-00001", "Ready", "2d"]]


async def test_once_says_that_there_is_nothing(apiserver: FakeApiServer) -> None:
    ended = await run("watch", "v1/pods", "--once", "-o", "table", "--server", apiserver.url)
    assert (ended.code, ended.out) == (0, "no v1/pods found\n")


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-A"], ["b", "c", "a"]),
        ([], ["a"]),
        (["-n", "blue"], ["b", "c"]),
        (["-A", "-l", "app in (web)"], ["b", "a"]),
        (["-A", "--field-selector", "metadata.name=c"], ["c"]),
    ],
)
async def test_scope_and_selectors_say_what_is_watched(
    apiserver: FakeApiServer, arguments: list[str], names: list[str]
) -> None:
    apiserver.create("v1/pods", a_pod("a", app="web"))
    apiserver.create("v1/pods", a_pod("b", app="web"), namespace="blue")
    apiserver.create("v1/pods", a_pod("c"), namespace="blue")
    ended = await run("watch", "v1/pods", "--once", *arguments, "--server", apiserver.url)
    assert [one["metadata"]["name"] for one in json.loads(ended.out)["items"]] == names


# --- a stream of changes ---------------------------------------------------------------------------------


async def test_each_change_is_one_line_of_json(apiserver: FakeApiServer) -> None:
    apiserver.create("v1/pods", a_pod("web-0"))
    async with running("watch", "v1/pods", "-A", "-o", "json", "--server", apiserver.url) as watch:
        first = json.loads(await watch.line())
        assert (first["type"], first["key"], first["initial"], first["source"]) == (
            *("added", "default/web-0"),
            *(True, "list"),
        )
        assert first["object"] == apiserver.get("v1/pods", "default/web-0")

        apiserver.patch("v1/pods", "default/web-0", {"metadata": {"labels": {"new": "yes"}}})
        second = json.loads(await watch.line())
        assert (second["type"], second["initial"], second["source"]) == ("updated", False, "watch")
        assert second["object"]["metadata"]["labels"] == {"new": "yes"}

        apiserver.delete("v1/pods", "default/web-0")
        told = [json.loads(await watch.line())["type"] for _ in range(2)]
        assert told == ["updated", "deleted"]


async def test_a_server_that_restarts_is_a_line_on_stderr_and_the_stream_goes_on(
    apiserver: FakeApiServer,
) -> None:
    apiserver.create("v1/pods", a_pod("web-0"))
    async with running("watch", "v1/pods", "-A", "--server", apiserver.url) as watch:
        await watch.line()
        await apiserver.kill()
        async with asyncio.timeout(PATIENCE):
            fault = (await watch.process.stderr.readline()).decode()
        assert fault.startswith("kresilient watch: ")
        assert apiserver.url.removeprefix("http://") in fault or "v1/pods" in fault
        apiserver.create("v1/pods", a_pod("web-1"))
        await apiserver.start()
        assert json.loads(await watch.line())["key"] == "default/web-1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_is_the_normal_end_of_a_watch(
    apiserver: FakeApiServer, number: signal.Signals
) -> None:
    apiserver.create("v1/pods", a_pod("web-0"))
    async with running("watch", "v1/pods", "-A", "--server", apiserver.url) as watch:
        await watch.line()
        watch.send(number)
        ended = await watch.ended()
        assert (ended.code, ended.out, ended.err) == (0, "", "")
    await apiserver.watchers("v1/pods", 0)


async def test_an_interrupted_sync_says_so_by_its_code(apiserver: FakeApiServer) -> None:
    apiserver.faults.on("*", "v1/pods").hang()
    async with running("watch", "v1/pods", "-A", "--once", "--server", apiserver.url) as watch:
        await apiserver.requests.wait_for(resource="v1/pods")
        watch.send(signal.SIGINT)
        ended = await watch.ended()
        assert (ended.code, ended.out, ended.err) == (130, "", "")


async def test_a_reader_that_stopped_reading_cannot_keep_it_from_ending(apiserver: FakeApiServer) -> None:
    seed_pods(apiserver.state, 500)  # far more than a pipe holds
    reader, writer = os.pipe()
    async with running("watch", "v1/pods", "-A", "--server", apiserver.url, stdout=writer) as watch:
        os.close(writer)
        await asyncio.to_thread(os.read, reader, 1)
        watch.send(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await watch.process.wait() == 0
    os.close(reader)


@pytest.mark.parametrize("arguments", [[], ["--once"]])
async def test_a_closed_pipe_is_no_failure(apiserver: FakeApiServer, arguments: list[str]) -> None:
    seed_pods(apiserver.state, 500)
    async with running("watch", "v1/pods", "-A", *arguments, "--server", apiserver.url) as watch:
        await watch.line()
        watch.process._transport.get_pipe_transport(1).close()
        async with asyncio.timeout(PATIENCE):
            err = await watch.process.stderr.read()
            assert (await watch.process.wait(), err) == (0, b"")


async def test_on_a_terminal_it_is_a_live_table(apiserver: FakeApiServer) -> None:
    apiserver.create("v1/pods", a_pod("web-0"))
    terminal, inner = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kresilient.cli", "watch", "v1/pods", "-A", "--server", apiserver.url),
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env=environment(TERM="xterm", COLUMNS="120", LINES="30", PATH=os.environ["PATH"]),
    )
    os.close(inner)
    shown, came = bytearray(), asyncio.Event()

    def read() -> None:
        try:
            shown.extend(os.read(terminal, 65_536))
        except OSError:  # the other end is closed
            asyncio.get_running_loop().remove_reader(terminal)
        came.set()

    async def until(text: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            while text not in shown:
                came.clear()
                await came.wait()

    asyncio.get_running_loop().add_reader(terminal, read)
    try:
        await until(b"synced")
        await until(b"web-0")
        await until(b"1 objects")
        apiserver.create("v1/pods", a_pod("web-1"))
        await until(b"added default/web-1")
        await apiserver.kill()
        await until(b"stale")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
        assert b"Traceback" not in shown
    finally:
        asyncio.get_running_loop().remove_reader(terminal)
        os.close(terminal)
        if process.returncode is None:
            process.kill()
            await process.wait()


# --- what goes wrong -------------------------------------------------------------------------------------


async def test_a_server_that_is_down_is_the_reason(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    ended = await run("watch", "v1/pods", "--once", "--timeout", "2", "--server", url)
    assert (ended.code, ended.out) == (1, "")
    first, *_, last = ended.err.splitlines()  # at once, and at the end
    assert f"cannot connect to {url}: connection refused" in first
    assert "v1/pods default did not sync within 2.0 s" in last
    assert f"cannot connect to {url}: connection refused" in last


async def test_a_stream_also_gives_up_at_its_timeout(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    ended = await run("watch", "v1/pods", "--timeout", "1", "--server", url)
    assert (ended.code, ended.out) == (1, "")
    assert "did not sync within 1.0 s" in ended.err.splitlines()[-1]


@pytest.mark.apiserver(token="secret")
async def test_a_wrong_token_is_the_reason(apiserver: FakeApiServer) -> None:
    said = one_line(await run("watch", "v1/pods", "--once", "--token", "wrong", "--server", apiserver.url))
    assert "401 Unauthorized" in said


@pytest.mark.apiserver(token="secret")
async def test_a_right_that_is_missing_is_the_reason(apiserver: FakeApiServer) -> None:
    said = one_line(await run("watch", "v1/pods", "--server", apiserver.url))
    assert "403 Forbidden" in said
    assert 'User "system:anonymous" cannot' in said


async def test_a_resource_that_nobody_serves_is_the_reason(apiserver: FakeApiServer) -> None:
    said = one_line(await run("watch", "example.com/v1/widgets", "--once", "--server", apiserver.url))
    assert "404" in said
    assert "if it is cluster-scoped, add -A" in said


async def test_a_namespace_for_what_has_none_is_named(apiserver: FakeApiServer) -> None:
    said = one_line(await run("watch", "v1/nodes", "-n", "blue", "--once", "--server", apiserver.url))
    assert "v1/nodes is cluster-scoped" in said
