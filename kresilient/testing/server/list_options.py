"""The query parameters of a list and of a watch: `metav1.ListOptions`, decoded and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .go_words import parse_bool, parse_int, parse_uint, quote
from .statuses import Cause, bad_request, internal, invalid_options

__all__ = ["UNREAD", "ListOptions", "check_list", "check_watch", "version_to_read", "watch_flag"]

UNREAD: Final = -1
"""A version that stands beside a page token: it is refused, and not read before the token is."""

_MATCH: Final = "resourceVersionMatch"
_INITIAL: Final = "sendInitialEvents"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list or a watch asks for.

    Attributes:
        version: None for "most recent"; 0 is "whatever there is".
        match: `Exact`, `NotOlderThan`, or nothing: how *version* is meant in a list.
        limit: objects on a page; 0 and less is no limit.
        initial_events: `sendInitialEvents`, None where it is not given.
        bookmarks: `allowWatchBookmarks`.
        timeout: `timeoutSeconds` of a watch; 0 leaves it to the server.
    """

    version: int | None = None
    match: str = ""
    limit: int = 0
    continue_token: str = ""
    initial_events: bool | None = None
    bookmarks: bool = False
    timeout: int = 0

    @classmethod
    def parse(
        cls, query: Mapping[str, str], *, watch: bool = False, streaming_list: bool = True
    ) -> ListOptions:
        """The options in *query*.

        Raises `Refused`: 400 for a number that is none, 422 for options that do not go together, and for a
        version that is none 400 from a list and 500 from a watch.
        """
        try:
            timeout = parse_int(query.get("timeoutSeconds", "0"))
            limit = parse_int(query.get("limit", "0"))
        except ValueError as error:
            raise bad_request(str(error)) from None
        said = query.get(_INITIAL)
        initial = None if said is None else parse_bool(said)
        text, match = query.get("resourceVersion", ""), query.get(_MATCH, "")
        token = query.get("continue", "")
        # The old path of a watch sets no flag, and so its options are checked as those of a list.
        if watch and watch_flag(query):
            if streaming_list and initial is None and not match and text in ("", "0"):
                initial, match = True, "NotOlderThan"
            causes = list(check_watch(match, token, initial, streaming_list))
        else:
            causes = list(check_list(text, match, token, initial))
        if causes:
            raise invalid_options("ListOptions", *causes)
        if watch:
            version = version_to_read(text)
        elif token:
            version = None if text in ("", "0") else UNREAD
        else:
            version = _version_to_list(text)
        bookmarks = parse_bool(query.get("allowWatchBookmarks", "false"))
        return cls(version, match, limit, token, initial, bookmarks, timeout)


def _version_to_list(text: str) -> int | None:
    try:
        return parse_uint(text) if text else None
    except ValueError as error:
        raise bad_request(f"invalid resource version: {_version_fault(text, error)}") from None


def watch_flag(query: Mapping[str, str]) -> bool:
    """Whether `watch` is set in *query*."""
    return parse_bool(query.get("watch", "false"))


def version_to_read(text: str) -> int | None:
    """The resource version that a get or a watch names. Raises `Refused` (500) for one that is none."""
    try:
        return parse_uint(text) if text else None
    except ValueError as error:
        raise internal(_version_fault(text, error)) from None


def _version_fault(text: str, error: ValueError) -> str:
    return f"resourceVersion: Invalid value: {quote(text)}: {error}"


def check_list(version: str, match: str, token: str, initial_events: bool | None) -> Iterator[Cause]:
    """What `ValidateListOptions` finds wrong with the options of a list."""
    if match:
        if not version:
            yield _forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided")
        if token:
            yield _forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided")
        if match not in ("Exact", "NotOlderThan"):
            yield _unsupported(match, '"Exact", "NotOlderThan", ""')
        if match == "Exact" and version == "0":
            yield _forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    if initial_events is not None:
        yield _forbidden(_INITIAL, "sendInitialEvents is forbidden for list")


def check_watch(match: str, token: str, initial_events: bool | None, streaming_list: bool) -> Iterator[Cause]:
    """What `ValidateListOptions` finds wrong with the options of a watch."""
    if initial_events is not None:
        if match != "NotOlderThan":
            yield _forbidden(
                _MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
        if not streaming_list:
            said = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
            yield _forbidden(_INITIAL, said)
    if match:
        if initial_events is None:
            said = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            yield _forbidden(_MATCH, said)
        if match != "NotOlderThan":
            yield _unsupported(match, '"NotOlderThan"')
        if token:
            yield _forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided")


def _forbidden(field: str, said: str) -> Cause:
    return ("FieldValueForbidden", f"Forbidden: {said}", field)


def _unsupported(match: str, supported: str) -> Cause:
    said = f"Unsupported value: {quote(match)}: supported values: {supported}"
    return ("FieldValueNotSupported", said, _MATCH)
