"""What the fields of built-in types mean, in the words of the API's own documentation.

The texts are not kept here: kubernetes_asyncio has them in the source of its models, where they are read when
first asked for. It is not imported for that. Where only its bytecode is installed, fields have no texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["field_texts"]

_GETTER: Final = re.compile(
    r'    def (\w+)\(self\):\n +"""Gets the [^\n]*\n\n +([^\n]+?)  # noqa: E501\n\n +:return:'
)
_NAMES: Final = re.compile(r"    attribute_map = \{(.*?)\}", re.DOTALL)
_NAME: Final = re.compile(r"'(\w+)': '([^']+)'")


@cache
def field_texts(name: str) -> Mapping[str, str]:
    """By JSON name, the texts of the fields of the type called *name* (`io.k8s.api.core.v1.Pod`)."""
    models = _models()
    *_, package, version, kind = ["", "", *name.split(".")]
    snake = re.sub(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
    for file in (f"{package}_{version}_{snake}.py", f"{version}_{snake}.py"):
        if models is not None and (models / file).is_file():
            return _read((models / file).read_text("utf-8"))
    return {}


def _read(source: str) -> dict[str, str]:
    listed = _NAMES.search(source)
    names = dict(_NAME.findall(listed[1])) if listed else {}
    return {
        names[one]: re.sub(r"\\(.)", r"\1", text) for one, text in _GETTER.findall(source) if one in names
    }


@cache
def _models() -> Path | None:
    found = find_spec("kubernetes_asyncio")
    places = found.submodule_search_locations if found is not None else None
    return Path(next(iter(places)), "client", "models") if places else None
