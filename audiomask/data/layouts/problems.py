"""Problems: one line for each reason why files of a source are left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

#: most names in a line
_NAMED = 3


def summarize(folder: Path, files: Sequence[Path], one: str, many: str) -> tuple[str, ...]:
    """One line about files, named by their paths below a folder; none for no files.

    ``summarize(folder, [a, b], "file is missing", "files are missing")`` is
    ``("2 files are missing: a, b",)``; of more than three, the first three are named.
    """
    if not files:
        return ()
    first = ", ".join(file.relative_to(folder).as_posix() for file in files[:_NAMED])
    what = one if len(files) == 1 else many
    return (f"{len(files):,} {what}{', e.g.' if len(files) > _NAMED else ':'} {first}",)
