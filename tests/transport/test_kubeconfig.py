"""Kubeconfig files: merging, paths, users; exec plug-ins that are real programs; a real OIDC provider."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from aiohttp import web

from kresilient.api.errors import ConfigError, CredentialsError
from kresilient.transport.base import Request
from kresilient.transport.config import ClusterConfig, Impersonation
from kresilient.transport.exec_plugin import ExecPlugin
from kresilient.transport.http import HttpTransport
from kresilient.transport.kubeconfig import kubeconfig_config
from kresilient.transport.oidc import OidcProvider

from .servers import Received, always, response, serve

PODS = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods", timeout=5.0)
EXEC_V1 = "client.authentication.k8s.io/v1"
PATIENCE = 120.0
"""Seconds after which a test gives up on another process; on an idle machine none takes a second."""


def kubeconfig(
    server: str = "http://h", *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server} | (cluster or {})}],
        "users": [{"name": "u", "user": user or {}}],
    }


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def load(source: Any = None, **options: Any) -> ClusterConfig:
    return await kubeconfig_config(source, environ=options.pop("environ", {}), **options)


# --- files ---------------------------------------------------------------------------------------------


async def test_of_several_files_the_first_that_names_a_thing_wins(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(yaml.safe_dump({**kubeconfig("http://one"), "users": []}))
    second = kubeconfig("http://two", user={"token": "from-two"})
    second["current-context"] = "other"
    second["contexts"].append({"name": "other", "context": {"cluster": "k2"}})
    second["clusters"].append({"name": "k2", "cluster": {"server": "http://k2"}})
    two.write_text(yaml.safe_dump(second))
    environ = {"KUBECONFIG": os.pathsep.join([str(tmp_path / "absent"), str(one), "", str(two)])}
    config = await load(environ=environ)
    assert config.server == "http://one"
    assert await config.credentials.headers() == {"Authorization": "Bearer from-two"}
    assert (await load(environ=environ, context="other")).server == "http://k2"


async def test_relative_paths_are_relative_to_the_file_that_has_them(tmp_path: Path, ca: trustme.CA) -> None:
    (tmp_path / "a" / "pki").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    ca.cert_pem.write_to_path(tmp_path / "a" / "pki" / "ca.pem")
    (tmp_path / "b" / "token").write_text("t")
    first = kubeconfig("https://h", cluster={"certificate-authority": "pki/ca.pem"})
    del first["users"]
    (tmp_path / "a" / "config").write_text(yaml.safe_dump(first))
    (tmp_path / "b" / "config").write_text(yaml.safe_dump(kubeconfig(user={"tokenFile": "token"})))
    files = os.pathsep.join([str(tmp_path / "a" / "config"), str(tmp_path / "b" / "config")])
    config = await load(environ={"KUBECONFIG": files})
    assert config.ca_file == str(tmp_path / "a" / "pki" / "ca.pem")
    assert await config.credentials.headers() == {"Authorization": "Bearer t"}


async def test_inline_data_reaches_a_server_that_wants_a_client_certificate(ca: trustme.CA) -> None:
    leaf = ca.issue_cert("jane@x.y")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("kubernetes").configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with serve(always(response()), tls=tls) as server:
        content = kubeconfig(
            server.url,
            cluster={
                "certificate-authority-data": b64(ca.cert_pem.bytes()),
                "tls-server-name": "kubernetes",
            },
            user={
                "client-certificate-data": b64(leaf.cert_chain_pems[0].bytes()),
                "client-key-data": b64(leaf.private_key_pem.bytes()),
            },
        )
        transport = HttpTransport(await load(content))
        assert await (await transport.send(PODS)).read() == b"{}"
        await transport.close()


async def test_every_setting_of_cluster_context_and_user_is_taken() -> None:
    content = kubeconfig(
        "https://h:6443/prefix/",
        cluster={
            "insecure-skip-tls-verify": True,
            "proxy-url": "http://proxy:3128",
            "disable-compression": True,
        },
        user={
            "username": "jane",
            "password": "pw",
            "as": "root",
            "as-uid": "0",
            "as-groups": ["wheel"],
            "as-user-extra": {"scope": ["a", "b"]},
        },
    )
    content["contexts"][0]["context"]["namespace"] = "web"
    config = await load(content, environ={"HTTPS_PROXY": "http://ignored:1"})
    assert config.server == "https://h:6443/prefix"
    assert config.insecure_skip_tls_verify
    assert config.proxy == "http://proxy:3128"
    assert not config.compression
    assert config.namespace == "web"
    assert config.impersonate == Impersonation("root", ("wheel",), "0", {"scope": ("a", "b")})
    assert await config.credentials.headers() == {"Authorization": f"Basic {b64(b'jane:pw')}"}


async def test_the_environments_proxy_counts_where_the_kubeconfig_has_none() -> None:
    environ = {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".internal"}
    assert (await load(kubeconfig("https://kube"), environ=environ)).proxy == "http://p:1"
    assert (await load(kubeconfig("https://kube.internal"), environ=environ)).proxy is None


def broken(**changes: Any) -> dict[str, Any]:
    return {**kubeconfig(), **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (broken(**{"current-context": ""}), "no current-context: pass context=; it has: c"),
        (broken(contexts=[]), "has no context 'c'; it has: none"),
        (broken(clusters=[]), "has no cluster 'k'"),
        (broken(users=[]), "has no user 'u'"),
        (broken(clusters=[{"name": "k"}]), "cluster 'k' has no server"),
        (broken(clusters=[{"cluster": {}}]), "an item of clusters has no name"),
        (broken(users=[{"name": "u", "user": "x"}]), "user 'u' is no mapping"),
        (kubeconfig("h:1"), "no usable scheme"),
        (kubeconfig(cluster={"certificate-authority-data": "%%"}), "certificate-authority-data is no base64"),
        (kubeconfig(cluster={"certificate-authority-data": b64(b"x")}), "CA data is not PEM"),
        (kubeconfig(cluster={"proxy-url": "socks5://p:1"}), "SOCKS is not supported"),
        (kubeconfig(user={"auth-provider": {"name": "gcp"}}), "'gcp' is gone since Kubernetes 1.26"),
        (kubeconfig(user={"auth-provider": {"name": "oidc"}}), "needs idp-issuer-url"),
        (kubeconfig(user={"exec": {"command": "x"}}), "apiVersion None is none of"),
        (kubeconfig(user={"exec": {"apiVersion": EXEC_V1}}), "the command is missing"),
        (
            kubeconfig(user={"exec": {"apiVersion": EXEC_V1, "command": "x", "interactiveMode": "Always"}}),
            "needs a terminal",
        ),
        (kubeconfig(user={"client-key-data": b64(b"k")}), "without its certificate"),
    ],
)
async def test_what_a_kubeconfig_lacks_is_named(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await load(content)


async def test_a_file_that_is_no_kubeconfig_is_named_without_being_quoted(tmp_path: Path) -> None:
    path = tmp_path / "config"
    for text in ("token: [s3cret", "- s3cret", "s3cret", "\x00", "token: \xff\xfe"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(ConfigError, match=str(path)) as caught:
            await load(path)
        assert "s3cret" not in str(caught.value)
    path.write_text("")
    with pytest.raises(ConfigError, match="no current-context"):
        await load(path)
    with pytest.raises(ConfigError, match=r"no kubeconfig at .*absent"):
        await load(tmp_path / "absent")


async def test_a_refused_user_is_read_from_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "config"

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        granted = received.header("Authorization") == "Bearer new"
        writer.write(response(status="200 OK" if granted else "401 Unauthorized"))

    async with serve(answer) as server:
        path.write_text(yaml.safe_dump(kubeconfig(server.url, user={"token": "old"})))
        transport = HttpTransport(await load(path))
        path.write_text(yaml.safe_dump(kubeconfig(server.url, user={"token": "new"})))
        async with await transport.send(PODS) as got:
            assert got.status == 200
        path.write_text("broken: [")
        async with await transport.send(PODS) as got:
            assert got.status == 200
        await transport.close()


# --- exec plug-ins -------------------------------------------------------------------------------------


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A program that counts its runs in a file and prints `token-N`, or does what `$MODE` says."""
    path = tmp_path / "plugin.py"
    path.write_text(
        f"""#!{sys.executable}
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
runs = here / "runs"
with runs.open("a") as out:
    out.write("x")
number = len(runs.read_text())
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
(here / "info").write_text(json.dumps([info, sys.argv[1:], sys.stdin.read()]))
mode = os.environ.get("MODE", "")
if "QUIET" not in os.environ:
    sys.stderr.write("noise" * 100_000)
status = {{"token": f"token-{{number}}"}}
if mode == "fail":
    sys.exit("no ticket")
if mode in ("hang", "family"):
    if mode == "family":  # a child that holds the output open
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        (here / "child").write_text(str(child.pid))
    (here / "pid").write_text(str(os.getpid()))
    time.sleep(600)
if mode == "daemon":
    import subprocess
    child = subprocess.Popen(["sleep", "600"])
    (here / "child").write_text(str(child.pid))
if mode == "expiring":
    status["expirationTimestamp"] = "2030-01-01T00:00:00Z"
if mode == "empty":
    status = {{}}
if mode == "junk":
    print("s3cret {{"); sys.exit()
if mode == "certificate":
    cert, key = (here / "cert").read_text(), (here / "key").read_text()
    status = {{"clientCertificateData": cert, "clientKeyData": key}}
version = "client.authentication.k8s.io/v1beta1" if mode == "version" else info["apiVersion"]
print(json.dumps({{"apiVersion": version, "kind": "ExecCredential", "status": status}}))
"""
    )
    path.chmod(0o755)
    return path


def spec(plugin: Path, mode: str = "", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": EXEC_V1,
        "command": str(plugin),
        "args": ["--for", "me"],
        "env": [{"name": "MODE", "value": mode}],
        **more,
    }


def runs(plugin: Path) -> int:
    path = plugin.parent / "runs"
    return len(path.read_text()) if path.exists() else 0


async def test_an_exec_plugin_runs_once_for_many_requests_and_once_more_on_401(
    plugin: Path, tmp_path: Path
) -> None:
    accepted = "Bearer token-1"

    async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
        granted = received.header("Authorization") == accepted
        writer.write(response(status="200 OK" if granted else "401 Unauthorized"))

    async with serve(answer) as server:
        (tmp_path / "config").write_text(
            yaml.safe_dump(kubeconfig(server.url, user={"exec": spec(plugin) | {"command": "./plugin.py"}}))
        )
        transport = HttpTransport(await load(tmp_path / "config"))

        async def status() -> int:
            async with await transport.send(PODS) as got:
                return got.status

        assert set(await asyncio.gather(*(status() for _ in range(10)))) == {200}
        assert runs(plugin) == 1
        accepted = "Bearer token-2"
        assert set(await asyncio.gather(*(status() for _ in range(10)))) == {200}
        assert runs(plugin) == 2
        await transport.close()


async def test_an_exec_plugin_is_told_of_the_cluster_and_has_nothing_to_read(plugin: Path) -> None:
    content = kubeconfig(
        "https://h:1",
        cluster={
            "insecure-skip-tls-verify": True,
            "proxy-url": "http://p:1",
            "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}],
        },
        user={"exec": spec(plugin, provideClusterInfo=True)},
    )
    await (await load(content)).credentials.headers()
    info, args, stdin = json.loads((plugin.parent / "info").read_text())
    assert info["spec"] == {
        "interactive": False,
        "cluster": {
            "server": "https://h:1",
            "insecure-skip-tls-verify": True,
            "proxy-url": "http://p:1",
            "config": {"audience": "x"},
        },
    }
    assert (args, stdin) == (["--for", "me"], "")


async def test_an_expired_token_runs_the_plugin_again(plugin: Path) -> None:
    now = 0.0
    source = ExecPlugin(spec(plugin, "expiring"), wall=lambda: now)
    for _ in range(3):
        assert await source.headers() == {"Authorization": "Bearer token-1"}
    now = 1893456000.0  # 2030-01-01
    assert await source.headers() == {"Authorization": "Bearer token-2"}


async def test_an_exec_plugin_may_give_a_certificate(plugin: Path, ca: trustme.CA) -> None:
    leaf = ca.issue_cert("jane@x.y")
    leaf.cert_chain_pems[0].write_to_path(plugin.parent / "cert")
    leaf.private_key_pem.write_to_path(plugin.parent / "key")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    ca.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with serve(always(response()), tls=tls) as server:
        authority = {"certificate-authority-data": b64(ca.cert_pem.bytes())}
        content = kubeconfig(server.url, cluster=authority, user={"exec": spec(plugin, "certificate")})
        transport = HttpTransport(await load(content))
        assert await (await transport.send(PODS)).read() == b"{}"
        await transport.close()


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("fail", "exit code 1: .*no ticket"),
        ("junk", "readable ExecCredential"),
        ("empty", "neither a token nor a client certificate"),
        ("version", "v1beta1 ExecCredential where a .*/v1 ExecCredential was due"),
    ],
)
async def test_a_plugin_that_fails_says_so_and_shows_no_output(plugin: Path, mode: str, message: str) -> None:
    with pytest.raises(CredentialsError, match=message) as caught:
        await ExecPlugin(spec(plugin, mode)).headers()
    assert not caught.value.sent
    assert "s3cret" not in str(caught.value)
    assert "no ticket" not in caught.value.brief


async def test_a_plugin_that_is_not_installed_gives_the_hint() -> None:
    source = ExecPlugin({"apiVersion": EXEC_V1, "command": "no-such-plugin", "installHint": "get it at x"})
    with pytest.raises(
        CredentialsError, match=r"no-such-plugin cannot be run: No such file .*: get it at x"
    ) as caught:
        await source.headers()
    assert caught.value.permanent


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def started(plugin: Path) -> int:
    path = plugin.parent / "pid"
    async with asyncio.timeout(PATIENCE):
        while not path.exists() or not path.read_text():  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.01)
    return int(path.read_text())


async def overdue(plugin: Path, mode: str) -> None:
    """Let it run into its time limit, which is long enough for it to begin."""
    limit = 1.0
    while not (plugin.parent / "pid").exists():
        source = ExecPlugin(spec(plugin, mode), timeout=limit)
        with pytest.raises(CredentialsError, match=f"did not end within {limit:g} s"):
            await asyncio.wait_for(source.headers(), limit + PATIENCE)
        limit *= 2


async def test_a_plugin_that_hangs_is_killed(plugin: Path) -> None:
    await overdue(plugin, "hang")
    await ended(await started(plugin))


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def ended(pid: int) -> None:
    """Wait until *pid* runs no more; an orphan that nobody reaps has ended too."""
    async with asyncio.timeout(PATIENCE):
        while not gone(pid) and not zombie(pid):  # noqa: ASYNC110  # another process ends
            await asyncio.sleep(0.01)


async def test_a_plugin_that_hangs_is_killed_with_the_child_that_holds_its_output(plugin: Path) -> None:
    await overdue(plugin, "family")
    await ended(int((plugin.parent / "child").read_text()))


async def test_a_cancelled_plugin_is_killed_with_the_child_that_holds_its_output(plugin: Path) -> None:
    waiting = asyncio.create_task(ExecPlugin(spec(plugin, "family")).headers())
    await started(plugin)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, PATIENCE)
    await ended(int((plugin.parent / "child").read_text()))


async def test_a_plugin_that_is_cancelled_while_it_starts_is_killed_with_its_child(
    plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen, begun = subprocess.Popen, asyncio.Event()

    def noticed(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        begun.set()
        return popen(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", noticed)
    monkeypatch.setenv("QUIET", "nobody reads its output")
    waiting = asyncio.create_task(ExecPlugin(spec(plugin, "family")).headers())
    await begun.wait()
    give_up = time.monotonic() + PATIENCE
    while not (plugin.parent / "pid").exists() and time.monotonic() < give_up:
        time.sleep(0.05)  # noqa: ASYNC251  # the loop must not learn that it has started
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await ended(int((plugin.parent / "child").read_text()))


async def test_a_plugin_that_leaves_a_daemon_with_its_output_has_given_its_token(plugin: Path) -> None:
    source = ExecPlugin(spec(plugin, "daemon"), timeout=PATIENCE)
    assert await source.headers() == {"Authorization": "Bearer token-1"}
    child = int((plugin.parent / "child").read_text())
    assert not gone(child)
    os.kill(child, signal.SIGKILL)


async def test_a_plugin_that_nobody_waits_for_any_more_is_killed(plugin: Path) -> None:
    source = ExecPlugin(spec(plugin, "hang"))
    waiting = asyncio.create_task(source.headers())
    pid = await started(plugin)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(PATIENCE):
        while not gone(pid):  # noqa: ASYNC110  # another process ends
            await asyncio.sleep(0.01)


# --- OIDC ----------------------------------------------------------------------------------------------


def jwt(expires: float, number: int = 0) -> str:
    claims = json.dumps({"exp": expires, "n": number, "sub": "??>>~~"}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


class Provider:
    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[dict[str, Any], str | None]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.answer: dict[str, Any] = {}


@pytest.fixture
async def provider(server_tls: ssl.SSLContext) -> AsyncIterator[Provider]:
    state = Provider()

    async def well_known(_: web.Request) -> web.Response:
        return web.json_response({"token_endpoint": f"{state.url}/token"})

    async def token(request: web.Request) -> web.Response:
        state.asked.append((dict(await request.post()), request.headers.get("Authorization")))
        await asyncio.sleep(0)
        return web.json_response(state.answer, status=state.status, headers=state.headers)

    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", well_known)
    app.router.add_post("/token", token)
    app.router.add_post("/elsewhere", token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls).start()
    state.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield state
    await runner.cleanup()


def oidc(provider: Provider, ca: trustme.CA | None, **more: str) -> dict[str, str]:
    config = {"idp-issuer-url": provider.url, "client-id": "kube", "client-secret": "s3cret", **more}
    if ca is not None:
        config["idp-certificate-authority-data"] = b64(ca.cert_pem.bytes())
    return config


async def test_an_id_token_is_used_until_it_expires_and_then_renewed_and_stored(
    provider: Provider, ca: trustme.CA, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    config = oidc(provider, ca, **{"id-token": jwt(1000), "refresh-token": "r1"})
    path.write_text(yaml.safe_dump(kubeconfig(user={"auth-provider": {"name": "oidc", "config": config}})))
    path.chmod(0o600)
    fresh = jwt(time.time() + 3600)
    provider.answer = {"id_token": fresh, "refresh_token": "r2"}
    credentials = (await load(path)).credentials
    headers = await asyncio.gather(*(credentials.headers() for _ in range(5)))
    assert headers == [{"Authorization": f"Bearer {fresh}"}] * 5
    assert provider.asked == [
        ({"grant_type": "refresh_token", "refresh_token": "r1"}, f"Basic {b64(b'kube:s3cret')}")
    ]
    stored = yaml.safe_load(path.read_text())["users"][0]["user"]["auth-provider"]["config"]
    assert (stored["id-token"], stored["refresh-token"]) == (fresh, "r2")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["config"]  # noqa: ASYNC240


async def test_a_refused_id_token_is_renewed_each_time(
    provider: Provider, ca: trustme.CA, tmp_path: Path
) -> None:
    path = tmp_path / "config"
    later = time.time() + 3600
    config = oidc(provider, ca, **{"id-token": jwt(later), "refresh-token": "r1"})
    path.write_text(yaml.safe_dump(kubeconfig(user={"auth-provider": {"name": "oidc", "config": config}})))
    credentials = (await load(path)).credentials
    await credentials.headers()
    for number in (1, 2):
        provider.answer = {"id_token": jwt(later, number)}
        assert await credentials.headers(refresh=True) == {"Authorization": f"Bearer {jwt(later, number)}"}
    assert len(provider.asked) == 2


async def test_a_public_client_names_itself_in_the_form(provider: Provider, ca: trustme.CA) -> None:
    provider.answer = {"id_token": "a.b.c"}
    config = oidc(provider, ca, **{"refresh-token": "r", "client-secret": ""})
    assert await OidcProvider(config).headers() == {"Authorization": "Bearer a.b.c"}
    assert provider.asked[0][0]["client_id"] == "kube"
    assert provider.asked[0][1] is None


async def test_a_provider_that_cannot_be_verified_gets_no_secret(provider: Provider) -> None:
    source = OidcProvider(oidc(provider, None, **{"refresh-token": "r"}))
    with pytest.raises(CredentialsError, match=r"gave no id-token .*certificate verify failed"):
        await source.headers()
    assert provider.asked == []


async def test_a_provider_that_refuses_or_talks_junk_is_an_error_without_secrets(
    provider: Provider, ca: trustme.CA
) -> None:
    source = OidcProvider(oidc(provider, ca, **{"refresh-token": "r-s3cret"}))
    provider.answer = {"access_token": "s3cret"}
    with pytest.raises(CredentialsError, match="no such field") as junk:
        await source.headers()
    assert not junk.value.permanent
    provider.status = 400
    with pytest.raises(CredentialsError, match=r"refused the refresh-token .*log in again") as refused:
        await source.headers()
    assert refused.value.permanent
    assert "s3cret" not in f"{junk.value}{refused.value}{source!r}"


async def test_a_refresh_token_does_not_follow_a_redirect(provider: Provider, ca: trustme.CA) -> None:
    provider.status, provider.headers = 307, {"Location": f"{provider.url}/elsewhere"}
    with pytest.raises(CredentialsError, match="307"):
        await OidcProvider(oidc(provider, ca, **{"refresh-token": "r"})).headers()
    assert len(provider.asked) == 1


async def test_an_expired_id_token_without_a_refresh_token_says_to_log_in() -> None:
    config = {"idp-issuer-url": "https://x", "client-id": "k", "id-token": jwt(1000)}
    with pytest.raises(CredentialsError, match="log in again"):
        await OidcProvider(config).headers()
    assert await OidcProvider(config, wall=lambda: 0.0).headers() == {"Authorization": f"Bearer {jwt(1000)}"}


async def test_tokens_that_cannot_be_stored_stay_in_memory_with_a_warning(
    provider: Provider, ca: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    async def persist(changed: object) -> None:
        raise PermissionError(13, "read-only file system")

    provider.answer = {"id_token": "a.b.c"}
    source = OidcProvider(oidc(provider, ca, **{"refresh-token": "r"}), persist=persist)
    assert await source.headers() == {"Authorization": "Bearer a.b.c"}
    assert await source.headers() == {"Authorization": "Bearer a.b.c"}
    assert len(provider.asked) == 1
    assert "read-only file system" in caplog.text
