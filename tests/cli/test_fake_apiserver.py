from __future__ import annotations

import argparse
import json
import signal
import stat
from pathlib import Path

import pytest

import kresilient
from kresilient.cli.failures import CommandFailed
from kresilient.cli.fake_apiserver import _serve, add_command
from kresilient.testing.server import FakeApiServer

from .commands import Command, run, running

MANIFESTS = """\
# A custom resource before its definition, an empty document, and a List.
apiVersion: example.com/v1
kind: Widget
metadata: {name: gear, namespace: blue}
spec: {teeth: 12}
---
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {mode: fast}
  - apiVersion: v1
    kind: Pod
    metadata: {name: web-0, namespace: blue}
    spec: {containers: [{name: app, image: app}]}
    status: {phase: Running}
---
apiVersion: v1
kind: ConfigMapList
items:
  - metadata: {name: more}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


async def url_of(server: Command) -> str:
    return (await server.line_with("listening on ")).removeprefix("listening on ")


async def names(url: str, resource: str) -> list[str]:
    async with kresilient.connect(server=url) as client:
        return [obj.key for obj in await client.list(resource)]


async def test_it_says_where_it_is_and_how_to_use_it() -> None:
    async with running("fake-apiserver", "--port", 0, "--seed-pods", 60, "--seed-nodes", 2) as server:
        url = await url_of(server)
        assert f"kubectl --server {url} get pods -A" in await server.line_with("kubectl")
        assert f"kresilient watch v1/pods -A --server {url}" in await server.line_with("watch")
        assert len(await names(url, "v1/pods")) == 60
        assert await names(url, "v1/nodes") == ["node-00000", "node-00001"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_is_its_normal_end_also_with_a_watch_open(number: signal.Signals) -> None:
    async with running("fake-apiserver", "--port", 0, "--seed-nodes", 1) as server:
        url = await url_of(server)
        async with kresilient.connect(server=url) as client, client.informer("v1/nodes") as nodes:
            await nodes.synced(timeout=10)
            server.send(number)
            ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")


async def test_a_port_in_use_is_named(apiserver: FakeApiServer) -> None:
    ended = await run("fake-apiserver", "--port", apiserver.port)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"kresilient fake-apiserver: port {apiserver.port} is in use: choose another")
    assert ended.err.count("\n") == 1


async def test_its_kubeconfig_leads_to_it_with_tls_and_token(tmp_path: Path) -> None:
    kubeconfig, ca = tmp_path / "kubeconfig", tmp_path / "ca.pem"
    options = ("--tls", "--token", "secret", "--kubeconfig-out", kubeconfig, "--ca-out", ca, "--seed-pods", 3)
    async with running("fake-apiserver", "--port", 0, *options) as server:
        url = await url_of(server)
        assert url.startswith("https://")
        assert f"kubectl --kubeconfig {kubeconfig} get" in await server.line_with("kubectl")
        assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
        by_kubeconfig = await run("watch", "v1/pods", "-A", "--once", "--stats", "--kubeconfig", kubeconfig)
        assert (by_kubeconfig.code, by_kubeconfig.err) == (0, "")
        assert json.loads(by_kubeconfig.out)["objects"] == 3
        direct = ("watch", "v1/pods", "-A", "--once", "--stats", "--server", url, "--ca-file", ca)
        assert json.loads((await run(*direct, "--token", "secret")).out)["objects"] == 3
        assert "401 Unauthorized" in (await run(*direct, "--token", "guess")).err


async def test_with_roles_its_admin_has_a_token_and_its_audit_log_names_who_asked(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    options = ("--authorization", "rbac", "--audit-log", log, "--seed-nodes", 1)
    async with running("fake-apiserver", "--port", 0, *options) as server:
        url = await url_of(server)
        token = (await server.line_with("watch")).rpartition("--token ")[2]
        ask = ("watch", "v1/nodes", "--once", "--stats", "--server", url)
        assert json.loads((await run(*ask, "--token", token)).out)["objects"] == 1
        assert "system:anonymous" in (await run(*ask)).err
    users = {json.loads(line)["user"]["username"] for line in log.read_text().splitlines()}
    assert users == {"admin", "system:anonymous"}


async def test_manifests_are_loaded_whatever_their_order_and_form(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(MANIFESTS)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {}}
    (tmp_path / "service.json").write_text(json.dumps(service))
    files = ("--load", tmp_path / "all.yaml", "--load", tmp_path / "service.json")
    async with running("fake-apiserver", "--port", 0, *files) as server:
        url = await url_of(server)
        assert await names(url, "example.com/v1/widgets") == ["blue/gear"]
        assert await names(url, "v1/configmaps") == ["default/more", "default/settings"]
        assert await names(url, "v1/services") == ["default/web"]
        async with kresilient.connect(server=url) as client:
            assert (await client.get("v1/pods", "blue/web-0")).field("status.phase") == "Running"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is neither YAML nor JSON"),
        ("a: b", "document 1 is no Kubernetes object"),
        ("---\n- 1", "document 1 is no Kubernetes object"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}", "document 1: Pod has no metadata.name"),
        ("apiVersion: v1\nkind: Wheel\nmetadata: {name: a}", "document 1: nothing serves Wheel of v1"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a/b}", "document 1: the server refuses it"),
        ("apiVersion: v1\nkind: List\nitems: [1]", "document 1, item 1 is no Kubernetes object"),
    ],
)
async def test_a_manifest_that_cannot_be_loaded_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    ended = await run("fake-apiserver", "--port", 0, "--load", tmp_path / "bad.yaml")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("kresilient fake-apiserver: ")
    assert f"{tmp_path / 'bad.yaml'}" in ended.err
    assert said in ended.err
    assert ended.err.count("\n") == 1


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = await run("fake-apiserver", "--port", 0, "--load", tmp_path / "none.yaml")
    assert ended.err == f"kresilient fake-apiserver: {tmp_path / 'none.yaml'}: No such file or directory\n"
    assert ended.code == 1


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    options = ("--data", tmp_path / "objects", "--seed-pods", 5)
    async with running("fake-apiserver", "--port", 0, *options) as server:
        async with kresilient.connect(server=await url_of(server)) as client:
            await client.create("v1/configmaps", {"metadata": {"name": "kept", "namespace": "default"}})
            pods = [obj.key for obj in await client.list("v1/pods")]
            await client.delete("v1/pods", pods.pop(), grace_period=0)
        server.send(signal.SIGKILL)
        await server.ended()
    async with running("fake-apiserver", "--port", 0, *options) as server:
        url = await url_of(server)
        assert await names(url, "v1/configmaps") == ["default/kept"]
        assert await names(url, "v1/pods") == pods  # and not seeded again


@pytest.mark.parametrize(("options", "left"), [((), 0), (("--no-controllers",), 1)])
async def test_a_pod_that_is_deleted_ends_unless_nothing_ends_it(options: tuple[str, ...], left: int) -> None:
    async with running("fake-apiserver", "--port", 0, "--seed-pods", 1, *options) as server:
        url = await url_of(server)
        async with kresilient.connect(server=url) as client:
            await client.delete("v1/pods", (await names(url, "v1/pods"))[0])
        assert len(await names(url, "v1/pods")) == left


async def test_data_that_is_none_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("no journal\nat all\n")
    ended = await run("fake-apiserver", "--port", 0, "--data", tmp_path / "objects")
    assert (ended.code, ended.out) == (1, "")
    assert f"line 1 of the journal {tmp_path / 'objects'} is broken" in ended.err
    assert ended.err.count("\n") == 1


async def test_it_ends_with_whoever_holds_its_stdin() -> None:
    async with running("fake-apiserver", "--port", 0, "--exit-with-stdin") as server:
        await url_of(server)
        server.process.stdin.close()
        ended = await server.ended()
        assert (ended.code, ended.err) == (0, "")


async def test_a_certificate_without_tls_makes_no_sense(tmp_path: Path) -> None:
    ended = await run("fake-apiserver", "--port", 0, "--ca-out", tmp_path / "ca.pem")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "kresilient fake-apiserver: --ca-out needs --tls: without, there is no authority\n"


@pytest.mark.parametrize("strict", [False, True])
async def test_it_is_strict_about_namespaces_where_it_is_told_to_be(strict: bool) -> None:
    options = ("--strict-namespaces",) if strict else ()
    async with running("fake-apiserver", "--port", 0, "--seed-pods", 3, *options) as server:
        url = await url_of(server)
        async with kresilient.connect(server=url) as client:
            creating = client.create("v1/configmaps", {"metadata": {"name": "a", "namespace": "nowhere"}})
            if not strict:
                assert (await creating).key == "nowhere/a"
            else:
                with pytest.raises(kresilient.NotFound, match='namespaces "nowhere" not found'):
                    await creating


async def test_a_server_that_does_not_start_closes_its_files(
    apiserver: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    close = FakeApiServer.close

    async def noted(self: FakeApiServer) -> None:
        await close(self)
        closed.append(self.url)

    monkeypatch.setattr(FakeApiServer, "close", noted)
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    for arguments in (("--port", str(apiserver.port)), ("--load", str(tmp_path / "none"))):
        parsed = parser.parse_args(["fake-apiserver", "--data", str(tmp_path / "journal"), *arguments])
        with pytest.raises((CommandFailed, OSError)):
            await _serve(parsed)
    assert len(closed) == 2


async def test_a_controller_that_there_is_not_is_named() -> None:
    ended = await run("fake-apiserver", "--port", 0, "--controllers", "namespace,scheduler")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "scheduler" in ended.err
