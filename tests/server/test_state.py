"""The state machine by itself: versions, writes, history, selections, definitions."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from kresilient.testing.server import ApiState, Refused
from kresilient.testing.server.forms import ObjectForm
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.listing import ListOptions
from kresilient.testing.server.selection import Selection
from kresilient.testing.server.wire import decode
from kresilient.testing.server.writing import Write

SPEC = {"containers": [{"name": "c", "image": "i"}]}


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_795_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> ApiState:
    return ApiState(now=clock, random=Random(1), history=100)


@pytest.fixture
def pods(state: ApiState) -> ApiResource:
    return state.resources.parse("v1/pods")


def create(state: ApiState, resource: ApiResource, name: str, **obj: Any) -> int:
    metadata = {"name": name, **obj.pop("metadata", {})}
    write = Write(trusted=True)
    return state.create(resource, {"metadata": metadata, **obj}, namespace="default", write=write).version


def events(
    state: ApiState, resource: ApiResource, version: int | None, **selectors: str
) -> list[dict[str, Any]]:
    """What a watch from *version* has to say now."""
    watch = state.watch(resource, Selection(resource, **selectors), ObjectForm(resource), version=version)
    frames = [decode(line) for line in watch.take().splitlines()]
    state.unwatch(resource, watch)
    return frames


def seen(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(frame["type"], frame["object"]["metadata"]["name"]) for frame in frames]


def test_one_counter_versions_every_resource(state: ApiState, pods: ApiResource) -> None:
    before = state.version
    assert create(state, pods, "a") == before + 1
    assert create(state, state.resources.parse("v1/configmaps"), "c") == before + 2


def test_a_list_and_a_watch_from_its_version_miss_nothing(state: ApiState) -> None:
    maps = state.resources.parse("v1/configmaps")
    create(state, maps, "a")
    page = state.page(maps, Selection(maps), ListOptions())
    create(state, maps, "b")
    state.delete(maps, "default/a")
    assert [stored.key for stored in page.items] == ["default/a"]
    assert seen(events(state, maps, page.version)) == [("ADDED", "b"), ("DELETED", "a")]


def test_a_deleted_event_carries_the_version_of_the_deletion(state: ApiState) -> None:
    maps = state.resources.parse("v1/configmaps")
    version = create(state, maps, "a")
    state.delete(maps, "default/a")
    (gone,) = events(state, maps, version)
    assert gone["object"]["metadata"]["resourceVersion"] == str(version + 1)


def test_an_update_that_changes_nothing_makes_no_event(state: ApiState, pods: ApiResource) -> None:
    version = create(state, pods, "a", metadata={"labels": {"x": "1"}})
    stored, _ = state.patch(pods, "default/a", {"metadata": {"labels": {"x": "1"}}}, kind="merge")
    assert stored.version == state.version == version
    assert events(state, pods, version) == []


def test_entering_and_leaving_a_selector_are_added_and_deleted(state: ApiState, pods: ApiResource) -> None:
    version = create(state, pods, "a")
    for value in ("web", "web", "other"):
        patch = {"metadata": {"labels": {"app": value}, "annotations": {"n": str(state.version)}}}
        state.patch(pods, "default/a", patch, kind="merge")
    frames = events(state, pods, version, labels="app=web")
    assert [frame["type"] for frame in frames] == ["ADDED", "MODIFIED", "DELETED"]
    left = frames[-1]["object"]["metadata"]
    assert left["labels"] == {"app": "web"}, "the last state that matched"
    assert left["resourceVersion"] == str(state.version), "at the version of the change"


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ({"fields": "spec.nodeName=n1"}, [("ADDED", "a"), ("DELETED", "a")]),
        ({"fields": "spec.nodeName=n2"}, [("ADDED", "a")]),
        ({"fields": "metadata.name=b"}, [("ADDED", "b")]),
        ({"namespace": "default", "fields": "metadata.name!=b"}, [("ADDED", "a"), ("MODIFIED", "a")]),
        ({"namespace": "other"}, [("ADDED", "c")]),
    ],
)
def test_a_running_watch_is_found_by_what_it_selects(
    state: ApiState, pods: ApiResource, selectors: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    watch = state.watch(pods, Selection(pods, **selectors), ObjectForm(pods))
    create(state, pods, "a", spec={"nodeName": "n1"})
    create(state, pods, "b")
    state.create(pods, {"metadata": {"name": "c"}, "spec": SPEC}, namespace="other")
    state.patch(pods, "default/a", {"spec": {"nodeName": "n2"}}, kind="merge", write=Write(trusted=True))
    assert seen([decode(line) for line in watch.take().splitlines()]) == expected


def test_an_event_is_encoded_once_for_all_who_watch(state: ApiState, pods: ApiResource) -> None:
    watches = [state.watch(pods, Selection(pods), ObjectForm(pods)) for _ in range(2)]
    create(state, pods, "first")
    for watch in watches:
        watch.take()
    create(state, pods, "a")
    one, other = (watch.take() for watch in watches)
    assert one is other


def test_a_watch_from_before_the_history_is_too_old(state: ApiState, pods: ApiResource) -> None:
    start = state.version
    for number in range(101):
        create(state, pods, f"p{number}")
    events(state, pods, start + 1)
    with pytest.raises(Refused, match=f"too old resource version: {start} \\({start + 1}\\)") as refused:
        events(state, pods, start)
    assert (refused.value.code, refused.value.reason) == (410, "Expired")


def test_a_watch_from_the_future_is_silent(state: ApiState, pods: ApiResource) -> None:
    watch = state.watch(pods, Selection(pods), ObjectForm(pods), version=state.version + 100, bookmarks=True)
    create(state, pods, "a")
    assert watch.take() == b""
    assert watch.bookmark(state.version) == b""


def test_a_slow_watch_is_cut_off(pods: ApiResource) -> None:
    state = ApiState(watch_queue=2)
    watch = state.watch(pods, Selection(pods), ObjectForm(pods))
    for name in ("a", "b", "c"):
        create(state, pods, name)
    assert watch.ended == "slow"
    assert watch.take() == b""


def test_an_exact_list_is_served_from_history(state: ApiState, pods: ApiResource) -> None:
    create(state, pods, "b")
    version = create(state, pods, "c", metadata={"labels": {"x": "1"}})
    state.delete(pods, "default/b")
    state.patch(pods, "default/c", {"metadata": {"labels": {"x": "2"}}}, kind="merge")
    create(state, pods, "a")
    page = state.page(pods, Selection(pods), ListOptions(version=version, match="Exact"))
    assert [(stored.name, stored.labels) for stored in page.items] == [("b", {}), ("c", {"x": "1"})]
    assert page.version == version
    state.compact()
    with pytest.raises(Refused, match="too old"):
        state.page(pods, Selection(pods), ListOptions(version=version, match="Exact"))


def test_pages_are_one_snapshot(state: ApiState, pods: ApiResource) -> None:
    for name in ("a", "b", "c", "d"):
        create(state, pods, name)
    first = state.page(pods, Selection(pods), ListOptions(limit=2))
    state.delete(pods, "default/c")
    create(state, pods, "bb")
    second = state.page(pods, Selection(pods), ListOptions(limit=2, continue_token=first.continue_token))
    assert [stored.name for stored in (*first.items, *second.items)] == ["a", "b", "c", "d"]
    assert (first.remaining, first.version) == (2, second.version)
    assert second.continue_token == ""


def test_a_page_token_expires_with_the_history_and_offers_a_fresh_one(
    state: ApiState, pods: ApiResource
) -> None:
    for name in ("a", "b", "c"):
        create(state, pods, name)
    token = state.page(pods, Selection(pods), ListOptions(limit=1)).continue_token
    create(state, pods, "d")
    state.compact()
    with pytest.raises(Refused, match="The provided continue parameter is too old") as refused:
        state.page(pods, Selection(pods), ListOptions(continue_token=token))
    assert (refused.value.code, refused.value.reason) == (410, "Expired")
    rest = state.page(pods, Selection(pods), ListOptions(continue_token=refused.value.continue_token))
    assert [stored.name for stored in rest.items] == ["b", "c", "d"], "inconsistent, as the message says"


def test_a_page_token_expires_by_age_once_there_were_later_writes(
    state: ApiState, pods: ApiResource, clock: Clock
) -> None:
    for name in ("a", "b"):
        create(state, pods, name)
    token = state.page(pods, Selection(pods), ListOptions(limit=1)).continue_token
    clock.seconds += 1000
    assert state.page(pods, Selection(pods), ListOptions(continue_token=token)).items
    create(state, pods, "c")
    clock.seconds += 301
    with pytest.raises(Refused, match="continue parameter is too old"):
        state.page(pods, Selection(pods), ListOptions(continue_token=token))


def test_an_object_with_a_finalizer_stays_until_it_is_removed(state: ApiState, pods: ApiResource) -> None:
    version = create(state, pods, "a", metadata={"finalizers": ["example.com/hold"]})
    _, gone = state.delete(pods, "default/a")
    assert not gone
    state.delete(pods, "default/a")
    last, _ = state.patch(pods, "default/a", {"metadata": {"finalizers": None}}, kind="merge")
    assert "finalizers" not in last.decode()["metadata"], "answered with an object that is gone"
    assert seen(events(state, pods, version)) == [("MODIFIED", "a"), ("DELETED", "a")]


def test_a_status_write_and_a_main_write_do_not_touch_each_other(state: ApiState, pods: ApiResource) -> None:
    create(state, pods, "a", spec=SPEC)
    obj = state.get(pods, "default/a").decode()
    other = {**obj["spec"], "activeDeadlineSeconds": 5}
    changed = {**obj, "spec": other, "status": {"phase": "Running"}}
    state.update(pods, "default/a", changed, subresource="status")
    obj = state.get(pods, "default/a").decode()
    assert ("activeDeadlineSeconds" in obj["spec"], obj["status"]) == (False, {"phase": "Running"})
    state.update(pods, "default/a", {**obj, "spec": other, "status": {"phase": "Failed"}})
    obj = state.get(pods, "default/a").decode()
    assert obj["spec"]["activeDeadlineSeconds"] == 5
    assert (obj["status"], obj["metadata"]["generation"]) == ({"phase": "Running"}, 2)


def test_poison_is_served_as_it_is(state: ApiState, pods: ApiResource) -> None:
    version = create(state, pods, "a")
    state.put_raw(pods, "default/bad", b'{"metadata":nonsense')
    form = ObjectForm(pods)
    page = state.page(pods, Selection(pods), ListOptions())
    body = b"".join(form.listed(page.items, page.version))
    assert body.endswith(b',{"metadata":nonsense]}\n')
    watch = state.watch(pods, Selection(pods), form, version=version)
    assert watch.take() == b'{"type":"ADDED","object":{"metadata":nonsense}\n'
    state.delete(pods, "default/bad")
    assert watch.take().startswith(b'{"type":"DELETED","object":{"metadata":nonsense')


def test_a_rewind_goes_back_to_the_objects_and_the_version_of_then(
    state: ApiState, pods: ApiResource
) -> None:
    create(state, pods, "kept", metadata={"labels": {"x": "1"}})
    then = create(state, pods, "deleted", spec={"nodeName": "n1"})
    state.patch(pods, "default/kept", {"metadata": {"labels": {"x": "2"}}}, kind="merge")
    state.delete(pods, "default/deleted")
    latest = create(state, pods, "new")
    watch = state.watch(pods, Selection(pods), ObjectForm(pods), version=latest)
    state.rewind(then)
    page = state.page(pods, Selection(pods), ListOptions())
    assert [(stored.name, dict(stored.labels)) for stored in page.items] == [
        ("deleted", {}),
        ("kept", {"x": "1"}),
    ]
    assert page.version == then
    assert watch.ended
    assert [
        one.name for one in Selection(pods, fields="spec.nodeName=n1").select(state.collection(pods))
    ] == ["deleted"]
    assert create(state, pods, "again") == then + 1
    with pytest.raises(ValueError, match="cannot rewind"):
        state.rewind(then - 1)


def definition(*versions: str, scope: str = "Namespaced") -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": name, "served": True, "storage": name == versions[0], "schema": schema}
                for name in versions
            ],
        },
    }


def test_a_definition_serves_all_its_versions_and_takes_its_objects_along(state: ApiState) -> None:
    crds = state.resources.parse("apiextensions.k8s.io/v1/customresourcedefinitions")
    state.create(crds, definition("v1", "v1beta1"))
    v1, beta = (state.resources.parse(f"example.com/{version}/widgets") for version in ("v1", "v1beta1"))
    create(state, v1, "w", spec={"b": 1, "a": 2})
    assert (
        state.get(beta, "default/w")
        .full(beta.header)
        .startswith(b'{"apiVersion":"example.com/v1beta1","kind":"Widget","metadata":{"creationTimestamp":')
    )
    watch = state.watch(beta, Selection(beta), ObjectForm(beta), version=state.version)
    state.delete(crds, "widgets.example.com")
    assert seen([decode(line) for line in watch.take().splitlines()]) == [("DELETED", "w")]
    assert watch.ended
    with pytest.raises(KeyError, match="does not serve"):
        state.resources.parse("example.com/v1/widgets")


def test_a_definition_waits_for_an_object_that_a_finalizer_holds(state: ApiState) -> None:
    crds = state.resources.parse("apiextensions.k8s.io/v1/customresourcedefinitions")
    state.create(crds, definition("v1"))
    widgets = state.resources.parse("example.com/v1/widgets")
    create(state, widgets, "w", metadata={"finalizers": ["example.com/hold"]})
    state.delete(crds, "widgets.example.com")
    assert state.get(crds, "widgets.example.com")
    state.patch(widgets, "default/w", {"metadata": {"finalizers": None}}, kind="merge")
    with pytest.raises(Refused, match="not found"):
        state.get(crds, "widgets.example.com")


def test_deleting_a_namespace_deletes_what_is_in_it(state: ApiState, pods: ApiResource) -> None:
    namespaces = state.resources.parse("v1/namespaces")
    state.create(namespaces, {"metadata": {"name": "team"}})
    state.create(pods, {"metadata": {"name": "a"}, "spec": SPEC}, namespace="team")
    held = {"name": "b", "finalizers": ["example.com/hold"]}
    state.create(pods, {"metadata": held, "spec": SPEC}, namespace="team")
    state.delete(namespaces, "team")
    assert list(state.collection(pods).objects) == ["team/b"]
    with pytest.raises(Refused, match="being terminated"):
        state.create(pods, {"metadata": {"name": "c"}, "spec": SPEC}, namespace="team")
    state.patch(pods, "team/b", {"metadata": {"finalizers": None}}, kind="merge")
    assert "team" not in state.collection(namespaces).objects


def test_a_failing_commit_leaves_no_trace(state: ApiState, pods: ApiResource) -> None:
    version = create(state, pods, "a")
    watch = state.watch(pods, Selection(pods), ObjectForm(pods), version=version)

    def full(*_: object) -> None:
        raise OSError("no space left")

    state.commit = full
    with pytest.raises(OSError, match="no space"):
        create(state, pods, "b")
    assert state.version == version
    assert list(state.collection(pods).objects) == ["default/a"]
    assert watch.take() == b""


class Repeating(Random):
    """Makes up every name twice."""

    def __init__(self) -> None:
        super().__init__(1)
        self.names = 0

    def choices(self, population: Any, *_: Any, k: int = 1, **__: Any) -> list[str]:
        self.names += 1
        return [population[(self.names - 1) // 2]] * k


def test_a_generated_name_that_is_taken_is_made_up_anew() -> None:
    state = ApiState(random=Repeating())
    maps = state.resources.parse("v1/configmaps")
    made = [state.create(maps, {"metadata": {"generateName": "x-"}}, namespace="default") for _ in range(3)]
    assert [stored.name for stored in made] == ["x-bbbbb", "x-ccccc", "x-ddddd"]


def test_a_name_that_is_given_and_taken_is_not_made_up_anew(state: ApiState) -> None:
    maps = state.resources.parse("v1/configmaps")
    state.create(maps, {"metadata": {"name": "a"}}, namespace="default")
    with pytest.raises(Refused, match="already exists"):
        state.create(maps, {"metadata": {"name": "a", "generateName": "x-"}}, namespace="default")
