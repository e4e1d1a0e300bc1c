"""Existing `kubernetes_asyncio` code through the one door, and its models from cached bytes."""

from .api_client import ResilientApiClient, ResilientOptions
from .failures import AnsweredInDoubt, AnswerFailed, AnswerLost, AnswerOverdue, AnswerUnusable
from .models import to_model

__all__ = [
    "AnswerFailed",
    "AnswerLost",
    "AnswerOverdue",
    "AnswerUnusable",
    "AnsweredInDoubt",
    "ResilientApiClient",
    "ResilientOptions",
    "to_model",
]
