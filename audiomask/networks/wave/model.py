"""The raw-audio model: patch encoder, causal transformer over patches, decoder of every sample.

The decoder sees the transformer's output for all earlier patches, the newest samples, and linear
predictions that adapt backwards with their residuals. Its output is a mixture of logistic
distributions around these predictions, so that training begins with what they know. It has no
connections between samples but these inputs: any run of patches can be predicted alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.networks.layers.causal import CausalTransformer
from audiomask.networks.wave.config import STRIDES, WaveConfig
from audiomask.networks.wave.features import PatchFeatures, lines_of, number_of, patch_features
from audiomask.networks.wave.logistic import expected_bits, log_probability
from audiomask.networks.wave.mulaw import QUIETEST, decode

#: channels of the encoder, and its convolutions' widths as multiples of their strides
_CHANNELS, _WIDTH = (32, 64, 128), 2
#: patches decoded at once; more are decoded in turns, without keeping what backward can make anew
AT_ONCE = 64
#: scales of a prediction's components at the beginning, in multiples of the residuals' usual size
_NARROWEST, _WIDEST = 0.25, 1.0
#: how many times as likely a predictor of residuals e times smaller is at the beginning, as a power
_PREFERENCE = 8.0


class _PatchEncoder(nn.Module):
    """Patches to vectors: strided convolutions, the same for all patches, and the level."""

    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for channels, stride in zip(_CHANNELS, STRIDES, strict=True):
            width = _WIDTH * stride
            layers += [nn.Conv1d(before, channels, width, stride, (width - stride) // 2), nn.GELU()]
            before = channels
        self.layers = nn.Sequential(*layers)
        self.linear = nn.Linear(before * patch // math.prod(STRIDES) + 1, dim)

    def forward(self, patches: Tensor) -> Tensor:
        """[M, S] to [M, dim]."""
        level = patches.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(QUIETEST)
        shape = self.layers((patches / level)[:, None]).flatten(1)
        made: Tensor = self.linear(torch.cat([shape, level.log().to(shape.dtype) / 2], dim=-1))
        return made


class DecoderLayer(nn.Module):
    """A residual feed-forward layer, scaled and shifted by the patch's context."""

    def __init__(self, dim: int, hidden: int, context: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.modulate = nn.Linear(context, 2 * dim)
        self.expand = nn.Linear(dim, hidden)
        self.contract = nn.Linear(hidden, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """[M, S, dim] to [M, S, dim], with contexts [M, context]."""
        scale, shift = self.modulate(context)[:, None].chunk(2, dim=-1)
        y = torch.addcmul(shift, self.norm(x), 1 + scale)
        return x + self.contract(F.relu(self.expand(y)))  # type: ignore[no-any-return]


class _Decoder(nn.Module):
    """Features and context of patches to distributions of their samples."""

    def __init__(self, config: WaveConfig) -> None:
        super().__init__()
        dim, self.number = config.decoder_dim, lines_of(config)
        self.components = config.components
        self.past = nn.Conv1d(1 + self.number, dim, config.history)
        self.numbers = nn.Linear(number_of(config) + config.dim, dim)
        self.layers = nn.ModuleList(
            DecoderLayer(dim, config.decoder_hidden, config.dim)
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 3 * self.number * self.components)
        # how much better predictors are preferred, by what they left over of the newest samples
        self.preference = nn.Parameter(torch.full((1,), _PREFERENCE))
        nn.init.zeros_(self.head.weight)
        # not linspace, which takes a second to import the compiler where shapes are checked
        step = math.log(_WIDEST / _NARROWEST) / max(self.components - 1, 1)
        spread = [math.log(_NARROWEST) + step * number for number in range(self.components)]
        with torch.no_grad():
            bias = self.head.bias.zero_().view(3, self.number, self.components)
            bias[2] = torch.tensor(spread)

    def forward(self, features: PatchFeatures, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and logarithms of scales of the components, [M, S, K] each.

        Args:
            features: of the patches.
            context: of each, [M, dim].
        """
        samples = features.numbers.shape[1]
        repeated = context[:, None].expand(-1, samples, -1)
        x = self.past(features.past).mT
        x = x + self.numbers(torch.cat([features.numbers, repeated], dim=-1))
        for layer in self.layers:
            x = layer(x, context)
        found = self.head(self.norm(x)).float()
        logits, offsets, widths = found.view(*found.shape[:-1], 3, self.number, -1).unbind(-3)
        scales = features.log_scales[..., None]
        logits = logits - self.preference * scales
        means = features.means[..., None] + scales.exp() * offsets
        return logits.flatten(-2), means.flatten(-2), (scales + widths).flatten(-2)


class WaveModel(nn.Module):
    """The default model.

    Args:
        config: the model's configuration.
    """

    def __init__(self, config: WaveConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _PatchEncoder(config.patch, config.dim)
        self.transformer = CausalTransformer(config.dim, config.heads, config.layers)
        self.norm = nn.LayerNorm(config.dim)
        # the context of a window's first patch
        self.start = nn.Parameter(torch.zeros(config.dim))
        self.decoder = _Decoder(config)

    def context(self, samples: Tensor) -> Tensor:
        """What is known before each patch, [B, P, dim]; nothing of the patch itself.

        Args:
            samples: [B, T], T a multiple of the patch.
        """
        rows, length = samples.shape
        patches = samples.view(-1, self.config.patch)
        tokens = self.encoder(patches).view(rows, length // self.config.patch, -1)[:, :-1]
        start = self.start.to(tokens.dtype).expand(rows, 1, -1)
        if not tokens.shape[1]:
            return start
        known: Tensor = self.norm(self.transformer(tokens))
        return torch.cat([start, known.to(start.dtype)], dim=1)

    def bits(self, levels: Tensor, first: Tensor, number: int) -> Tensor:
        """Bits of the samples of runs of patches, each given all before it in the window.

        Args:
            levels: int64 [B, T], T a multiple of the patch.
            first: int64 [B, R], first patches of the runs.
            number: patches of a run.

        Returns:
            [B, R * number, patch].
        """
        parts = [costs[0] for costs in self._costs(levels, first, number, expected=False)]
        return torch.cat(parts, dim=1)

    def costs(self, levels: Tensor, first: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Bits of the samples of runs of patches, and about how many bits were to be expected.

        Arguments and shapes are those of ``bits``.
        """
        found = self._costs(levels, first, number, expected=True)
        bits, expected = zip(*found, strict=True)
        return torch.cat(bits, dim=1), torch.cat(expected, dim=1)

    def _costs(
        self, levels: Tensor, first: Tensor, number: int, expected: bool
    ) -> Iterator[Sequence[Tensor]]:
        """Bits, and the expected ones if asked for, of some patches at a time."""
        samples, size = decode(levels), self.config.patch
        context = self.context(samples)
        target = levels.view(len(levels), -1, size)
        for begin, length in _turns(first, number):
            # numbers of the patches, run after run
            chosen = begin[..., None] + torch.arange(length, device=begin.device)
            chosen = chosen.flatten(1)[..., None]
            given = context.gather(1, chosen.expand(-1, -1, context.shape[-1])).flatten(0, 1)
            wanted = target.gather(1, chosen.expand(-1, -1, size)).flatten(0, 1)
            features = patch_features(samples, begin, length, self.config)
            told = (wanted, given, features, expected)
            if torch.is_grad_enabled() and first.shape[1] * number > AT_ONCE:
                # which imports the compiler, and that takes a second
                from torch.utils.checkpoint import checkpoint

                found = checkpoint(self._decode, *told, use_reentrant=False)
            else:
                found = self._decode(*told)
            yield [one.view(*chosen.shape[:2], size) for one in found]

    def _decode(
        self, levels: Tensor, context: Tensor, features: Any, expected: bool
    ) -> list[Tensor]:
        """Bits of levels [M, S], and the expected ones if asked for."""
        mixture = self.decoder(features, context)
        with torch.autocast(levels.device.type, enabled=False):
            found = [-log_probability(levels, *mixture) / math.log(2)]
            if expected:
                found.append(expected_bits(*mixture))
        return found


def _turns(first: Tensor, number: int) -> Iterator[tuple[Tensor, int]]:
    """First patches [B, R'] and numbers of patches of a few runs, or parts of one, at a time."""
    for begin in torch.split(first, max(AT_ONCE // number, 1), dim=1):
        for offset in range(0, number, AT_ONCE):
            yield begin + offset, min(AT_ONCE, number - offset)
