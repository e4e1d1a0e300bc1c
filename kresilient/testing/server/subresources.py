"""What stands below an object: `pods/log`, `deployments/scale`, … with its own kind and verbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CONNECTS", "SCALE_KIND", "STATUS_VERBS", "UNDONE", "Subresource"]

STATUS_VERBS: Final = ("get", "patch", "update")
SCALE_KIND: Final = ("autoscaling", "v1", "Scale")
"""Group, version and kind of every `scale`."""
CONNECTS: Final = {
    "attach": "no container runs here to attach to",
    "exec": "no container runs here to execute a command in",
    "log": "no container runs here that writes a log",
    "portforward": "no container runs here that listens on a port",
    "proxy": "nothing runs here that requests could be passed on to",
}
"""Subresources that need a kubelet or a network, and what is missing: they are answered with 501."""
_BY_HAND: Final = 'write the pod as it comes out with apiserver.patch("v1/pods", key, patch)'
UNDONE: Final = {
    "ephemeralcontainers": f"no container is started here; {_BY_HAND}",
    "resize": f"no container is given more or less here; {_BY_HAND}",
}
"""Subresources whose writes only a kubelet follows, and what to do instead: 501 too, but their reads."""


@dataclass(frozen=True, slots=True)
class Subresource:
    """One subresource. `group` and `version` are those of its kind, empty where they are its resource's."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
