"""Packages that are imported when they are needed, with errors that say how to install them."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from types import ModuleType
from typing import Any

from audiomask.errors import DependencyError

_PACKAGE = "audiomask"
#: versions that are known to work together, named by an error
_PAIR = "torch 2.14.1 with torchaudio 2.11.0"
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_OURS = re.compile(rf"{_PACKAGE}\[([^\]]+)\]")


def optional(module: str, extra: str, purpose: str) -> Any:
    """A module that only an extra installs.

    Args:
        module: its dotted name.
        extra: the extra of ``pyproject.toml`` that installs it.
        purpose: what it is needed for, as the error's first words: ``"--tensorboard"``.

    Raises:
        DependencyError: it cannot be imported. The message holds the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise DependencyError(
            f"{purpose} needs {missing}, which is not installed: {install_command(extra)}"
        ) from error


def install_command(extra: str) -> str:
    """The command that installs an extra's packages, however audiomask itself was installed."""
    return shlex.join(["pip", "install", *requirements_of(extra)])


def requirements_of(extra: str) -> list[str]:
    """The requirements of an extra and of the extras it includes, without markers."""
    found: set[str] = set()
    try:
        declared = requires(_PACKAGE) or []
    except PackageNotFoundError:  # run from a source tree
        return [f".[{extra}]"]
    for line in declared:
        requirement, _, marker = line.partition(";")
        match = _EXTRA.search(marker)
        if match is None or match[1] != extra:
            continue
        if included := _OURS.match(requirement):
            for name in included[1].split(","):
                found.update(requirements_of(name.strip()))
        else:
            found.add(requirement.strip())
    return sorted(found)


def torchaudio_functional() -> ModuleType:
    """``torchaudio.functional``.

    It is imported late: its compiled part fails to load with a torch that it was not built for, and
    whatever does not need it should still work.

    Raises:
        DependencyError: it is missing, or does not load with the torch that is installed.
    """
    try:
        return import_module("torchaudio.functional")
    except (ImportError, OSError, RuntimeError) as error:
        torch, torchaudio = (_version(name) for name in ("torch", "torchaudio"))
        raise DependencyError(
            f"torchaudio {torchaudio} cannot be loaded beside torch {torch}; "
            f"known to work: {_PAIR}, both for the CPU or both for CUDA (from one package index):"
            " pip install torch==2.14.1 torchaudio==2.11.0"
        ) from error


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
