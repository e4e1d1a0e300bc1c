"""What labels and fields select, kind by kind, and what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .api import Api
from .client import Client, collection, names

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIGMAPS = "v1/configmaps"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def numbered(client: Client, namespace: str) -> AsyncIterator[str]:
    """The label `app` of four configmaps, with a label `i` from 0 to 3, and an empty `e` on the first."""
    api = Api(client, namespace)
    label, base = api.name(), api.name()
    for i in range(4):
        labels = {"app": label, "i": str(i), **({} if i else {"e": ""})}
        await api.configmap(name=f"{base}-{i}", labels=labels)
    yield label
    await api.clean()


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("i=1", "1"),
        ("i==1", "1"),
        ("i!=1", "023"),
        ("i in (1,2)", "12"),
        ("i in (1, 2 ,9)", "12"),
        ("i notin (1,2)", "03"),
        ("i", "0123"),
        ("!i", ""),
        ("e=", "0"),
        ("e!=", "123"),
        ("e", "0"),
        ("!e", "123"),
        ("i>1", "23"),
        ("i<1", "0"),
        ("i=1,e", ""),
        ("i in (0,1),e", "0"),
        ("absent!=x", "0123"),
        ("absent notin (x)", "0123"),
    ],
)
async def test_a_label_selector(api: Api, numbered: str, selector: str, chosen: str) -> None:
    """Kubernetes documentation: Labels and Selectors (Recorded: 05 label selector: in)"""
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=f"app={numbered},{selector}")).ok(200)
    assert [one["metadata"]["labels"]["i"] for one in body["items"]] == list(chosen)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in b", None),
        ("a in (", None),
        ("a>b", None),
        ("-a=b", None),
        ("a=-b", None),
        (",", None),
    ],
)
async def test_a_label_selector_that_is_none_is_refused(api: Api, selector: str, message: str | None) -> None:
    """Recorded: 05 label selector: invalid"""
    (await api.get(api.path(CONFIGMAPS), labelSelector=selector)).refused(400, "BadRequest", message)


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("metadata.name={0}", "0"),
        ("metadata.name=={0}", "0"),
        ("metadata.name!={0}", "123"),
        ("metadata.name={0},metadata.namespace={ns}", "0"),
        ("metadata.namespace=other", ""),
        ("metadata.name={0},metadata.name={1}", ""),
        ("", "0123"),
    ],
)
async def test_a_field_selector(api: Api, numbered: str, selector: str, chosen: str) -> None:
    """Recorded: 05 field selector: metadata.name"""
    every = (await api.get(api.path(CONFIGMAPS), labelSelector=f"app={numbered}")).ok()
    fields = selector.format(*names(every), ns=api.namespace)
    body = (await api.get(api.path(CONFIGMAPS), labelSelector=f"app={numbered}", fieldSelector=fields)).ok(
        200
    )
    assert [one["metadata"]["labels"]["i"] for one in body["items"]] == list(chosen)


async def test_a_field_that_no_kind_knows_is_refused(api: Api) -> None:
    """Recorded: 05 field selector: unsupported"""
    (await api.get(api.path(CONFIGMAPS), fieldSelector="data.k=1")).refused(
        400,
        "BadRequest",
        '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"',
    )


@pytest.mark.parametrize(
    ("resource", "fields"),
    [
        (
            "v1/pods",
            [
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.nominatedNodeName",
            ],
        ),
        (
            "v1/events",
            [
                "involvedObject.kind",
                "involvedObject.namespace",
                "involvedObject.name",
                "involvedObject.uid",
                "involvedObject.apiVersion",
                "involvedObject.resourceVersion",
                "involvedObject.fieldPath",
                "reason",
                "reportingComponent",
                "source",
                "type",
            ],
        ),
        ("v1/secrets", ["type"]),
        ("v1/services", ["spec.clusterIP", "spec.type"]),
        ("v1/replicationcontrollers", ["status.replicas"]),
        ("apps/v1/replicasets", ["status.replicas"]),
        ("batch/v1/jobs", ["status.successful"]),
        ("v1/nodes", ["spec.unschedulable"]),
        ("v1/namespaces", ["status.phase"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_kind_knows_fields_of_its_own(api: Api, resource: str, fields: list[str]) -> None:
    """Kubernetes documentation: Field Selectors, list of supported fields"""
    at = collection(resource) if resource in ("v1/nodes", "v1/namespaces") else api.path(resource)
    for field in fields:
        (await api.get(at, fieldSelector=f"{field}=x")).ok(200)
    answer = await api.get(at, fieldSelector="spec.foo=1")
    status = answer.refused(400, "BadRequest")
    assert "spec.foo" in status["message"]


async def test_pods_are_found_by_node_and_phase(api: Api) -> None:
    """Recorded: 05 field selector on pods: spec.nodeName and status.phase"""
    label = api.name()
    one, two = [(await api.pod(labels={"app": label}))["metadata"]["name"] for _ in range(2)]
    node = f"no-{one}"
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    body = {"metadata": {"name": one}, "target": target}
    (await api.post(api.path("v1/pods", one, "binding"), body)).ok(201)

    async def found(selector: str) -> list[str]:
        answer = await api.get(api.path("v1/pods"), labelSelector=f"app={label}", fieldSelector=selector)
        return names(answer.ok(200))

    assert await found(f"spec.nodeName={node}") == [one]
    assert await found("spec.nodeName=,status.phase=Pending") == [two]
    assert await found("status.phase!=Pending") == []
    assert await found(f"spec.nodeName!={node}") == [two]


async def test_a_field_of_pods_that_is_not_known_is_refused(api: Api) -> None:
    """Recorded: 05 field selector on pods: unsupported"""
    answer = await api.get(api.path("v1/pods"), fieldSelector="spec.foo=1")
    answer.refused(400, "BadRequest", "field label not supported: spec.foo")


async def test_events_are_found_by_what_they_are_about(api: Api) -> None:
    """Recorded: 09 events by involved object"""
    about = {"kind": "ConfigMap", "namespace": api.namespace, "name": api.name()}
    event = {"involvedObject": about, "reason": "Tested", "type": "Normal"}
    made = await api.create("v1/events", event)
    fields = f"involvedObject.name={about['name']},reason=Tested,type=Normal"
    body = (await api.get(api.path("v1/events"), fieldSelector=fields)).ok(200)
    assert names(body) == [made["metadata"]["name"]]


async def test_secrets_are_found_by_type(api: Api) -> None:
    """Kubernetes documentation: Field Selectors"""
    made = await api.create("v1/secrets", {"type": f"example.com/{api.name()}"})
    body = (await api.get(api.path("v1/secrets"), fieldSelector=f"type={made['type']}")).ok(200)
    assert names(body) == [made["metadata"]["name"]]


async def test_a_field_selector_that_is_none_is_refused(api: Api) -> None:
    """Recorded: 05 field selector: bad syntax"""
    (await api.get(api.path(CONFIGMAPS), fieldSelector="metadata.name")).refused(
        400, "BadRequest", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
    )
