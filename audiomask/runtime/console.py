"""Tables and progress bars on a terminal, or in a file or pipe in its place.

rich is imported only when something is shown, as importing it would make ``--help`` slow.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

_T = TypeVar("_T")

#: characters a line on standard output where that is no terminal
_STDOUT_WIDTH = 160
#: characters a line of tables on standard error where that is no terminal: lines are not wrapped
_STDERR_WIDTH = 1 << 16


def printable(text: str) -> str:
    """The text on one line, with control characters and undecodable bytes escaped.

    A file's name may hold a line break, or control codes for the terminal.
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
    """A console on standard error as it is when something is printed; prints nothing if quiet."""
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
    # in one write, and not by rich, which ends the process where a pipe is closed
    sys.stderr.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def is_live() -> bool:
    """Whether standard error is a terminal that redraws lines, as progress bars do.

    A log or a pipe is none, nor a terminal that says it is dumb, nor the cell of a notebook: to a
    command (``!audiomask``) it looks like a terminal, but it keeps all that was redrawn.
    """
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    in_notebook = "JPY_PARENT_PID" in os.environ
    return sys.stderr is not None and sys.stderr.isatty() and not dumb and not in_notebook


def progress_bars(*counts: ProgressColumn, shown: bool = True, transient: bool = False) -> Progress:
    """Progress bars on standard error, each with its description, its counts and the time left.

    There are none where nothing can be redrawn (:func:`is_live`).

    Args:
        counts: columns after a bar; "3/8" when empty.
        shown: whether to show them.
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
        disable=not (shown and is_live()),
    )


def track(items: Iterable[_T], description: str, shown: bool) -> Iterator[_T]:
    """Yield items, with a progress bar meanwhile where one can be shown."""
    with progress_bars(shown=shown, transient=True) as bars:
        yield from bars.track(items, description=description)
