"""`kresilient fake-apiserver`: an API server without a cluster, until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import arguments as typed
from .failures import CommandFailed, require_extra
from .running import run

if TYPE_CHECKING:
    from ..testing.server import FakeApiServer

__all__ = ["LISTENING", "add_command"]

LISTENING = "listening on "
"""What stands before the URL in the first line of output."""

_DESCRIPTION = """\
Run a fake Kubernetes API server on 127.0.0.1 until interrupted: lists, watches, conflicts, selectors, paging,
custom resources, served from memory. It is for tests and for trying things out; nothing runs the pods."""


def add_command(commands: Any) -> None:
    """Add `fake-apiserver` to *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "fake-apiserver",
        help="run a fake API server to try things against",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=typed.port, default=8001, metavar="P", help="0 picks a free one (8001)"
    )
    parser.add_argument("--token", help="ask for this bearer token; without, everybody is let in")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS, with an authority made for this run")
    content = parser.add_argument_group("what is in it")
    content.add_argument(
        "--seed-pods", type=typed.count, default=0, metavar="N", help="pods of about 7 KB, some 30 to a node"
    )
    content.add_argument(
        "--seed-nodes", type=typed.count, default=0, metavar="N", help="nodes for these pods"
    )
    content.add_argument("--seed-services", type=typed.count, default=0, metavar="N", help="services")
    content.add_argument(
        "--load",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="create what is in this file: YAML or JSON, several documents, Lists; may be repeated",
    )
    content.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="keep every write in this file; a server started on it again has them, and is not seeded again",
    )
    behaviour = parser.add_argument_group("how it behaves")
    behaviour.add_argument(
        "--history",
        type=typed.positive,
        default=10_000,
        metavar="N",
        help="changes kept for each resource; older versions are answered with 410 (10000)",
    )
    behaviour.add_argument(
        "--max-inflight",
        type=typed.positive,
        metavar="N",
        help="reading requests that may run at once, watches aside; more are answered with 429",
    )
    behaviour.add_argument(
        "--max-mutating-inflight",
        type=typed.positive,
        metavar="N",
        help="writing requests that may run at once; more are answered with 429",
    )
    controllers = behaviour.add_mutually_exclusive_group()
    controllers.add_argument(
        "--controllers",
        type=_names,
        default=True,
        metavar="NAMES",
        help="those to run, with commas between: garbage-collector, namespace, kubelet (all of them)",
    )
    controllers.add_argument(
        "--no-controllers",
        dest="controllers",
        action="store_false",
        help="be an API server alone: nothing collects garbage, empties namespaces or ends bound pods",
    )
    behaviour.add_argument(
        "--strict-namespaces",
        action="store_true",
        help="refuse objects in namespaces that do not exist (404), as a cluster does",
    )
    behaviour.add_argument(
        "--authorization",
        choices=("authenticated", "rbac"),
        default="authenticated",
        help="who may do what: everybody with good credentials everything (authenticated), or as roles say",
    )
    behaviour.add_argument(
        "--audit-log",
        type=Path,
        metavar="FILE",
        help="append every request to this file, in the format of kube-apiserver's audit log",
    )
    behaviour.add_argument(
        "--exit-with-stdin",
        action="store_true",
        help="end when stdin is closed, so with the process that holds it",
    )
    written = parser.add_argument_group("what it writes for clients")
    written.add_argument("--kubeconfig-out", type=Path, metavar="FILE", help="a kubeconfig for this server")
    written.add_argument(
        "--ca-out", type=Path, metavar="FILE", help="the certificate of its authority (--tls)"
    )
    parser.set_defaults(run=_run)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _run(arguments: argparse.Namespace) -> int:
    if arguments.tls:
        require_extra("testing", "trustme")
    if arguments.ca_out is not None and not arguments.tls:
        raise CommandFailed("--ca-out needs --tls: without, there is no authority")
    return run(_serve(arguments), interrupted=0)


async def _serve(arguments: argparse.Namespace) -> int:
    known = arguments.data is not None and arguments.data.exists() and arguments.data.stat().st_size > 0
    server = _server(arguments)
    try:
        loaded = _fill(server, arguments, seed=not known)
        try:
            await server.start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                said = "choose another with --port, or a free one with --port 0"
                raise CommandFailed(f"port {arguments.port} is in use: {said}") from error
            raise
        if arguments.kubeconfig_out is not None:
            server.kubeconfig_file(arguments.kubeconfig_out)
        if arguments.ca_out is not None and server.ca_pem is not None:
            arguments.ca_out.write_bytes(server.ca_pem)
        _announce(server, arguments, loaded, known=known)
        await _stdin_closed() if arguments.exit_with_stdin else await asyncio.Event().wait()
    finally:
        await server.close()
    return 0


def _server(arguments: argparse.Namespace) -> FakeApiServer:
    from ..testing.server import FakeApiServer

    try:
        return FakeApiServer(
            port=arguments.port,
            tls=arguments.tls,
            token=arguments.token,
            history=arguments.history,
            controllers=arguments.controllers,
            strict_namespaces=arguments.strict_namespaces,
            authorization=arguments.authorization,
            max_inflight=arguments.max_inflight,
            max_mutating_inflight=arguments.max_mutating_inflight,
            audit=arguments.audit_log,
            journal=arguments.data,
        )
    except ValueError as error:  # a data file that is no journal, a controller that there is not
        raise CommandFailed(str(error)) from error


def _fill(server: FakeApiServer, arguments: argparse.Namespace, *, seed: bool) -> int:
    from ..testing.server.seed import seed_nodes, seed_pods, seed_services

    if seed:
        if arguments.seed_pods:
            seed_pods(server.state, arguments.seed_pods, nodes=arguments.seed_nodes or None)
        if arguments.seed_nodes:
            seed_nodes(server.state, arguments.seed_nodes)
        if arguments.seed_services:
            seed_services(server.state, arguments.seed_services)
    try:
        return len(server.load(*arguments.load))
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def _announce(server: FakeApiServer, arguments: argparse.Namespace, loaded: int, *, known: bool) -> None:
    kubectl, watch = f"--server {server.url}", f"--server {server.url}"
    if arguments.kubeconfig_out is not None:
        kubectl = watch = f"--kubeconfig {arguments.kubeconfig_out}"
    else:
        if server.token is not None:
            token = "TOKEN" if arguments.token is not None else server.token
            kubectl, watch = f"{kubectl} --token {token}", f"{watch} --token {token}"
        if arguments.ca_out is not None:
            kubectl = f"{kubectl} --certificate-authority {arguments.ca_out}"
            watch = f"{watch} --ca-file {arguments.ca_out}"
        elif arguments.tls:
            kubectl, watch = (f"{one} --insecure-skip-tls-verify" for one in (kubectl, watch))
    stored = sum(len(collection) for collection in server.state.collections().values())
    origin = f"from {arguments.data}" if known else "seeded" if not loaded else f"{loaded} from files"
    lines = (
        f"{LISTENING}{server.url}",
        f"  objects  {stored:,} ({origin}), at version {server.state.version}",
        f"  kubectl  kubectl {kubectl} get pods -A",
        f"  watch    kresilient watch v1/pods -A {watch}",
        "Ctrl-C ends it.",
    )
    print("\n".join(lines), flush=True)


async def _stdin_closed() -> None:
    """Wait until nobody holds the other end of stdin."""
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def ready() -> None:
        if not sys.stdin.buffer.read1(4096):  # type: ignore[union-attr]
            loop.remove_reader(sys.stdin)
            closed.set()

    try:
        loop.add_reader(sys.stdin, ready)
    except (OSError, ValueError) as error:  # epoll takes no regular file
        raise CommandFailed("--exit-with-stdin needs a pipe or a terminal as stdin") from error
    await closed.wait()
