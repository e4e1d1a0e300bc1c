"""What is said of a request before anybody looks at what it asks for: its path, and its `timeout`."""

from __future__ import annotations

import pytest

from kresilient.testing.server import MemoryApiServer

from .asked import asked
from .custom import Wire, definition

PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/apis/", f"{PODS}/"])
async def test_a_slash_at_the_end_of_a_path_is_nothing(path: str) -> None:
    assert (await asked(MemoryApiServer(), path)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2",
        "/api//v1/pods",
        "/api/v1//pods",
        "/api/v1/namespaces/default//p",
        "/apis/apps/v9",
        "/apis/apps/v9/deployments",
        "/apis/apps//deployments",
    ],
)
async def test_a_path_of_a_group_of_the_server_that_leads_nowhere_is_a_status(path: str) -> None:
    found = await asked(MemoryApiServer(), path)
    assert (found.status, found.json["reason"], found.json["details"]) == (404, "NotFound", {})
    assert found.json["message"] == "the server could not find the requested resource"


@pytest.mark.parametrize(
    "path",
    [
        "/apis//v1/pods",
        "/apis//pods",
        "/apis/example.com/v1/nope",
        "/apis/example.com/v9/widgets",
        "/apis/example.com/v1//w",
        "/apis/example.com/v1/widgets/w",
        "/apis/example.com/v1/namespaces//widgets/w",
    ],
)
async def test_a_path_that_nobody_looks_after_is_a_page(path: str) -> None:
    server = MemoryApiServer()
    server.add(definition())
    found = await asked(server, path)
    assert (found.status, found.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_is_not_there_is_not_there_for_any_method(method: str) -> None:
    server = MemoryApiServer()
    for path in ("/nope", "/apis/nope.example.com/v1/things", "/api/v2", "/api/v1//pods"):
        assert (await asked(server, path, method=method)).status == 404, path
    if method != "GET":
        for path in ("/api", "/apis/", "/apis/apps", "/api/v1/", "/version"):
            assert (await asked(server, path, method=method)).status == 405, path


async def test_a_namespace_that_is_left_empty_is_every_one_to_a_list() -> None:
    server = MemoryApiServer()
    server.create("v1/configmaps", {"metadata": {"name": "a", "namespace": "one"}})
    server.create("v1/configmaps", {"metadata": {"name": "b", "namespace": "two"}})
    listed = (await asked(server, "/api/v1/namespaces//configmaps")).json["items"]
    assert [one["metadata"]["name"] for one in listed] == ["a", "b"]
    found = await asked(server, "/api/v1/namespaces//configmaps/a")
    assert (found.status, found.json["message"]) == (400, "Namespace parameter required.")


async def test_a_subresource_of_no_name_is_refused() -> None:
    found = await asked(MemoryApiServer(), f"{PODS}//status")
    assert (found.status, found.json["message"]) == (400, "name must be provided")


@pytest.mark.parametrize("name", ["..", ".", "a%b"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_name_that_is_no_part_of_a_path_is_refused(method: str, name: str) -> None:
    status, answer = Wire().ask(method, f"{PODS}/{name}", {"metadata": {"name": name}})
    assert status == 400
    said = "may not contain '%'" if "%" in name else f"may not be '{name}'"
    assert answer["message"] == f'Name parameter invalid: "{name}": {said}'


@pytest.mark.parametrize("path", ["/flagz", "/statusz", "/metrics/slis"])
async def test_a_page_about_the_process_says_what_to_ask_instead(path: str) -> None:
    found = await asked(MemoryApiServer(), path)
    assert found.status == 501
    assert "/version" in found.json["message"] or "/readyz" in found.json["message"]


@pytest.mark.parametrize(
    ("timeout", "why"),
    [
        ("abc", 'time: invalid duration "abc"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("1s-", 'time: unknown unit "s-" in duration "1s-"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
    ],
)
async def test_a_timeout_that_is_no_duration_is_refused(timeout: str, why: str) -> None:
    found = await asked(MemoryApiServer(), f"{PODS}?timeout={timeout}")
    message = f"invalid timeout specified in the request URL - {why}"
    assert (found.status, found.json["reason"], found.json["message"]) == (400, "BadRequest", message)


@pytest.mark.parametrize("timeout", ["", "0", "5s", "1h2m3.5s", "-1s", ".5s", "100ms", "3us"])
async def test_a_timeout_that_is_a_duration_is_taken(timeout: str) -> None:
    assert (await asked(MemoryApiServer(), f"{PODS}?timeout={timeout}")).status == 200


@pytest.mark.looptime
async def test_a_watch_is_not_asked_for_its_timeout() -> None:
    assert (await asked(MemoryApiServer(), f"{PODS}?watch=1&timeoutSeconds=1&timeout=abc")).status == 200


@pytest.mark.parametrize("path", ["/openid/v1/jwks", "/.well-known/openid-configuration"])
async def test_the_keys_of_service_account_tokens_are_not_given_out(path: str) -> None:
    found = await asked(MemoryApiServer(), path)
    assert found.status == 501
    assert "TokenReview" in found.json["message"]
