"""Field selectors: parsed as `k8s.io/apimachinery/pkg/fields` does, and matched here as the server would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import SelectorError, wrong_type
from .label_selectors import Operator, quoted
from .resources import Resource
from .selectable_fields import METADATA, FieldGetter, Selectable, field_getter, fields_of

__all__ = ["FieldMatcher", "FieldRequirement", "FieldSelector"]


_ESCAPES = str.maketrans({"\\": "\\\\", ",": "\\,", "=": "\\="})
_FIELD_NAME = re.compile(r"[^\s\\,=!\x00-\x20\x7f]+\Z")
_FIELD_OPERATOR = re.compile(r"!=|==|=")


@dataclass(frozen=True, slots=True, order=True)
class FieldRequirement:
    """One condition on one field: `operator` is EQUALS or NOT_EQUALS, `value` is not escaped."""

    field: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        return f"{self.field}{self.operator.value}{self.value.translate(_ESCAPES)}"


@dataclass(frozen=True, slots=True, init=False)
class FieldSelector:
    """A conjunction of field requirements; with none of them it matches every object.

    Which fields exist depends on the resource: `compile` tells. Selectors of the same requirements are equal
    whatever their order. `str()` is the text to send.
    """

    requirements: tuple[FieldRequirement, ...]

    def __init__(self, requirements: Iterable[FieldRequirement] = ()) -> None:
        object.__setattr__(self, "requirements", tuple(sorted(set(requirements))))

    @classmethod
    def parse(cls, selector: str | Mapping[str, str] | FieldSelector) -> FieldSelector:
        r"""The selector that *selector* is: text such as `spec.nodeName=n1,status.phase!=Failed`, with `\\`,
        `\,` and `\=` escaped in values, or a mapping of fields to the values they must equal.

        Blanks are not skipped, since the server does not skip them. Raises `SelectorError` with the
        position, what was found and what was expected; only a really empty text matches everything.
        """
        if isinstance(selector, FieldSelector):
            return selector
        if isinstance(selector, str):
            return cls(_field_requirements(selector))
        if isinstance(selector, Mapping):
            return cls(_field_equals(selector))
        raise wrong_type("a field selector", "text, a mapping or a FieldSelector", selector)

    @property
    def empty(self) -> bool:
        """Whether it matches everything because it requires nothing."""
        return not self.requirements

    def compile(self, resource: Resource, *, extra_fields: Iterable[str] = ()) -> FieldMatcher:
        """A callable that tells whether an object of *resource* matches, as the server would decide.

        *extra_fields* are paths (`spec.color`) that this server supports beyond the table: the
        `selectableFields` of a CustomResourceDefinition. They hold strings, integers or booleans.

        Raises `SelectorError`, in the server's words, for a field that the resource does not support.
        """
        known, refusal = fields_of(resource)
        extra = {path.removeprefix("."): path.removeprefix(".") for path in extra_fields}
        terms = []
        for requirement in self.requirements:
            field = requirement.field
            getter = known.get(field) or (field_getter(extra[field]) if field in extra else None)
            if getter is None:
                raise SelectorError(
                    f"{refusal.format(field)} (field selector on {resource}; "
                    f"it has {', '.join(sorted({*known, *extra}))})"
                )
            terms.append((getter, requirement.operator is Operator.EQUALS, requirement.value))
        return FieldMatcher(tuple(terms), all(one.field in METADATA for one in self.requirements))

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


@dataclass(frozen=True, slots=True)
class FieldMatcher:
    """A field selector bound to one resource. `metadata_only` tells that it never looks into the body."""

    terms: tuple[tuple[FieldGetter, bool, str], ...]
    metadata_only: bool

    def __call__(self, obj: Selectable) -> bool:
        """Whether *obj* matches. A field that is absent, or no scalar, is the empty string, as in Go."""
        return all((getter(obj) == value) is equal for getter, equal, value in self.terms)


def _field_requirements(text: str) -> Iterable[FieldRequirement]:
    some = False
    for start, term in _split_terms(text):
        if term:  # the server skips terms that are empty
            some = True
            yield _field_requirement(text, term, start)
    if text and not some:
        raise _field_fault(text, repr(text[0]), "a field, then =, == or !=", 0)


def _split_terms(text: str) -> Iterable[tuple[int, str]]:
    """The terms between commas that are not escaped, each with where it starts."""
    start, escaped = 0, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            yield start, text[start:at]
            start = at + 1
    yield start, text[start:]


def _field_requirement(text: str, term: str, start: int) -> FieldRequirement:
    found = _FIELD_OPERATOR.search(term)
    if found is None:
        raise _field_fault(text, quoted(term), "a field, then =, == or !=", start)
    field = term[: found.start()]
    if not _FIELD_NAME.match(field):
        raise _field_fault(text, quoted(field), "a field without blanks or escapes", start)
    value, at = [], found.end()
    while at < len(term):
        char = term[at]
        if char == "\\":
            at += 1
            char = term[at : at + 1]
            if char not in ("\\", ",", "="):
                raise _field_fault(text, repr("\\" + char), r"\\, \, or \=", start + at - 1)
        elif char == "=":
            raise _field_fault(text, "'='", r"\= inside a value", start + at)
        value.append(char)
        at += 1
    operator = Operator.NOT_EQUALS if found[0] == "!=" else Operator.EQUALS
    return FieldRequirement(field, operator, _encodable("".join(value), text))


def _field_equals(selector: Mapping[str, Any]) -> Iterable[FieldRequirement]:
    for field, value in selector.items():
        if not isinstance(field, str) or not isinstance(value, str):
            raise SelectorError(
                f"field {quoted(field)}: names and values must be strings, found {quoted(value)}"
            )
        if not _FIELD_NAME.match(field):
            raise SelectorError(f"field selector: found {quoted(field)}, expected: a field without blanks")
        yield FieldRequirement(field, Operator.EQUALS, _encodable(value, field))


def _encodable(value: str, text: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _field_fault(text, "a lone surrogate", "text that UTF-8 can encode", error.start) from None
    return value


def _field_fault(text: str, found: str, expected: str, at: int) -> SelectorError:
    return SelectorError(
        f"invalid field selector {quoted(text)}: found {found}, expected: {expected} (at position {at + 1})"
    )
