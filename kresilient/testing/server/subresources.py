"""What stands below an object: `pods/log`, `deployments/scale`, … with its own kind and verbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CONNECTS", "SCALE_KIND", "STATUS_VERBS", "Subresource"]

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


@dataclass(frozen=True, slots=True)
class Subresource:
    """One subresource. `group` and `version` are those of its kind, empty where they are its resource's."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
