"""How one write is asked for: by whom, how strictly, and what the server says beside its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Validation", "Write"]

Validation = Literal["Ignore", "Warn", "Strict"]


@dataclass(slots=True)
class Write:
    """The options of a create, an update or a patch, and the warnings that it leads to.

    Attributes:
        manager: who then owns the fields that change (`fieldManager`).
        dry_run: answer as if, and store nothing.
        validation: what becomes of fields that the type does not have (`fieldValidation`, KEP-2885): they are
            dropped in silence, dropped with a warning, or the write is refused.
        repeated: the paths of the fields that the JSON of an object gave more than once, which count as
            unknown ones do.
        faults: what else is wrong with the text of the body in the eyes of a strict decoder.
        force: an apply takes fields from other managers.
        trusted: a test's own hand: the rules of one kind are not asked, and a status is kept.
        admit: called with an object that is to be stored, and with what it takes the place of, if anything;
            refuses what whoever writes has no right to.
        creates: called before an update or an apply stores what was not there; refuses who may not create it.
        warnings: the texts of the `Warning` headers that go with the answer.
    """

    manager: str = "kresilient"
    dry_run: bool = False
    validation: Validation = "Warn"
    repeated: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    force: bool = False
    trusted: bool = False
    admit: Callable[[Mapping[str, Any], Mapping[str, Any] | None], None] | None = None
    creates: Callable[[], None] | None = None
    warnings: list[str] = field(default_factory=list)
