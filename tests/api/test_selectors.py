"""Selectors: the grammar, the meaning, and that nothing ever widens to "everything"."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kresilient.api.errors import SelectorError
from kresilient.api.field_selectors import FieldSelector
from kresilient.api.label_selectors import LabelRequirement, LabelSelector, Operator
from kresilient.api.resources import Resource

# --- labels: grammar ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("a=b", "a=b"),
        ("a==b", "a=b"),
        (" a = b ", "a=b"),
        ("\ta\n=\rb", "a=b"),
        ("a!=b", "a!=b"),
        ("a", "a"),
        ("!a", "!a"),
        ("! a", "!a"),
        ("a=", "a="),
        ("a=,b", "a=,b"),
        ("a!=", "a!="),
        ("a in (b)", "a=b"),
        ("a in (c,b,c)", "a in (b,c)"),
        ("a in(b,c)", "a in (b,c)"),
        ("a in (,b)", "a in (,b)"),
        ("a in (b,)", "a in (,b)"),
        ("a in (b,,c)", "a in (,b,c)"),
        ("a in ()", "a="),
        ("a in (,)", "a="),
        ("a notin (b)", "a!=b"),
        ("a notin ( c , b )", "a notin (b,c)"),
        ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z!="),
        ("in in (in,notin)", "in in (in,notin)"),
        ("notin=in", "notin=in"),
        ("in", "in"),
        ("a>5", "a>5"),
        ("a < 007", "a<7"),
        ("example.com/a.b_c-D=1.2_3-4", "example.com/a.b_c-D=1.2_3-4"),
        ("b,a,a", "a,b"),
        ("z=1,a!=2,m in (x,y)", "a!=2,m in (x,y),z=1"),
    ],
)
def test_a_label_selector_is_read_by_gos_grammar(text: str, canonical: str) -> None:
    assert str(LabelSelector.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "found", "expected", "position"),
    [
        ("a===b", "found '='", "expected: identifier", 4),
        ("a=b c", "found 'c'", "expected: ',' or 'end of string'", 5),
        ("a,", "found the end", "identifier after ','", 3),
        (",a", "found ','", "identifier", 1),
        ("a,,b", "found ','", "identifier after ','", 3),
        (" ", "found the end", "identifier", 2),
        ("!", "found the end", "identifier", 2),
        ("!!a", "found '!'", "identifier", 2),
        ("!a=b", "found '='", "',' or 'end of string'", 3),
        ("a in", "found the end", "'('", 5),
        ("a in b", "found 'b'", "'('", 6),
        ("a in (", "found the end", "identifier", 7),
        ("a in (b", "found the end", "',' or ')'", 8),
        ("a in (b c)", "found 'c'", "',' or ')'", 9),
        ("a in (=)", "found '='", "identifier", 7),
        ("a b", "found 'b'", "in, notin, =, ==, !=, >, <", 3),
        ("a)", "found ')'", "in, notin", 2),
        ("a>=5", "found '='", "identifier", 3),
        ("\0", "found '\\x00'", "identifier", 1),
        ("a=b\0,c", "found '\\x00'", "identifier", 4),
        ("a>x", "invalid value 'x'", "must be an integer", 1),
        ("a>", "invalid value ''", "must be an integer", 1),
        ("a<99999999999999999999", "invalid value", "must be an integer", 1),
        ("a/b/c=d", "invalid label key", "at most one '/'", 1),
        ("/b", "invalid label key", "prefix", 1),
        ("Ex.com/b", "invalid label key", "DNS subdomain", 1),
        ("ex..com/b", "invalid label key", "DNS subdomain", 1),
        ("x/", "invalid label key", "name", 1),
        ("x,-a=b", "invalid label key", "letter or digit at both ends", 3),
        ("é=1", "invalid label key", "name", 1),
        ("a=é", "invalid value", "label value", 1),
        ("a=" + "x" * 64, "invalid value", "63", 1),
        ("a" * 64, "invalid label key", "63", 1),
        ("a" * 254 + "/a", "invalid label key", "253", 1),
    ],
)
def test_what_is_no_label_selector_says_where_and_why(
    text: str, found: str, expected: str, position: int
) -> None:
    with pytest.raises(SelectorError) as caught:
        LabelSelector.parse(text)
    message = str(caught.value)
    assert found in message and expected in message
    assert message.endswith(f"(at position {position})")
    assert len(message) < 600


def test_a_selector_of_another_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="label selector"):
        LabelSelector.parse(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="field selector"):
        FieldSelector.parse(7)  # type: ignore[arg-type]


# --- labels: mappings --------------------------------------------------------------------------------


def test_a_mapping_is_match_labels() -> None:
    assert LabelSelector.parse({"b": "2", "a": ""}) == LabelSelector.parse("a=,b=2")
    assert LabelSelector.parse({}).empty


def test_the_selector_of_an_api_object_is_read() -> None:
    selector = LabelSelector.parse(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "env", "operator": "NotIn", "values": ["dev"]},
                {"key": "x", "operator": "Exists"},
                {"key": "y", "operator": "DoesNotExist", "values": []},
            ],
        }
    )
    assert selector == LabelSelector.parse("app=web,tier in (a,b),env!=dev,x,!y")


def test_a_label_named_match_labels_is_still_a_label() -> None:
    assert str(LabelSelector.parse({"matchLabels": "x"})) == "matchLabels=x"
    assert str(LabelSelector.parse({"matchExpressions": "a"})) == "matchExpressions=a"


@pytest.mark.parametrize(
    "selector",
    [
        {"a": 1},
        {"a": True},
        {"a": None},
        {1: "a"},
        {"a b": "c"},
        {"a": "b c"},
        {"matchLabels": [], "x": "y"},
        {"matchLabels": ["a"]},
        {"matchLabels": {"a": None}},
        {"matchExpressions": {"key": "a"}},
        {"matchExpressions": ["a"]},
        {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]},
        {"matchExpressions": [{"key": "a", "operator": []}]},
        {"matchExpressions": [{"key": "a", "operator": "In"}]},
        {"matchExpressions": [{"key": "a", "operator": "In", "values": "b"}]},
        {"matchExpressions": [{"key": "a", "operator": "In", "values": [1]}]},
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]},
        {"matchExpressions": [{"operator": "Exists"}]},
        {"matchExpressions": [{"key": "a", "operator": "Exists", "value": "b"}]},
        {"matchLabels": {}, "matchexpressions": []},
    ],
)
def test_a_mapping_that_is_no_selector_is_an_error(selector: Any) -> None:
    with pytest.raises(SelectorError):
        LabelSelector.parse(selector)


# --- labels: meaning ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a=b", {}, False),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a notin (b,c)", {}, True),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a notin (b,c)", {"a": "d"}, True),
        ("a in (,b)", {"a": ""}, True),
        ("a in (,b)", {}, False),
        ("a", {"a": ""}, True),
        ("a", {"b": "a"}, False),
        ("!a", {}, True),
        ("!a", {"a": ""}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a>5", {"a": "x"}, False),
        ("a>5", {"a": "1_0"}, False),
        ("a>5", {"a": "٦"}, False),
        ("a<5", {"a": "9223372036854775808"}, False),
        ("a<5", {"a": "-3"}, True),
        ("a<5", {}, False),
        ("a=b,c", {"a": "b"}, False),
        ("a=b,a!=b", {"a": "b"}, False),
    ],
)
def test_a_label_selector_matches_as_go_does(text: str, labels: dict[str, str], matches: bool) -> None:
    assert LabelSelector.parse(text).matches(labels) is matches


def test_selectors_of_one_meaning_are_equal_and_hash_alike() -> None:
    texts = ["a=b,c in (x,y)", "c in (y,x,y),a==b", " a in (b) , c in ( x,y )", "a=b,a=b,c in (x,y)"]
    assert len({LabelSelector.parse(text) for text in texts}) == 1
    assert LabelSelector.parse("a=b") != LabelSelector.parse("a!=b")


def test_a_requirement_that_the_server_would_refuse_cannot_be_made() -> None:
    with pytest.raises(SelectorError, match="values can't be empty"):
        LabelRequirement("a", Operator.IN)
    with pytest.raises(SelectorError, match="exactly one value"):
        LabelRequirement("a", Operator.EQUALS, ("b", "c"))


keys = st.sampled_from(["a", "b", "in", "notin", "example.com/x", "A_b.c-D"])
values = st.sampled_from(["", "b", "in", "notin", "5", "007", "12", "x.y_z-Q"])
numbers = st.integers(0, 30).map(str)


@st.composite
def label_texts(draw: st.DrawFn) -> tuple[str, list[tuple[str, str, list[str]]]]:
    """A selector's text with blanks strewn in, and what it was made from."""
    made = []
    texts = []
    blank = st.sampled_from(["", " ", "\t ", "\n"])
    for _ in range(draw(st.integers(1, 4))):
        key = draw(keys)
        operator = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "", "!", ">", "<"]))
        if operator in ("in", "notin"):
            chosen = draw(st.lists(values, min_size=1, max_size=4))
            sep = "," + draw(blank)
            text = f"{key} {operator}{draw(blank)}({sep.join(chosen)}{draw(blank)})"
        elif operator in ("", "!"):
            chosen, text = [], f"{operator}{draw(blank)}{key}"
        else:
            chosen = [draw(numbers if operator in "><" else values)]
            text = f"{key}{draw(blank)}{operator}{draw(blank)}{chosen[0]}"
        made.append((key, operator, chosen))
        texts.append(draw(blank) + text + draw(blank))
    return ",".join(texts), made


def oracle(made: list[tuple[str, str, list[str]]], labels: dict[str, str]) -> bool:
    """The meaning of a selector, written down a second time and as plainly as it goes."""
    for key, operator, chosen in made:
        has, value = key in labels, labels.get(key, "")
        is_number = re.fullmatch("[0-9]+", value, re.ASCII) is not None
        ok = {
            "=": has and [value] == chosen,
            "==": has and [value] == chosen,
            "in": has and value in chosen,
            "!=": not has or [value] != chosen,
            "notin": not has or value not in chosen,
            "": has,
            "!": not has,
            ">": is_number and int(value or 0) > int((chosen or "0")[0] or 0) if operator == ">" else None,
            "<": is_number and int(value or 0) < int((chosen or "0")[0] or 0) if operator == "<" else None,
        }[operator]
        if not ok:
            return False
    return True


@given(label_texts(), st.dictionaries(keys, st.one_of(values, numbers)))
def test_a_label_selector_agrees_with_the_oracle_and_survives_its_own_text(
    drawn: tuple[str, list[tuple[str, str, list[str]]]], labels: dict[str, str]
) -> None:
    text, made = drawn
    selector = LabelSelector.parse(text)
    assert selector.matches(labels) is oracle(made, labels)
    again = LabelSelector.parse(str(selector))
    assert again == selector and hash(again) == hash(selector) and str(again) == str(selector)


@given(st.one_of(st.text(), st.text(alphabet="ab=!<>(), in/\\\t\0é5-.")))
def test_any_text_is_a_selector_or_a_selector_error(text: str) -> None:
    for kind in (LabelSelector, FieldSelector):
        try:
            selector = kind.parse(text)
        except SelectorError:
            continue
        assert selector.empty is (text == "")
        assert kind.parse(str(selector)) == selector


def test_a_huge_selector_is_read_in_linear_time_and_its_error_stays_short() -> None:
    many = ",".join(f"k{i}=v" for i in range(20_000))
    assert len(LabelSelector.parse(many).requirements) == 20_000
    with pytest.raises(SelectorError) as caught:
        LabelSelector.parse("x" * 1_000_000)
    assert len(str(caught.value)) < 1_000
    with pytest.raises(SelectorError) as caught:
        FieldSelector.parse("x" * 1_000_000)
    assert len(str(caught.value)) < 1_000


# --- fields: grammar ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("a.b=c", "a.b=c"),
        ("a==b", "a=b"),
        ("a!=b", "a!=b"),
        ("a=", "a="),
        ("a= b ", "a= b "),
        ("b=1,a=2,a=2", "a=2,b=1"),
        ("a=1,,b=2,", "a=1,b=2"),
        (r"a=\,\=\\", r"a=\,\=\\"),
        (r"a!=x\,b,c=d", r"a!=x\,b,c=d"),
    ],
)
def test_a_field_selector_is_read_by_gos_grammar(text: str, canonical: str) -> None:
    assert str(FieldSelector.parse(text)) == canonical


def test_escapes_are_taken_out_of_the_value() -> None:
    (requirement,) = FieldSelector.parse(r"a=\,\=\\x").requirements
    assert requirement.value == ",=\\x"


@pytest.mark.parametrize(
    ("text", "found", "position"),
    [
        ("a", "found 'a'", 1),
        (" ", "found ' '", 1),
        (",", "found ','", 1),
        ("a=b,c", "found 'c'", 5),
        ("=b", "found ''", 1),
        ("a=b, c=d", "found ' c'", 5),
        ("a =b", "found 'a '", 1),
        ("a=b=c", "found '='", 4),
        ("a===b", "found '='", 4),
        (r"a=\b", r"found '\\b'", 3),
        ("a=b\\", r"found '\\'", 4),
        (r"a\,b=c", r"found 'a\\,b'", 1),
        ("a=\ud800", "lone surrogate", 1),
    ],
)
def test_what_is_no_field_selector_says_where_and_why(text: str, found: str, position: int) -> None:
    with pytest.raises(SelectorError) as caught:
        FieldSelector.parse(text)
    assert found in str(caught.value)
    assert str(caught.value).endswith(f"(at position {position})")


@given(
    st.dictionaries(
        st.sampled_from(["metadata.name", "spec.nodeName", "x"]),
        st.one_of(st.text(alphabet="a,=\\! "), st.text()),
    )
)
def test_a_mapping_of_fields_survives_its_own_text(fields: dict[str, str]) -> None:
    selector = FieldSelector.parse(fields)
    assert FieldSelector.parse(str(selector)) == selector
    assert {one.field: one.value for one in selector.requirements} == fields


# --- fields: which, and what they are when absent ------------------------------------------------------

POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "n"}}


@pytest.mark.parametrize(
    ("resource", "obj", "selector", "matches"),
    [
        ("v1/pods", POD, "metadata.name=p,metadata.namespace=n", True),
        ("v1/pods", POD, "metadata.namespace!=n", False),
        ("v1/pods", POD, "spec.nodeName=", True),
        ("v1/pods", {"spec": {"nodeName": "n1"}}, "spec.nodeName=n1", True),
        ("v1/pods", {"spec": {"nodeName": "n1"}}, "spec.host=n1", True),
        ("v1/pods", POD, "spec.restartPolicy=Always", True),
        ("v1/pods", POD, "spec.schedulerName=default-scheduler", True),
        ("v1/pods", POD, "spec.serviceAccountName=", True),
        ("v1/pods", {"spec": {"serviceAccount": "sa"}}, "spec.serviceAccountName=sa", True),
        ("v1/pods", POD, "spec.hostNetwork=false", True),
        ("v1/pods", {"spec": {"hostNetwork": True}}, "spec.hostNetwork=true", True),
        ("v1/pods", {"status": {"podIP": "1.2.3.4"}}, "status.podIP=1.2.3.4", True),
        ("v1/pods", {"status": {"podIPs": [{"ip": "::1"}, {"ip": "x"}]}}, "status.podIP=::1", True),
        ("v1/pods", {"status": {"podIPs": [{"ip": "::1"}]}}, "status.podIPs=::1", False),
        ("v1/pods", {"status": {"phase": "Running"}}, "status.phase!=Running", False),
        ("v1/pods", {"status": {"nominatedNodeName": "x"}}, "status.nominatedNodeName=x", True),
        ("v1/pods", {"spec": "garbage", "status": ["x"], "metadata": None}, "spec.nodeName=", True),
        ("v1/pods", {"status": {"podIPs": "garbage"}}, "status.podIP=", True),
        ("v1/pods/status", POD, "status.phase=", True),
        ("v1/nodes", {}, "spec.unschedulable=false", True),
        ("v1/nodes", {"spec": {"unschedulable": True}}, "spec.unschedulable=true", True),
        ("v1/namespaces", {}, "status.phase=Active", True),
        ("v1/secrets", {"type": "t"}, "type=t", True),
        ("v1/secrets", {}, "type=Opaque", True),
        ("v1/services", {"spec": {"clusterIP": "None"}}, "spec.clusterIP=None,spec.type=ClusterIP", True),
        ("v1/replicationcontrollers", {}, "status.replicas=0", True),
        ("apps/v1/replicasets", {"status": {"replicas": 3}}, "status.replicas=3", True),
        ("batch/v1/jobs", {}, "status.successful=0", True),
        ("batch/v1/jobs", {"status": {"succeeded": 2}}, "status.successful=2", True),
        ("v1/events", {"involvedObject": {"kind": "Pod"}}, "involvedObject.kind=Pod", True),
        ("v1/events", {"source": {"component": "a"}, "reportingComponent": "b"}, "source=a", True),
        ("v1/events", {"source": {}, "reportingComponent": "b"}, "source=b,reportingComponent=b", True),
        (
            "events.k8s.io/v1/events",
            {"regarding": {"name": "x"}, "reportingController": "c"},
            "regarding.name=x,reportingController=c",
            True,
        ),
        (
            "certificates.k8s.io/v1/certificatesigningrequests",
            {"spec": {"signerName": "s"}},
            "spec.signerName=s",
            True,
        ),
        ("resource.k8s.io/v1/resourceslices", {"spec": {"driver": "d"}}, "spec.driver=d", True),
        ("v1/configmaps", POD, "metadata.name=p", True),
        ("example.com/v1/things", POD, "metadata.name!=p", False),
    ],
)
def test_a_field_has_the_servers_value(
    resource: str, obj: dict[str, Any], selector: str, matches: bool
) -> None:
    assert FieldSelector.parse(selector).compile(Resource.parse(resource))(obj) is matches


@pytest.mark.parametrize(
    ("resource", "selector", "words"),
    [
        ("v1/pods", "spec.foo=1", "field label not supported: spec.foo"),
        ("v1/nodes", "metadata.namespace=x", "field label not supported: metadata.namespace"),
        (
            "v1/configmaps",
            "data.k=1",
            '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("apps/v1/deployments", "status.replicas=1", '"status.replicas" is not a known field selector'),
        ("batch/v1/jobs", "spec.x=1", 'field label "spec.x" not supported for batchv1.Job'),
        (
            "events.k8s.io/v1/events",
            "involvedObject.name=x",
            "field label not supported: involvedObject.name",
        ),
        ("example.com/v1/things", "spec.color=red", "field label not supported: spec.color"),
    ],
)
def test_a_field_that_the_resource_lacks_is_refused_in_the_servers_words(
    resource: str, selector: str, words: str
) -> None:
    with pytest.raises(SelectorError, match="^" + re.escape(words)) as caught:
        FieldSelector.parse(selector).compile(Resource.parse(resource))
    assert "metadata.name" in str(caught.value)


def test_a_custom_resource_has_the_fields_that_its_definition_adds() -> None:
    things = Resource.parse("example.com/v1/things")
    matcher = FieldSelector.parse("spec.color=red,spec.size=3,spec.on=true,spec.none=").compile(
        things, extra_fields=[".spec.color", "spec.size", "spec.on", "spec.none"]
    )
    assert matcher({"spec": {"color": "red", "size": 3, "on": True}})
    assert not matcher({"spec": {"color": "blue", "size": 3, "on": True}})


def test_a_cluster_scoped_custom_resource_has_no_namespace_field() -> None:
    things = Resource.parse("example.com/v1/things").described(kind="Thing", namespaced=False)
    with pytest.raises(SelectorError, match=r"metadata\.namespace"):
        FieldSelector.parse("metadata.namespace=x").compile(things)


def test_a_matcher_tells_whether_it_reads_the_body() -> None:
    pods = Resource.parse("v1/pods")
    assert FieldSelector.parse("metadata.name=x").compile(pods).metadata_only
    assert not FieldSelector.parse("metadata.name=x,spec.nodeName=y").compile(pods).metadata_only


def test_an_empty_field_selector_matches_everything() -> None:
    assert FieldSelector.parse("").empty
    assert FieldSelector.parse("").compile(Resource.parse("v1/pods"))({})
