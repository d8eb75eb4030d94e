"""Problems: what had to be left out of a source, in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

#: how many names a line gives
NAMED = 3


def summarize(names: Sequence[str], one: str, many: str) -> tuple[str, ...]:
    """One line about several things, or none about no thing.

    ``tell(["a", "b"], "file is missing", "files are missing")`` is
    ``("2 files are missing: a, b",)``; of more than three, the first three are named.
    """
    if not names:
        return ()
    first = ", ".join(names[:NAMED])
    what = one if len(names) == 1 else many
    return (f"{len(names):,} {what}{', e.g.' if len(names) > NAMED else ':'} {first}",)


def relative_names(folder: Path, files: Sequence[Path]) -> list[str]:
    """The files' paths below a folder, as names to tell."""
    return [file.relative_to(folder).as_posix() for file in files]
