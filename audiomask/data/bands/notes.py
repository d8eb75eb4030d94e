"""Note bank: single notes of many instruments, in memory.

Files are ``<stem>/<library>/<midi pitch>_v<velocity>.<ext>`` for pitched stems, and
``drums/<library>/<piece>_<anything>.<ext>`` for drums. A library is one instrument or drum kit. All
notes are in one array of 16-bit integers, which can be memory-mapped or copied to a GPU; ten
thousand take 2 GB.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.stem_names import stem_name
from audiomask.errors import DataError, why

_SUFFIXES = {".ogg", ".wav", ".flac"}
_PITCHED = re.compile(r"^(\d{1,3})_v(\d{1,3})$")
_DRUM = re.compile(r"^([a-z]+)(?:_(\d{3})_v(\d{3}))?")

#: pieces of a drum kit, the first words of drum samples' names, by General MIDI percussion key
PIECES: dict[int, str] = {
    35: "kick", 36: "kick", 37: "rim", 38: "snare", 39: "clap", 40: "snare",
    41: "tom", 42: "hat", 43: "tom", 44: "hat", 45: "tom", 46: "openhat", 47: "tom", 48: "tom",
    49: "cymbal", 50: "tom", 51: "ride", 52: "cymbal", 53: "ride", 54: "tambourine",
    55: "cymbal", 56: "cowbell", 57: "cymbal", 59: "ride", 60: "bongo", 61: "bongo",
    62: "conga", 63: "conga", 64: "conga", 69: "cabasa", 70: "maracas", 75: "claves",
    76: "woodblock", 77: "woodblock", 80: "triangle", 81: "triangle",
}  # fmt: skip
#: similar pieces, which replace one that a kit lacks; the most similar first
SUBSTITUTES: dict[str, tuple[str, ...]] = {
    "kick": ("tom", "cajon"), "snare": ("clap", "rim", "cajon"),
    "hat": ("cymbal", "tabla", "cajon"), "openhat": ("cymbal", "hat"),
    "ride": ("cymbal", "hat"), "cymbal": ("ride", "openhat", "hat"),
    "tom": ("tabla", "cajon", "kick"), "rim": ("snare", "tabla"), "clap": ("snare", "cajon"),
    "tambourine": ("hat",), "cowbell": ("rim", "tabla"), "bongo": ("tabla", "tom", "cajon"),
    "conga": ("tabla", "tom", "cajon"), "cabasa": ("hat",), "maracas": ("hat",),
    "claves": ("rim", "tabla"), "woodblock": ("rim", "tabla"), "triangle": ("cymbal", "ride"),
}  # fmt: skip

_Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Sample:
    """One recorded note.

    Attributes:
        pitch, velocity: as MIDI numbers.
        samples: int16 [T], at the bank's rate.
        start: index of the first sample in the bank's.
    """

    pitch: int
    velocity: int
    samples: _Samples
    start: int = 0


@dataclass
class Instrument:
    """One library of one stem.

    Attributes:
        stem, library: their names.
        notes: of a pitched instrument.
        pieces: samples by piece, of a drum kit.
    """

    stem: str
    library: str
    notes: list[Sample] = field(default_factory=list)
    pieces: dict[str, list[Sample]] = field(default_factory=dict)

    def nearest(self, pitch: int, velocity: int) -> Sample:
        """The note nearest in pitch, then in velocity."""
        return min(self.notes, key=lambda s: (abs(s.pitch - pitch), abs(s.velocity - velocity)))

    def drum(self, key: int, velocity: int, choice: int) -> Sample | None:
        """The sample for a General MIDI percussion key; None if the kit has none similar.

        Args:
            key: General MIDI percussion key.
            velocity: the sample of the nearest one is chosen.
            choice: decides between several samples of a piece, in kits without keys.
        """
        piece = PIECES.get(key, "tom")
        for name in (piece, *SUBSTITUTES.get(piece, ())):
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
    """Instruments by stem.

    Attributes:
        instruments: by stem, in the order of the libraries.
        samples: of all notes, int16 [total].
        sample_rate: of the samples, in Hz.
    """

    def __init__(
        self,
        libraries: Sequence[Path],
        cache: Path | None = None,
        sample_rate: int = DEFAULT_SAMPLE_RATE,
    ) -> None:
        """Read the notes of ``<stem>/<library>`` folders.

        Args:
            libraries: as ``find_libraries`` returns them.
            cache: folder for decoded notes, which are memory-mapped the next time, unless a file
                has changed.
            sample_rate: to resample to, in Hz.

        Raises:
            DataError: there are no notes, one cannot be read, or the cache cannot be written.
        """
        self.sample_rate = sample_rate
        name = f"notes-{_fingerprint(libraries)}"
        if sample_rate != DEFAULT_SAMPLE_RATE:
            name += f"-{sample_rate}"
        kept = None if cache is None else cache / name
        if kept is None or not kept.is_dir():
            with ThreadPoolExecutor() as pool:
                decoded = list(pool.map(partial(read_library, sample_rate=sample_rate), libraries))
            if not any(map(any, map(all_samples, decoded))):
                raise DataError(f"no notes in {', '.join(map(str, libraries)) or 'no folder'}")
            if kept is None:
                notes = [sample.samples for one in decoded for sample in all_samples(one)]
                self.samples: _Samples = np.concatenate(notes)
                self._fill(_index_of(decoded))
                return
            _write_cache(decoded, kept)
        self.samples = np.load(kept / "samples.npy", mmap_mode="c")
        self._fill(json.loads((kept / "index.json").read_text(encoding="utf-8")))

    def _fill(self, index: Sequence[_Entry]) -> None:
        self.instruments: dict[str, list[Instrument]] = {}
        start, last = 0, (-1, "")
        for number, stem, library, piece, pitch, velocity, length in index:
            group = self.instruments.setdefault(stem_name(stem), [])
            if last != (number, stem):
                group.append(Instrument(stem, library))
                last = (number, stem)
            sample = Sample(pitch, velocity, self.samples[start : start + length], start)
            if piece:
                group[-1].pieces.setdefault(piece, []).append(sample)
            else:
                group[-1].notes.append(sample)
            start += length

    @property
    def num_notes(self) -> int:
        """The number of notes in the bank."""
        return sum(
            1 for group in self.instruments.values() for one in group for _ in all_samples(one)
        )


def all_samples(instrument: Instrument) -> Iterator[Sample]:
    """The samples of an instrument, in the order in which the bank stores them."""
    yield from instrument.notes
    for group in instrument.pieces.values():
        yield from group


#: a note: number of the library, stem, library, piece of a kit, pitch, velocity, samples
_Entry = tuple[int, str, str, str, int, int, int]


def _index_of(instruments: Sequence[Instrument]) -> list[_Entry]:
    """The entries of all notes, in the order of their samples."""
    return [
        (number, one.stem, one.library, piece, sample.pitch, sample.velocity, len(sample.samples))
        for number, one in enumerate(instruments)
        for piece, group in [("", one.notes), *one.pieces.items()]
        for sample in group
    ]


def _fingerprint(libraries: Sequence[Path]) -> str:
    """Hash of the names, sizes and modification times of libraries' notes."""
    known = hashlib.sha256()
    for library in libraries:
        for file in sorted(library.iterdir()):
            if is_note(library.parent.name, file):
                status = file.stat()
                entry = (library.parent.name, library.name, file.name)
                known.update(repr((*entry, status.st_size, status.st_mtime_ns)).encode())
    return known.hexdigest()[:16]


def _write_cache(instruments: Sequence[Instrument], folder: Path) -> None:
    """Write decoded notes into a new folder, atomically.

    Raises:
        DataError: it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".notes-") as making:
            notes = [sample.samples for one in instruments for sample in all_samples(one)]
            _save(np.concatenate(notes), Path(making, "samples.npy"))
            text = json.dumps(_index_of(instruments))
            Path(making, "index.json").write_text(text, encoding="utf-8")
            ready = Path(making, "ready")
            ready.mkdir()
            for name in ("samples.npy", "index.json"):
                os.replace(Path(making, name), ready / name)
            # another run may have written it meanwhile
            if not folder.is_dir():
                os.replace(ready, folder)
    except OSError as error:
        raise DataError(f"{folder.parent}: cannot store notes there ({why(error)})") from error


def _save(samples: npt.NDArray[np.int16], path: Path) -> None:
    """``np.save`` with errors that have an errno, also for a full disk."""
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(samples)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(samples.data)


def find_libraries(folder: Path) -> list[Path]:
    """The ``<stem>/<library>`` folders of a note bank, sorted; empty if it is none."""
    return sorted(
        library
        for stem in folder.iterdir()
        if stem.is_dir()
        for library in stem.iterdir()
        if library.is_dir() and any(is_note(stem.name, f) for f in library.iterdir())
    )


def is_note(stem: str, file: Path) -> bool:
    """Whether a file has a note's name."""
    if file.suffix.lower() not in _SUFFIXES:
        return False
    pattern = _DRUM if stem == "drums" else _PITCHED
    return pattern.match(file.stem) is not None


def read_library(folder: Path, sample_rate: int = DEFAULT_SAMPLE_RATE) -> Instrument:
    """Read one instrument; files without a note's name are ignored."""
    instrument = Instrument(folder.parent.name, folder.name)
    for number, file in enumerate(sorted(folder.iterdir())):
        if not is_note(instrument.stem, file):
            continue
        if instrument.stem == "drums":
            match = _DRUM.match(file.stem)
            assert match is not None
            keyed = match[2] is not None
            # samples without a key get distinct negative ones
            pitch, velocity = (int(match[2]), int(match[3])) if keyed else (-1 - number, 100)
            sample = Sample(pitch, velocity, read_note(file, sample_rate))
            instrument.pieces.setdefault(match[1], []).append(sample)
        else:
            match = _PITCHED.match(file.stem)
            assert match is not None
            note = read_note(file, sample_rate)
            instrument.notes.append(Sample(int(match[1]), int(match[2]), note))
    return instrument


def read_note(file: Path, sample_rate: int = DEFAULT_SAMPLE_RATE) -> _Samples:
    """One note as mono 16-bit samples [T], from its onset on.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        audio, rate = sf.read(file, dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise DataError(f"{file}: not a readable note ({error})") from error
    mono = audio.mean(axis=1)
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate)
    loud = np.flatnonzero(np.abs(mono) > 0.01 * max(float(np.abs(mono).max(initial=0.0)), 1e-6))
    start = max(0, int(loud[0]) - 64) if len(loud) else 0
    return np.asarray(np.clip(np.round(mono[start:] * 32767), -32768, 32767), dtype=np.int16)
