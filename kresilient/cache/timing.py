"""Every time a reflector uses."""

from __future__ import annotations

from dataclasses import dataclass

from ..flow.backoff import BASE, CAP
from ..flow.outage import SPREAD

__all__ = ["Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Every time a reflector uses, in seconds.

    Attributes:
        watch_lifetime: the server ends each watch after a time drawn from this range (client-go's).
        stall: silence after which a watch is given up. Bookmarks come about once a minute.
        lived: a watch that ends sooner, without an event, counts as failed.
        small_jitter: a clean re-watch waits up to this long, so that a fleet is not in step.
        start_jitter: the first list of all waits up to this long.
        spread: a first relist after an expired version waits up to this long, unless an outage has spread it
            already: a restarted server expires a whole fleet at once.
        streaming_patience: a streaming list without a new object for this long is given up.
        streaming_limit: a streaming list without its end is given up after this long in any case; the end
            of its `watch_lifetime` gives it up too.
        streaming_off: how long no streaming list is asked for after one failed.
        relist_base, relist_cap: the pace of relists that repair what a poison object may hide.
        backoff_base, backoff_cap: the first wait after a failure and the longest, each before its jitter.
    """

    watch_lifetime: tuple[float, float] = (300.0, 600.0)
    stall: float = 150.0
    lived: float = 1.0
    small_jitter: float = 1.0
    start_jitter: float = 0.0
    spread: float = SPREAD
    streaming_patience: float = 30.0
    streaming_limit: float = 240.0
    streaming_off: float = 600.0
    relist_base: float = 60.0
    relist_cap: float = 1800.0
    backoff_base: float = BASE
    backoff_cap: float = CAP
