"""An append-only file in place of etcd: what was acknowledged survives the death of the process."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Self

import msgspec

from .state import ApiState
from .storage import Change

__all__ = ["Journal"]


class _Record(msgspec.Struct, omit_defaults=True, gc=False):
    """One change: `v` version, `g` group, `r` plural, `k` key; `o` the item, or `b` poison in base64, or
    neither for a deletion."""

    v: int
    g: str
    r: str
    k: str
    o: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    b: str | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Record)


class Journal:
    """The journal of one state. Each change is written to the operating system before anybody sees it, so it
    outlives a SIGKILL of the process (not a loss of power: there is no fsync)."""

    def __init__(self, path: Path, fd: int, size: int) -> None:
        self.path = path
        self._fd: int | None = fd
        self._size = size

    @classmethod
    def open(cls, path: str | Path, state: ApiState) -> Self:
        """Bring *state* to where the file at *path* left it, and keep its changes there from now on.

        A last line that was torn is cut off. The history starts empty: older versions answer 410. Raises
        `ValueError` for a file that is broken before its last line.
        """
        path = Path(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            good = _replay(path, state)
            os.ftruncate(fd, good)
        except BaseException:
            os.close(fd)
            raise
        journal = cls(path, fd, good)
        if good:
            state.compact()
        else:
            for storage, collection in state.collections().items():
                for stored in collection:
                    journal.append(storage, Change("ADDED", stored.version, stored, None))
        state.commit = journal.append
        state.resume()
        return journal

    def append(self, storage: tuple[str, str], change: Change) -> None:
        """Write *change*. Raises `OSError` where the file cannot take it; the change is then not made."""
        if self._fd is None:
            raise OSError(f"the journal {self.path} is closed")
        record = _Record(change.version, *storage, change.new.key)
        if change.type != "DELETED":
            if change.new.poison:
                record.b = base64.b64encode(change.new.item).decode()
            else:
                record.o = msgspec.Raw(change.new.item)
        line = _encoder.encode(record) + b"\n"
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            os.ftruncate(self._fd, self._size)  # half a line must not stand before the next
            raise
        self._size += len(line)

    def close(self) -> None:
        """Close the file; later writes fail. Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _replay(path: Path, state: ApiState) -> int:
    """Take in every record; returns the length of the part of the file that is whole."""
    good = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break
            try:
                record = _decoder.decode(line)
                item = None if record.o is msgspec.UNSET else bytes(record.o)
                if record.b is not None:
                    item = base64.b64decode(record.b)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
                if lines.read(1):
                    raise ValueError(f"line {number} of the journal {path} is broken: {error}") from error
                break
            state.replay((record.g, record.r), record.k, record.v, item, poison=record.b is not None)
            good += len(line)
    return good
