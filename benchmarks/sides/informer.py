"""kresilient: an informer comes to hold all pods: `python -m benchmarks.sides.informer URL [--ca FILE] …`."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

import msgspec

import kresilient as kr
from kresilient.observe.events import Event, Listed

from ..process import BenchmarkFailed, Span, end_with_stdin
from .requests import FORMS

VARIANTS: Final = ("whole", "strip", "view", "compact")
"""Whole objects; without managed fields; a `View` of five fields; compressed in memory."""

_WITHIN: Final = 300.0


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""
    priority: int = 0


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    start_time: str = ""


class PodOfFive(kr.View, resource="v1/pods"):
    """Five fields of a pod beside its header."""

    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def options_of(form: str, variant: str) -> dict[str, Any]:
    """What `client.informer` is given beside the resource."""
    options: dict[str, Any] = {"streaming": form == "stream"}
    if variant == "strip":
        options["strip"] = ["metadata.managedFields"]
    elif variant == "compact":
        options["compact"] = True
    return options


async def main(asked: argparse.Namespace) -> None:
    received = 0

    def heard(event: Event) -> None:
        nonlocal received
        if isinstance(event, Listed):
            received += event.bytes

    ca: dict[str, Any] = {"ca_file": asked.ca} if asked.ca else {}
    client = kr.connect(server=asked.url, qps=None, compression=asked.form == "gzip", observers=[heard], **ca)
    async with client:
        async with client.informer("v1/configmaps") as nothing:  # what is loaded and made once
            await nothing.synced(_WITHIN)
        received = 0
        span = Span()
        resource: Any = PodOfFive if asked.variant == "view" else "v1/pods"
        async with client.informer(resource, **options_of(asked.form, asked.variant)) as pods:
            await pods.synced(_WITHIN)
            if not received:
                raise BenchmarkFailed("the informer synced without a list")
            span.end(objects=len(pods), size=received)


if __name__ == "__main__":
    end_with_stdin()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--ca", default="")
    parser.add_argument("--form", choices=FORMS, default="stream")
    parser.add_argument("--variant", choices=VARIANTS, default="whole")
    asyncio.run(main(parser.parse_args()))
