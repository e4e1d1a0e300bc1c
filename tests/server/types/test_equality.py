"""Two values are the same by what they mean to their type."""

from __future__ import annotations

from typing import Any

import pytest

from kresilient.testing.server.types.equality import same
from kresilient.testing.server.types.schema import builtin_types


def pod(**container: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", **container}]}}


def limits(**amounts: str) -> dict[str, Any]:
    return pod(resources={"limits": amounts})


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (limits(memory="1Gi"), limits(memory="1073741824"), True),
        (limits(memory="1Gi"), limits(memory="1G"), False),
        (limits(memory="1Gi"), limits(cpu="1Gi"), False),
        (limits(memory="1Gi"), pod(), False),
        (pod(env=[{"name": "A", "value": "1Gi"}]), pod(env=[{"name": "A", "value": "1073741824"}]), False),
        (pod(command=["a", "b"]), pod(command=["b", "a"]), False),
        (pod(command=["a"]), pod(command=["a", "b"]), False),
        (pod(command=[]), pod(), True),
        (pod(image="a"), pod(), False),
        ({**pod(), "extra": 1}, pod(), False),
    ],
)
def test_quantities_count_by_what_they_amount_to(one: Any, other: Any, alike: bool) -> None:
    kind = builtin_types()["io.k8s.api.core.v1.Pod"]
    assert same(kind, one, other) is alike
    assert same(kind, other, one) is alike
