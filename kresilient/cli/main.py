"""The entry point: which command is meant, and what its end means to the shell.

Exit codes: 0 done, 1 failed (one line on stderr says why), 2 wrong arguments, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .._version import __version__
from ..api.errors import KresilientError
from . import fake_apiserver, watch
from .demo import command as demo
from .failures import CommandFailed
from .running import INTERRUPTED
from .simulate import command as simulate

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* (else the process's own arguments) names; returns the exit code."""
    try:
        code = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has had enough: no failure of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return 0
    return code


def _run(argv: Sequence[str] | None) -> int:
    command = ""
    try:
        arguments = _parser().parse_args(argv)
        command = f" {arguments.command}"
        code: int = arguments.run(arguments)
    except SystemExit as ended:  # argparse: --help, --version, and wrong arguments
        return ended.code if isinstance(ended.code, int) else 2
    except BrokenPipeError:
        raise
    except (KresilientError, CommandFailed, OSError) as error:
        print(f"kresilient{command}: {_in_words(error)}", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kresilient",
        description="Kubernetes clients that cannot take the API server down: see it, and try it.",
        epilog="`kresilient COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"kresilient {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for command in (demo, watch, fake_apiserver, simulate):
        command.add_command(commands)
    return parser


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
