"""What the server makes of an object that is created: its metadata, and what it refuses."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from .api import Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


async def test_a_create_answers_201_with_the_whole_object(api: Api) -> None:
    """Recorded: 02 create"""
    name = api.name()
    answer = await api.post(api.path("v1/configmaps"), {"metadata": {"name": name}, "data": {"k": "v"}})
    made = answer.ok(201)
    assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"k": "v"})
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == (name, api.namespace)


async def test_an_answer_is_json_by_its_content_type(api: Api) -> None:
    """Recorded: 02 get"""
    made = await api.configmap()
    answer = await api.get(api.path("v1/configmaps", made["metadata"]["name"]))
    assert answer.headers["Content-Type"] == "application/json"


async def test_kind_and_version_lead_the_object_and_name_its_metadata(api: Api) -> None:
    """Recorded: 02 get"""
    made = await api.configmap({"k": "v"}, labels={"app": "web"})
    assert list(made)[:3] == ["kind", "apiVersion", "metadata"]
    assert [key for key in made["metadata"] if key != "managedFields"] == [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "labels",
    ]


async def test_a_get_answers_what_the_create_answered(api: Api) -> None:
    """Recorded: 02 get"""
    made = await api.configmap({"k": "v"})
    assert (await api.get(api.path("v1/configmaps", made["metadata"]["name"]))).ok(200) == made


async def test_a_created_object_has_a_uid(api: Api) -> None:
    """API conventions: Metadata"""
    assert UUID.fullmatch((await api.configmap())["metadata"]["uid"])


async def test_a_name_used_again_has_another_uid(api: Api) -> None:
    """API conventions: Metadata"""
    first = await api.configmap()
    name = first["metadata"]["name"]
    (await api.delete(api.path("v1/configmaps", name))).ok()
    assert (await api.configmap(name=name))["metadata"]["uid"] != first["metadata"]["uid"]


async def test_a_uid_given_on_create_is_ignored(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/meta.go"""
    given = "11111111-2222-3333-4444-555555555555"
    assert (await api.configmap(uid=given))["metadata"]["uid"] != given


async def test_creation_has_the_time_of_the_server_in_seconds_of_utc(api: Api) -> None:
    """API conventions: Metadata"""
    name = api.name()
    answer = await api.post(api.path("v1/configmaps"), {"metadata": {"name": name}})
    stamp = answer.ok(201)["metadata"]["creationTimestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)
    made = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((parsedate_to_datetime(answer.headers["Date"]) - made).total_seconds()) < 60


async def test_a_creation_time_given_on_create_is_ignored(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/meta.go"""
    made = await api.configmap(creationTimestamp="2001-01-01T00:00:00Z")
    assert not made["metadata"]["creationTimestamp"].startswith("2001")


async def test_a_deletion_time_given_on_create_is_ignored(api: Api) -> None:
    """Source: apiserver/pkg/registry/rest/meta.go"""
    made = await api.configmap(deletionTimestamp="2001-01-01T00:00:00Z", deletionGracePeriodSeconds=3)
    assert not {"deletionTimestamp", "deletionGracePeriodSeconds"} & made["metadata"].keys()


async def test_resource_versions_are_decimal_and_rise_with_each_write(api: Api) -> None:
    """KEP-5504: comparable resource versions"""
    versions = [int((await api.configmap())["metadata"]["resourceVersion"]) for _ in range(3)]
    assert versions == sorted(set(versions))


async def test_a_resource_version_given_on_create_is_refused(api: Api) -> None:
    """Recorded: 02 resourceVersion set on create"""
    body = {"metadata": {"name": api.name(), "resourceVersion": "5"}}
    answer = await api.post(api.path("v1/configmaps"), body)
    answer.refused(500, None, "resourceVersion should not be set on objects to be created")


async def test_an_object_that_exists_cannot_be_created_again(api: Api) -> None:
    """Recorded: 02 create again"""
    name = (await api.configmap())["metadata"]["name"]
    answer = await api.post(api.path("v1/configmaps"), {"metadata": {"name": name}})
    status = answer.refused(409, "AlreadyExists", f'configmaps "{name}" already exists')
    assert status["details"] == {"name": name, "kind": "configmaps"}


async def test_kind_and_version_of_a_built_in_object_may_be_left_out(api: Api) -> None:
    """Recorded: 02 create without kind and apiVersion"""
    made = (await api.post(api.path("v1/configmaps"), {"metadata": {"name": api.name()}})).ok(201)
    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")


async def test_an_object_of_another_kind_is_refused(api: Api) -> None:
    """Recorded: 02 wrong kind"""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": api.name()}}
    (await api.post(api.path("v1/configmaps"), body)).refused(
        400,
        "BadRequest",
        'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to '
        "(core.ConfigMap): unknown conversion",
    )


# --- names -------------------------------------------------------------------------------------------------


async def test_a_generated_name_is_its_prefix_and_five_characters(api: Api) -> None:
    """Recorded: 02 generateName"""
    made = await api.configmap(generateName="gen-")
    assert re.fullmatch(f"gen-{SUFFIX}", made["metadata"]["name"])
    assert made["metadata"]["generateName"] == "gen-"


async def test_two_generated_names_differ(api: Api) -> None:
    """API conventions: Metadata, generateName"""
    names = {(await api.configmap(generateName="gen-"))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5


async def test_a_long_prefix_is_cut_so_that_the_name_has_63_characters(api: Api) -> None:
    """Source: apiserver/pkg/storage/names/generate.go"""
    name = (await api.configmap(generateName="a" * 100))["metadata"]["name"]
    assert re.fullmatch(f"a{{58}}{SUFFIX}", name)


async def test_a_name_goes_before_its_prefix(api: Api) -> None:
    """API conventions: Metadata, generateName"""
    name = api.name()
    made = await api.configmap(name=name, generateName="gen-")
    assert (made["metadata"]["name"], made["metadata"]["generateName"]) == (name, "gen-")


async def test_an_object_needs_a_name_or_a_prefix(api: Api) -> None:
    """Recorded: 02 no name"""
    status = (await api.post(api.path("v1/configmaps"), {"metadata": {}})).refused(
        422,
        "Invalid",
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    )
    assert status["details"]["causes"] == [
        {
            "reason": "FieldValueRequired",
            "message": "Required value: name or generateName is required",
            "field": "metadata.name",
        }
    ]


async def test_a_name_with_other_characters_is_refused(api: Api) -> None:
    """Recorded: 02 bad name"""
    answer = await api.post(api.path("v1/configmaps"), {"metadata": {"name": "Bad_Name"}})
    why = f'Invalid value: "Bad_Name": {SUBDOMAIN}'
    status = answer.refused(422, "Invalid", f'ConfigMap "Bad_Name" is invalid: metadata.name: {why}')
    assert status["details"] == {
        "name": "Bad_Name",
        "kind": "ConfigMap",
        "causes": [{"reason": "FieldValueInvalid", "message": why, "field": "metadata.name"}],
    }


async def test_a_name_has_at_most_253_characters(api: Api) -> None:
    """Recorded: 02 name too long"""
    assert (await api.configmap(name=f"{api.name()}{'a' * 243}"))["metadata"]["name"]
    answer = await api.post(api.path("v1/configmaps"), {"metadata": {"name": "a" * 254}})
    assert answer.refused(422, "Invalid")["message"].endswith("must be no more than 253 characters")


@pytest.mark.parametrize(
    ("resource", "spec"),
    [
        ("v1/services", {"ports": [{"port": 80}]}),
        ("v1/namespaces", None),
    ],
)
async def test_some_names_are_dns_labels(api: Api, resource: str, spec: dict[str, object] | None) -> None:
    """Kubernetes documentation: Object Names and IDs"""
    body = {"metadata": {"name": "a.b"}, **({"spec": spec} if spec else {})}
    at = "/api/v1/namespaces" if resource == "v1/namespaces" else api.path(resource)
    status = (await api.post(at, body)).refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["metadata.name"]


# --- namespaces --------------------------------------------------------------------------------------------


async def test_the_namespace_of_the_object_must_be_that_of_the_request(api: Api) -> None:
    """Recorded: 02 namespace in body differs"""
    body = {"metadata": {"name": api.name(), "namespace": "other"}}
    (await api.post(api.path("v1/configmaps"), body)).refused(
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    )


async def test_a_namespace_that_does_not_exist_takes_no_objects(api: Api) -> None:
    """Recorded: 02 namespace missing"""
    void = api.name()
    answer = await api.post(f"/api/v1/namespaces/{void}/configmaps", {"metadata": {"name": "x"}})
    status = answer.refused(404, "NotFound", f'namespaces "{void}" not found')
    assert status["details"] == {"name": void, "kind": "namespaces"}


async def test_the_four_namespaces_of_a_cluster_are_there(api: Api) -> None:
    """Kubernetes documentation: Namespaces, initial namespaces"""
    names = {one["metadata"]["name"] for one in (await api.get("/api/v1/namespaces")).ok()["items"]}
    assert {"default", "kube-node-lease", "kube-public", "kube-system"} <= names


async def test_a_namespace_is_labelled_with_its_name_and_has_a_finalizer(api: Api) -> None:
    """Recorded: 04 create a namespace"""
    made = await api.create("v1/namespaces", at="/api/v1/namespaces")
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": made["metadata"]["name"]}
    assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


# --- the rest of the metadata ------------------------------------------------------------------------------


async def test_labels_and_annotations_are_kept(api: Api) -> None:
    """API conventions: Metadata"""
    made = await api.configmap(labels={"example.com/a": "b", "e": ""}, annotations={"x": "any text {}"})
    assert made["metadata"]["labels"] == {"e": "", "example.com/a": "b"}
    assert made["metadata"]["annotations"] == {"x": "any text {}"}


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"labels": {"a": "b c"}}, "metadata.labels"),
        ({"labels": {"a/b/c": "d"}}, "metadata.labels"),
        ({"labels": {"a": "x" * 64}}, "metadata.labels"),
        ({"annotations": {"a b": "c"}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * 262_144}}, "metadata.annotations"),
        ({"finalizers": ["example.com/a b"]}, "metadata.finalizers"),
        ({"finalizers": ["hold"]}, "metadata.finalizers[0]"),
        ({"finalizers": ["orphan", "foregroundDeletion"]}, "metadata.finalizers"),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": ""}]},
            "metadata.ownerReferences.uid",
        ),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "", "uid": "u"}]},
            "metadata.ownerReferences.name",
        ),
    ],
    ids=[
        "label value with a space",
        "label key with two slashes",
        "label value of 64 characters",
        "annotation key with a space",
        "annotations of more than 256 KiB",
        "finalizer with a space",
        "finalizer without a domain",
        "both finalizers of the garbage collector",
        "owner without a uid",
        "owner without a name",
    ],
)
async def test_bad_metadata_is_refused_naming_the_field(
    api: Api, metadata: dict[str, object], field: str
) -> None:
    """Source: apimachinery/pkg/api/validation/objectmeta.go"""
    answer = await api.post(api.path("v1/configmaps"), {"metadata": {"name": api.name(), **metadata}})
    status = answer.refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == [field]


async def test_one_owner_at_most_is_the_controller(api: Api) -> None:
    """Source: apimachinery/pkg/api/validation/objectmeta.go"""
    owners = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "controller": True}
        for name in ("a", "b")
    ]
    body = {"metadata": {"name": api.name(), "ownerReferences": owners}}
    status = (await api.post(api.path("v1/configmaps"), body)).refused(422, "Invalid")
    assert [cause["field"] for cause in status["details"]["causes"]] == ["metadata.ownerReferences"]
    assert "Only one reference can have Controller set to true." in status["message"]


async def test_there_is_no_self_link(api: Api) -> None:
    """KEP-1164: selfLink is removed"""
    assert "selfLink" not in (await api.configmap(selfLink="/x"))["metadata"]


async def test_what_has_no_desired_state_has_no_generation(api: Api) -> None:
    """Recorded: 02 create"""
    assert "generation" not in (await api.configmap())["metadata"]


# --- dry run, and what is no object ------------------------------------------------------------------------


async def test_a_dry_run_answers_an_object_without_version_and_keeps_none(api: Api) -> None:
    """Recorded: 02 dry run create"""
    name = api.name()
    made = (await api.post(api.path("v1/configmaps"), {"metadata": {"name": name}}, dryRun="All")).ok(201)
    assert UUID.fullmatch(made["metadata"]["uid"])
    assert "resourceVersion" not in made["metadata"]
    (await api.get(api.path("v1/configmaps", name))).refused(404, "NotFound")


async def test_a_dry_run_is_validated(api: Api) -> None:
    """KEP-576: dry run"""
    answer = await api.post(api.path("v1/configmaps"), {"metadata": {"name": "Bad_Name"}}, dryRun="All")
    answer.refused(422, "Invalid")


async def test_a_dry_run_of_another_kind_than_all_is_refused(api: Api) -> None:
    """Recorded: 02 bad dryRun"""
    body = {"metadata": {"name": api.name()}}
    status = (await api.post(api.path("v1/configmaps"), body, dryRun="Yes")).refused(
        422,
        "Invalid",
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Yes"]: '
        'supported values: "All"',
    )
    assert status["details"]["group"] == "meta.k8s.io"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"metadata":', 'json parse error: unexpected end of JSON input ({"metadata":)'),
        ("", "json parse error: unexpected end of JSON input (<empty>)"),
    ],
    ids=["half of it", "nothing"],
)
async def test_a_body_that_is_no_json_is_refused(api: Api, body: str, message: str) -> None:
    """Recorded: 02 broken JSON"""
    (await api.post(api.path("v1/configmaps"), body)).refused(
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; "
        f"{message}",
    )


async def test_a_body_of_an_unknown_media_type_is_refused(api: Api) -> None:
    """Recorded: 02 unsupported media type"""
    answer = await api.send("POST", api.path("v1/configmaps"), "x", content_type="text/plain")
    status = answer.refused(415, "UnsupportedMediaType")
    assert status["message"].startswith(
        "the body of the request was in an unknown format - accepted media types include: application/json"
    )


async def test_a_body_of_more_than_three_mebibytes_is_refused(api: Api) -> None:
    """Recorded: 02 body over 3 MiB"""
    body = {"metadata": {"name": api.name()}, "data": {"k": "x" * 3_200_000}}
    answer = await api.post(api.path("v1/configmaps"), body)
    answer.refused(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
