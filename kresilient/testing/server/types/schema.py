"""The types that objects are made of: structs with their fields in order, lists, maps and scalars.

Built-in types come from the table `builtin.txt`; those of custom resources are made from their schemas. One
tree serves all who need to know a field: decoding, field order, strategic merge, field ownership, OpenAPI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["ANY", "DEDUCED", "Field", "List", "Map", "Scalar", "Struct", "Type", "Types", "builtin_types"]


class Type:
    """A `Scalar`, `List`, `Map` or `Struct`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Scalar(Type):
    """A value without parts, as far as the API knows.

    `name` is `string`, `bool`, `int32`, `int64`, `float64`, `bytes`, `Time`, `MicroTime`, `Duration`,
    `Quantity`, `IntOrString`, or one of those whose content has no type: `RawExtension`, `FieldsV1`, `JSON`.
    """

    name: str


@dataclass(frozen=True, slots=True)
class List(Type):
    """A list. `keys` are the fields that tell its elements apart; `set` says that their value does.

    A list with neither is atomic: server-side apply owns it as a whole.
    """

    element: Type
    keys: tuple[str, ...] = ()
    set: bool = False

    @property
    def atomic(self) -> bool:
        return not self.keys and not self.set


@dataclass(frozen=True, slots=True)
class Map(Type):
    """A map by string."""

    element: Type
    atomic: bool = False


@dataclass(slots=True, eq=False)
class Struct(Type):
    """A type with named fields, in the order in which the server writes them.

    `name` is as OpenAPI has it (`io.k8s.api.core.v1.Pod`), `object` tells that it has a kind of its own.
    `open` keeps fields that it does not name (`x-kubernetes-preserve-unknown-fields`).
    """

    name: str
    fields: dict[str, Field] = field(default_factory=dict, repr=False)
    atomic: bool = False
    object: bool = False
    open: bool = False

    @property
    def kind(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct.

    Attributes:
        pointer: None and the zero value differ: a zero is written.
        always: written even where it is empty.
        required: a client has to give it.
        strategy: `patchStrategy` of a strategic merge patch: some of `merge`, `replace`, `retainKeys`.
        merge_key: `patchMergeKey`, the field by which that patch tells elements apart.
        default: what stands for an absent key field of a list's element.
        number: the field's number in protobuf, after those of the messages inlined around it; () if unknown.
    """

    name: str
    type: Type
    pointer: bool = False
    always: bool = False
    required: bool = False
    strategy: tuple[str, ...] = ()
    merge_key: str = ""
    default: str = ""
    number: tuple[int, ...] = ()


ANY: Final = Scalar("JSON")
"""What has no type: kept as it is, and owned as a whole."""
DEDUCED: Final = Scalar("deduced")
"""What has the type that its value shows: a map by string of the same, or a leaf."""

_PLACES: Final = {
    "meta": "io.k8s.apimachinery.pkg.apis.",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.",
}
_SCALARS: Final = frozenset(
    {"string", "bool", "int32", "int64", "float64", "bytes", "Time", "MicroTime", "Duration", "Quantity"}
    | {"IntOrString", "RawExtension", "FieldsV1", "JSON", "JSONSchemaPropsOr"}
)
_KEY_DEFAULTS: Final = {("ContainerPort", "protocol"): "TCP", ("ServicePort", "protocol"): "TCP"}
"""Key fields that an applied element may leave out, and what then stands for them."""


class Types(Mapping[str, Struct]):
    """The built-in structs by OpenAPI name."""

    def __init__(self, table: str) -> None:
        self._structs: dict[str, Struct] = {}
        self._scalars = {name: Scalar(name) for name in _SCALARS}
        self._read(table)

    def of_kind(self, group: str, version: str, kind: str) -> Struct | None:
        """The type of a kind, None for one that is not built in."""
        found = self._structs.get(_full(f"{group.partition('.')[0] or 'core'}.{version}.{kind}"))
        return found if found is not None and found.object else None

    def __getitem__(self, name: str) -> Struct:
        return self._structs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._structs)

    def __len__(self) -> int:
        return len(self._structs)

    def _read(self, table: str) -> None:
        package, struct = "", Struct("")
        for line in table.splitlines():
            if not line or line.startswith("#"):
                continue
            words = line.split()
            if line.startswith("["):
                package = line[1:-1]
            elif line.startswith(" "):
                made = self._field(package, struct, words)
                struct.fields[made.name] = made
            else:
                struct = self._struct(f"{package}.{words[0]}")
                struct.atomic, struct.object = "atomic" in words[1:], "object" in words[1:]
                if struct.object:
                    for name in ("kind", "apiVersion"):
                        struct.fields[name] = Field(name, self._scalars["string"])

    def _struct(self, short: str) -> Struct:
        name = _full(short)
        return self._structs.setdefault(name, Struct(name))

    def _field(self, package: str, struct: Struct, words: list[str]) -> Field:
        number, name, kind, *options = words
        mark = name[-1] if name[-1] in "!+?" else ""
        name = name.removesuffix(mark)
        said = dict(option.partition("=")[::2] for option in options)
        patch, _, merge_key = said.get("patch", "").partition(":")
        return Field(
            name,
            self._type(package, kind.removeprefix("*"), said.get("list", ""), "atomic" in said),
            pointer=kind.startswith("*"),
            always=mark in ("!", "+"),
            required=mark in ("!", "?"),
            strategy=tuple(filter(None, patch.split(","))),
            merge_key=merge_key,
            default=_KEY_DEFAULTS.get((struct.kind, name), ""),
            number=tuple(map(int, number.split("."))),
        )

    def _type(self, package: str, kind: str, keys: str = "", atomic: bool = False) -> Type:
        if kind.startswith("[]"):
            element = self._type(package, kind[2:])
            return List(element, () if keys == "set" else tuple(filter(None, keys.split(","))), keys == "set")
        if kind.startswith("map:"):
            return Map(self._type(package, kind[4:]), atomic)
        if kind in _SCALARS:
            return self._scalars[kind]
        return self._struct(kind if "." in kind else f"{package}.{kind}")


@cache
def builtin_types() -> Types:
    """The table, read when first asked for and then kept."""
    return Types(files(__package__).joinpath("builtin.txt").read_text("utf-8"))


def _full(short: str) -> str:
    """`core.v1.Pod` as `io.k8s.api.core.v1.Pod`."""
    return _PLACES.get(short.partition(".")[0], "io.k8s.api.") + short
