"""kresilient: Kubernetes clients for asyncio that cannot take the API server down.

The public names; each is loaded when it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

_HOMES = {
    "AlreadyExists": "api.errors",
    "ApiError": "api.errors",
    "BadRequest": "api.errors",
    "Client": "client",
    "ClientHealth": "client_health",
    "ClusterConfig": "transport.config",
    "ConfigError": "api.errors",
    "Conflict": "api.errors",
    "ConnectFailed": "api.errors",
    "ConnectOptions": "connection",
    "ConnectionLost": "api.errors",
    "CostlyListRefused": "api.errors",
    "Event": "cache.events",
    "EventStream": "cache.subscription",
    "EventType": "cache.events",
    "Expired": "api.errors",
    "FieldSelector": "api.field_selectors",
    "FlowTimeout": "api.errors",
    "Footprint": "cache.footprint",
    "Forbidden": "api.errors",
    "Impersonation": "transport.config",
    "IndexSpec": "cache.index",
    "Informer": "cache.informer",
    "InformerHealth": "cache.health",
    "Invalid": "api.errors",
    "InvalidName": "api.errors",
    "KresilientError": "api.errors",
    "KubeObject": "api.objects",
    "LabelSelector": "api.label_selectors",
    "Lane": "flow.lanes",
    "LifecycleError": "api.errors",
    "Limiter": "flow.limiter",
    "ListCall": "reads",
    "MethodNotAllowed": "api.errors",
    "NotAKubernetesAnswer": "api.errors",
    "NotFound": "api.errors",
    "NotSyncedError": "api.errors",
    "ObjectMeta": "api.objects",
    "OutcomeUnknown": "api.errors",
    "PoisonObject": "api.errors",
    "Readiness": "client_health",
    "Resource": "api.resources",
    "RetryBudget": "flow.budget",
    "RetryPolicy": "flow.retry",
    "SelectorError": "api.errors",
    "ServerUnavailable": "api.errors",
    "Source": "cache.events",
    "StaleError": "api.errors",
    "Status": "api.errors",
    "Subscription": "cache.subscription",
    "SyncError": "api.errors",
    "TooManyRequests": "api.errors",
    "Transform": "cache.intake",
    "TransportError": "api.errors",
    "Unauthorized": "api.errors",
    "View": "api.views",
    "WatchEvent": "api.wire",
    "WatchStream": "reads",
    "WireError": "api.errors",
    "admission": "flow.lanes",
    "connect": "connection",
    "retry_on_conflict": "flow.conflict",
}

if TYPE_CHECKING:
    from .api.errors import (
        AlreadyExists as AlreadyExists,
    )
    from .api.errors import (
        ApiError as ApiError,
    )
    from .api.errors import (
        BadRequest as BadRequest,
    )
    from .api.errors import (
        ConfigError as ConfigError,
    )
    from .api.errors import (
        Conflict as Conflict,
    )
    from .api.errors import (
        ConnectFailed as ConnectFailed,
    )
    from .api.errors import (
        ConnectionLost as ConnectionLost,
    )
    from .api.errors import CostlyListRefused as CostlyListRefused
    from .api.errors import (
        Expired as Expired,
    )
    from .api.errors import (
        FlowTimeout as FlowTimeout,
    )
    from .api.errors import (
        Forbidden as Forbidden,
    )
    from .api.errors import (
        Invalid as Invalid,
    )
    from .api.errors import (
        InvalidName as InvalidName,
    )
    from .api.errors import (
        KresilientError as KresilientError,
    )
    from .api.errors import (
        LifecycleError as LifecycleError,
    )
    from .api.errors import (
        MethodNotAllowed as MethodNotAllowed,
    )
    from .api.errors import (
        NotAKubernetesAnswer as NotAKubernetesAnswer,
    )
    from .api.errors import (
        NotFound as NotFound,
    )
    from .api.errors import (
        NotSyncedError as NotSyncedError,
    )
    from .api.errors import (
        OutcomeUnknown as OutcomeUnknown,
    )
    from .api.errors import (
        PoisonObject as PoisonObject,
    )
    from .api.errors import (
        SelectorError as SelectorError,
    )
    from .api.errors import (
        ServerUnavailable as ServerUnavailable,
    )
    from .api.errors import (
        StaleError as StaleError,
    )
    from .api.errors import (
        Status as Status,
    )
    from .api.errors import (
        SyncError as SyncError,
    )
    from .api.errors import (
        TooManyRequests as TooManyRequests,
    )
    from .api.errors import (
        TransportError as TransportError,
    )
    from .api.errors import (
        Unauthorized as Unauthorized,
    )
    from .api.errors import (
        WireError as WireError,
    )
    from .api.field_selectors import FieldSelector as FieldSelector
    from .api.label_selectors import LabelSelector as LabelSelector
    from .api.objects import KubeObject as KubeObject
    from .api.objects import ObjectMeta as ObjectMeta
    from .api.resources import Resource as Resource
    from .api.views import View as View
    from .api.wire import WatchEvent as WatchEvent
    from .cache.events import Event as Event
    from .cache.events import EventType as EventType
    from .cache.events import Source as Source
    from .cache.footprint import Footprint as Footprint
    from .cache.health import InformerHealth as InformerHealth
    from .cache.index import IndexSpec as IndexSpec
    from .cache.informer import Informer as Informer
    from .cache.intake import Transform as Transform
    from .cache.subscription import EventStream as EventStream
    from .cache.subscription import Subscription as Subscription
    from .client import Client as Client
    from .client_health import ClientHealth as ClientHealth
    from .client_health import Readiness as Readiness
    from .connection import (
        ConnectOptions as ConnectOptions,
    )
    from .connection import (
        connect as connect,
    )
    from .flow.budget import RetryBudget as RetryBudget
    from .flow.conflict import retry_on_conflict as retry_on_conflict
    from .flow.lanes import Lane as Lane
    from .flow.lanes import admission as admission
    from .flow.limiter import Limiter as Limiter
    from .flow.retry import RetryPolicy as RetryPolicy
    from .reads import ListCall as ListCall
    from .reads import WatchStream as WatchStream
    from .transport.config import ClusterConfig as ClusterConfig
    from .transport.config import Impersonation as Impersonation
else:  # out of the checkers' sight, so that a misspelt name is an error to them

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{home}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted([*globals(), *_HOMES])


__all__ = [
    "AlreadyExists",
    "ApiError",
    "BadRequest",
    "Client",
    "ClientHealth",
    "ClusterConfig",
    "ConfigError",
    "Conflict",
    "ConnectFailed",
    "ConnectOptions",
    "ConnectionLost",
    "CostlyListRefused",
    "Event",
    "EventStream",
    "EventType",
    "Expired",
    "FieldSelector",
    "FlowTimeout",
    "Footprint",
    "Forbidden",
    "Impersonation",
    "IndexSpec",
    "Informer",
    "InformerHealth",
    "Invalid",
    "InvalidName",
    "KresilientError",
    "KubeObject",
    "LabelSelector",
    "Lane",
    "LifecycleError",
    "Limiter",
    "ListCall",
    "MethodNotAllowed",
    "NotAKubernetesAnswer",
    "NotFound",
    "NotSyncedError",
    "ObjectMeta",
    "OutcomeUnknown",
    "PoisonObject",
    "Readiness",
    "Resource",
    "RetryBudget",
    "RetryPolicy",
    "SelectorError",
    "ServerUnavailable",
    "Source",
    "StaleError",
    "Status",
    "Subscription",
    "SyncError",
    "TooManyRequests",
    "Transform",
    "TransportError",
    "Unauthorized",
    "View",
    "WatchEvent",
    "WatchStream",
    "WireError",
    "__version__",
    "admission",
    "connect",
    "retry_on_conflict",
]
