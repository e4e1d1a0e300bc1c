"""Reading a list: at which version, and which page of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from .continuation import encode_token, expired_token, read_token
from .list_options import ListOptions
from .selection import Selection
from .statuses import bad_request, unlistable, version_too_large
from .storage import Collection, Stored

__all__ = ["ListOptions", "Page", "read_page"]


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list: its objects, the version it is true at, and how to go on.

    `remaining` counts what follows, but not where a selector makes that a guess (then it is 0).
    """

    items: list[Stored]
    version: int
    continue_token: str = ""
    remaining: int = 0


def read_page(
    collection: Collection, selection: Selection, options: ListOptions, *, current: int, oldest: int
) -> Page:
    """The page that *options* ask for.

    *current* is the server's version; what was before *oldest* is too long ago to be read.
    Raises `Refused`: 400 for a token that is none, 410 for a version or token that is too old, and
    `VersionTooLarge` (504) for one from the future.
    """
    if options.continue_token:
        version, after = read_token(options.continue_token, selection.namespace)
        if options.version:
            raise bad_request("specifying resource version is not allowed when using continue")
        if version < 0:
            return _page(collection, selection, None, after, options.limit, current)
        if version > current:
            raise version_too_large(version, current)
        if version < max(collection.compacted, oldest):
            raise expired_token(after, selection.namespace)
        return _page(collection, selection, version, after, options.limit, current)
    if options.version is not None and options.version > current:
        raise version_too_large(options.version, current)
    exact = options.match == "Exact" or (not options.match and options.limit > 0)
    if options.version and exact:
        if options.version < oldest:
            raise unlistable()
        return _page(collection, selection, options.version, "", options.limit, current)
    limit = 0 if options.version == 0 else options.limit
    return _page(collection, selection, None, "", limit, current)


def _page(
    collection: Collection,
    selection: Selection,
    version: int | None,
    after: str,
    limit: int,
    current: int,
) -> Page:
    """Up to *limit* objects (all, where it is not above 0) whose keys follow *after*, as they were at
    *version* (None: now)."""
    shown = current if version is None else version
    keys, start, end, held = _keys(collection, selection, version)
    if after:
        start = max(start, bisect_right(keys, after))
    items: list[Stored] = []
    for place in range(start, end):
        key = keys[place]
        stored = held[key] if key in held else collection.objects[key]
        assert stored is not None
        if not selection.matches(stored):
            continue
        items.append(stored)
        # A next page is promised wherever anything follows, whether it matches or not: it may be empty.
        if len(items) == limit and place + 1 < end:
            token = encode_token(shown, key, selection.namespace)
            return Page(items, shown, token, 0 if selection.selective else end - place - 1)
    return Page(items, shown)


def _keys(
    collection: Collection, selection: Selection, version: int | None
) -> tuple[list[str], int, int, Mapping[str, Stored | None]]:
    """The keys among which those of *selection* are at *version*, where they begin and end, and what the
    keys held that have changed since."""
    keys, start, end = selection.keys(collection)
    held = {} if version is None else collection.undone(version)
    if not held:
        return keys, start, end, held
    then = [key for key in keys[start:end] if key not in held]
    then += [key for key, stored in held.items() if stored is not None and selection.covers(stored)]
    then.sort()
    return then, 0, len(then), held
