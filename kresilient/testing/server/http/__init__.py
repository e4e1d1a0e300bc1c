"""The server over HTTP on the loopback interface."""

from .server import FakeApiServer

__all__ = ["FakeApiServer"]
