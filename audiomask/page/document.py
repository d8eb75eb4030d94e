"""The page itself: one HTML file that opens from disk, without a network."""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import IO

from audiomask.audio.atomic import AtomicFile, write_error
from audiomask.page.tracks import Player

#: joined into one script, in this order
_SCRIPTS = ("sound.js", "drawing.js", "player.js", "page.js")
#: bytes to encode at once; a multiple of 3, so that the pieces of base64 join
_CHUNK = 3 << 16


def write_page(
    path: Path,
    title: str,
    players: Sequence[Player],
    notes: Sequence[str] = (),
    sample_rate: int = 44100,
    overwrite: bool = False,
) -> None:
    """Write a page.

    Args:
        path: of the page.
        title: its title.
        players: in their order.
        notes: sentences below the title.
        sample_rate: of embedded audio.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputExistsError: the file exists and may not be replaced.
        AudioFileError: it cannot be written.
    """
    told = [player.described() for player in players]
    with AtomicFile(path, overwrite) as temporary:
        try:
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                before, after = _template("page.html").split("{{audio}}")
                # what the user named comes last, as it may hold anything
                before = before.replace("{{style}}", _template("page.css"))
                file.write(before.replace("{{title}}", html.escape(title)))
                number = 0
                for player, entry in zip(players, told, strict=True):
                    for track, about in zip(player.tracks, entry["tracks"], strict=True):
                        if track.encoded is not None:
                            about["audio"] = f"audio-{number}"
                            _embed(file, about["audio"], track.encoded)
                            number += 1
                page = {"title": title, "rate": sample_rate, "notes": list(notes), "players": told}
                # no name can end the script: '<' is escaped
                data = json.dumps(page).replace("<", "\\u003c")
                script = "\n".join(map(_template, _SCRIPTS))
                file.write(after.replace("{{script}}", script).replace("{{data}}", data))
        except OSError as error:
            raise write_error(path, error) from error


def _embed(file: IO[str], name: str, encoded: Path) -> None:
    """Write a file into the page in base64, piece by piece."""
    file.write(f'<script type="text/plain" id="{name}">')
    with encoded.open("rb") as audio:
        while piece := audio.read(_CHUNK):
            file.write(b64encode(piece).decode())
    file.write("</script>\n")


def _template(name: str) -> str:
    return (files("audiomask.page") / name).read_text(encoding="utf-8")
