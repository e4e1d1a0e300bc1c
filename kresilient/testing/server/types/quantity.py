"""Quantities (`resource.Quantity`): parsed, and written the one way in which the server writes them."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal, localcontext
from typing import Final

__all__ = ["QuantityError", "canonical", "value"]

_PARTS: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+|)\Z", re.ASCII)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BY_EXPONENT: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_LIMIT: Final = 2**63 - 1
_WRONG: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class QuantityError(ValueError):
    """A text that is no quantity, in the server's words."""


def value(text: str | int | float) -> Decimal:
    """The number that *text* (`"500m"`, `"1Gi"`, `2`) stands for. Raises `QuantityError`."""
    number, suffix = _parsed(text)
    return _scaled(number, suffix)


def canonical(text: str | int | float) -> str:
    """*text* as the server writes it: no fraction, no more digits than needed, the largest fitting suffix of
    the family that was used. Raises `QuantityError`.

    What is finer than a billionth is rounded up; what is beyond 2^63 − 1 is cut to it.
    """
    number, suffix = _parsed(text)
    with localcontext() as context:
        context.prec = 60
        amount = _scaled(number, suffix)
        if abs(amount) > _LIMIT:
            amount = Decimal(_LIMIT).copy_sign(amount)
        nano = int((amount * 10**9).to_integral_value(rounding=ROUND_UP))
    if suffix in _BINARY:
        if nano % 10**9 == 0 and abs(nano) >= 1024 * 10**9:
            return _binary(nano // 10**9)
        suffix = ""  # below 1024, or with a fraction, binary quantities are written as decimal ones
    return _decimal(nano, exponent=suffix[:1] in ("e", "E") and suffix != "E")


def _parsed(text: str | int | float) -> tuple[Decimal, str]:
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = format(Decimal(repr(text)), "f")
    if not isinstance(text, str) or not text:
        raise QuantityError(_WRONG)
    found = _PARTS.match(text)
    if found is None:
        raise QuantityError(_WRONG)
    return Decimal(found[1]), found[2]


def _scaled(number: Decimal, suffix: str) -> Decimal:
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return number.scaleb(_DECIMAL[suffix])
    return number.scaleb(max(-1000, min(1000, int(suffix[1:]))))


def _binary(whole: int) -> str:
    power = 0
    while whole % 1024 == 0 and power < 6:
        whole //= 1024
        power += 1
    suffix = next((name for name, at in _BINARY.items() if at == power), "")
    return f"{whole}{suffix}"


def _decimal(nano: int, *, exponent: bool) -> str:
    if nano == 0:
        return "0"
    at = -9
    while nano % 1000 == 0 and at < 18:
        nano //= 1000
        at += 3
    if exponent:
        return f"{nano}e{at}" if at else str(nano)
    return f"{nano}{_BY_EXPONENT[at]}"
