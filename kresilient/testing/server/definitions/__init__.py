"""CustomResourceDefinitions: what they may say, and how the server takes them up and lets them go."""

from .lifecycle import DEFINITIONS, Definitions
from .resources import defined

__all__ = ["DEFINITIONS", "Definitions", "defined"]
