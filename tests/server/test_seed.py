"""Seeded objects are realistic, the same for each seed, and known to the server's indexes."""

from __future__ import annotations

import json

from kresilient.testing.server import ApiState
from kresilient.testing.server.listing import ListOptions
from kresilient.testing.server.seed import node_name, seed_nodes, seed_pods, seed_services
from kresilient.testing.server.selection import Selection


def state() -> ApiState:
    return ApiState(now=lambda: 1_795_000_000.0)


def test_pods_are_of_realistic_size_a_third_of_it_managed_fields() -> None:
    one = state()
    keys = seed_pods(one, 100)
    stored = [one.collection(one.resources.parse("v1/pods")).objects[key] for key in keys]
    sizes = [len(pod.item) for pod in stored]
    managed = [
        len(json.dumps(pod.decode()["metadata"]["managedFields"], separators=(",", ":"))) for pod in stored
    ]
    assert 6_500 <= sum(sizes) / len(sizes) <= 8_500
    assert 0.33 <= sum(managed) / sum(sizes) <= 0.5
    assert len({pod.uid for pod in stored}) == 100


def test_the_same_seed_makes_the_same_objects() -> None:
    bodies = []
    for seed in (1, 1, 2):
        one = state()
        seed_pods(one, 20, seed=seed)
        seed_nodes(one, 3, seed=seed)
        pods, nodes = one.resources.parse("v1/pods"), one.resources.parse("v1/nodes")
        bodies.append([stored.item for resource in (pods, nodes) for stored in one.collection(resource)])
    assert bodies[0] == bodies[1]
    assert bodies[0] != bodies[2]


def test_what_the_server_knows_of_a_pod_is_what_its_bytes_say() -> None:
    one = state()
    keys = seed_pods(one, 50, nodes=7, namespaces=3)
    pods = one.resources.parse("v1/pods")
    for key in keys:
        stored = one.collection(pods).objects[key]
        obj = stored.decode()
        assert stored.key == f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
        assert stored.labels == obj["metadata"]["labels"]
        assert stored.node == obj["spec"]["nodeName"]
        assert str(stored.version) == obj["metadata"]["resourceVersion"]
        assert b"@" not in stored.item
    page = one.page(pods, Selection(pods, fields=f"spec.nodeName={node_name(3)}"), ListOptions())
    assert {stored.key for stored in page.items} == {
        key for key in keys if one.get(pods, key).node == node_name(3)
    }
    assert len(page.items) == 7


def test_a_seeded_pod_written_back_unchanged_stays_as_it_is() -> None:
    one = state()
    (key,) = seed_pods(one, 1)
    pods, version = one.resources.parse("v1/pods"), one.version
    one.update(pods, key, one.get(pods, key).decode())
    assert one.version == version


def test_pods_refer_to_seeded_nodes_and_services_lie_in_their_namespaces() -> None:
    one = state()
    keys = seed_pods(one, 30, nodes=5, namespaces=2)
    nodes = set(seed_nodes(one, 5))
    services = seed_services(one, 10, namespaces=2)
    pods = one.resources.parse("v1/pods")
    assert {one.get(pods, key).node for key in keys} == nodes
    assert {key.partition("/")[0] for key in services} == {key.partition("/")[0] for key in keys}
    assert {"team-00", "team-01"} <= set(one.collection(one.resources.parse("v1/namespaces")).objects)
