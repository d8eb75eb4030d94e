"""Options declared once: a field of a dataclass says how it stands on the command line.

``data: Annotated[tuple[Path, ...], Option("Data", "--data", "Folder of data.", "DIR")]`` is all
there is to an option: the command line makes its parameter of it, a run file reads and writes it by
the field's name and type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Option:
    """How a field stands on the command line and in run files.

    Attributes:
        panel: heading in the help.
        names: on the command line, with spaces between them.
        help: one line.
        metavar: what stands for its value in the help.
        least: the least that a number may be.
        parse: makes the value of the text given, or of each text of a list; None where the field's
            type says enough.
        required: must be given; only of fields without a default.
        recorded: says what a run is, so that the run file that a run leaves has it.
        free: may be another when a run goes on: it says how far to go, how to tell of it, or how a
            machine does the same sums.
    """

    panel: str
    names: str
    help: str
    metavar: str | None = None
    least: float | None = None
    parse: Callable[[str], Any] | None = None
    required: bool = True
    recorded: bool = False
    free: bool = False


@cache
def options_of(owner: type) -> dict[str, Option]:
    """The options that the fields of a dataclass declare, by field."""
    hints = get_type_hints(owner, include_extras=True)
    return {
        name: note
        for name in owner.__dataclass_fields__  # type: ignore[attr-defined]
        if get_origin(hints[name]) is Annotated
        for note in get_args(hints[name])[1:]
        if isinstance(note, Option)
    }
