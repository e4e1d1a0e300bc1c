"""How one kind is shown in a table, its columns and the cells of an object; what many kinds show alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

__all__ = [
    "AGE",
    "NAME",
    "Object",
    "Printer",
    "age",
    "at",
    "column",
    "containers",
    "format_labels",
    "format_selector",
    "human_duration",
    "name_of",
    "seconds",
    "selector_text",
    "since",
    "some",
]

Object = Mapping[str, Any]
Cells = list[Any]
NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"
ERROR: Final = "<error>"


@dataclass(frozen=True, slots=True)
class Printer:
    """Columns as a `Table` declares them, and what stands in them for an object at a wall-clock time.

    `conditions` are those of a row (`Completed`), where there are any. `order` sorts the rows of a list by
    something else than their keys.
    """

    columns: Sequence[Mapping[str, Any]]
    cells: Callable[[Object, float], Cells]
    conditions: Callable[[Object], list[dict[str, str]]] | None = None
    order: Callable[[Object], tuple[Any, ...]] | None = None


def column(
    name: str, text: str, kind: str = "string", *, wide: bool = False, form: str = ""
) -> dict[str, Any]:
    """A column called *name*, explained by *text*; a *wide* one is shown with `-o wide` only."""
    return {"name": name, "type": kind, "format": form, "description": text, "priority": int(wide)}


NAME: Final = column("Name", "The object's name, unique within its namespace.", form="name")
AGE: Final = column("Age", "The time since the object was created.")


# --- what stands in an object ------------------------------------------------------------------------


def at(obj: Any, path: str, default: Any = None) -> Any:
    """What stands at a dotted *path*; *default* where there is nothing, or null, or an empty string."""
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return default if obj is None or obj == "" else obj


def name_of(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def age(obj: Object, now: float) -> str:
    return since(at(obj, "metadata.creationTimestamp"), now)


def since(text: str | None, now: float) -> str:
    """The time from *text* (RFC 3339) to *now*."""
    return UNKNOWN if text is None else human_duration(now - seconds(text))


def seconds(text: str) -> float:
    """A time in RFC 3339 in seconds since the epoch. Raises `ValueError` where it is none."""
    return datetime.fromisoformat(text).timestamp()


def human_duration(seconds: float) -> str:
    """As `duration.HumanDuration` writes it: 3s, 2m5s, 3h12m, 4d, 2y31d."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 120:
        return f"{max(whole, 0)}s"
    minutes, hours = whole // 60, whole // 3600
    days = hours // 24
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    if days < 8 * 365:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"


def containers(template: Any) -> tuple[str, str]:
    """The names and the images of the containers of a pod template."""
    found = at(template, "spec.containers", ())
    return ",".join(at(one, "name", "") for one in found), ",".join(at(one, "image", "") for one in found)


def some(items: Iterable[str], *, most: int, between: str = ",", empty: str = "") -> str:
    """*items* up to *most*, and how many more there are."""
    listed = list(items)
    text = between.join(listed[:most]) or empty
    more = len(listed) - most
    return f"{text} + {more} more..." if more > 0 else text


# --- selectors ---------------------------------------------------------------------------------------


def format_labels(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def format_selector(selector: Any) -> str:
    """A `LabelSelector` as kubectl writes it."""
    text = selector_text(selector)
    return ERROR if text is None else text or NONE


def selector_text(selector: Any) -> str | None:
    """A `LabelSelector` in the syntax of label selectors; None where it is none."""
    found = [(key, f"{key}={value}") for key, value in at(selector, "matchLabels", {}).items()]
    for one in at(selector, "matchExpressions", ()):
        key, values = one.get("key", ""), ",".join(sorted(one.get("values") or ()))
        match one.get("operator"):
            case "In":
                found.append((key, f"{key} in ({values})"))
            case "NotIn":
                found.append((key, f"{key} notin ({values})"))
            case "Exists":
                found.append((key, key))
            case "DoesNotExist":
                found.append((key, f"!{key}"))
            case _:
                return None
    return ",".join(text for _, text in sorted(found, key=lambda one: one[0]))
