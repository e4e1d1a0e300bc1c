"""`/metrics`: the server's own counts, in Prometheus text format and under kube-apiserver's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["metrics_text"]


def metrics_text(
    requests: Mapping[tuple[str, str, int], int],
    *,
    inflight: int,
    watches: Mapping[str, int],
    objects: Mapping[str, int],
) -> str:
    """The exposition of *requests* by (verb, resource, code), requests in flight, watches and objects."""
    lines = [
        *_family(
            "apiserver_request_total",
            "counter",
            "Requests answered, by verb, resource and HTTP code.",
            (
                (f'verb="{verb.upper()}",resource="{_escape(resource)}",code="{code}"', count)
                for (verb, resource, code), count in sorted(requests.items())
            ),
        ),
        *_family(
            "apiserver_current_inflight_requests",
            "gauge",
            "Requests running now, watches not counted.",
            [('request_kind="all"', inflight)],
        ),
        *_family(
            "apiserver_longrunning_requests",
            "gauge",
            "Watches running now.",
            ((f'verb="WATCH",resource="{_escape(name)}"', count) for name, count in sorted(watches.items())),
        ),
        *_family(
            "apiserver_resource_objects",
            "gauge",
            "Objects stored.",
            ((f'resource="{_escape(name)}"', count) for name, count in sorted(objects.items())),
        ),
    ]
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[str, int]]) -> list[str]:
    return [
        f"# HELP {name} {text}",
        f"# TYPE {name} {kind}",
        *(f"{name}{{{labels}}} {value}" for labels, value in samples),
    ]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
