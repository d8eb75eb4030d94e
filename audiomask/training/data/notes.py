"""Note bank: single notes of many instruments in memory, ready to be placed in a band.

Layout on disk: ``<stem>/<library>/<midi>_v<velocity>.<ext>`` for pitched stems,
``drums/<library>/<piece>_<anything>.<ext>`` for percussion. One library folder is one
instrument (or kit). Notes are held as 16-bit integers: a bank of ten thousand fits in 3 GB.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from audiomask.errors import DataError

SAMPLE_RATE = 44100
SUFFIXES = {".ogg", ".wav", ".flac"}
PITCHED = re.compile(r"^(\d{1,3})_v(\d{1,3})$")
DRUM = re.compile(r"^([a-z]+)(?:_(\d{3})_v(\d{3}))?")

#: General MIDI percussion key -> piece, the first word of a drum sample's name
PIECES: dict[int, str] = {
    35: "kick", 36: "kick", 37: "rim", 38: "snare", 39: "clap", 40: "snare",
    41: "tom", 42: "hat", 43: "tom", 44: "hat", 45: "tom", 46: "openhat", 47: "tom", 48: "tom",
    49: "cymbal", 50: "tom", 51: "ride", 52: "cymbal", 53: "ride", 54: "tambourine",
    55: "cymbal", 56: "cowbell", 57: "cymbal", 59: "ride", 60: "bongo", 61: "bongo",
    62: "conga", 63: "conga", 64: "conga", 69: "cabasa", 70: "maracas", 75: "claves",
    76: "woodblock", 77: "woodblock", 80: "triangle", 81: "triangle",
}  # fmt: skip
#: where a kit lacks a piece, the ones that may stand in, in order of likeness
STAND_INS: dict[str, tuple[str, ...]] = {
    "kick": ("tom", "cajon"), "snare": ("clap", "rim", "cajon"),
    "hat": ("cymbal", "tabla", "cajon"), "openhat": ("cymbal", "hat"),
    "ride": ("cymbal", "hat"), "cymbal": ("ride", "openhat", "hat"),
    "tom": ("tabla", "cajon", "kick"), "rim": ("snare", "tabla"), "clap": ("snare", "cajon"),
    "tambourine": ("hat",), "cowbell": ("rim", "tabla"), "bongo": ("tabla", "tom", "cajon"),
    "conga": ("tabla", "tom", "cajon"), "cabasa": ("hat",), "maracas": ("hat",),
    "claves": ("rim", "tabla"), "woodblock": ("rim", "tabla"), "triangle": ("cymbal", "ride"),
}  # fmt: skip

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Sample:
    """One recorded note: pitch and velocity as MIDI numbers, samples at 44.1 kHz."""

    pitch: int
    velocity: int
    samples: Samples


@dataclass
class Instrument:
    """One library of one stem. ``notes`` are a pitched instrument's; ``pieces`` a drum kit's."""

    stem: str
    library: str
    notes: list[Sample] = field(default_factory=list)
    pieces: dict[str, list[Sample]] = field(default_factory=dict)

    def nearest(self, pitch: int, velocity: int) -> Sample:
        """The recorded note closest in pitch, then in velocity."""
        return min(self.notes, key=lambda s: (abs(s.pitch - pitch), abs(s.velocity - velocity)))

    def drum(self, key: int, velocity: int, choice: int) -> Sample | None:
        """The sample for a General MIDI percussion key; None when the kit has nothing like it.

        Kits rendered from a SoundFont know keys; of the others' pieces, ``choice`` picks one,
        the same for a key throughout a song.
        """
        piece = PIECES.get(key, "tom")
        for name in (piece, *STAND_INS.get(piece, ())):
            found = self.pieces.get(name)
            if found:
                exact = [s for s in found if s.pitch == key]
                if exact:
                    return min(exact, key=lambda s: abs(s.velocity - velocity))
                pitches = sorted({s.pitch for s in found})
                pitch = pitches[(choice + key) % len(pitches)]
                return min(
                    (s for s in found if s.pitch == pitch),
                    key=lambda s: abs(s.velocity - velocity),
                )
        return None


class NoteBank:
    """All instruments below a folder, by stem."""

    def __init__(self, folders: Sequence[Path], exclude: Sequence[str] = ()) -> None:
        """Read every library of the folders but those named in ``exclude`` (``stem/library``).

        Raises:
            DataError: no folder holds a library of notes.
        """
        self.instruments: dict[str, list[Instrument]] = {}
        libraries = [library for folder in folders for library in find_libraries(folder)]
        kept = [p for p in libraries if f"{p.parent.name}/{p.name}" not in exclude]
        with ThreadPoolExecutor() as pool:
            for instrument in pool.map(read_library, kept):
                if instrument.notes or instrument.pieces:
                    self.instruments.setdefault(instrument.stem, []).append(instrument)
        if not self.instruments:
            raise DataError(f"no notes in {', '.join(map(str, folders))}")

    @property
    def num_notes(self) -> int:
        """How many notes the bank holds."""
        return sum(
            len(i.notes) + sum(map(len, i.pieces.values()))
            for group in self.instruments.values()
            for i in group
        )


def find_libraries(folder: Path) -> list[Path]:
    """The ``<stem>/<library>`` folders of a note bank, sorted; empty when it is none."""
    return sorted(
        library
        for stem in folder.iterdir()
        if stem.is_dir()
        for library in stem.iterdir()
        if library.is_dir() and any(is_note(stem.name, f) for f in library.iterdir())
    )


def is_note(stem: str, file: Path) -> bool:
    """Whether a file is named as a note of a bank."""
    if file.suffix.lower() not in SUFFIXES:
        return False
    pattern = DRUM if stem == "drums" else PITCHED
    return pattern.match(file.stem) is not None


def read_library(folder: Path) -> Instrument:
    """Read one instrument; files that are not named as notes are left out."""
    instrument = Instrument(folder.parent.name, folder.name)
    for number, file in enumerate(sorted(folder.iterdir())):
        if not is_note(instrument.stem, file):
            continue
        if instrument.stem == "drums":
            match = DRUM.match(file.stem)
            assert match is not None  # is_note said so
            keyed = match[2] is not None
            # samples without a key get a number below the MIDI keys' range as their identity
            pitch, velocity = (int(match[2]), int(match[3])) if keyed else (-1 - number, 100)
            sample = Sample(pitch, velocity, read_note(file))
            instrument.pieces.setdefault(match[1], []).append(sample)
        else:
            match = PITCHED.match(file.stem)
            assert match is not None
            instrument.notes.append(Sample(int(match[1]), int(match[2]), read_note(file)))
    return instrument


def read_note(file: Path) -> Samples:
    """One note as mono 16-bit samples at 44.1 kHz, its onset at the first sample.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        audio, rate = sf.read(file, dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise DataError(f"{file}: not a readable note ({error})") from error
    mono = audio.mean(axis=1)
    if rate != SAMPLE_RATE:
        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(mono) > 0.01 * max(float(np.abs(mono).max(initial=0.0)), 1e-6))
    start = max(0, int(loud[0]) - 64) if len(loud) else 0
    return np.asarray(np.clip(np.round(mono[start:] * 32767), -32768, 32767), dtype=np.int16)
