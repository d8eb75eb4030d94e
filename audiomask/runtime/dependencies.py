"""Dependencies that are imported where they are needed, and errors that name what brings them."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from types import ModuleType
from typing import Any

from audiomask.errors import DependencyError

PACKAGE = "audiomask"
#: versions that are known to work together, for the one error that needs them
PAIR = "torch 2.14.1 with torchaudio 2.11.0"
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_OURS = re.compile(rf"{PACKAGE}\[([^\]]+)\]")


def optional(module: str, extra: str, purpose: str) -> Any:
    """A module that only an extra installs.

    Args:
        module: its dotted name.
        extra: the extra of ``pyproject.toml`` that brings it.
        purpose: what it is needed for, to begin the error with: ``"--tensorboard"``.

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
    """The command that installs what an extra brings, wherever audiomask itself came from."""
    return shlex.join(["pip", "install", *requirements_of(extra)])


def requirements_of(extra: str) -> list[str]:
    """The requirements of an extra, those of the extras it includes as well, without markers."""
    found: set[str] = set()
    try:
        declared = requires(PACKAGE) or []
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

    It is imported late because its compiled part fails to load beside a torch that it was not
    built for, and what does not need it should work all the same.

    Raises:
        DependencyError: it is missing, or does not load beside the torch that is installed.
    """
    try:
        return import_module("torchaudio.functional")
    except (ImportError, OSError, RuntimeError) as error:
        torch, torchaudio = (_version(name) for name in ("torch", "torchaudio"))
        raise DependencyError(
            f"torchaudio {torchaudio} cannot be loaded beside torch {torch}; known to work: {PAIR},"
            " both for the CPU or both for CUDA (from one package index):"
            " pip install torch==2.14.1 torchaudio==2.11.0"
        ) from error


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
