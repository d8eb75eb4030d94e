"""Once: a property that is computed when it is first needed, by one of many threads."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self, TypeVar, overload

T = TypeVar("T")


class Once(cached_property[T]):
    """A cached property that threads may ask for at the same time: the later ones wait.

    Its object has a reentrant ``lock``, which all its properties share: one may need another.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Self | T:
        """Its value, from then on a plain attribute of the object."""
        if instance is None:
            return self
        with instance.lock:
            value: T = super().__get__(instance, owner)
            return value
