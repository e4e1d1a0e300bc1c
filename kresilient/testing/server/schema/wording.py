"""A failed check of a schema in kube-apiserver's words (`k8s.io/kube-openapi/pkg/validation/errors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import wire
from ..causes import invalid_type, invalid_value, required, too_long, too_many, unsupported
from ..statuses import Cause

if TYPE_CHECKING:
    from jsonschema import ValidationError

__all__ = ["Found", "causes_of"]


class Found(Exception):
    """What a type check wanted and found."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(wanted)
        self.wanted, self.found = wanted, found


def causes_of(error: ValidationError, field: str) -> Iterator[tuple[str, Cause]]:
    """The causes that *error* stands for, each with the text by which it is told from others."""
    name = _name(error)
    keyword = str(error.validator)
    if keyword in ("anyOf", "oneOf", "allOf", "not"):
        said = f'"{name}" {error.message}'
        composite = (said, invalid_value(field, "", said))
        within = [each for one in error.context or () for each in causes_of(one, field)]
        yield from [*within, composite] if keyword == "allOf" else [composite, *within]
        return
    if keyword == "required":
        name = f"{name}.{error.message}"
        yield f"{name} is required", required(_field(field, name))
        return
    where = _field(field, name)
    value, limit = error.instance, error.validator_value
    if keyword == "type":
        assert isinstance(error.cause, Found)
        said = f'{name} in body must be of type {error.cause.wanted}: "{error.cause.found}"'
        yield said, invalid_type(where, error.cause.found, said)
    elif keyword == "format":
        said = f'{name} in body must be of type {error.message}: "{value}"'
        yield said, invalid_type(where, value, said)
    elif keyword == "enum":
        listed = [one if isinstance(one, str) else _json(one) for one in limit]
        yield f"{name} enum", unsupported(where, value, listed)
    elif keyword == "maxLength":
        yield f"{name} maxLength", too_long(where, limit)
    elif keyword in ("maxItems", "maxProperties"):
        yield f"{name} {keyword}", too_many(where, len(value), limit)
    elif keyword == "additionalProperties":
        said = f"{name}.{error.message} in body is a forbidden property"
        yield said, invalid_value(where, error.message, said)
    else:
        said = f"{name} in body {_words(error)}"
        shown = len(value) if keyword in ("minItems", "minProperties") else value
        yield said, invalid_value(where, "" if keyword == "uniqueItems" else shown, said)


def _words(error: ValidationError) -> str:
    keyword, limit = str(error.validator), error.validator_value
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    match keyword:
        case "minLength":
            return f"should be at least {limit} chars long"
        case "pattern":
            return f"should match '{error.message}'"
        case "multipleOf":
            return f"should be a multiple of {_json(limit)}"
        case "maximum":
            more = "" if schema.get("exclusiveMaximum") else "or equal to "
            return f"should be less than {more}{_json(limit)}"
        case "minimum":
            more = "" if schema.get("exclusiveMinimum") else "or equal to "
            return f"should be greater than {more}{_json(limit)}"
        case "minItems":
            return f"should have at least {limit} items"
        case "minProperties":
            return f"should have at least {limit} properties"
        case _:
            return "shouldn't contain duplicates"


def _name(error: ValidationError) -> str:
    """The path as the server writes it: what is at the root by `additionalProperties` begins with a dot."""
    name = "." if list(error.absolute_schema_path)[:1] == ["additionalProperties"] else ""
    for part in error.absolute_path:
        if isinstance(part, int):
            name += f"[{part}]"
        else:
            name += f".{part}" if name and name != "." else part
    return name


def _field(field: str, name: str) -> str:
    inner = name.removeprefix(".")
    if not inner:
        return field
    return inner if field == "<nil>" else f"{field}.{inner}"


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return wire.encode(value).decode()
