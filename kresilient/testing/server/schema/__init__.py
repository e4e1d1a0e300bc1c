"""The schemas of custom resources: what they keep, fill in and refuse of an object."""

from .shape import Shape

__all__ = ["Shape"]
