"""List bodies and watch streams, cut into objects as they arrive, from pieces of any size.

A list may be hundreds of megabytes: it is never held whole. Each item is found, copied out and its header
decoded as soon as its last byte is there. An item that does not decode becomes a `Poison`; the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from .errors import NotAKubernetesAnswer, PoisonObject, Status, WireError
from .objects import KubeObject
from .resources import Key, join_key

__all__ = [
    "MAX_OBJECT_BYTES",
    "Bookmark",
    "Item",
    "ListDecoder",
    "ListMeta",
    "Poison",
    "WatchDecoder",
    "WatchError",
    "WatchEvent",
    "WatchFrame",
]

MAX_OBJECT_BYTES: Final = 256 * 1024 * 1024
"""The largest single object or frame held while it arrives. etcd stores 1.5 MiB by default; this is for
aggregated APIs, and bounds what a stream of junk without an end can cost."""

_HEAD_LIMIT: Final = 1024 * 1024
_EXACT_FROM: Final = 64 * 1024


class Poison(msgspec.Struct, frozen=True, gc=False):
    """An object set aside because it does not decode; `key` is `""` where even that is unreadable.

    Its error was never raised: a traceback, and that of its cause, would keep every frame above it, and so
    the whole list, for as long as the object is set aside.
    """

    key: Key
    error: PoisonObject
    deleted: bool = False

    @classmethod
    def of(cls, key: Key, error: PoisonObject, *, deleted: bool = False) -> Poison:
        """The object of *key*, set aside for *error*."""
        return cls(key, PoisonObject(str(error), brief=error.brief), deleted)


Item = KubeObject | Poison


# --- finding the end of an object ----------------------------------------------------------------------

# One match takes everything up to and including the next brace, strings skipped whole.
_NEXT_BRACE: Final = re.compile(rb'[^{}"]*+(?:"(?:[^"\\]|\\.)*+"[^{}"]*+)*+([{}])', re.DOTALL)


def _object_end(data: bytes | bytearray, start: int) -> int:
    """The index behind the object that starts at *start*, or -1 where it is not all there."""
    depth, position = 0, start
    while match := _NEXT_BRACE.match(data, position):
        position = match.end()
        depth += 1 if match[1] == b"{" else -1
        if depth <= 0:
            return position
    return -1


def _depth_at(data: bytes, index: int) -> int:
    """The depth of braces at *index*; -1 inside a string."""
    depth, position = 0, 0
    while (match := _NEXT_BRACE.match(data, position)) and match.end() <= index:
        position = match.end()
        depth += 1 if match[1] == b"{" else -1
    between = re.sub(rb"\\.", b"", data[position:index], flags=re.DOTALL)
    return -1 if between.count(b'"') % 2 else depth


# --- poison ----------------------------------------------------------------------------------------------


class _LooseMeta(msgspec.Struct, gc=False):
    name: Any = ""
    namespace: Any = ""


class _LooseObject(msgspec.Struct, gc=False):
    metadata: _LooseMeta


_loose_decoder: Final = msgspec.json.Decoder(_LooseObject)
_KEY: Final = re.compile(
    rb'"metadata":\{"name":"([^"\\]+)"(?:,"generateName":"[^"\\]*")?(?:,"namespace":"([^"\\]+)")?'
)


def _key_of_poison(raw: bytes) -> Key:
    try:
        meta = _loose_decoder.decode(raw).metadata
        if isinstance(meta.name, str) and isinstance(meta.namespace, str) and meta.name:
            return join_key(meta.namespace, meta.name)
    except msgspec.DecodeError:
        if match := _KEY.search(raw[:4096]):  # broken JSON; a Go server writes these three first
            return join_key((match[2] or b"").decode("utf-8", "replace"), match[1].decode("utf-8", "replace"))
    return ""


# --- lists -----------------------------------------------------------------------------------------------


class ListMeta(
    msgspec.Struct, frozen=True, rename={"continue_token": "continue", "remaining": "remainingItemCount"}
):
    """What a list says of itself."""

    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_token: str = msgspec.field(default="", name="continue")
    remaining: int | None = msgspec.field(default=None, name="remainingItemCount")


class _Envelope(msgspec.Struct, rename="camel"):
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    kind: str = ""
    api_version: str = ""
    items: list[msgspec.Raw] | None = None


def _kind_of(envelope: _Envelope) -> str:
    return envelope.kind or "nameless object"


_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)
_ITEMS: Final = re.compile(rb'"items"\s*:\s*(\[|null)')
_FIRST_FIELD: Final = re.compile(rb'\{"(?:[^"\\]{1,80})":(?:\{"[^"\\]{1,80}"|"[^"\\]{0,200}")')


class ListDecoder:
    """Cuts one list body (one page) into its items.

    `feed` each piece, then `close`. Fields of the list may stand in any order: built-in lists write their
    metadata before the items, lists of custom resources (sorted keys) behind them.
    """

    def __init__(self, *, max_object_bytes: int = MAX_OBJECT_BYTES) -> None:
        self._buffer = bytearray()
        self._head: bytes | None = None  # what stands before the items, once they were reached
        self._open = False  # within the items
        self._separator = b""  # how one item ends and the next begins, as the first item shows it
        self._exact_from = _EXACT_FROM  # with fewer bytes, wait for a separator rather than count braces
        self._shortest = 0  # where in an item to begin to look for its end, from those before it
        self._max = max_object_bytes
        self._kind = ""
        self._api_version = ""
        self.bytes = 0
        """Decoded bytes fed so far."""

    def feed(self, chunk: bytes) -> list[Item]:
        """The items that *chunk* completes.

        Raises `NotAKubernetesAnswer` as soon as the body cannot be a list, `WireError` above the bounds.
        """
        self.bytes += len(chunk)
        self._buffer += chunk
        if self._head is None and not self._find_items():
            return []
        return self._take_items() if self._open else []

    def close(self) -> tuple[list[Item], ListMeta]:
        """The last items and the list's metadata, once the body has ended.

        Raises `NotAKubernetesAnswer` where the body was no list (empty, a Status, another object) and
        `WireError` where it ended early.
        """
        if self._head is None:
            self._reject(bytes(self._buffer))
        self._exact_from = 0
        items = self._take_items(last=True) if self._open else []
        if self._open or self._head is None:
            raise WireError(f"the list ended early, after {self.bytes} bytes")
        envelope = self._decode_envelope(self._head + bytes(self._buffer))
        if envelope.kind == "Status" or not (
            envelope.kind.endswith("List") or envelope.metadata.resource_version
        ):
            raise NotAKubernetesAnswer(f"a list was due, but the answer is a {_kind_of(envelope)}")
        return items, envelope.metadata

    # --- the parts ---

    def _find_items(self) -> bool:
        data = bytes(self._buffer)  # a copy, for a match would keep the buffer from being cut
        if data and not data.isspace() and not data.lstrip().startswith(b"{"):
            self._reject(data)
        # The first "items" that is followed by a list and stands at depth one.
        for match in _ITEMS.finditer(data):
            if _depth_at(data, match.start()) != 1:
                continue
            opened = match[1] == b"["
            self._head = data[: match.start()] + (b'"items":[' if opened else b'"items":null')
            del self._buffer[: match.end()]
            self._open = opened
            if opened:
                known = self._decode_envelope(
                    self._head.removesuffix(b'"items":[').rstrip(b", \t\r\n") + b"}"
                )
                self._kind = known.kind.removesuffix("List")
                self._api_version = known.api_version
            return True
        if len(data) > _HEAD_LIMIT:
            raise NotAKubernetesAnswer(
                f"no items within the first {_HEAD_LIMIT} bytes of what should be a list"
            )
        return False

    def _take_items(self, *, last: bool = False) -> list[Item]:
        buffer, position = self._buffer, 0
        items: list[Item] = []
        with memoryview(buffer) as view:  # what is copied out of it is copied once
            while True:
                if not last:
                    position = self._take_guessed(view, position, items)
                position = self._skip_separator(position)
                if position >= len(buffer):
                    break
                if buffer[position] == 0x5D:  # ]
                    self._open = False
                    self._head = (self._head or b"") + b"]"
                    position += 1
                    break
                if buffer[position] != 0x7B:  # {
                    raise WireError(
                        f"an item of the list does not begin with a brace: {bytes(view[position:][:40])!r}",
                        brief="an item of the list does not begin with a brace",
                    )
                end = self._end_of_item(position, last)
                if end < 0:
                    break
                items.append(self._decoded(bytes(view[position:end])))
                position = end
        del buffer[:position]
        return items

    def _skip_separator(self, position: int) -> int:
        buffer = self._buffer
        while position < len(buffer) and buffer[position] in b", \t\r\n":
            position += 1
        return position

    def _take_guessed(self, view: memoryview, position: int, items: list[Item]) -> int:
        """Take items from *position* on whose ends can be guessed; the index behind the last of them.

        An end is guessed from how the first item began, and decoding proves it: JSON that decodes whole is
        the item and nothing else. No item so far was shorter than `_shortest`, so it is looked for behind.
        """
        buffer, position = self._buffer, self._skip_separator(position)
        if not self._separator:
            if not (first := _FIRST_FIELD.match(buffer, position)):
                return position
            self._separator = b"}," + first[0]
        separator, kind, api_version = self._separator, self._kind, self._api_version
        while (end := buffer.find(separator, position + self._shortest) + 1) > 0:
            try:
                items.append(KubeObject.decode(bytes(view[position:end]), kind=kind, api_version=api_version))
            except PoisonObject:
                if not self._shortest:
                    return position  # a wrong guess, or poison: counting braces tells
                self._shortest = 0  # or a shorter item
                continue
            if not self._shortest:
                self._shortest = (end - position) * 7 // 8
            position = end + 1
        return position

    def _end_of_item(self, start: int, last: bool) -> int:
        """The index behind the item at *start*, by counting braces; -1 where it is not all there."""
        pending = len(self._buffer) - start
        if not last and pending < self._exact_from:
            return -1
        end = _object_end(self._buffer, start)
        if end < 0:
            if pending > self._max:
                raise WireError(f"an object of the list is larger than {self._max} bytes")
            self._exact_from = 2 * pending  # so that a huge object is not counted anew with every piece
            return -1
        self._exact_from = _EXACT_FROM
        self._separator = b""  # learn it anew from the next item
        return end

    def _decoded(self, raw: bytes) -> Item:
        try:
            return KubeObject.decode(raw, kind=self._kind, api_version=self._api_version)
        except PoisonObject as error:
            return Poison.of(_key_of_poison(raw), error)

    def _decode_envelope(self, data: bytes) -> _Envelope:
        try:
            return _envelope_decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WireError(f"what stands around the items of the list does not decode: {error}") from error

    def _reject(self, body: bytes) -> None:
        text = body[:120].decode("utf-8", "replace").strip()
        if not text:
            raise NotAKubernetesAnswer("a list was due, but the answer is empty")
        if text.startswith("{"):
            try:
                kind = _kind_of(_envelope_decoder.decode(body))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise WireError(f"the list ended early or is no JSON: {error}") from error
            raise NotAKubernetesAnswer(
                f"a list was due, but the answer is a {kind}: {text!r}",
                brief="a list was due, but the answer is another object",
            )
        raise NotAKubernetesAnswer(
            f"a list was due, but the answer is no JSON: {text!r}",
            brief="a list was due, but the answer is no JSON",
        )


# --- watches ---------------------------------------------------------------------------------------------


class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """ADDED, MODIFIED or DELETED, with the object."""

    type: str
    object: KubeObject


class Bookmark(msgspec.Struct, frozen=True, gc=False):
    """All up to `resource_version` was sent; `initial_events_end` closes a streaming list (KEP-3157)."""

    resource_version: str
    initial_events_end: bool = False


class WatchError(msgspec.Struct, frozen=True):
    """The server ends the watch with a Status."""

    status: Status


WatchFrame = WatchEvent | Bookmark | WatchError | Poison


class _LooseFrame(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _BookmarkMeta(msgspec.Struct, gc=False, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _BookmarkObject(msgspec.Struct, gc=False):
    metadata: _BookmarkMeta


_loose_frame_decoder: Final = msgspec.json.Decoder(_LooseFrame)
_bookmark_decoder: Final = msgspec.json.Decoder(_BookmarkObject)
_status_decoder: Final = msgspec.json.Decoder(Status, strict=False)
_PREFIXES: Final = tuple(
    (kind, b'{"type":"%s","object":' % kind.encode()) for kind in ("ADDED", "MODIFIED", "DELETED")
)
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class WatchDecoder:
    """Cuts a watch stream into frames: newline-delimited, split anywhere, blank lines allowed."""

    def __init__(self, *, max_object_bytes: int = MAX_OBJECT_BYTES) -> None:
        self._parts: list[bytes] = []  # the frame that has not ended yet, never joined before it has
        self._pending = 0
        self._max = max_object_bytes
        self.bytes = 0
        """Decoded bytes fed so far."""

    @property
    def cut(self) -> bool:
        """Whether the stream stands in the middle of a frame."""
        return any(part.strip() for part in self._parts)

    def feed(self, chunk: bytes) -> Iterator[WatchFrame]:
        """The frames that *chunk* completes, one after the other.

        Raises `WireError` at the first line that is no watch frame at all (HTML from a proxy, junk); the
        frames before it have been yielded then. A frame whose object does not decode is a `Poison`.
        """
        self.bytes += len(chunk)
        start, end = 0, chunk.find(b"\n")
        if end < 0:
            self._keep(chunk)
            return
        first = b""
        if self._parts:
            first = b"".join((*self._parts, chunk[:end]))
            self._parts.clear()
            self._pending = 0
            start = end + 1
        self._keep(chunk[chunk.rfind(b"\n") + 1 :])
        if first and not first.isspace():
            yield _decode_frame(first, 0, len(first))
        while (end := chunk.find(b"\n", start)) >= 0:  # a find is ten times as fast as a split
            if end > start and (chunk[start] == 0x7B or not chunk[start:end].isspace()):
                yield _decode_frame(chunk, start, end)
            start = end + 1

    def _keep(self, part: bytes) -> None:
        if not part:
            return
        self._pending += len(part)
        if self._pending > self._max:
            raise WireError(f"a watch frame is larger than {self._max} bytes")
        self._parts.append(part)


def _decode_frame(data: bytes, start: int, end: int) -> WatchFrame:
    """The frame in *data* from *start* to *end*.

    One that begins and ends as every event of a server of Go is what it should be if what stands between, cut
    out as it is to be kept, is an object.
    """
    for kind, prefix in _PREFIXES:
        if data.startswith(prefix, start, end) and data.endswith(b"}}", start, end):
            try:
                return WatchEvent(kind, KubeObject.decode(data[start + len(prefix) : end - 1]))
            except PoisonObject:
                break
    return _decode_odd_frame(data[start:end])


def _decode_odd_frame(line: bytes) -> WatchFrame:
    """A frame that is no plain event: a bookmark, an error, one written with white space, or poison."""
    try:
        frame = _loose_frame_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not line.lstrip().startswith(b'{"type"'):
            raise WireError(f"not a watch frame: {line[:120]!r}", brief="not a watch frame") from error
        return Poison(
            _key_of_poison(line),
            PoisonObject(f"a watch frame does not decode: {error}"),
            deleted=line.startswith(b'{"type":"DELETED"'),
        )
    raw = bytes(frame.object)
    try:
        match frame.type:
            case "ADDED" | "MODIFIED" | "DELETED":
                return WatchEvent(frame.type, KubeObject.decode(raw))
            case "BOOKMARK":
                meta = _bookmark_decoder.decode(raw).metadata
                end = (meta.annotations or {}).get(_INITIAL_EVENTS_END) == "true"
                return Bookmark(meta.resource_version, end)
            case "ERROR":
                return WatchError(_status_decoder.decode(raw))
    except PoisonObject as error:
        return Poison.of(_key_of_poison(raw), error, deleted=frame.type == "DELETED")
    except msgspec.DecodeError as error:
        raise WireError(f"a {frame.type} frame does not decode: {error}") from error
    raise WireError(
        f"not a watch frame: unknown type {frame.type[:40]!r}", brief="not a watch frame: unknown type"
    )
