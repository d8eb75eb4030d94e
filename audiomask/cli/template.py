"""Names of separated stems: ``--template`` filled in for a track and a stem."""

from pathlib import Path
from string import Formatter

from audiomask.errors import UsageError

_FIELDS = ("track", "stem", "ext")
DEFAULT_TEMPLATE = "{track}/{stem}.{ext}"
#: of a song without some stems: ``Song (no guitar).mp3``
MINUS_TEMPLATE = "{track} ({stem}).{ext}"


def fill_template(template: str, track: str, stem: str, ext: str) -> Path:
    """The path below the output folder that ``template`` gives; it cannot leave that folder.

    Raises UsageError for an unknown field, a format specification, and for a path that is
    absolute, empty, or climbs with '..'.
    """
    values = {"track": track, "stem": stem, "ext": ext}
    text = ""
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"--template '{template}': {error}") from error
    for literal, field, specification, conversion in pieces:
        text += literal
        if field is None:
            continue
        if field not in values or specification or conversion:
            known = ", ".join(f"{{{name}}}" for name in _FIELDS)
            raise UsageError(f"--template '{template}': the fields are {known}, and no other")
        text += values[field]
    path = Path(text)
    if "\0" in text or not path.name or text.endswith("/"):
        raise UsageError(f"--template '{template}' does not name a file")
    home = path.parts[0] == "~"  # which no shell has replaced
    if path.is_absolute() or path.drive or home or ".." in path.parts:
        raise UsageError(f"--template '{template}' leads out of the output folder with '{text}'")
    return path
