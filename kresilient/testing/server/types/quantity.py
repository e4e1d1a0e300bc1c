"""Quantities (`resource.Quantity`): parsed, and written the way in which the server writes them.

The rules, and their oddities, are those of `k8s.io/apimachinery/pkg/api/resource`.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, ROUND_UP, Decimal, localcontext
from typing import Final, NamedTuple

__all__ = ["MILLI", "QuantityError", "canonical", "value"]

_PARTS: Final = re.compile(
    r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[+-]?[0-9]*)\Z",
    re.ASCII,
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)\Z", re.ASCII)
_BY_EXPONENT: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BY_POWER: Final = {power // 10: suffix for suffix, power in _BINARY.items()}
_LARGEST_BINARY: Final = Decimal(2**63 - 1)
MILLI: Final = -3
NANO: Final = -9
_INT64_DIGITS: Final = 18
_WRONG: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_NO_SUFFIX: Final = "unable to parse quantity's suffix"


class QuantityError(ValueError):
    """A text that is no quantity, in the server's words."""


class _Parts(NamedTuple):
    sign: str
    whole: str
    fraction: str
    family: str
    """Of suffixes: `decimal`, `binary` or `exponent`."""
    power: int
    """Of two where the family is binary, of ten otherwise."""

    @property
    def digits(self) -> str:
        return self.whole + self.fraction


def value(text: str | int | float) -> Decimal:
    """The number that *text* (`"500m"`, `"1Gi"`, `2`) stands for, of one beyond 10^1000 that.

    Raises `QuantityError`.
    """
    parts = _parsed(_as_text(text))
    number = Decimal(f"{parts.sign}{parts.digits}").scaleb(-len(parts.fraction))
    if parts.family == "binary":
        return number * Decimal(2) ** parts.power
    return number.scaleb(max(-1000, min(1000, parts.power)))


def canonical(text: str | int | float, *, finest: int = NANO) -> str:
    """*text* as the server writes it: no fraction, no more digits than needed, the largest fitting suffix of
    the family that was used. Raises `QuantityError`.

    A text that the server takes for such a form stays as it is: `1.500`, `+1`. What is finer than ten to the
    *finest* is rounded up, a binary quantity beyond 2^63 − 1 is cut to it, and a decimal one from 10^21 on
    loses its suffix, for which there is none.
    """
    text = _as_text(text)
    parts = _parsed(text)
    if _kept(parts, finest):
        return text
    digits, scale = parts.digits.lstrip("0"), parts.power - len(parts.fraction)
    family = parts.family
    if not digits:
        return "0"
    if family == "binary" or scale < finest:
        digits, scale, family = _bounded(parts, finest)
    if family == "binary":
        return parts.sign.strip("+") + _binary(int(digits))
    exponential = family == "exponent"
    return parts.sign.strip("+") + _decimal(digits, scale, exponential=exponential)


def _as_text(text: str | int | float) -> str:
    if isinstance(text, int | float) and not isinstance(text, bool):
        return format(Decimal(repr(text)), "f")
    if not isinstance(text, str):
        raise QuantityError(_WRONG)
    return text


def _parsed(text: str) -> _Parts:
    found = _PARTS.match(text)
    if found is None or not text:
        raise QuantityError(_WRONG)
    sign, whole, fraction, suffix = found[1], found[2] or "0", found[3] or "", found[4]
    if suffix in _DECIMAL:
        return _Parts(sign, whole, fraction, "decimal", _DECIMAL[suffix])
    if suffix in _BINARY:
        return _Parts(sign, whole, fraction, "binary", _BINARY[suffix])
    exponent = _EXPONENT.match(suffix)
    if exponent is None or len(exponent[1].lstrip("+-0")) > _INT64_DIGITS:
        raise QuantityError(_NO_SUFFIX)
    power = (int(exponent[1]) + 2**31) % 2**32 - 2**31  # the server holds it in 32 bits
    return _Parts(sign, whole, fraction, "exponent", power)


def _kept(parts: _Parts, finest: int) -> bool:
    """Whether the server takes the text for canonical, and so writes it as it came."""
    if parts.family == "binary":
        room = 15 - len(parts.whole) - parts.power * 3 // 10 - 1
        return room >= 0 and not parts.fraction and int(parts.whole) % 8 != 0
    scale = parts.power - len(parts.fraction)
    return (
        len(parts.digits) <= _INT64_DIGITS
        and scale >= finest
        and scale % 3 == 0
        and not parts.digits.endswith("000")
        and parts.digits[0] != "0"
    )


def _bounded(parts: _Parts, finest: int) -> tuple[str, int, str]:
    """The digits of the amount without its sign, their scale, and the family it is written in: no finer than
    *finest*, and not beyond what a binary quantity holds."""
    family = parts.family
    with localcontext() as context:
        context.prec = len(parts.digits) + 60
        context.Emin, context.Emax = MIN_EMIN, MAX_EMAX
        scale = (0 if family == "binary" else parts.power) - len(parts.fraction)
        amount = Decimal(f"{parts.digits}E{scale}") * (2**parts.power if family == "binary" else 1)
        if scale < finest:
            amount = amount.quantize(Decimal((0, (1,), finest)), rounding=ROUND_UP)
        if family == "binary":
            amount = min(amount, _LARGEST_BINARY)
            if amount < 1024 or amount != amount.to_integral_value():
                family = "decimal"  # binary quantities that would lose precision are written as decimal ones
            else:
                amount = amount.to_integral_value()
        _, digits, exponent = amount.as_tuple()
        assert isinstance(exponent, int)
    return "".join(map(str, digits)), exponent, family


def _binary(whole: int) -> str:
    power = 0
    while whole % 1024 == 0:
        whole //= 1024
        power += 1
    return f"{whole}{_BY_POWER.get(power, '')}"


def _decimal(digits: str, scale: int, *, exponential: bool) -> str:
    kept = digits.rstrip("0")
    exponent = scale + len(digits) - len(kept)
    kept += "0" * (exponent % 3)
    exponent -= exponent % 3
    if exponential:
        return f"{kept}e{exponent}" if exponent else kept
    return kept + _BY_EXPONENT.get(exponent, "")
