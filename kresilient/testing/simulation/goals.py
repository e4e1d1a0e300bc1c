"""What this library promises of an outage, held against what runs found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .measures import Measures
from .policies import OURS

__all__ = ["Goal", "goals"]

_RIGHT_WITHIN: Final = 90.0
_UNEVEN: Final = 2.0
_SHARE: Final = 0.5
_REFERENCE: Final = "client-go"
_MANY: Final = 500  # nodes: in a smaller fleet chance alone makes single seconds uneven


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise, what was found, and whether it is kept."""

    promise: str
    found: str
    kept: bool

    def __str__(self) -> str:
        return f"{'kept' if self.kept else 'MISSED'}: {self.promise} ({self.found})"


def goals(measures: Sequence[Measures]) -> list[Goal]:
    """The promises that *measures* can judge: none without this library's own run."""
    by_policy = {one.policy: one for one in measures}
    own, reference = by_policy.get(OURS), by_policy.get(_REFERENCE)
    if own is None:
        return []
    right = own.right_after
    made = [
        Goal("no further kill", str(own.kills), own.kills == 0),
        Goal(
            f"all caches right within {_RIGHT_WITHIN:g} s of the server's return",
            "never" if right is None else f"{right:.1f} s",
            right is not None and right <= _RIGHT_WITHIN,
        ),
    ]
    if own.nodes >= _MANY:
        made += [
            Goal(
                f"no second in which {who} more than {_UNEVEN:g} × an even spread",
                f"{found:.2f} ×",
                found <= _UNEVEN,
            )
            for who, found in (
                ("informers ask", own.unevenness),
                ("informers and leases together ask", own.unevenness_in_all),
            )
        ]
    if reference is not None:
        made += [
            Goal(f"at most half of the requests of {_REFERENCE}{counted}", f"{share:.1%}", share <= _SHARE)
            for counted, share in (
                ("", own.spent / reference.spent),
                (", leases counted", own.spent_in_all / reference.spent_in_all),
            )
        ]
    return made
