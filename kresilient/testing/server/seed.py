"""Realistic objects by the thousand, the same for each seed: pods of about 7 KB, nodes and services."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from .kinds import ApiResource
from .objects import encode_ordered, timestamp
from .seed_templates import APPS, NODE, POD, SERVICE
from .state import ApiState
from .storage import Stored

__all__ = ["node_name", "seed_nodes", "seed_pods", "seed_services"]

_SLOT: Final = re.compile(rb"@([a-z_]+)@")
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"


def node_name(index: int) -> str:
    """The name of the node number *index*, as the pods refer to it."""
    return f"node-{index:05d}"


def seed_pods(
    state: ApiState, n: int, *, nodes: int | None = None, namespaces: int = 10, seed: int = 0
) -> list[str]:
    """Store *n* running pods, spread over *nodes* nodes (about 30 on each, if not said) and *namespaces*
    namespaces; returns their keys. The nodes themselves are `seed_nodes`'s.

    They are there without events, as before the history: a watch from an older version answers 410.
    """
    random = Random(f"pods {seed}")
    resource = state.resources.parse("v1/pods")
    spread = nodes or max(1, n // 30)
    _namespaces(state, namespaces)
    template = _Template(resource, POD)
    version = state.version
    created = state.now() - 86_400.0
    keys: list[str] = []

    def made() -> Iterator[Stored]:
        for index in range(n):
            app = APPS[index % len(APPS)]
            namespace = f"team-{index % namespaces:02d}"
            pod_hash = f"{(index // 20) * 2654435761 % 2**32:08x}"
            name = f"{app}-{pod_hash}-{index:06d}"
            key = f"{namespace}/{name}"
            node = node_name(index % spread)
            moment = timestamp(created + index % 80_000)
            labels = {
                "app.kubernetes.io/instance": f"{app}-{namespace}",
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/version": "4.2.1",
                "pod-template-hash": pod_hash,
                "topology.example.com/tier": ("front", "back", "data")[index % 3],
            }
            item = template.fill(
                {
                    "name": name,
                    "prefix": f"{app}-{pod_hash}-",
                    "namespace": namespace,
                    "uid": _uid(random),
                    "version": str(version + 1 + index),
                    "created": moment,
                    "instance": labels["app.kubernetes.io/instance"],
                    "app": app,
                    "hash": pod_hash,
                    "tier": labels["topology.example.com/tier"],
                    "owner": f"{app}-{pod_hash}",
                    "owner_uid": f"{pod_hash}-1f3c-4c0e-9d7e-0f6f7b8f2a11",
                    "node": node,
                    "host_ip": f"10.{index % spread // 250}.{index % spread % 250}.1",
                    "pod_ip": f"10.{64 + index // 65_536}.{index // 256 % 256}.{index % 256}",
                    "volume": "".join(random.choices(_ALPHABET, k=5)),
                    "digest": f"{random.getrandbits(256):064x}",
                    "container": f"{random.getrandbits(256):064x}",
                    "sidecar": f"{random.getrandbits(256):064x}",
                }
            )
            keys.append(key)
            yield Stored(key, version + 1 + index, item, node, False, labels)

    state.load(resource, made())
    return keys


def seed_nodes(state: ApiState, n: int, *, seed: int = 0) -> list[str]:
    """Store *n* ready nodes, named as `seed_pods` refers to them; returns their keys."""
    random = Random(f"nodes {seed}")
    template = _Template(state.resources.parse("v1/nodes"), NODE)
    version, created = state.version, timestamp(state.now() - 172_800.0)
    state.load(
        "v1/nodes",
        (
            Stored(
                node_name(index),
                version + 1 + index,
                template.fill(
                    {
                        "name": node_name(index),
                        "uid": _uid(random),
                        "version": str(version + 1 + index),
                        "created": created,
                        "zone": f"zone-{index % 3}",
                        "host_ip": f"10.{index // 250}.{index % 250}.1",
                        "digest": f"{random.getrandbits(128):032x}",
                    }
                ),
            )
            for index in range(n)
        ),
    )
    return [node_name(index) for index in range(n)]


def seed_services(state: ApiState, n: int, *, namespaces: int = 10, seed: int = 0) -> list[str]:
    """Store *n* services over *namespaces* namespaces; returns their keys."""
    random = Random(f"services {seed}")
    _namespaces(state, namespaces)
    template = _Template(state.resources.parse("v1/services"), SERVICE)
    version, created = state.version, timestamp(state.now() - 86_400.0)
    keys: list[str] = []

    def made() -> Iterator[Stored]:
        for index in range(n):
            app, namespace = APPS[index % len(APPS)], f"team-{index % namespaces:02d}"
            name = f"{app}-{index:05d}"
            keys.append(f"{namespace}/{name}")
            values = {
                "name": name,
                "namespace": namespace,
                "uid": _uid(random),
                "version": str(version + 1 + index),
                "created": created,
                "app": app,
                "cluster_ip": f"10.{96 + index // 65_536}.{index // 256 % 256}.{index % 256}",
            }
            yield Stored(keys[-1], version + 1 + index, template.fill(values))

    state.load("v1/services", made())
    return keys


class _Template:
    """An object's bytes with slots `@name@` in its strings, so that filling one costs a join."""

    def __init__(self, resource: ApiResource, obj: Mapping[str, Any]) -> None:
        self._pieces = _SLOT.split(encode_ordered(resource, obj))

    def fill(self, values: Mapping[str, str]) -> bytes:
        encoded = {name.encode(): value.encode() for name, value in values.items()}
        pieces = self._pieces
        return b"".join(encoded[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _uid(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _namespaces(state: ApiState, n: int) -> None:
    resource = state.resources.parse("v1/namespaces")
    for index in range(n):
        name = f"team-{index:02d}"
        if name not in state.collection(resource).objects:
            state.create(resource, {"metadata": {"name": name}})
