"""Evaluation of the spectrogram model: hidden spans and continuations of unseen songs.

- Hidden spans: windows of every song with spans of 4, 8, 16 and 32 frames hidden, which take at
  most a quarter of a window. The measure is the L1 distance in the hidden frames only, of the
  compressed magnitudes that the model is trained on and of levels in dB, which count from
  ``_FLOOR_DB`` below the loudest band. Beside it: linear interpolation between the frames on
  either side, the last frame held and, where there are a VQ-VAE and its masked language model,
  what these decode of masked tokens.
- Continuation: pairs of half windows, the second matched to the first in level and tone. Of each
  true pair there are two false ones: the second half of another song, and another passage of the
  same song. The measure is the area under the ROC curve, beside that of the cosine similarity of
  the halves' mean spectra. A third kind stands by itself: the true second half, moved in time so
  that the metre does not go on.

With a note bank, also what can be read from the hidden layer linearly (``evaluation.probes``), and
whether tokens and features are nearer between sounds that are alike (``evaluation.abx``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.source import MemorySource, ResampledSource
from audiomask.engine import Engine
from audiomask.evaluation.abx import ABX
from audiomask.evaluation.evaluator import SILENT, Evaluator
from audiomask.evaluation.masked_frames import SPANS, hold, sample_spans
from audiomask.evaluation.metrics import SILENCE, level
from audiomask.evaluation.options import EvaluateOptions
from audiomask.evaluation.probes import Probes
from audiomask.evaluation.ranking import auc
from audiomask.evaluation.report import Report, Table, summarize
from audiomask.evaluation.songs import Song
from audiomask.evaluation.token_filling import TokenFilling
from audiomask.networks.spectrogram.beats import off_beat
from audiomask.networks.spectrogram.continuation import join, margin, middle, pair_inputs
from audiomask.networks.spectrogram.features import BandSpectrum, compress, reference
from audiomask.networks.spectrogram.interpolation import interpolate

#: most windows of a song, evenly spread; windows that are predicted at once
_WINDOWS, _BATCH = 16, 8
#: lowest level that counts, in dB of the loudest band
_FLOOR_DB = -80.0
_MODEL, _LINEAR, _HELD, _TOKENS = "model", "interpolated", "last frame held", "tokens"
_OTHER, _SAME, _MOVED = "another song", "the same song", "the same song, off the beat"


class _Window(NamedTuple):
    """A window of a song.

    Attributes:
        audio: [window * hop].
        power: [window, bands].
        moved: power of its second half, moved off the beat, [window / 2, bands]; None where the
            song has no room for that.
    """

    audio: Tensor
    power: Tensor
    moved: Tensor | None


class _Halves(NamedTuple):
    """The halves of a window, power [window / 2, bands] each; ``moved`` as of the window."""

    first: Tensor
    second: Tensor
    moved: Tensor | None = None


class SpectrogramEvaluator(Evaluator):
    """Measures an engine's spectrogram model.

    Args:
        engine: has the model.
        seed: decides hidden spans and probes.
        notes: note bank for linear probes; none without.
        cache: folder of decoded notes.
        shown: whether to show progress.
    """

    options = ("notes",)

    def __init__(
        self,
        engine: Engine,
        seed: int = 0,
        notes: Path | None = None,
        cache: Path | None = None,
        shown: bool = True,
    ) -> None:
        self.engine, self.seed, self.shown = engine, seed, shown
        self.notes, self.cache = notes, cache
        self.model = engine.spectrogram
        self.config = self.model.config
        self.spectrum = BandSpectrum(self.config)
        self.draw = torch.Generator().manual_seed(seed)
        # of its own, so that spans are the same whatever is moved
        self.draw_moves = torch.Generator().manual_seed(seed)
        fits = self.model.magnitudes is not None and TokenFilling.fits(engine, self.config)
        self.tokens = TokenFilling(engine, self.config) if fits else None
        self.systems = (_MODEL, _LINEAR, _HELD, *([_TOKENS] if fits else []))
        longest = self.config.window // 3
        self.spans = [span for span in SPANS if span <= longest]
        self.rows: list[dict[str, Any]] = []
        self.halves: dict[str, list[_Halves]] = {}

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for."""
        return cls(engine, options.seed, options.notes, options.cache, not options.quiet)

    @torch.no_grad()
    def add(self, song: Song) -> str | None:
        """Fill hidden spans of a song, and keep its windows for pairs."""
        if level(song.mixture) < SILENCE:
            return SILENT
        windows = self.windows(song)
        if not windows:
            return f"shorter than the model's window of {self.config.window} frames"
        if self.model.magnitudes is not None:
            for length in self.spans:
                self.rows.append({"song": song.name, "span": length} | self.fill(windows, length))
        half = self.config.window // 2
        self.halves[song.name] = [
            _Halves(power[:half], power[half:], moved) for _, power, moved in windows
        ]
        return None

    def windows(self, song: Song) -> list[_Window]:
        """Windows that are evenly spread over a song and not silent."""
        rate, hop, size = self.config.sample_rate, self.config.hop_length, self.config.window
        mono = song.mixture.mean(dim=0, keepdim=True)
        source = ResampledSource(MemorySource(mono, song.sample_rate), rate)
        number = min(source.frames // (size * hop), _WINDOWS)
        step = source.frames // max(number, 1)
        found = []
        for start in (n * step for n in range(number)):
            audio = source.read(start, start + size * hop)[0]
            if level(audio) >= SILENCE:
                power = self.spectrum(audio)
                found.append(_Window(audio, power, self.moved(source, start, power)))
        return found

    def moved(self, source: ResampledSource, start: int, power: Tensor) -> Tensor | None:
        """The second half of a window, moved off the beat, as it is heard there.

        Args:
            source: the song.
            start: first sample of the window.
            power: of the window, [window, bands].
        """
        if self.model.continuation is None:
            return None
        hop, half, beside = self.config.hop_length, len(power) // 2, margin(self.config)
        room = (source.frames - start) // hop - len(power)
        move = off_beat(power, self.config, beside - half, room, self.draw_moves)
        if move is None:
            return None
        first = start + (half + move - beside) * hop
        return self.spectrum(source.read(first, first + (beside + half) * hop)[0])[beside:]

    @torch.no_grad()
    def fill(self, windows: list[_Window], length: int) -> dict[str, float]:
        """Distances of every system in hidden spans of a length, means over windows."""
        config = self.config
        hidden = torch.stack([sample_spans(config.window, length, self.draw) for _ in windows])
        power = torch.stack([window.power for window in windows])
        # the level is that of what is known
        top = reference(power, ~hidden)
        true = compress(power, top, config.exponent)
        held = torch.stack([hold(*pair) for pair in zip(true, hidden, strict=True)])
        linear = interpolate(true, hidden)
        device = self.engine.device
        chunks = zip(torch.split(true, _BATCH), torch.split(hidden, _BATCH), strict=True)
        filled = [self.model.fill(a.to(device), b.to(device)).cpu() for a, b in chunks]
        found: dict[str, float] = {}
        made = [torch.cat(filled), linear, held]
        if self.tokens is not None:
            audio = [self.tokens.fill(w.audio, h) for w, h in zip(windows, hidden, strict=True)]
            decoded = torch.stack([self.spectrum(one) for one in audio])
            made.append(compress(decoded, top, config.exponent))
        for name, values in zip(self.systems, made, strict=True):
            found[name] = float((values - true).abs()[hidden].mean())
            decibels = self.decibels(values) - self.decibels(true)
            found[f"{name}_db"] = float(decibels.abs()[hidden].mean())
        return found

    def decibels(self, magnitudes: Tensor) -> Tensor:
        """Compressed magnitudes as levels in dB of the loudest band."""
        lowest = 10 ** (_FLOOR_DB / 20 * self.config.exponent)
        return magnitudes.clamp_min(lowest).log10() * (20 / self.config.exponent)

    @torch.no_grad()
    def finish(self) -> Report:
        """Tables of hidden spans and of continuations."""
        data: dict[str, Any] = {"window": self.config.window}
        tables: list[Table] = []
        notes: list[str] = []
        if self.rows:
            data["spans"] = self.by_span()
            data["rows"] = self.rows
            tables += self._span_tables(data["spans"])
        if self.model.continuation is not None:
            data["continuation"] = found = self.continuations()
            headings = ("false half from", "pairs", "model", "cosine of mean spectra")
            lines = [
                [name, str(row["pairs"]), f"{row['model']:.3f}", f"{row['cosine']:.3f}"]
                for name, row in found.items()
            ]
            tables.append(Table("Continuation: area under the ROC curve", headings, lines))
        else:
            notes.append("this model was not trained to tell continuations")
        if self.notes is not None:
            probes = Probes(self.engine, self.model, self.seed, self.shown)
            data["probes"] = probes.measure(self.notes, self.cache)
            tables += probes.tables(data["probes"])
            abx = ABX(probes)
            data["abx"] = abx.measure(self.notes, self.cache)
            tables.append(abx.table(data["abx"]))
        return Report(data, tables, notes)

    def by_span(self) -> dict[str, dict[str, Any]]:
        """Summaries over songs, by span."""
        found: dict[str, dict[str, Any]] = {}
        for length in self.spans:
            rows = [row for row in self.rows if row["span"] == length]
            entry: dict[str, Any] = {
                key: summarize([row[key] for row in rows])
                for name in self.systems
                for key in (name, f"{name}_db")
            }
            entry["under_interpolated"] = 1 - entry[_MODEL].mean / entry[_LINEAR].mean
            found[str(length)] = entry
        return found

    def _span_tables(self, spans: dict[str, dict[str, Any]]) -> list[Table]:
        """Means over songs: of magnitudes and of levels."""
        seconds = self.config.hop_length / self.config.sample_rate
        headings = ("hidden", *self.systems)
        magnitudes, levels = [], []
        for length, entry in spans.items():
            name = f"{length} frames, {int(length) * seconds * 1000:.0f} ms"
            cells = [f"{entry[system].mean:.4f}" for system in self.systems]
            magnitudes.append([name, *cells, f"{entry['under_interpolated']:.1%}"])
            levels.append([name, *(f"{entry[f'{system}_db'].mean:.2f}" for system in self.systems)])
        return [
            Table(
                f"Hidden spans: L1 distance of magnitudes to the power {self.config.exponent:g}",
                (*headings, "under interpolated"),
                magnitudes,
            ),
            Table("Hidden spans: L1 distance of levels, dB", headings, levels),
        ]

    def continuations(self) -> dict[str, dict[str, Any]]:
        """Areas under the ROC curve by where false halves are from; "both": other and same song."""
        songs = list(self.halves.values())
        true = self._scores([pair for windows in songs for pair in windows])
        false = {
            _OTHER: [
                _Halves(window.first, other[number % len(other)].second)
                for windows, other in zip(songs, songs[1:] + songs[:1], strict=True)
                if other is not windows
                for number, window in enumerate(windows)
            ],
            _SAME: [
                _Halves(window.first, windows[(number + len(windows) // 2) % len(windows)].second)
                for windows in songs
                if len(windows) > 1
                for number, window in enumerate(windows)
            ],
        }
        found: dict[str, dict[str, Any]] = {}
        scores = {name: self._scores(pairs) for name, pairs in false.items()}
        scores["both"] = {key: [x for s in scores.values() for x in s[key]] for key in true}
        scores[_MOVED] = self._scores(
            [
                _Halves(window.first, window.moved)
                for windows in songs
                for window in windows
                if window.moved is not None
            ]
        )
        for name, negative in scores.items():
            areas = {key: auc(true[key], negative[key]) for key in true}
            found[name] = {"pairs": len(negative["model"]), **areas}
        return found

    def _scores(self, pairs: list[_Halves]) -> dict[str, list[float]]:
        """The model's and the baseline's scores of pairs."""
        span = middle(self.config)
        found: dict[str, list[float]] = {"model": [], "cosine": []}
        for start in range(0, len(pairs), _BATCH):
            some = pairs[start : start + _BATCH]
            power = torch.stack([join(pair.first, pair.second) for pair in some])
            features = pair_inputs(power, self.config)
            first = features[:, : span.start].mean(dim=1)
            second = features[:, span.stop :].mean(dim=1)
            found["cosine"] += F.cosine_similarity(first, second).tolist()
            hidden = self.model.hidden(features.to(self.engine.device))
            found["model"] += self.model.predict_continuation(hidden).tolist()
        return found
