"""`kresilient watch`: a live cache of one resource, as a table, as JSON lines, or synced once."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from ..api.errors import SyncError
from ..api.objects import KubeObject
from ..api.resources import Resource
from . import arguments as typed
from .columns import cells, text_table
from .connection import add_cluster_arguments, cluster_options
from .failures import require_extra
from .output import Output
from .running import INTERRUPTED, run

if TYPE_CHECKING:
    from ..cache.events import Event
    from ..cache.informer import Informer
    from ..client import Client
    from .measured import Counts

__all__ = ["add_command"]

_ONCE_TIMEOUT = 60.0
_PIECE = 100
"""Objects written at once."""

_DESCRIPTION = """\
Keep a cache of a resource in step with the server, and show it: a live table on a terminal, else one JSON
line for each change, beginning with what is there. It survives whatever the server does, and says so."""

_EXAMPLES = """\
examples:
  kresilient watch v1/pods -A
  kresilient watch v1/pods -n web -l 'app in (shop, cart)' --field-selector spec.nodeName=node-1
  kresilient watch apps/v1/deployments -o json | jq -r '.type + " " + .key'
  kresilient watch v1/pods -A --once --stats"""


def add_command(commands: Any) -> None:
    """Add `watch` to *commands*."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "watch",
        help="show a live cache of a resource",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "resource", type=typed.resource, metavar="RESOURCE", help="v1/pods, apps/v1/deployments, …"
    )
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument(
        "-n", "--namespace", type=typed.namespace, metavar="NS", help="one namespace (the context's)"
    )
    scope.add_argument("-A", "--all-namespaces", action="store_true", help="all namespaces")
    parser.add_argument(
        "-l", "--selector", type=typed.label_selector, default="", metavar="SEL", help="a label selector"
    )
    parser.add_argument(
        "--field-selector", type=typed.field_selector, default="", metavar="F", help="a field selector"
    )
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), help="a table (on a terminal), or JSON (elsewhere)"
    )
    parser.add_argument("--once", action="store_true", help="sync, show what there is, and end")
    parser.add_argument(
        "--stats", action="store_true", help="with --once: one JSON line with what the sync took"
    )
    parser.add_argument(
        "--timeout",
        type=typed.rate,
        metavar="SECONDS",
        help=f"give up when not synced by then ({_ONCE_TIMEOUT:g} with --once, else never)",
    )
    parser.add_argument(
        "--qps", type=typed.rate, default=20.0, metavar="N", help="requests a second, at most (20)"
    )
    add_cluster_arguments(parser)
    parser.set_defaults(run=_run, parser=parser)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.stats and not arguments.once:
        arguments.parser.error("--stats goes with --once")
    if arguments.stats and arguments.output is not None:
        arguments.parser.error("--stats has its own output: leave -o out")
    terminal = sys.stdout.isatty()
    output = arguments.output or ("table" if terminal else "json")
    if arguments.once:
        timeout = arguments.timeout or _ONCE_TIMEOUT
        return run(_once(arguments, output, timeout), interrupted=INTERRUPTED)
    if output == "table":
        if not terminal:
            arguments.parser.error("-o table needs a terminal: add --once, or take -o json")
        require_extra("cli", "rich")
        return run(_live(arguments), interrupted=0)
    return run(_lines(arguments), interrupted=0)


def _saying(informer: Informer[KubeObject]) -> Callable[[str], None]:
    """What writes the reason of a fault to stderr at once, while it is being recovered from."""

    def say(reason: str) -> None:
        denied = any(reflector.denied for reflector in informer.health.reflectors)
        if informer.has_synced or not denied:  # a refusal of the first list ends it, with the same words
            print(f"kresilient watch: {reason}", file=sys.stderr, flush=True)

    return say


async def _once(arguments: argparse.Namespace, output: str, timeout: float) -> int:
    counts = _counts()
    async with _client(arguments, counts) as client:
        began, cpu = time.perf_counter(), time.process_time()
        async with _informer(client, arguments) as informer:
            counts.on_fault = _saying(informer)
            await _synced(informer, arguments, timeout)
            took, spent = time.perf_counter() - began, time.process_time() - cpu
            if arguments.stats:
                pieces = iter([_stats(informer, counts, took, spent)])
            elif output == "json":
                pieces = _list(informer)
            else:
                pieces = iter([_table(informer, arguments)])
            writer = Output()
            for piece in pieces:
                await writer.write(piece)
    return 0


async def _lines(arguments: argparse.Namespace) -> int:
    counts = _counts()
    async with _client(arguments, counts) as client, _informer(client, arguments) as informer:
        counts.on_fault = _saying(informer)
        await _synced(informer, arguments, arguments.timeout)
        output = Output()
        async for event in informer.events():
            await output.write(_line(event))
    return 0


async def _live(arguments: argparse.Namespace) -> int:
    from .live import show

    counts = _counts()
    async with _client(arguments, counts) as client, _informer(client, arguments) as informer:
        await show(informer, counts, title=_title(arguments), timeout=arguments.timeout)
    return 0


def _counts() -> Counts:
    from .measured import Counts

    return Counts()


def _client(arguments: argparse.Namespace, counts: Counts) -> AbstractAsyncContextManager[Client]:
    from ..connection import connect

    options = cluster_options(arguments)
    return connect(qps=arguments.qps, burst=max(1, int(arguments.qps * 2)), observers=[counts], **options)


def _informer(client: Client, arguments: argparse.Namespace) -> Informer[KubeObject]:
    resource: Resource = arguments.resource
    namespace: str | None = arguments.namespace
    if namespace is None and not arguments.all_namespaces and resource.namespaced is not False:
        namespace = client.namespace
    return client.informer(
        resource,
        namespaces=namespace,
        label_selector=arguments.selector,
        field_selector=arguments.field_selector or None,
    )


async def _synced(
    informer: Informer[KubeObject], arguments: argparse.Namespace, timeout: float | None
) -> None:
    try:
        await informer.synced(timeout)
    except SyncError as error:
        everywhere = arguments.all_namespaces or arguments.namespace is not None
        if arguments.resource.namespaced is None and not everywhere:
            raise SyncError(f"{error} (if it is cluster-scoped, add -A)") from error
        raise


def _title(arguments: argparse.Namespace) -> str:
    parts = [str(arguments.resource), arguments.selector, arguments.field_selector]
    return " ".join(part for part in parts if part)


def _stats(informer: Informer[KubeObject], counts: Counts, took: float, spent: float) -> bytes:
    from .measured import peak_rss_mb

    stats = {
        "objects": len(informer),
        "bytes": counts.bytes,
        "wire_bytes": counts.wire_bytes,
        "sync_s": round(took, 3),
        "cpu_s": round(spent, 3),
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "requests": counts.requests,
    }
    return json.dumps(stats).encode() + b"\n"


def _table(informer: Informer[KubeObject], arguments: argparse.Namespace) -> bytes:
    now = datetime.now(UTC)
    rows = [cells(obj, now) for obj in informer.list()]
    return (text_table(rows) if rows else f"no {arguments.resource} found\n").encode()


def _list(informer: Informer[KubeObject]) -> Iterator[bytes]:
    """A List of everything, in pieces."""
    yield b'{"apiVersion":"v1","kind":"List","items":['
    objects = informer.list()
    for start in range(0, len(objects), _PIECE):
        piece = b",\n".join(_typed(obj) for obj in objects[start : start + _PIECE])
        yield (b",\n" if start else b"\n") + piece
    yield b"\n]}\n"


def _line(event: Event[KubeObject]) -> bytes:
    head = {"type": event.type, "key": event.key, "initial": event.initial, "source": event.source}
    return msgspec.json.encode({**head, "object": msgspec.Raw(_typed(event.object))}) + b"\n"


class _Kind(msgspec.Struct):
    kind: str = ""


_kind = msgspec.json.Decoder(_Kind)


def _typed(obj: KubeObject) -> bytes:
    """The JSON of *obj* with its kind and apiVersion, which items of a list do not carry themselves."""
    if not obj.kind or _kind.decode(obj.raw).kind:
        return obj.raw
    head = msgspec.json.encode({"apiVersion": obj.api_version, "kind": obj.kind})
    return head[:-1] + b"," + obj.raw.lstrip()[1:]
