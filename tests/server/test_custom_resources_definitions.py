"""CustomResourceDefinitions: how they come to be served, change, stand against each other, and go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kresilient.testing.server import MemoryApiServer
from kresilient.testing.server.storage import Change

from .custom import DEFINITIONS, WIDGETS, Wire, definition, events, version, widget

NAME = "widgets.example.com"
RESOURCE = "apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def wire() -> Wire:
    return Wire()


# --- coming to be served -----------------------------------------------------------------------------


def test_a_create_answers_before_the_controllers_have_looked(wire: Wire) -> None:
    made = wire.define()
    assert made["status"] == {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"],
    }
    assert wire.definition()["metadata"]["resourceVersion"] > made["metadata"]["resourceVersion"]


def test_a_definition_is_named_and_then_established_one_event_each(wire: Wire) -> None:
    watch = wire.watch(f"{DEFINITIONS}?watch=1")
    wire.define()
    seen = [json.loads(line) for line in watch.take().splitlines()]
    assert [one["type"] for one in seen] == ["ADDED", "MODIFIED", "MODIFIED"]
    conditions = [
        [
            (each["type"], each["status"], each["reason"])
            for each in one["object"]["status"]["conditions"] or []
        ]
        for one in seen
    ]
    assert conditions == [
        [],
        [("NamesAccepted", "True", "NoConflicts"), ("Established", "False", "Installing")],
        [("NamesAccepted", "True", "NoConflicts"), ("Established", "True", "InitialNamesAccepted")],
    ]


def test_names_that_are_not_given_follow_from_the_kind(wire: Wire) -> None:
    wire.define()
    accepted = wire.definition()["status"]["acceptedNames"]
    assert accepted == {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}


def test_a_version_that_is_not_served_is_not_there(wire: Wire) -> None:
    wire.define(version(), version(name="v2", served=False, storage=False))
    assert wire.ask("GET", WIDGETS)[0] == 200
    assert wire.ask("GET", WIDGETS.replace("v1", "v2"))[0] == 404


def test_a_dry_run_defines_nothing(wire: Wire) -> None:
    assert wire.ask("POST", f"{DEFINITIONS}?dryRun=All", definition())[0] == 201
    assert wire.ask("GET", WIDGETS)[0] == 404
    assert wire.ask("GET", f"{DEFINITIONS}/{NAME}")[0] == 404


# --- names -------------------------------------------------------------------------------------------


def test_a_definition_with_a_name_that_is_taken_is_stored_and_not_served(wire: Wire) -> None:
    wire.define()
    gadgets = definition(names={"plural": "gadgets", "kind": "Widget"})
    assert wire.ask("POST", DEFINITIONS, gadgets)[0] == 201
    listed = wire.definition("gadgets.example.com")["status"]["conditions"]
    assert [(one["type"], one["status"], one["reason"], one["message"]) for one in listed] == [
        ("NamesAccepted", "False", "ListKindConflict", '"WidgetList" is already in use'),
        ("Established", "False", "NotAccepted", "not all names are accepted"),
    ]
    assert wire.ask("GET", WIDGETS.replace("widgets", "gadgets"))[0] == 404


def test_a_name_that_becomes_free_goes_to_the_definition_that_waits_for_it(wire: Wire) -> None:
    wire.define()
    wire.ask("POST", DEFINITIONS, definition(names={"plural": "gadgets", "kind": "Widget"}))
    wire.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    assert wire.conditions("gadgets.example.com") == {
        "NamesAccepted": "True NoConflicts",
        "Established": "True InitialNamesAccepted",
    }
    assert wire.ask("GET", WIDGETS.replace("widgets", "gadgets"))[0] == 200


def test_a_short_name_that_is_taken_later_does_not_unserve(wire: Wire) -> None:
    wire.define(names={"plural": "widgets", "kind": "Widget", "shortNames": ["w"]})
    gadgets = definition(names={"plural": "gadgets", "kind": "Gadget"})
    wire.ask("POST", DEFINITIONS, gadgets)
    path = f"{DEFINITIONS}/gadgets.example.com"
    wire.ask("PATCH", path, {"spec": {"names": {"shortNames": ["g", "w"]}}}, kind="merge")
    assert wire.conditions("gadgets.example.com") == {
        "NamesAccepted": "False ShortNamesConflict",
        "Established": "True InitialNamesAccepted",
    }
    assert "shortNames" not in wire.definition("gadgets.example.com")["status"]["acceptedNames"]


def test_the_same_names_in_another_group_are_no_conflict(wire: Wire) -> None:
    wire.define()
    wire.define(group="other.example.com")
    assert wire.conditions("widgets.other.example.com")["Established"] == "True InitialNamesAccepted"


# --- what a definition may say -----------------------------------------------------------------------


def refused(wire: Wire, body: dict[str, Any]) -> list[str]:
    status, causes = wire.refusal("POST", DEFINITIONS, body)
    assert status == 422
    return causes


def without(body: dict[str, Any], *path: str) -> dict[str, Any]:
    place: Any = body
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return body


def test_the_name_is_the_plural_and_the_group(wire: Wire) -> None:
    body = definition()
    body["metadata"]["name"] = "widget.example.com"
    assert refused(wire, body) == [
        'metadata.name: Invalid value: "widget.example.com": must be spec.names.plural+"."+spec.group'
    ]


@pytest.mark.parametrize(
    ("body", "causes"),
    [
        (without(definition(), "spec", "scope"), ["spec.scope: Required value"]),
        (
            definition(scope="Global"),
            ['spec.scope: Unsupported value: "Global": supported values: "Cluster", "Namespaced"'],
        ),
        (
            definition(group="local"),
            ['spec.group: Invalid value: "local": should be a domain with at least one dot'],
        ),
        (
            definition(names={"plural": "widgets", "kind": "Widget", "listKind": "Widget"}),
            ['spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same'],
        ),
        (
            definition(without(version(), "schema")),
            ["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
        ),
        (
            definition(version(additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": "spec"}])),
            [
                "spec.versions[0].additionalPrinterColumns[0].type: "
                'Invalid value: "text": must be one of boolean,date,integer,number,string',
                "spec.versions[0].additionalPrinterColumns[0].JSONPath: "
                'Invalid value: "spec": must be a simple json path starting with .',
            ],
        ),
        (
            definition(
                version(subresources={"scale": {"specReplicasPath": ".status.a", "statusReplicasPath": ".a"}})
            ),
            [
                "spec.versions[0].subresources.scale.specReplicasPath: "
                'Invalid value: ".status.a": should be a json path under .spec',
                "spec.versions[0].subresources.scale.statusReplicasPath: "
                'Invalid value: ".a": should be a json path under .status',
            ],
        ),
        (
            definition(version({"a": {"type": "object"}}, selectableFields=[{"jsonPath": ".spec.a"}])),
            [
                'spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.a": must point to a '
                "field of type string, boolean or integer. Enum string fields and strings with formats are "
                "allowed."
            ],
        ),
        (
            definition(version({}, selectableFields=[{"jsonPath": ".spec.b"}])),
            [
                'spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.b": is an invalid '
                "path: does not refer to a valid field"
            ],
        ),
        (
            definition(version(deprecationWarning="old")),
            [
                'spec.versions[0].deprecationWarning: Invalid value: "old": can only be set for deprecated '
                "versions"
            ],
        ),
        (
            definition(group="widgets.k8s.io"),
            [
                "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must "
                'have approval annotation "api-approved.kubernetes.io", see '
                "https://github.com/kubernetes/enhancements/pull/1111"
            ],
        ),
        (
            definition(preserveUnknownFields=True),
            [
                "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set "
                "x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
            ],
        ),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused_in_the_servers_words(
    wire: Wire, body: dict[str, Any], causes: list[str]
) -> None:
    assert refused(wire, body) == causes


@pytest.mark.parametrize("storage", [(True, True), (False, False)])
def test_exactly_one_version_is_stored(wire: Wire, storage: tuple[bool, bool]) -> None:
    one, two = version(storage=storage[0]), version(name="v2", storage=storage[1])
    assert any(
        cause.startswith("spec.versions: Invalid value: ")
        and cause.endswith(": must have exactly one version marked as storage version")
        for cause in refused(wire, definition(one, two))
    )


def test_a_definition_without_versions_says_all_that_is_missing(wire: Wire) -> None:
    body = definition()
    body["spec"]["versions"] = []
    assert refused(wire, body) == [
        "spec.versions: Invalid value: []: must have exactly one version marked as storage version",
        "status.storedVersions: Invalid value: null: must have at least one stored version",
    ]


def test_an_approved_api_of_the_kubernetes_project_says_so(wire: Wire) -> None:
    url = "https://github.com/kubernetes/enhancements/pull/1"
    wire.define(group="widgets.k8s.io", annotations={"api-approved.kubernetes.io": url})
    listed = wire.definition("widgets.widgets.k8s.io")["status"]["conditions"]
    approved = next(one for one in listed if one["type"] == "KubernetesAPIApprovalPolicyConformant")
    assert (approved["status"], approved["reason"], approved["message"]) == (
        "True",
        "ApprovedAnnotation",
        f"approved in {url}",
    )


def test_a_conversion_webhook_is_not_called_and_says_so(wire: Wire) -> None:
    config = {"service": {"namespace": "a", "name": "b"}}
    webhook = {"clientConfig": config, "conversionReviewVersions": ["v1"]}
    body = definition(conversion={"strategy": "Webhook", "webhook": webhook})
    status, answer = wire.ask("POST", DEFINITIONS, body)
    assert (status, answer["reason"]) == (501, "NotImplemented")
    assert "conversion strategy None" in answer["message"]


# --- what a schema may say ---------------------------------------------------------------------------

SPEC = "spec.versions[0].schema.openAPIV3Schema"


@pytest.mark.parametrize(
    ("schema", "causes"),
    [
        ({}, [f"{SPEC}.type: Required value: must not be empty at the root"]),
        ({"type": "string"}, [f'{SPEC}.type: Invalid value: "string": must be object at the root']),
        (
            {"type": "object", "properties": {"a": {}}},
            [f"{SPEC}.properties[a].type: Required value: must not be empty for specified object fields"],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}},
            [f"{SPEC}.properties[a].items: Required value: must be specified"],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "text"}}},
            [
                f'{SPEC}.properties[a].type: Unsupported value: "text": supported values: '
                '"array", "boolean", "integer", "number", "object", "string"'
            ],
        ),
        (
            {"type": "object", "additionalProperties": True},
            [f"{SPEC}.additionalProperties: Forbidden: must not be used at the root"],
        ),
        (
            {"type": "object", "properties": {"metadata": {"type": "object", "required": ["labels"]}}},
            [
                f"{SPEC}.properties[metadata]: Forbidden: must not specify anything other than name and "
                "generateName, but metadata is implicitly specified"
            ],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)"}}},
            [
                f'{SPEC}.properties[a].pattern: Invalid value: "(?=x)": must be a valid regular expression, '
                "but isn't: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"
            ],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}},
            [
                f'{SPEC}.properties[a].default: Invalid value: "string":  in body must be of type integer: '
                '"string"'
            ],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "object", "default": {"b": 1}}}},
            [f'{SPEC}.properties[a].default: Invalid value: {{"b":1}}: must not have unknown fields'],
        ),
        (
            {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}], "type": "string"}}},
            [f"{SPEC}.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            {"type": "object", "oneOf": [{"required": ["b"], "properties": {"b": {"minLength": 1}}}]},
            [f"{SPEC}.properties[b]: Required value: because it is defined in {SPEC}.oneOf[0].properties[b]"],
        ),
        (
            {
                "type": "object",
                "properties": {
                    "a": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {"type": "object", "properties": {"k": {"type": "string"}}},
                    }
                },
            },
            [
                f"{SPEC}.properties[a].items.properties[k].default: Required value: this property is in "
                "x-kubernetes-list-map-keys, so it must have a default or be a required property"
            ],
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}},
            },
            [
                f"{SPEC}.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the "
                "runtime complexity becomes quadratic"
            ],
        ),
    ],
)
def test_a_schema_has_to_be_structural(wire: Wire, schema: dict[str, Any], causes: list[str]) -> None:
    assert refused(wire, definition(version(schema=schema))) == causes


def test_a_pattern_that_cannot_be_evaluated_here_is_refused_as_such(wire: Wire) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": r"^\p{L}{500}$"}}}
    status, causes = wire.refusal("POST", DEFINITIONS, definition(version(schema=schema)))
    assert status == 501
    assert r"does not emulate the size of the pattern" in causes[0]


# --- change ------------------------------------------------------------------------------------------


def patch(wire: Wire, body: dict[str, Any]) -> tuple[int, Any]:
    return wire.ask("PATCH", f"{DEFINITIONS}/{NAME}", body, kind="merge")


def test_a_version_that_is_added_is_served_and_one_that_is_stored_is_remembered(wire: Wire) -> None:
    wire.define()
    wire.create()
    versions = [version(storage=False), version(name="v2")]
    assert patch(wire, {"spec": {"versions": versions}})[0] == 200
    assert wire.definition()["status"]["storedVersions"] == ["v1", "v2"]
    status, answer = wire.ask("GET", WIDGETS.replace("v1", "v2") + "/w")
    assert (status, answer["apiVersion"]) == (200, "example.com/v2")


def test_a_version_in_which_objects_may_be_stored_cannot_go(wire: Wire) -> None:
    wire.define(version(storage=False), version(name="v2"))
    patch(wire, {"spec": {"versions": [version(), version(name="v2", storage=False)]}})
    status, causes = wire.refusal(
        "PATCH", f"{DEFINITIONS}/{NAME}", {"spec": {"versions": [version()]}}, kind="merge"
    )
    assert (status, causes) == (
        422,
        [
            'status.storedVersions[0]: Invalid value: "v2": missing from spec.versions; v2 was previously a '
            "storage version, and must remain in spec.versions until a storage migration ensures no data "
            "remains persisted in v2 and removes v2 from status.storedVersions"
        ],
    )


def test_a_version_goes_once_it_was_taken_from_the_stored_ones(wire: Wire) -> None:
    wire.define(version(storage=False), version(name="v2"))
    patch(wire, {"spec": {"versions": [version(), version(name="v2", storage=False)]}})
    path = f"{DEFINITIONS}/{NAME}"
    assert wire.ask("PATCH", f"{path}/status", {"status": {"storedVersions": ["v1"]}}, kind="merge")[0] == 200
    assert patch(wire, {"spec": {"versions": [version()]}})[0] == 200
    assert wire.ask("GET", WIDGETS.replace("v1", "v2"))[0] == 404


@pytest.mark.parametrize(
    ("change", "causes"),
    [
        ({"scope": "Cluster"}, ['spec.scope: Invalid value: "Cluster": field is immutable']),
        (
            {"names": {"kind": "Gadget"}},
            ['spec.names.kind: Invalid value: "Gadget": field is immutable'],
        ),
        ({"group": "other.com"}, ['spec.group: Invalid value: "other.com": field is immutable']),
        (
            {"names": {"plural": "gadgets"}},
            ['spec.names.plural: Invalid value: "gadgets": field is immutable'],
        ),
    ],
)
def test_what_names_the_storage_cannot_change(wire: Wire, change: dict[str, Any], causes: list[str]) -> None:
    wire.define()
    path = f"{DEFINITIONS}/{NAME}"
    assert wire.refusal("PATCH", path, {"spec": change}, kind="merge") == (422, causes)


def test_the_generation_follows_the_spec_alone(wire: Wire) -> None:
    wire.define()
    assert wire.definition()["metadata"]["generation"] == 1
    patch(wire, {"metadata": {"labels": {"a": "b"}}})
    assert wire.definition()["metadata"]["generation"] == 1
    patch(wire, {"spec": {"names": {"shortNames": ["wd"]}}})
    assert wire.definition()["metadata"]["generation"] == 2


def test_an_update_has_to_say_over_which_version_it_writes(wire: Wire) -> None:
    wire.define()
    status, causes = wire.refusal("PUT", f"{DEFINITIONS}/{NAME}", definition())
    assert status == 422
    assert causes == ["metadata.resourceVersion: Invalid value: 0: must be specified for an update"]


def test_a_change_of_what_is_served_ends_the_watches_and_another_does_not(wire: Wire) -> None:
    wire.define()
    watch = wire.watch(f"{WIDGETS}?watch=1")
    patch(wire, {"metadata": {"labels": {"a": "b"}}})
    assert not watch.ended
    patch(wire, {"spec": {"names": {"shortNames": ["wd"]}}})
    assert watch.ended


# --- going -------------------------------------------------------------------------------------------


def test_a_definition_takes_its_objects_along_and_ends_their_watches(wire: Wire) -> None:
    wire.define()
    wire.create(name="a")
    wire.create(name="b")
    watch = wire.watch(f"{WIDGETS}?watch=1&resourceVersion=0")
    assert events(watch) == [("ADDED", "a"), ("ADDED", "b")]
    status, answer = wire.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    assert status == 200
    assert answer["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert events(watch) == [("DELETED", "a"), ("DELETED", "b")]
    assert watch.ended
    assert wire.ask("GET", WIDGETS) == (404, "404 page not found\n")
    assert wire.ask("GET", f"{DEFINITIONS}/{NAME}")[0] == 404


def test_a_definition_that_goes_says_so_at_every_step(wire: Wire) -> None:
    wire.define()
    watch = wire.watch(f"{DEFINITIONS}?watch=1")
    wire.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    seen = [json.loads(line) for line in watch.take().splitlines()][1:]
    steps = [(one["type"], one["object"]["status"]["conditions"][-1]["reason"]) for one in seen]
    assert steps == [
        ("MODIFIED", "InstanceDeletionPending"),
        ("MODIFIED", "InstanceDeletionInProgress"),
        ("DELETED", "InstanceDeletionInProgress"),
    ]


def test_while_an_object_is_held_the_definition_stays_and_takes_no_more(wire: Wire) -> None:
    wire.define()
    held = {"name": "w", "finalizers": ["example.com/hold"]}
    wire.ask("POST", WIDGETS, {**widget(), "metadata": held})
    wire.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    assert wire.conditions()["Terminating"] == "True InstanceDeletionInProgress"
    status, answer = wire.ask("POST", WIDGETS, widget(name="late"))
    assert (status, answer["reason"], answer["message"]) == (
        405,
        "MethodNotAllowed",
        "create not allowed while custom resource definition is terminating",
    )
    wire.ask("PATCH", f"{WIDGETS}/w", {"metadata": {"finalizers": None}}, kind="merge")
    assert wire.ask("GET", f"{DEFINITIONS}/{NAME}")[0] == 404


def test_a_finalizer_of_somebody_else_holds_the_definition_and_not_its_objects(wire: Wire) -> None:
    body = definition()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    wire.ask("POST", DEFINITIONS, body)
    wire.create()
    wire.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    assert wire.definition()["metadata"]["finalizers"] == ["example.com/hold"]
    assert wire.conditions()["Terminating"] == "False InstanceDeletionCompleted"
    patch(wire, {"metadata": {"finalizers": None}})
    assert wire.ask("GET", f"{DEFINITIONS}/{NAME}")[0] == 404
    assert wire.ask("GET", WIDGETS)[0] == 404


def test_a_definition_that_is_made_again_knows_nothing_of_the_old_objects(wire: Wire) -> None:
    wire.define()
    wire.create()
    wire.ask("DELETE", f"{DEFINITIONS}/{NAME}")
    wire.define()
    assert wire.ask("GET", WIDGETS)[1]["items"] == []


# --- a server that ends in the middle of it ----------------------------------------------------------


@pytest.mark.parametrize("writes", [1, 2])
def test_a_server_that_ended_before_a_definition_was_served_goes_on(tmp_path: Path, writes: int) -> None:
    server = MemoryApiServer(journal=tmp_path / "journal")
    dies_after(server, writes)
    with pytest.raises(OSError, match="killed"):
        server.create(RESOURCE, definition())
    again = MemoryApiServer(journal=tmp_path / "journal")
    assert again.create("example.com/v1/widgets", widget())


@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_server_that_ended_before_a_definition_was_gone_goes_on(tmp_path: Path, writes: int) -> None:
    server = MemoryApiServer(journal=tmp_path / "journal")
    server.create(RESOURCE, definition())
    server.create("example.com/v1/widgets", widget())
    dies_after(server, writes)
    with pytest.raises(OSError, match="killed"):
        server.delete(RESOURCE, NAME)
    again = MemoryApiServer(journal=tmp_path / "journal")
    assert again.get(RESOURCE, NAME) is None


def dies_after(server: MemoryApiServer, writes: int) -> None:
    """Let *writes* more reach the journal, and no other."""
    append = server.state.commit
    assert append is not None
    left = [writes]

    def commit(storage: tuple[str, str], change: Change) -> None:
        if not left[0]:
            raise OSError("killed")
        left[0] -= 1
        append(storage, change)

    server.state.commit = commit
