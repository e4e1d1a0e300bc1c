"""Retry by what is known: a read may be asked again; a write only where it certainly did nothing, or where
a repeat is harmless. Whatever cannot be known is said to be unknown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState

from ..api.errors import (
    ConfigError,
    KresilientError,
    NotAKubernetesAnswer,
    OutcomeUnknown,
    ServerUnavailable,
    TooManyRequests,
    TransportError,
    WireError,
)
from ..transport.base import Request
from .backoff import BASE, CAP, FACTOR, spread

__all__ = ["RetryPolicy", "Verdict", "is_read", "judge", "retrying"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long one unary call is tried.

    Attributes:
        attempts: tries in all, the first one included.
        within: seconds from the start of the call after which no further try begins; None for no bound.
        base, factor, cap: the jittered exponential waits between tries, in seconds.
    """

    attempts: int = 5
    within: float | None = 60.0
    base: float = BASE
    factor: float = FACTOR
    cap: float = CAP

    def __post_init__(self) -> None:
        if self.attempts < 1 or not (0 < self.base <= self.cap and self.factor >= 1):
            raise ConfigError(
                f"a retry policy needs attempts >= 1, 0 < base <= cap and factor >= 1; got {self}"
            )
        if self.within is not None and not self.within >= 0:
            raise ConfigError(f"within must be seconds >= 0, or None; got {self.within!r}")

    def wait(self, attempt: int, random: Callable[[], float], floor: float | None) -> float:
        """Seconds to wait after try number *attempt* (from 1), never below *floor*."""
        grown = self.base
        for _ in range(attempt - 1):
            grown = min(self.cap, grown * self.factor)
            if grown == self.cap:
                break
        return spread(grown, random, floor=floor, most=self.cap)


class Verdict(Enum):
    """What a failed attempt says of the request."""

    REFUSED = "it did nothing, and a repeat would not help"
    NOTHING_DONE = "it did nothing, and a repeat may help"
    UNKNOWN = "it may or may not have been carried out"


def is_read(request: Request) -> bool:
    """Whether *request* changes nothing, so that it may be repeated at will."""
    return request.method in ("GET", "HEAD")


def judge(request: Request, error: BaseException) -> Verdict:
    """What *error* proves about *request*.

    429 is sent before a request is carried out, by the server and by every proxy. Of the 5xx, only a Status
    with `retryAfterSeconds` and the code 500 or 503 says that nothing was done: it is the server's request
    to "perform the same action again" (API conventions, ServerTimeout and ServiceUnavailable). A 500 without
    it may be etcd's timeout, a bare 502 or 503 a proxy's guess, and a 504 is given after the fact. What stays
    wrong until somebody mends it (an untrusted CA, a missing plug-in) is said at once.
    """
    if isinstance(error, TransportError):
        if error.sent:
            return Verdict.UNKNOWN
        return Verdict.REFUSED if error.permanent else Verdict.NOTHING_DONE
    if isinstance(error, TooManyRequests):
        budget = error.status.has_cause("DisruptionBudget")  # an eviction's answer, no overload
        return Verdict.REFUSED if budget else Verdict.NOTHING_DONE
    if isinstance(error, ServerUnavailable) and error.code != 501:
        details = error.status.details
        asked = error.status_sent and details is not None and details.retry_after_seconds is not None
        return Verdict.NOTHING_DONE if asked and error.code in (500, 503) else Verdict.UNKNOWN
    if isinstance(error, WireError):  # it would be too large again; only a proxy's page may go away
        again = isinstance(error, NotAKubernetesAnswer) or not is_read(request)
        return Verdict.UNKNOWN if again else Verdict.REFUSED
    return Verdict.REFUSED


async def retrying(
    policy: RetryPolicy,
    attempt: Callable[[int], Awaitable[T]],
    *,
    request: Request,
    repeatable: bool,
    clock: Callable[[], float],
    random: Callable[[], float],
    allow: Callable[[int, KresilientError], bool],
    on_retry: Callable[[int, float, KresilientError], None],
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    """Call `attempt(1)`, `attempt(2)`, … until one succeeds or *policy* gives up; return its result.

    *repeatable* says that a precondition makes a repeat of this write safe. *allow* is asked, with the number
    of the failed try and its error, once all else speaks for a repeat. *on_retry* hears the number of the
    failed try, the wait before the next, and the error; an error that *sleep* raises ends the call.

    Raises:
        OutcomeUnknown: a write failed, and a try of it may have been carried out.
        KresilientError: the last error of a read, or of a write that certainly did nothing.

    Either has the number of tries in `attempts` and the seconds they took in `elapsed`.

    Cancelled: the running try or wait is cancelled; of a write the outcome is then unknown to the caller.
    """
    started = clock()
    read = is_read(request)
    tries, in_doubt = 0, False

    async def once() -> T:
        nonlocal tries, in_doubt
        tries += 1
        try:
            return await attempt(tries)
        except KresilientError as error:
            in_doubt = in_doubt or (not read and judge(request, error) is Verdict.UNKNOWN)
            raise

    def wanted(state: RetryCallState) -> bool:
        error = _error(state)
        if error is None:
            return False
        verdict = judge(request, error)
        return verdict is Verdict.NOTHING_DONE or (verdict is Verdict.UNKNOWN and (read or repeatable))

    def wait(state: RetryCallState) -> float:
        return policy.wait(state.attempt_number, random, getattr(_error(state), "retry_after", None))

    def stop(state: RetryCallState) -> bool:
        if state.attempt_number >= policy.attempts:
            return True
        if policy.within is not None and clock() + state.upcoming_sleep - started > policy.within:
            return True
        error = _error(state)
        return error is not None and not allow(state.attempt_number, error)

    def before_sleep(state: RetryCallState) -> None:
        error = _error(state)
        if error is not None:
            on_retry(state.attempt_number, state.upcoming_sleep, error)

    controller = AsyncRetrying(
        sleep=sleep, stop=stop, wait=wait, retry=wanted, before_sleep=before_sleep, reraise=True
    )
    try:
        return await controller(once)
    except KresilientError as error:
        error.attempts, error.elapsed = tries, clock() - started
        if tries > 1:
            error.add_note(f"tried {tries} times in {error.elapsed:.1f} s")
        if in_doubt:
            often = f" (tried {tries} times)" if tries > 1 else ""
            unknown = OutcomeUnknown(
                f"{request.what}: it may or may not have been carried out{often}; read the object before "
                f"repeating the write. Last error: {error}",
                brief=f"{request.what}: it may or may not have been carried out{often}: {error.brief}",
            )
            unknown.attempts, unknown.elapsed = error.attempts, error.elapsed
            raise unknown from error
        raise


def _error(state: RetryCallState) -> KresilientError | None:
    """The library's own error of the last try; a cancellation or a bug is none, and is never retried."""
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, KresilientError) else None
