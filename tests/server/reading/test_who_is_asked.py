"""A change asks the watches that it may concern, and is encoded once for each form: however many watch."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from kresilient.testing.server.forms import Form, MetadataForm, ObjectForm
from kresilient.testing.server.kinds import ApiResource
from kresilient.testing.server.selection import Selection
from kresilient.testing.server.state import ApiState
from kresilient.testing.server.storage import Stored
from kresilient.testing.server.watch import Watch
from kresilient.testing.server.writing import Write

WATCHES = 2500


class AskedSelection(Selection):
    """Notes in *asked* whenever it is asked whether an object matches."""

    def __init__(self, asked: Counter[str], resource: ApiResource, fields: str) -> None:
        super().__init__(resource, fields=fields)
        self._asked, self._fields = asked, fields

    def matches(self, stored: Stored) -> bool:
        self._asked[self._fields] += 1
        return super().matches(stored)


class CountedObjects(ObjectForm):
    def __init__(self, resource: ApiResource, encoded: Counter[str]) -> None:
        super().__init__(resource)
        self.encoded = encoded

    def one(self, stored: Stored) -> bytes:
        self.encoded["object"] += 1
        return super().one(stored)


class CountedMetadata(MetadataForm):
    def __init__(self, resource: ApiResource, encoded: Counter[str]) -> None:
        super().__init__(resource)
        self.encoded = encoded

    def one(self, stored: Stored) -> bytes:
        self.encoded["metadata"] += 1
        return super().one(stored)


@pytest.fixture
def state() -> ApiState:
    state = ApiState(random=Random(1), now=lambda: 1_700_000_000.0)
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    state.create(state.resource("v1/pods"), pod, namespace="default", write=Write(trusted=True))
    return state


def change(state: ApiState, patch: dict[str, object]) -> None:
    pods = state.resource("v1/pods")
    state.patch(pods, "default/p", patch, kind="merge", subresource="all", write=Write(trusted=True))


def watch(state: ApiState, form: Form, selection: Selection) -> Watch:
    return state.watch(state.resource("v1/pods"), selection, form, initial_events=False)


def test_of_2500_watches_of_a_node_a_change_asks_those_of_its_nodes(state: ApiState) -> None:
    pods, asked = state.resource("v1/pods"), Counter[str]()
    watches = [
        watch(state, ObjectForm(pods), AskedSelection(asked, pods, f"spec.nodeName=n{node}"))
        for node in range(WATCHES)
    ]
    change(state, {"spec": {"nodeName": "n7"}})
    assert set(asked) == {"spec.nodeName=n7"}
    asked.clear()
    change(state, {"spec": {"nodeName": "n8"}})
    assert set(asked) == {"spec.nodeName=n7", "spec.nodeName=n8"}, "the node it left, and the one it came to"
    told = {node: frames for node, one in enumerate(watches) if (frames := one.take())}
    assert set(told) == {7, 8}
    assert [line[:16] for line in told[7].splitlines()] == [b'{"type":"ADDED",', b'{"type":"DELETED']


def test_of_2500_watches_of_a_name_a_change_asks_that_of_its_own(state: ApiState) -> None:
    pods, asked = state.resource("v1/pods"), Counter[str]()
    for other in range(WATCHES - 1):
        watch(state, ObjectForm(pods), AskedSelection(asked, pods, f"metadata.name=p{other}"))
    own = watch(state, ObjectForm(pods), AskedSelection(asked, pods, "metadata.name=p"))
    change(state, {"metadata": {"labels": {"a": "b"}}})
    assert set(asked) == {"metadata.name=p"}
    assert own.take().startswith(b'{"type":"MODIFIED"')


def test_a_change_that_2500_watches_see_is_encoded_once_for_each_form(state: ApiState) -> None:
    pods, encoded = state.resource("v1/pods"), Counter[str]()
    forms = (CountedObjects, CountedMetadata)
    watches = [watch(state, forms[n % 2](pods, encoded), Selection(pods)) for n in range(WATCHES)]
    change(state, {"metadata": {"labels": {"a": "b"}}})
    assert encoded == {"object": 1, "metadata": 1}
    assert len({one.take() for one in watches}) == 2, "every watch has its frame, one of two"
    change(state, {"metadata": {"labels": {"a": "c"}}})
    assert encoded == {"object": 2, "metadata": 2}
