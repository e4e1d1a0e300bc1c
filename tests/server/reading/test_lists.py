"""Lists: versions, pages, tokens, and what goes with them."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer
from kresilient.transport.base import Request

from .asking import CONFIGMAPS, PODS, ask, names, raw, refusal

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

MATCH = 'ListOptions.meta.k8s.io "" is invalid: '
BAD_TOKEN = "invalid continue token: continue key is not valid: "


def make(server: MemoryApiServer, count: int, **metadata: Any) -> None:
    for index in range(count):
        server.create("v1/configmaps", {"metadata": {"name": f"c{index}", **metadata}})


def token(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def decoded(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


# --- versions ----------------------------------------------------------------------------------------


async def test_an_exact_list_is_as_it_was_and_the_others_are_as_it_is(server: MemoryApiServer) -> None:
    make(server, 2)
    then = server.state.version
    make_third = {"metadata": {"name": "c2"}}
    server.create("v1/configmaps", make_third)
    server.delete("v1/configmaps", "default/c0")
    now = server.state.version
    for query, expected, version in [
        ({}, ["c1", "c2"], now),
        ({"resourceVersion": 0}, ["c1", "c2"], now),
        ({"resourceVersion": then}, ["c1", "c2"], now),
        ({"resourceVersion": then, "resourceVersionMatch": "NotOlderThan"}, ["c1", "c2"], now),
        ({"resourceVersion": then, "resourceVersionMatch": "NotOlderThan", "limit": 1}, ["c1"], now),
        ({"resourceVersion": then, "resourceVersionMatch": "Exact"}, ["c0", "c1"], then),
        ({"resourceVersion": then, "limit": 5}, ["c0", "c1"], then),
        ({"resourceVersion": 0, "limit": 1}, ["c1", "c2"], now),
    ]:
        _, body = await ask(server, CONFIGMAPS, **query)
        assert (names(body), body["metadata"]["resourceVersion"]) == (expected, str(version)), query


@pytest.mark.parametrize("match", ["", "NotOlderThan", "Exact"])
async def test_a_list_waits_three_seconds_for_a_version_from_the_future(
    server: MemoryApiServer, match: str
) -> None:
    current, asked = server.state.version, server.state.version + 5
    query = {"resourceVersion": asked} | ({"resourceVersionMatch": match} if match else {})
    start = asyncio.get_running_loop().time()
    status, body = await ask(server, CONFIGMAPS, **query)
    assert asyncio.get_running_loop().time() - start == pytest.approx(3.0, abs=0.1)
    assert status == 504
    assert body["reason"] == "Timeout"
    assert body["message"] == f"Timeout: Too large resource version: {asked}, current: {current}"
    assert body["details"] == {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }


async def test_a_list_is_answered_as_soon_as_its_version_has_come(server: MemoryApiServer) -> None:
    loop = asyncio.get_running_loop()
    listing = asyncio.create_task(ask(server, CONFIGMAPS, resourceVersion=server.state.version + 2))
    await asyncio.sleep(1)
    server.create("v1/secrets", {"metadata": {"name": "a"}})
    await asyncio.sleep(1)
    start = loop.time()
    server.create("v1/configmaps", {"metadata": {"name": "b"}})
    status, body = await listing
    assert (status, names(body)) == (200, ["b"])
    assert loop.time() - start < 0.1


async def test_a_list_that_waits_ends_with_the_server(server: MemoryApiServer) -> None:
    start = asyncio.get_running_loop().time()
    listing = asyncio.create_task(ask(server, CONFIGMAPS, resourceVersion=server.state.version + 2))
    await asyncio.sleep(1)
    await server.stop()
    assert (await listing)[0] == 504
    assert asyncio.get_running_loop().time() - start < 1.5


async def test_a_get_waits_for_its_version_too(server: MemoryApiServer) -> None:
    make(server, 1)
    path = f"{CONFIGMAPS}/c0"
    assert (await ask(server, path, resourceVersion=0))[0] == 200
    assert (await refusal(server, path, resourceVersion=server.state.version + 1))[0] == 504
    assert await refusal(server, path, resourceVersion="x") == (
        500,
        "",
        'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    )


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("abc", "invalid syntax"),
        ("-1", "invalid syntax"),
        ("1_0", "invalid syntax"),
        ("1" * 30, "value out of range"),
    ],
)
async def test_a_version_that_is_none_is_refused(server: MemoryApiServer, version: str, said: str) -> None:
    assert await refusal(server, CONFIGMAPS, resourceVersion=version) == (
        400,
        "BadRequest",
        f'invalid resource version: resourceVersion: Invalid value: "{version}": '
        f'strconv.ParseUint: parsing "{version}": {said}',
    )


@pytest.mark.parametrize(
    ("query", "causes"),
    [
        (
            {"resourceVersionMatch": "Exact"},
            ["Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"],
        ),
        (
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            ['Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
        ),
        (
            {"resourceVersionMatch": "x", "continue": "y"},
            [
                "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
                "Forbidden: resourceVersionMatch is forbidden when continue is provided",
                'Unsupported value: "x": supported values: "Exact", "NotOlderThan", ""',
            ],
        ),
        ({"sendInitialEvents": ""}, ["Forbidden: sendInitialEvents is forbidden for list"]),
    ],
)
async def test_options_that_do_not_go_together_are_all_named(
    server: MemoryApiServer, query: dict[str, str], causes: list[str]
) -> None:
    status, body = await ask(server, CONFIGMAPS, **query)
    assert (status, body["reason"]) == (422, "Invalid")
    assert [one["message"] for one in body["details"]["causes"]] == causes
    said = [f"{one['field']}: {one['message']}" for one in body["details"]["causes"]]
    assert body["message"] == MATCH + (said[0] if len(said) == 1 else f"[{', '.join(said)}]")


# --- pages -------------------------------------------------------------------------------------------


async def test_the_pages_of_a_list_show_one_moment_whatever_is_written_meanwhile(
    server: MemoryApiServer,
) -> None:
    make(server, 7)
    _, first = await ask(server, CONFIGMAPS, limit=3)
    version = first["metadata"]["resourceVersion"]
    assert first["metadata"]["remainingItemCount"] == 4
    server.delete("v1/configmaps", "default/c4")
    server.create("v1/configmaps", {"metadata": {"name": "c3a"}})
    server.patch("v1/configmaps", "default/c5", {"data": {"new": "1"}})
    _, second = await ask(server, CONFIGMAPS, limit=3, **{"continue": first["metadata"]["continue"]})
    assert names(second) == ["c3", "c4", "c5"]
    assert "data" not in second["items"][2]
    _, third = await ask(server, CONFIGMAPS, limit=3, **{"continue": second["metadata"]["continue"]})
    assert names(third) == ["c6"]
    assert third["metadata"] == {"resourceVersion": version}
    assert second["metadata"]["resourceVersion"] == version
    assert second["metadata"]["remainingItemCount"] == 1


async def test_a_token_says_where_and_at_which_version_as_the_servers_does(server: MemoryApiServer) -> None:
    make(server, 3)
    version = server.state.version
    _, body = await ask(server, CONFIGMAPS, limit=1)
    assert decoded(body["metadata"]["continue"]) == {
        "v": "meta.k8s.io/v1",
        "rv": version,
        "start": "/c0\0",
    }
    _, body = await ask(server, "/api/v1/configmaps", limit=1)
    assert decoded(body["metadata"]["continue"])["start"] == "/default/c0\0"


async def test_a_selector_leaves_out_the_count_and_may_promise_a_page_that_is_empty(
    server: MemoryApiServer,
) -> None:
    make(server, 2, labels={"app": "a"})
    server.create("v1/configmaps", {"metadata": {"name": "z"}})
    for selector in ({"labelSelector": "app=a"}, {"fieldSelector": "metadata.name!=z"}):
        _, body = await ask(server, CONFIGMAPS, limit=2, **selector)
        assert names(body) == ["c0", "c1"]
        assert list(body["metadata"]) == ["resourceVersion", "continue"], (
            "z follows, though it does not match"
        )
        _, rest = await ask(
            server, CONFIGMAPS, limit=2, **{"continue": body["metadata"]["continue"]}, **selector
        )
        assert (rest["items"], list(rest["metadata"])) == ([], ["resourceVersion"])


async def test_a_page_that_ends_with_the_last_object_is_the_last(server: MemoryApiServer) -> None:
    make(server, 3)
    _, body = await ask(server, CONFIGMAPS, limit=3)
    assert body["metadata"] == {"resourceVersion": str(server.state.version)}


async def test_pages_of_one_node_come_from_its_index_at_any_version(server: MemoryApiServer) -> None:
    for index in range(6):
        server.create("v1/pods", {"metadata": {"name": f"p{index}"}, "spec": {"nodeName": f"n{index % 2}"}})
    query = {"fieldSelector": "spec.nodeName=n0", "limit": 2}
    _, first = await ask(server, PODS, **query)
    assert names(first) == ["p0", "p2"]
    server.delete("v1/pods", "default/p4")
    server.create("v1/pods", {"metadata": {"name": "p9"}, "spec": {"nodeName": "n0"}})
    _, second = await ask(server, PODS, **query, **{"continue": first["metadata"]["continue"]})
    assert names(second) == ["p4"]


async def test_a_token_of_forgotten_history_is_expired_and_comes_with_a_fresh_one(
    server: MemoryApiServer,
) -> None:
    make(server, 4)
    _, first = await ask(server, CONFIGMAPS, limit=2)
    server.create("v1/configmaps", {"metadata": {"name": "c9"}})
    server.compact()
    status, body = await ask(server, CONFIGMAPS, limit=2, **{"continue": first["metadata"]["continue"]})
    assert (status, body["reason"]) == (410, "Expired")
    assert body["message"].startswith("The provided continue parameter is too old")
    assert decoded(body["metadata"]["continue"]) == {"v": "meta.k8s.io/v1", "rv": -1, "start": "/c1\0"}
    _, second = await ask(server, CONFIGMAPS, limit=2, **{"continue": body["metadata"]["continue"]})
    assert names(second) == ["c2", "c3"]
    assert second["metadata"]["resourceVersion"] == str(server.state.version)
    assert second["metadata"]["remainingItemCount"] == 1


async def test_what_was_can_be_read_for_five_minutes_once_there_were_later_writes() -> None:
    clock = asyncio.get_running_loop().time
    async with MemoryApiServer(now=lambda: 1_700_000_000 + clock()) as server:
        make(server, 4)
        _, first = await ask(server, CONFIGMAPS, limit=2)
        query = {"limit": 2, "continue": first["metadata"]["continue"]}
        await asyncio.sleep(250)
        server.create("v1/configmaps", {"metadata": {"name": "c9"}})
        then = {"resourceVersion": first["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
        assert [(await ask(server, CONFIGMAPS, **one))[0] for one in (query, then)] == [200, 200]
        await asyncio.sleep(310)
        assert [(await ask(server, CONFIGMAPS, **one))[0] for one in (query, then)] == [410, 410]
        assert (await ask(server, CONFIGMAPS, resourceVersion=then["resourceVersion"]))[0] == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("abc", "invalid character 'i' looking for beginning of value"),
        ("a", "illegal base64 data at input byte 1"),
        ("a b", "illegal base64 data at input byte 1"),
        ("YWJj=", "illegal base64 data at input byte 4"),
        ("eyJ2Ijo", "unexpected end of JSON input"),
        (token(v=1), "json: cannot unmarshal number into Go struct field continueToken.v of type string"),
        (token(rv="x"), "json: cannot unmarshal string into Go struct field continueToken.rv of type int64"),
        (token(v="v2"), "server does not recognize this encoded version v2"),
        (
            token(v="meta.k8s.io/v1", rv=0, start="/a"),
            "incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        ),
        (token(v="meta.k8s.io/v1", rv=1), "encoded start key empty (version meta.k8s.io/v1)"),
        (token(v="meta.k8s.io/v1", rv=1, start="/../a"), "/../a"),
    ],
)
async def test_a_token_that_is_none_is_refused_in_the_words_of_go(
    server: MemoryApiServer, text: str, said: str
) -> None:
    found = await refusal(server, CONFIGMAPS, limit=3, resourceVersion=7, **{"continue": text})
    assert found == (400, "BadRequest", BAD_TOKEN + said)


async def test_a_token_goes_with_no_version(server: MemoryApiServer) -> None:
    make(server, 2)
    _, body = await ask(server, CONFIGMAPS, limit=1)
    query = {"limit": 1, "continue": body["metadata"]["continue"]}
    assert (await ask(server, CONFIGMAPS, resourceVersion="0", **query))[0] == 200
    said = "specifying resource version is not allowed when using continue"
    for version in ("5", "abc"):
        found = await refusal(server, CONFIGMAPS, resourceVersion=version, **query)
        assert found == (400, "BadRequest", said)


async def test_a_token_from_the_future_is_waited_for_like_a_version(server: MemoryApiServer) -> None:
    ahead = token(v="meta.k8s.io/v1", rv=server.state.version + 1, start="/a")
    assert (await refusal(server, CONFIGMAPS, **{"continue": ahead}))[0] == 504


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"limit": ""}, 'strconv.ParseInt: parsing "": invalid syntax'),
        (
            {"limit": "9223372036854775808"},
            'strconv.ParseInt: parsing "9223372036854775808": value out of range',
        ),
        ({"timeoutSeconds": "1s", "limit": "x"}, 'strconv.ParseInt: parsing "1s": invalid syntax'),
    ],
)
async def test_a_number_that_is_none_is_refused(
    server: MemoryApiServer, query: dict[str, str], message: str
) -> None:
    assert await refusal(server, CONFIGMAPS, **query) == (400, "BadRequest", message)


@pytest.mark.parametrize("path", [CONFIGMAPS, f"{CONFIGMAPS}/none", "/version", "/nowhere"])
async def test_a_timeout_that_is_no_duration_is_refused_whatever_is_asked_for(
    server: MemoryApiServer, path: str
) -> None:
    said = 'invalid timeout specified in the request URL - time: missing unit in duration "5"'
    assert await refusal(server, path, timeout="5") == (400, "BadRequest", said)
    assert (await raw(server, path, timeout="5s"))[0] == (await raw(server, path, timeout=""))[0] != 400


async def test_of_a_watch_the_timeout_is_not_looked_at(server: MemoryApiServer) -> None:
    assert await raw(server, CONFIGMAPS, watch=1, timeoutSeconds=1, timeout="soon") == (200, b"")


async def test_a_table_of_what_there_is_not_is_refused(server: MemoryApiServer) -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    status, body = await ask(server, CONFIGMAPS, accept=table, includeObject="All")
    assert (status, body["message"]) == (
        400,
        "Unable to convert to Table as requested: includeObject: Invalid value: "
        "\"All\": must be 'Metadata', 'Object', 'None', or empty",
    )


async def test_a_limit_below_one_is_none(server: MemoryApiServer) -> None:
    make(server, 3)
    for limit in (-1, 0, 9223372036854775807):
        _, body = await ask(server, CONFIGMAPS, limit=limit, timeoutSeconds=5)
        assert names(body) == ["c0", "c1", "c2"]


# --- selectors ---------------------------------------------------------------------------------------


async def test_a_list_by_name_is_a_request_for_that_name(server: MemoryApiServer) -> None:
    make(server, 2)
    server.create("v1/configmaps", {"metadata": {"name": "c1", "namespace": "other"}})
    _, body = await ask(server, CONFIGMAPS, fieldSelector="metadata.name=c1")
    assert names(body) == ["c1"]
    _, body = await ask(server, "/api/v1/configmaps", fieldSelector="metadata.name==c1")
    assert [item["metadata"]["namespace"] for item in body["items"]] == ["default", "other"]
    assert server.requests.count(verb="list", name="c1") == 2
    _, body = await ask(server, CONFIGMAPS, fieldSelector="metadata.name=c1,metadata.name=c0")
    assert body["items"] == []


async def test_a_list_of_all_namespaces_can_be_narrowed_to_one(server: MemoryApiServer) -> None:
    make(server, 1)
    server.create("v1/configmaps", {"metadata": {"name": "b", "namespace": "other"}})
    query = {"fieldSelector": "metadata.namespace=other"}
    assert names((await ask(server, "/api/v1/configmaps", **query))[1]) == ["b"]
    assert (await ask(server, CONFIGMAPS, **query))[1]["items"] == []


# --- forms -------------------------------------------------------------------------------------------


async def test_json_is_indented_for_whoever_reads_it(server: MemoryApiServer) -> None:
    make(server, 1)
    _, plain = await raw(server, CONFIGMAPS)
    _, indented = await raw(server, CONFIGMAPS, pretty="true")
    assert plain.endswith(b"}\n")
    assert b"\n  " not in plain
    assert indented.startswith(b'{\n  "kind": "ConfigMapList",\n  "apiVersion": "v1",\n  "metadata": {\n')
    assert json.loads(indented) == json.loads(plain)
    assert (await raw(server, CONFIGMAPS, agent="curl/8.5"))[1] == indented
    assert (await raw(server, CONFIGMAPS, agent="curl/8.5", pretty="0"))[1] == plain
    _, refused = await raw(server, CONFIGMAPS, pretty="1", resourceVersion="x")
    assert refused.startswith(b'{\n  "kind": "Status",')


async def test_a_form_is_chosen_by_the_qualities_of_the_accept_header(server: MemoryApiServer) -> None:
    make(server, 1)
    partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    for accept, kind in [
        ("*/*", "ConfigMapList"),
        ("application/vnd.kubernetes.protobuf,application/json", "ConfigMapList"),
        (f"{partial};q=0.5,application/json", "ConfigMapList"),
        (f"application/json;q=0.5,{partial}", "PartialObjectMetadataList"),
        (f"*/*,{partial}", "PartialObjectMetadataList"),
    ]:
        _, body = await ask(server, CONFIGMAPS, accept=accept)
        assert body["kind"] == kind, accept


async def test_an_object_is_no_list_and_a_list_no_object(server: MemoryApiServer) -> None:
    make(server, 1)
    partial = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
    status, body = await ask(server, CONFIGMAPS, accept=partial.format(""))
    said = "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)"
    assert (status, body["reason"], body["message"]) == (406, "NotAcceptable", said)
    status, body = await ask(server, f"{CONFIGMAPS}/c0", accept=partial.format("List"))
    said = "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)"
    assert (status, body["message"]) == (406, said)


async def test_what_only_the_real_server_can_encode_is_said_to_be_left_out(server: MemoryApiServer) -> None:
    status, body = await ask(server, CONFIGMAPS, accept="application/yaml")
    assert (status, body["reason"]) == (501, "NotImplemented")
    assert "does not emulate answers in YAML" in body["message"]
    table = "application/json;as=Table;g=meta.k8s.io;v=v1beta1"
    assert (await ask(server, CONFIGMAPS, accept=table))[0] == 501
    assert (await ask(server, CONFIGMAPS, accept=f"{table},application/json"))[0] == 200


async def test_objects_have_no_head(server: MemoryApiServer) -> None:
    make(server, 1)
    for path in (CONFIGMAPS, f"{CONFIGMAPS}/c0"):
        assert (await raw(server, path, method="HEAD"))[0] == 405
    assert (await raw(server, "/readyz", method="HEAD"))[0] == 200


async def test_a_deprecated_resource_says_so(server: MemoryApiServer) -> None:
    request = Request("GET", "/api/v1/componentstatuses", timeout=5.0)
    async with await server.transport().send(request) as response:
        assert response.headers["Warning"] == '299 - "v1 ComponentStatus is deprecated in v1.19+"'
