"""Decoding by type: what is kept, dropped, refused, and in which order and form it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.testing.server.types.decode import DecodeFault, decoded
from kresilient.testing.server.types.schema import List, Map, Scalar, Struct, Type, builtin_types

POD = "io.k8s.api.core.v1.Pod"
SERVICE = "io.k8s.api.core.v1.Service"


def pod(value: Any) -> dict[str, Any]:
    return decoded(builtin_types()[POD], value)


def spec(value: Any) -> Any:
    return pod({"spec": value})["spec"]


def test_fields_come_in_the_order_of_the_type_and_maps_sorted() -> None:
    made = pod(
        {"status": {}, "spec": {"nodeName": "n", "nodeSelector": {"b": "1", "a": "2"}, "containers": []}}
    )
    assert list(made) == ["metadata", "spec", "status"]
    assert list(made["spec"]) == ["containers", "nodeSelector", "nodeName"]
    assert list(made["spec"]["nodeSelector"]) == ["a", "b"]


def test_empty_values_go_but_where_the_type_writes_them() -> None:
    assert spec({"nodeName": "", "hostNetwork": False, "priority": 0, "volumes": []}) == {
        "containers": None,
        "priority": 0,
    }
    condition = {"type": "Ready", "status": "True"}
    made = pod({"status": {"conditions": [condition]}})
    assert made["status"]["conditions"] == [condition | {"lastProbeTime": None, "lastTransitionTime": None}]


def test_null_is_absent() -> None:
    assert pod({"metadata": None, "spec": {"containers": [None]}}) == pod(
        {"spec": {"containers": [{"name": ""}]}}
    )


def test_null_in_a_map_is_nothing_of_its_type() -> None:
    secret = builtin_types()["io.k8s.api.core.v1.Secret"]
    assert decoded(secret, {"data": {"k": None}})["data"] == {"k": ""}


def test_unknown_fields_are_dropped_and_named_by_their_path() -> None:
    unknown: list[str] = []
    value = {"bogus": 1, "spec": {"containers": [{"name": "c", "nope": {}}]}, "Spec": {}}
    made = decoded(builtin_types()[POD], value, unknown=unknown)
    assert sorted(unknown) == ["Spec", "bogus", "spec.containers[0].nope"]
    assert made["spec"]["containers"] == [{"name": "c", "resources": {}}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"spec": {"nodeName": 1}}, "number into Go struct field PodSpec.spec.nodeName of type string"),
        ({"spec": []}, "array into Go struct field Pod.spec of type v1.PodSpec"),
        (
            {"spec": {"containers": {}}},
            "object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        ({"spec": {"priority": "1"}}, "string into Go struct field PodSpec.spec.priority of type int32"),
        ({"spec": {"priority": 1.5}}, "number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
        ({"spec": {"priority": 1.0}}, "number 1.0 into Go struct field PodSpec.spec.priority of type int32"),
        (
            {"spec": {"priority": 2**31}},
            "number 2147483648 into Go struct field PodSpec.spec.priority of type int32",
        ),
        ({"spec": {"hostNetwork": "x"}}, "string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        (
            {"metadata": {"labels": {"a": 1}}},
            "number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
    ],
)
def test_a_value_of_another_type_is_refused_in_gos_words(value: Any, message: str) -> None:
    with pytest.raises(DecodeFault) as fault:
        pod(value)
    assert str(fault.value) == f"json: cannot unmarshal {message}"


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.999Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05Z"),
    ],
)
def test_times_are_written_in_utc_and_whole_seconds(given: str, written: str) -> None:
    assert pod({"status": {"startTime": given}})["status"]["startTime"] == written


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "2026-01-02", ""])
def test_a_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DecodeFault, match="parsing time"):
        pod({"status": {"startTime": text}})


def test_a_micro_time_keeps_its_six_digits() -> None:
    lease = builtin_types()["io.k8s.api.coordination.v1.Lease"]
    made = decoded(lease, {"spec": {"renewTime": "2026-01-02T03:04:05.678901+00:00"}})
    assert made["spec"]["renewTime"] == "2026-01-02T03:04:05.678901Z"
    with pytest.raises(DecodeFault, match="parsing time"):
        decoded(lease, {"spec": {"renewTime": "2026-01-02T03:04:05Z"}})


def test_bytes_are_base64() -> None:
    secret = builtin_types()["io.k8s.api.core.v1.Secret"]
    assert decoded(secret, {"data": {"k": "cQ=="}})["data"] == {"k": "cQ=="}
    with pytest.raises(DecodeFault, match="illegal base64 data at input byte"):
        decoded(secret, {"data": {"k": "not base64!"}})


def test_the_zero_time_is_no_time() -> None:
    assert pod({"metadata": {"creationTimestamp": "0001-01-01T00:00:00Z"}})["metadata"] == {}


def test_a_port_is_a_number_of_32_bits() -> None:
    with pytest.raises(DecodeFault, match="cannot unmarshal number 2147483648 into Go value of type int32"):
        decoded(builtin_types()[SERVICE], {"spec": {"ports": [{"targetPort": 2**31}]}})


def test_a_port_is_a_number_or_a_name() -> None:
    service = builtin_types()[SERVICE]
    ports = [{"port": 80, "targetPort": "web"}, {"port": 81, "targetPort": 8081}]
    made = decoded(service, {"spec": {"ports": ports}})
    assert [one["targetPort"] for one in made["spec"]["ports"]] == ["web", 8081]
    with pytest.raises(DecodeFault):
        decoded(service, {"spec": {"ports": [{"port": 80, "targetPort": []}]}})


# --- any value of any type ---------------------------------------------------------------------------


def values(kind: Type, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a client might send for *kind*, fields missing as they come."""
    match kind:
        case Scalar(name):
            return _SCALARS.get(name, st.none())
        case List(element):
            return st.lists(values(element, depth + 1), max_size=2)
        case Map(element):
            return st.dictionaries(st.sampled_from("ba"), values(element, depth + 1), max_size=2)
        case Struct(fields=fields):
            if depth > 5:
                return st.just({})
            return st.fixed_dictionaries(
                {},
                optional={
                    name: st.deferred(lambda one=one: values(one.type, depth + 1))
                    for name, one in fields.items()
                },
            )
    raise AssertionError(kind)


_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.sampled_from(["", "x"]),
    "bool": st.booleans(),
    "int32": st.sampled_from([0, 7]),
    "int64": st.sampled_from([0, 7]),
    "bytes": st.sampled_from(["", "cQ=="]),
    "Time": st.just("2026-01-02T03:04:05Z"),
    "Quantity": st.sampled_from(["0", "0.5", "1024Mi", "1500m"]),
    "IntOrString": st.sampled_from([0, "web"]),
}


@given(st.data())
def test_decoding_again_changes_nothing(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["io.k8s.api.core.v1.PodSpec", "io.k8s.api.core.v1.ServiceSpec"]))
    struct = builtin_types()[name]
    made = decoded(struct, data.draw(values(struct, 2)))
    again = decoded(struct, made)
    assert repr(again) == repr(made)
