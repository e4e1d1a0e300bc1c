"""The generated client's REST client, with the door in the place of its own HTTP session."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast
from weakref import WeakSet

from kubernetes_asyncio.client.exceptions import ApiValueError
from kubernetes_asyncio.client.rest import RESTClientObject, RESTResponse

from ...api.errors import ApiError, KresilientError, LifecycleError, OutcomeUnknown, parse_status
from ...client import Client
from ...flow.answers import Answer
from ...flow.retry import Verdict, is_read, judge
from ...transport.base import Request
from .calls import Call
from .early_ends import EarlyEnds
from .failures import overdue, translated
from .own_writes import key_of
from .read_through import ReadThrough
from .responses import ContentReader, RawResponse
from .timeouts import Timeouts

__all__ = ["DoorRestClient"]

_NO_SESSION: Final = (
    "a ResilientApiClient has no HTTP session of its own, for what is sent through one is not paced: use"
    " call_api, or for WebSockets (exec, attach, port-forward) a kubernetes_asyncio.stream.WsApiClient"
)


class DoorRestClient(RESTClientObject):
    """Sends what `kubernetes_asyncio` asks for through the door of *client*.

    Args:
        client: speaks to the server; opened with the first request where it is *owned*, and then closed here.
        read_through: answers from its informers what these can answer exactly; None asks the server always.
    """

    def __init__(self, client: Client, *, owned: bool, read_through: ReadThrough | None) -> None:
        self._client = client
        self._owned = owned
        self._read_through = read_through
        self._early_ends = EarlyEnds()
        self._streams: WeakSet[ContentReader] = WeakSet()
        self._closed = False

    @property
    def pool_manager(self) -> NoReturn:  # type: ignore[override]
        """There is none: whoever had it would go round the door. Raises `ApiValueError`."""
        raise ApiValueError(_NO_SESSION)

    async def close(self) -> None:
        """End the streams that were begun here, and the client where it is owned. Idempotent."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.drop()
        if self._owned:
            await self._client.close()

    async def request(
        self,
        method: str,
        url: str,
        query_params: Any = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        post_params: Any = None,
        _preload_content: bool = True,
        _request_timeout: Any = None,
    ) -> RESTResponse | RawResponse:
        """Send one request; `GET`, `PATCH` and the others come here.

        Returns a `RESTResponse` with the whole body; with `_preload_content=False` a `RawResponse` of any
        status, whose body is still arriving if it is a watch, a log, or what a pod answers.

        Raises what `failures.translated` makes of the door's errors, and `ApiValueError` for what cannot be
        sent. Cancelled: the request is aborted; a write may still have happened.
        """
        if self._closed:
            raise LifecycleError("this ResilientApiClient is closed: make a new one")
        if self._owned:
            await self._client.open()
        timeouts = Timeouts.of(_request_timeout)
        call = Call.of(
            method,
            self._path(url),
            query=query_params,
            headers=headers,
            body=body,
            post_params=post_params,
            timeouts=timeouts,
        )
        failure: BaseException
        try:
            async with timeouts.bounding() as limit:
                return await self._answered(call, raw=not _preload_content)
        except KresilientError as error:
            failure = translated(error, server=self._client.server)
        except TimeoutError:
            if timeouts.total is None or not limit.expired():
                raise
            failure = overdue(call.request.what, timeouts.total, write=not is_read(call.request))
        raise failure

    async def _answered(self, call: Call, *, raw: bool) -> RESTResponse | RawResponse:
        """The answer to *call*; *raw* as a response, whatever its status."""
        try:
            response = await self._response(call)
        except (ApiError, OutcomeUnknown) as error:
            answer = error if isinstance(error, ApiError) else error.__cause__
            # A watch is read line by line without a look at its status: what is no Status would be an event.
            readable = (
                not call.request.streaming or not isinstance(answer, ApiError) or parse_status(answer.body)
            )
            if not (raw and readable and isinstance(answer, ApiError)):
                raise
            return self._whole(call.request, answer.code, answer.headers, answer.body)
        if raw:
            return response
        async with response:
            return RESTResponse(cast(Any, response), await response.content.read())

    async def _response(self, call: Call) -> RawResponse:
        request, within = call.request, call.timeouts.total
        through, door = self._read_through, self._client.door
        if through is not None and (held := through.answer(call)) is not None:
            return self._whole(request, held.status, held.headers, held.body)
        if request.streaming:
            deadline = None if within is None else asyncio.get_running_loop().time() + within
            if pause := self._early_ends.pause(request):
                await door.pause(pause)
            stream = await door.follow(request, within=within)
            ended = self._early_ends.begun(request) if call.info.verb == "watch" else None
            content = ContentReader(response=stream, deadline=deadline, ended=ended)
            self._streams.add(content)
            if self._closed:  # meanwhile
                content.drop()
            return RawResponse(request, self._client.server, stream.status, stream.headers, content)
        settle = None if through is None else through.begun(call)
        resource = call.info.resource if call.changes else None
        key = key_of(call.info) if resource is not None and call.info.name else None
        before = () if resource is None else self._client.stand(resource, key)
        try:
            answer: Answer = await door.call(request, repeatable=call.repeatable, within=within, probing=True)
        except BaseException as error:
            if settle is not None and not (
                isinstance(error, KresilientError) and _nothing_done(request, error)
            ):
                settle(None)
            raise
        if settle is not None:
            settle(answer.body)
        if resource is not None:
            await self._client.acknowledged(resource, call.info.verb, key, answer.body, before=before)
        return self._whole(request, answer.status, answer.headers, answer.body)

    def _whole(self, request: Request, status: int, headers: Mapping[str, str], body: bytes) -> RawResponse:
        return RawResponse(request, self._client.server, status, headers, ContentReader(body))

    def _path(self, url: str) -> str:
        """What *url* asks of the server of this client."""
        server = self._client.server
        rest = url.removeprefix(server) if server else url
        if not rest.startswith("/"):
            raise ApiValueError(
                f"{url.partition('?')[0]} is not at {server}, the one server that this client speaks to: make"
                " a client for each server, after its configuration is loaded"
            )
        return rest


def _nothing_done(request: Request, error: KresilientError) -> bool:
    return not isinstance(error, OutcomeUnknown) and judge(request, error) is not Verdict.UNKNOWN
