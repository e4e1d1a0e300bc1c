"""Where a configuration comes from: arguments, the pod, a `kubernetes_asyncio` object; what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from kresilient.api.errors import ConfigError, CredentialsError
from kresilient.transport.auth import Anonymous, TokenFile
from kresilient.transport.base import Request
from kresilient.transport.config import ClusterConfig, Impersonation, default_user_agent
from kresilient.transport.http import HttpTransport
from kresilient.transport.in_cluster import in_cluster_config
from kresilient.transport.load import load_config

from .servers import Received, Server, always, response, serve

PODS = Request("GET", "/api/v1/pods", verb="list", resource="v1/pods", timeout=5.0)
POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


async def sent(config: ClusterConfig, server: Server) -> Received:
    """What arrives at *server* for one request made with *config*."""
    transport = HttpTransport(config)
    try:
        await (await transport.send(PODS)).read()
    finally:
        await transport.close()
    return server.requests[-1]


@pytest.fixture
def account(tmp_path: Path, ca: trustme.CA) -> Path:
    (tmp_path / "token").write_text("pod-token\n")
    (tmp_path / "namespace").write_text("kube-system\n")
    ca.cert_pem.write_to_path(tmp_path / "ca.crt")
    return tmp_path


# --- the values ----------------------------------------------------------------------------------------


def test_the_user_agent_names_the_library_python_and_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    python = f"python/{sys.version_info.major}.{sys.version_info.minor}"
    for program, suffix in (
        ("/usr/bin/my agent.py", " my%20agent"),
        ("/src/pkg/__main__.py", " pkg"),
        ("-c", ""),
        ("", ""),
    ):
        monkeypatch.setattr(sys, "argv", [program])
        agent = default_user_agent()
        assert agent.startswith("kresilient/")
        assert f"({python}; " in agent
        assert agent.endswith(f"){suffix}")


def test_impersonation_without_a_user_or_with_control_characters_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a user"):
        Impersonation("", groups=("dev",))
    with pytest.raises(ConfigError, match="control character"):
        Impersonation("jane\r\nX: y")


# --- in a pod ------------------------------------------------------------------------------------------


async def test_a_pod_uses_its_service_account(account: Path) -> None:
    config = in_cluster_config(directory=account, environ=POD)
    assert config.server == "https://10.96.0.1:443"
    assert config.namespace == "kube-system"
    assert config.ca_file == str(account / "ca.crt")
    assert await config.credentials.headers() == {"Authorization": "Bearer pod-token"}


def test_a_pod_on_ipv6_has_its_host_in_brackets(account: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    assert in_cluster_config(directory=account, environ=environ).server == "https://[fd00::1]:6443"


def test_a_pod_goes_through_the_proxy_of_its_environment(account: Path) -> None:
    proxied = POD | {"HTTPS_PROXY": "http://p:1"}
    assert in_cluster_config(directory=account, environ=proxied).proxy == "http://p:1"
    direct = proxied | {"NO_PROXY": "10.96.0.0/12"}
    assert in_cluster_config(directory=account, environ=direct).proxy is None


def test_what_is_missing_in_a_pod_is_named(account: Path) -> None:
    with pytest.raises(ConfigError, match="KUBERNETES_SERVICE_HOST"):
        in_cluster_config(directory=account, environ={})
    (account / "token").unlink()
    with pytest.raises(ConfigError, match="token does not exist"):
        in_cluster_config(directory=account, environ=POD)


async def test_a_pod_talks_to_a_real_server(account: Path, ca: trustme.CA, server_tls: Any) -> None:
    async with serve(always(response()), tls=server_tls) as server:
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
        received = await sent(in_cluster_config(directory=account, environ=environ), server)
    assert received.header("Authorization") == "Bearer pod-token"


# --- which one -----------------------------------------------------------------------------------------

KUBECONFIG = """
current-context: c
contexts: [{name: c, context: {cluster: k, user: u, namespace: web}}]
clusters: [{name: k, cluster: {server: "http://from-kubeconfig:8080"}}]
users: [{name: u, user: {token: file-token}}]
"""


async def test_the_pod_comes_before_the_kubeconfig(account: Path) -> None:
    (account / "config").write_text(KUBECONFIG)
    environ = {"KUBECONFIG": str(account / "config")}
    found = await load_config(environ=environ | POD, service_account_directory=account)
    assert found.server == "https://10.96.0.1:443"
    found = await load_config(environ=environ, service_account_directory=account)
    assert (found.server, found.namespace) == ("http://from-kubeconfig:8080", "web")
    asked = await load_config(context="c", environ=environ | POD, service_account_directory=account)
    assert asked.server == "http://from-kubeconfig:8080"


async def test_where_nothing_is_configured_the_error_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        await load_config(environ={}, service_account_directory=tmp_path)
    for part in ("KUBERNETES_SERVICE_HOST", f"{tmp_path}/.kube/config", "set KUBECONFIG", "or a server"):
        assert part in str(caught.value)


async def test_a_server_alone_uses_nothing_else(account: Path) -> None:
    (account / "config").write_text(KUBECONFIG)
    environ = POD | {"KUBECONFIG": str(account / "config")}
    found = await load_config(server="http://127.0.0.1:1", environ=environ, service_account_directory=account)
    assert found.server == "http://127.0.0.1:1"
    assert await found.credentials.headers() == {}


async def test_arguments_replace_what_was_found(account: Path) -> None:
    (account / "config").write_text(KUBECONFIG)
    found = await load_config(
        kubeconfig=account / "config",
        server="http://other:1",
        token="t",
        namespace="mine",
        impersonate="jane",
        user_agent="me",
        proxy="http://p:1",
        environ={},
    )
    assert (found.server, found.namespace, found.user_agent) == ("http://other:1", "mine", "me")
    assert found.proxy == "http://p:1"
    assert found.impersonate == Impersonation("jane")
    assert await found.credentials.headers() == {"Authorization": "Bearer t"}


async def test_an_empty_proxy_means_none(account: Path) -> None:
    environ = {"HTTP_PROXY": "http://p:1"}
    assert (await load_config(server="http://kube", environ=environ)).proxy == "http://p:1"
    assert (await load_config(server="http://kube", proxy="", environ=environ)).proxy is None


async def test_a_cluster_config_is_taken_with_the_arguments_on_top() -> None:
    base = ClusterConfig(server="https://h", ca_data=b"-----BEGIN CERTIFICATE-----")
    assert await load_config(base) == base
    changed = await load_config(base, insecure_skip_tls_verify=True, namespace="x")
    assert (changed.insecure_skip_tls_verify, changed.ca_data, changed.namespace) == (True, None, "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"token": "t", "token_file": "f"}, "token and token_file contradict"),
        ({"token": "t", "username": "u", "password": "p"}, "token and username contradict"),
        ({"username": "u"}, "username and password go together"),
        ({"ca_file": "f", "ca_data": "d"}, "ca_file and ca_data contradict"),
        ({"ca_file": "f", "insecure_skip_tls_verify": True}, "ca_file and insecure_skip_tls_verify"),
        ({"configuration": ClusterConfig(server="http://h"), "context": "c"}, "configuration and context"),
        (
            {"configuration": ClusterConfig(server="http://h"), "server": "http://h"},
            "configuration and server",
        ),
        ({"client_key_file": "k"}, "without its certificate"),
        ({"client_cert_file": "/absent"}, "/absent does not exist"),
        ({"token_file": "/absent"}, "/absent does not exist"),
        ({"configuration": object()}, "object is no configuration"),
        ({"server": "h:1"}, "no usable scheme"),
        ({"server": "http://h", "credentials": Anonymous(), "token": "t"}, "contradict"),
    ],
)
async def test_contradicting_or_unusable_arguments_are_an_error_that_says_so(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        await load_config(**arguments, environ={})


async def test_token_file_argument_is_read_again_as_it_rotates(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("x")
    found = await load_config(server="http://h", token_file=tmp_path / "t", environ={})
    assert isinstance(found.credentials, TokenFile)


# --- objects of kubernetes_asyncio ---------------------------------------------------------------------


async def test_a_configuration_is_taken_as_it_is(ca: trustme.CA, server_tls: Any, tmp_path: Path) -> None:
    from kubernetes_asyncio.client import Configuration

    ca.cert_pem.write_to_path(tmp_path / "ca")
    ca.issue_cert("a@b.c").private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    async with serve(always(response()), tls=server_tls) as server:
        configuration = Configuration(
            host=server.url, api_key={"BearerToken": "abc"}, api_key_prefix={"BearerToken": "Bearer"}
        )
        configuration.ssl_ca_cert = str(tmp_path / "ca")
        configuration.cert_file = configuration.key_file = str(tmp_path / "pem")
        configuration.tls_server_name = "127.0.0.1"
        config = await load_config(configuration, environ={})
        assert (await sent(config, server)).header("Authorization") == "Bearer abc"
    assert config.credentials.client_certificate is not None
    assert config.tls_server_name == "127.0.0.1"


async def test_the_refresh_hook_of_a_configuration_runs_for_each_request() -> None:
    from kubernetes_asyncio.client import Configuration

    calls = 0

    async def hook(configuration: Any) -> None:
        nonlocal calls
        calls += 1
        configuration.api_key["BearerToken"] = f"Bearer {calls}"

    async with serve(always(response())) as server:
        configuration = Configuration(host=server.url, api_key={"BearerToken": "Bearer 0"})
        configuration.refresh_api_key_hook = hook
        config = await load_config(configuration, environ={})
        tokens = [(await sent(config, server)).header("Authorization") for _ in range(2)]
    assert tokens == ["Bearer 1", "Bearer 2"]


async def test_a_refresh_hook_that_fails_says_so() -> None:
    from kubernetes_asyncio.client import Configuration

    def hook(configuration: Any) -> None:
        raise RuntimeError("vault is sealed")

    configuration = Configuration(host="http://h", api_key={"BearerToken": "x"})
    configuration.refresh_api_key_hook = hook
    with pytest.raises(CredentialsError, match="vault is sealed"):
        await (await load_config(configuration, environ={})).credentials.headers()


async def test_a_token_that_nothing_renews_is_warned_of_with_the_cure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from kubernetes_asyncio.client import Configuration

    configuration = Configuration(host="http://h", api_key={"BearerToken": "s3cret"})
    await load_config(configuration, environ={})
    (record,) = caplog.records
    assert "kubeconfig=" in record.getMessage() and "s3cret" not in caplog.text
    caplog.clear()
    await load_config(configuration, token="own", environ={})
    await load_config(Configuration(host="http://h"), environ={})
    configuration.refresh_api_key_hook = lambda _: None
    await load_config(configuration, environ={})
    assert caplog.records == []


async def test_an_api_client_brings_its_default_headers() -> None:
    from kubernetes_asyncio.client import ApiClient, Configuration

    async with serve(always(response())) as server:
        configuration = Configuration(host=server.url)
        configuration.verify_ssl = False
        async with ApiClient(configuration, header_name="X-Team", header_value="a", cookie="c=1") as client:
            generated = await sent(await load_config(client, environ={}), server)
            client.user_agent = "mine/1"
            own = await sent(await load_config(client, environ={}), server)
    assert generated.header("X-Team") == "a"
    assert generated.header("Cookie") == "c=1"
    assert str(generated.header("User-Agent")).startswith("kresilient/")
    assert own.header_values("User-Agent") == ["mine/1"]


# --- what is not imported ------------------------------------------------------------------------------


def test_the_transport_and_a_pods_configuration_import_neither_kubernetes_asyncio_nor_yaml() -> None:
    code = (
        "import sys, kresilient.transport.http, kresilient.transport.in_cluster, kresilient.transport.load;"
        "print(*(m for m in ('kubernetes_asyncio', 'yaml', 'kubernetes') if m in sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_a_pod_does_not_load_what_reads_kubeconfigs(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token")
    (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    code = (
        "import asyncio, sys; from kresilient.transport.load import load_config;"
        "pod = {'KUBERNETES_SERVICE_HOST': '10.0.0.1', 'KUBERNETES_SERVICE_PORT': '443'};"
        "print(asyncio.run(load_config(environ=pod, service_account_directory=sys.argv[1])).server);"
        "print(*(m for m in ('kubeconfig', 'exec_plugin', 'oidc', 'client_configuration')"
        " if f'kresilient.transport.{m}' in sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == ["https://10.0.0.1:443", ""]
