"""Render the single notes of a SoundFont into a note bank, the cheapest training data there is.

    python examples/render_notes.py notes/ --soundfont FluidR3_GM.sf2 --name fluid

writes ``notes/<stem>/<name>-<program>/<pitch>_v<velocity>.ogg`` (drums:
``<piece>_<key>_v<velocity>.ogg``), mono 44.1 kHz: the layout that
``audiomask train --data notes/`` turns into endless bands. Each program is one call of the
fluidsynth command, since loading a font costs more than playing it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import mido
import numpy as np
import soundfile as sf
import typer
from rich.console import Console
from rich.progress import track

from audiomask.errors import DataError
from audiomask.training.data.notes import PIECES
from audiomask.training.data.soundfont import (
    play_midi,
    programs_for,
    read_soundfont,
    require_fluidsynth,
)

SAMPLE_RATE = 44100
SPACING = 3.2  # seconds from one note to the next
HOLD = 2.3  # seconds a key is down; the rest of the spacing is the release
VELOCITIES = (55, 110)
#: stem -> the pitches to render
PITCHES = {
    "guitar": range(38, 90, 3),
    "piano": range(22, 106, 4),
    "bass": range(26, 64, 3),
    # what else plays in songs: the loader uses it as a stem nobody asks for
    "other": range(40, 90, 5),
}


def play(notes: list[tuple[int, int]], program: int, channel: int, soundfont: Path) -> np.ndarray:
    """Play (pitch, velocity) pairs one after the other; mono float32 [samples].

    Raises:
        DataError: fluidsynth fails.
    """
    midi = mido.MidiFile(ticks_per_beat=1000)
    events = mido.MidiTrack()
    midi.tracks.append(events)
    events.append(mido.MetaMessage("set_tempo", tempo=1_000_000))  # one tick is a millisecond
    events.append(mido.Message("program_change", program=program, channel=channel))
    for pitch, velocity in notes:
        events.append(mido.Message("note_on", note=pitch, velocity=velocity, channel=channel))
        events.append(
            mido.Message("note_off", note=pitch, channel=channel, time=round(HOLD * 1000))
        )
        events.append(mido.MetaMessage("text", text="rest", time=round((SPACING - HOLD) * 1000)))
    quiet = ["-R", "0", "-C", "0", "-g", "0.5"]  # no reverb, no chorus; loud notes do not clip
    return play_midi(midi, soundfont, SAMPLE_RATE, quiet).mean(axis=1)


def trim(note: np.ndarray) -> np.ndarray | None:
    """Cut the silent end off a note; None for one that makes no sound."""
    loud = np.flatnonzero(np.abs(note) > 3e-4)
    if len(loud) < 200:
        return None
    note = note[: loud[-1] + 1].copy()
    fade = min(len(note), 400)
    note[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return note


def render_program(stem: str, program: int, soundfont: Path, folder: Path) -> int:
    """Render one program (or drum kit) into its folder; the number of notes written."""
    drums = stem == "drums"
    pitches = sorted(PIECES) if drums else PITCHES[stem]
    notes = [(pitch, velocity) for pitch in pitches for velocity in VELOCITIES]
    audio = play(notes, program, 9 if drums else 0, soundfont)
    written = 0
    folder.mkdir(parents=True, exist_ok=True)
    for index, (pitch, velocity) in enumerate(notes):
        start = round(index * SPACING * SAMPLE_RATE)
        note = trim(audio[start : start + round(SPACING * SAMPLE_RATE)])
        if note is None:
            continue
        name = f"{PIECES[pitch]}_{pitch:03d}" if drums else f"{pitch:03d}"
        sf.write(folder / f"{name}_v{velocity:03d}.ogg", note, SAMPLE_RATE)
        written += 1
    return written


def main(
    out: Annotated[Path, typer.Argument(help="The note bank to write or add to.")],
    soundfont: Annotated[Path, typer.Option(help="An sf2 or sf3 file.")],
    name: Annotated[str, typer.Option(help="What to call it; default: the file's name.")] = "",
    jobs: Annotated[int, typer.Option(help="Programs rendered side by side.")] = 2,
) -> None:
    """Render the single notes of a SoundFont into a note bank."""
    console = Console(stderr=True)
    try:
        require_fluidsynth()
        font = read_soundfont(soundfont)
    except DataError as error:
        console.print(f"render_notes: error: {error}")
        raise typer.Exit(1) from error
    name = name or soundfont.stem
    work = [
        (stem, program)
        for stem in (*PITCHES, "drums")
        for program, _, _ in programs_for(stem, font)
    ]
    with ThreadPoolExecutor(jobs) as pool:
        written = [
            pool.submit(render_program, s, p, soundfont, out / s / f"{name}-{p:03d}")
            for s, p in work
        ]
        total = sum(f.result() for f in track(written, "rendering", console=console))
    console.print(f"{total} notes of {len(work)} programs in {out}")


if __name__ == "__main__":
    typer.run(main)
