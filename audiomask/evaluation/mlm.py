"""Evaluation of the masked language model: prediction of masked tokens of unseen songs.

The model gets windows of its own length, plain sequences without SEP or spectrum, of each channel
by itself. There are three maskings, each repeated with a fixed seed:

- BERT: 15 % of the tokens; of those 80 % MASK, 10 % random, 10 % kept; measured on all of them;
- BERT, MASK only: the same, measured on the tokens that are MASK;
- frames: 15 % of the frames on all levels, as in a gap. With BERT's masking, most other levels of
  a masked token's frame are known; here they are not.

The measure is the negative log-likelihood in bits a token, with baselines on the same tokens:

- unigram entropy: of the predicted tokens' own distribution, a lower bound of any unigram's bits.
  With few tokens it is far below that of a unigram of other songs;
- unigram, bigram: counted on other songs (see ``bigram.py``); the bigram knows the true token one
  frame before on the same level, masked or not;
- 0.18 s window: the same model with a window of only 0.18 s (the paper's 512 tokens of 16
  samples), which shows the gain of the long window.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError
from audiomask.evaluation.bigram import Bigram, fit
from audiomask.evaluation.evaluator import SILENT, Evaluator
from audiomask.evaluation.masked_prediction import (
    COLUMNS,
    Mask,
    MaskedPredictions,
    baseline_bits,
    batches,
    concatenate,
    frame_mask,
    predict_masked,
)
from audiomask.evaluation.metrics import SILENCE, entropy, level
from audiomask.evaluation.options import EvaluateOptions, given
from audiomask.evaluation.report import SPREAD, Report, Table, summarize
from audiomask.evaluation.songs import Song, SongRef
from audiomask.networks.mlm.masking import bert_mask
from audiomask.runtime.console import track

_BERT, _MASKED, _FRAMES = "bert", "bert, MASK only", "frames"
_BASELINES = ("entropy", "unigram", "bigram", "short")
_HEADINGS = (
    *("model", "unigram entropy", "unigram", "bigram", "0.18 s window"),
    *("under entropy", "under unigram", "under bigram", "under 0.18 s", "top-1"),
)

logger = logging.getLogger("audiomask")


class MLMEvaluator(Evaluator):
    """Measures an engine's masked language model.

    Args:
        engine: has the model.
        rounds: maskings of each window.
        seed: decides the masks.
        shown: whether to show progress.
    """

    options = ("fit", "rounds")
    fits = True

    def __init__(self, engine: Engine, rounds: int = 4, seed: int = 0, shown: bool = True) -> None:
        self.engine, self.model = engine, engine.mlm
        self.rounds, self.seed, self.shown = rounds, seed, shown
        self.names: list[str] = []
        self.clips: list[Tensor] = []
        self.baselines: list[Bigram] = []
        self.fitted: dict[str, Any] = {"songs": 0, "from": None}

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for."""
        return cls(
            engine, **given(rounds=options.rounds), seed=options.seed, shown=not options.quiet
        )

    def fit(self, refs: Sequence[SongRef], origin: str) -> None:
        """Count unigram and bigram on songs; those that cannot be read are left out with a warning.

        Args:
            refs: none of them is measured.
            origin: a description of them.
        """
        songs: list[list[Tensor]] = []
        for ref in track(refs, "counting baselines", self.shown):
            try:
                song = ref.read()
            except AudiomaskError as error:
                logger.warning("%s; not counted", error)
                continue
            if level(song.mixture) >= SILENCE:
                songs.append([codes.long() for codes in self.tokenize(song)])
        if len(songs) < 2:  # pseudo-counts are chosen on songs that are not counted
            logger.warning("unigram and bigram take two songs to count on: both are left out")
            return
        size, levels = self.model.config.codebook_size, self.model.config.levels
        self.baselines = [
            fit([[channel[number] for channel in song] for song in songs], size)
            for number in range(levels)
        ]
        tokens = sum(channel.shape[1] for song in songs for channel in song)
        smoothing = [{"alpha": model.alpha, "beta": model.beta} for model in self.baselines]
        self.fitted = {
            "songs": len(songs),
            "from": origin,
            "tokens_a_level": tokens,
            "levels": smoothing,
        }

    def add(self, song: Song) -> str | None:
        """Tokenize a song; ``finish`` predicts the tokens of all songs."""
        if level(song.mixture) < SILENCE:
            return SILENT
        clips = self.tokenize(song)
        window = self.model.config.window
        if clips[0].shape[1] < window:
            return f"shorter than the model's window of {window} frames"
        self.clips += clips
        self.names += [song.name] * len(clips)
        return None

    def tokenize(self, song: Song) -> list[Tensor]:
        """Codes [levels, F] of every channel."""
        source = MemorySource(song.mixture, song.sample_rate)
        tokens = self.engine.tokenize(source, self.model.config.levels)
        return list(tokens.codes.unbind())

    def finish(self) -> Report:
        """Predict masked tokens, with a table for each masking."""
        found: dict[str, dict[str, Any]] = {}
        vocabulary = self.model.vocabulary
        maskings: dict[str, Mask] = {
            _BERT: lambda ids, generator: bert_mask(ids, vocabulary, generator),
            _FRAMES: lambda ids, generator: frame_mask(ids, vocabulary.mask, generator),
        }
        for name, mask in maskings.items():
            predictions = self._predict_masked(name, mask)
            found[name] = self.by_level(predictions)
            if name == _BERT:
                found[_MASKED] = self.by_level(predictions.where(predictions.masked))
        levels = self.model.config.levels
        own = [
            entropy(torch.cat([clip[number] for clip in self.clips]).long())
            for number in range(levels)
        ]
        notes = [f"entropy of all tokens, guessed or not: {sum(own) / levels:.3f} bits"]
        if self.baselines:
            counted = self.fitted
            notes.append(
                f"unigram and bigram: counted on {counted['songs']} songs, {counted['from']}"
            )
        else:
            notes.append("unigram and bigram: left out, there were not two songs to count them on")
        tables = [table for name, entry in found.items() for table in self.tables(name, entry)]
        data = {
            "window": self.model.config.window,
            "rounds": self.rounds,
            "fit": self.fitted,
            "entropy_of_all": own,
            "maskings": found,
        }
        return Report(data, tables, notes)

    def _predict_masked(self, name: str, mask: Mask) -> MaskedPredictions:
        """Predict masked tokens of every window ``rounds`` times."""
        beside = [baseline_bits(clip, self.baselines) for clip in self.clips]
        generator = torch.Generator().manual_seed(self.seed)
        work = batches(self.clips, self.model.config.window) * self.rounds
        return concatenate(
            [
                predict_masked(self.model, self.clips, beside, batch, mask, generator)
                for batch in track(work, f"guessing, {name}", self.shown)
            ]
        )

    def by_level(self, predictions: MaskedPredictions) -> dict[str, Any]:
        """Bits a token by level and over all levels, and the model's by song."""
        rows: list[dict[str, Any]] = []
        for number in range(self.model.config.levels):
            part = predictions.where(predictions.level == number)
            means = dict(zip(COLUMNS, part.values.mean(dim=0).tolist(), strict=True))
            rows.append({"tokens": len(part.code), "entropy": entropy(part.code), **means})
        total = sum(row["tokens"] for row in rows)
        overall = {
            key: sum(row[key] * row["tokens"] for row in rows) / total
            for key in ("entropy", *COLUMNS)
        }
        named = {f"level {number}": row for number, row in enumerate(rows, start=1)}
        named["all levels"] = {"tokens": total, **overall}
        for row in named.values():
            for baseline in _BASELINES:
                # no share of 0 bits, where all tokens are the same
                known = row[baseline] or math.nan
                row[f"under_{baseline}"] = 1 - row["nll"] / known
        songs = list(dict.fromkeys(self.names))
        owner = torch.tensor([songs.index(name) for name in self.names])[predictions.clip]
        bits = {
            name: float(predictions.values[owner == number, 0].mean())
            for number, name in enumerate(songs)
        }
        return {"levels": named, "by_song": summarize(list(bits.values())), "songs": bits}

    def tables(self, name: str, found: dict[str, Any]) -> list[Table]:
        """A masking's tables."""
        lines = []
        for part, row in found["levels"].items():
            cells = [_blank(row[key], ".3f") for key in ("nll", *_BASELINES)]
            shares = [_blank(row[f"under_{key}"], ".1%") for key in _BASELINES]
            lines.append([part, f"{row['tokens']:,}", *cells, *shares, f"{row['right']:.1%}"])
        by_song = Table(
            f"{name}: the model's bits a token, by song",
            ("", *SPREAD),
            [["", *found["by_song"].cells()]],
        )
        return [Table(f"{name}: bits a token", ("", "tokens", *_HEADINGS), lines), by_song]


def _blank(value: float, form: str) -> str:
    """A number as text; empty for NaN."""
    return "" if math.isnan(value) else format(value, form)
