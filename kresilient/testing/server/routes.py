"""From a request to its answer: paths, query parameters and media types, without any I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from . import discovery, statuses, wire
from . import scale as scales
from .access import Access
from .bodies import delete_options, object_body, patch_body
from .forms import Form, MetadataForm, ObjectForm
from .kinds import ApiResource
from .listing import ListOptions, integer, version_fault
from .openapi import openapi_document, openapi_root
from .requests import Call, RequestInfo
from .selection import Selection
from .state import ApiState
from .statuses import Refused
from .storage import Stored
from .table import TableForm
from .watch import Watch
from .writing import Validation, Write

__all__ = ["Answer", "Routes"]

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """A response: a body in pieces, or a watch that still runs and has to be served and then let go."""

    status: int = 200
    body: Iterable[bytes] = ()
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": JSON})
    watch: Watch | None = None
    resource: ApiResource | None = None
    timeout: float = 0.0

    @classmethod
    def refused(cls, refused: Refused) -> Answer:
        return cls(refused.code, [refused.body()], {"Content-Type": JSON} | refused.headers)

    def warn(self, texts: Iterable[str]) -> None:
        """Let the answer carry *texts* as warnings, which kubectl shows to its user."""
        said = [*filter(None, [self.headers.get("Warning")]), *map(_warning, texts)]
        if said:
            self.headers["Warning"] = ", ".join(said)

    @classmethod
    def json(cls, value: Any, status: int = 200) -> Answer:
        return cls(status, [wire.encode(value) + b"\n"])

    @classmethod
    def text(cls, body: str) -> Answer:
        return cls(200, [body.encode()], {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"})


class Routes:
    """The server's paths over one state.

    Args:
        gone: how a watch learns that its version is too old: `"event"` (200 and an ERROR event, as 1.36 does)
            or `"status"` (HTTP 410).
        streaming_list: whether `sendInitialEvents` is known; if not, it is refused with 422.
        address: the server's own address, for `/api`.
    """

    def __init__(
        self,
        state: ApiState,
        access: Access,
        *,
        gone: str = "event",
        streaming_list: bool = True,
        address: str = "127.0.0.1:0",
    ) -> None:
        self.state = state
        self.access = access
        self.gone = gone
        self.streaming_list = streaming_list
        self.address = address

    def answer(self, call: Call, info: RequestInfo, user: str) -> Answer:
        """The answer to *call*; every failure is an answer too."""
        resource = self.state.resources.find(info.group, info.version, info.plural) if info.plural else None
        try:
            answer = self._answer(call, info, resource, user)
        except Refused as refused:
            answer = Answer.refused(refused)
        if resource is not None and resource.deprecation:
            answer.warn([resource.deprecation])
        return answer

    def _answer(self, call: Call, info: RequestInfo, resource: ApiResource | None, user: str) -> Answer:
        self.access.authorize(user, info, resource)
        if not info.plural:
            return self._path(call, info)
        if resource is None:
            if info.group and info.version not in self.state.resources.groups().get(info.group, ()):
                raise statuses.unknown_path()
            raise statuses.unknown_resource()
        if info.subresource:
            return self._subresource(call, info, resource)
        if info.namespace and not resource.namespaced:
            raise statuses.unknown_resource()
        if info.verb == "watch" and "watch" not in resource.verbs:
            raise statuses.not_watchable(resource)
        if info.verb not in resource.verbs or (info.verb == "create" and info.name):
            raise statuses.method_not_allowed()
        if resource.namespaced and not info.namespace and info.verb not in ("list", "watch"):
            raise statuses.unknown_resource() if info.name else statuses.method_not_allowed()
        match info.verb:
            case "get":
                stored = self.state.get(resource, _key(info))
                return self._object(self._form(call, resource, one=True), stored)
            case "list":
                return self._list(call, info, resource)
            case "watch":
                return self._watch(call, info, resource)
            case "create":
                return self._create(call, info, resource, user)
            case "update":
                body = object_body(call, resource)
                write = _write(call, "Update")
                stored = self.state.update(resource, _key(info), body, write=write)
                return self._object(self._form(call, resource, one=True), stored, write=write)
            case "patch":
                return self._patch(call, info, resource)
            case "delete":
                return self._delete(call, info, resource)
            case _:
                selection = _selection(call, info, resource)
                form = self._form(call, resource)
                gone = self.state.delete_collection(resource, selection, dry_run=_dry_run(call, "Delete"))
                return Answer(body=form.listed(gone, self.state.version))

    # --- paths that name no resource ---------------------------------------------------------------------

    def _path(self, call: Call, info: RequestInfo) -> Answer:
        if call.method not in ("GET", "HEAD"):
            raise statuses.method_not_allowed()
        registry = self.state.resources
        match [part for part in info.path.split("/") if part]:
            case ["version"]:
                return Answer.json(discovery.VERSION)
            case ["healthz" | "livez" | "readyz", *_]:
                return Answer.text("ok")
            case ["api"]:
                return Answer.json(discovery.api_versions(self.address))
            case ["apis"]:
                return Answer.json(discovery.api_groups(registry))
            case ["api", version]:
                return Answer.json(discovery.api_resources(registry, "", version))
            case ["apis", group]:
                return Answer.json(discovery.api_group(registry, group))
            case ["apis", group, version]:
                return Answer.json(discovery.api_resources(registry, group, version))
            case ["openapi", "v3"]:
                return Answer.json(openapi_root(registry))
            case ["openapi", "v3", "api", version]:
                return Answer.json(openapi_document(registry, "", version))
            case ["openapi", "v3", "apis", group, version]:
                return Answer.json(openapi_document(registry, group, version))
        raise statuses.unknown_path()

    # --- reading -----------------------------------------------------------------------------------------

    def _list(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        form = self._form(call, resource)
        selection = _selection(call, info, resource)
        if call.query.get("sendInitialEvents"):
            said = "Forbidden: sendInitialEvents is forbidden for list"
            raise statuses.invalid_options("ListOptions", ("FieldValueForbidden", said, "sendInitialEvents"))
        page = self.state.page(resource, selection, ListOptions.parse(call.query))
        body = form.listed(
            page.items, page.version, continue_token=page.continue_token, remaining=page.remaining
        )
        return Answer(body=body, resource=resource)

    def _watch(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        form = self._form(call, resource, one=True)
        selection = _selection(call, info, resource)
        version, initial = self._watch_options(call)
        bookmarks = call.query.get("allowWatchBookmarks") in ("1", "true", "True")
        timeout = float(max(0, integer(call.query.get("timeoutSeconds", ""))))
        answer = Answer(resource=resource, timeout=timeout or self.state.random.uniform(1800.0, 3600.0))
        if initial and version and version > self.state.version:
            answer.watch = _failed(selection, form, statuses.version_too_large(version, self.state.version))
            return answer
        try:
            answer.watch = self.state.watch(
                resource, selection, form, version=version, initial_events=initial, bookmarks=bookmarks
            )
        except Refused as refused:
            if self.gone == "status":
                raise
            answer.watch = _failed(selection, form, refused)
        return answer

    def _watch_options(self, call: Call) -> tuple[int | None, bool | None]:
        """The version to watch from, and whether the initial events are asked for (None: not said)."""
        query = call.query
        text, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        if text and not (text.isascii() and text.isdigit()):
            raise statuses.internal(version_fault(text))
        said = query.get("sendInitialEvents")
        field, forbidden = "resourceVersionMatch", "FieldValueForbidden"
        if said is None:
            if match:
                text_ = "Forbidden: resourceVersionMatch is forbidden for watch"
                text_ += " unless sendInitialEvents is provided" if self.streaming_list else ""
                raise statuses.invalid_options("ListOptions", (forbidden, text_, field))
            return (int(text) if text else None), None
        if not self.streaming_list:
            text_ = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate "
            raise statuses.invalid_options(
                "ListOptions", (forbidden, text_ + "is enabled", "sendInitialEvents")
            )
        if match != "NotOlderThan":
            text_ = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            raise statuses.invalid_options("ListOptions", (forbidden, text_, field))
        return (int(text) if text else None), said in ("1", "true", "True")

    def _form(self, call: Call, resource: ApiResource, *, one: bool = False) -> Form:
        """The form that the Accept header prefers among those there are. Raises `Refused` (406)."""
        accept = call.headers.get("accept") or "*/*"
        for media_range in accept.split(","):
            media_type, *parameters = (part.strip() for part in media_range.split(";"))
            if media_type not in (JSON, "application/*", "*/*"):
                continue
            wanted = dict(part.partition("=")[::2] for part in parameters)
            shape = wanted.get("as", "")
            if not shape:
                return ObjectForm(resource)
            if wanted.get("g") != "meta.k8s.io" or wanted.get("v") != "v1":
                continue
            if shape in ("PartialObjectMetadata", "PartialObjectMetadataList"):
                return MetadataForm(resource)
            if shape == "Table":
                include = call.query.get("includeObject") or "Metadata"
                return TableForm(resource, now=self.state.now(), include=include)
        raise statuses.not_acceptable()

    def _object(self, form: Form, stored: Stored, status: int = 200, *, write: Write | None = None) -> Answer:
        answer = Answer(status, [form.one(stored) + b"\n"])
        if write is not None:
            answer.warn(write.warnings)
        return answer

    # --- writing -----------------------------------------------------------------------------------------

    def _create(self, call: Call, info: RequestInfo, resource: ApiResource, user: str) -> Answer:
        form = self._form(call, resource, one=True)
        write = _write(call, "Create")
        if resource.terminating:
            raise statuses.terminating(resource)
        body = object_body(call, resource)
        if "list" not in resource.verbs:
            return Answer.json(self.access.review(resource, body, user), 201)
        stored = self.state.create(resource, body, namespace=info.namespace, write=write)
        return self._object(form, stored, 201, write=write)

    def _patch(self, call: Call, info: RequestInfo, resource: ApiResource, subresource: str = "") -> Answer:
        form = self._form(call, resource, one=True)
        kind, patch = patch_body(call, resource)
        write = _write(call, "Patch")
        if kind == "apply" and not call.query.get("fieldManager"):
            cause = ("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise statuses.invalid_options("PatchOptions", cause)
        if kind != "apply" and write.force:
            cause = ("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force")
            raise statuses.invalid_options("PatchOptions", cause)
        stored, created = self.state.patch(
            resource, _key(info), patch, kind=kind, subresource=subresource, write=write
        )
        if subresource == "scale":
            return Answer.json(scales.view(resource, stored))
        return self._object(form, stored, 201 if created else 200, write=write)

    def _delete(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        form = self._form(call, resource, one=True)
        options = delete_options(call)
        dry_run = _dry_run(call, "Delete") or bool(options.dry_run)
        stored, gone = self.state.delete(
            resource,
            _key(info),
            uid=options.uid,
            version=options.resource_version,
            grace=options.grace_period_seconds,
            dry_run=dry_run,
        )
        if gone and resource.storage not in _SHOWN_WHEN_DELETED:
            details = statuses.about(resource, info.name, uid=stored.uid)
            return Answer.json(statuses.success(details=details))
        return self._object(form, stored)

    # --- subresources ------------------------------------------------------------------------------------

    def _subresource(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        key = _key(info)
        match info.subresource, info.verb:
            case "status", "get" if resource.has_status:
                return self._object(self._form(call, resource, one=True), self.state.get(resource, key))
            case "status", "update" if resource.has_status:
                write, body = _write(call, "Update"), object_body(call, resource)
                stored = self.state.update(resource, key, body, subresource="status", write=write)
                return self._object(self._form(call, resource, one=True), stored, write=write)
            case ("status", "patch") if resource.has_status:
                return self._patch(call, info, resource, "status")
            case "scale", "get" if resource.scale is not None:
                return Answer.json(scales.view(resource, self.state.get(resource, key)))
            case "scale", "update" if resource.scale is not None:
                body = object_body(call, resource, kind="Scale", api_version="autoscaling/v1")
                write = _write(call, "Update")
                stored = self.state.update(resource, key, body, subresource="scale", write=write)
                return Answer.json(scales.view(resource, stored))
            case ("scale", "patch") if resource.scale is not None:
                return self._patch(call, info, resource, "scale")
            case ("binding", "create") if resource.storage == ("", "pods"):
                body = object_body(call, resource, kind="Binding", api_version="v1")
                self.state.bind(key, str((body.get("target") or {}).get("name") or ""))
                return Answer.json(statuses.success(code=201), 201)
            case ("eviction", "create") if resource.storage == ("", "pods"):
                object_body(call, resource, kind="Eviction", api_version="policy/v1")
                self.state.delete(resource, key, dry_run=_dry_run(call, "Create"))
                return Answer.json(statuses.success(code=201), 201)
        known = {"status": resource.has_status, "scale": resource.scale is not None}
        if known.get(info.subresource):
            raise statuses.method_not_allowed()
        raise statuses.unknown_resource()


_SHOWN_WHEN_DELETED: Final = frozenset(
    {
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "pods"),
        ("", "podtemplates"),
        ("", "resourcequotas"),
        ("", "serviceaccounts"),
        ("", "services"),
    }
)
"""Resources whose delete answers with the object, not with a Status (`ReturnDeletedObject`)."""


def _key(info: RequestInfo) -> str:
    return f"{info.namespace}/{info.name}" if info.namespace else info.name


def _selection(call: Call, info: RequestInfo, resource: ApiResource) -> Selection:
    return Selection(
        resource,
        namespace=info.namespace,
        labels=call.query.get("labelSelector", ""),
        fields=call.query.get("fieldSelector", ""),
        name=info.name,
    )


def _write(call: Call, action: str) -> Write:
    """How *call* asks for its write. Raises `Refused` (422) for options that are none."""
    query = call.query
    manager = query.get("fieldManager") or _prefix(call.headers.get("user-agent", ""))
    causes: list[statuses.Cause] = []
    if len(manager.encode()) > 128:
        causes.append(("FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"))
    if not manager.isprintable():
        said = f"Invalid value: {wire.encode(manager).decode()}: should only contain printable characters"
        causes.append(("FieldValueInvalid", said, "fieldManager"))
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        quoted = wire.encode(validation).decode()
        said = f'Unsupported value: {quoted}: supported values: "Ignore", "Strict", "Warn"'
        causes.append(("FieldValueNotSupported", said, "fieldValidation"))
    if causes:
        raise statuses.invalid_options(f"{action}Options", *causes)
    return Write(
        manager=manager,
        dry_run=_dry_run(call, action),
        validation=cast(Validation, validation),
        force=query.get("force") in ("true", "True", "1", "t", "T"),
    )


def _prefix(user_agent: str) -> str:
    """The manager's name where a client gives none: its program (`managerOrUserAgent`)."""
    return "".join(char for char in user_agent.partition("/")[0] if char.isprintable())[:128]


def _warning(text: str) -> str:
    """One value of a `Warning` header (RFC 7234)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def _dry_run(call: Call, action: str) -> bool:
    text = call.query.get("dryRun", "")
    if text in ("", "All"):
        return text == "All"
    cause = ("FieldValueNotSupported", f'Unsupported value: ["{text}"]: supported values: "All"', "dryRun")
    raise statuses.invalid_options(f"{action}Options", cause)


def _failed(selection: Selection, form: Form, refused: Refused) -> Watch:
    """A watch that consists of one ERROR event."""
    watch = Watch(selection, form)
    watch.error(refused)
    return watch
