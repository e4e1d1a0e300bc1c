"""A conflict of uids names the key under which etcd holds the object."""

from __future__ import annotations

import pytest

from .builtin.objects import valid
from .custom import WIDGETS, Wire

UID = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        ("v1/configmaps", "/registry/configmaps/default/a"),
        ("v1/services", "/registry/services/specs/default/a"),
        ("v1/nodes", "/registry/minions/a"),
        ("v1/replicationcontrollers", "/registry/controllers/default/a"),
        ("apps/v1/deployments", "/registry/deployments/default/a"),
        ("networking.k8s.io/v1/ingresses", "/registry/ingress/default/a"),
    ],
)
def test_of_a_built_in_kind_it_has_no_group(resource: str, key: str) -> None:
    wire = Wire()
    kind = wire.state.resources.parse(resource)
    root = f"/api/{kind.version}" if not kind.group else f"/apis/{kind.api_version}"
    path = f"{root}/namespaces/default/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    obj = valid(resource)
    assert wire.ask("POST", path, obj)[0] == 201
    obj["metadata"]["uid"] = UID
    status, answer = wire.ask("PUT", f"{path}/a", obj)
    assert status == 409
    assert f"Key: {key}," in answer["message"]


def test_of_a_custom_resource_it_has_the_group() -> None:
    wire = Wire()
    wire.define()
    made = wire.create()
    made["metadata"]["uid"] = UID
    status, answer = wire.ask("PUT", f"{WIDGETS}/w", made)
    assert status == 409
    assert "Key: /registry/example.com/widgets/default/w," in answer["message"]
