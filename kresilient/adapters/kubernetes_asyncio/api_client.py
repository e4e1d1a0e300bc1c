"""`ResilientApiClient`: an `ApiClient` of `kubernetes_asyncio` whose every request passes the door."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final, Unpack

from kubernetes_asyncio.client.api_client import ApiClient
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.client.rest import RESTResponse

from ...api.errors import ConfigError
from ...client import Client
from ...connection import AccessOptions, connect
from ...flow.budget import RetryBudget
from ...flow.limiter import Limiter
from ...flow.retry import RetryPolicy
from ...observe.events import Observer
from ...transport.config import default_user_agent
from .read_through import ReadThrough
from .responses import RawResponse
from .rest import DoorRestClient

__all__ = ["ResilientApiClient", "ResilientOptions"]

_ELSEWHERE: Final = {
    "server": "a Configuration names the server, as its host",
    "kubeconfig": "a Configuration names the server, and kubernetes_asyncio.config loads it",
    "context": "a Configuration names the server, and kubernetes_asyncio.config loads it",
    "namespace": "the namespace is an argument of each call",
    "read_after_write": "it is about informers, and this client has none",
    "start_jitter": "it spreads the first lists of informers, and this client has none",
}
"""The options of `connect` that would have no effect here, and why."""


class ResilientOptions(AccessOptions, total=False):
    """How a `ResilientApiClient` sends; each is the option of `kresilient.connect` of that name, with the
    default that it has there."""

    qps: float | None
    burst: int
    limiter: Limiter | None
    retry: RetryPolicy | None
    budget: RetryBudget | None
    max_in_flight: int
    spread: float
    strict: bool
    observers: Iterable[Observer]


class ResilientApiClient(ApiClient):
    """Takes the place of an `ApiClient`: `CoreV1Api(ResilientApiClient(qps=20, burst=40))`.

    Everything it is asked for (generated APIs, custom objects, the dynamic client, `watch.Watch`, leader
    election) is paced, retried only where that is harmless, and observed. Errors are those that existing
    code catches; see `kresilient.adapters.kubernetes_asyncio.failures`.

    It may be made anywhere, also before an event loop runs; it then belongs to the loop of its first request.

    Args:
        configuration: which cluster, and as whom; the default one (`load_kube_config` sets it) where None.
        header_name, header_value, cookie: sent with every request.
        pool_threads: as in `ApiClient`.
        client: an open `kresilient.Client` to send everything through, with its cluster, its credentials and
            its limiter; it is not closed with this.
        read_through: answer gets and lists from the informers of *client*, where these can answer exactly.
        options: all that `kresilient.connect` takes, but for what names the cluster and what concerns
            informers alone; see `ResilientOptions`. What says as whom, such as `impersonate`, replaces what
            the configuration says. Clients of one server with equal `qps` and `burst` share them.

    Raises `ConfigError` for options that contradict each other or cannot be used, `TypeError` for one that
    there is not or that is of another type; with the first request also what `connect` raises as it is
    entered.
    """

    def __init__(
        self,
        configuration: Configuration | None = None,
        header_name: str | None = None,
        header_value: str | None = None,
        cookie: str | None = None,
        pool_threads: int = 1,
        *,
        client: Client | None = None,
        read_through: bool = False,
        **options: Unpack[ResilientOptions],
    ) -> None:
        _check_names(options)
        if client is None:
            if read_through:
                raise ConfigError("read_through= answers from the informers of a client: pass client= too")
            configuration = Configuration.get_default_copy() if configuration is None else configuration
            if not isinstance(configuration, Configuration):
                raise ConfigError(
                    f"a {type(configuration).__name__} is no Configuration of kubernetes_asyncio: hand in a"
                    " client instead, client=kresilient.connect(…)"
                )
            if not configuration.host:
                raise ConfigError(
                    "no cluster is configured: call kubernetes_asyncio.config.load_config() first"
                )
            spoken_through = connect(configuration, **options)
        else:
            if options:
                raise ConfigError(f"a client has its own {', '.join(options)}: set that there, in connect(…)")
            if configuration is not None:
                raise ConfigError("a client knows its cluster: pass it or a configuration, not both")
            configuration = _ConfigurationOf(lambda: client.server)
            spoken_through = client
        # ApiClient.__init__ is not called, for it opens an HTTP session: this is what it sets.
        self.configuration = configuration
        self.pool_threads = pool_threads
        self.rest_client = DoorRestClient(
            spoken_through,
            owned=client is None,
            read_through=ReadThrough(spoken_through) if read_through else None,
        )
        self.default_headers: dict[str, Any] = {} if header_name is None else {header_name: header_value}
        self.cookie: str | None = cookie  # type: ignore[assignment]
        if client is None:
            headers = {name.lower(): value for name, value in (options.get("headers") or {}).items()}
            self.user_agent = headers.get("user-agent") or options.get("user_agent") or default_user_agent()
        self.client_side_validation = configuration.client_side_validation

    @property
    def last_response(self) -> RESTResponse | RawResponse | None:
        """The last answer; one whose body is still arriving only while somebody else holds it."""
        return self._last_response()

    @last_response.setter
    def last_response(self, response: RESTResponse | RawResponse) -> None:
        held = weakref.ref(response) if isinstance(response, RawResponse) else lambda: response
        self._last_response: Callable[[], RESTResponse | RawResponse | None] = held

    async def update_params_for_auth(
        self, headers: dict[str, Any], queries: Any, auth_settings: Any, request_auth: Any = None
    ) -> None:
        """Only what a single call brings along (`_request_auth`): the transport adds the credentials."""
        if request_auth:
            await super().update_params_for_auth(headers, queries, auth_settings, request_auth=request_auth)


def _check_names(options: Iterable[str]) -> None:
    for name in options:
        if name in _ELSEWHERE:
            raise ConfigError(
                f"a ResilientApiClient takes no {name}: {_ELSEWHERE[name]}; or hand in a client,"
                f" client=kresilient.connect({name}=…)"
            )
        if name not in ResilientOptions.__optional_keys__:
            raise TypeError(
                f"ResilientApiClient has no option {name!r}; see ResilientOptions for those it has"
            )


class _ConfigurationOf(Configuration):
    """What existing code looks for in `configuration`, for a cluster that a client knows."""

    def __init__(self, server: Callable[[], str]) -> None:
        self._server = server  # a function, which a deep copy of the configuration leaves alone
        super().__init__()

    @property
    def host(self) -> str:
        return self._server()

    @host.setter
    def host(self, _: str) -> None:
        raise ConfigError(
            f"this configuration is that of a client of {self.host}: make one for the other server"
        )
