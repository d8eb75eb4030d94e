"""Reports of measurements: summaries, as tables for people or JSON for programs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from audiomask.runtime.console import stdout_console


@dataclass(frozen=True)
class Summary:
    """Mean, median and range of measurements.

    Attributes:
        number: of measurements.
        mean: of them.
        error: standard error of the mean; NaN for one measurement.
        median: of them.
        lower: the first quartile.
        upper: the third quartile.
        least: the minimum.
        most: the maximum.
    """

    number: int
    mean: float
    error: float
    median: float
    lower: float
    upper: float
    least: float
    most: float

    def cells(self) -> list[str]:
        """The median, the mean with its error, the quartiles, the least and the most."""
        error = "" if math.isnan(self.error) else f" ± {self.error:.2f}"
        return [
            f"{self.median:.2f}",
            f"{self.mean:.2f}{error}",
            f"{self.lower:.2f} … {self.upper:.2f}",
            f"{self.least:.2f}",
            f"{self.most:.2f}",
        ]


#: headings of Summary.cells
SPREAD = ("median", "mean ± s.e.", "quartiles", "least", "most")


def summarize(values: Sequence[float]) -> Summary:
    """The summary of at least one value, none of them NaN."""
    lower, median, upper = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Summary(
        len(values), statistics.fmean(values), error, median, lower, upper, min(values), max(values)
    )


@dataclass(frozen=True)
class Table:
    """A table of a report: a title, headings, and rows of text whose first column has names."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """The result of an evaluation.

    Attributes:
        data: everything, for programs.
        tables: the main results, for people.
        notes: lines of text after the tables.
    """

    data: dict[str, Any]
    tables: Sequence[Table]
    notes: Sequence[str] = field(default=())

    def show(self, console: Console | None = None) -> None:
        """Print the tables and the notes, on stdout by default."""
        console = console or stdout_console()
        for table in self.tables:
            # a narrow terminal may wrap it, but not cut it
            console.print(_as_rich(table), crop=False)
        for note in self.notes:
            console.print(Text(note), soft_wrap=True)


def _as_rich(table: Table) -> RichTable:
    """The table for rich: the first column left-aligned, the others right, no number cut short."""
    made = RichTable(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD)
    for index, heading in enumerate(table.headings):
        widest = max((len(row[index]) for row in table.rows), default=0)
        made.add_column(Text(heading), justify="right" if index else "left", min_width=widest)
    for row in table.rows:
        made.add_row(*map(Text, row))
    return made


def as_json(data: dict[str, Any]) -> str:
    """Measurements as JSON: summaries become objects, NaN and infinite numbers null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Summary):
            return plain(asdict(value))
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value

    return json.dumps(plain(data), indent=2, ensure_ascii=False)
