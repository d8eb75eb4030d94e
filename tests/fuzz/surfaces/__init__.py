"""Surfaces: every way that bytes of strangers come in, each as a function of bytes.

A module here has ``attempt(data, folder)``, which raises AudiomaskError for what is refused and
anything else for a defect only, ``seeds()``, inputs that are accepted, and ``WORDS``, pieces that
its inputs are made of.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

#: the modules of this folder
NAMES = ("tokens", "checkpoints", "gaps", "audio", "runfiles")


class Surface(Protocol):
    """What a module here has."""

    #: pieces of its inputs
    WORDS: tuple[bytes, ...]
    #: runs an input; all it touches is in a folder
    attempt: Callable[[bytes, Path], None]
    #: inputs that are accepted
    seeds: Callable[[], list[bytes]]


def open_surface(name: str) -> Surface:
    """The surface of that name."""
    return cast(Surface, import_module(f"surfaces.{name}"))
