"""Parts of a page beside its players: tables, and pictures that lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads elsewhere.

    Attributes:
        text: shown.
        address: of a file, relative to the page.
    """

    text: str
    address: str


#: a cell of a table
_Cell: TypeAlias = str | Link


@dataclass(frozen=True)
class Table:
    """A table: its title, headings, and rows of cells, the first of which names the row.

    Attributes:
        title: above it.
        headings: of the columns.
        rows: a cell for each heading.
        folded: whether only the title is shown until it is asked for.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[_Cell]]
    folded: bool = False

    def described(self) -> dict[str, Any]:
        """What the page's script reads of it."""
        rows = [
            [[cell.text, cell.address] if isinstance(cell, Link) else cell for cell in row]
            for row in self.rows
        ]
        about = {"title": self.title, "headings": list(self.headings), "rows": rows}
        return {"kind": "table", "folded": self.folded} | about


@dataclass(frozen=True)
class Picture:
    """A picture in a file.

    Attributes:
        title: what it shows.
        address: of the file, relative to the page.
    """

    title: str
    address: str

    def described(self) -> dict[str, Any]:
        """What the page's script reads of it."""
        return {"kind": "picture", "title": self.title, "address": self.address}
