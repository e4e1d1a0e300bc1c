"""The command line: `kresilient fake-apiserver | watch | demo`."""

from .main import main

__all__ = ["main"]
