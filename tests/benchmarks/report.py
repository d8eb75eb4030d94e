"""Reports: what a list of numbers amounts to, as tables for people or JSON for programs."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Summary:
    """Average and spread of measurements; ``error`` is the standard error of the mean."""

    number: int
    mean: float
    error: float
    median: float
    lower: float
    upper: float
    least: float
    most: float

    def cells(self) -> list[str]:
        """Mean with its error, median, quartiles, least and most."""
        return [
            f"{self.mean:.2f} ± {self.error:.2f}",
            f"{self.median:.2f}",
            f"{self.lower:.2f} … {self.upper:.2f}",
            f"{self.least:.2f}",
            f"{self.most:.2f}",
        ]


#: headings of Summary.cells
SPREAD = ("mean ± s.e.", "median", "quartiles", "least", "most")


def summarise(values: Sequence[float]) -> Summary:
    """Average and spread of at least one value."""
    lower, median, upper = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Summary(
        len(values), statistics.fmean(values), error, median, lower, upper, min(values), max(values)
    )


def as_json(report: dict[str, Any]) -> str:
    """A report as JSON: Summaries become objects, numbers that are not finite become null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Summary):
            return plain(asdict(value))
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value

    return json.dumps(plain(report), indent=2)


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; the first column is left-aligned, the others right."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # a pipe has no width: never cut a number short there
    console = Console()
    Console(width=None if console.is_terminal else 160, highlight=False).print(table)


def note(text: str) -> None:
    """Print a line about what was measured on stderr, apart from the figures."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(text, markup=False)
