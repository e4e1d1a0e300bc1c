"""Field selectors: the parser and the words of `k8s.io/apimachinery/pkg/fields`, bound to one resource."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from kresilient.api.selectable_fields import field_getter, fields_of

from ..kinds import ApiResource
from ..statuses import Refused, bad_request
from ..storage import Stored

__all__ = ["FieldQuery", "exact_name"]

_OPERATOR: Final = re.compile("!=|==|=")

Term = tuple[str, bool, str]
"""A field, whether it must be equal (else it must differ), and the value."""

_OF_ALL: Final[dict[str, Callable[[Stored], str]]] = {
    "metadata.name": lambda stored: stored.name,
    "metadata.namespace": lambda stored: stored.namespace,
}
_OF_PODS: Final[dict[str, Callable[[Stored], str]]] = {
    **_OF_ALL,
    "spec.nodeName": lambda stored: stored.node,
    "spec.host": lambda stored: stored.node,
}
"""Fields that are known without a look into the object."""


class FieldQuery:
    """A field selector on one resource: every term of it must be met.

    Attributes:
        terms: in the order in which the server looks at them.
    """

    __slots__ = ("_getters", "terms")

    def __init__(self, terms: tuple[Term, ...], getters: Mapping[str, Callable[[Stored], str]]) -> None:
        self.terms = terms
        self._getters = getters

    @classmethod
    def parse(cls, text: str, resource: ApiResource) -> FieldQuery:
        """The selector that *text* writes. Raises `Refused` (400): for its syntax, or for a field that
        *resource* does not have."""
        terms = tuple(_terms(text))
        known, refusal = fields_of(resource.resource)
        at_hand = _OF_PODS if resource.storage == ("", "pods") else _OF_ALL
        getters: dict[str, Callable[[Stored], str]] = {}
        for field, _, _ in terms:
            if field in known and field in at_hand:
                getters[field] = at_hand[field]
            elif field in known:
                getters[field] = known[field]
            elif field in resource.selectable:
                getters[field] = field_getter(field)
            else:
                raise bad_request(refusal.format(field))
        return cls(terms, getters)

    def exact(self, field: str) -> str | None:
        """The value that *field* must have, where a term says so: the first that does."""
        return next((value for name, equal, value in self.terms if equal and name == field), None)

    def without(self, covered: Iterable[Term]) -> FieldQuery:
        """The selector without those terms, which something else sees to."""
        gone = set(covered)
        return FieldQuery(tuple(term for term in self.terms if term not in gone), self._getters)

    def matches(self, stored: Stored) -> bool:
        """Whether *stored* matches. A field that is absent, or no scalar, is the empty string, as in Go."""
        return all((self._getters[field](stored) == value) is equal for field, equal, value in self.terms)

    def __bool__(self) -> bool:
        """Whether it requires anything."""
        return bool(self.terms)


def exact_name(text: str) -> str:
    """The `metadata.name` that the field selector *text* asks for, which counts as the name of the request.

    Empty where it asks for none, or for what can be no name, or where it is no selector.
    """
    try:
        terms = list(_terms(text))
    except Refused:
        return ""
    name = next((value for field, equal, value in terms if equal and field == "metadata.name"), "")
    return "" if name in (".", "..") or "/" in name or "%" in name else name


def _terms(text: str) -> Iterator[Term]:
    for part in sorted(_split(text)):
        if not part:
            continue
        found = _OPERATOR.search(part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        yield part[: found.start()], found[0] != "!=", _unescaped(part[found.end() :])


def _split(text: str) -> Iterator[str]:
    """The parts between commas that are not escaped."""
    start, escaped = 0, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _unescaped(value: str) -> str:
    plain: list[str] = []
    escaped = False
    for char in value:
        if escaped:
            if char not in "\\,=":
                raise bad_request(f"invalid field selector: invalid escape sequence: \\{char}")
            plain.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == "=":
            # Go prints the number of the character.
            raise bad_request(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            plain.append(char)
    if escaped:
        raise bad_request("invalid field selector: invalid escape sequence: \\")
    return "".join(plain)
