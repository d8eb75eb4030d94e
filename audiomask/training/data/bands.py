"""Bands: an endless set of songs, played with the single notes of a note bank.

Every item is a new arrangement on new instruments with its own tunings, levels, rooms, equalisers
and drive. An item is decided by (seed, index) alone, so that any number of workers gives the same
data and a resumed run repeats none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from audiomask.training.data.arrangement import Arrangement, Note, compose, read_midi
from audiomask.training.data.effects import colour
from audiomask.training.data.excerpt import Excerpt, mix
from audiomask.training.data.notes import SAMPLE_RATE, Instrument, NoteBank

Audio = npt.NDArray[np.float32]

#: seconds of music before an excerpt whose notes may still ring in it
LEAD_IN = 4.0
#: the most that songs are sped up; more is arranged than is heard, that none ends early
FASTEST = 1.1
#: seconds a pitched note takes to die once its key is up
RELEASE = 0.12


class BandDataset(Dataset[Excerpt]):
    """Excerpts of composed songs: mixture and stems, 44.1 kHz mono.

    Args:
        bank: the instruments.
        stems: the stems to tell apart; what else plays is mixed into a last, unnamed one.
        samples: length of an excerpt.
        seed: with the index, decides everything.
        songs: MIDI files; half of the items are taken from these when given.
    """

    def __init__(
        self,
        bank: NoteBank,
        stems: Sequence[str],
        samples: int,
        seed: int = 0,
        songs: Sequence[Path] = (),
    ) -> None:
        self.bank = bank
        self.stems = tuple(stems)
        self.samples = samples
        self.seed = seed
        self.songs = list(songs)

    def __len__(self) -> int:
        return 1 << 30  # endless: every index is another song

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index])
        seconds = self.samples / SAMPLE_RATE
        arrangement = self.arrange(rng, FASTEST * (LEAD_IN + seconds))
        rooms = float(rng.uniform(0.15, 1.2))  # one reverberation time for the whole band
        tuning = float(rng.normal(0, 0.15))  # semitones, of the whole band
        speed = float(rng.uniform(0.9, FASTEST))
        stems = torch.zeros(len(self.stems) + 1, self.samples)
        for name in sorted(arrangement):
            slot = self.stems.index(name) if name in self.stems else len(self.stems)
            audio = self.play(arrangement[name], name, rng, tuning, speed)
            if audio is None:
                continue
            loud = float(np.sqrt(np.mean(audio**2)))
            if loud < 1e-5:
                continue
            level = rng.uniform(-9, 9) if rng.random() < 0.9 else rng.uniform(-20, 0)
            if slot == len(self.stems):
                level -= 3
            coloured = colour(torch.from_numpy(audio), name, rng, rooms)
            gain = 0.1 * 10 ** (level / 20) / float(coloured.square().mean().sqrt() + 1e-6)
            stems[slot] += gain * coloured
        return mix(stems, rng)

    def arrange(self, rng: np.random.Generator, seconds: float) -> Arrangement:
        """A composed passage, or one of a MIDI song."""
        if self.songs and rng.random() < 0.5:
            song = self.songs[rng.integers(len(self.songs))]
            start = float(rng.uniform(0, 180))
            found = read_midi(song, rng, start, seconds)
            if sum(map(len, found.values())) > 8:
                return found
        return compose(rng, seconds)

    def play(
        self,
        notes: list[Note],
        stem: str,
        rng: np.random.Generator,
        tuning: float,
        speed: float,
    ) -> Audio | None:
        """Place a stem's notes with one of its instruments; None when the bank has none.

        The first ``LEAD_IN`` seconds only ring into the result, [samples].
        """
        group = self.bank.instruments.get(stem)
        if not group or not notes:
            return None
        instrument = group[rng.integers(len(group))]
        choice = int(rng.integers(1 << 16))
        # recorded decays are cut by the key's release, unless the player lets all notes ring
        ring = rng.random() < 0.15
        made: dict[tuple[int, int], Audio | None] = {}
        longest = LEAD_IN + self.samples / SAMPLE_RATE
        if not ring:
            longest = max(note.duration for note in notes) / speed + RELEASE
        limit = round(longest * SAMPLE_RATE) + 1
        out = np.zeros(self.samples, dtype=np.float32)
        for note in notes:
            onset = round((note.onset / speed - LEAD_IN) * SAMPLE_RATE)
            if onset >= self.samples or onset < -round(LEAD_IN * SAMPLE_RATE):
                continue
            key = (note.pitch, note.velocity // 16)
            if key not in made:
                made[key] = sound(instrument, note, tuning, choice, limit)
            tone = made[key]
            if tone is None:
                continue
            if stem != "drums" and not ring:
                tone = release(tone, round(note.duration / speed * SAMPLE_RATE))
            first, last = max(onset, 0), min(onset + len(tone), self.samples)
            if last > first:
                out[first:last] += (note.velocity / 127) ** 1.5 * tone[first - onset : last - onset]
        return out


def sound(
    instrument: Instrument, note: Note, tuning: float, choice: int, limit: int
) -> Audio | None:
    """The instrument's sample for a note at its pitch; pitched ones ``limit`` long at most."""
    if instrument.stem == "drums":
        drum = instrument.drum(note.pitch, note.velocity, choice)
        return None if drum is None else drum.samples.astype(np.float32) / np.float32(32768)
    sample = instrument.nearest(note.pitch, note.velocity)
    ratio = 2 ** ((note.pitch - sample.pitch + tuning) / 12)
    if not 0.5 <= ratio <= 2.0:
        return None
    return stretch(sample.samples[: int(limit * ratio) + 2], ratio)


def stretch(samples: npt.NDArray[np.int16], ratio: float) -> Audio:
    """Read samples ``ratio`` times as fast, interpolating linearly; scaled to [-1, 1]."""
    number = max(int((len(samples) - 1) / ratio) - 1, 0)
    source = samples.astype(np.float32)
    source *= 1 / 32768
    if ratio == 1:
        return source[:number]
    position = np.arange(number) * ratio
    index = position.astype(np.int32)
    out = source[index]
    out += (position - index).astype(np.float32) * (source[index + 1] - out)
    return out


def release(tone: Audio, held: int) -> Audio:
    """Let a tone die ``RELEASE`` seconds after its key is up."""
    fade = round(RELEASE * SAMPLE_RATE)
    if held + fade >= len(tone):
        return tone
    out = tone[: held + fade].copy()
    out[held:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    return out
