"""Evaluation of the language model: bits a second of a song's tokens, given all before them.

Every system codes the same spans: the later halves of windows of the coarse stage (or acoustic, or
two windows of the fine one), evenly spread over a song, mono. The semantic tokens are a function
of the sound, so bits of semantic tokens plus bits of acoustic ones given these are a code length
of the acoustic tokens, if not their shortest one: where the sum is less than what the stage
acoustic takes for the same levels, the plan has paid for itself. Beside them stand unigram and
bigram, counted on other songs.

Where the data has single notes, bands are rendered of them as they are written and with something
wrong (see ``minimal_pairs``), and the share is told in which a system finds the true one likelier.

Some songs are continued, and what is made is compared with its prompt (see ``continuations``).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.layouts import recognize
from audiomask.data.open import open_data
from audiomask.data.tracks import TEST
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError, CheckpointError, UsageError
from audiomask.evaluation import continuations
from audiomask.evaluation.bigram import Bigram, fit
from audiomask.evaluation.bootstrap import interval
from audiomask.evaluation.evaluator import SILENT, Evaluator
from audiomask.evaluation.metrics import SILENCE, level
from audiomask.evaluation.minimal_pairs import DRUMS, LONGEST, minimal_pairs
from audiomask.evaluation.minimal_pairs import KINDS as KINDS_OF_PAIRS
from audiomask.evaluation.options import EvaluateOptions, Split
from audiomask.evaluation.report import Report, Table, summarize
from audiomask.evaluation.songs import Song, SongRef
from audiomask.kinds import KINDS
from audiomask.networks.lm.config import LMConfig
from audiomask.networks.lm.model import TokenLM, split
from audiomask.runtime.console import track

#: most spans of a song
_SPANS = 8
#: pairs of each kind, and songs that are continued
_PAIRS, _CONTINUED = 20, 8
#: seconds of a pair after what is coded: a beat that is missing, and what tokens look ahead
_AFTER = LONGEST + 0.5
_STAGES = tuple(KINDS["lm"].stages)
_SEMANTIC, _COARSE, _FINE, _ACOUSTIC = _STAGES
#: coarse levels by way of semantic tokens, whose bits are counted
_WITH_PLAN = "semantic + coarse"

logger = logging.getLogger("audiomask")


class _SongTokens:
    """The tokens of a song's mean channel.

    Attributes:
        codes: acoustic ones [1, levels, F]; no levels where no stage reads them.
        semantic: [1, 1, N]; no row where no stage reads them.
    """

    def __init__(self, engine: Engine, song: Song, configs: Sequence[LMConfig]) -> None:
        mono = MemorySource(song.mixture.mean(dim=0, keepdim=True), song.sample_rate)
        self.codes = self.semantic = torch.zeros(1, 0, 0, dtype=torch.int64)
        if any(config.codebook_size for config in configs):
            self.codes = engine.tokenize(mono).codes.long()
        if any(config.clusters for config in configs):
            self.semantic = engine.tokenize_semantic(mono).codes.long()

    def rows(self, config: LMConfig) -> tuple[Tensor, Tensor]:
        """What a stage predicts, and its condition (see ``split``)."""
        return split(config, self.codes, self.semantic)


class LMEvaluator(Evaluator):
    """Measures the stages of the language model that an engine has.

    Args:
        engine: has the models.
        shown: whether to show progress.

    Raises:
        CheckpointError: there is no stage.
    """

    options = ("fit", "pairs", "continuations")
    fits = True

    def __init__(self, engine: Engine, shown: bool = True) -> None:
        self.engine, self.shown = engine, shown
        self.bands: InterleavedDataset | None = None
        self.pairs, self.seed = 0, 0
        self.continuations: continuations.Continuations | None = None
        self.remarks: list[str] = []
        names = [stage for stage in _STAGES if f"lm-{stage}" in engine.kinds]
        if not names:
            raise CheckpointError(
                f"{engine.library.folder}: has no stage of the language model, lm-semantic, "
                "lm-coarse, lm-fine or lm-acoustic (audiomask train lm makes them)"
            )
        self.stages = {stage: cast(TokenLM, engine.load(f"lm-{stage}")) for stage in names}
        self.configs = [model.config for model in self.stages.values()]
        self.counted: dict[str, list[Bigram]] = {}
        self.origin: str | None = None
        self.rows: list[dict[str, Any]] = []

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for."""
        made = cls(engine, not options.quiet)
        made.pairs = _PAIRS if options.pairs is None else options.pairs
        made.seed = options.seed
        split = None if options.split == Split.all else options.split.value
        sources = [recognize(folder).as_test(split) for folder in options.data]
        bands = [source for source in sources if any(source.band(TEST))]
        if any(source.has_instruments for source in bands):
            samples = round((2 * made.span + _AFTER) * DEFAULT_SAMPLE_RATE)
            made.bands = open_data(
                bands, (DRUMS,), samples, options.seed, split=TEST, cache=options.cache
            )
        elif options.pairs is not None:
            raise UsageError("--pairs are rendered from single notes: add --data NOTES")
        number = _CONTINUED if options.continuations is None else options.continuations
        if number:
            try:
                made.continuations = continuations.Continuations(engine, number, options.seed)
            except CheckpointError as error:
                if options.continuations is not None:
                    raise
                made.remarks.append(f"no song is continued: {error}")
        return made

    def fit(self, refs: Sequence[SongRef], origin: str) -> None:
        """Count unigram and bigram on songs; those that cannot be read are left out with a warning.

        Args:
            refs: none of them is measured.
            origin: a description of them.
        """
        songs: list[_SongTokens] = []
        for ref in track(refs, "counting baselines", self.shown):
            try:
                song = ref.read()
            except AudiomaskError as error:
                logger.warning("%s; not counted", error)
                continue
            if level(song.mixture) >= SILENCE:
                songs.append(_SongTokens(self.engine, song, self.configs))
        if len(songs) < 2:  # pseudo-counts are chosen on songs that are not counted
            logger.warning("unigram and bigram take two songs to count on: both are left out")
            return
        self.origin = f"{len(songs)} songs, {origin}"
        for stage, model in self.stages.items():
            clips = [tokens.rows(model.config)[0][0] for tokens in songs]
            self.counted[stage] = [
                fit([[clip[row]] for clip in clips], size)
                for row, size in enumerate(model.config.predicted)
            ]

    def add(self, song: Song) -> str | None:
        """Code the spans of a song by every system."""
        if level(song.mixture) < SILENCE:
            return SILENT
        length, half = song.mixture.shape[1] / song.sample_rate, self.span
        if length < 2 * half:
            return f"shorter than the {2 * half:.1f} s that a window takes"
        tokens = _SongTokens(self.engine, song, self.configs)
        number = min(int(length / half) - 1, _SPANS)
        room = length - 2 * half
        starts = [half + room * n / max(number - 1, 1) for n in range(number)]
        row = {"song": song.name, "spans": number} | self._code_all(tokens, starts)
        if self.continuations is not None:
            self.continuations.add(song)
        self.rows.append(row)
        return None

    def _code_all(self, tokens: _SongTokens, starts: Sequence[float]) -> dict[str, float]:
        """Bits a second of spans that begin at ``starts``, in seconds, by every system."""
        found: dict[str, float] = {}
        for stage, model in self.stages.items():
            found |= self._code(stage, model.config, tokens, starts)
        if _SEMANTIC in found and _COARSE in found:
            found[_WITH_PLAN] = found[_SEMANTIC] + found[_COARSE]
        return found

    @property
    def span(self) -> float:
        """Seconds of a span."""
        for stage in (_COARSE, _ACOUSTIC, _FINE, _SEMANTIC):
            if stage in self.stages:
                config = self.stages[stage].config
                steps = config.window if stage == _FINE else config.window // 2
                return steps * config.hop_length / config.sample_rate
        raise AssertionError("there is a stage")

    @torch.inference_mode()
    def _code(
        self, stage: str, config: LMConfig, tokens: _SongTokens, starts: Sequence[float]
    ) -> dict[str, float]:
        """Bits a second of what a stage predicts, by it and by unigram and bigram."""
        rows, condition = tokens.rows(config)
        seconds = config.hop_length / config.sample_rate
        unit = config.condition_step
        steps = max(round(self.span / seconds), 1)
        total: dict[str, float] = {}
        for start in starts:
            first = min(round(start / seconds), rows.shape[2] - steps) // unit * unit
            span = rows[..., first : first + steps]
            bits = {stage: self.bits(stage, rows, condition, first, first + steps)}
            for row, model in enumerate(self.counted.get(stage, ())):
                for name, cost in (
                    ("unigram", model.unigram_bits),
                    ("bigram", model.bigram_bits),
                ):
                    key = f"{stage} {name}"
                    bits[key] = bits.get(key, 0.0) + float(cost(span[0, row]).sum())
            for key, value in bits.items():
                total[key] = total.get(key, 0.0) + value / (len(starts) * steps * seconds)
        return total

    def bits(self, stage: str, rows: Tensor, condition: Tensor, first: int, last: int) -> float:
        """Bits of the steps [first, last) of a stage's tokens, given what comes before.

        Args:
            stage: which one.
            rows: all tokens [1, rows, F].
            condition: all of theirs [1, rows, N].
            first, last: the steps. A window that is shorter than they are moves on by halves.
        """
        model, unit = self.stages[stage], self.stages[stage].config.condition_step
        window, total = model.config.window, 0.0
        at = first
        while at < last:
            end = min(at + max(window // 2, 1), last)
            begin = -(-max(end - window, 0) // unit) * unit
            known = condition[..., begin // unit : -(-end // unit)]
            part = rows[..., begin:end]
            # a condition's token may reach beyond the last step
            part = torch.nn.functional.pad(part, (0, -part.shape[2] % unit))
            nats = model.nats(part.to(self.engine.device), known.to(self.engine.device))
            total += float(nats[..., at - begin : end - begin].sum()) / math.log(2)
            at = end
        return total

    def finish(self) -> Report:
        """A table of bits a second."""
        systems = self.by_system()
        data: dict[str, Any] = {
            "unit": "bits a second",
            "systems": systems,
            "counted": self.origin,
            "rows": self.rows,
        }
        lines = []
        for name, entry in systems.items():
            change = ""
            if entry["interval"] is not None:
                lower, upper = entry["interval"]
                change = f"{entry['change'].mean:+.1f} ({lower:+.1f} … {upper:+.1f})"
            lines.append([name, f"{entry['bits'].mean:.1f}", change])
        headings = ("system", "bits a second", "against acoustic (95 %)")
        table = Table("Bits a second, mean over songs", headings, lines)
        notes = [f"spans of {self.span:.1f} s after as much sound or more"]
        if self.counted:
            notes.append(f"unigram and bigram: counted on {self.origin}")
        tables = [table]
        if self.bands is not None and self.pairs:
            data["pairs"] = self.by_pair(self.bands)
            tables.append(_pair_table(data["pairs"]))
        if self.continuations is not None and self.continuations.songs:
            data["continuations"] = self.continuations.measured()
            tables += continuations.tables(data["continuations"])
            notes += continuations.remarks(data["continuations"])
        elif self.continuations is not None:
            notes.append("no song is continued: all are too short, or silent")
        return Report(data, tables, notes + self.remarks)

    def by_pair(self, bands: InterleavedDataset) -> dict[str, dict[str, Any]]:
        """In how many pairs of each kind each system finds the true one likelier."""
        found: dict[str, dict[str, Any]] = {}
        span = self.span
        for kind in KINDS_OF_PAIRS:
            # the change is in the first half of what is coded
            made = minimal_pairs(bands, kind, self.pairs, span, 1.5 * span, self.seed)
            hits: dict[str, list[float]] = {}
            for pair in track(made, f"pairs: {kind}", self.shown):
                true, false = (self._code_sound(audio, bands.sample_rate) for audio in pair)
                for name in (_ACOUSTIC, _WITH_PLAN, _SEMANTIC):
                    if name in true:
                        better = true[name] < false[name]
                        tie = true[name] == false[name]
                        hits.setdefault(name, []).append(0.5 if tie else float(better))
            systems = {
                name: {"share": sum(row) / len(row), "interval": interval(row)}
                for name, row in hits.items()
            }
            number = len(next(iter(hits.values()), []))
            found[kind] = {"pairs": number, "systems": systems}
        return found

    def _code_sound(self, audio: Tensor, rate: int) -> dict[str, float]:
        """Bits a second of the span of audio [T] after as much sound, by every system."""
        song = Song("pair", audio[None], {}, rate)
        return self._code_all(_SongTokens(self.engine, song, self.configs), [self.span])

    def by_system(self) -> dict[str, dict[str, Any]]:
        """Bits a second of every system, and how they differ from the stage acoustic's."""
        order = [name for stage in (_ACOUSTIC, _COARSE, _SEMANTIC, _FINE)
                 for name in (stage, *(f"{stage} {b}" for b in ("unigram", "bigram")))]  # fmt: skip
        found: dict[str, dict[str, Any]] = {}
        for name in (_WITH_PLAN, *order):
            if name not in self.rows[0]:
                continue
            change = None
            if name == _WITH_PLAN and _ACOUSTIC in self.rows[0]:
                change = [row[name] - row[_ACOUSTIC] for row in self.rows]
            found[name] = {
                "bits": summarize([row[name] for row in self.rows]),
                "change": summarize(change) if change else None,
                "interval": interval(change) if change else None,
            }
        return found


def _pair_table(found: dict[str, dict[str, Any]]) -> Table:
    """The shares of pairs, a row a system."""
    names = dict.fromkeys(name for entry in found.values() for name in entry["systems"])
    lines = []
    for name in names:
        cells = []
        for entry in found.values():
            system = entry["systems"].get(name)
            if system is None:
                cells.append("")
                continue
            lower, upper = system["interval"]
            cells.append(f"{system['share']:.0%} ({lower:.0%} … {upper:.0%})")
        lines.append([name, *cells])
    headings = ["system", *(f"{kind}, {entry['pairs']} pairs" for kind, entry in found.items())]
    return Table("The true one of a pair is likelier (95 %)", headings, lines)
