"""What a verb is answered with, read as an object: its bytes are those that a watch has, without the newline
that ends an answer."""

from __future__ import annotations

import msgspec

from .api.errors import PoisonObject, WireError
from .api.objects import Header, KubeObject
from .api.resources import Resource
from .flow.answers import Answer

__all__ = ["object_deleted", "object_read", "object_written"]


def object_read(answer: Answer, where: Resource) -> KubeObject:
    """The object that a get was answered with. Raises `WireError` where the answer is none."""
    try:
        return KubeObject.decode(answer.body.rstrip(), kind=where.kind, api_version=where.api_version)
    except PoisonObject as error:
        raise WireError(f"{where}: the answer is no object: {error}") from error


def object_written(answer: Answer, where: Resource) -> KubeObject:
    """What a write was answered with. It has no name where it is a Status (an eviction) or a review.

    Raises `PoisonObject` where it is no object of any kind.
    """
    try:
        return KubeObject.decode(answer.body.rstrip(), kind=where.kind, api_version=where.api_version)
    except PoisonObject:
        try:
            header = msgspec.json.decode(answer.body, type=Header)
        except (msgspec.DecodeError, UnicodeDecodeError):
            header = None
        if header is None or not header.kind:
            raise
        return KubeObject(answer.body.rstrip(), header.metadata, header.kind, header.api_version)


def object_deleted(answer: Answer, where: Resource) -> KubeObject | None:
    """The last state that a delete was answered with, or None where the server sent none."""
    try:
        obj = KubeObject.decode(answer.body.rstrip(), kind=where.kind, api_version=where.api_version)
    except PoisonObject:
        return None
    return None if obj.kind == "Status" else obj
