"""What the server says that it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from kresilient.api.resources import BUILTIN
from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.served import served

from .asked import asked

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BETA = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MemoryApiServer]:
    async with MemoryApiServer() as server:
        yield server


def definition(group: str, *versions: str, plural: str = "widgets", kind: str = "Widget") -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    return {
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "plural": plural,
                "kind": kind,
                "listKind": f"{kind}List",
                "singular": kind.lower(),
                "shortNames": ["wd"],
                "categories": ["all", "toys"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": index == 0,
                    "schema": schema,
                    "subresources": {"status": {}, "scale": scale},
                }
                for index, version in enumerate(versions)
            ],
        },
    }


CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"


def test_the_client_knows_every_built_in_resource_and_no_other() -> None:
    assert {(one.group, one.version, one.plural) for one in served()} == set(BUILTIN)


async def test_the_resources_of_a_group_with_their_subresources_are_in_order_of_their_names(
    server: MemoryApiServer,
) -> None:
    groups = (await asked(server, "/apis")).json["groups"]
    places = ["/api/v1"]
    places += [f"/apis/{version['groupVersion']}" for group in groups for version in group["versions"]]
    for place in places:
        names = [one["name"] for one in (await asked(server, place)).json["resources"]]
        assert names == sorted(names), place
        assert len(names) == len(set(names)), place


async def test_plain_and_aggregated_discovery_say_the_same(server: MemoryApiServer) -> None:
    server.create(CRDS, definition("example.com", "v1"))
    aggregated = (await asked(server, "/apis", accept=AGGREGATED)).json["items"]
    for group in aggregated:
        name = group["metadata"]["name"]
        for version in group["versions"]:
            said = []
            for one in version["resources"]:
                said.append((one["resource"], one["verbs"], one.get("shortNames"), one.get("categories")))
                for below in one.get("subresources", ()):
                    said.append((f"{one['resource']}/{below['subresource']}", below["verbs"], None, None))
            plain = (await asked(server, f"/apis/{name}/{version['version']}")).json["resources"]
            assert said == [
                (one["name"], one["verbs"], one.get("shortNames"), one.get("categories")) for one in plain
            ]
    plain_groups = (await asked(server, "/apis")).json["groups"]
    assert [one["metadata"]["name"] for one in aggregated] == [one["name"] for one in plain_groups]


async def test_the_beta_of_aggregated_discovery_is_passed_over(server: MemoryApiServer) -> None:
    both = await asked(server, "/apis", accept=f"{BETA},{AGGREGATED},application/json")
    assert both.json["kind"] == "APIGroupDiscoveryList"
    assert both.json["apiVersion"] == "apidiscovery.k8s.io/v2"
    old = await asked(server, "/apis", accept=f"{BETA},application/json")
    assert old.json["kind"] == "APIGroupList"


async def test_aggregated_discovery_is_not_sent_again_to_a_client_that_has_it(
    server: MemoryApiServer,
) -> None:
    for path in ("/api", "/apis"):
        first = await asked(server, path, accept=AGGREGATED)
        again = await asked(server, path, accept=AGGREGATED, if_none_match=first.headers["ETag"])
        assert (again.status, again.text) == (304, "")
        assert again.headers["ETag"] == first.headers["ETag"]


async def test_a_new_definition_changes_the_tag_of_the_groups_alone(server: MemoryApiServer) -> None:
    async def tags() -> list[str]:
        return [(await asked(server, path, accept=AGGREGATED)).headers["ETag"] for path in ("/api", "/apis")]

    before = await tags()
    server.create(CRDS, definition("example.com", "v1"))
    defined = await tags()
    assert defined[0] == before[0]
    assert defined[1] != before[1]
    server.delete(CRDS, "widgets.example.com")
    assert await tags() == before


async def test_a_custom_resource_is_described_with_its_names_and_subresources(
    server: MemoryApiServer,
) -> None:
    server.create(CRDS, definition("example.com", "v1"))
    groups = (await asked(server, "/apis", accept=AGGREGATED)).json["items"]
    assert groups[-1] == {
        "metadata": {"name": "example.com"},
        "versions": [
            {
                "version": "v1",
                "resources": [
                    {
                        "resource": "widgets",
                        "responseKind": {"group": "example.com", "version": "v1", "kind": "Widget"},
                        "scope": "Namespaced",
                        "singularResource": "widget",
                        "verbs": [
                            "delete",
                            "deletecollection",
                            "get",
                            "list",
                            "patch",
                            "create",
                            "update",
                            "watch",
                        ],
                        "shortNames": ["wd"],
                        "categories": ["all", "toys"],
                        "subresources": [
                            {
                                "subresource": "status",
                                "responseKind": {"group": "example.com", "version": "v1", "kind": "Widget"},
                                "verbs": ["get", "patch", "update"],
                            },
                            {
                                "subresource": "scale",
                                "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                                "verbs": ["get", "patch", "update"],
                            },
                        ],
                    }
                ],
                "freshness": "Current",
            }
        ],
    }


async def test_groups_of_custom_resources_come_last_each_with_its_stable_version_first(
    server: MemoryApiServer,
) -> None:
    server.create(CRDS, definition("b.example.com", "v1alpha1", "v1", "v10", "v2beta1", "odd"))
    server.create(CRDS, definition("a.example.com", "v2"))
    groups = (await asked(server, "/apis")).json["groups"]
    assert [one["name"] for one in groups[-2:]] == ["b.example.com", "a.example.com"]
    assert [one["version"] for one in groups[-2]["versions"]] == ["v10", "v1", "v2beta1", "v1alpha1", "odd"]


async def test_a_resource_whose_definition_is_being_deleted_takes_no_writes(server: MemoryApiServer) -> None:
    server.create(CRDS, definition("example.com", "v1"))
    server.create("example.com/v1/widgets", {"metadata": {"name": "w", "finalizers": ["example.com/hold"]}})
    server.delete(CRDS, "widgets.example.com")
    listed = (await asked(server, "/apis/example.com/v1")).json["resources"]
    assert listed[0]["verbs"] == ["delete", "deletecollection", "get", "list", "watch"]


async def test_the_hash_of_a_custom_resource_is_that_of_the_version_it_is_stored_at(
    server: MemoryApiServer,
) -> None:
    server.create(CRDS, definition("example.com", "v1", "v1beta1"))
    hashes = [
        (await asked(server, f"/apis/example.com/{version}")).json["resources"][0]["storageVersionHash"]
        for version in ("v1", "v1beta1")
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps", "/apis/apps/v1", "/api/v1"])
async def test_discovery_is_refused_to_a_client_that_accepts_no_json(
    path: str, server: MemoryApiServer
) -> None:
    answer = await asked(server, path, accept="text/html")
    assert (answer.status, answer.json["reason"]) == (406, "NotAcceptable")
    assert (await asked(server, path, accept="text/html, application/*;q=0.5")).status == 200
    assert (await asked(server, path)).status == 200


@pytest.mark.parametrize("path", ["/apis/nope.example.com", "/apis/nope.example.com/v1", "/healthz/nope"])
async def test_what_is_not_served_is_a_page_not_found(path: str, server: MemoryApiServer) -> None:
    answer = await asked(server, path)
    assert (answer.status, answer.text) == (404, "404 page not found\n")


async def test_the_root_lists_paths_and_each_of_them_answers(server: MemoryApiServer) -> None:
    paths = (await asked(server, "/")).json["paths"]
    assert {"/api/v1", "/apis/apps/v1", "/openapi/v3/apis/apps/v1", "/version"} <= set(paths)
    for path in paths:
        assert (await asked(server, path)).status == 200, path


async def test_a_health_check_says_on_request_what_it_checked(server: MemoryApiServer) -> None:
    assert (await asked(server, "/readyz")).text == "ok"
    assert (await asked(server, "/livez?verbose")).text == (
        "[+]ping ok\n[+]log ok\n[+]etcd ok\nlivez check passed\n"
    )
    excluded = (await asked(server, "/livez?verbose&exclude=etcd")).text
    assert "[+]etcd excluded: ok\n" in excluded
    unknown = (await asked(server, "/livez?verbose&exclude=nope")).text
    assert 'warn: some health checks cannot be excluded: no matches for "nope"\n' in unknown


@pytest.mark.parametrize("check", ["/healthz/ping", "/livez/etcd", "/readyz/shutdown"])
async def test_each_health_check_has_a_path_of_its_own(check: str, server: MemoryApiServer) -> None:
    assert (await asked(server, check)).text == "ok"


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", "log"),
        ("POST", "exec"),
        ("GET", "attach"),
        ("POST", "portforward"),
        ("GET", "proxy/some/path"),
        ("GET", "proxy"),
        ("PATCH", "resize"),
        ("PUT", "ephemeralcontainers"),
    ],
)
async def test_what_needs_a_kubelet_says_that_there_is_none(
    method: str, below: str, server: MemoryApiServer
) -> None:
    server.create("v1/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}})
    answer = await asked(server, f"/api/v1/namespaces/default/pods/p/{below}", method=method, body={})
    name = below.partition("/")[0]
    assert (answer.status, answer.json["reason"]) == (501, "NotImplemented")
    message, _, why = answer.json["message"].partition(": ")
    assert message == f"the fake API server does not emulate pods/{name}"
    assert "here" in why
    missing = await asked(server, f"/api/v1/namespaces/default/pods/none/{below}", method=method, body={})
    assert (missing.status, missing.json["message"]) == (404, 'pods "none" not found')


async def test_a_proxy_is_found_by_the_name_between_scheme_and_port(server: MemoryApiServer) -> None:
    server.create("v1/services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    for name in ("s", "s:80", "http:s:80"):
        answer = await asked(server, f"/api/v1/namespaces/default/services/{name}/proxy/metrics")
        assert answer.status == 501, name
    assert [one.subresource for one in server.requests.where(name="s:80")] == ["proxy"]


async def test_nothing_stands_behind_a_subresource_but_a_proxy(server: MemoryApiServer) -> None:
    server.create("v1/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}})
    assert (await asked(server, "/api/v1/namespaces/default/pods/p/status/more")).status == 404


async def test_a_subresource_with_the_object_itself_shows_it(server: MemoryApiServer) -> None:
    server.create("v1/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}})
    pod = (await asked(server, "/api/v1/namespaces/default/pods/p")).json
    assert (await asked(server, "/api/v1/namespaces/default/pods/p/resize")).json == pod


async def test_a_subresource_refuses_the_verbs_that_it_does_not_list(server: MemoryApiServer) -> None:
    server.create("v1/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}})
    for method, below in (("DELETE", "log"), ("PUT", "exec"), ("POST", "status")):
        answer = await asked(server, f"/api/v1/namespaces/default/pods/p/{below}", method=method, body={})
        assert (answer.status, answer.json["reason"]) == (405, "MethodNotAllowed"), below
    assert (await asked(server, "/api/v1/namespaces/default/pods/p/nope")).status == 404
