"""Views as a user declares them; the other files use these."""

from __future__ import annotations

from typing import assert_type

import msgspec

import kresilient as kr


class Container(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    image: str = ""


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str = ""
    containers: tuple[Container, ...] = ()


class PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = "Unknown"
    pod_ip: str | None = None


class PodView(kr.View, resource="v1/pods"):
    spec: PodSpec
    status: PodStatus = PodStatus()

    @property
    def node(self) -> str:
        return self.spec.node_name


class ScaleView(kr.View, resource=kr.Resource.parse("apps/v1/deployments/scale"), rename=None):
    spec: dict[str, int]


class SpottedPodView(PodView, resource="v1/pods"):
    """A view of a view keeps the fields of its base."""

    apiVersion: str = "v1"  # noqa: N815  # a field may be spelled as the API spells it


def header(pod: PodView) -> None:
    assert_type(pod.key, str)
    assert_type(pod.name, str)
    assert_type(pod.namespace, str)
    assert_type(pod.uid, str)
    assert_type(pod.resource_version, str)
    assert_type(pod.metadata, kr.ObjectMeta)
    assert_type(pod.metadata.deletion_timestamp, str | None)
    assert_type(pod.labels["app"], str)


def body(pod: PodView, spotted: SpottedPodView) -> None:
    assert_type(pod.spec, PodSpec)
    assert_type(pod.spec.containers[0].image, str)
    assert_type(pod.status.pod_ip, str | None)
    assert_type(pod.node, str)
    assert_type(spotted.spec.node_name, str)
    assert_type(spotted.apiVersion, str)


def made_by_hand() -> PodView:
    meta = kr.ObjectMeta(name="web-0", namespace="default", labels_={"app": "web"})
    return PodView(metadata=meta, spec=PodSpec(node_name="n1"))
