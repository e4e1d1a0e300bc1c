"""Worlds in virtual time, reproduced by a seed: the code of the library against a server that can break."""

from .capacity import Capacity
from .goals import Goal, goals
from .measures import Measures
from .outage import OutageOptions, simulate_outage
from .policies import POLICIES, Policy
from .virtual_loop import NothingLeft, VirtualLoop, run_virtual

__all__ = [
    "POLICIES",
    "Capacity",
    "Goal",
    "Measures",
    "NothingLeft",
    "OutageOptions",
    "Policy",
    "VirtualLoop",
    "goals",
    "run_virtual",
    "simulate_outage",
]
