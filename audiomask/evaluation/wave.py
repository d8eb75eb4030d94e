"""Evaluation of the raw-audio model: bits a sample on unseen songs, and what context is worth.

All systems code the same samples: the ends of windows that are evenly spread over a song, mono at
the model's rate, with the song's peak at full scale and 256 mu-law levels. Beside the model stand
code lengths that need no training (``sample_codes``).

In the sweep of contexts the model is asked about the same samples again, of which it sees less and
less of the past. Differences are taken song by song, with a bootstrap over songs. Baselines see as
much of the past as the model's longest context, at most ``CASCADE_PAST`` of it for the cascade.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from audiomask.audio.source import MemorySource, ResampledSource
from audiomask.engine import Engine
from audiomask.evaluation.bootstrap import interval
from audiomask.evaluation.evaluator import SILENT, Evaluator
from audiomask.evaluation.metrics import SILENCE, level
from audiomask.evaluation.options import EvaluateOptions
from audiomask.evaluation.report import Report, Table, summarize
from audiomask.evaluation.sample_codes import cascade, linear, second_order, unigram
from audiomask.evaluation.songs import Song
from audiomask.networks.wave.mulaw import LEVELS, encode
from audiomask.networks.wave.paper import PaperWave

#: samples that are coded at the end of a window, and most windows of a song
_TARGETS, WINDOWS = 1024, 8
#: samples of context in the sweep; the one that others are compared with
_CONTEXTS, _COMPARED = (1024, 4096, 16_384, 65_536, 131_072, 524_288), 4096
#: samples of the past that the cascade, which is slow, adapts to
CASCADE_PAST = 131_072
#: samples of the targets that the paper's model predicts, as it takes a window for each
_PAPER_STEP = 256
_MODEL, _UNIFORM, _UNIGRAM, _SECOND = "model", "uniform", "unigram", "order 2"
_LINEAR, _CASCADE = "LPC 32", "sign-LMS cascade"
_SYSTEMS = (_MODEL, _UNIFORM, _UNIGRAM, _SECOND, _LINEAR, _CASCADE)


class WaveEvaluator(Evaluator):
    """Measures an engine's raw-audio model.

    Args:
        engine: has the model.
    """

    #: of the model; a subclass may measure another kind that codes samples
    kind = "wave"

    def __init__(self, engine: Engine) -> None:
        self.device = engine.device
        model: Any = engine.load(self.kind)
        self.model, self.config = model, model.config
        self.rows: list[dict[str, Any]] = []
        unit, longest = self.config.patch, self.config.window
        if isinstance(self.model, PaperWave):
            self.contexts: tuple[int, ...] = (longest,)
        else:
            whole = {min(context, longest) // unit * unit for context in _CONTEXTS}
            self.contexts = tuple(sorted(context for context in whole if context))

    @property
    def targets(self) -> int:
        """Samples that are coded at the end of a window."""
        if isinstance(self.model, PaperWave):
            return _TARGETS
        patch: int = self.config.patch
        return max(_TARGETS // patch, 1) * patch

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for."""
        return cls(engine)

    @torch.no_grad()
    def add(self, song: Song) -> str | None:
        """Code the ends of a song's windows by every system."""
        if level(song.mixture) < SILENCE:
            return SILENT
        mono = song.mixture.mean(dim=0, keepdim=True)
        source = ResampledSource(MemorySource(mono, song.sample_rate), self.config.sample_rate)
        audio = source.read(0, source.frames)[0]
        targets = self.targets
        # which samples are coded depends on the song alone, so that models can be compared
        longest = max((c for c in _CONTEXTS if c + targets <= len(audio)), default=0)
        contexts = [c for c in self.contexts if c <= longest]
        if not contexts:
            least = min(c for c in _CONTEXTS if c >= self.contexts[0]) + targets
            return f"shorter than {least / self.config.sample_rate:.1f} s, which a context takes"
        levels = encode(audio / audio.abs().amax())
        number = min((len(audio) - longest) // targets, WINDOWS)
        room = len(audio) - longest - targets
        starts = [n * room // max(number - 1, 1) for n in range(number)]
        windows = torch.stack([levels[start : start + longest + targets] for start in starts])
        near = windows[:, -min(longest, CASCADE_PAST) - targets :]
        step = _PAPER_STEP if isinstance(self.model, PaperWave) else 1
        found = {
            _UNIFORM: torch.full((number, targets), float(torch.tensor(LEVELS).log2())),
            _UNIGRAM: unigram(windows, targets),
            _SECOND: second_order(windows, targets),
            _LINEAR: linear(windows, targets),
            _CASCADE: cascade(near, targets),
        }
        row: dict[str, Any] = {name: float(x[:, ::step].mean()) for name, x in found.items()}
        row["contexts"] = {c: self.code(windows[:, -c - targets :]) for c in contexts}
        row[_MODEL] = row["contexts"][contexts[-1]]
        self.rows.append({"song": song.name, "windows": number, "context": contexts[-1]} | row)
        return None

    def code(self, windows: Tensor) -> float:
        """The model's mean bits of the last ``targets`` samples of windows [W, T], one by one."""
        found = []
        for window in torch.split(windows.to(self.device), 1):
            if isinstance(self.model, PaperWave):
                context = self.config.window
                ends = range(context, context + self.targets, _PAPER_STEP)
                found += [self.model.bits(window[:, end - context : end + 1]) for end in ends]
            else:
                number = self.targets // self.config.patch
                first = window.shape[1] // self.config.patch - number
                begin = torch.tensor([[first]], device=self.device)
                found.append(self.model.bits(window, begin, number).mean()[None])
        return float(torch.cat(found).mean())

    def finish(self) -> Report:
        """Tables of systems and of contexts."""
        data: dict[str, Any] = {
            "unit": "bits a sample",
            "sample_rate": self.config.sample_rate,
            "systems": self.by_system(),
            "contexts": self.by_context(),
            "rows": self.rows,
        }
        tables = [self._system_table(data["systems"])]
        notes = [
            f"{_CASCADE} adapted to {CASCADE_PAST:,} samples before each window's targets at most"
        ]
        if len(data["contexts"]) > 1:
            tables.append(self._context_table(data["contexts"]))
            notes.append(f"intervals: 95 % of the bootstrap over songs that have {_COMPARED:,} too")
        return Report(data, tables, notes)

    def by_system(self) -> dict[str, dict[str, Any]]:
        """Bits a sample of every system over songs, and how far the model is below."""
        found: dict[str, dict[str, Any]] = {}
        for name in _SYSTEMS:
            below = [row[name] - row[_MODEL] for row in self.rows]
            found[name] = {
                "bits": summarize([row[name] for row in self.rows]),
                "above_model": summarize(below),
                "interval": interval(below),
            }
        return found

    def by_context(self) -> dict[str, dict[str, Any]]:
        """Bits a sample by context, over the songs that are long enough for it."""
        found: dict[str, dict[str, Any]] = {}
        compared = _COMPARED if _COMPARED in self.contexts else self.contexts[0]
        for context in self.contexts:
            rows = [row["contexts"] for row in self.rows if context in row["contexts"]]
            if not rows:
                continue
            changes = [row[context] - row[compared] for row in rows if compared in row]
            found[str(context)] = {
                "bits": summarize([row[context] for row in rows]),
                "compared_with": compared,
                "change": summarize(changes) if changes else None,
                "interval": interval(changes) if changes else None,
            }
        return found

    def _system_table(self, systems: dict[str, dict[str, Any]]) -> Table:
        lines = []
        for name, entry in systems.items():
            lower, upper = entry["interval"]
            above = f"{entry['above_model'].mean:+.3f} ({lower:+.3f} … {upper:+.3f})"
            error = f"{entry['bits'].mean:.3f}"
            lines.append([name, error, "" if name == _MODEL else above])
        headings = ("system", "bits a sample", "above the model (95 %)")
        return Table("Bits a sample, 8-bit mu-law, mean over songs", headings, lines)

    def _context_table(self, contexts: dict[str, dict[str, Any]]) -> Table:
        lines = []
        for name, entry in contexts.items():
            change = ""
            if entry["change"] is not None and int(name) != entry["compared_with"]:
                lower, upper = entry["interval"]
                change = f"{entry['change'].mean:+.4f} ({lower:+.4f} … {upper:+.4f})"
            seconds = f"{int(name) / self.config.sample_rate:.2f}"
            bits = entry["bits"]
            lines.append([f"{int(name):,}", seconds, str(bits.number), f"{bits.mean:.4f}", change])
        compared = next(iter(contexts.values()))["compared_with"]
        headings = ("context", "seconds", "songs", "bits a sample", f"against {compared:,} (95 %)")
        return Table("The same samples with less of their past", headings, lines)
