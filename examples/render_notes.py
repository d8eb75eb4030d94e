"""Render the single notes of a SoundFont into a note bank.

    python examples/render_notes.py notes/ --soundfont FluidR3_GM.sf2 --name fluid

writes ``notes/<stem>/<name>-<program>/<pitch>_v<velocity>.ogg`` (drums:
``<piece>_<key>_v<velocity>.ogg``), mono 44.1 kHz: the layout of a note bank, from which
``audiomask train --data notes/`` renders bands. ``audiomask train --data fonts/ --cache DIR`` does
the same itself, with the notes in its cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from audiomask.data.bands.fonts import render_font
from audiomask.errors import DataError


def main(
    out: Annotated[Path, typer.Argument(help="The note bank to write or add to.")],
    soundfont: Annotated[Path, typer.Option(help="An sf2 or sf3 file.")],
    name: Annotated[str, typer.Option(help="Name of the libraries; default: the file's.")] = "",
    jobs: Annotated[int, typer.Option(help="Programs rendered in parallel.")] = 2,
) -> None:
    """Render the single notes of a SoundFont into a note bank."""
    console = Console(stderr=True)
    try:
        programs = render_font(soundfont, out, name or soundfont.stem, jobs)
        written = list(track(programs, "rendering", console=console))
    except DataError as error:
        console.print(f"render_notes: error: {error}")
        raise typer.Exit(1) from error
    console.print(f"{sum(written)} notes of {len(written)} programs in {out}")


if __name__ == "__main__":
    typer.run(main)
