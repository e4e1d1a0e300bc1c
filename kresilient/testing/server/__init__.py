"""A fake Kubernetes API server: a pure state machine, over HTTP or in memory, with faults on demand.

It answers as kube-apiserver 1.36 does, in its words: versions, conflicts, watches, typed and validated
built-in kinds, custom resources, server-side apply, roles. Of controllers it has those by which objects end
(the garbage collector, the namespace controller, a kubelet's last delete); nothing schedules a pod, or makes
the pods of a Deployment. What it leaves out on purpose it answers with 501; the list is in `docs/testing.md`.
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
