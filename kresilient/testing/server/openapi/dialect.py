"""The two ways to write an OpenAPI document: version 3, and version 2, which was called Swagger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["V2", "V3", "Dialect", "Schema"]

Schema = dict[str, Any]

_JSON: Final = "application/json"


class Dialect(ABC):
    """How schemas are referred to, and how parameters, bodies and responses are written."""

    @abstractmethod
    def reference(self, name: str) -> Schema:
        """The schema called *name*, as a property may hold it beside a description."""

    @abstractmethod
    def scalar(self, name: str) -> Schema:
        """A scalar of the API."""

    @abstractmethod
    def parameter(self, name: str, kind: str, where: str) -> Schema: ...

    @abstractmethod
    def operation(
        self, parameters: Sequence[Schema], consumes: Sequence[str], body: Schema | None, answer: Schema
    ) -> Schema:
        """What an operation takes and answers, *body* in any of the media types that it *consumes*."""

    @abstractmethod
    def document(self, title: str, version: str, paths: Schema, schemas: Schema) -> Schema: ...


_SCALARS: Final[Mapping[str, Schema]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "Time": {"type": "string", "format": "date-time"},
    "MicroTime": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string"},
    "RawExtension": {"type": "object"},
    "FieldsV1": {"type": "object"},
}
_EITHER: Final[Mapping[str, Sequence[str]]] = {
    "Quantity": ("string", "number"),
    "IntOrString": ("integer", "string"),
}


class V3(Dialect):
    """OpenAPI 3.0, one document for each group and version."""

    def reference(self, name: str) -> Schema:
        return {"allOf": [self._bare(name)]}

    def _bare(self, name: str) -> Schema:
        return {"$ref": f"#/components/schemas/{name}"}

    def scalar(self, name: str) -> Schema:
        if name in _EITHER:
            form = {"format": "int-or-string"} if name == "IntOrString" else {}
            return {**form, "oneOf": [{"type": kind} for kind in _EITHER[name]]}
        return dict(_SCALARS.get(name, {}))

    def parameter(self, name: str, kind: str, where: str) -> Schema:
        required = {"required": True} if where == "path" else {}
        return {"name": name, "in": where, **required, "schema": {"type": kind}}

    def operation(
        self, parameters: Sequence[Schema], consumes: Sequence[str], body: Schema | None, answer: Schema
    ) -> Schema:
        shown: Schema = {"parameters": list(parameters)}
        if body is not None:
            content = {media_type: {"schema": _unwrapped(body)} for media_type in consumes}
            shown["requestBody"] = {"required": True, "content": content}
        content = {_JSON: {"schema": _unwrapped(answer)}}
        return shown | {"responses": {"200": {"description": "OK", "content": content}}}

    def document(self, title: str, version: str, paths: Schema, schemas: Schema) -> Schema:
        info = {"title": title, "version": version}
        return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


class V2(Dialect):
    """OpenAPI 2.0, one document for all."""

    def reference(self, name: str) -> Schema:
        return {"$ref": f"#/definitions/{name}"}

    def scalar(self, name: str) -> Schema:
        if name in _EITHER:
            return {"type": "string"} | ({"format": "int-or-string"} if name == "IntOrString" else {})
        return dict(_SCALARS.get(name, {}))

    def parameter(self, name: str, kind: str, where: str) -> Schema:
        required = {"required": True} if where == "path" else {}
        return {"name": name, "in": where, **required, "type": kind, "uniqueItems": True}

    def operation(
        self, parameters: Sequence[Schema], consumes: Sequence[str], body: Schema | None, answer: Schema
    ) -> Schema:
        shown: Schema = {"consumes": list(consumes) or ["*/*"], "produces": [_JSON]}
        taken = [] if body is None else [{"name": "body", "in": "body", "required": True, "schema": body}]
        shown["parameters"] = [*taken, *parameters]
        return shown | {"responses": {"200": {"description": "OK", "schema": answer}}}

    def document(self, title: str, version: str, paths: Schema, schemas: Schema) -> Schema:
        info = {"title": title, "version": version}
        return {"swagger": "2.0", "info": info, "paths": paths, "definitions": schemas}


def _unwrapped(schema: Schema) -> Schema:
    """A reference by itself needs no `allOf` around it."""
    found: Schema = schema["allOf"][0] if list(schema) == ["allOf"] else schema
    return found
