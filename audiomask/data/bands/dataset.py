"""Bands: an endless set of songs, played with the single notes of a note bank.

Every item is a new arrangement on new instruments with its own tunings, levels, rooms, equalisers
and drive. An item is decided by (seed, index) alone, so that any number of workers gives the same
data and a resumed run repeats none.
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
from audiomask.data.bands.render_plan import FADE, RenderPlan
from audiomask.data.effects import EffectParams, sample_effects
from audiomask.data.excerpt import sample_rms_db
from audiomask.data.layouts.splits import library_key
from audiomask.data.mastering import Master, sample_master

#: the stem of voices, and the one whose line a voice may sing
_VOCALS, _MELODY = "vocals", "other"
#: seconds of music before an excerpt whose notes may still ring in it
LEAD_IN = 4.0
#: semitones from a note to the recording that it may be read from
MAX_TRANSPOSE = 4
#: chances that a stem's line is played twice; 0.1 for the others
DOUBLED = {"guitar": 0.35, "vocals": 0.2, "bass": 0.0, "drums": 0.0, "piano": 0.05, "other": 0.25}
#: how far the onsets of a second take are from those of the first, in seconds
LOOSE_SECONDS = 0.012
#: the most that songs are sped up; more is arranged than is heard, that none ends early
MAX_SPEED = 1.1


class PlannedNote(NamedTuple):
    """One note of a plan: see ``RenderPlan`` for what its numbers mean."""

    start: int
    onset: int
    length: int
    held: int
    ratio: float
    gain: float


class Part(NamedTuple):
    """What one player of an excerpt plays.

    Attributes:
        stem: what it is played on.
        notes: of the song.
        tuning: semitones that all notes are higher.
        speed: how much faster they are played.
    """

    stem: str
    notes: Sequence[Note]
    tuning: float
    speed: float


class BandDataset(Dataset[RenderPlan]):
    """Plans of excerpts of composed songs, at the bank's sample rate.

    Args:
        bank: the instruments.
        stems: the stems to tell apart; what else plays is mixed into a last, unnamed one.
        samples: length of an excerpt.
        seed: with the index, decides everything.
        songs: MIDI files; half of the items are taken from these when given.
        varied: play half of the lines on larger or smaller instruments than were recorded, by
            reading notes from their neighbours' recordings.
        channels: of the excerpts. On two, every line has its place, and some are doubled: played
            twice, one take on the left and one on the right.
        incoherent: share of excerpts whose lines are of different songs, keys and tempi.
    """

    def __init__(
        self,
        bank: NoteBank,
        stems: Sequence[str],
        samples: int,
        seed: int = 0,
        songs: Sequence[Path] = (),
        varied: bool = True,
        channels: int = 1,
        incoherent: float = 0.0,
    ) -> None:
        self.varied, self.channels, self.incoherent = varied, channels, incoherent
        self.bank = bank
        self.stems = tuple(stems)
        self.samples = samples
        self.seed = seed
        self.songs = list(songs)
        self.families = {stem: _group_by_maker(group) for stem, group in bank.instruments.items()}

    def __len__(self) -> int:
        return 1 << 30  # endless: every index is another song

    def __getitem__(self, index: int) -> RenderPlan:
        rng = np.random.default_rng([self.seed, index])
        reverberation = float(rng.uniform(0.15, 1.2))  # one room for the whole band
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
        places = pans if self.channels == 2 else None
        rate = self.bank.sample_rate
        effects = sample_effects(names, rng, reverberation, rate, pans=places)
        return self.plan(names, lines, levels, effects, sample_master(rng), sample_rms_db(rng))

    def parts(self, rng: np.random.Generator) -> list[Part]:
        """What is played in an excerpt: the parts of one song or, at times, of several."""
        seconds = MAX_SPEED * (LEAD_IN + self.samples / self.bank.sample_rate)
        songs = 1 if rng.random() >= self.incoherent else int(rng.integers(2, 4))
        found: dict[str, list[Part]] = {}
        for _ in range(songs):
            tuning = float(rng.normal(0, 0.15))  # semitones, of the whole band
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
        """A part as it is played: once, or doubled on the left and the right.

        Returns:
            Each take's notes, and its place from -1 to 1; None where it is still to be drawn.
        """
        seed, doubled = rng.integers(1 << 32), rng.random() < DOUBLED.get(part.stem, 0.1)
        played = self.play(
            part.notes, part.stem, np.random.default_rng(seed), part.tuning, part.speed
        )
        if self.channels == 1 or not doubled:
            return [(played, None)]
        shifts = rng.normal(0, LOOSE_SECONDS, len(part.notes)).tolist()
        notes = [
            dataclasses.replace(note, onset=max(note.onset + shift, 0.0))
            for note, shift in zip(part.notes, shifts, strict=True)
        ]
        # most second takes are played on the same instrument
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
        """The plan of one excerpt, from what each of its lines plays."""
        notes = np.array([note for line in lines for note in line], dtype=np.float64)
        start, onset, length, held, ratio, gain = torch.from_numpy(notes.reshape(-1, 6)).unbind(1)
        places = [self.stems.index(n) if n in self.stems else len(self.stems) for n in names]
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
            slot=torch.tensor(places, dtype=torch.int64),
            level=torch.tensor(levels, dtype=torch.float32),
            effects=effects,
            master=torch.tensor([mastering], dtype=torch.float32),
            rms_db=torch.tensor([rms_db], dtype=torch.float32),
        )

    def arrange(self, rng: np.random.Generator, seconds: float) -> Arrangement:
        """A composed passage, or one of a MIDI song.

        Where the bank has voices, one of them sings every other melody.
        """
        found = self._arrange(rng, seconds)
        sung = _VOCALS in self.bank.instruments and _MELODY in found and rng.random() < 0.5
        if sung:
            found[_VOCALS] = found[_MELODY]
            if rng.random() < 0.5:  # otherwise an instrument plays along
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
        """What is heard of a stem's notes on one of its instruments; nothing if the bank has none.

        The first ``LEAD_IN`` seconds only ring into the excerpt.
        """
        makers = self.families.get(stem)
        if not makers or not notes:
            return []
        # a SoundFont's eight guitars together come as often as one that somebody recorded
        group = makers[rng.integers(len(makers))]
        instrument = group[rng.integers(len(group))]
        choice = int(rng.integers(1 << 16))
        transpose = 0
        if self.varied and rng.random() < 0.5:
            transpose = int(rng.integers(-MAX_TRANSPOSE, MAX_TRANSPOSE + 1))
        # recorded decays are cut by the key's release, unless the player lets all notes ring
        ring = rng.random() < 0.15 or stem == "drums"
        found: dict[tuple[int, int], tuple[Sample, float] | None] = {}
        placed = []
        for note in notes:
            onset = round((note.onset / speed - LEAD_IN) * self.bank.sample_rate)
            if onset >= self.samples:
                continue
            key = (note.pitch, note.velocity // 16)
            if key not in found:
                found[key] = choose_sample(instrument, note, tuning, choice, transpose)
            chosen = found[key]
            if chosen is None:
                continue
            sample, ratio = chosen
            length = held = playable_samples(sample, ratio)
            pressed = round(note.duration / speed * self.bank.sample_rate)
            if not ring and pressed + FADE < length:
                length, held = pressed + FADE, pressed
            length = min(length, self.samples - onset)
            if onset + length > 0:
                gain = (note.velocity / 127) ** 1.5
                placed.append(PlannedNote(sample.start, onset, length, held, ratio, gain))
        return placed


def _group_by_maker(instruments: Sequence[Instrument]) -> list[list[Instrument]]:
    """Instruments by who made them: those of one SoundFont together, every other by itself."""
    found: dict[str, list[Instrument]] = {}
    for instrument in instruments:
        key = library_key(Path(instrument.stem, instrument.library))
        found.setdefault(key, []).append(instrument)
    return list(found.values())


def choose_sample(
    instrument: Instrument, note: Note, tuning: float, choice: int, transpose: int = 0
) -> tuple[Sample, float] | None:
    """The instrument's sample for a note, and how fast to read it; None when it has none near.

    Args:
        instrument: where to look.
        note: what is to sound.
        tuning: semitones that all notes are higher.
        choice: decides between a drum's samples.
        transpose: semitones from the note to where its sample is looked for; drums stay.
    """
    if instrument.stem == "drums":
        drum = instrument.drum(note.pitch, note.velocity, choice)
        return None if drum is None else (drum, 1.0)
    sample = instrument.nearest(note.pitch + transpose, note.velocity)
    ratio = 2 ** ((note.pitch - sample.pitch + tuning) / 12)
    return (sample, float(ratio)) if 0.5 <= ratio <= 2.0 else None


def playable_samples(sample: Sample, ratio: float) -> int:
    """How many samples a note has when read ``ratio`` times as fast."""
    if ratio == 1:
        return len(sample.samples)
    return max(int((len(sample.samples) - 1) / ratio) - 1, 0)
