"""Errors, selectors and resources, as user code meets them."""

from __future__ import annotations

from typing import Any, assert_type

import kresilient as kr


async def what_went_wrong(client: kr.Client) -> str:
    try:
        await client.get("v1/pods", "default/web-0")
    except kr.NotFound as error:
        assert_type(error.status, kr.Status)
        assert_type(error.status.message, str)
        return error.status.reason
    except (kr.Conflict, kr.TooManyRequests) as error:
        assert_type(error.retry_after, float | None)
        return str(error)
    except kr.ApiError as error:
        assert_type(error.code, int)
    except kr.OutcomeUnknown:
        return "it may have happened"
    except kr.TransportError:
        return "no answer"
    except kr.KresilientError as error:
        return str(error)
    return ""


async def not_in_sync(pods: kr.Informer[kr.KubeObject]) -> None:
    try:
        await pods.synced(timeout=1, fail_fast=False)
        pods.list()
    except kr.SyncError as error:
        timed_out: TimeoutError = error
        raise timed_out from None
    except kr.NotSyncedError:
        pass


def selectors(pod: kr.KubeObject) -> None:
    labels = kr.LabelSelector.parse("app in (web, api),!canary,generation>3")
    assert_type(labels, kr.LabelSelector)
    assert_type(labels.matches(pod.labels), bool)
    fields = kr.FieldSelector.parse("spec.nodeName=n1,status.phase!=Failed")
    assert_type(fields, kr.FieldSelector)
    assert_type(fields.compile(kr.Resource.parse("v1/pods"))(pod), bool)


def resources() -> None:
    resource = kr.Resource.parse("apps/v1/deployments/status")
    assert_type(resource, kr.Resource)
    assert_type(resource.group, str)
    assert_type(resource.parent, kr.Resource)
    assert_type(resource.object_path("default/web"), str)


def objects(raw: bytes) -> None:
    pod = kr.KubeObject.decode(raw, kind="Pod", api_version="v1")
    assert_type(pod, kr.KubeObject)
    assert_type(kr.KubeObject.from_dict({"metadata": {"name": "a"}}), kr.KubeObject)
    assert_type(pod.as_type(dict[str, Any]), dict[str, Any])
    assert_type(pod.raw, bytes)
    assert_type(pod.meta, kr.ObjectMeta)
