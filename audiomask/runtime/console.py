"""Console: tables and progress bars on a terminal, or on what stands in for one.

rich is imported when something is shown: it would take a third of the time that ``--help`` may.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

T = TypeVar("T")

#: columns of a table on standard output where that is no terminal and has no width of its own
_STDOUT_WIDTH = 160
#: the same on standard error, whose tables have a row a line however long it is
_STDERR_WIDTH = 1 << 16


def printable(text: str) -> str:
    """The text on one line, with control characters and bytes that are no text spelt out.

    A file's name may hold a line break, or what would steer the terminal it is shown on.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def stdout_console() -> Console:
    """A console on standard output as it is now."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_STDOUT_WIDTH)


def stderr_console(quiet: bool = False) -> Console:
    """A console on standard error as it is whenever it prints; ``quiet`` prints nothing."""
    from rich.console import Console

    return Console(stderr=True, quiet=quiet)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text in aligned columns on standard error."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for heading in headings:
        table.add_column(Text(printable(heading)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(stderr=True, width=None if sys.stderr.isatty() else _STDERR_WIDTH)
    with console.capture() as captured:
        console.print(table)
    # in one write of our own: rich ends the process where a pipe is closed
    sys.stderr.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def progress_bars(*counts: ProgressColumn, shown: bool = True, transient: bool = False) -> Progress:
    """Bars on standard error, each with its description, its counts and the time left.

    Args:
        counts: what stands behind a bar; "3/8" when empty.
        shown: whether there are any.
        transient: whether they disappear at the end.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(counts or (MofNCompleteColumn(),)),
        TimeRemainingColumn(),
        console=stderr_console(),
        transient=transient,
        disable=not shown,
    )


def track(items: Iterable[T], description: str, shown: bool) -> Iterator[T]:
    """Items, with a progress bar while they are worked on, if standard error is a terminal."""
    bars = progress_bars(shown=shown and sys.stderr.isatty(), transient=True)
    with bars:
        yield from bars.track(items, description=description)
