"""Reports of the benchmarks: tables on stdout, notes on stderr."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from audiomask.evaluation.report import Report, Table


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; the first column is left-aligned, the others right."""
    Report({}, [Table(title, headings, rows)]).show()


def note(text: str) -> None:
    """Print a line on stderr."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)
