"""Decoding into types: what a Go server keeps of the JSON that a client sends, and in which order it writes
it.

As `sigs.k8s.io/json` and the generated structs do: names are matched by case, null stands for absent, what
has another type is an error, what has no field is dropped and reported, empty values are left out unless
the type writes them, quantities and times take their one form, and maps are sorted.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from .quantity import MILLI, QuantityError, canonical
from .schema import Field, List, Map, Scalar, Struct, Type, builtin_types

__all__ = ["DecodeFault", "decoded"]

_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)\Z",
    re.ASCII,
)
_ZERO_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)
"""What Go takes for no time at all."""
_LIMITS: Final = {"int32": 2**31, "int64": 2**63}


class DecodeFault(ValueError):
    """A value of a wrong type; the message is that of Go's decoder."""


def decoded(struct: Struct, value: Any, *, unknown: list[str] | None = None) -> dict[str, Any]:
    """*value* as an object of the type *struct*, in the order in which the server writes it.

    Args:
        unknown: takes the paths of fields that the type does not have (`spec.bogus`); they are dropped.

    Raises `DecodeFault` for a value of another type.
    """
    return _struct(struct, value, "", _Context([] if unknown is None else unknown, struct))


class _Context:
    """Where a fault is: the struct and the field that are being decoded."""

    __slots__ = ("fields", "structs", "unknown")

    def __init__(self, unknown: list[str], root: Struct) -> None:
        self.unknown = unknown
        self.structs = [root]
        self.fields: list[str] = []

    def fault(self, value: Any, wanted: str) -> DecodeFault:
        if not self.fields:
            return DecodeFault(f"json: cannot unmarshal {_found(value)} into Go value of type {wanted}")
        return DecodeFault(
            f"json: cannot unmarshal {_found(value)} into Go struct field {self.structs[-1].kind}."
            f"{'.'.join(self.fields)} of type {wanted}"
        )


def _struct(struct: Struct, value: Any, path: str, context: _Context) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise context.fault(value, _go_type(struct))
    fields = struct.fields
    for name in value:
        if name not in fields and not struct.open:
            context.unknown.append(f"{path}.{name}" if path else name)
    made: dict[str, Any] = {}
    context.structs.append(struct)
    for name, field in fields.items():
        given = value.get(name)
        if given is None:
            if field.always:
                made[name] = _zero(field)
            continue
        context.fields.append(name)
        kind = field.type
        if type(kind) is Scalar:
            kept = _SCALARS[kind.name](given, context)
        else:
            kept = _value(kind, given, f"{path}.{name}" if path else name, context)
        context.fields.pop()
        if kept or field.always or field.pointer:
            made[name] = kept
    context.structs.pop()
    if struct.open:
        made |= {name: one for name, one in value.items() if name not in fields}
    return made


def _value(kind: Type, value: Any, path: str, context: _Context) -> Any:
    if isinstance(kind, Scalar):
        return _SCALARS[kind.name](value, context)
    if isinstance(kind, Struct):
        return _struct(kind, value, path, context)
    if isinstance(kind, List):
        if not isinstance(value, list):
            raise context.fault(value, _go_type(kind))
        element = kind.element
        return [
            _zero_of(element) if one is None else _value(element, one, f"{path}[{index}]", context)
            for index, one in enumerate(value)
        ]
    assert isinstance(kind, Map)
    if not isinstance(value, dict):
        raise context.fault(value, _go_type(kind))
    element = kind.element
    if element == _AMOUNT:
        return {key: _resource_amount(value[key], context) for key in sorted(value)}
    return {
        key: _zero_of(element)
        if value[key] is None
        else _value(element, value[key], f"{path}.{key}", context)
        for key in sorted(value)
    }


def _zero(field: Field) -> Any:
    return None if field.pointer else _zero_of(field.type)


def _zero_of(kind: Type) -> Any:
    """What Go writes for a value of *kind* that was never set."""
    if isinstance(kind, Scalar):
        return _ZEROS.get(kind.name)
    if isinstance(kind, Struct):
        return {name: _zero(field) for name, field in kind.fields.items() if field.always}
    return None


# --- scalars -----------------------------------------------------------------------------------------


def _string(value: Any, context: _Context) -> str:
    if not isinstance(value, str):
        raise context.fault(value, "string")
    return value


def _bool(value: Any, context: _Context) -> bool:
    if not isinstance(value, bool):
        raise context.fault(value, "bool")
    return value


def _integer(name: str) -> Callable[[Any, _Context], int]:
    limit = _LIMITS[name]

    def integer(value: Any, context: _Context) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise context.fault(value, name)
        if isinstance(value, float) or not -limit <= value < limit:  # a point, even in 1.0, is none of Go's
            raise context.fault(_Number(value), name)
        return value

    return integer


class _Number:
    """A number that does not fit, or is no integer: the fault quotes it."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _float(value: Any, context: _Context) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise context.fault(value, "float64")
    return value


def _bytes(value: Any, context: _Context) -> str:
    if not isinstance(value, str):
        raise context.fault(value, "[]uint8")
    stripped = value.replace("\n", "").replace("\r", "")
    try:
        return b64encode(b64decode(stripped, validate=True)).decode()
    except (binascii.Error, ValueError):
        valid = re.match(r"[A-Za-z0-9+/]*={0,2}", stripped)
        at = len(valid[0]) if valid is not None and valid.end() < len(stripped) else len(stripped) // 4 * 4
        raise DecodeFault(f"illegal base64 data at input byte {at}") from None


def _time(*, micro: bool) -> Callable[[Any, _Context], str | None]:
    layout = "2006-01-02T15:04:05.000000Z07:00" if micro else "2006-01-02T15:04:05Z07:00"

    def time(value: Any, context: _Context) -> str | None:
        if not isinstance(value, str):
            raise DecodeFault(f"json: cannot unmarshal {_found(value)} into Go value of type string")
        found = _RFC3339.match(value)
        fault = DecodeFault(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"')
        if found is None or (micro and len(found[3] or "") != 6):
            raise fault
        fraction = (found[3] or "0")[:6].ljust(6, "0")
        zone = "+00:00" if found[4] == "Z" else found[4]
        try:
            moment = datetime.fromisoformat(f"{found[1]}T{found[2]}.{fraction}{zone}").astimezone(UTC)
        except (ValueError, OverflowError):
            raise fault from None
        if moment == _ZERO_TIME:
            return None
        return moment.replace(tzinfo=None).isoformat(timespec="microseconds" if micro else "seconds") + "Z"

    return time


def _quantity(value: Any, context: _Context, **how: Any) -> str:
    try:
        return canonical(value.strip() if isinstance(value, str) else value, **how)
    except QuantityError as error:
        raise DecodeFault(str(error)) from None


def _resource_amount(value: Any, context: _Context) -> str:
    """An amount of a `ResourceList`: by its defaults no finer than a thousandth."""
    return "0" if value is None else _quantity(value, context, finest=MILLI)


def _int_or_string(value: Any, context: _Context) -> int | str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeFault(f"json: cannot unmarshal {_found(value)} into Go value of type int32")
    if isinstance(value, float) or not -_LIMITS["int32"] <= value < _LIMITS["int32"]:
        raise DecodeFault(f"json: cannot unmarshal number {value} into Go value of type int32")
    return value


def _as_it_is(value: Any, context: _Context) -> Any:
    return value


def _schema_or(value: Any, context: _Context) -> Any:
    """`JSONSchemaPropsOrBool` and its like: a schema where it is an object."""
    if isinstance(value, dict):
        props = builtin_types()[_SCHEMA_PROPS]
        return _struct(props, value, ".".join(context.fields), context)
    return value


_AMOUNT: Final = Scalar("Quantity")
_SCHEMA_PROPS: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_SCALARS: Final[dict[str, Callable[[Any, _Context], Any]]] = {
    "string": _string,
    "bool": _bool,
    "int32": _integer("int32"),
    "int64": _integer("int64"),
    "float64": _float,
    "bytes": _bytes,
    "Time": _time(micro=False),
    "MicroTime": _time(micro=True),
    "Duration": _string,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "RawExtension": _as_it_is,
    "FieldsV1": _as_it_is,
    "JSON": _as_it_is,
    "JSONSchemaPropsOr": _schema_or,
}
_ZEROS: Final[dict[str, Any]] = {
    "string": "",
    "bool": False,
    "int32": 0,
    "int64": 0,
    "float64": 0,
    "Quantity": "0",
    "IntOrString": 0,
    "Duration": "0s",
    "bytes": "",
}


def _found(value: Any) -> str:
    if isinstance(value, _Number):
        return f"number {value.value}"
    if isinstance(value, bool):
        return "bool"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _go_type(kind: Type) -> str:
    """*kind* as Go prints it: `v1.PodSpec`, `[]v1.Container`, `map[string]string`."""
    if isinstance(kind, Struct):
        return ".".join(kind.name.split(".")[-2:])
    if isinstance(kind, List):
        return f"[]{_go_type(kind.element)}"
    if isinstance(kind, Map):
        return f"map[string]{_go_type(kind.element)}"
    assert isinstance(kind, Scalar)
    places = {"bytes": "[]uint8", "Quantity": "resource.Quantity", "IntOrString": "intstr.IntOrString"}
    return places.get(kind.name, kind.name)
