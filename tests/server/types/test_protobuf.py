"""Protobuf requests: what kubectl 1.37 sent, against the JSON that it prints, and any bytes at all."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.requests import Call
from kresilient.testing.server.types.decode import decoded
from kresilient.testing.server.types.protobuf import MEDIA_TYPE, ProtobufFault, read_protobuf
from kresilient.testing.server.types.schema import builtin_types

SENT: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "from_kubectl.json").read_text("utf-8"))


@pytest.mark.parametrize("name", SENT)
def test_what_kubectl_sends_is_what_it_prints(name: str) -> None:
    printed = SENT[name]["json"]
    group, _, version = printed["apiVersion"].rpartition("/")
    kind = builtin_types().of_kind(group, version, printed["kind"])
    assert kind is not None
    read = read_protobuf(base64.b64decode(SENT[name]["protobuf"]))
    read["metadata"].pop("namespace", None)  # kubectl prints it only where one was asked for
    printed["metadata"].pop("namespace", None)
    assert decoded(kind, read) == decoded(kind, printed)


@pytest.mark.parametrize("name", SENT)
def test_a_message_cut_anywhere_is_a_fault_or_a_smaller_object(name: str) -> None:
    body = base64.b64decode(SENT[name]["protobuf"])
    for size in range(len(body)):
        try:
            read = read_protobuf(body[:size])
        except ProtobufFault:
            continue
        assert read["kind"] == SENT[name]["json"]["kind"]


@pytest.mark.parametrize(("sent", "kept"), [(2**32 + 5, 5), (2**31, -(2**31)), (2**64 - 1, -1)])
def test_a_whole_number_of_32_bits_keeps_its_lowest(sent: int, kept: int) -> None:
    """As the decoders in `generated.pb.go` do, where JSON is refused."""
    spec = _field(1, sent)  # replicas
    about = _field(1, b"apps/v1") + _field(2, b"Deployment")
    read = read_protobuf(b"k8s\0" + _field(1, about) + _field(2, _field(2, spec)))
    assert read["spec"] == {"replicas": kept}


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return _varint(number << 3 | 2) + _varint(len(value)) + value
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


@given(st.binary(max_size=64), st.sampled_from(sorted(SENT)), st.integers(min_value=0))
def test_any_bytes_are_a_fault_or_an_object(noise: bytes, name: str, at: int) -> None:
    body = bytearray(base64.b64decode(SENT[name]["protobuf"]))
    at %= len(body)
    body[at : at + len(noise)] = noise
    try:
        assert isinstance(read_protobuf(bytes(body)), dict)
    except ProtobufFault as fault:
        assert str(fault)


async def post(server: MemoryApiServer, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    headers = {"content-type": MEDIA_TYPE, "accept": f"{MEDIA_TYPE},application/json"}
    reply = await server.exchange(Call("POST", path, {}, headers, body))
    try:
        return reply.status, json.loads(b"".join([piece async for piece in reply.chunks]))
    finally:
        reply.finish()


async def test_a_create_in_protobuf_is_answered_in_json() -> None:
    async with MemoryApiServer() as server:
        body = base64.b64decode(SENT["deployment"]["protobuf"])
        status, made = await post(server, "/apis/apps/v1/namespaces/default/deployments", body)
        assert (status, made["spec"]["replicas"]) == (201, 3)


async def test_garbage_in_protobuf_is_a_bad_request() -> None:
    async with MemoryApiServer() as server:
        status, said = await post(server, "/api/v1/namespaces/default/configmaps", b"k8s\0\xff")
        assert (status, said["message"]) == (400, "unexpected EOF")
        status, said = await post(server, "/api/v1/namespaces/default/configmaps", b"{}")
        assert status == 400
        assert said["message"].startswith("provided data does not appear to be a protobuf message")
