"""The page itself: one HTML file that opens from disk, without a network."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Protocol

from audiomask.audio.atomic import AtomicFile, write_error
from audiomask.page.tracks import Player

#: joined into one script, in this order
_SCRIPTS = ("sound.js", "drawing.js", "player.js", "tables.js", "page.js")
#: bytes to encode at once; a multiple of 3, so that the pieces of base64 join
_CHUNK = 3 << 16
#: what a page tells about itself, near its beginning
_ABOUT = re.compile('<meta name="audiomask" content="([^"]*)">')
_HEAD = 1 << 20


class Part(Protocol):
    """A part of a page: a player, a table, a picture."""

    def described(self) -> dict[str, Any]:
        """What the page's script reads of it."""


def write_page(
    path: Path,
    title: str,
    parts: Sequence[Part],
    notes: Sequence[str] = (),
    sample_rate: int = 44100,
    overwrite: bool = False,
    about: Mapping[str, str] | None = None,
) -> None:
    """Write a page.

    Args:
        path: of the page.
        title: its title.
        parts: in their order.
        notes: sentences below the title.
        sample_rate: of embedded audio.
        overwrite: whether an existing file may be replaced.
        about: what :func:`read_about` finds in it.

    Raises:
        OutputExistsError: the file exists and may not be replaced.
        AudioFileError: it cannot be written.
    """
    told = [part.described() for part in parts]
    with AtomicFile(path, overwrite) as temporary:
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                before, after = _template("page.html").split("{{audio}}")
                head = {
                    "style": _template("page.css"),
                    "title": html.escape(title),
                    "about": html.escape(json.dumps(dict(about or {}))),
                }
                file.write(_filled(before, head))
                number = 0
                for part, entry in zip(parts, told, strict=True):
                    tracks = part.tracks if isinstance(part, Player) else ()
                    for track, described in zip(tracks, entry.get("tracks", ()), strict=True):
                        if track.encoded is not None:
                            described["audio"] = f"audio-{number}"
                            _embed(file, described["audio"], track.encoded)
                            number += 1
                page = {"title": title, "rate": sample_rate, "notes": list(notes), "parts": told}
                # no name can end the script: '<' is escaped
                data = json.dumps(page).replace("<", "\\u003c")
                script = "\n".join(map(_template, _SCRIPTS))
                file.write(_filled(after, {"script": script, "data": data}))
        except OSError as error:
            raise write_error(path, error) from error


def read_about(path: Path) -> dict[str, str] | None:
    """What :func:`write_page` was told about a page; None for any other file, and for none."""
    try:
        with path.open(encoding="utf-8") as file:
            found = _ABOUT.search(file.read(_HEAD))
    except (OSError, UnicodeDecodeError):
        return None
    return None if found is None else json.loads(html.unescape(found[1]))


def _filled(template: str, values: Mapping[str, str]) -> str:
    """A template with its fields replaced, all at once, as what a user named may hold anything."""
    return re.sub(r"\{\{(\w+)\}\}", lambda field: values[field[1]], template)


def _embed(file: IO[str], name: str, encoded: Path) -> None:
    """Write a file into the page in base64, piece by piece."""
    file.write(f'<script type="text/plain" id="{name}">')
    with encoded.open("rb") as audio:
        while piece := audio.read(_CHUNK):
            file.write(b64encode(piece).decode())
    file.write("</script>\n")


def _template(name: str) -> str:
    return (files("audiomask.page") / name).read_text(encoding="utf-8")
