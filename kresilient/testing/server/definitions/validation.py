"""What a definition may say: the rules of `ValidateCustomResourceDefinition`, in their order and words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..causes import NIL, duplicate, forbidden, invalid_value, required, too_many, unsupported
from ..creation import name_fault
from ..schema.defaults import default_faults
from ..schema.embedded import LABEL_1035_RULE, is_label_1035
from ..schema.rules import RULES, rule_faults
from ..schema.structure import PRESERVE, Schema
from ..statuses import Cause
from .conditions import APPROVED, approval, is_true, protected
from .structural import schema_faults, structural_faults

__all__ = ["definition_faults"]

_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_AT_ROOT: Final = frozenset(
    {"description", "type", "format", "title", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"}
    | {"maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "multipleOf", "required"}
    | {"items", "properties", "externalDocs", "example", PRESERVE, RULES}
)
_AT_ROOT_GO: Final = (
    "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength "
    "Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example "
    "XPreserveUnknownFields XValidations]"
)
_WITH_STATUS: Final = "at the root of the schema if the status subresource is enabled"
MAX_SELECTABLE: Final = 8


def definition_faults(
    obj: Mapping[str, Any],
    old: Mapping[str, Any] | None = None,
    *,
    schemas: bool = True,
    rules: bool = True,
) -> list[Cause]:
    """What is wrong with the definition *obj*, which takes the place of *old* where that is given.

    *schemas* tells whether every version needs one, *rules* whether those have to compile.
    """
    spec = obj["spec"]
    found: list[Cause] = []
    if old is None:
        found += _name_faults(obj)
    found += _spec_faults(spec, schemas=schemas, rules=rules)
    if old is not None:
        found += _immutable(spec, old)
    found += _stored_faults(obj["status"].get("storedVersions") or [], spec.get("versions") or [])
    found += _approval_faults(obj, old)
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
        found.append(
            invalid_value("spec.preserveUnknownFields", True, f"{why}spec.versions[*].schema instead")
        )
    return found


def _name_faults(obj: Mapping[str, Any]) -> Iterator[Cause]:
    name, spec = obj["metadata"].get("name") or "", obj["spec"]
    if fault := name_fault(name):
        yield invalid_value("metadata.name", name, fault)
    if name != f"{spec['names'].get('plural') or ''}.{spec.get('group') or ''}":
        yield invalid_value("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def _spec_faults(spec: Mapping[str, Any], *, schemas: bool, rules: bool) -> Iterator[Cause]:
    group, scope, versions = spec.get("group") or "", spec.get("scope") or "", spec.get("versions") or []
    if not group:
        yield required("spec.group")
    elif fault := name_fault(group):
        yield invalid_value("spec.group", group, fault)
    elif "." not in group:
        yield invalid_value("spec.group", group, "should be a domain with at least one dot")
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield unsupported("spec.scope", scope, ("Cluster", "Namespaced"))
    for index, version in enumerate(versions):
        if schemas and (version.get("schema") or {}).get("openAPIV3Schema") is None:
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")
    for index, version in enumerate(versions):
        if fault := _label_fault(version.get("name") or ""):
            yield invalid_value(f"spec.versions[{index}].name", version.get("name") or "", fault)
        yield from _version_faults(version, f"spec.versions[{index}]", rules=rules)
    names = [version.get("name") for version in versions]
    if len(set(names)) != len(names):
        yield invalid_value("spec.versions", versions, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield invalid_value("spec.versions", versions, why)
    yield from _names_faults(spec["names"], "spec.names")
    yield from _conversion_faults(spec["conversion"], "spec.conversion")


def _label_fault(label: str) -> str:
    if is_label_1035(label):
        return ""
    long = "must be no more than 63 characters"
    if len(label) <= 63:
        return LABEL_1035_RULE
    return (
        long
        if is_label_1035(label[:1]) and re.fullmatch("[-a-z0-9]+", label)
        else f"{long},{LABEL_1035_RULE}"
    )


def _names_faults(names: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for field in ("plural", "singular", "kind", "listKind"):
        if not names.get(field):
            yield required(f"{path}.{field}")
    for field in ("plural", "singular"):
        if names.get(field) and (fault := _label_fault(names[field])):
            yield invalid_value(f"{path}.{field}", names[field], fault)
    for field in ("kind", "listKind"):
        if names.get(field) and (fault := _label_fault(names[field].lower())):
            why = f"may have mixed case, but should otherwise match: {fault}"
            yield invalid_value(f"{path}.{field}", names[field], why)
    for index, name in enumerate(names.get("shortNames") or ()):
        if fault := _label_fault(name):
            yield invalid_value(f"{path}.shortNames[{index}]", name, fault)
    if names.get("kind") and names["kind"] == names.get("listKind"):
        yield invalid_value(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same")
    for index, name in enumerate(names.get("categories") or ()):
        if fault := _label_fault(name):
            yield invalid_value(f"{path}.categories[{index}]", name, fault)


# --- versions ----------------------------------------------------------------------------------------


def _version_faults(version: Mapping[str, Any], path: str, *, rules: bool) -> Iterator[Cause]:
    warning = version.get("deprecationWarning")
    if warning is not None:
        for fault in _deprecation_faults(bool(version.get("deprecated")), warning):
            yield invalid_value(f"{path}.deprecationWarning", warning, fault)
    subresources = version.get("subresources") or {}
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is not None:
        with_status = subresources.get("status") is not None
        where = f"{path}.schema.openAPIV3Schema"
        found = _schema_faults(schema, where, with_status=with_status)
        yield from found or (rule_faults(schema, where) if rules else ())
    if subresources.get("scale") is not None:
        yield from _scale_faults(subresources["scale"], f"{path}.subresources.scale")
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _column_faults(column, f"{path}.additionalPrinterColumns[{index}]")
    selectable = version.get("selectableFields") or []
    if selectable:
        yield from _selectable_faults(selectable, schema or {}, f"{path}.selectableFields")


def _deprecation_faults(deprecated: bool, warning: str) -> Iterator[str]:
    if not deprecated:
        yield "can only be set for deprecated versions"
        return
    if len(warning.encode()) > 256:
        yield "must be <= 256 characters long"
    if not warning:
        yield "must not be an empty string"
    for index, char in enumerate(warning):
        if not char.isprintable():
            yield (
                "must only contain printable UTF-8 characters; non-printable character found at index "
                f"{index}"
            )
            return


def _schema_faults(schema: Schema, path: str, *, with_status: bool) -> list[Cause]:
    found: list[Cause] = []
    if with_status:
        said = [name for name, value in schema.items() if value not in (None, "", [], {}, False)]
        if schema.get("type") not in (None, "", "object"):
            why = (
                'only "object" is allowed as the type at the root of the schema if the status subresource is '
            )
            found.append(invalid_value(f"{path}.type", schema["type"], f"{why}enabled"))
        elif any(name not in _AT_ROOT for name in said):
            why = (
                f"only {_AT_ROOT_GO} fields are allowed at the root of the schema if the status subresource "
            )
            found.append(invalid_value(path, schema, f"{why}is enabled"))
    if schema.get("nullable"):
        found.append(forbidden(f"{path}.nullable", "nullable cannot be true at the root"))
    basic = list(schema_faults(schema, path, root=True))
    structural = structural_faults(schema, path)
    found += structural or default_faults(schema, path)
    return found + basic


def _scale_faults(scale: Mapping[str, Any], path: str) -> Iterator[Cause]:
    for field, part in (("specReplicasPath", "spec"), ("statusReplicasPath", "status")):
        said, where = scale.get(field) or "", f"{path}.{field}"
        if not said:
            yield required(where)
        elif fault := _path_fault(said):
            yield invalid_value(where, said, fault)
        elif not said.startswith(f".{part}."):
            yield invalid_value(where, said, f"should be a json path under .{part}")
    said, where = scale.get("labelSelectorPath") or "", f"{path}.labelSelectorPath"
    if said and (fault := _path_fault(said)):
        yield invalid_value(where, said, fault)
    elif said and not said.startswith((".spec.", ".status.")):
        yield invalid_value(where, said, "should be a json path under either .spec or .status")


def _path_fault(path: str) -> str:
    return "" if path.startswith(".") else "must be a simple json path starting with ."


def _column_faults(column: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not column.get("name"):
        yield required(f"{path}.name")
    kind, form, said = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    kinds = f"must be one of {','.join(_COLUMN_TYPES)}"
    if not kind:
        yield required(f"{path}.type", kinds)
    elif kind not in _COLUMN_TYPES:
        yield invalid_value(f"{path}.type", kind, kinds)
    if form and form not in _COLUMN_FORMATS:
        yield invalid_value(f"{path}.format", form, f"must be one of {','.join(_COLUMN_FORMATS)}")
    if not said:
        yield required(f"{path}.JSONPath")
    elif fault := _path_fault(said):
        yield invalid_value(f"{path}.JSONPath", said, fault)


def _selectable_faults(fields: list[Mapping[str, Any]], schema: Schema, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, one in enumerate(fields):
        said, where = one.get("jsonPath") or "", f"{path}[{index}].jsonPath"
        if not said:
            yield required(where)
            continue
        found, fault = _field_at(schema, said)
        if fault:
            yield invalid_value(where, said, f"is an invalid path: {fault}")
            continue
        if said.startswith(".metadata"):
            yield invalid_value(where, said, "must not point to fields in metadata")
        if found.get("type") not in ("string", "boolean", "integer"):
            why = "must point to a field of type string, boolean or integer. Enum string fields and strings "
            yield invalid_value(where, said, f"{why}with formats are allowed.")
        if said in seen:
            yield duplicate(where, said)
        seen.add(said)
    if len(seen) > MAX_SELECTABLE:
        yield too_many(path, len(seen), MAX_SELECTABLE)


def _field_at(schema: Schema, path: str) -> tuple[Schema, str]:
    """The schema of the field at *path*, and what is wrong with the path (`cel.ValidFieldPath`)."""
    if "[" in path:
        return {}, "array notation is not allowed"
    if not path.startswith("."):
        return {}, f"expected [ or . but got: {path.partition('.')[0]}"
    for name in path[1:].split("."):
        if not name:
            return {}, "unexpected end of JSON path"
        properties = schema.get("properties")
        if properties and name in properties:
            schema = properties[name]
        elif not properties and isinstance(schema.get("additionalProperties"), Mapping):
            schema = schema["additionalProperties"]
        else:
            return {}, "does not refer to a valid field"
    return schema, ""


# --- what else ---------------------------------------------------------------------------------------


def _conversion_faults(conversion: Mapping[str, Any], path: str) -> Iterator[Cause]:
    strategy = conversion.get("strategy") or ""
    if not strategy:
        yield required(f"{path}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield unsupported(f"{path}.strategy", strategy, ("None", "Webhook"))
    webhook = conversion.get("webhook")
    if strategy == "Webhook":
        if not (webhook or {}).get("clientConfig"):
            why = "required when strategy is set to Webhook"
            yield required(f"{path}.webhookClientConfig", why)
        if not (webhook or {}).get("conversionReviewVersions"):
            yield required(f"{path}.conversionReviewVersions")
    elif webhook is not None:
        why = "should not be set when strategy is not set to Webhook"
        if webhook.get("clientConfig"):
            yield forbidden(f"{path}.webhookClientConfig", why)
        if webhook.get("conversionReviewVersions"):
            yield forbidden(f"{path}.conversionReviewVersions", why)


def _immutable(spec: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Cause]:
    before = old["spec"]
    pairs = [("spec.group", spec.get("group"), before.get("group"))]
    pairs.append(("spec.names.plural", spec["names"].get("plural"), before["names"].get("plural")))
    if is_true(old, "Established"):
        kind = ("spec.names.kind", spec["names"].get("kind"), before["names"].get("kind"))
        pairs = [("spec.scope", spec.get("scope"), before.get("scope")), kind, *pairs]
    for field, now, then in pairs:
        if now != then:
            yield invalid_value(field, now or "", "field is immutable")


def _stored_faults(stored: list[str], versions: list[Mapping[str, Any]]) -> Iterator[Cause]:
    if not stored:
        yield invalid_value("status.storedVersions", NIL, "must have at least one stored version")
        return
    names = [version.get("name") for version in versions]
    for index, name in enumerate(stored):
        if name not in names:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and "
                f"removes {name} from status.storedVersions"
            )
            yield invalid_value(f"status.storedVersions[{index}]", name, why)


def _approval_faults(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    if not protected(obj["spec"].get("group") or ""):
        return
    state, why = approval(obj["metadata"])
    if old is not None and approval(old["metadata"])[0] == state:
        return
    field = f"metadata.annotations[{APPROVED}]"
    if state == "missing":
        yield required(field, why)
    elif state == "invalid":
        yield invalid_value(field, obj["metadata"]["annotations"][APPROVED], why)
