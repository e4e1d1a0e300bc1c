"""Runs `kresilient …` as a process, as a shell would."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kresilient

PATIENCE = 60.0
"""Seconds after which a test gives up on a command; none should take a tenth of it."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment, where `kresilient` is found and no cluster is configured."""
    root = str(Path(kresilient.__file__).parents[1])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kept = {name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "COLUMNS")}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "HOME": "/nonexistent", **more}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


class Command:
    """A running command."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line of its output; `""` at the end of it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def line_with(self, text: str) -> str:
        """The next line that has *text* in it."""
        while text not in (line := await self.line()):
            assert line or not self.process.stdout.at_eof(), f"it ended without saying {text!r}"
        return line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> Finished:
        async with asyncio.timeout(PATIENCE):
            out, err = await self.process.communicate()
        return Finished(self.process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def running(
    *arguments: Any, program: tuple[str, ...] = ("-m", "kresilient.cli"), stdout: int = PIPE
) -> AsyncIterator[Command]:
    """A command that is killed at the end where it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *program, *map(str, arguments)),
        stdin=PIPE,
        stdout=stdout,
        stderr=PIPE,
        env=environment(),
        limit=1 << 24,
    )
    command = Command(process)
    try:
        yield command
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(*arguments: Any, program: tuple[str, ...] = ("-m", "kresilient.cli")) -> Finished:
    """A command, run to its end."""
    async with running(*arguments, program=program) as command:
        return await command.ended()
