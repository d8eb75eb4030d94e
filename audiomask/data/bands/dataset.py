"""Band data set: an endless set of random songs, played with the notes of a note bank.

Every item is a new arrangement with other instruments, tunings, levels and effects. (seed, index)
alone decide it, so any number of workers gives the same data and a resumed run repeats none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from audiomask.data.bands.arrangement import Arrangement, Note, compose, read_midi
from audiomask.data.bands.notes import Instrument, NoteBank, Sample
from audiomask.data.bands.render_plan import RELEASE_SAMPLES, RenderPlan
from audiomask.data.effects import EffectParams, sample_effects
from audiomask.data.excerpt import sample_rms_db
from audiomask.data.layouts.splits import library_key
from audiomask.data.mastering import Master, sample_master

#: the stem of voices, and the stem whose melody a voice may sing
_VOCALS, _MELODY = "vocals", "other"
#: seconds of music before an excerpt, whose notes may ring into it
LEAD_IN = 4.0
#: largest formant shift, in semitones
MAX_TRANSPOSE = 4
#: probability that a stem is double-tracked; 0.1 for other stems
DOUBLE_TRACKING_PROB = {
    "guitar": 0.35,
    "vocals": 0.2,
    "bass": 0.0,
    "drums": 0.0,
    "piano": 0.05,
    "other": 0.25,
}
#: standard deviation of onsets between two takes, in seconds
TIMING_STD = 0.012
#: largest factor of the tempo; songs are arranged that much longer
MAX_SPEED = 1.1


class PlannedNote(NamedTuple):
    """One note of a plan; see ``RenderPlan`` for its fields."""

    start: int
    onset: int
    length: int
    held: int
    ratio: float
    gain: float


class Part(NamedTuple):
    """One stem's notes in a song.

    Attributes:
        stem: its name.
        notes: in the song's time.
        tuning: in semitones up.
        speed: factor of the tempo.
    """

    stem: str
    notes: Sequence[Note]
    tuning: float
    speed: float


class BandDataset(Dataset[RenderPlan]):
    """Plans of excerpts of random songs, at the bank's sample rate.

    Args:
        bank: the instruments.
        stems: the named stems; all others are summed in the last place.
        samples: length of an excerpt.
        seed: an excerpt is decided by (seed, index).
        songs: MIDI files, which half of the excerpts are from.
        formant_shift: shift the formants of half of the lines: resample the recordings of other
            pitches.
        channels: 1 or 2. In stereo, lines are panned, and some are double-tracked: two takes, left
            and right.
        incoherent: share of excerpts whose lines are from different songs, keys and tempi.
    """

    def __init__(
        self,
        bank: NoteBank,
        stems: Sequence[str],
        samples: int,
        seed: int = 0,
        songs: Sequence[Path] = (),
        formant_shift: bool = True,
        channels: int = 1,
        incoherent: float = 0.0,
    ) -> None:
        self.formant_shift, self.channels, self.incoherent = formant_shift, channels, incoherent
        self.bank = bank
        self.stems = tuple(stems)
        self.samples = samples
        self.seed = seed
        self.songs = list(songs)
        self.instruments_by_maker = {
            stem: _group_by_maker(group) for stem, group in bank.instruments.items()
        }

    def __len__(self) -> int:
        return 1 << 30  # endless: every index gives another song

    def __getitem__(self, index: int) -> RenderPlan:
        rng = np.random.default_rng([self.seed, index])
        reverb_time = float(rng.uniform(0.15, 1.2))  # of the room, which all lines share
        names, lines, levels = [], [], []
        pans: list[float | None] = []
        for part in self.parts(rng):
            level = rng.uniform(-9, 9) if rng.random() < 0.85 else rng.uniform(-24, 0)
            if part.stem not in self.stems:
                level -= 3
            amplitude = 0.1 * 10 ** (level / 20) * rng.choice((-1, 1))
            for notes, pan in self.takes(part, rng):
                if notes:
                    names.append(part.stem)
                    lines.append(notes)
                    levels.append(amplitude)
                    pans.append(pan)
        rate = self.bank.sample_rate
        effects = sample_effects(
            names, rng, reverb_time, rate, pans=pans if self.channels == 2 else None
        )
        return self.plan(names, lines, levels, effects, sample_master(rng), sample_rms_db(rng))

    def parts(self, rng: np.random.Generator) -> list[Part]:
        """The parts of an excerpt, from one song or, if it is incoherent, from two or three."""
        seconds = MAX_SPEED * (LEAD_IN + self.samples / self.bank.sample_rate)
        songs = 1 if rng.random() >= self.incoherent else int(rng.integers(2, 4))
        found: dict[str, list[Part]] = {}
        for _ in range(songs):
            tuning = float(rng.normal(0, 0.15))
            speed = float(rng.uniform(0.9, MAX_SPEED))
            for stem, notes in sorted(self.arrange(rng, seconds).items()):
                found.setdefault(stem, []).append(Part(stem, notes, tuning, speed))
        parts = []
        for stem in sorted(found):
            count = len(found[stem]) if songs > 1 and stem not in self.stems else 1
            first = int(rng.integers(len(found[stem])))
            parts += [found[stem][first - n] for n in range(count)]
        return parts

    def takes(
        self, part: Part, rng: np.random.Generator
    ) -> list[tuple[list[PlannedNote], float | None]]:
        """The takes of a part: one, or two if it is double-tracked.

        Returns:
            Each take's notes and pan, from -1 (left) to 1; None for a random one.
        """
        seed, doubled = (
            rng.integers(1 << 32),
            rng.random() < DOUBLE_TRACKING_PROB.get(part.stem, 0.1),
        )
        played = self.play(
            part.notes, part.stem, np.random.default_rng(seed), part.tuning, part.speed
        )
        if self.channels == 1 or not doubled:
            return [(played, None)]
        shifts = rng.normal(0, TIMING_STD, len(part.notes)).tolist()
        notes = [
            dataclasses.replace(note, onset=max(note.onset + shift, 0.0))
            for note, shift in zip(part.notes, shifts, strict=True)
        ]
        # most second takes are on the same instrument
        again = seed if rng.random() < 0.6 else rng.integers(1 << 32)
        tuning = part.tuning + float(rng.normal(0, 0.04))
        second = self.play(notes, part.stem, np.random.default_rng(again), tuning, part.speed)
        pan = float(rng.uniform(0.4, 1.0) * rng.choice((-1, 1)))
        return [(played, pan), (second, -pan)]

    def plan(
        self,
        names: Sequence[str],
        lines: Sequence[Sequence[PlannedNote]],
        levels: Sequence[float],
        effects: EffectParams,
        mastering: Master,
        rms_db: float,
    ) -> RenderPlan:
        """The plan of one excerpt.

        Args:
            names: the stem of each line.
            lines: their notes.
            levels: their root mean squares; negative ones invert the line.
            effects: on the lines.
            mastering: of the mixture.
            rms_db: root mean square of the mixture, in dB of full scale.
        """
        notes = np.array([note for line in lines for note in line], dtype=np.float64)
        start, onset, length, held, ratio, gain = torch.from_numpy(notes.reshape(-1, 6)).unbind(1)
        slots = [self.stems.index(n) if n in self.stems else len(self.stems) for n in names]
        return RenderPlan(
            start=start.long(),
            line=torch.arange(len(lines)).repeat_interleave(
                torch.tensor([len(line) for line in lines], dtype=torch.int64)
            ),
            onset=onset.long(),
            length=length.long(),
            held=held.long(),
            ratio=ratio.clone(),
            gain=gain.float(),
            item=torch.zeros(len(lines), dtype=torch.int64),
            slot=torch.tensor(slots, dtype=torch.int64),
            level=torch.tensor(levels, dtype=torch.float32),
            effects=effects,
            master=torch.tensor([mastering], dtype=torch.float32),
            rms_db=torch.tensor([rms_db], dtype=torch.float32),
        )

    def arrange(self, rng: np.random.Generator, seconds: float) -> Arrangement:
        """A random song, or a passage of a MIDI file.

        If the bank has voices, half of the melodies are sung.
        """
        found = self._arrange(rng, seconds)
        sung = _VOCALS in self.bank.instruments and _MELODY in found and rng.random() < 0.5
        if sung:
            found[_VOCALS] = found[_MELODY]
            if rng.random() < 0.5:  # otherwise an instrument doubles the voice
                del found[_MELODY]
        return found

    def _arrange(self, rng: np.random.Generator, seconds: float) -> Arrangement:
        if self.songs and rng.random() < 0.5:
            song = self.songs[rng.integers(len(self.songs))]
            start = float(rng.uniform(0, 180))
            found = read_midi(song, rng, start, seconds)
            if sum(map(len, found.values())) > 8:
                return found
        return compose(rng, seconds)

    def play(
        self,
        notes: Sequence[Note],
        stem: str,
        rng: np.random.Generator,
        tuning: float,
        speed: float,
    ) -> list[PlannedNote]:
        """The notes of a stem in the excerpt, on a random instrument.

        Notes of the first ``LEAD_IN`` seconds are in it only as far as they ring into it. There are
        none if the bank lacks the stem.
        """
        makers = self.instruments_by_maker.get(stem)
        if not makers or not notes:
            return []
        # a SoundFont's eight guitars together are as likely as one recorded guitar
        group = makers[rng.integers(len(makers))]
        instrument = group[rng.integers(len(group))]
        choice = int(rng.integers(1 << 16))
        transpose = 0
        if self.formant_shift and rng.random() < 0.5:
            transpose = int(rng.integers(-MAX_TRANSPOSE, MAX_TRANSPOSE + 1))
        # notes end with the key's release, unless the player lets them ring
        ring = rng.random() < 0.15 or stem == "drums"
        samples: dict[tuple[int, int], tuple[Sample, float] | None] = {}
        planned = []
        for note in notes:
            onset = round((note.onset / speed - LEAD_IN) * self.bank.sample_rate)
            if onset >= self.samples:
                continue
            key = (note.pitch, note.velocity // 16)
            if key not in samples:
                samples[key] = choose_sample(instrument, note, tuning, choice, transpose)
            chosen = samples[key]
            if chosen is None:
                continue
            sample, ratio = chosen
            length = held = playable_samples(sample, ratio)
            pressed = round(note.duration / speed * self.bank.sample_rate)
            if not ring and pressed + RELEASE_SAMPLES < length:
                length, held = pressed + RELEASE_SAMPLES, pressed
            length = min(length, self.samples - onset)
            if onset + length > 0:
                gain = (note.velocity / 127) ** 1.5
                planned.append(PlannedNote(sample.start, onset, length, held, ratio, gain))
        return planned


def _group_by_maker(instruments: Sequence[Instrument]) -> list[list[Instrument]]:
    """Instruments by their maker: those of one SoundFont are one group."""
    found: dict[str, list[Instrument]] = {}
    for instrument in instruments:
        key = library_key(Path(instrument.stem, instrument.library))
        found.setdefault(key, []).append(instrument)
    return list(found.values())


def choose_sample(
    instrument: Instrument, note: Note, tuning: float, choice: int, transpose: int = 0
) -> tuple[Sample, float] | None:
    """The sample that plays a note, and its resampling ratio.

    Args:
        instrument: to choose from.
        note: to play.
        tuning: in semitones up.
        choice: random number that decides between a drum's samples.
        transpose: semitones from the note's pitch to the sample's; ignored for drums.

    Returns:
        The sample and recorded samples per played one; None if the nearest sample is more than an
        octave away, or a kit lacks the drum.
    """
    if instrument.stem == "drums":
        drum = instrument.drum(note.pitch, note.velocity, choice)
        return None if drum is None else (drum, 1.0)
    sample = instrument.nearest(note.pitch + transpose, note.velocity)
    ratio = 2 ** ((note.pitch - sample.pitch + tuning) / 12)
    return (sample, float(ratio)) if 0.5 <= ratio <= 2.0 else None


def playable_samples(sample: Sample, ratio: float) -> int:
    """How many samples a recorded note has after resampling by ``ratio``."""
    if ratio == 1:
        return len(sample.samples)
    return max(int((len(sample.samples) - 1) / ratio) - 1, 0)
