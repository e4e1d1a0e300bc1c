"""From cached bytes to the models of `kubernetes_asyncio`, when somebody asks for one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final, TypeVar, cast, overload

from kubernetes_asyncio.client import models
from kubernetes_asyncio.client.api_client import ApiClient

from ...api.errors import ConfigError
from ...api.objects import KubeObject
from .type_meta import with_type

__all__ = ["to_model"]

M = TypeVar("M")

# Deserialising needs the class alone: no configuration, no session, no event loop.
_deserializer: Final = ApiClient.__new__(ApiClient)


@overload
def to_model(obj: KubeObject, model: type[M]) -> M: ...
@overload
def to_model(obj: KubeObject, model: str) -> Any: ...
def to_model(obj: KubeObject, model: Any) -> Any:
    """*obj* as a *model* of `kubernetes_asyncio`: `V1Pod`, or its name.

    Decoded anew each time (about a millisecond for a pod), so the result is the caller's to change and to
    write back. Raises `ConfigError` for a name that no model has, `ValueError` where the model's own
    validation refuses the object. Not for objects that an informer keeps in part (`View`, `strip`).
    """
    if isinstance(model, str) and not hasattr(models, model):
        raise ConfigError(
            f"kubernetes_asyncio has no model {model!r}: pass a class such as V1Pod, or its name"
        )
    return _deserializer.deserialize(cast(Any, SimpleNamespace(data=with_type(obj))), model)
