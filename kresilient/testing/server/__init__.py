"""A fake Kubernetes API server: a pure state machine, over HTTP or in memory, with faults on demand.

It answers as kube-apiserver 1.36 does on what every resource has in common: versions, conflicts, finalizers,
selectors, paging, watches, definitions, access by roles. It does not do all that depends on one kind. Of
controllers it has those by which objects end (the garbage collector, the namespace controller, a kubelet's
last delete); nothing schedules a pod, or makes the pods of a Deployment.
"""

from .faults import Fault, Faults, Match
from .http import FakeApiServer
from .memory import MemoryApiServer, MemoryTransport
from .request_log import RequestLog, RequestSelection
from .requests import RequestRecord
from .state import ApiState
from .statuses import Refused

__all__ = [
    "ApiState",
    "FakeApiServer",
    "Fault",
    "Faults",
    "Match",
    "MemoryApiServer",
    "MemoryTransport",
    "Refused",
    "RequestLog",
    "RequestRecord",
    "RequestSelection",
]
