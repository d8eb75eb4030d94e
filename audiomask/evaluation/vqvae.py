"""Evaluation of the VQ-VAE: the quality of decoded audio, its bitrate and the usage of codes.

For 1 to N levels of the same codes:

- bitrate: levels · log2 K · frame rate · channels, log2 K rounded up as in a token file, and that
  of an ideal static entropy coder (the codes' entropy in place of log2 K; too low where there are
  few tokens per code);
- mel distance (``audiomask.audio.spectra.mel_distance``), of all frequencies and below 4 kHz;
- the correlation of partials (``metrics.partial_correlation``), as the other measures hardly
  distinguish notes from noise with the same spectrum;
- SI-SDR over all channels as one signal. It is low for a decoder that sounds right but has other
  phases;
- optionally, predicted mean opinion scores (``evaluation.mos``).

The same measures of silence are given for comparison.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any, Self

import torch
from torch import Tensor

from audiomask.audio.source import MemorySource, ResampledSource, resample
from audiomask.audio.spectra import mel_distance
from audiomask.engine import Engine
from audiomask.errors import UsageError
from audiomask.evaluation.evaluator import SILENT, Evaluator
from audiomask.evaluation.examples import Example
from audiomask.evaluation.metrics import SILENCE, level, partial_correlation, si_sdr, usage
from audiomask.evaluation.mos import LEAST_SECONDS, OPINIONS, TOO_SHORT, MOSPredictor
from audiomask.evaluation.options import EvaluateOptions
from audiomask.evaluation.report import SPREAD, Report, Table, summarize
from audiomask.evaluation.songs import Song
from audiomask.tokens.packing import code_bits

#: sample rate of audio up to 4 kHz
_LOW_RATE = 8000
_NOTHING = "silence"
#: measures, and titles of their tables
MEASURES = {
    "mel_distance": "Mel distance (lower is better)",
    "mel_distance_low": "Mel distance below 4 kHz",
    "partials": "Correlation of partials (1: all kept, 0: noise of the same colour)",
    "si_sdr": "SI-SDR, dB (higher is better)",
}
#: measures that silence has no number for
_NOT_OF_SILENCE = ("partials", "si_sdr", "visqol")


class VQVAEEvaluator(Evaluator):
    """Measures an engine's VQ-VAE.

    Args:
        engine: has the model.
        levels: the most levels to measure; all when None.
        opinion: also predict mean opinion scores, which takes ViSQOL about 0.15 s for a second of
            audio, for every number of levels and every channel.

    Raises:
        UsageError: the VQ-VAE has fewer levels.
        DependencyError: ViSQOL or Zimtohrli is not installed.
    """

    options = ("levels", "opinion")

    def __init__(self, engine: Engine, levels: int | None = None, opinion: bool = False) -> None:
        self._mos = MOSPredictor() if opinion else None
        self.measures = MEASURES | (OPINIONS if opinion else {})
        self.engine, self.config = engine, engine.vqvae.config
        self.levels = levels or self.config.levels
        if self.levels > self.config.levels:
            raise UsageError(f"--levels {levels}: this VQ-VAE has 1 to {self.config.levels}")
        self.rows: list[dict[str, Any]] = []
        self.counts = torch.zeros(self.levels, self.config.codebook_size, dtype=torch.int64)
        self.channels: set[int] = set()
        self.speeds: dict[str, list[float]] = {"encoding": [], "decoding": []}

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for."""
        return cls(engine, options.levels, options.opinion)

    def add(self, song: Song) -> str | None:
        """Encode a song and decode 1 to N levels of it, at the model's sample rate."""
        if level(song.mixture) < SILENCE:
            return SILENT
        rate = self.config.sample_rate
        source = ResampledSource(MemorySource(song.mixture, song.sample_rate), rate)
        audio = source.read(0, source.frames)
        seconds = audio.shape[-1] / rate
        if self._mos is not None and seconds < LEAST_SECONDS:
            return TOO_SHORT
        began = time.perf_counter()
        tokens = self.engine.tokenize(MemorySource(audio, rate), self.levels)
        self.speeds["encoding"].append(seconds / (time.perf_counter() - began))
        rows: list[dict[str, Any]] = []
        heard, remarks = {"original": audio}, {}
        for levels in range(1, self.levels + 1):
            part = dataclasses.replace(tokens, codes=tokens.codes[:, :levels].contiguous())
            began = time.perf_counter()
            decoded = torch.cat(list(self.engine.detokenize(part)), dim=-1)
            if levels == self.levels:
                self.speeds["decoding"].append(seconds / (time.perf_counter() - began))
            found = quality(decoded, audio, rate, self._mos)
            rows.append({"system": _name_of(levels)} | found)
            if self.hear is not None:
                heard[_name_of(levels)] = decoded
                remarks[_name_of(levels)] = f"mel distance {found['mel_distance']:.2f}"
        if self.hear is not None:
            self.hear(Example(song.name, heard, rate, remarks, [list(heard)]))
        rows.append({"system": _NOTHING} | self.nothing(audio))
        self.rows += [{"song": song.name} | row for row in rows]
        self.channels.add(len(audio))
        for number, codes in enumerate(tokens.codes.long().unbind(dim=1)):
            counted = torch.bincount(codes.flatten(), minlength=self.config.codebook_size)
            self.counts[number] += counted
        return None

    def nothing(self, audio: Tensor) -> dict[str, float]:
        """The measures of silence in place of audio [C, T]."""
        silence, rate = torch.zeros_like(audio), self.config.sample_rate
        found = quality(silence, audio, rate) | {"si_sdr": -math.inf}
        if self._mos is not None:
            found["zimtohrli"] = self._mos.zimtohrli(silence, audio, rate)
        return found

    def finish(self) -> Report:
        """Tables by number of levels, and of the codebooks."""
        books = [usage(counts)._asdict() for counts in self.counts]
        rates = [self.bitrate(books[:levels]) for levels in range(1, self.levels + 1)]
        names = [*map(_name_of, range(1, self.levels + 1)), _NOTHING]
        found: dict[str, dict[str, Any]] = {}
        for name in names:
            rows = [row for row in self.rows if row["system"] == name]
            kept = [key for key in self.measures if name != _NOTHING or key not in _NOT_OF_SILENCE]
            found[name] = {key: summarize([row[key] for row in rows]) for key in kept}
        speed = {name: summarize(taken) for name, taken in self.speeds.items()}
        tables = [self._rates(rates)]
        for key, title in self.measures.items():
            lines = [[name, *entry[key].cells()] for name, entry in found.items() if key in entry]
            tables.append(Table(title, ("", *SPREAD), lines))
        tables.append(_codebooks(books))
        times = ", ".join(f"{name} {entry.median:.0f}" for name, entry in speed.items())
        notes = [f"times real time (median): {times}"]
        data = {
            "bitrates": rates,
            "codebooks": books,
            "levels": found,
            "speed": speed,
            "rows": self.rows,
        }
        return Report(data, tables, notes)

    def bitrate(self, books: list[dict[str, Any]]) -> dict[str, float]:
        """Bitrates in kbit/s a channel, of levels with these statistics."""
        frames = self.config.sample_rate / self.config.hop_length / 1000
        bits = len(books) * code_bits(self.config.codebook_size)
        entropy = sum(float(book["bits"]) for book in books)
        return {"kbps": bits * frames, "entropy_kbps": entropy * frames}

    def _rates(self, rates: list[dict[str, float]]) -> Table:
        """A table of bitrates, for every number of channels that songs had."""
        lines = [
            [
                f"{_name_of(levels)}{'' if channels == 1 else f', {channels} channels'}",
                f"{channels * rate['kbps']:.2f}",
                f"{channels * rate['entropy_kbps']:.2f}",
            ]
            for levels, rate in enumerate(rates, start=1)
            for channels in sorted(self.channels)
        ]
        return Table("Bitrate, kbit/s", ("", "bitrate", "entropy coded"), lines)


def _name_of(levels: int) -> str:
    """A number of levels in words."""
    return f"{levels} level{'s' * (levels > 1)}"


def quality(
    decoded: Tensor, audio: Tensor, sample_rate: int, mos: MOSPredictor | None = None
) -> dict[str, float]:
    """The measures of decoded audio and the original, both [C, T]; with opinion scores by ``mos``.

    Raises:
        DataError: there is no opinion score, see ``MOSPredictor.scores``.
    """
    low = [resample(x, sample_rate, _LOW_RATE) for x in (audio, decoded)]
    found = {
        "mel_distance": float(mel_distance(audio, decoded, sample_rate).mean()),
        "mel_distance_low": float(mel_distance(low[0], low[1], _LOW_RATE).mean()),
        "partials": partial_correlation(decoded, audio, sample_rate),
        "si_sdr": si_sdr(decoded, audio),
    }
    if mos is not None:
        found |= mos.scores(decoded, audio, sample_rate)
    return found


def _codebooks(books: list[dict[str, Any]]) -> Table:
    """A table of the usage of codebooks."""
    lines = [
        [
            f"level {number}",
            f"{book['perplexity']:.0f}",
            f"{book['used']:.1%}",
            str(book["dead"]),
            f"{book['bits']:.2f}",
        ]
        for number, book in enumerate(books, start=1)
    ]
    title = f"Codebooks over {books[0]['tokens']:,} tokens a level"
    return Table(title, ("", "perplexity", "codes used", "dead codes", "entropy, bits"), lines)
