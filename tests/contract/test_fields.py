"""The fields of built-in kinds: their types, their order, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"
DEPLOYMENTS = "apps/v1/deployments"


def template(**spec: Any) -> dict[str, Any]:
    whole = {"containers": [{"name": "c", "image": "i:1"}], **spec}
    return {"metadata": {"labels": {"app": "c"}}, "spec": whole}


def deployment(name: str = "", **spec: Any) -> dict[str, Any]:
    whole = {"replicas": 0, "selector": {"matchLabels": {"app": "c"}}, "template": template(), **spec}
    return {"metadata": {"name": name} if name else {}, "spec": whole}


async def test_a_field_of_another_type_is_refused(api: Api) -> None:
    """Recorded: 02 wrong type of a field"""
    answer = await api.post(api.path(CONFIGMAPS), {"metadata": {"name": api.name()}, "data": {"k": 1}})
    answer.refused(
        400,
        "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go '
        "struct field ConfigMap.data of type string",
    )


@pytest.mark.parametrize("number", ["1.0", "1.5", "2147483648"])
async def test_a_number_that_is_no_integer_or_too_large_is_refused(api: Api, number: str) -> None:
    """Source: internal/golang/encoding/json/decode.go"""
    body = json.dumps(deployment(api.name(), replicas=17)).replace("17", number)
    (await api.post(api.path(DEPLOYMENTS), body)).refused(
        400,
        "BadRequest",
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number '
        f"{number} into Go struct field DeploymentSpec.spec.replicas of type int32",
    )


@pytest.mark.parametrize("kind", ["json", "merge"])
async def test_a_patch_makes_no_integer_of_a_number_with_a_point(api: Api, kind: str) -> None:
    """Source: internal/golang/encoding/json/decode.go"""
    name = (await api.create(DEPLOYMENTS, deployment()))["metadata"]["name"]
    patch: Any = {"spec": {"replicas": 1.0}}
    if kind == "json":
        patch = [{"op": "replace", "path": "/spec/replicas", "value": 1.0}]
    status = (await api.patch(api.path(DEPLOYMENTS, name), patch, kind)).refused(422, "Invalid")
    assert "cannot unmarshal number 1.0 into Go struct field" in status["message"]


async def test_a_strategic_merge_makes_an_integer_of_a_whole_number(api: Api) -> None:
    """Source: staging/src/k8s.io/apimachinery/pkg/runtime/converter.go"""
    name = (await api.create(DEPLOYMENTS, deployment()))["metadata"]["name"]
    path, patch = api.path(DEPLOYMENTS, name), {"spec": {"minReadySeconds": 1.0}}
    changed = (await api.patch(path, patch, "strategic")).ok()
    assert json.dumps(changed["spec"]["minReadySeconds"]) == "1"


async def test_yaml_has_no_point_in_a_whole_number(api: Api) -> None:
    """API concepts: Alternate representations of resources"""
    body = json.dumps(deployment(api.name(), minReadySeconds=1.0))
    made = (await api.send("POST", api.path(DEPLOYMENTS), body, content_type="application/yaml")).ok(201)
    assert json.dumps(made["spec"]["minReadySeconds"]) == "1"


async def test_an_unknown_field_is_dropped_with_a_warning(api: Api) -> None:
    """Recorded: 02 unknown field, default validation"""
    answer = await api.post(api.path(CONFIGMAPS), {"metadata": {"name": api.name()}, "bogus": 1})
    assert "bogus" not in answer.ok(201)
    assert answer.headers["Warning"] == '299 - "unknown field \\"bogus\\""'


async def test_an_unknown_field_is_dropped_in_silence_when_asked(api: Api) -> None:
    """KEP-2885: server-side unknown field validation"""
    body = {"metadata": {"name": api.name()}, "bogus": 1}
    answer = await api.post(api.path(CONFIGMAPS), body, fieldValidation="Ignore")
    assert "bogus" not in answer.ok(201)
    assert "Warning" not in answer.headers


async def test_an_unknown_field_is_refused_when_asked(api: Api) -> None:
    """Recorded: 02 unknown field, strict"""
    body = {"metadata": {"name": api.name()}, "bogus": 1}
    (await api.post(api.path(CONFIGMAPS), body, fieldValidation="Strict")).refused(
        400,
        "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field '
        '"bogus"',
    )


async def test_a_field_given_twice_is_refused_when_asked(api: Api) -> None:
    """KEP-2885: server-side unknown field validation"""
    metadata = json.dumps({"name": api.name()})
    body = f'{{"metadata": {metadata}, "data": {{"k": "a", "k": "b"}}}}'
    status = (await api.post(api.path(CONFIGMAPS), body, fieldValidation="Strict")).refused(400, "BadRequest")
    assert status["message"].endswith('strict decoding error: duplicate field "data.k"')


async def test_validation_of_another_kind_is_refused(api: Api) -> None:
    """Source: apimachinery/pkg/apis/meta/v1/validation/validation.go"""
    body = {"metadata": {"name": api.name()}}
    status = (await api.post(api.path(CONFIGMAPS), body, fieldValidation="Perhaps")).refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["fieldValidation"]


async def test_an_unknown_field_in_a_patch_is_a_warning(api: Api) -> None:
    """KEP-2885: server-side unknown field validation"""
    name = (await api.configmap())["metadata"]["name"]
    answer = await api.patch(api.path(CONFIGMAPS, name), {"bogus": 1, "data": {"k": "v"}})
    assert answer.ok()["data"] == {"k": "v"}
    assert answer.headers["Warning"] == '299 - "unknown field \\"bogus\\""'


async def test_fields_are_in_the_order_of_the_type(api: Api) -> None:
    """Recorded: 02 immutable configmap"""
    body = {"data": {"k": "v"}, "immutable": True, "metadata": {"name": api.name()}, "kind": "ConfigMap"}
    made = (await api.post(api.path(CONFIGMAPS), body)).ok(201)
    assert list(made) == ["kind", "apiVersion", "metadata", "immutable", "data"]


async def test_the_keys_of_a_map_are_in_order(api: Api) -> None:
    """Recorded: 03 JSON patch"""
    assert list((await api.configmap({"n": "1", "m": "2"}))["data"]) == ["m", "n"]
