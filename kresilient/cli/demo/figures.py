"""The figures of a demo run: what was measured, and what follows from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from .truth import StaleReads

__all__ = ["Figures", "Phase", "Rates", "Sample"]

_SPAN: Final = 0.4


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run, in seconds since its start."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Totals at one moment, `at` seconds since the start of the run.

    Attributes:
        requests: answered to the agents, as the server counts; None while it cannot be asked.
        attempts: sent by the agents, answered or not.
        wire_bytes, json_bytes: of answers to the agents, as they crossed the wire, and decompressed.
    """

    at: float
    requests: int | None
    attempts: int
    wire_bytes: int
    json_bytes: int


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened around one moment, a second; `requests` is None where the server could not be asked."""

    at: float
    requests: float | None
    attempts: float
    wire_bytes: float
    json_bytes: float


@dataclass(slots=True, kw_only=True)
class Figures:
    """Everything a run says. What a run did not do (a real cluster is never killed) is None.

    Attributes:
        counted_by: who counted the requests: `"server"`, or on a real cluster `"client"`.
        polling_rps: requests a second while the fleet polled.
        polling_bytes_per_s, informer_bytes_per_s: as they crossed the wire (lists in gzip, watches not).
        informer_rps: requests a second on informers, in the long run: `informer_rps_counted` in the phase,
            and `informer_rps_renewals` that a phase this short cannot show: watches are renewed every 5 to
            10 minutes.
        initial_requests, initial_bytes, initial_sync_s: what going over to informers took, once.
        outage_attempts: requests that the informers sent while nobody answered.
        recovery_s: from the moment the server was back until every cache was right, changes made in the
            meantime included, and the server counted a watch for each.
        recovery_requests: attempts in that time.
        divergent_objects: over all caches, objects that were not as the server has them at the end.
        lost_writes: writes the server had acknowledged and did not have after the restart.
    """

    counted_by: str
    agents: int
    pods: int
    services: int
    nodes: int
    poll_interval_s: float
    phase_s: float
    polling_rps: float = 0.0
    informer_rps_counted: float = 0.0
    informer_rps_renewals: float = 0.0
    polling_bytes_per_s: float = 0.0
    informer_bytes_per_s: float = 0.0
    polling_json_bytes_per_s: float = 0.0
    informer_json_bytes_per_s: float = 0.0
    polling_writes_per_s: float | None = None
    informer_writes_per_s: float | None = None
    polling_failures: int = 0
    initial_requests: int = 0
    initial_bytes: int = 0
    initial_sync_s: float = 0.0
    polling_stale: StaleReads | None = None
    informer_stale: StaleReads | None = None
    outage_s: float | None = None
    outage_attempts: int | None = None
    outage_reads: int | None = None
    outage_reads_answered: int | None = None
    recovered: bool | None = None
    recovery_s: float | None = None
    recovery_requests: int | None = None
    recovery_writes: int | None = None
    relists: int | None = None
    lost_writes: int | None = None
    divergent_objects: int = 0
    cached_objects: int = 0
    duration_s: float = 0.0
    phases: list[Phase] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    right: list[tuple[float, float]] = field(default_factory=list)
    """(seconds since the start, percent of the agents whose caches were right) during the recovery."""

    @property
    def informer_rps(self) -> float:
        return self.informer_rps_counted + self.informer_rps_renewals

    @property
    def reduction_percent(self) -> float:
        return 100.0 * (1.0 - self.informer_rps / self.polling_rps) if self.polling_rps else 0.0

    @property
    def failure(self) -> str:
        """Why the run is no success; `""` where it is one."""
        if self.recovered is False:
            return f"not every cache was right again {self.recovery_s or 0:.0f} s after the server came back"
        if self.divergent_objects:
            return f"{self.divergent_objects} cached objects are not as the server has them"
        if self.lost_writes:
            return f"{self.lost_writes} acknowledged writes were lost in the restart"
        return ""

    def rates(self) -> list[Rates]:
        """The rates between the samples, each over `_SPAN` seconds at least."""
        found = []
        samples = iter(self.samples)
        before = next(samples, None)
        for after in samples:
            if before is not None and (span := after.at - before.at) >= _SPAN:
                answered = None
                if before.requests is not None and after.requests is not None:
                    answered = max(0, after.requests - before.requests) / span
                found.append(
                    Rates(
                        (before.at + after.at) / 2,
                        answered,
                        (after.attempts - before.attempts) / span,
                        (after.wire_bytes - before.wire_bytes) / span,
                        (after.json_bytes - before.json_bytes) / span,
                    )
                )
                before = after
        return found

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data, with the load over time: `load` has a pair for each span, the seconds
        since the start and the requests a second that the server counted (None while it was away), and
        `phases` the name of each with its first second. The other series behind the charts are left out."""
        left_out = {"phases", "samples", "right", "polling_stale", "informer_stale"}
        plain = {name: value for name, value in asdict(self).items() if name not in left_out}
        for name, stale in (("polling", self.polling_stale), ("informer", self.informer_stale)):
            if stale is not None:
                plain[f"{name}_reads"] = stale.reads
                plain[f"{name}_stale_reads"] = stale.stale
                plain[f"{name}_stale_percent"] = stale.percent
                plain[f"{name}_stale_mean_ms"] = stale.mean * 1000
                plain[f"{name}_stale_worst_ms"] = stale.worst * 1000
        plain |= {
            "informer_rps": self.informer_rps,
            "reduction_percent": self.reduction_percent,
            "ok": not self.failure,
            "failure": self.failure,
        }
        plain["phases"] = [(phase.name, round(phase.start, 1)) for phase in self.phases]
        plain["load"] = [
            (round(one.at, 1), None if one.requests is None else round(one.requests, 1))
            for one in self.rates()
        ]
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in plain.items()}
