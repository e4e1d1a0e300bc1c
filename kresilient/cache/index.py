"""Declared indexes: from a value to the keys of the objects that have it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from sys import getsizeof
from typing import Any

from ..api.errors import ConfigError
from ..api.fields import FieldPath
from ..api.objects import KubeObject
from ..api.resources import Key

__all__ = ["Extract", "Index", "IndexSpec", "parse_indexes"]

Extract = Callable[[KubeObject], Iterable[Hashable]]
"""From an object to the values it is found under; none for an object that is in no bucket."""

IndexSpec = Sequence[str] | Mapping[str, str | Extract]
"""Field paths, each an index of its own name; or names with a field path or a function."""


def parse_indexes(spec: IndexSpec) -> dict[str, Extract]:
    """The extractors that *spec* declares. Raises `SelectorError` or `ConfigError` where one is unusable."""
    if isinstance(spec, str):
        raise ConfigError(f"index= takes a list of field paths: write index=[{spec!r}]")
    named = spec if isinstance(spec, Mapping) else {path: path for path in spec}
    return {name: _extractor(name, how) for name, how in named.items()}


def _extractor(name: str, how: str | Extract) -> Extract:
    if callable(how):
        return how
    if not isinstance(how, str):
        raise ConfigError(f"the index {name!r} is neither a field path nor a function")
    path = FieldPath.parse(how)

    def by_path(obj: KubeObject) -> list[Any]:
        return [value for value in path.values(obj.raw) if isinstance(value, Hashable)]

    return by_path


class Index:
    """One index over one table. Removal needs no object: the values of each key are remembered."""

    __slots__ = ("_buckets", "_extract", "_values")

    def __init__(self, extract: Extract) -> None:
        self._extract = extract
        self._buckets: dict[Hashable, set[Key]] = {}
        self._values: dict[Key, tuple[Hashable, ...]] = {}

    def put(self, key: Key, obj: KubeObject) -> Exception | None:
        """File *obj*. An extractor that fails leaves it in no bucket; its error is returned."""
        error: Exception | None = None
        try:
            extracted = self._extract(obj)
            values = (extracted,) if isinstance(extracted, str) else tuple(dict.fromkeys(extracted))
        except Exception as caught:  # the user's function; what it raised is handed to the caller
            values, error = (), caught
        self._file(key, values)
        return error

    def adopt(self, key: Key, held: Index) -> bool:
        """File under *key* what stands under it in *held*, as it does there; False where that is nowhere."""
        values = held._values.get(key)
        if values is not None:
            self._file(key, values)
        return values is not None

    def _file(self, key: Key, values: tuple[Hashable, ...]) -> None:
        before = self._values.get(key, ())
        if values != before:
            for value in values:  # first in, then out: a reader in another thread always finds it somewhere
                self._buckets.setdefault(value, set()).add(key)
            self._drop(key, (value for value in before if value not in values))
            if values:
                self._values[key] = values
            else:
                self._values.pop(key, None)

    def remove(self, key: Key) -> None:
        self._drop(key, self._values.pop(key, ()))

    def _drop(self, key: Key, values: Iterable[Hashable]) -> None:
        for value in values:
            bucket = self._buckets[value]
            bucket.discard(key)
            if not bucket:
                del self._buckets[value]

    def keys(self, value: Hashable) -> list[Key]:
        """The keys filed under *value*, in order."""
        return sorted(self._buckets.get(value, ()))

    def values(self) -> list[Hashable]:
        """Every value that has at least one object."""
        return list(self._buckets)

    def container_bytes(self) -> int:
        """The memory of its buckets and of the values it remembers; callable from any thread."""
        buckets, values = list(self._buckets.values()), list(self._values.values())
        size = getsizeof(self._buckets) + getsizeof(self._values)
        size += sum(map(getsizeof, buckets)) + sum(map(getsizeof, values))
        return size + sum(getsizeof(value) for of_key in values for value in of_key)
