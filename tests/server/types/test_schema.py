"""The table of built-in types."""

from __future__ import annotations

from kresilient.api.resources import BUILTIN
from kresilient.testing.server.types.schema import List, Map, Scalar, Struct, Type, builtin_types


def test_every_built_in_kind_has_a_type_with_metadata_that_says_its_kind_first() -> None:
    types = builtin_types()
    for (group, version, _), (kind, _) in BUILTIN.items():
        struct = types.of_kind(group, version, kind)
        assert struct is not None, (group, version, kind)
        assert list(struct.fields)[:3] == ["kind", "apiVersion", "metadata"]


def test_no_type_that_is_named_is_missing() -> None:
    empty = [struct.name for struct in builtin_types().values() if not struct.fields]
    assert empty == [
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceStatus"
    ]


def test_the_key_fields_of_a_list_are_scalars_of_its_elements() -> None:
    def walk(kind: Type) -> None:
        match kind:
            case List(element=Struct(fields=fields), keys=keys):
                for key in keys:
                    assert isinstance(fields[key].type, Scalar), (kind, key)
            case List(element=element) | Map(element=element):
                assert isinstance(element, Type)

    for struct in builtin_types().values():
        for one in struct.fields.values():
            walk(one.type)
            if one.merge_key:
                assert isinstance(one.type, List)
                assert isinstance(one.type.element, Struct)
                assert one.merge_key in one.type.element.fields


def test_a_field_knows_how_it_is_merged_owned_and_written() -> None:
    spec = builtin_types()["io.k8s.api.core.v1.PodSpec"]
    containers = spec.fields["containers"]
    assert isinstance(containers.type, List)
    assert (containers.type.keys, containers.merge_key, containers.required) == (("name",), "name", True)
    assert spec.fields["volumes"].strategy == ("merge", "retainKeys")
    assert spec.fields["nodeSelector"].type == Map(Scalar("string"), atomic=True)
    assert spec.fields["terminationGracePeriodSeconds"].pointer
    volume = builtin_types()["io.k8s.api.core.v1.Volume"]
    assert volume.fields["emptyDir"].number == (2, 2)


def test_a_kind_that_is_not_built_in_has_no_type() -> None:
    assert builtin_types().of_kind("example.com", "v1", "Widget") is None
    assert builtin_types().of_kind("", "v1", "PodSpec") is None
