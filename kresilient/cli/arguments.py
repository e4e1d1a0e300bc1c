"""The types of command-line arguments: each checks its text and says what would be right."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from ..api.errors import KresilientError
from ..api.field_selectors import FieldSelector
from ..api.label_selectors import LabelSelector
from ..api.resources import Resource, path_segment

__all__ = ["count", "field_selector", "label_selector", "namespace", "port", "positive", "rate", "resource"]

T = TypeVar("T")


def resource(text: str) -> Resource:
    """`v1/pods`, `apps/v1/deployments`."""
    found: Resource = _checked(Resource.parse, text)
    if found.subresource:
        raise argparse.ArgumentTypeError(f"{text!r} is a subresource, which cannot be listed or watched")
    return found


def namespace(text: str) -> str:
    """The name of a namespace."""
    _checked(lambda name: path_segment(name, "namespace"), text)
    return text


def label_selector(text: str) -> str:
    """`app=web,tier in (front, back),!canary`."""
    return str(_checked(LabelSelector.parse, text))


def field_selector(text: str) -> str:
    """`spec.nodeName=node-1,status.phase!=Running`."""
    return str(_checked(FieldSelector.parse, text))


def port(text: str) -> int:
    """A TCP port; 0 picks a free one."""
    number = _number(int, text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is no port: 0 to 65535")
    return int(number)


def count(text: str) -> int:
    """A whole number from 0."""
    number = _number(int, text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return int(number)


def positive(text: str) -> int:
    """A whole number from 1."""
    number = _number(int, text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return int(number)


def rate(text: str) -> float:
    """A number above 0 that is finite: seconds, or requests a second."""
    number = _number(float, text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _number(kind: Callable[[str], float], text: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def _checked(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except KresilientError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
