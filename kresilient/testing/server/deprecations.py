"""Resources whose every answer carries a warning that they are deprecated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["DEPRECATED"]

DEPRECATED: Final[Mapping[tuple[str, str, str], str]] = {
    ("", "v1", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
    ("", "v1", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
"""Group, version and plural: the text of the `Warning` header."""
