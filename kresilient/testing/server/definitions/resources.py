"""The resources that a definition defines, one for each version that is served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..kinds import CUSTOM_VERBS, ApiResource, ScalePaths
from ..schema import Shape
from ..schema.structure import PRESERVE
from ..subresources import SCALE_KIND, STATUS_VERBS, Subresource
from ..types.structural import custom_type
from .conditions import NAMES, is_true

__all__ = ["defined", "shape_of"]


def defined(
    definition: Mapping[str, Any], before: Iterable[ApiResource] = (), *, cel: str = "evaluate"
) -> list[ApiResource]:
    """What *definition* defines under its accepted names.

    What is compiled of schemas is taken from *before* where they have not changed. *cel*: see `Shape`.
    """
    spec, status = definition["spec"], definition.get("status") or {}
    names = {name: (status.get("acceptedNames") or {}).get(name) for name in NAMES}
    known = {one.version: one.shape for one in before}
    stored = (one["name"] for one in spec.get("versions") or () if one.get("storage") and one.get("served"))
    stored_version = next(stored, "")
    made = []
    for version in spec.get("versions") or ():
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        scale = subresources.get("scale")
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        made.append(
            ApiResource(
                spec["group"],
                version["name"],
                names["plural"] or spec["names"]["plural"],
                names["kind"] or spec["names"]["kind"],
                spec.get("scope") == "Namespaced",
                list_kind=names["listKind"] or f"{spec['names']['kind']}List",
                singular=names["singular"] or "",
                short_names=tuple(names["shortNames"] or ()),
                categories=tuple(names["categories"] or ()),
                verbs=CUSTOM_VERBS,
                subresources=tuple(_below(names["kind"] or spec["names"]["kind"], subresources)),
                has_status=subresources.get("status") is not None,
                has_generation=True,
                scale=_scale_paths(scale) if scale else None,
                custom=True,
                schema=schema,
                structure=custom_type(names["kind"] or spec["names"]["kind"], schema),
                shape=shape_of(version, known.get(version["name"]), cel=cel),
                columns=tuple(version.get("additionalPrinterColumns") or ()),
                selectable=tuple(
                    one["jsonPath"].removeprefix(".") for one in version.get("selectableFields") or ()
                ),
                stored_version=stored_version,
                terminating=is_true(definition, "Terminating"),
                deprecation=_deprecation(spec, version),
            )
        )
    return made


def shape_of(version: Mapping[str, Any], known: Shape | None = None, *, cel: str = "evaluate") -> Shape:
    """The compiled schema of one *version* of a definition; *known* where that is the same."""
    schema = (version.get("schema") or {}).get("openAPIV3Schema") or {PRESERVE: True}
    scale = (version.get("subresources") or {}).get("scale")
    paths = None if not scale else (_scale_paths(scale))
    if known is not None and known.schema == schema and known.scale == paths:
        return known
    return Shape(schema, scale=paths, cel=cel)


def _below(kind: str, subresources: Mapping[str, Any]) -> Iterator[Subresource]:
    if subresources.get("status") is not None:
        yield Subresource("status", kind, STATUS_VERBS)
    if subresources.get("scale"):
        group, version, whose = SCALE_KIND
        yield Subresource("scale", whose, STATUS_VERBS, group, version)


def _scale_paths(scale: Mapping[str, str]) -> ScalePaths:
    return ScalePaths(
        scale["specReplicasPath"].removeprefix("."),
        scale["statusReplicasPath"].removeprefix("."),
        (scale.get("labelSelectorPath") or "").removeprefix("."),
    )


def _deprecation(spec: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    """What a client of this version is warned of, empty where it is not deprecated."""
    if not version.get("deprecated"):
        return ""
    said: str | None = version.get("deprecationWarning")
    return said or f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
