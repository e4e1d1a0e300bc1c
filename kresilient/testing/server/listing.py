"""Reading a list: which version, which page, and the tokens that continue one."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from . import wire
from .selection import Selection
from .statuses import Cause, Refused, bad_request, expired, invalid_options, version_too_large
from .storage import Collection, Stored

__all__ = ["ListOptions", "Page", "read_page"]

_FORBIDDEN = "FieldValueForbidden"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The query parameters of a list or a watch that say what is wanted.

    `version` is None for "most recent"; 0 is "whatever there is".
    """

    version: int | None = None
    match: str = ""
    limit: int = 0
    continue_token: str = ""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> ListOptions:
        """The options in *query*. Raises `Refused` (400 or 422) for those that do not go together."""
        text, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        token = query.get("continue", "")
        causes = list(_match_faults(text, match, token))
        if causes:
            raise invalid_options("ListOptions", *causes)
        if token and text not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        version = None
        if text:
            if not text.isascii() or not text.isdigit():
                raise bad_request(f"invalid resource version: {version_fault(text)}")
            version = int(text)
        return cls(version, match, max(0, integer(query.get("limit", ""))), token)


def integer(text: str) -> int:
    """*text* as a number; 0 where it is none."""
    try:
        return int(text)
    except ValueError:
        return 0


def version_fault(text: str) -> str:
    """What the server says of a resource version that is no number."""
    quoted = wire.encode(text).decode()
    return f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"


def _match_faults(version: str, match: str, token: str) -> list[Cause]:
    field = "resourceVersionMatch"
    if not match:
        return []
    if not version:
        said = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        return [(_FORBIDDEN, said, field)]
    if token:
        said = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
        return [(_FORBIDDEN, said, field)]
    if match not in ("Exact", "NotOlderThan"):
        said = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        return [("FieldValueNotSupported", said, field)]
    if match == "Exact" and version == "0":
        said = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        return [(_FORBIDDEN, said, field)]
    return []


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list: its objects, the version it is true at, and how to go on."""

    items: list[Stored]
    version: int
    continue_token: str = ""
    remaining: int = 0


def read_page(
    collection: Collection, selection: Selection, options: ListOptions, *, current: int, oldest: int
) -> Page:
    """The page that *options* ask for.

    *current* is the server's version, *oldest* the one before which a page token has expired by its age.
    Raises `Refused`: 410 for a version or token that is too old, 504 for one from the future.
    """
    if options.continue_token:
        version, after = _read_token(options.continue_token, selection.namespace)
        at = None if version < 0 else version
        if at is not None and (at < collection.compacted or at < oldest):
            raise _expired_token(after, selection.namespace)
        return _page(collection, selection, at, after, options.limit, current)
    if options.version is not None and options.version > current:
        raise version_too_large(options.version, current)
    exact = options.match == "Exact" or (not options.match and options.limit > 0)
    if options.version and exact:
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
    """Up to *limit* objects (0: all) whose keys follow *after*, as they were at *version* (None: now)."""
    shown = current if version is None else version
    if version is None and not limit and not after:
        return Page(selection.select(collection), shown)
    keys, held = collection.at(version)
    start, end = collection.keys_in(selection.namespace, keys)
    if after:
        start = max(start, bisect_right(keys, after))
    items: list[Stored] = []
    place = start
    while place < end and (not limit or len(items) < limit):
        key = keys[place]
        place += 1
        stored = held[key] if key in held else collection.objects[key]
        assert stored is not None
        if selection.matches(stored):
            items.append(stored)
    if place < end and selection.selective and not _more(collection, selection, keys, held, place, end):
        place = end
    if place >= end:
        return Page(items, shown)
    token = _token(shown, keys[place - 1], selection.namespace)
    return Page(items, shown, token, 0 if selection.selective else end - place)


def _more(
    collection: Collection,
    selection: Selection,
    keys: list[str],
    held: Mapping[str, Stored | None],
    place: int,
    end: int,
) -> bool:
    """Whether anything that matches follows, so that a last page has no token."""
    for key in keys[place:end]:
        stored = held[key] if key in held else collection.objects[key]
        if stored is not None and selection.matches(stored):
            return True
    return False


# --- tokens ------------------------------------------------------------------------------------------


class _Token(msgspec.Struct):
    """`storage.continueToken`: where to go on, relative to the prefix of what was listed."""

    v: str
    rv: int
    start: str


_tokens = msgspec.json.Decoder(_Token)


def _token(version: int, last: str, namespace: str) -> str:
    start = "/" + (last.removeprefix(namespace + "/") if namespace else last) + "\0"
    encoded = wire.encode({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


def _read_token(text: str, namespace: str) -> tuple[int, str]:
    """The version and the key after which a page begins."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise bad_request("invalid continue token: continue key is not valid") from None
    try:
        token = _tokens.decode(decoded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from None
    if token.v != "meta.k8s.io/v1":
        raise bad_request(
            f'continue key is not valid: server does not recognize this encoded version "{token.v}"'
        )
    if not token.start.startswith("/") or ".." in token.start.split("/"):
        raise bad_request("invalid continue token: continue key is not valid: start is out of range")
    key = token.start[1:].removesuffix("\0")
    return token.rv, f"{namespace}/{key}" if namespace else key


def _expired_token(after: str, namespace: str) -> Refused:
    return expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new "
        "list without the continue parameter, or use the continue token in this response to retrieve the "
        "remainder of the results. Continuing with the provided token results in an inconsistent list - "
        "objects that were created, modified, or deleted between the time the first chunk was returned and "
        "now may show up in the list.",
        continue_token=_token(-1, after, namespace),
    )
