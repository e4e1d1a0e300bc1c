"""The real kubectl takes a definition and its objects through their whole life."""

from __future__ import annotations

import json
from pathlib import Path

from kresilient.testing.server import FakeApiServer

from .custom import definition, version, widget
from .test_kubectl import Kubectl

PROPERTIES = {
    "size": {"type": "integer", "minimum": 0, "description": "how many"},
    "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
}
SCALE = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}
CRD = definition(
    version(
        PROPERTIES,
        subresources={"status": {}, "scale": SCALE},
        additionalPrinterColumns=[{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    ),
    names={"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
)


async def test_a_definition_and_its_objects_live_and_go(tmp_path: Path) -> None:
    async with FakeApiServer() as server:
        kubectl = Kubectl(server, tmp_path)
        await kubectl("apply", "-f", "-", stdin=json.dumps(CRD))
        await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
        await kubectl("apply", "-f", "-", stdin=json.dumps(widget({"size": 1})))
        assert (await kubectl("get", "wd")).split() == ["NAME", "SIZE", "w", "1"]
        await kubectl("scale", "wd/w", "--replicas=3")
        await kubectl(
            "patch", "wd", "w", "--subresource=status", "--type=merge", "-p", '{"status": {"size": 2}}'
        )
        found = json.loads(await kubectl("get", "wd", "w", "-o", "json"))
        assert (found["spec"], found["status"]) == ({"color": "red", "size": 3}, {"size": 2})
        assert "how many" in await kubectl("explain", "widgets.spec.size")
        await kubectl("delete", "crd", "widgets.example.com")
        assert "widgets" not in await kubectl("api-resources")


async def test_an_object_that_does_not_fit_is_refused_field_by_field(tmp_path: Path) -> None:
    async with FakeApiServer() as server:
        kubectl = Kubectl(server, tmp_path)
        await kubectl("apply", "-f", "-", stdin=json.dumps(CRD))
        process = await kubectl.start("create", "-f", "-")
        bad = json.dumps(widget({"size": -1, "color": "green"}))
        _, err = await process.communicate(bad.encode())
        assert process.returncode == 1
        assert err.decode().splitlines()[:3] == [
            'The Widget "w" is invalid: ',
            '* spec.color: Unsupported value: "green": supported values: "red", "blue"',
            "* spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 0",
        ]
