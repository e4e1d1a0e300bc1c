"""CEL, the language of rules: expressions are compiled and evaluated by Google's own runtime.

Kubernetes adds functions of its own, of which `cel_library` has the most used; see `UNKNOWN`.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, Final

from ..statuses import not_emulated

__all__ = ["Expression", "ExpressionFault", "uses"]

UNKNOWN: Final = frozenset(
    {"authorizer", "named", "semver", "isSemver", "validate", "transformMap", "transformList", "sortBy"}
    | {"transformMapEntry", "distinct", "flatten", "slice", "reverse", "range", "regex", "jsonpatch"}
)
"""What expressions on a real server know besides and this one does not; a rule that needs it is refused."""

_STRINGS: Final = re.compile(r"""r?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""", re.S)
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']+)'")


class ExpressionFault(ValueError):
    """An expression that does not compile, or that failed, in words close to those of cel-go."""


def uses(text: str, name: str) -> bool:
    """Whether the expression *text* speaks of the variable *name*."""
    return re.search(rf"(?<![\w.]){name}\b", _STRINGS.sub("''", text)) is not None


class Expression:
    """One expression over `self` and, where it speaks of it, `oldSelf`.

    Args:
        optional: `oldSelf` is an optional value (`optionalOldSelf`).

    Raises `ExpressionFault` for what does not compile, `Refused` (501) for what needs a function that this
    server lacks, or the runtime itself.
    """

    def __init__(self, text: str, *, optional: bool = False) -> None:
        self.text = text
        self._optional = optional
        self._compiled = _compiled(text, optional)

    @property
    def kind(self) -> str:
        """The type of its value: `BOOL`, `STRING`, …, or `DYN` where only a value tells."""
        return str(self._compiled.return_type().name())

    def value(self, this: Any, *old: Any) -> Any:
        """What it is for `self` as *this* and `oldSelf` as *old*. Raises `ExpressionFault` where it fails."""
        data: dict[str, Any] = {"self": this}
        if self._optional:
            data["__old"] = list(old)
        elif old:
            data["oldSelf"] = old[0]
        result = self._compiled.eval(data=data)
        if result.type().name() == "ERROR":
            raise ExpressionFault(_failure(str(result.value())))
        return result.plain_value()


@lru_cache(maxsize=4096)
def _compiled(text: str, optional: bool) -> Any:
    bound = f"cel.bind(oldSelf, __old == [] ? optional.none() : optional.of(__old[0]), (\n{text}\n))"
    try:
        return environment().compile(bound if optional else text)
    except RuntimeError as error:
        said = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    for name in _UNDECLARED.findall(said):
        if name in UNKNOWN:
            raise not_emulated(f'{name} in the rule {text!r}: write it otherwise, or serve with cel="ignore"')
    raise ExpressionFault(said)


@cache
def environment() -> Any:
    try:
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings
    except ImportError:
        raise not_emulated(
            "rules (x-kubernetes-validations) without the package cel-expr-python: pip install "
            "'kresilient[testing]', or serve with cel=\"ignore\""
        ) from None
    from .cel_library import functions

    anything = cel.Type.DYN
    extensions = [ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_bindings.ExtBindings()]
    return cel.NewEnv(
        variables={"self": anything, "oldSelf": anything, "__old": anything},
        extensions=[*extensions, cel.CelExtension("kubernetes", functions(cel))],
    )


def _failure(said: str) -> str:
    """What went wrong when an expression was evaluated, as cel-go says it."""
    if found := re.search(r'Key not found in map : "?(.*?)"?$', said):
        return f"no such key: {found[1]}"
    if found := re.search(r"Index error: index=(-?\d+)", said):
        return f"index out of bounds: {found[1]}"
    if "No matching overloads found" in said:
        return "no such overload"
    if "divide by zero" in said:
        return "division by zero"
    return said.partition(": ")[2] or said
