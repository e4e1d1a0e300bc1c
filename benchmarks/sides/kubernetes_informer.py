"""kubernetes, the official client: its informer: `python -m benchmarks.sides.kubernetes_informer URL`."""

from __future__ import annotations

import os
import sys
import time

from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.informer import SharedInformer

from ..process import BenchmarkFailed, Span, end_with_stdin

_WITHIN = 600.0


def main(url: str) -> None:
    core = CoreV1Api(ApiClient(Configuration(host=url)))
    core.list_config_map_for_all_namespaces(limit=1)  # what is loaded and made once
    informer = SharedInformer(core.list_pod_for_all_namespaces)  # type: ignore[no-untyped-call]
    span = Span()
    informer.start()  # type: ignore[no-untyped-call]
    # It has no event for that it has synced; it sets its version when its first list is in the cache.
    while informer._resource_version is None:
        if time.monotonic() > span.begun + _WITHIN:
            raise BenchmarkFailed(f"not synced within {_WITHIN:.0f} s")
        time.sleep(0.01)
    span.end(objects=len(informer.cache.list_keys()))
    sys.stdout.flush()
    os._exit(0)  # its thread watches on, and ends an interpreter that ends with an abort


if __name__ == "__main__":
    end_with_stdin()
    main(sys.argv[1])
