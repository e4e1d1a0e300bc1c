"""Resource versions: decimal numbers that compare within one resource (KEP-5504), or opaque texts.

Some aggregated APIs use versions that are no numbers; those compare with nothing, and the last to arrive
wins.
"""

from __future__ import annotations

__all__ = ["is_newer", "is_older", "later", "reaches", "version_number"]


def version_number(version: str) -> int | None:
    """The number that *version* is, or None where it is opaque or empty."""
    return int(version) if version.isdecimal() and version.isascii() else None


def is_newer(version: str, held: str) -> bool:
    """Whether *version* is above *held*; True too where they do not compare."""
    if version.isdecimal() and held.isdecimal() and version.isascii() and held.isascii():
        # Asked of every event: texts of one length compare as the numbers do, without making them.
        return version > held if len(version) == len(held) else int(version) > int(held)
    return True


def is_older(version: str, held: str) -> bool:
    """Whether *version* is certainly below *held*; False where they do not compare."""
    one, other = version_number(version), version_number(held)
    return one is not None and other is not None and one < other


def reaches(version: str, due: str) -> bool:
    """Whether what stands at *version* certainly holds all there was at *due*: the same, or a higher one."""
    one, other = version_number(version), version_number(due)
    return version == due or (one is not None and other is not None and one >= other)


def later(version: str, other: str) -> str:
    """The higher of two versions; the first where they do not compare."""
    return version if version and is_newer(version, other) else other or version
