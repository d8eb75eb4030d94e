"""WaveNet (van den Oord et al. 2016), trained and measured as the raw-audio model is.

It is registered as a kind of its own and goes through the ordinary commands, so that it learns
from the same recordings, at the same levels, and codes the same samples. Preset ``default`` has as
many parameters as the raw-audio model, ``small`` a tenth of them, so that it sees more samples in
the same time. Train both for as long as the model.

    python tests/benchmarks/wavenet.py train wavenet --data music/ --out wavenet --max-time 2h
    python tests/benchmarks/wavenet.py evaluate wavenet --model wavenet --data album/ --split all
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.data.excerpt import Excerpt
from audiomask.errors import ConfigError
from audiomask.evaluation.wave import WaveEvaluator
from audiomask.kinds import KINDS, Kind
from audiomask.networks.wave.mulaw import LEVELS
from audiomask.training.config import TrainConfig
from audiomask.training.tasks.wave import WaveBatch, WaveTask, Windows


@dataclasses.dataclass(frozen=True)
class WaveNetConfig:
    """Settings of a WaveNet; its receptive field must be shorter than the window."""

    sample_rate: int = 16_000
    window: int = 16_384
    patch: int = 512
    stacks: int = 3
    layers: int = 10
    channels: int = 80
    skip: int = 128
    end: int = 256

    @property
    def reach(self) -> int:
        """Past samples that a prediction depends on."""
        return self.stacks * (2**self.layers - 1) + 1

    @property
    def run(self) -> int:
        """Patches of a window whose samples have their whole receptive field."""
        return self.window // self.patch + -self.reach // self.patch

    @property
    def targets(self) -> int:
        """All of them are predicted in a step."""
        return self.run


SMALL = {"channels": 24, "skip": 64, "end": 128, "layers": 9, "stacks": 2}


class WaveNet(nn.Module):
    """Gated causal convolutions with dilations 1, 2, 4 …, and the sum of all their outputs."""

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.embedding = nn.Embedding(LEVELS, width)
        self.dilations = [2**n for _ in range(config.stacks) for n in range(config.layers)]
        self.gates = nn.ModuleList(
            nn.Conv1d(width, 2 * width, 2, dilation=d) for d in self.dilations
        )
        self.outs = nn.ModuleList(nn.Conv1d(width, width + config.skip, 1) for _ in self.dilations)
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(config.skip, config.end, 1),
            nn.ReLU(),
            nn.Conv1d(config.end, LEVELS, 1),
        )

    def logits(self, levels: Tensor, wanted: int) -> Tensor:
        """Logits [B, 256, wanted] of what follows each of the last samples of [B, T]."""
        x = self.embedding(levels).mT
        total: Tensor | int = 0
        for gate, out in zip(self.gates, self.outs, strict=True):
            signal, switch = gate(x).chunk(2, dim=1)
            made = out(signal.tanh() * switch.sigmoid())
            x = x[..., -made.shape[-1] :] + made[:, : self.config.channels]
            total = total + made[:, self.config.channels :, -wanted:]
        found: Tensor = self.head(total)
        return found

    def bits(self, levels: Tensor, begin: Tensor, number: int) -> Tensor:
        """Bits [B, number, patch] of a run of patches, the same in all windows [B, T]."""
        size = self.config.patch
        first = int(begin[0, 0]) * size
        last = first + number * size
        # silence before the window's beginning
        padded = F.pad(levels, (self.config.reach, 0), value=LEVELS // 2)
        given = padded[:, first : last + self.config.reach - 1]
        logits = self.logits(given, last - first).float()
        nats = F.cross_entropy(logits, levels[:, first:last], reduction="none")
        return (nats / math.log(2)).view(len(levels), -1, size)


def build(preset: str, settings: Mapping[str, Any]) -> WaveNet:
    """A WaveNet with random weights."""
    try:
        return WaveNet(WaveNetConfig(**((SMALL if preset == "small" else {}) | dict(settings))))
    except TypeError as error:
        raise ConfigError(f"wavenet preset {preset}: {error}") from error


class Runs(Windows):
    """Windows of which all samples are predicted that have their whole receptive field."""

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> WaveBatch:
        """A window of each of the excerpts."""
        config: Any = self.config
        levels = super().__call__(excerpts, sampled).levels
        first = config.window // config.patch - config.run
        return WaveBatch(levels, torch.full((len(levels), 1), first))


class WaveNetTask(WaveTask):
    """The training of a WaveNet."""

    kind = "wavenet"
    train_config = TrainConfig(steps=100_000, batch_size=2, learning_rate=1e-3)

    def batches(self, seed: int) -> Runs:
        """The batch builder."""
        config: Any = self.model.config
        return Runs(config, seed)


class WaveNetEvaluator(WaveEvaluator):
    """Measures a WaveNet."""

    kind = "wavenet"


def main() -> None:
    """Run a command of audiomask that knows WaveNets as well."""
    here = __name__
    KINDS["wavenet"] = Kind(
        name="wavenet",
        title="WaveNet",
        build=f"{here}:build",
        configs=(f"{here}:WaveNetConfig",),
        task=f"{here}:WaveNetTask",
        evaluator=f"{here}:WaveNetEvaluator",
        presets=("default", "small"),
    )
    from audiomask.cli import main as command

    command(sys.argv[1:])


if __name__ == "__main__":
    main()
