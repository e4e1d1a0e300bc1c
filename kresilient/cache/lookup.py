"""What a cache knows for certain, so that it can answer in the server's place."""

from __future__ import annotations

from dataclasses import dataclass

from ..api.errors import ConfigError, NotSyncedError, PoisonObject
from ..api.field_selectors import FieldSelector
from ..api.label_selectors import Operator
from ..api.objects import KubeObject
from ..api.resources import Key, split_key
from ..api.views import View
from .options import InformerOptions
from .shared import SharedInformer
from .store import Store

__all__ = ["Known", "look_up", "store_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is under a key as of *version*, by the cache *name*: the object, or None where there is none."""

    object: KubeObject | None
    name: str
    version: str


def store_of(shared: SharedInformer, namespace: str | None, *, view: type[View] | None = None) -> Store:
    """The store of *shared* in which objects of *namespace* (None for all) stand as the server has them, or
    as *view* where one is given.

    Raises `ConfigError` where it holds parts of them or another namespace, `NotSyncedError` before its first
    list is complete, `StaleError` in an outage that is longer than it may serve.
    """
    options = shared.options
    same_view = view is not None and options.view is view and not options.strip and options.transform is None
    if options.metadata_only or not (shared.intake.whole or same_view):
        raise ConfigError(f"the informer of {shared.name} keeps parts of its objects only")
    reflector = shared.reflectors.get(None if options.namespaces is None else namespace)
    if reflector is None:
        raise ConfigError(f"the informer of {shared.name} does not hold namespace {namespace!r}")
    if not reflector.store.synced:
        why = f" ({shared.reason})" if shared.reason else ""
        raise NotSyncedError(f"the informer of {shared.name} has not synced{why}: await its synced() first")
    shared.check_contact(shared.serve_stale_for, reflector)
    return reflector.store


def look_up(shared: SharedInformer, key: Key, *, view: type[View] | None = None) -> Known:
    """What *shared* knows of *key*: its object, whole or as *view*, or that there is none.

    An object is what it is by whatever selector it was found. That there is none is known where the
    selectors leave no choice: none but of names and namespaces, which *key* satisfies.

    Raises as `store_of`; `PoisonObject` where *key* was set aside, or something that may be of this key; and
    `ConfigError` where a selector may hide it.
    """
    namespace, _ = split_key(key)
    store = store_of(shared, namespace, view=view)
    table = store.table
    if (poison := table.quarantined.get(key)) is not None:
        raise PoisonObject(f"the informer of {shared.name} has set {key} aside: {poison}")
    obj = table.objects.get(key)
    if obj is None:
        if not _selects(shared.options, key):
            raise ConfigError(f"{key} is not in the informer of {shared.name}, whose selector may hide it")
        if table.nameless:
            raise PoisonObject(
                f"{key} is not in the informer of {shared.name}, which has set something nameless aside"
            )
    return Known(obj, shared.name, store.version)


def _selects(options: InformerOptions, key: Key) -> bool:
    """Whether the selectors of *options* select whatever object has this key."""
    namespace, name = split_key(key)
    known = {"metadata.name": name, "metadata.namespace": namespace or ""}
    return not options.label_selector and all(
        one.field in known and (known[one.field] == one.value) is (one.operator is Operator.EQUALS)
        for one in FieldSelector.parse(options.field_selector).requirements
    )
