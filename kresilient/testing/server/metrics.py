"""`/metrics`: the server's own counts, in Prometheus text format, with kube-apiserver's names and labels."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from .inflight import Inflight, Kind
from .kinds import ApiResource, Registry
from .paths import Paths
from .requests import RequestInfo, RequestRecord

__all__ = ["Metrics"]

_Labels = tuple[tuple[str, str], ...]

_DURATIONS: Final = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0),
    *(3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0),
)
_SIZES: Final = (1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
_VERBS: Final = {"create": "POST", "update": "PUT"}
_COUNTED: Final = frozenset({"DELETE", "DELETECOLLECTION", "GET", "LIST", "PATCH", "POST", "PUT", "WATCH"})
"""Every other method is `other`."""


class _Histogram:
    """How often a value fell into which bucket."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self, name: str, labels: str) -> Iterable[str]:
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            bucket = f"{bound:g}" if not isinstance(bound, str) else bound
            yield f'{name}_bucket{{{labels},le="{bucket}"}} {total}'
        yield f"{name}_sum{{{labels}}} {self._sum:g}"
        yield f"{name}_count{{{labels}}} {total}"


class Metrics:
    """Counts requests as they end, and those of long-running ones while they run.

    Labels are of what the server has, never what a client made up, so that they stay few: what is asked of no
    *resources* and no *paths* is not counted, as in kube-apiserver, whose counters are those of its routes.
    """

    def __init__(self, resources: Registry, paths: Paths) -> None:
        self._resources = resources
        self._paths = paths
        self._watches: dict[RequestRecord, _Labels] = {}
        self._requests: Counter[_Labels] = Counter()
        self._durations: dict[_Labels, _Histogram] = {}
        self._sizes: dict[_Labels, _Histogram] = {}
        self._long_running: Counter[_Labels] = Counter()
        self._rejected: Counter[_Labels] = Counter()

    def began(self, record: RequestRecord) -> None:
        """A watch is served from now on."""
        labels = self._labels(record)
        if labels is not None:
            self._watches[record] = labels
            self._long_running[labels] += 1

    def rejected(self, record: RequestRecord) -> None:
        """*record* was sent away for others that ran."""
        labels = ("flow_schema", record.flow_schema), ("priority_level", record.priority_level)
        self._rejected[(*labels, ("reason", "concurrency-limit"))] += 1

    def ended(self, record: RequestRecord, *, long_running: bool) -> None:
        """*record* is over; one that was never answered is not counted."""
        labels = self._watches.pop(record, None)  # its definition may be gone by now
        if labels is not None:
            self._long_running[labels] -= 1
        labels = labels or self._labels(record)
        if labels is None or not record.code:
            return
        dry = labels[0], ("dry_run", _dry_run(record)), *labels[1:]
        self._requests[(("code", str(record.code)), *dry)] += 1
        if record.duration is not None and not long_running:
            self._durations.setdefault(dry, _Histogram(_DURATIONS)).observe(record.duration)
        if record.verb in ("get", "list"):
            self._sizes.setdefault(labels, _Histogram(_SIZES)).observe(record.bytes)

    def text(self, *, inflight: Inflight, objects: Mapping[ApiResource, int], audit_events: int) -> str:
        """The exposition, with the requests *inflight*, the *objects* stored, the *audit_events* written."""
        kinds: tuple[Kind, ...] = ("mutating", "readOnly")
        stored = [((("group", one.group), ("resource", one.plural)), n) for one, n in objects.items()]
        families = [
            _family("apiserver_audit_event_total", "counter", "Audit events written.", [((), audit_events)]),
            _family(
                "apiserver_current_inflight_requests",
                "gauge",
                "Requests that run now, by kind.",
                [((("request_kind", kind),), inflight.running(kind)) for kind in kinds],
            ),
            _family(
                "apiserver_flowcontrol_rejected_requests_total",
                "counter",
                "Requests sent away by priority and fairness.",
                self._rejected.items(),
            ),
            _family(
                "apiserver_longrunning_requests",
                "gauge",
                "Long-running requests that run now.",
                ((labels, n) for labels, n in self._long_running.items() if n),
            ),
            _histograms(
                "apiserver_request_duration_seconds", "Seconds until an answer was complete.", self._durations
            ),
            _family("apiserver_request_total", "counter", "Requests answered.", self._requests.items()),
            _family("apiserver_resource_objects", "gauge", "Objects stored.", stored),
            _histograms("apiserver_response_sizes", "Bytes of answers to reads.", self._sizes),
            _family(
                "apiserver_storage_objects",
                "gauge",
                "Objects stored.",
                [((("resource", one.qualified),), n) for one, n in objects.items()],
            ),
        ]
        return "\n".join(line for family in families for line in family) + "\n"

    def _labels(self, record: RequestRecord) -> _Labels | None:
        """Those of a request for what there is; None for another."""
        info = record.info
        if info.plural:
            resource = self._resources.find(info.group, info.version, info.plural)
            if resource is None or not (info.subresource in ("", "status") or _has(resource, info)):
                return None
        elif not self._paths.has(info.path):
            return None
        return (
            ("component", "apiserver"),
            ("group", info.group),
            ("resource", info.plural),
            ("scope", _scope(info)),
            ("subresource", info.subresource if info.plural else info.path),
            ("verb", _verb(record)),
            ("version", info.version),
        )


def _has(resource: ApiResource, info: RequestInfo) -> bool:
    return resource.subresource(info.subresource) is not None


def _verb(record: RequestRecord) -> str:
    if record.applies:
        return "APPLY"
    verb = _VERBS.get(record.verb, record.verb.upper())
    if verb == "HEAD":
        return "GET"
    return verb if verb in _COUNTED else "other"


def _dry_run(record: RequestRecord) -> str:
    asked = record.query.get("dryRun", "")
    return asked if asked in ("", "All") else "invalid"


def _scope(info: RequestInfo) -> str:
    if info.name or info.verb == "create":
        return "resource"
    if info.namespace:
        return "namespace"
    return "cluster" if info.plural else ""


def _histograms(name: str, text: str, found: Mapping[_Labels, _Histogram]) -> list[str]:
    lines = _family(name, "histogram", text, ())
    for labels, histogram in sorted(found.items()):
        lines += histogram.samples(name, _text(labels))
    return lines


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[_Labels, int]]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in sorted(samples):
        lines.append(f"{name}{{{_text(labels)}}} {value}" if labels else f"{name} {value}")
    return lines


def _text(labels: _Labels) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
