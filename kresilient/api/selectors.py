"""Label and field selectors: parsed, matched here, and written as the server reads them.

The label grammar is that of `k8s.io/apimachinery/pkg/labels`, the field grammar that of `pkg/fields`. What
does not parse, or cannot be matched here as the server would, raises `SelectorError`: never does a selector
widen to "everything" by mistake. Which fields a resource supports, and what they default to, stands in one
table at the end; it follows kube-apiserver's field-label conversions and `ToSelectableFields`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn, Protocol

from .errors import SelectorError, wrong_type
from .resources import BUILTIN, Resource

__all__ = [
    "FieldMatcher",
    "FieldRequirement",
    "FieldSelector",
    "LabelRequirement",
    "LabelSelector",
    "Operator",
    "Selectable",
]


class Operator(StrEnum):
    """How a requirement compares. `==` parses as EQUALS; field selectors know the first two only."""

    EQUALS = "="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"
    GREATER_THAN = ">"
    LESS_THAN = "<"


# --- labels ------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\Z")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_NAME_RULE = "letters, digits, '-', '_' or '.', a letter or digit at both ends, at most 63 of them"


def _key_fault(key: str) -> str | None:
    """Why *key* is no label key (`content.IsLabelKey`), or None where it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash:
        if "/" in prefix:
            return "a label key has at most one '/'"
        if not prefix:
            return "the prefix of a label key before '/' must not be empty"
        if len(prefix) > 253 or not all(_DNS_LABEL.match(part) for part in prefix.split(".")):
            return "the prefix of a label key must be a lower-case DNS subdomain of at most 253 characters"
    if len(name) > 63 or not _NAME.match(name):
        return f"the name of a label key must be {_NAME_RULE}"
    return None


def _value_fault(value: str) -> str | None:
    """Why *value* is no label value (`validation.IsValidLabelValue`), or None where it is one."""
    if value and (len(value) > 63 or not _NAME.match(value)):
        return f"a label value must be empty or {_NAME_RULE}"
    return None


def _integer(text: str) -> int | None:
    """*text* as Go's `ParseInt(text, 10, 64)` reads it, or None where that fails."""
    if not _INTEGER.match(text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


@dataclass(frozen=True, slots=True, order=True)
class LabelRequirement:
    """One condition on one label, valid and in its plainest form.

    Values are sorted and unique. `in` and `notin` with a single value become `=` and `!=`, which mean the
    same, so that requirements of one meaning are equal. Raises `SelectorError` for a key, a value or a number
    of values that the server would refuse.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if fault := _key_fault(self.key):
            raise SelectorError(f"invalid label key {_short(self.key)}: {fault}")
        values = tuple(sorted(set(self.values)))
        for value in values:
            if fault := _value_fault(value):
                raise SelectorError(f"invalid value {_short(value)} for label {self.key!r}: {fault}")
        operator = Operator(self.operator)
        match operator:
            case Operator.IN | Operator.NOT_IN:
                if not values:
                    raise SelectorError(
                        f"label {self.key!r}: for 'in', 'notin' operators, values can't be empty"
                    )
                if len(values) == 1:
                    operator = Operator.EQUALS if operator is Operator.IN else Operator.NOT_EQUALS
            case Operator.EXISTS | Operator.DOES_NOT_EXIST:
                if values:
                    raise SelectorError(f"label {self.key!r}: exists and does not exist take no values")
            case _:
                if len(values) != 1:
                    raise SelectorError(f"label {self.key!r}: {operator.value!r} takes exactly one value")
        if operator in (Operator.GREATER_THAN, Operator.LESS_THAN):
            bound = _integer(values[0])
            if bound is None:
                raise SelectorError(
                    f"invalid value {_short(values[0])} for label {self.key!r}: for '>', '<' operators, "
                    "the value must be an integer of 64 bits"
                )
            values = (str(bound),)
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "values", values)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet this condition; `!=` and `notin` are met by an absent label, as in Go."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.EQUALS | Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_EQUALS | Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
        number = None if value is None else _integer(value)
        if number is None:
            return False
        bound = int(self.values[0])
        return number > bound if self.operator is Operator.GREATER_THAN else number < bound

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator.value} ({','.join(self.values)})"
        return f"{self.key}{self.operator.value}{self.values[0]}"


@dataclass(frozen=True, slots=True, init=False)
class LabelSelector:
    """A conjunction of label requirements; with none of them it matches every object.

    Selectors are equal, and hash alike, when their requirements mean the same: order, repetition, spacing
    and the choice between `=`, `==` and `in` with one value make no difference. `str()` is the text to send.
    """

    requirements: tuple[LabelRequirement, ...]

    def __init__(self, requirements: Iterable[LabelRequirement] = ()) -> None:
        object.__setattr__(self, "requirements", tuple(sorted(set(requirements))))

    @classmethod
    def parse(cls, selector: str | Mapping[str, Any] | LabelSelector) -> LabelSelector:
        """The selector that *selector* is: text, labels that must be equal, or `matchLabels` with
        `matchExpressions` as API objects hold them.

        Only a really empty text or mapping matches everything. Raises `SelectorError`, which names the
        position in the text, what was found there and what was expected.
        """
        if isinstance(selector, LabelSelector):
            return selector
        if isinstance(selector, str):
            return cls(_LabelParser(selector).parse()) if selector else cls()
        if isinstance(selector, Mapping):
            return cls(_from_mapping(selector))
        raise wrong_type("a label selector", "text, a mapping or a LabelSelector", selector)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it matches everything because it requires nothing."""
        return not self.requirements

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def _from_mapping(selector: Mapping[str, Any]) -> Iterable[LabelRequirement]:
    if not any(
        key in selector and not isinstance(selector[key], str) for key in ("matchLabels", "matchExpressions")
    ):
        yield from _match_labels(selector)
        return
    if unknown := sorted(str(key) for key in selector.keys() - {"matchLabels", "matchExpressions"}):
        raise SelectorError(f"a label selector holds matchLabels and matchExpressions, not {unknown[0]!r}")
    labels = {} if selector.get("matchLabels") is None else selector["matchLabels"]
    if not isinstance(labels, Mapping):
        raise SelectorError(f"matchLabels must be a mapping, not {type(labels).__name__}")
    yield from _match_labels(labels)
    expressions = [] if selector.get("matchExpressions") is None else selector["matchExpressions"]
    if not isinstance(expressions, Sequence) or isinstance(expressions, str | bytes):
        raise SelectorError(f"matchExpressions must be a list, not {type(expressions).__name__}")
    for index, expression in enumerate(expressions):
        yield _match_expression(f"matchExpressions[{index}]", expression)


def _match_labels(labels: Mapping[str, Any]) -> Iterable[LabelRequirement]:
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise SelectorError(
                f"label {_short(key)}: keys and values must be strings, found {_short(value)}"
            )
        yield LabelRequirement(key, Operator.EQUALS, (value,))


_EXPRESSION_OPERATORS: Final = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


def _match_expression(where: str, expression: Any) -> LabelRequirement:
    if not isinstance(expression, Mapping):
        raise SelectorError(f"{where} must be a mapping, not {type(expression).__name__}")
    if unknown := sorted(str(key) for key in expression.keys() - {"key", "operator", "values"}):
        raise SelectorError(f"{where} holds key, operator and values, not {unknown[0]!r}")
    key, name, values = expression.get("key"), expression.get("operator"), expression.get("values")
    operator = _EXPRESSION_OPERATORS.get(name) if isinstance(name, str) else None
    if operator is None:
        raise SelectorError(
            f"{where}: found operator {_short(name)}, expected: {', '.join(_EXPRESSION_OPERATORS)}"
        )
    values = [] if values is None else values
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise SelectorError(f"{where}: values must be a list, not {type(values).__name__}")
    if not isinstance(key, str) or not all(isinstance(value, str) for value in values):
        raise SelectorError(f"{where}: the key and the values must be strings")
    try:
        return LabelRequirement(key, operator, tuple(values))
    except SelectorError as error:
        raise SelectorError(f"{where}: {error}") from None


_TOKEN = re.compile(r"[ \t\r\n]*(?:(?P<symbol>==|!=|[=!(),<>])|(?P<word>[^ \t\r\n=!(),<>]+)|\Z)")
_BINARY: Final = {
    "=": Operator.EQUALS,
    "==": Operator.EQUALS,
    "!=": Operator.NOT_EQUALS,
    "in": Operator.IN,
    "notin": Operator.NOT_IN,
    ">": Operator.GREATER_THAN,
    "<": Operator.LESS_THAN,
}


class _LabelParser:
    """The recursive descent of `labels.Parser`. A token is (its text, whether a word, its position); the
    last one is ("", False, the end)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, bool, int]] = []
        # Go's lexer takes a NUL for the end of the text, and so what follows it for nothing.
        if (at := text.find("\0")) >= 0:
            self._fail("'\\x00'", "an identifier or an operator", at)
        for found in _TOKEN.finditer(text):
            if (word := found["word"]) is not None:
                self._tokens.append((word, True, found.start("word")))
            elif (symbol := found["symbol"]) is not None:
                self._tokens.append((symbol, False, found.start("symbol")))
        self._tokens.append(("", False, len(text)))
        self._next = 0

    def parse(self) -> Iterable[LabelRequirement]:
        """One requirement after the other; blanks alone are no selector."""
        while True:
            lexeme, is_word, at = self._tokens[self._next]
            if not is_word and lexeme != "!":
                after = "identifier after ','" if self._next else "!, identifier"
                self._fail(repr(lexeme), after, at)
            yield self._requirement()
            lexeme, _, at = self._take()
            if not lexeme:
                return
            if lexeme != ",":
                self._fail(repr(lexeme), "',' or 'end of string'", at)

    def _take(self) -> tuple[str, bool, int]:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _requirement(self) -> LabelRequirement:
        key, is_word, at = self._take()
        absent = not is_word
        if absent:
            key, is_word, at = self._take()
        if not is_word:
            self._fail(repr(key), "identifier", at)
        following = self._tokens[self._next][0]
        if absent or following in ("", ","):
            return self._build(at, key, Operator.DOES_NOT_EXIST if absent else Operator.EXISTS, ())
        lexeme, _, operator_at = self._take()
        operator = _BINARY.get(lexeme)
        if operator is None:
            self._fail(repr(lexeme), "in, notin, =, ==, !=, >, <", operator_at)
        if operator in (Operator.IN, Operator.NOT_IN):
            return self._build(at, key, operator, self._value_set())
        if self._tokens[self._next][0] in ("", ","):
            return self._build(at, key, operator, ("",))
        value, is_word, value_at = self._take()
        if not is_word:
            self._fail(repr(value), "identifier", value_at)
        return self._build(at, key, operator, (value,))

    def _value_set(self) -> tuple[str, ...]:
        """The values between parentheses; one that is left out is the empty value."""
        lexeme, _, at = self._take()
        if lexeme != "(":
            self._fail(repr(lexeme), "'('", at)
        values = []
        while True:
            lexeme, is_word, at = self._take()
            if is_word:
                values.append(lexeme)
                lexeme, is_word, at = self._take()
                if lexeme not in (",", ")") or is_word:
                    self._fail(repr(lexeme), "',' or ')'", at)
            elif lexeme in (",", ")"):
                values.append("")
            else:
                self._fail(repr(lexeme), "',', ')' or identifier", at)
            if lexeme == ")":
                return tuple(values)

    def _build(self, at: int, key: str, operator: Operator, values: tuple[str, ...]) -> LabelRequirement:
        try:
            return LabelRequirement(key, operator, values)
        except SelectorError as error:
            raise SelectorError(
                f"label selector {_short(self._text)}: {error} (at position {at + 1})"
            ) from None

    def _fail(self, found: str, expected: str, at: int) -> NoReturn:
        if at >= len(self._text):
            found = "the end"
        raise SelectorError(
            f"label selector {_short(self._text)}: found {found}, expected: {expected} (at position {at + 1})"
        )


# --- fields ------------------------------------------------------------------------------------------


class Selectable(Protocol):
    """What a field matcher reads: an object's top level, such as a dict of it or a `KubeObject`."""

    def get(self, key: str, /) -> Any:
        """The top-level field *key*, or None."""


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
        known, refusal = _fields_of(resource)
        extra = {path.removeprefix("."): path.removeprefix(".") for path in extra_fields}
        terms = []
        for requirement in self.requirements:
            field = requirement.field
            getter = known.get(field) or (_path(extra[field]) if field in extra else None)
            if getter is None:
                raise SelectorError(
                    f"{refusal.format(field)} (field selector on {resource}; "
                    f"it has {', '.join(sorted({*known, *extra}))})"
                )
            terms.append((getter, requirement.operator is Operator.EQUALS, requirement.value))
        return FieldMatcher(tuple(terms), all(one.field in _METADATA for one in self.requirements))

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


FieldGetter = Callable[[Selectable], str]


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
        raise _field_fault(text, _short(term), "a field, then =, == or !=", start)
    field = term[: found.start()]
    if not _FIELD_NAME.match(field):
        raise _field_fault(text, _short(field), "a field without blanks or escapes", start)
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
                f"field {_short(field)}: names and values must be strings, found {_short(value)}"
            )
        if not _FIELD_NAME.match(field):
            raise SelectorError(f"field selector: found {_short(field)}, expected: a field without blanks")
        yield FieldRequirement(field, Operator.EQUALS, _encodable(value, field))


def _encodable(value: str, text: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _field_fault(text, "a lone surrogate", "text that UTF-8 can encode", error.start) from None
    return value


def _field_fault(text: str, found: str, expected: str, at: int) -> SelectorError:
    return SelectorError(
        f"invalid field selector {_short(text)}: found {found}, expected: {expected} (at position {at + 1})"
    )


def _short(value: object) -> str:
    """*value* quoted, and cut where a message would grow with it."""
    text = repr(value[:200] if isinstance(value, str) else value)
    return text if len(text) <= 220 else f"{text[:200]}…"


# --- which fields a resource has -----------------------------------------------------------------------


def _path(path: str, default: str = "") -> FieldGetter:
    """A getter of the scalar at *path*; *default* where it is absent, empty or no scalar."""
    first, *rest = path.split(".")

    def get(obj: Selectable) -> str:
        value = obj.get(first)
        for name in rest:
            value = value.get(name) if isinstance(value, Mapping) else None
        match value:
            case str():
                return value or default
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
        return default

    return get


def _first(*getters: FieldGetter) -> FieldGetter:
    """A getter of the first value that is not empty."""
    return lambda obj: next(filter(None, (getter(obj) for getter in getters)), "")


def _first_pod_ip(obj: Selectable) -> str:
    status = obj.get("status")
    ips = status.get("podIPs") if isinstance(status, Mapping) else None
    first = ips[0] if isinstance(ips, Sequence) and ips and not isinstance(ips, str) else None
    ip = first.get("ip") if isinstance(first, Mapping) else None
    return ip if isinstance(ip, str) else ""


_METADATA: Final[dict[str, FieldGetter]] = {
    "metadata.name": _path("metadata.name"),
    "metadata.namespace": _path("metadata.namespace"),
}
_NAME_ONLY: Final[dict[str, FieldGetter]] = {"metadata.name": _METADATA["metadata.name"]}

_REFUSED: Final = "field label not supported: {}"
_REFUSED_GENERIC: Final = '"{}" is not a known field selector: only "metadata.name", "metadata.namespace"'
_REFUSED_OTHERWISE: Final[dict[tuple[str, str], str]] = {
    ("batch", "jobs"): 'field label "{}" not supported for batchv1.Job',
    ("resource.k8s.io", "resourceslices"): (
        "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}"
    ),
}

_REFERENCE: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

# By group and plural: what `AddFieldLabelConversionFunc` accepts, with the value of `ToSelectableFields`.
_FIELDS: Final[dict[tuple[str, str], dict[str, FieldGetter]]] = {
    ("", "pods"): {
        **_METADATA,
        "spec.nodeName": _path("spec.nodeName"),
        "spec.host": _path("spec.nodeName"),  # the name that clients older than v1 use
        "spec.restartPolicy": _path("spec.restartPolicy", "Always"),
        "spec.schedulerName": _path("spec.schedulerName", "default-scheduler"),
        # An admission plug-in, no default, fills it in: mirror pods of static pods go without.
        "spec.serviceAccountName": _first(_path("spec.serviceAccountName"), _path("spec.serviceAccount")),
        "spec.hostNetwork": _path("spec.hostNetwork", "false"),
        "status.phase": _path("status.phase"),
        "status.podIP": _first(_path("status.podIP"), _first_pod_ip),
        "status.podIPs": lambda obj: "",  # accepted by the server, which has no value for it
        "status.nominatedNodeName": _path("status.nominatedNodeName"),
    },
    ("", "nodes"): {**_NAME_ONLY, "spec.unschedulable": _path("spec.unschedulable", "false")},
    ("", "namespaces"): {**_NAME_ONLY, "status.phase": _path("status.phase", "Active")},
    ("", "secrets"): {**_METADATA, "type": _path("type", "Opaque")},
    ("", "services"): {
        **_METADATA,
        "spec.clusterIP": _path("spec.clusterIP"),
        "spec.type": _path("spec.type", "ClusterIP"),
    },
    ("", "replicationcontrollers"): {**_METADATA, "status.replicas": _path("status.replicas", "0")},
    ("", "events"): {
        **_METADATA,
        **{f"involvedObject.{name}": _path(f"involvedObject.{name}") for name in _REFERENCE},
        "reason": _path("reason"),
        "reportingComponent": _path("reportingComponent"),
        "source": _first(_path("source.component"), _path("reportingComponent")),
        "type": _path("type"),
    },
    ("events.k8s.io", "events"): {
        **_METADATA,
        **{f"regarding.{name}": _path(f"regarding.{name}") for name in _REFERENCE},
        "reason": _path("reason"),
        "reportingController": _path("reportingController"),
        "type": _path("type"),
    },
    ("apps", "replicasets"): {**_METADATA, "status.replicas": _path("status.replicas", "0")},
    ("batch", "jobs"): {**_METADATA, "status.successful": _path("status.succeeded", "0")},
    ("certificates.k8s.io", "certificatesigningrequests"): {
        **_NAME_ONLY,
        "spec.signerName": _path("spec.signerName"),
    },
    ("certificates.k8s.io", "clustertrustbundles"): {
        **_NAME_ONLY,
        "spec.signerName": _path("spec.signerName"),
    },
    ("certificates.k8s.io", "podcertificaterequests"): {
        **_NAME_ONLY,
        "spec.signerName": _path("spec.signerName"),
        "spec.podName": _path("spec.podName"),
        "spec.nodeName": _path("spec.nodeName"),
    },
    ("resource.k8s.io", "resourceslices"): {
        **_NAME_ONLY,
        "spec.nodeName": _path("spec.nodeName"),
        "spec.driver": _path("spec.driver"),
    },
}


def _fields_of(resource: Resource) -> tuple[Mapping[str, FieldGetter], str]:
    """The fields of *resource* with their getters, and how its server refuses any other."""
    place = (resource.group, resource.plural)
    if place in _FIELDS:
        return _FIELDS[place], _REFUSED_OTHERWISE.get(place, _REFUSED)
    if (resource.group, resource.version, resource.plural) in BUILTIN:
        return _METADATA, _REFUSED_GENERIC
    return _NAME_ONLY if resource.namespaced is False else _METADATA, _REFUSED
