"""Objects held compressed: zstd, with a dictionary that was trained on objects of the same cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from ..api.errors import ConfigError
from ..api.objects import KubeObject

__all__ = ["Codec", "CompactObject", "held_bytes", "zstd"]

_LEVEL: Final = 3
"""zstd's own default, which has to be said: without, a dictionary is digested for whatever level happened to
stand in memory, by `backports.zstd` 1.0 and 1.1 at least. Level 1 saves a tenth of the time and costs a fifth
of the room; 6 takes three times as long for hardly anything."""

_LARGEST: Final = 110 * 1024
"""The largest dictionary; zstd trains none that is larger by itself (`ZDICT_MAX_DICT_SIZE`)."""

_SHARE: Final = 32
"""Bytes of samples for each byte of a dictionary. With fewer than some 20 zstd finds little to share, and may
make a dictionary that is worse than one of half its size."""

_PART: Final = 32 * 1024
"""The most that is taken of one object: what a larger one shares with the others, it shares early."""


def zstd() -> Any:
    """The module with the interface of Python 3.14's `compression.zstd`.

    Raises `ConfigError` where there is none.
    """
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"compact=True needs {name}, which is not there: pip install 'kresilient[compact]' "
            "(from 3.14 on it is a part of Python, which may have been built without)"
        ) from error


class Codec:
    """Compresses objects with one dictionary, and reads what it compressed.

    What was read last is remembered, one object: whoever reads one field mostly reads another one. `pack` is
    for one thread, `unpack` for any. Raises `ConfigError` where there is no zstd.

    Args:
        dictionary: of `compression.zstd`; None for none.
    """

    __slots__ = ("_compress", "_decompress", "_dictionary", "_flush", "_last")

    def __init__(self, dictionary: Any = None) -> None:
        module = zstd()
        compressor = module.ZstdCompressor(
            level=_LEVEL, zstd_dict=None if dictionary is None else dictionary.as_digested_dict
        )
        self._compress: Callable[[bytes, int], bytes] = compressor.compress
        self._flush: int = compressor.FLUSH_FRAME
        self._decompress: Callable[[bytes, Any], bytes] = module.decompress
        self._dictionary = dictionary
        self._last = (b"", b"")

    @classmethod
    def trained(cls, sample: Sequence[KubeObject]) -> Codec:
        """One with a dictionary of what the objects of *sample* share; without, where they are too few.

        It takes some 25 ms of CPU for each megabyte of them, up to 3.5 MB, mostly without the interpreter's
        lock: for a thread.
        """
        module, parts, size = zstd(), [], 0
        for obj in sample:
            if size >= _LARGEST * _SHARE:
                break
            parts.append(obj.raw[:_PART])
            size += len(parts[-1])
        try:
            codec = cls(module.train_dict(parts, min(_LARGEST, size // _SHARE)))
        except (ValueError, module.ZstdError):
            return cls()
        codec._decompress(codec._compress(parts[0], codec._flush), codec._dictionary)  # it is digested here
        return codec

    def pack(self, obj: KubeObject) -> KubeObject:
        """*obj* as it is held: *obj* itself where compression makes it no smaller."""
        raw = obj.raw
        packed = self._compress(raw, self._flush)
        if len(packed) >= len(raw):
            return obj
        self._last = (packed, raw)
        return CompactObject(packed, obj.meta, obj.kind, obj.api_version, codec=self)

    def unpack(self, packed: bytes) -> bytes:
        """The JSON that was compressed to *packed*."""
        last = self._last  # by the bytes, not the object, which would keep itself alive by its codec
        if last[0] is packed:
            return last[1]
        raw = self._decompress(packed, self._dictionary)
        self._last = (packed, raw)
        return raw


class CompactObject(KubeObject, frozen=True, gc=False, eq=False, kw_only=True, repr_omit_defaults=True):
    """An object of a compact cache: its JSON is decompressed whenever it is asked for.

    The header is there without that. Copied by `pickle` and `copy.deepcopy`, it is a plain `KubeObject`.
    """

    codec: Codec

    @property  # type: ignore[misc]  # a field of the base, whose place the compressed bytes have
    def raw(self) -> bytes:
        """The JSON exactly as it was put into the cache."""
        return self.codec.unpack(_packed(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KubeObject) or self.meta.resource_version != other.meta.resource_version:
            return False
        if isinstance(other, CompactObject) and other.codec is self.codec and _packed(self) == _packed(other):
            return True
        return self.raw == other.raw

    __hash__ = KubeObject.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return KubeObject, (self.raw, self.meta, self.kind, self.api_version)


_packed: Final[Callable[[KubeObject], bytes]] = vars(KubeObject)["raw"].__get__
"""What stands where a plain object has its JSON."""


def held_bytes(obj: KubeObject) -> int:
    """The size of *obj* as it is held, its header apart."""
    return len(_packed(obj))
