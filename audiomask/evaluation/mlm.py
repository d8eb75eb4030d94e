"""Masked language model: how well it knows the tokens of songs that it never saw.

It sees windows of its own size, plain sequences without SEP or spectrum, every channel by itself.
Three maskings, each several times with a fixed seed:

- BERT: 15 % of the tokens; of those 80 % MASK, 10 % random, 10 % kept; measured on them all;
- BERT, MASK only: the same, measured where the model really saw MASK;
- frames: 15 % of the frames lose all their levels, as in a gap. In BERT's masking the other
  levels of a masked token's frame are mostly there to guess from; here they are not.

Measured in bits a token: the negative log-likelihood, beside baselines on the same tokens:

- unigram entropy: of the guessed tokens' own distribution. No unigram can do better on them, and
  as it is fitted to what it is tested on, it looks better than any real one when tokens are few;
- unigram, bigram: counted on other songs (see ``bigram.py``); the bigram knows the true token one
  frame before on the same level, masked or not;
- 0.18 s window: the model itself, when it sees no more than that at once (the paper's 512 tokens
  of 16 samples): what the long window buys.
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

BERT, MASKED, FRAMES = "bert", "bert, MASK only", "frames"
BASELINES = ("entropy", "unigram", "bigram", "short")
HEADINGS = (
    *("model", "unigram entropy", "unigram", "bigram", "0.18 s window"),
    *("under entropy", "under unigram", "under bigram", "under 0.18 s", "top-1"),
)

logger = logging.getLogger("audiomask")


class MLMEvaluator(Evaluator):
    """Measures an engine's masked language model.

    Args:
        engine: the models.
        rounds: how often every window is masked.
        seed: decides what is masked.
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
        """Count unigram and bigram on songs; those that cannot be read are named and left out.

        Args:
            refs: none of which will be measured.
            origin: where they are from, in words.
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
        if len(songs) < 2:  # how much to trust the counts is found on songs not counted
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
        """Tokenise a song: it is guessed at the end, with all others."""
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
        """Guess, and make a table for every masking."""
        found: dict[str, dict[str, Any]] = {}
        vocabulary = self.model.vocabulary
        maskings: dict[str, Mask] = {
            BERT: lambda ids, generator: bert_mask(ids, vocabulary, generator),
            FRAMES: lambda ids, generator: frame_mask(ids, vocabulary.mask, generator),
        }
        for name, mask in maskings.items():
            predictions = self.predict_masked(name, mask)
            found[name] = self.by_level(predictions)
            if name == BERT:
                found[MASKED] = self.by_level(predictions.where(predictions.masked))
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

    def predict_masked(self, name: str, mask: Mask) -> MaskedPredictions:
        """Guess tokens of every window ``rounds`` times."""
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
            for baseline in BASELINES:
                # there is nothing to be under where all tokens are one
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
            cells = [blank(row[key], ".3f") for key in ("nll", *BASELINES)]
            shares = [blank(row[f"under_{key}"], ".1%") for key in BASELINES]
            lines.append([part, f"{row['tokens']:,}", *cells, *shares, f"{row['right']:.1%}"])
        by_song = Table(
            f"{name}: the model's bits a token, by song",
            ("", *SPREAD),
            [["", *found["by_song"].cells()]],
        )
        return [Table(f"{name}: bits a token", ("", "tokens", *HEADINGS), lines), by_song]


def blank(value: float, form: str) -> str:
    """A number as text; nothing for NaN."""
    return "" if math.isnan(value) else format(value, form)
