"""The one door: `admission -> send -> classify -> retry or give up`, for every request there is."""

from .answers import Answer
from .backoff import Backoff
from .budget import RetryBudget
from .conflict import retry_on_conflict
from .door import Door
from .lanes import Lane, admission
from .limiter import Limiter
from .retry import RetryPolicy

__all__ = [
    "Answer",
    "Backoff",
    "Door",
    "Lane",
    "Limiter",
    "RetryBudget",
    "RetryPolicy",
    "admission",
    "retry_on_conflict",
]
