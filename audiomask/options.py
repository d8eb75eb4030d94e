"""Options declared once, as annotated fields of a dataclass.

``data: Annotated[tuple[Path, ...], Option("Data", "--data", "Folder of data.", "DIR")]`` declares
an option: the command line gets a parameter from it, and a run file reads and writes it by the
field's name and type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Option:
    """A field's name, help and parsing on the command line and in run files.

    Attributes:
        panel: heading in the help.
        names: on the command line, separated by spaces.
        help: one line.
        metavar: placeholder of its value in the help.
        least: the smallest number allowed.
        parse: converts the text given, or each text of a list; None to convert by the field's type.
        required: must be given; only of fields without a default.
        recorded: written into a run's own run file, as it decides what the run computes.
        free: may change when a run is resumed: it only decides how long the run is, what it logs,
            or how the machine computes the same numbers.
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
