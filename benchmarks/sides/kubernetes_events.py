"""The informer of the official client: `python -m benchmarks.sides.kubernetes_events URL EVENTS`."""

from __future__ import annotations

import os
import sys
import threading

from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.informer import MODIFIED, SharedInformer

from ..process import BenchmarkFailed, end_with_stdin
from .stream import PATIENCE, Stream


def main(url: str, events: int) -> None:
    core = CoreV1Api(ApiClient(Configuration(host=url)))
    informer = SharedInformer(core.list_pod_for_all_namespaces)  # type: ignore[no-untyped-call]
    done = threading.Event()
    left = events

    def updated(pod: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    informer.add_event_handler(MODIFIED, updated)  # type: ignore[no-untyped-call]
    informer.start()  # type: ignore[no-untyped-call]
    while informer._resource_version is None:  # it has no event for that it has synced
        if done.wait(0.01):
            raise BenchmarkFailed("events came before they were sent")
    stream = Stream(url, events)
    if not done.wait(PATIENCE):
        raise BenchmarkFailed(f"{left:,} events never came")
    stream.end()
    os._exit(0)  # its thread watches on, and ends an interpreter that ends with an abort


if __name__ == "__main__":
    end_with_stdin()
    main(sys.argv[1], int(sys.argv[2]))
