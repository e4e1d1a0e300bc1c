"""The server of the events: what it lists and what it streams is what a cluster would send."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from benchmarks.prepared_server import Prepared, serve
from kresilient.api.wire import Bookmark, ListDecoder, WatchDecoder, WatchEvent


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared(pods=3, events=8)


Ask = Callable[[str, str], http.client.HTTPResponse]


@pytest.fixture
def ask(prepared: Prepared) -> Iterator[Ask]:
    """Sends a request to a server of what was prepared."""
    with ExitStack() as stack:
        server = stack.enter_context(serve(prepared))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)

        def ask(method: str, path: str) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
            stack.callback(connection.close)
            connection.request(method, path)
            return stack.enter_context(connection.getresponse())

        yield ask


def events_of(frames: list[Any]) -> list[tuple[str, str, int]]:
    assert all(isinstance(frame, WatchEvent) for frame in frames)
    return [(one.type, one.object.key, int(one.object.resource_version)) for one in frames]


def test_its_list_has_all_pods(ask: Ask) -> None:
    decoder = ListDecoder()
    items = decoder.feed(ask("GET", "/api/v1/pods?resourceVersion=0").read())
    rest, meta = decoder.close()
    assert len({item.key for item in items + rest}) == 3
    assert meta.resource_version


def test_its_pods_are_of_seven_kilobytes_with_managed_fields(prepared: Prepared) -> None:
    pod = json.loads(prepared.events[0])["object"]
    assert 7000 < len(prepared.events[0]) < 8500
    assert pod["metadata"]["managedFields"]


def test_its_events_modify_the_pods_in_turn_at_rising_versions(prepared: Prepared) -> None:
    events = events_of(list(WatchDecoder().feed(b"".join(prepared.events))))
    initial = list(WatchDecoder().feed(b"".join(prepared.initial)))
    assert [key for _, key, _ in events] == [key for _, key, _ in events_of(initial[:-1] * 3)][:8]
    assert {kind for kind, _, _ in events} == {"MODIFIED"}
    versions = [version for _, _, version in events]
    assert versions == list(range(versions[0], versions[0] + 8))
    assert versions[0] > max(version for _, _, version in events_of(initial[:-1]))


def test_a_watch_is_sent_as_many_events_as_are_asked_for(ask: Ask, prepared: Prepared) -> None:
    watch = ask("GET", "/api/v1/pods?watch=1&resourceVersion=3")
    assert ask("POST", "/go?events=5").read() == b"{}"
    wanted = b"".join(prepared.events[:5])
    assert watch.read(len(wanted)) == wanted


def test_a_streaming_list_comes_before_the_events(ask: Ask, prepared: Prepared) -> None:
    watch = ask("GET", "/api/v1/pods?watch=true&sendInitialEvents=true")
    *pods, end = WatchDecoder().feed(watch.read(sum(map(len, prepared.initial))))
    assert [kind for kind, _, _ in events_of(pods)] == ["ADDED"] * 3
    assert isinstance(end, Bookmark)
    assert end.initial_events_end
    ask("POST", "/go?events=1").read()
    assert watch.read(len(prepared.events[0])) == prepared.events[0]
