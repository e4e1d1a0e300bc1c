"""The one door: `admission -> send -> classify -> retry or give up`, for every request there is."""

from .backoff import Backoff
from .door import Answer, Door
from .limiter import Limiter
from .retry import RetryPolicy

__all__ = ["Answer", "Backoff", "Door", "Limiter", "RetryPolicy"]
