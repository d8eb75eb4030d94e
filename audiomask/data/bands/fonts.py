"""SoundFonts as note banks: single notes of every program, rendered once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mido
import numpy as np
import numpy.typing as npt
import soundfile as sf

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.bands.notes import PIECES, find_libraries
from audiomask.data.bands.soundfont import (
    play_midi,
    programs_for,
    read_soundfont,
    require_fluidsynth,
)
from audiomask.errors import DataError, why

#: seconds from one note to the next, and from a key's press to its release
SPACING, _HOLD = 3.2, 2.3
VELOCITIES = (55, 110)
#: stem -> the pitches to render
PITCHES = {
    "guitar": range(38, 90, 3),
    "piano": range(22, 106, 4),
    "bass": range(26, 64, 3),
    "other": range(40, 90, 5),
}

_Audio = npt.NDArray[np.float32]


def render_fonts(fonts: Sequence[Path], cache: Path | None) -> list[Path]:
    """The libraries of SoundFonts, rendered into a cache on first use.

    Args:
        fonts: sf2 or sf3 files.
        cache: folder for the notes.

    Raises:
        DataError: there is no cache or it cannot be written, a file is no SoundFont, or fluidsynth
            is missing or fails.
    """
    if cache is None:
        raise DataError(
            f"{fonts[0]}: a SoundFont's notes are rendered once and stored; add --cache DIR"
        )
    libraries = []
    for font in fonts:
        try:
            status = font.stat()
            key = hashlib.sha256(repr((status.st_size, status.st_mtime_ns)).encode()).hexdigest()
            folder = cache / "fonts" / f"{font.stem}-{key[:8]}"
            if not folder.is_dir():
                folder.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".font-") as making:
                    for _ in render_font(font, Path(making, "notes"), font.stem):
                        pass
                    if not folder.is_dir():
                        os.replace(Path(making, "notes"), folder)
        except OSError as error:
            raise DataError(f"{font}: cannot be stored in {cache} ({why(error)})") from error
        libraries += find_libraries(folder)
    return libraries


def render_font(soundfont: Path, out: Path, name: str, jobs: int | None = None) -> Iterator[int]:
    """Render a SoundFont into ``out/<stem>/<name>-<program>/``.

    All notes of a program are rendered by one fluidsynth command, as loading a font takes longer
    than playing it.

    Args:
        soundfont: an sf2 or sf3 file.
        out: the note bank to write or add to.
        name: of the libraries, before the program's number.
        jobs: programs rendered in parallel; default: the number of cores.

    Yields:
        The number of notes of each program.

    Raises:
        DataError: the file is no SoundFont, or fluidsynth is missing or fails.
    """
    require_fluidsynth()
    font = read_soundfont(soundfont)
    work = [
        (stem, program)
        for stem in (*PITCHES, "drums")
        for program, _, _ in programs_for(stem, font)
    ]
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        rendered = [
            pool.submit(
                render_program, stem, program, soundfont, out / stem / f"{name}-{program:03d}"
            )
            for stem, program in work
        ]
        for future in rendered:
            yield future.result()


def render_program(stem: str, program: int, soundfont: Path, folder: Path) -> int:
    """Render one program or drum kit into its folder and return the number of notes.

    Raises:
        DataError: fluidsynth fails.
    """
    drums = stem == "drums"
    pitches = sorted(PIECES) if drums else PITCHES[stem]
    notes = [(pitch, velocity) for pitch in pitches for velocity in VELOCITIES]
    audio = _play(notes, program, 9 if drums else 0, soundfont)
    written = 0
    folder.mkdir(parents=True, exist_ok=True)
    for index, (pitch, velocity) in enumerate(notes):
        start = round(index * SPACING * DEFAULT_SAMPLE_RATE)
        note = _trim(audio[start : start + round(SPACING * DEFAULT_SAMPLE_RATE)])
        if note is None:
            continue
        name = f"{PIECES[pitch]}_{pitch:03d}" if drums else f"{pitch:03d}"
        sf.write(folder / f"{name}_v{velocity:03d}.ogg", note, DEFAULT_SAMPLE_RATE)
        written += 1
    return written


def _play(notes: Sequence[tuple[int, int]], program: int, channel: int, soundfont: Path) -> _Audio:
    """Render notes, (pitch, velocity) each, one after the other: mono [T].

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
            mido.Message("note_off", note=pitch, channel=channel, time=round(_HOLD * 1000))
        )
        events.append(mido.MetaMessage("text", text="rest", time=round((SPACING - _HOLD) * 1000)))
    quiet = ["-R", "0", "-C", "0", "-g", "0.5"]  # no reverb, no chorus; loud notes do not clip
    return np.asarray(play_midi(midi, soundfont, DEFAULT_SAMPLE_RATE, quiet).mean(axis=1))


def _trim(note: _Audio) -> _Audio | None:
    """A note [T] without its silent end; None for a silent note."""
    loud = np.flatnonzero(np.abs(note) > 3e-4)
    if len(loud) < 200:
        return None
    note = note[: loud[-1] + 1].copy()
    fade = min(len(note), 400)
    note[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return note
