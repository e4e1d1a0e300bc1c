"""Faults on demand: what servers, proxies and networks do to a request, scripted from a test."""

from .fault import Fault
from .faults import Faults
from .match import Match

__all__ = ["Fault", "Faults", "Match"]
