"""Evaluation of infill: the distance of fillings from the original, by the gap's length.

Gaps are cut into recordings where there is sound, at places that depend on the seed, the song's
name and the length only. Each is filled by itself, by the model and, for comparison, by

- repeat: the audio just before the gap, cross-faded;
- autoregressive: Janssen's interpolation, the classical method for clicks;
- silence.

Measures are the signal-to-noise ratio in the gap, in dB (that of silence is 0), and the mel
distance of its frames, whose windows reach beyond the gap. A filling that sounds right but has
other phases has a low signal-to-noise ratio. A mel distance forgives what is too soft and what has
no beats: the error of the middle third's level, the F-measure of the onsets, the flux at the worse
join and the clipped samples are told as well.
"""

from __future__ import annotations

import hashlib
import math
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
from audiomask.evaluation.examples import Example
from audiomask.evaluation.metrics import SILENCE, level, snr
from audiomask.evaluation.onsets import (
    clipped_samples,
    join_flux,
    level_error,
    onset_f_measure,
)
from audiomask.evaluation.options import GAP_LENGTHS, EvaluateOptions, given
from audiomask.evaluation.report import SPREAD, Report, Table, summarize
from audiomask.evaluation.songs import Song
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import FADE
from audiomask.infill.settings import InfillSettings, usual_temperature
from audiomask.infill.splice import Patch

#: seconds of audio on each side of a gap, in addition to what ``repeat`` copies
MARGIN = 0.1
#: samples on each side of a gap that its mel distance is computed with: more than half a window
_REACH = 4096
#: positions tried for a gap with sound in it
_TRIES = 100
_OURS, _SILENT = "audiomask", "silence"
_MEASURES = {
    "snr": "SNR in the gap, dB (higher is better)",
    "mel_distance": "Mel distance in the gap (lower is better)",
    "level_error": "Error of the level of the middle third, dB (nearer to 0 is better)",
    "onset_f": "F-measure of the onsets within 50 ms, in gaps with onsets (higher is better)",
    "join_flux": "Flux at the worse join over the true one, dB (nearer to 0 is better)",
    "clipped": "Samples clipped that were not (0 is right)",
}

_Method = Callable[[Tensor, Gap, int], Patch]


@dataclass(frozen=True)
class Settings:
    """How gaps are cut and filled.

    Attributes:
        lengths: of the gaps, in milliseconds.
        number: gaps of each length in a song.
        seed: decides their positions.
        filling: how they are filled.
    """

    lengths: Sequence[float] = GAP_LENGTHS
    number: int = 2
    seed: int = 0
    filling: InfillSettings = field(default_factory=InfillSettings)


class InfillEvaluator(Evaluator):
    """Measures an engine's fillings.

    Args:
        engine: fills the gaps.
        settings: of gaps and fillings.
    """

    options = ("gap_length", "gaps_per_file", "method", "steps", "temperature", "candidates")

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings
        self.methods: dict[str, _Method] = {
            _OURS: self.ours,
            "repeat": lambda audio, gap, rate: repeat(audio, gap, round(FADE * rate)),
            "autoregressive": autoregressive,
            _SILENT: lambda audio, gap, rate: silence(audio, gap),
        }
        self.rows: list[dict[str, Any]] = []
        # a missing model is an error before any song is read
        engine.open_infiller(settings.filling)

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for."""
        filling = given(
            method=options.method,
            steps=options.steps,
            temperature=usual_temperature(options.method or "auto")
            if options.temperature is None
            else options.temperature,
            candidates=options.candidates,
        )
        lengths = tuple(dict.fromkeys(options.gap_length)) or GAP_LENGTHS
        number = given(number=options.gaps_per_file)
        filled = InfillSettings(seed=options.seed, **filling)
        return cls(engine, Settings(sorted(lengths), seed=options.seed, filling=filled, **number))

    def ours(self, audio: Tensor, gap: Gap, sample_rate: int) -> Patch:
        """A gap in audio [C, T] filled by the model."""
        source = MemorySource(audio, sample_rate)
        (patch,) = self.engine.infill(source, [gap], self.settings.filling)
        return patch

    def add(self, song: Song) -> str | None:
        """Cut gaps into a song and fill them."""
        rows = []
        for length in self.settings.lengths:
            found = places(song, length, self.settings.number, self.settings.seed)
            for gap in found:
                start = gap.start / song.sample_rate
                title = f"{song.name}: {length:g} ms at {start:.2f} s"
                for method, values in self.compare(
                    song, gap, title if gap is found[0] else ""
                ).items():
                    about = {"song": song.name, "ms": length, "start": start, "method": method}
                    rows.append(about | values)
        if not rows:
            return "silent, or too short for any gap"
        self.rows += rows
        return None

    def compare(self, song: Song, gap: Gap, title: str = "") -> dict[str, dict[str, float]]:
        """The scores of every method in one gap, which is an example where it has a title."""
        holed = song.mixture.clone()
        holed[:, gap.start : gap.stop] = 0
        found, heard, remarks = {}, {"original": song.mixture}, {}
        for method, fill in self.methods.items():
            filled = patched(holed, fill(holed, gap, song.sample_rate))
            found[method] = scores(filled, song.mixture, gap, song.sample_rate)
            if self.hear is not None and title:
                heard[method] = filled
                remarks[method] = f"mel distance {found[method]['mel_distance']:.2f}"
        if self.hear is not None and title:
            span = (gap.start, gap.stop)
            heard[_OURS] = heard.pop(_OURS)  # the last, which is heard first
            self.hear(Example(title, heard, song.sample_rate, remarks, gap=span))
        return found

    def finish(self) -> Report:
        """Tables by length and method."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for length in self.settings.lengths:
            for method in self.methods:
                rows = [r for r in self.rows if (r["ms"], r["method"]) == (length, method)]
                if rows:
                    values = {
                        key: [row[key] for row in rows if not math.isnan(row[key])]
                        for key in _MEASURES
                    }
                    entry = {key: summarize(some) for key, some in values.items() if some}
                    found.setdefault(f"{length:g}", {})[method] = entry
        tables = []
        for key, title in _MEASURES.items():
            lines = [
                [f"{length} ms, {method}", str(entry[key].number), *entry[key].cells()]
                for length, entries in found.items()
                for method, entry in entries.items()
                if key in entry
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
    """Gaps of a length in a song, where there is sound, with enough audio before to copy.

    They depend on the song's name, the length and the seed only. There are fewer, or none, in a
    song that is short or mostly silent.
    """
    rate, total = song.sample_rate, song.mixture.shape[-1]
    length, margin = max(round(milliseconds * rate / 1000), 1), round(MARGIN * rate)
    first, last = length + margin, total - margin - length
    if first > last:
        return []
    key = hashlib.sha256(f"{seed}/{milliseconds:g}/{song.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(key[:8], "big"))
    found: list[Gap] = []
    for start in rng.integers(first, last, size=_TRIES * number, endpoint=True).tolist():
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
    """The scores of a filling in a gap; ``filled`` and ``original`` are [C, T]."""
    inside = slice(gap.start, gap.stop)
    near = [
        MemorySource(audio, sample_rate).read(gap.start - _REACH, gap.stop + _REACH)
        for audio in (filled, original)
    ]
    within = (_REACH, _REACH + gap.length)
    distance = mel_distance(near[0], near[1], sample_rate, within)
    return {
        "snr": snr(filled[:, inside], original[:, inside]),
        "mel_distance": float(distance.mean()),
        "level_error": level_error(near[0], near[1], within),
        "onset_f": onset_f_measure(near[0], near[1], sample_rate, within),
        "join_flux": join_flux(near[0], near[1], sample_rate, within),
        "clipped": float(clipped_samples(near[0], near[1], within)),
    }
