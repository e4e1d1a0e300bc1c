"""`connect`: from what the caller says of a cluster to a client of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from .api.errors import ConfigError
from .client import Client
from .flow.budget import RetryBudget
from .flow.in_flight import MAX_IN_FLIGHT, RESERVED
from .flow.limiter import Limiter
from .flow.outage import SPREAD
from .flow.retry import RetryPolicy
from .observe.events import Observer
from .transport.auth import Credentials
from .transport.base import Transport
from .transport.config import ClusterConfig, Impersonation
from .write_through import ReadAfterWrite

__all__ = ["AccessOptions", "ConnectOptions", "connect"]

_CONNECTIONS: Final = 32


class AccessOptions(TypedDict, total=False):
    """As whom, and how, a cluster is spoken to; each replaces what a configuration says. See
    `kresilient.transport.load.load_config`."""

    token: str | None
    token_file: str | Path | None
    username: str | None
    password: str | None
    client_cert_file: str | Path | None
    client_key_file: str | Path | None
    credentials: Credentials | None
    ca_file: str | Path | None
    ca_data: bytes | str | None
    insecure_skip_tls_verify: bool | None
    tls_server_name: str | None
    proxy: str | None
    impersonate: Impersonation | str | None
    user_agent: str | None
    headers: Mapping[str, str] | None
    compression: bool | None


class ConnectOptions(AccessOptions, total=False):
    """Which cluster, and as whom; see `kresilient.transport.load.load_config` for each."""

    server: str | None
    kubeconfig: str | Path | Mapping[str, Any] | None
    context: str | None
    namespace: str | None


def connect(
    configuration: Any = None,
    *,
    qps: float | None = 20.0,
    burst: int = 40,
    limiter: Limiter | None = None,
    retry: RetryPolicy | None = None,
    budget: RetryBudget | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
    spread: float = SPREAD,
    start_jitter: float = 0.0,
    serve_stale_for: float | None = None,
    strict: bool = False,
    read_after_write: ReadAfterWrite = "overlay",
    observers: Iterable[Observer] = (),
    **options: Unpack[ConnectOptions],
) -> Client:
    """A client for the cluster that the arguments mean: in-cluster where the process runs in a pod, else
    the kubeconfig's current context. Use it as `async with connect() as client:`. What is known of a server
    (its overload, its absence, the repeats that are left) is shared by all its clients on one event loop.

    Args:
        configuration: a `ClusterConfig`, or a `Configuration` or `ApiClient` of `kubernetes_asyncio`, or a
            `Transport` (such as `MemoryApiServer().transport()`), taken as it is.
        qps: requests a second that may leave, over all callers; None for no limit. Clients of one server
            that are connected with the same figures on one event loop share them.
        burst: requests that may leave at once after a rest.
        limiter: a limiter of your own, instead of `qps` and `burst`.
        retry: how often one unary call is tried.
        budget: how many repeats all of them together may cost.
        max_in_flight: unary calls under way at once, of all clients of the server with this figure on one
            event loop; lease renewals have places of their own beside them.
        spread: seconds over which informers come back after an outage, and relist when a restarted server
            has forgotten their version.
        start_jitter: seconds within which an informer's first list begins, at a moment of its own. 0 for at
            once; set it where a whole fleet starts together, as the pods of a DaemonSet do.
        serve_stale_for: seconds without contact with the server for which informers are read; then plain
            reads raise `StaleError`. None for ever: in an outage a cache is the best there is.
        strict: refuse the polling of whole lists (`CostlyListRefused`), which is else logged and counted
            once a place.
        read_after_write: `overlay` shows what a write was answered with at once, in every informer of the
            server on this event loop; `wait` has the write wait until their watches have brought it. See
            `docs/consistency.md`.
        observers: hear every event of `kresilient.observe.events`.
        options: the cluster and the credentials; see `ConnectOptions`.

    Nothing is read or sent before the client is entered; that raises `ConfigError` where no cluster is
    configured or a setting cannot be used. Raises `ConfigError` at once for options beside a transport, and
    `TypeError` for one that there is not.
    """
    for name in options:
        if name not in ConnectOptions.__optional_keys__:
            raise TypeError(f"connect has no option {name!r}; see kresilient.ConnectOptions for those it has")

    async def transport() -> tuple[Transport, str]:
        from .transport.http import HttpTransport
        from .transport.load import load_config

        config: ClusterConfig = await load_config(configuration, **options)
        # A pool that holds less would put the rest into a line of its own, without lanes.
        pool = max(_CONNECTIONS, max_in_flight + RESERVED)
        return HttpTransport(config, max_connections=pool), config.namespace

    given = configuration if isinstance(configuration, Transport) else None
    if given is not None and options:
        raise ConfigError(
            f"a transport knows its cluster and its credentials: leave out {', '.join(sorted(options))}"
        )
    return Client(
        given or transport,
        qps=qps,
        burst=burst,
        limiter=limiter,
        shares=True,
        retry=retry,
        budget=budget,
        max_in_flight=max_in_flight,
        spread=spread,
        start_jitter=start_jitter,
        serve_stale_for=serve_stale_for,
        strict=strict,
        read_after_write=read_after_write,
        observers=observers,
    )
