"""The schemas of types: built-in ones from the table of types, custom ones from their definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..kinds import ApiResource
from ..types.schema import Field, List, Map, Scalar, Struct, Type, builtin_types
from .dialect import V2, Dialect, Schema
from .documentation import field_texts

__all__ = ["META", "Schemas"]

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_SCALARS: Final = {
    "Time": META + "Time",
    "MicroTime": META + "MicroTime",
    "Duration": META + "Duration",
    "FieldsV1": META + "FieldsV1",
    "Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "IntOrString": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "RawExtension": "io.k8s.apimachinery.pkg.runtime.RawExtension",
}
"""Scalars that have a schema of their own."""
_OWN: Final = ("apiVersion", "kind", "metadata")
_NOT_IN_V2: Final = frozenset(
    {"nullable", "oneOf", "anyOf", "allOf", "not", "default", "x-kubernetes-validations"}
)


class Schemas:
    """The schemas of one document by name. What they refer to is in it too, once they are asked for."""

    def __init__(self, dialect: Dialect, groups: Mapping[str, str]) -> None:
        """*groups* is the API group of a package: `{"rbac": "rbac.authorization.k8s.io"}`."""
        self._dialect = dialect
        self._groups = groups
        self.made: Schema = {}

    def of(self, resource: ApiResource) -> Schema:
        """A reference to the schema of *resource*'s kind."""
        if resource.custom:
            name = f"{'.'.join(reversed(resource.group.split('.')))}.{resource.version}.{resource.kind}"
            if name not in self.made:
                self.made[name] = self._custom(resource)
            return self._dialect.reference(name)
        return self.struct(resource.type)

    def list_of(self, resource: ApiResource) -> Schema:
        """A reference to the schema of a list of *resource*."""
        item = self.of(resource)
        one = _named(item)
        name = f"{one.removesuffix(resource.kind)}{resource.list_kind}"
        self.made[name] = {
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "items": {"type": "array", "items": item},
                "kind": {"type": "string"},
                "metadata": self.meta("ListMeta"),
            },
            **_kinds(resource.group, resource.version, resource.list_kind),
        }
        return self._dialect.reference(name)

    def kind(self, group: str, version: str, kind: str) -> Schema:
        """A reference to a built-in kind, or a string where it has no type (`PodExecOptions`)."""
        found = builtin_types().of_kind(group, version, kind)
        return {"type": "string"} if found is None else self.struct(found)

    def meta(self, kind: str) -> Schema:
        """A reference to a type of `meta.k8s.io`."""
        return self.struct(builtin_types()[META + kind])

    def patch(self) -> Schema:
        """A reference to what any patch is."""
        self.made[META + "Patch"] = {"type": "object"}
        return self._dialect.reference(META + "Patch")

    # --- built in ------------------------------------------------------------------------------------

    def struct(self, struct: Struct) -> Schema:
        if struct.name not in self.made:
            schema: Schema = {"type": "object"}
            self.made[struct.name] = schema  # before its fields: a type may refer to itself
            required = [one.name for one in struct.fields.values() if one.required]
            if required:
                schema["required"] = sorted(required)
            texts = field_texts(struct.name)
            schema["properties"] = {
                name: self._property(one, texts.get(name, "")) for name, one in sorted(struct.fields.items())
            }
            if struct.atomic:
                schema["x-kubernetes-map-type"] = "atomic"
            if struct.object:
                *_, package, version, kind = struct.name.split(".")
                schema |= _kinds(self._groups.get(package, ""), version, kind)
        return self._dialect.reference(struct.name)

    def _property(self, field: Field, text: str) -> Schema:
        schema = {"description": text} if text else {}
        schema |= self._type(field.type)
        if field.merge_key:
            schema["x-kubernetes-patch-merge-key"] = field.merge_key
        if field.strategy:
            schema["x-kubernetes-patch-strategy"] = ",".join(field.strategy)
        return schema

    def _type(self, kind: Type) -> Schema:
        match kind:
            case Struct():
                return self.struct(kind)
            case Map():
                atomic = {"x-kubernetes-map-type": "atomic"} if kind.atomic else {}
                return {"type": "object", "additionalProperties": self._type(kind.element), **atomic}
            case List():
                schema: Schema = {"type": "array", "items": self._type(kind.element)}
                if kind.keys:
                    schema["x-kubernetes-list-map-keys"] = list(kind.keys)
                schema["x-kubernetes-list-type"] = "map" if kind.keys else "set" if kind.set else "atomic"
                return schema
            case Scalar(name) if name in _SCALARS:
                self.made[_SCALARS[name]] = self._dialect.scalar(name)
                return self._dialect.reference(_SCALARS[name])
            case Scalar(name):
                return self._dialect.scalar(name)
        raise TypeError(f"{kind!r} is no type that a schema could be made of")

    # --- custom --------------------------------------------------------------------------------------

    def _custom(self, resource: ApiResource) -> Schema:
        schema: Schema = dict(resource.schema or {"type": "object"})
        if isinstance(self._dialect, V2):
            schema = _swagger(schema)
        properties = dict(schema.get("properties") or {})
        properties |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
        properties["metadata"] = self.meta("ObjectMeta")
        schema["properties"] = dict(sorted(properties.items()))
        return schema | _kinds(resource.group, resource.version, resource.kind)


def _swagger(schema: Any) -> Any:
    """A structural schema without what version 2 cannot say."""
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if key not in _NOT_IN_V2}
    if kept.get("x-kubernetes-int-or-string"):
        kept.pop("type", None)
    if kept.get("x-kubernetes-preserve-unknown-fields") or schema.get("nullable"):
        for key in ("items", "properties", "additionalProperties", "required"):
            kept.pop(key, None)
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = _swagger(kept[key])
    if "properties" in kept:
        kept["properties"] = {name: _swagger(one) for name, one in kept["properties"].items()}
    return kept


def _named(reference: Schema) -> str:
    """The name that a reference refers to."""
    bare: Mapping[str, str] = reference.get("allOf", [reference])[0]
    return bare["$ref"].rpartition("/")[2]


def _kinds(group: str, version: str, kind: str) -> Schema:
    return {"x-kubernetes-group-version-kind": [{"group": group, "kind": kind, "version": version}]}
