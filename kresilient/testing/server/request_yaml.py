"""YAML in requests: what a plain word in it stands for, and which keys it has twice.

The rules are those of `goyaml.v2`, through which `sigs.k8s.io/yaml` reads: `y` and `on` are true, `1e3` is a
number, a date is text, and `22:22` is no number to the base of 60.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from .go_words import go_value, quote
from .request_text import Unreadable, in_order, plain, too_deep

if TYPE_CHECKING:
    import yaml

__all__ = ["read_yaml", "repeated_keys"]

_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = "y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON"
_FALSE: Final = "n|N|no|No|NO|false|False|FALSE|off|Off|OFF"
_NUMBER: Final = "+-0123456789."
_RESOLVED: Final = (
    ("bool", f"(?:{_TRUE}|{_FALSE})", "yYnNtTfFoO"),
    ("null", "(?:~|null|Null|NULL|)", ("~", "n", "N", "")),
    ("merge", "<<", "<"),
    ("int", "[-+]?(?:0[bB][01_]+|0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]*|[1-9][0-9_]*)", _NUMBER),
    (
        "float",
        r"(?:[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
        _NUMBER,
    ),
)
_OCTAL: Final = re.compile(r"\A([-+]?)0(?=[0-7])")


def read_yaml(text: bytes) -> Any:
    """*text*, which is YAML, as `sigs.k8s.io/yaml` makes JSON of it: keys, times and bytes are text, and the
    keys are sorted.

    Raises `Unreadable`.
    """
    import yaml

    try:
        loaded = _loader()(text).get_single_data()
    except yaml.YAMLError as error:
        raise Unreadable(str(error)) from None
    except RecursionError:
        raise Unreadable("exceeded max depth") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        # What the constructors of explicit tags raise for a text that is none of theirs (`!!int x`).
        raise Unreadable(f"a value does not have the form of its tag: {error}") from None
    if too_deep(loaded):
        raise Unreadable("exceeded max depth, or excessive aliasing")
    return in_order(plain(loaded))


@cache
def _loader() -> type[yaml.SafeLoader]:
    """The loader of request bodies; made when first asked for, since few programs read YAML."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {}
    Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}
    for name, pattern, first in _RESOLVED:
        Loader.add_implicit_resolver(_TAG + name, re.compile(rf"{pattern}\Z"), list(first))
    Loader.add_constructor(f"{_TAG}int", _integer)
    Loader.add_constructor(f"{_TAG}float", _float)
    return Loader


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    """An integer; one that 64 bits do not hold is a float. Raises `ValueError` for what is none."""
    text = _OCTAL.sub(r"\g<1>0o", str(loader.construct_scalar(node)).replace("_", ""))
    number = int(text, 0)
    if -(2**63) <= number < 2**64:
        return number
    try:
        return float(number)
    except OverflowError:
        raise ValueError(f"the number {text[:20]}… is out of range") from None


def _float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float | str:
    """A float; what none can hold stays text."""
    text = str(loader.construct_scalar(node))
    if text.lstrip("+-")[1:].isalpha():  # .inf, .nan
        return float(text.replace(".", ""))
    number = float(text.replace("_", ""))
    return number if number - number == 0 else text


def repeated_keys(text: bytes) -> str:
    """What a strict decoder says of the keys that *text*, which is YAML, gives again; nothing of others.

    Raises `Unreadable`.
    """
    import yaml

    loader = _loader()(text)
    try:
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        raise Unreadable(str(error)) from None
    found = [] if root is None else list(_repeated(loader, root, set()))
    return "\n  ".join(("yaml: unmarshal errors:", *found)) if found else ""


def _repeated(loader: yaml.SafeLoader, node: yaml.Node, seen: set[int]) -> Iterator[str]:
    import yaml

    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _repeated(loader, one, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[tuple[type, Any]] = set()
        for name, value in node.value:
            yield from _repeated(loader, value, seen)
            if name.tag == f"{_TAG}merge":
                continue
            key = loader.construct_object(name)
            if (type(key), key) in keys:
                shown = quote(key) if isinstance(key, str) else go_value(key)
                yield f"line {value.start_mark.line + 1}: key {shown} already set in map"
            keys.add((type(key), key))
