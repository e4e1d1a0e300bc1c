"""The suite runs against a server that it did not start, known by its kubeconfig alone."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from kresilient.testing.server import FakeApiServer

HERE = Path(__file__).parent
SUBSET = ("test_update.py", "test_paging.py", "test_streaming_list.py")


async def run(kubeconfig: Path, *selection: str) -> tuple[int, str]:
    """The exit code and the output of a pytest of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "pytest", "-p", "no:cacheprovider", "--kubeconfig", str(kubeconfig), *selection),
        cwd=HERE.parent.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_claims_are_made_of_a_server_with_tls_and_client_certificates(tmp_path: Path) -> None:
    async with FakeApiServer(client_certificates=True, strict_namespaces=True) as server:
        path = server.kubeconfig_file(tmp_path / "config")
        code, output = await run(path, *(str(HERE / name) for name in SUBSET))
        assert code == 0, output
        assert server.requests.total > 100
        assert server.objects("v1/configmaps") == {}
        assert [key for key in server.objects("v1/namespaces") if key.startswith("contract-")] == []


async def test_claims_about_grace_are_not_made_where_something_plays_the_kubelet(tmp_path: Path) -> None:
    async with FakeApiServer(controllers=True, strict_namespaces=True) as server:
        path = server.kubeconfig_file(tmp_path / "config")
        code, output = await run(path, str(HERE / "test_delete.py"), "-k", "grace", "-rs")
        assert code == 0, output
        assert "something plays the kubelet's part" in output
        assert "3 skipped" in output


async def test_with_a_kubeconfig_only_claims_are_made(tmp_path: Path) -> None:
    async with FakeApiServer() as server:
        path = server.kubeconfig_file(tmp_path / "config")
        code, output = await run(path, "--collect-only", str(HERE))
        assert code == 0, output
        assert "test_recorded" not in output
        assert "test_update" in output


async def test_a_claim_that_does_not_hold_elsewhere_fails(tmp_path: Path) -> None:
    async with FakeApiServer(streaming_list=False) as server:
        path = server.kubeconfig_file(tmp_path / "config")
        code, output = await run(path, str(HERE / "test_streaming_list.py"))
        assert code == 1, output
