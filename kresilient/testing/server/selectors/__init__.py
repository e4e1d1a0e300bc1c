"""Selectors as the server reads them, on its own: it shares no parser with the clients that it tests."""

from .fields import FieldQuery
from .labels import LabelQuery
from .shards import ShardQuery

__all__ = ["FieldQuery", "LabelQuery", "ShardQuery"]
