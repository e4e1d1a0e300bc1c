"""Counts of what happened, by resource: an observer whose figures can be read at any time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .events import CostlyList, Event

__all__ = ["OTHERS", "CostlyLists"]

OTHERS: Final = "others"
"""Under which the resources beyond the first so many are counted together."""

_RESOURCES: Final = 256


class CostlyLists:
    """Counts the places in the code that were told of for polling whole lists, by what they list.

    Fed by `CostlyList`, which comes once for each place. Bounded: it tells 256 resources apart, and counts
    all others as one.
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, CostlyList):
            known = event.resource in self._counts or len(self._counts) < _RESOURCES
            resource = event.resource if known else OTHERS
            self._counts[resource] = self._counts.get(resource, 0) + 1

    @property
    def by_resource(self) -> Mapping[str, int]:
        """So many places for each resource, as of now."""
        return MappingProxyType(dict(self._counts))
