"""Type hints of settings: conversion of text and TOML values to them, and their names in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    Path: "a folder",
}
_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def hints_of(owner: type) -> dict[str, Any]:
    """The type hint of every field of a dataclass."""
    found = get_type_hints(owner)
    return {name: found[name] for name in owner.__dataclass_fields__}  # type: ignore[attr-defined]


def fit(value: Any, hint: Any) -> Any:
    """A value from TOML, converted to the hint's type: a list to a tuple, an int to a float.

    Raises ValueError, without a message, where it does not fit.
    """
    return _first(_fit, value, hint)


def convert(text: str, hint: Any) -> Any:
    """A setting's value of its text; raises ValueError where it does not fit the hint."""
    return _first(_convert, text, hint)


def wanted(hint: Any) -> str:
    """The values that a hint allows, in words."""
    names: list[str] = []
    for kind in _alternatives(hint):
        if get_origin(kind) is Literal:
            names += get_args(kind)
        elif isinstance(kind, type) and issubclass(kind, StrEnum):
            names += list(kind)
        elif get_origin(kind) is tuple:
            # named by the first alternative only: a list of folders may hold addresses as well
            element = _alternatives(get_args(kind)[0])[0]
            names.append(f"a list of {wanted(element).removeprefix('a ')}s")
        else:
            names.append(_NAMES[kind])
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union without None, or the hint itself."""
    union = get_origin(hint) in (Union, UnionType)
    return tuple(kind for kind in get_args(hint) if kind is not NoneType) if union else (hint,)


def _first(change: Callable[[Any, Any], Any], value: Any, hint: Any) -> Any:
    for kind in _alternatives(hint):
        try:
            return change(value, kind)
        except ValueError:
            continue
    raise ValueError


def _fit(value: Any, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        if isinstance(value, str) and value in get_args(kind):
            return value
    elif isinstance(kind, type) and issubclass(kind, StrEnum):
        if isinstance(value, str):
            return kind(value)
    elif get_origin(kind) is tuple:
        if isinstance(value, list):
            return tuple(fit(item, get_args(kind)[0]) for item in value)
    elif kind is Path:
        if isinstance(value, str) and value.strip():
            return Path(value)
    elif kind is float:
        # no bool, which is an int in Python; an int may be too large for a float
        with suppress(OverflowError):
            if type(value) in (int, float) and math.isfinite(value):
                return float(value)
    elif type(value) is kind:
        return value
    raise ValueError


def _convert(text: str, kind: Any) -> Any:
    if get_origin(kind) is tuple:
        return tuple(convert(item.strip(), get_args(kind)[0]) for item in text.split(","))
    if kind is bool:
        if text.lower() not in _TRUTH:
            raise ValueError
        return _TRUTH[text.lower()]
    return fit(kind(text) if kind in (int, float) else text, kind)
