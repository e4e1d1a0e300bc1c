"""Answers to gets, lists and watches."""

from __future__ import annotations

from collections.abc import Callable

from .answers import Answer
from .forms import Form
from .kinds import ApiResource
from .list_options import ListOptions, version_to_read
from .negotiation import negotiated
from .requests import Call, RequestInfo
from .selection import Selection
from .state import ApiState
from .statuses import Refused, VersionTooLarge, not_emulated, version_too_large
from .storage import Stored
from .watch import Watch

__all__ = ["Reading"]


class Reading:
    """What one state answers to those who read it.

    Args:
        gone: how a watch learns that its version is too old: `"event"` (200 and an ERROR event) or `"status"`
            (HTTP 410).
        streaming_list: whether `sendInitialEvents` is known; if not, it is refused with 422.
        sharding: whether `shardSelector` is known; if not, it is ignored.
        newest: the most recent version, where the state may be behind it: a streaming list of what is most
            recent ends once that has been seen.
    """

    def __init__(
        self,
        state: ApiState,
        *,
        gone: str,
        streaming_list: bool,
        sharding: bool,
        newest: Callable[[], int] | None = None,
    ) -> None:
        self._state = state
        self._gone = gone
        self._streaming_list = streaming_list
        self._sharding = sharding
        self._newest = newest

    def over(self, state: ApiState, *, newest: Callable[[], int] | None) -> Reading:
        """The same over another state."""
        return Reading(
            state,
            gone=self._gone,
            streaming_list=self._streaming_list,
            sharding=self._sharding,
            newest=newest,
        )

    def get(self, call: Call, resource: ApiResource, key: str) -> Stored:
        """The object under *key*. Raises `Refused`: 404, or what is wrong with `resourceVersion`."""
        version = version_to_read(call.query.get("resourceVersion", ""))
        if version is not None and version > self._state.version:
            raise version_too_large(version, self._state.version)
        return self._state.get(resource, key)

    def list(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        form = negotiated(call, resource, "list", now=self._state.now)
        options = ListOptions.parse(call.query)
        selection = self.selection(call, info, resource)
        page = self._state.page(resource, selection, options)
        body = form.listed(
            page.items,
            page.version,
            continue_token=page.continue_token,
            remaining=page.remaining,
            shard=selection.shard,
        )
        return Answer(body=body, resource=resource, objects=len(page.items))

    def watch(self, call: Call, info: RequestInfo, resource: ApiResource) -> Answer:
        if call.headers.get("upgrade", "").lower() == "websocket":
            raise not_emulated("watches over a websocket: ask without Upgrade")
        form = negotiated(call, resource, "watch", now=self._state.now)
        options = ListOptions.parse(call.query, watch=True, streaming_list=self._streaming_list)
        selection = self.selection(call, info, resource)
        timeout = float(options.timeout) if options.timeout else self._state.random.uniform(1800.0, 3600.0)
        answer = Answer(resource=resource, timeout=max(0.0, timeout))
        try:
            answer.watch = self._state.watch(
                resource,
                selection,
                form,
                version=options.version,
                initial_events=options.initial_events,
                bookmarks=options.bookmarks,
            )
            due = answer.watch.end_bookmark
            if due is not None and options.version is None and self._newest is not None:
                answer.watch.end_bookmark = self._newest()
        except VersionTooLarge as refused:
            answer.awaits = refused.version
            answer.watch = _failed(selection, form, refused)
        except Refused as refused:
            if self._gone == "status":
                raise
            answer.watch = _failed(selection, form, refused)
        return answer

    def selection(self, call: Call, info: RequestInfo, resource: ApiResource) -> Selection:
        """What the path and the selectors of *call* name. Raises `Refused` (400)."""
        shard = call.query.get("shardSelector") if self._sharding else None
        return Selection(
            resource,
            namespace=info.namespace,
            labels=call.query.get("labelSelector", ""),
            fields=call.query.get("fieldSelector", ""),
            name=info.name,
            shard=shard or None,
        )


def _failed(selection: Selection, form: Form, refused: Refused) -> Watch:
    """A watch that consists of one ERROR event."""
    watch = Watch(selection, form)
    watch.error(refused)
    return watch
