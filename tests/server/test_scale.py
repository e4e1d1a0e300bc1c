"""The scale subresource: a Scale of a wrong form is refused, however it comes."""

from __future__ import annotations

from typing import Any

import pytest

from .builtin.objects import valid
from .custom import Wire

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def wire() -> Wire:
    made = Wire()
    assert made.ask("POST", DEPLOYMENTS, valid("apps/v1/deployments"))[0] == 201
    return made


@pytest.mark.parametrize(
    ("method", "kind", "code"),
    [("PUT", "", 400), ("PATCH", "merge", 422), ("PATCH", "apply", 500)],
)
@pytest.mark.parametrize("wrong", [{"spec": 1}, {"spec": {"replicas": "two"}}, {"metadata": {"labels": 1}}])
def test_a_value_of_a_wrong_type_is_refused(
    wire: Wire, method: str, kind: str, code: int, wrong: dict[str, Any]
) -> None:
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}, **wrong}
    status, answer = wire.ask(method, f"{DEPLOYMENTS}/a/scale?fieldManager=m", scale, kind=kind)
    assert (status, answer["kind"]) == (code, "Status")
