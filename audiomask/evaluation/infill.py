"""Infill: how near to what was there a filling is, by the gap's length.

Gaps are cut into recordings at places that the seed, the song's name and the length alone decide,
where there is sound. Each is filled by itself, by the model and beside it by

- repeat: the sound just before the gap, cross-faded;
- autoregressive: Janssen's interpolation, the classical method for clicks;
- silence: nothing.

Measured are the signal-to-noise ratio in the gap, in dB (silence has 0), and the mel distance of
the frames in it, their windows reaching into the sound on its sides. A filling that sounds right
and has other phases scores low in the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.audio.spectra import mel_distance
from audiomask.engine import Engine
from audiomask.evaluation.baselines import autoregressive, repeat, silence
from audiomask.evaluation.evaluator import Evaluator
from audiomask.evaluation.metrics import SILENCE, level, snr
from audiomask.evaluation.options import GAP_LENGTHS, EvaluateOptions, given
from audiomask.evaluation.report import SPREAD, Report, Table, summarize
from audiomask.evaluation.songs import Song
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import FADE
from audiomask.infill.settings import InfillSettings
from audiomask.infill.splice import Patch

#: seconds of sound that a gap has on its sides, beside what ``repeat`` copies
MARGIN = 0.1
#: samples a side that are compared with the gap: more than a mel window reaches
REACH = 4096
#: places tried for a gap with sound in it
TRIES = 100
OURS, SILENT = "audiomask", "silence"
MEASURES = {
    "snr": "SNR in the gap, dB (higher is better)",
    "mel_distance": "Mel distance in the gap (lower is better)",
}

Method = Callable[[Tensor, Gap, int], Patch]


@dataclass(frozen=True)
class Settings:
    """How gaps are cut and filled.

    Attributes:
        lengths: of the gaps, in milliseconds.
        number: gaps of each length in every song.
        seed: decides where they are.
        filling: how they are filled.
    """

    lengths: Sequence[float] = GAP_LENGTHS
    number: int = 2
    seed: int = 0
    filling: InfillSettings = field(default_factory=InfillSettings)


class InfillEvaluator(Evaluator):
    """Measures an engine's fillings.

    Args:
        engine: the models.
        settings: how.
    """

    options = ("gap_length", "gaps_per_file", "method", "steps", "temperature", "candidates")

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings
        self.methods: dict[str, Method] = {
            OURS: self.ours,
            "repeat": lambda audio, gap, rate: repeat(audio, gap, round(FADE * rate)),
            "autoregressive": autoregressive,
            SILENT: lambda audio, gap, rate: silence(audio, gap),
        }
        self.rows: list[dict[str, Any]] = []
        _ = engine.mlm  # a checkpoint without one is refused before any song is read

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for."""
        filling = given(
            method=options.method,
            steps=options.steps,
            temperature=options.temperature,
            candidates=options.candidates,
        )
        lengths = tuple(dict.fromkeys(options.gap_length)) or GAP_LENGTHS
        number = given(number=options.gaps_per_file)
        filled = InfillSettings(seed=options.seed, **filling)
        return cls(engine, Settings(sorted(lengths), seed=options.seed, filling=filled, **number))

    def ours(self, audio: Tensor, gap: Gap, sample_rate: int) -> Patch:
        """A gap of audio [C, T] filled by the model."""
        source = MemorySource(audio, sample_rate)
        (patch,) = self.engine.infill(source, [gap], self.settings.filling)
        return patch

    def add(self, song: Song) -> str | None:
        """Cut gaps into a song and fill them."""
        rows = []
        for length in self.settings.lengths:
            for gap in places(song, length, self.settings.number, self.settings.seed):
                for method, values in self.compare(song, gap).items():
                    start = gap.start / song.sample_rate
                    about = {"song": song.name, "ms": length, "start": start, "method": method}
                    rows.append(about | values)
        if not rows:
            return "silent, or too short for any gap"
        self.rows += rows
        return None

    def compare(self, song: Song, gap: Gap) -> dict[str, dict[str, float]]:
        """What every method scores in one gap."""
        holed = song.mixture.clone()
        holed[:, gap.start : gap.stop] = 0
        found = {}
        for method, fill in self.methods.items():
            filled = patched(holed, fill(holed, gap, song.sample_rate))
            found[method] = scores(filled, song.mixture, gap, song.sample_rate)
        return found

    def finish(self) -> Report:
        """Tables by length and method."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for length in self.settings.lengths:
            for method in self.methods:
                rows = [r for r in self.rows if (r["ms"], r["method"]) == (length, method)]
                if rows:
                    entry = {key: summarize([row[key] for row in rows]) for key in MEASURES}
                    found.setdefault(f"{length:g}", {})[method] = entry
        tables = []
        for key, title in MEASURES.items():
            lines = [
                [f"{length} ms, {method}", str(entry[key].number), *entry[key].cells()]
                for length, entries in found.items()
                for method, entry in entries.items()
            ]
            tables.append(Table(title, ("", "gaps", *SPREAD), lines))
        lacking = [f"{length:g}" for length in self.settings.lengths if f"{length:g}" not in found]
        notes = [f"no song takes gaps of {', '.join(lacking)} ms"] if lacking else []
        settings = self.settings
        data = {
            **asdict(settings.filling),
            "gaps_per_file": settings.number,
            "gaps": found,
            "rows": self.rows,
        }
        return Report(data, tables, notes)


def places(song: Song, milliseconds: float, number: int, seed: int) -> list[Gap]:
    """Where gaps of a length are cut into a song: where there is sound, with sound to copy before.

    The same song, length and seed give the same places, whatever else is measured. There are
    fewer than asked for, or none, in a song that is short or mostly silent.
    """
    rate, total = song.sample_rate, song.mixture.shape[-1]
    length, margin = max(round(milliseconds * rate / 1000), 1), round(MARGIN * rate)
    first, last = length + margin, total - margin - length
    if first > last:
        return []
    key = hashlib.sha256(f"{seed}/{milliseconds:g}/{song.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(key[:8], "big"))
    found: list[Gap] = []
    for start in rng.integers(first, last, size=TRIES * number, endpoint=True).tolist():
        gap = Gap(start, start + length)
        if gap not in found and level(song.mixture[:, gap.start : gap.stop]) > SILENCE:
            found.append(gap)
        if len(found) == number:
            break
    return found


def patched(audio: Tensor, patch: Patch) -> Tensor:
    """A copy of audio [C, T] with a patch in it."""
    made = audio.clone()
    made[:, patch.start : patch.stop] = patch.samples
    return made


def scores(filled: Tensor, original: Tensor, gap: Gap, sample_rate: int) -> dict[str, float]:
    """What a filling scores in a gap, audio being [C, T]."""
    inside = slice(gap.start, gap.stop)
    near = [
        MemorySource(audio, sample_rate).read(gap.start - REACH, gap.stop + REACH)
        for audio in (filled, original)
    ]
    distance = mel_distance(near[0], near[1], sample_rate, (REACH, REACH + gap.length))
    return {
        "snr": snr(filled[:, inside], original[:, inside]),
        "mel_distance": float(distance.mean()),
    }
