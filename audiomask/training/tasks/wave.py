"""Training of the raw-audio model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from audiomask.data.augmentation import Augmentation
from audiomask.data.excerpt import Excerpt, generator
from audiomask.networks.layers.causal import CausalLayer
from audiomask.networks.stems import STEMS
from audiomask.networks.wave import AnyWave
from audiomask.networks.wave.config import PaperConfig, WaveConfig
from audiomask.networks.wave.model import DecoderLayer
from audiomask.networks.wave.mulaw import encode, full_scale
from audiomask.networks.wave.paper import PaperWave
from audiomask.training.config import TrainConfig
from audiomask.training.task import Task

#: an excerpt's peak is lowered by up to so many decibels, as its song's may be elsewhere
_LOWERED_DB = 12.0
#: share of the runs that are predicted from contexts of all lengths alike, on a logarithmic
#: scale, so that short ones are learned as well; the others lie anywhere in a window
_SHORT_SHARE = 0.5


class WaveBatch(NamedTuple):
    """Windows, and what is predicted of them.

    Attributes:
        levels: int64 [B, T].
        first: int64 [B, R], first patches of the runs that are predicted; [B, 0] for the paper's
            model, which predicts the last sample.
    """

    levels: Tensor
    first: Tensor


class Windows:
    """Makes windows of excerpts.

    The peak of an excerpt becomes 1 and is then lowered at random, as the peak of a recording is 1
    and only some of its windows have it.

    Args:
        config: of the model to be trained.
        seed: with an item's index, decides everything that is random.
    """

    def __init__(self, config: WaveConfig | PaperConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed

    def sample(self, index: int) -> Tensor:
        """The seed of an excerpt's window."""
        return torch.randint(1 << 32, (), generator=generator(self.seed, index))

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> WaveBatch:
        """A window of each of the excerpts [B, …], with their seeds ``sampled`` [B]."""
        made = [
            self.window(mixture.mean(dim=0), torch.Generator().manual_seed(seed))
            for mixture, seed in zip(excerpts.mixture, sampled.tolist(), strict=True)
        ]
        return WaveBatch(*map(torch.stack, zip(*made, strict=True)))

    def window(self, audio: Tensor, draw: torch.Generator) -> WaveBatch:
        """One window of audio [T], without a batch dimension."""
        gain = 10 ** (-_LOWERED_DB / 20 * float(torch.rand((), generator=draw)) ** 2)
        levels = encode(audio * (gain / full_scale(audio)))
        # a recording that is shorter than a window has silence after it
        sounding = int(audio.nonzero()[-1]) + 1 if audio.any() else len(audio)
        if isinstance(self.config, PaperConfig):
            return WaveBatch(levels.roll(len(audio) - sounding), torch.zeros(0, dtype=torch.int64))
        run = self.config.run
        # places at which a run can begin
        number = max(sounding // self.config.patch - run + 1, 1)
        kind, place = torch.rand(2, self.config.targets // run, generator=draw)
        # place 0 of a logarithmic scale is the first patch
        short = torch.expm1(place * math.log1p(number))
        first = torch.where(kind < _SHORT_SHARE, short, place * number).long()
        return WaveBatch(levels, first.clamp_max(number - 1).to(levels.device))


class WaveTask(Task):
    """Predict samples from all before them; the loss is in bits a sample."""

    kind = "wave"
    train_config = TrainConfig(steps=20_000, batch_size=2, optimizer="muon", learning_rate=5e-4)
    # what a recording sounds like as it is; changes of pitch and effects take longer than a step
    augmentation = Augmentation(random_mixing=0.0, pitch_tempo_prob=0.0, effects_prob=0.0)
    needs_stems = False
    model: AnyWave

    @classmethod
    def samples(cls, config: Any) -> int:
        """The samples of a window, and for the paper's model the one to predict."""
        length: int = config.window + isinstance(config, PaperConfig)
        return length

    @classmethod
    def stems(cls, config: Any, known: Iterable[str]) -> tuple[str, ...]:
        """All stems of the data."""
        return tuple(sorted(known)) or STEMS

    def batches(self, seed: int) -> Windows:
        """The batch builder."""
        return Windows(self.model.config, seed)

    def repeated_blocks(self) -> Iterator[nn.Module]:
        """The layers of transformer and decoder."""
        kinds = (CausalLayer, DecoderLayer, nn.TransformerEncoderLayer)
        return (part for part in self.model.modules() if isinstance(part, kinds))

    def loss(self, batch: WaveBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Bits a sample."""
        if isinstance(self.model, PaperWave):
            return self.model.bits(batch.levels).mean(), {}
        return self.model.bits(batch.levels, batch.first, self.model.config.run).mean(), {}
