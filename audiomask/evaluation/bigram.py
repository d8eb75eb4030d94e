"""Unigram and bigram models of tokens: baselines for the masked language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

#: pseudo-counts tried: of the uniform distribution in the unigram, of the unigram in the bigram
UNIFORM = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_BACKOFF = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
#: one song of so many is held out to choose the pseudo-counts
_HELD_OUT = 5


@dataclass(frozen=True)
class Bigram:
    """Unigram and interpolated bigram of one level's codes.

    P(b) = (n(b) + β) / (N + β K), P(b | a) = (n(a b) + α P(b)) / (n(a ·) + α): rare pairs fall back
    to the unigram, and rare codes to the uniform distribution.

    Attributes:
        unigram: P(b), double [K].
        counts: n(a b), double [K, K].
        alpha, beta: the pseudo-counts.
    """

    unigram: Tensor
    counts: Tensor
    alpha: float
    beta: float

    def unigram_bits(self, codes: Tensor) -> Tensor:
        """-log2 P of each code of [F], double [F]."""
        return -self.unigram[codes].log2()

    def bigram_bits(self, codes: Tensor) -> Tensor:
        """-log2 P of each code of [F] given the one before, double [F]; the first by unigram."""
        before, after = codes[:-1], codes[1:]
        seen = self.counts[before, after] + self.alpha * self.unigram[after]
        bits = -(seen / (self.counts.sum(dim=1)[before] + self.alpha)).log2()
        return torch.cat([self.unigram_bits(codes[:1]), bits])


def count(clips: Sequence[Tensor], size: int, alpha: float, beta: float) -> Bigram:
    """A model of clips, codes [F] each, with given pseudo-counts."""
    single = torch.bincount(torch.cat(list(clips)), minlength=size).double()
    pairs = torch.cat([clip[:-1] * size + clip[1:] for clip in clips])
    counts = torch.bincount(pairs, minlength=size * size).double().view(size, size)
    unigram = (single + beta) / (single.sum() + beta * size)
    return Bigram(unigram, counts, alpha, beta)


def fit(songs: Sequence[Sequence[Tensor]], size: int) -> Bigram:
    """A model of at least two songs. Its pseudo-counts are chosen on held-out songs.

    Args:
        songs: the channels of each, codes int64 [F].
        size: of the codebook, K.
    """
    held_out = list(songs[_HELD_OUT - 1 :: _HELD_OUT]) or [songs[-1]]
    counted = [song for index, song in enumerate(songs) if (index + 1) % _HELD_OUT]
    counted = counted if len(counted) < len(songs) else list(songs[:-1])
    known, new = list(chain.from_iterable(counted)), list(chain.from_iterable(held_out))

    def cost(alpha: float, beta: float, pairs: bool) -> float:
        model = count(known, size, alpha, beta)
        bits = model.bigram_bits if pairs else model.unigram_bits
        return float(sum(bits(clip).sum() for clip in new))

    beta = min(UNIFORM, key=lambda beta: cost(1.0, beta, False))
    alpha = min(_BACKOFF, key=lambda alpha: cost(alpha, beta, True))
    return count(known + new, size, alpha, beta)
