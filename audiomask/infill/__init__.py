"""Infill of gaps: where they are, what fills them, and how it is joined to the sound beside them.

As the function of the same name is what users look for, the package may be called:
``audiomask.infill("song.wav", [(1.5, 2.0)])`` is :func:`audiomask.api.infill`.
"""

import sys as _sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """This package; a call is one of the public function, which is in a room above."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return import_module("audiomask.api").infill(*arguments, **settings)


_sys.modules[__name__].__class__ = _CallablePackage
