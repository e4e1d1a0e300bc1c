"""A server and its clients, for the tests of custom resources: requests as they come over the wire."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from kresilient.testing.server.access import Access
from kresilient.testing.server.requests import Call, RequestInfo
from kresilient.testing.server.routes import Answer, Routes
from kresilient.testing.server.state import ApiState
from kresilient.testing.server.watch import Watch

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


class Wire:
    """A server without a network: `ask` makes one request and returns the status and the body."""

    def __init__(self, **options: Any) -> None:
        self.clock = 1_795_285_079.0
        self.state = ApiState(now=lambda: self.clock, random=Random(1), **options)
        access = Access(self.state)
        self.user = access.user("admin")
        self.routes = Routes(self.state, access)
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, *, kind: str = "") -> tuple[int, Any]:
        """*kind* is that of a patch: `json`, `merge`, `strategic` or `apply`."""
        types = {"json": "json-patch", "merge": "merge-patch", "strategic": "strategic-merge-patch"}
        media = "application/json"
        if kind:
            media = f"application/{types[kind]}+json" if kind in types else "application/apply-patch+yaml"
        answer = self.answer(method, path, body, media)
        data = b"".join(answer.body)
        self.headers = answer.headers
        return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data.decode()

    def watch(self, path: str) -> Watch:
        answer = self.answer("GET", path, None, "")
        assert answer.watch is not None
        return answer.watch

    def answer(self, method: str, path: str, body: Any = None, media: str = "") -> Answer:
        path, _, query = path.partition("?")
        pairs = dict(part.partition("=")[::2] for part in query.split("&") if part)
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        call = Call(method, path, pairs, {"content-type": media, "accept": "application/json"}, data)
        return self.routes.answer(call, RequestInfo.of(call), self.user)

    # --- what most tests do ------------------------------------------------------------------------------

    def define(self, *versions: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Create the definition of widgets and return what was answered."""
        status, answer = self.ask("POST", DEFINITIONS, definition(*versions, **more))
        assert status == 201, answer
        assert isinstance(answer, dict)
        return answer

    def create(
        self, spec: Any = None, *, name: str = "w", path: str = WIDGETS, **more: Any
    ) -> dict[str, Any]:
        status, answer = self.ask("POST", path, widget(spec, name=name, **more))
        assert status == 201, answer
        assert isinstance(answer, dict)
        return answer

    def refusal(self, method: str, path: str, body: Any = None, *, kind: str = "") -> tuple[int, list[str]]:
        """The code of a refusal and its causes, as `field: message`; its message where it has none."""
        status, answer = self.ask(method, path, body, kind=kind)
        assert status >= 400, answer
        causes = (answer.get("details") or {}).get("causes") or []
        return status, [f"{one['field']}: {one['message']}" for one in causes] or [answer["message"]]

    def faults(self, spec: Any, **more: Any) -> list[str]:
        """What is wrong with a widget of this *spec*."""
        status, causes = self.refusal("POST", WIDGETS, widget(spec, **more))
        assert status == 422
        return causes

    def definition(self, name: str = "widgets.example.com") -> dict[str, Any]:
        status, answer = self.ask("GET", f"{DEFINITIONS}/{name}")
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def conditions(self, name: str = "widgets.example.com") -> dict[str, str]:
        """The conditions of a definition: type to status and reason."""
        listed = self.definition(name)["status"]["conditions"] or []
        return {one["type"]: f"{one['status']} {one['reason']}" for one in listed}


def definition(
    *versions: dict[str, Any],
    group: str = "example.com",
    scope: str = "Namespaced",
    names: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    names = {"plural": "widgets", "kind": "Widget"} if names is None else names
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.get('plural')}.{group}", "annotations": annotations},
        "spec": {
            "group": group,
            "scope": scope,
            "names": names,
            "versions": list(versions) or [version()],
            **more,
        },
    }


def version(
    spec: dict[str, Any] | None = None,
    *,
    name: str = "v1",
    served: bool = True,
    storage: bool = True,
    schema: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A version whose `spec` has these *properties*; without any, it keeps what it is given."""
    if schema is None:
        keep = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        inner = keep if spec is None else {"type": "object", "properties": spec}
        schema = {"type": "object", "properties": {"spec": inner, "status": keep}}
    return {"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": schema}, **more}


def widget(spec: Any = None, *, name: str = "w", api_version: str = "example.com/v1", **more: Any) -> Any:
    made = {"apiVersion": api_version, "kind": "Widget", "metadata": {"name": name}, **more}
    return made if spec is None else {**made, "spec": spec}


def events(watch: Watch) -> list[tuple[str, str]]:
    """What a watch has seen: type and name."""
    lines = [json.loads(line) for line in watch.take().splitlines()]
    return [(one["type"], one["object"]["metadata"].get("name", "")) for one in lines]
