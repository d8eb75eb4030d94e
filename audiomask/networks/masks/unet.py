"""The refiner: from a mixture's spectrum, and what the MLM heard in it, to masks on that spectrum.

Tokens say what plays; where exactly its energy lies is in the spectrum alone. A U-Net over bands
and time (Jansson et al. 2017) finds the same shapes at every pitch with the same weights, so that
it learns from little and knows instruments that it never heard; at its bottom a transformer
looks at the whole window, and there the MLM's hidden states join.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from audiomask.networks.layers.transformer import Transformer
from audiomask.runtime import distributed


class Norm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes: N of them are as one.

    In use it is a fixed scale for each channel, whatever else sounds in the window.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, bands, F] to the same."""
        if not self.training or distributed.world_size() == 1:
            return super().forward(x)
        wide = x.float()
        moments = torch.stack([wide.mean(dim=(0, 2, 3)), wide.square().mean(dim=(0, 2, 3))])
        mean, square = distributed.all_reduce_mean_with_gradient(moments)
        variance = (square - mean.square()).clamp_min(0)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        number = x.numel() // x.shape[1] * distributed.world_size()
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * number / max(number - 1, 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        scaled: Tensor = wide * scale[:, None, None] + shift[:, None, None]
        return scaled.to(x.dtype)


class Block(nn.Module):
    """Convolution over 3 bands and 3 frames, normalisation, rectifier."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__()
        # what a bias adds, the normalisation takes away
        self.conv = nn.Conv2d(inward, outward, 3, padding=1, bias=False)
        self.norm: nn.Module = Norm(outward)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inward, bands, F] to [B, outward, bands, F]."""
        return F.relu(self.norm(self.conv(x)), inplace=True)

    def fold(self) -> None:
        """Make the normalisation part of the convolution, once all is learned."""
        if isinstance(self.norm, Norm):
            # fusing keeps the numbers, not their order in memory
            fused = fuse_conv_bn_eval(self.conv, self.norm)
            self.conv = fused.to(memory_format=torch.channels_last)
            self.norm = nn.Identity()


class Joint(Block):
    """A block over two inputs of as many channels, as if they were one input's halves."""

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels, channels)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Two inputs [B, channels, bands, F] to [B, channels, bands, F]."""
        assert other is not None
        if not isinstance(self.norm, nn.Identity):
            return super().forward(torch.cat([x, other], dim=1))
        # the sum of two convolutions spares a copy of both
        first, second = self.conv.weight.chunk(2, dim=1)
        found = F.conv2d(x, first, self.conv.bias, padding=1)
        found += F.conv2d(other, second, padding=1)
        return found.relu_()


class Refiner(nn.Module):
    """Scores of stems and residual for every band of a mixture.

    Args:
        bands: of the spectrum; each stage but the first has half as many.
        channels: of the U-Net's stages.
        outputs: stems, with the residual.
        dim, heads, layers, kernel: of the transformer at the bottom.
        guide: width of what guides it, 0 for nothing.
    """

    def __init__(
        self,
        bands: int,
        channels: Sequence[int],
        outputs: int,
        dim: int,
        heads: int,
        layers: int,
        kernel: int,
        guide: int = 0,
    ) -> None:
        super().__init__()
        pairs = list(pairwise(channels))
        inward = (1, *channels[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(Block(i, o), Block(o, o)) for i, o in zip(inward, channels, strict=True)
        )
        # halving bands keeps every frame: onsets stay sharp
        self.shrink = nn.ModuleList(nn.Conv2d(c, c, (2, 1), (2, 1)) for c in channels[:-1])
        self.grow = nn.ModuleList(nn.ConvTranspose2d(o, i, (2, 1), (2, 1)) for i, o in pairs)
        self.up = nn.ModuleList(Joint(c) for c in channels[:-1])
        #: where a band lies: the convolutions alone know only its neighbours
        self.place = nn.Parameter(torch.zeros(channels[0], bands, 1))
        bottom = channels[-1] * (bands >> len(pairs))
        self.inward = nn.Linear(bottom, dim)
        self.guide = nn.Linear(guide, dim, bias=False) if guide else None
        self.layers = Transformer(dim, heads, layers, kernel)
        self.norm = nn.LayerNorm(dim)
        self.outward = nn.Linear(dim, bottom)
        self.scores = nn.Conv2d(channels[0], outputs, 1)
        self.bias = nn.Parameter(torch.zeros(outputs, bands, 1))
        # the order in which convolutions are fastest, on a CPU in half precision above all
        self.to(memory_format=torch.channels_last)

    def fold(self) -> None:
        """Get ready for use: the same scores, up to four times as fast, and no more learning."""
        for part in self.modules():
            if isinstance(part, Block):
                part.fold()

    @property
    def guided(self) -> bool:
        """Whether a guide has any weight; where it gains nothing, it can do without."""
        return self.guide is not None and bool(self.guide.weight.any())

    def forward(self, features: Tensor, guide: Tensor | None = None) -> Tensor:
        """Scores [B, outputs, bands, F]; their softmax over the outputs shares the mixture out.

        Args:
            features: the mixture, [B, bands, F] (see ``band_features``).
            guide: [B, F, guide]; rows of zeros, or None, where there is none.
        """
        x = features[:, None].contiguous(memory_format=torch.channels_last)
        stages = []
        for number, block in enumerate(self.down):
            x = block(x)
            if number == 0:
                x = x + self.place.to(x.dtype)
            if number < len(self.shrink):
                stages.append(x)
                x = self.shrink[number](x)
        _, _, bands, _ = x.shape
        hidden = self.inward(x.permute(0, 3, 1, 2).flatten(2))
        if self.guide is not None and guide is not None:
            hidden = hidden + self.guide(guide)
        hidden = self.outward(self.norm(self.layers(hidden, None)))
        x = x + hidden.unflatten(2, (-1, bands)).permute(0, 2, 3, 1)
        for number in reversed(range(len(self.up))):
            x = self.up[number](self.grow[number](x), stages.pop())
        return self._score(x) + self.bias.to(x.dtype)

    def _score(self, x: Tensor) -> Tensor:
        """Scores [B, outputs, bands, F] of the last stage [B, channels, bands, F]."""
        # a product of rows: as a convolution it would be unfolded first
        weight = self.scores.weight.flatten(1)
        assert self.scores.bias is not None
        rows = x.permute(0, 2, 3, 1).flatten(1, 2)
        scores: Tensor = weight @ rows.mT + self.scores.bias[:, None]
        return scores.view(len(x), -1, *x.shape[2:])
