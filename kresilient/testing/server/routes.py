"""From a request to its answer: paths, query parameters and media types, without any I/O."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

from . import scale as scales
from . import statuses
from .access import Access
from .access.reviews import REVIEWS, Reviews
from .answers import JSON, Answer
from .bodies import object_body, patch_body, patch_kind
from .delete_options import DeleteOptions, delete_options
from .deletion import PODS, orphans_by_default
from .deprecations import DEPRECATED
from .forms import Form
from .go_words import quote
from .kinds import ApiResource
from .list_options import ListOptions
from .namespaces import NAMESPACES
from .negotiation import negotiated, pretty, wants_pretty
from .paths import Paths
from .reading import Reading
from .requests import Call, RequestInfo
from .state import ApiState
from .statuses import Refused
from .storage import Stored
from .subresources import CONNECTS, UNDONE
from .table import TableForm, scale_table
from .users import User
from .writing import Validation, Write

__all__ = ["Routes"]


class Routes:
    """The server's paths over one state.

    Args:
        gone, streaming_list, sharding: see `Reading`.
        address: the server's own address, for `/api`.
    """

    def __init__(
        self,
        state: ApiState,
        access: Access,
        *,
        gone: str = "event",
        streaming_list: bool = True,
        sharding: bool = False,
        address: str = "127.0.0.1:0",
    ) -> None:
        self.state = state
        self.access = access
        self.reviews = Reviews(state, access)
        self.reading = Reading(state, gone=gone, streaming_list=streaming_list, sharding=sharding)
        self.address = address
        self.paths = Paths(state.resources, lambda: state.now())

    def over(self, state: ApiState, *, newest: Callable[[], int] | None) -> Routes:
        """The same paths over a state that has the same resources; *newest* as `Reading` has it."""
        other = copy.copy(self)
        other.state, other.reading = state, self.reading.over(state, newest=newest)
        return other

    def answer(self, call: Call, info: RequestInfo, user: User) -> Answer:
        """The answer to *call*; every failure is an answer too."""
        resource = self.state.resources.find(info.group, info.version, info.plural) if info.plural else None
        try:
            answer = self._answer(call, info, resource, user)
        except Refused as refused:
            answer = Answer.refused(refused)
        deprecated = DEPRECATED.get((info.group, info.version, info.plural))
        if resource is not None:
            deprecated = deprecated or resource.deprecation
        if deprecated:
            answer.warn([deprecated])
        if answer.watch is None and answer.headers["Content-Type"] == JSON and wants_pretty(call):
            answer.body = [pretty(b"".join(answer.body))]
        return answer

    def _answer(self, call: Call, info: RequestInfo, resource: ApiResource | None, user: User) -> Answer:
        if not info.plural:
            return self._path(call, info)
        if resource is None:
            raise self.paths.nothing_at(info.path)
        if call.method == "HEAD":  # known to paths of no resource alone
            raise statuses.method_not_allowed()
        if info.subresource:
            return self._subresource(call, info, resource)
        if info.namespace and not resource.namespaced:
            raise self.paths.nothing_at(info.path)
        if info.verb == "watch" and "watch" not in resource.verbs:
            raise statuses.not_watchable(resource)
        if info.verb not in resource.verbs or (info.verb == "create" and info.name):
            raise statuses.method_not_allowed()
        if resource.namespaced and not info.namespace and info.verb not in ("list", "watch"):
            raise self._without_namespace(info, resource)
        match info.verb:
            case "get":
                form = self._form(call, resource, one=True)
                return self._object(form, self.reading.get(call, resource, _key(info)))
            case "list":
                return self.reading.list(call, info, resource)
            case "watch":
                return self.reading.watch(call, info, resource)
            case "create":
                return self._create(call, info, resource, user)
            case "update":
                return self._update(call, info, resource, user)
            case "patch":
                return self._patch(call, info, resource, user=user)
            case "delete":
                return self._delete(call, info, resource)
            case _:
                return self._delete_collection(call, info, resource)

    def _without_namespace(self, info: RequestInfo, resource: ApiResource) -> Refused:
        """What is said of a path that has to name a namespace: of one that leaves it empty, by the store."""
        if resource.custom:
            return self.paths.nothing_at(info.path)
        if "/namespaces//" in info.path:
            return statuses.bad_request("Namespace parameter required.")
        return statuses.unknown_resource() if info.name else statuses.method_not_allowed()

    # --- paths that name no resource ---------------------------------------------------------------------

    def _path(self, call: Call, info: RequestInfo) -> Answer:
        found = self.paths.document(call, info, self.address)
        headers = {"Content-Type": found.media_type, **dict(found.headers)}
        if found.etag:
            headers["ETag"] = found.etag
            if call.headers.get("if-none-match") == found.etag:
                return Answer(304, headers=headers)
        return Answer(found.status, [found.body], headers)

    # --- reading -----------------------------------------------------------------------------------------

    def _form(self, call: Call, resource: ApiResource, *, one: bool = False) -> Form:
        """The form that the Accept header prefers. Raises `Refused` (406, 501)."""
        return negotiated(call, resource, "object" if one else "list", now=self.state.now)

    def _object(self, form: Form, stored: Stored, status: int = 200, *, write: Write | None = None) -> Answer:
        answer = Answer(status, [form.one(stored) + b"\n"], objects=1)
        if write is not None:
            answer.warn(write.warnings)
        return answer

    # --- writing -----------------------------------------------------------------------------------------

    def _create(self, call: Call, info: RequestInfo, resource: ApiResource, user: User) -> Answer:
        form = self._form(call, resource, one=True)
        write = _write(call, "Create")
        write.admit = self.access.admission(user, resource, info.namespace)
        if resource.terminating:
            raise statuses.terminating(resource)
        body = object_body(call, resource, write=write)
        if resource.storage == ("", "bindings"):
            return self._bind(call, info)
        if resource.group in REVIEWS:
            review = self.reviews.answer(resource, body, user, namespace=info.namespace, write=write)
            answer = Answer.json(review, 201)
            answer.warn(write.warnings)
            return answer
        stored = self.state.create(resource, body, namespace=info.namespace, write=write)
        return self._object(form, stored, 201, write=write)

    def _update(self, call: Call, info: RequestInfo, resource: ApiResource, user: User) -> Answer:
        form = self._form(call, resource, one=True)
        write, key = _write(call, "Update"), _key(info)
        body = object_body(call, resource, write=write)
        self._as(user, write, info, resource)
        stored, created = self.state.update_or_create(resource, key, body, write=write)
        return self._object(form, stored, 201 if created else 200, write=write)

    def _as(self, user: User, write: Write, info: RequestInfo, resource: ApiResource) -> None:
        """Let *write* be no more than *user* may do."""
        write.admit = self.access.admission(user, resource, info.namespace)
        write.creates = lambda: self.access.check_creates(user, resource, info.namespace, info.name)

    def _patch(
        self,
        call: Call,
        info: RequestInfo,
        resource: ApiResource,
        subresource: str = "",
        *,
        user: User | None = None,
    ) -> Answer:
        form = self._form(call, resource, one=True)
        kind = patch_kind(call, resource)
        write = _write(call, "Patch")
        if user is not None:
            self._as(user, write, info, resource)
        if kind == "apply" and not call.query.get("fieldManager"):
            cause = ("FieldValueRequired", "Required value: is required for apply patch", "fieldManager")
            raise statuses.invalid_options("PatchOptions", cause)
        if kind != "apply" and write.force:
            cause = ("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force")
            raise statuses.invalid_options("PatchOptions", cause)
        patch = patch_body(call, kind, write)
        stored, created = self.state.patch(
            resource, _key(info), patch, kind=kind, subresource=subresource, write=write
        )
        if subresource == "scale":
            return Answer.json(scales.view(resource, stored))
        return self._object(form, stored, 201 if created else 200, write=write)

    def _delete(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        form = self._form(call, resource, one=True)
        options = delete_options(call)
        stored, gone = self.state.delete(resource, _key(info), options)
        if gone and resource.storage not in _SHOWN_WHEN_DELETED:
            details = statuses.about(resource, info.name, uid=stored.uid)
            answer = Answer.json(statuses.success(details=details))
        else:
            accepted = not gone and options.orphan is False
            answer = self._object(form, stored, 202 if accepted else 200)
        return _with_job_warning(answer, resource, options)

    def _delete_collection(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        form = negotiated(call, resource, "list", now=self.state.now)
        selection = self.reading.selection(call, info, resource)
        listed = ListOptions.parse(call.query)
        options = delete_options(call)
        page = self.state.delete_collection(resource, selection, listed, options)
        body = form.listed(
            page.items, page.version, continue_token=page.continue_token, remaining=page.remaining
        )
        return _with_job_warning(Answer(body=body, objects=len(page.items)), resource, options)

    def _bind(self, call: Call, info: RequestInfo) -> Answer:
        """Bind a pod: through its subresource, or as `bindings`, where the body names it."""
        dry_run = _dry_run(call, "Create")
        body = object_body(call, self.state.resources.parse("v1/bindings"))
        name = info.name or str(body["metadata"].get("name") or "")
        self.state.bind(f"{info.namespace}/{name}", body, dry_run=dry_run)
        return Answer.json(statuses.success(code=201), 201)

    def _evict(self, call: Call, resource: ApiResource, key: str) -> Answer:
        dry_run = _dry_run(call, "Create")
        beta = b'"policy/v1beta1"' in call.body  # accepted for ever, as it was the first
        api_version = "policy/v1beta1" if beta else "policy/v1"
        body = object_body(call, resource, kind="Eviction", api_version=api_version)
        return Answer.json(self.state.evict(key, body, dry_run=dry_run), 201)

    # --- subresources ------------------------------------------------------------------------------------

    def _subresource(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        key = _key(info)
        if info.beyond and info.subresource != "proxy":
            raise statuses.unknown_resource()
        if not info.name:
            raise statuses.bad_request("name must be provided")
        match info.subresource, info.verb:
            case "status", "get" if resource.has_status:
                return self._object(self._form(call, resource, one=True), self.state.get(resource, key))
            case "status", "update" if resource.has_status:
                write, body = _write(call, "Update"), object_body(call, resource)
                stored = self.state.update(resource, key, body, subresource="status", write=write)
                return self._object(self._form(call, resource, one=True), stored, write=write)
            case ("status", "patch") if resource.has_status:
                return self._patch(call, info, resource, "status")
            case "approval", "update" if resource.storage == SIGNING_REQUESTS:
                write, body = _write(call, "Update"), object_body(call, resource)
                stored = self.state.update(resource, key, body, subresource="approval", write=write)
                return self._object(self._form(call, resource, one=True), stored, write=write)
            case ("approval", "patch") if resource.storage == SIGNING_REQUESTS:
                return self._patch(call, info, resource, "approval")
            case "scale", "get" if resource.scale is not None:
                scale = scales.view(resource, resource.seen(self.state.get(resource, key)))
                tabled = isinstance(self._form(call, resource, one=True), TableForm)
                return Answer.json(scale_table(scale, self.state.now()) if tabled else scale)
            case "scale", "update" if resource.scale is not None:
                body = object_body(call, resource, kind="Scale", api_version="autoscaling/v1")
                write = _write(call, "Update")
                stored = self.state.update(resource, key, body, subresource="scale", write=write)
                return Answer.json(scales.view(resource, stored))
            case ("scale", "patch") if resource.scale is not None:
                return self._patch(call, info, resource, "scale")
            case ("binding", "create") if resource.storage == PODS:
                return self._bind(call, info)
            case ("eviction", "create") if resource.storage == PODS:
                return self._evict(call, resource, key)
            case "token", "create" if resource.storage == ("", "serviceaccounts"):
                body = object_body(
                    call, resource, kind="TokenRequest", api_version="authentication.k8s.io/v1"
                )
                issue = self.access.service_accounts.issue
                return Answer.json(issue(resource, info.namespace, info.name, body), 201)
            case "finalize", "update" if resource.storage == NAMESPACES:
                write, body = _write(call, "Update"), object_body(call, resource)
                stored = self.state.update(resource, key, body, subresource="finalize", write=write)
                return self._object(self._form(call, resource, one=True), stored, write=write)
        found = resource.subresource(info.subresource)
        if found is None:
            raise statuses.unknown_resource()
        if info.verb not in found.verbs:
            raise statuses.method_not_allowed()
        stored = self.state.get(resource, _key(_proxied(info)))
        if info.verb == "get" and found.kind == resource.kind and found.name not in CONNECTS:
            return self._object(self._form(call, resource, one=True), stored)
        why = CONNECTS.get(found.name) or UNDONE[found.name]
        raise statuses.not_emulated(f"{resource.plural}/{found.name}: {why}")


SIGNING_REQUESTS: Final = ("certificates.k8s.io", "certificatesigningrequests")
_JOB_WARNING: Final = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
    "them or set propagationPolicy=Orphan to suppress this warning"
)
_SHOWN_WHEN_DELETED: Final = frozenset(
    {
        ("", "namespaces"),
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
    for what, name in (("Name", info.name), ("Namespace", info.namespace)):
        fault = (
            f"may not be '{name}'" if name in (".", "..") else "may not contain '%'" if "%" in name else ""
        )
        if fault:
            raise statuses.bad_request(f"{what} parameter invalid: {quote(name)}: {fault}")
    return f"{info.namespace}/{info.name}" if info.namespace else info.name


def _proxied(info: RequestInfo) -> RequestInfo:
    """*info* with the name alone of what a proxy is asked for as `NAME:PORT` or `SCHEME:NAME:PORT`."""
    parts = info.name.split(":")
    if info.subresource != "proxy":
        return info
    return replace(info, name=parts[1] if len(parts) == 3 else parts[0])


def _write(call: Call, action: str) -> Write:
    """How *call* asks for its write. Raises `Refused` (422) for options that are none."""
    query = call.query
    manager = query.get("fieldManager") or _prefix(call.headers.get("user-agent", ""))
    causes: list[statuses.Cause] = []
    if len(manager.encode()) > 128:
        causes.append(("FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager"))
    if not manager.isprintable():
        said = f"Invalid value: {quote(manager)}: should only contain printable characters"
        causes.append(("FieldValueInvalid", said, "fieldManager"))
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        said = f'Unsupported value: {quote(validation)}: supported values: "Ignore", "Strict", "Warn"'
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


def _with_job_warning(answer: Answer, resource: ApiResource, options: DeleteOptions) -> Answer:
    """*answer*, with the warning that pods outlive a job whose deletion says nothing of them."""
    unsaid = options.propagation is None and options.orphan is None
    if resource.storage == ("batch", "jobs") and unsaid and orphans_by_default(resource):
        answer.warn([_JOB_WARNING])
    return answer


def _dry_run(call: Call, action: str) -> bool:
    text = call.query.get("dryRun", "")
    if text in ("", "All"):
        return text == "All"
    cause = ("FieldValueNotSupported", f'Unsupported value: ["{text}"]: supported values: "All"', "dryRun")
    raise statuses.invalid_options(f"{action}Options", cause)
