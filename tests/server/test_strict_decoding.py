"""Fields given twice, and fields that there are not: which are told, in which order, and in which words."""

from __future__ import annotations

import pytest

from kresilient.testing.server import wire
from kresilient.testing.server.strict_decoding import repeated_fields

from .custom import WIDGETS, Wire, version

_DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
_JSON = b"""{
  "apiVersion": "apps/v1", "kind": "Deployment",
  "metadata": {"name": "x", "name": "d", "strange": 1},
  "spec": {
    "selector": {"matchLabels": {"a": "b"}},
    "odd": 1, "twice": 1, "twice": 2, "paused": true, "paused": false,
    "template": {
      "metadata": {"labels": {"a": "b"}},
      "spec": {"containers": [
        {"name": "c", "image": "i", "nested": {"k": 1, "k": 2}, "tty": true, "tty": false}
      ]}
    }
  }
}"""
_YAML = b"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: x
  name: d
  strange: 1
spec:
  selector: {matchLabels: {a: b}}
  odd: 1
  twice: 1
  twice: 2
  paused: true
  paused: false
  template:
    metadata:
      labels: {a: b}
    spec:
      containers:
      - name: c
        image: i
        nested: 1
        tty: true
        tty: false
"""
_JSON_FAULTS = [
    'duplicate field "metadata.name"',
    'unknown field "metadata.strange"',
    'unknown field "spec.odd"',
    'unknown field "spec.twice"',
    'duplicate field "spec.paused"',
    'unknown field "spec.template.spec.containers[0].nested"',
    'duplicate field "spec.template.spec.containers[0].tty"',
]
_YAML_LINES = [
    'line 5: key "name" already set in map',
    'line 11: key "twice" already set in map',
    'line 13: key "paused" already set in map',
    'line 23: key "tty" already set in map',
]
_YAML_UNKNOWN = [
    'unknown field "metadata.strange"',
    'unknown field "spec.odd"',
    'unknown field "spec.template.spec.containers[0].nested"',
    'unknown field "spec.twice"',
]
_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
    "": "application/json",
    "yaml": "application/yaml",
}


class Strict(Wire):
    """A server with a deployment `d`, that is sent texts."""

    def __init__(self) -> None:
        super().__init__()
        self.send("POST", _DEPLOYMENTS, _JSON, validation="Ignore")

    def send(
        self, method: str, path: str, text: bytes, kind: str = "", *, validation: str = ""
    ) -> tuple[int, str, list[str]]:
        """The code, the message of a refusal and the warnings of an answer."""
        query = f"?fieldManager=m&fieldValidation={validation}{'&force=true' if kind == 'apply' else ''}"
        answer = self.answer(method, path + query, text, _TYPES[kind])
        said = wire.decode(b"".join(answer.body))
        warnings = answer.headers.get("Warning", "")
        told = [one.replace('\\"', '"') for one in warnings[len('299 - "') : -1].split('", 299 - "')]
        return answer.status, said.get("message", ""), told if warnings else []


@pytest.mark.parametrize(
    ("kind", "text", "refused", "told"),
    [
        ("", _JSON, ", ".join(_JSON_FAULTS), _JSON_FAULTS),
        (
            "yaml",
            _YAML,
            ", ".join(["\n  ".join(["yaml: unmarshal errors:", *_YAML_LINES]), *_YAML_UNKNOWN]),
            [*_YAML_LINES, *_YAML_UNKNOWN],
        ),
    ],
)
def test_an_object_is_refused_or_warned_of_for_all_that_a_strict_decoder_minds(
    kind: str, text: bytes, refused: str, told: list[str]
) -> None:
    for method, path in (("POST", _DEPLOYMENTS), ("PUT", f"{_DEPLOYMENTS}/d")):
        server = Strict()
        server.state.delete(server.state.resources.parse("apps/v1/deployments"), "default/d")
        if method == "PUT":
            server = Strict()
        code, message, _ = server.send(method, path, text, kind, validation="Strict")
        said = 'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        assert (code, message) == (400, said + refused)
        assert server.send(method, path, text, kind)[2] == told
        server = Strict()
        assert server.send("PUT", f"{_DEPLOYMENTS}/d", text, kind, validation="Ignore") == (200, "", [])


_MERGE = b"""{"spec": {
  "odd": 1, "twice": 1, "twice": 2, "paused": true, "paused": false,
  "template": {"spec": {
  "containers": [{"name": "c", "image": "i", "nested": 1, "tty": true, "tty": false}]
}}}}"""
_MERGE_FAULTS = [
    'duplicate field "spec.twice"',
    'duplicate field "spec.paused"',
    'duplicate field "spec.template.spec.containers[0].tty"',
    'unknown field "spec.odd"',
    'unknown field "spec.template.spec.containers[0].nested"',
    'unknown field "spec.twice"',
]
_OPERATIONS = b"""[
 {"op": "add", "path": "/spec/odd", "value": {"k": 1, "k": 2}, "foo": "bar"},
 {"op": "add", "path": "/spec/else", "path": "/spec/other", "value": 1},
 {"op": "add", "path": "/spec/paused", "value": true}
]"""
_OPERATION_FAULTS = [
    'json patch duplicate field "[0].value.k"',
    'json patch unknown field "[0].foo"',
    'json patch duplicate field "[1].path"',
    'unknown field "spec.odd"',
    'unknown field "spec.other"',
]


@pytest.mark.parametrize(
    ("kind", "text", "faults"),
    [
        ("merge", _MERGE, _MERGE_FAULTS),
        ("strategic", _MERGE, _MERGE_FAULTS),
        ("json", _OPERATIONS, _OPERATION_FAULTS),
        ("merge", b'{"metadata": {"labels": {"a": "1", "a": "2"}}}', ['duplicate field "metadata.labels.a"']),
    ],
)
def test_a_patch_is_minded_for_itself_and_then_for_what_it_makes(
    kind: str, text: bytes, faults: list[str]
) -> None:
    server, path = Strict(), f"{_DEPLOYMENTS}/d"
    code, message, _ = server.send("PATCH", path, text, kind, validation="Strict")
    assert code == 422
    assert message.startswith(' "" is invalid: patch: Invalid value: "')
    assert message.endswith(f'": strict decoding error: {", ".join(faults)}')
    assert server.send("PATCH", path, text, kind)[::2] == (200, faults)
    assert server.send("PATCH", path, text, kind, validation="Ignore") == (200, "", [])


def test_a_strategic_patch_that_is_refused_is_shown_as_go_prints_a_map() -> None:
    text = b'{"spec": {"paused": false, "odd": [1, null], "paused": true}}'
    _, message, _ = Strict().send("PATCH", f"{_DEPLOYMENTS}/d", text, "strategic", validation="Strict")
    shown = "map[spec:map[odd:[1 <nil>] paused:true]]"
    assert message.startswith(f' "" is invalid: patch: Invalid value: "{shown}": strict decoding error: ')


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            b"apiVersion: apps/v1\nkind: Deployment\nspec:\n  paused: true\n  paused: false\n  replicas: 1\n",
            ['line 5: key "paused" already set in map'],
        ),
        (
            b'{"kind": "Deployment", "apiVersion": "apps/v1",\n"spec": {"paused": true,\n\t"paused": false}}',
            ['line 3: key "paused" already set in map'],
        ),
    ],
)
def test_an_applied_configuration_is_minded_for_its_text_once_it_could_be_applied(
    text: bytes, lines: list[str]
) -> None:
    server, path = Strict(), f"{_DEPLOYMENTS}/d"
    before = server.state.version
    code, message, _ = server.send("PATCH", path, text, "apply", validation="Strict")
    said = "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:"
    assert (code, message) == (400, "\n  ".join([said, *lines]))
    assert server.state.version == before
    assert server.send("PATCH", path, text, "apply")[::2] == (200, lines)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            b"data: {a: b}\nmetadata: {name: c}\ntrue: 1\non: 2\n1: 3\n1: 4\n",
            "line 6: key 1 already set in map",
        ),
        (b"metadata: {name: c}\nyes: 1\nyes: 2\n", "line 3: key true already set in map"),
        (b"data:\n  k: a\n  k:\n    b\nmetadata: {name: c}\n", 'line 4: key "k" already set in map'),
    ],
)
def test_a_key_of_yaml_is_shown_as_go_has_it(text: bytes, line: str) -> None:
    told = Strict().send("POST", "/api/v1/namespaces/default/configmaps", text, "yaml")[2]
    assert line in told


def test_a_custom_resource_is_minded_for_what_is_twice_and_then_for_what_is_unknown() -> None:
    server = Strict()
    server.define(version({"a": {"type": "integer"}}))
    text = b'{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, '
    text += b'"spec": {"odd": 1, "odd": 2, "a": 1, "a": 2}}'
    told = ['duplicate field "spec.odd"', 'duplicate field "spec.a"', 'unknown field "spec.odd"']
    assert server.send("POST", WIDGETS, text) == (201, "", told)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (b'{"a": 1, "b": {"a": 1}}', []),
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"a": {"b": 1, "b": 2}, "c": 3}', ["a.b"]),
        (b'{"a": [{"b": 1}, {"b": 1, "b": 2}]}', ["a[1].b"]),
        (b'{"a": [[{"b": 1, "b": 2}]], "c": {"d": {"e": 1, "e": 1}}}', ["a[0][0].b", "c.d.e"]),
        (b'{"a": {"b": 1, "b": 2}, "a": 3}', ["a.b", "a"]),
        (b"[]", []),
    ],
)
def test_each_is_named_by_its_path(text: bytes, paths: list[str]) -> None:
    assert repeated_fields(text) == paths
