"""The mask U-Net: from a mixture's band powers to soft masks and activity of stems.

A U-Net over bands and frames (Jansson et al. 2017, "Singing voice separation with deep U-Net
convolutional networks") with a transformer over all frames in the bottleneck.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from audiomask.networks.layers.band_features import FEATURES, band_features, stereo_features
from audiomask.networks.layers.transformer import Transformer
from audiomask.networks.masks.config import MasksConfig
from audiomask.runtime import distributed


class DistributedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization with the statistics of all processes' batches together."""

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
    """Convolution over 3 bands and 3 frames, batch normalization, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        # the normalization would remove a bias
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm: nn.Module = DistributedBatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, bands, F] to [B, out_channels, bands, F]."""
        return F.relu(self.norm(self.conv(x)), inplace=True)

    def fuse(self) -> None:
        """Fold the normalization into the convolution, for inference."""
        if isinstance(self.norm, DistributedBatchNorm2d):
            # fusing loses the memory format
            fused = fuse_conv_bn_eval(self.conv, self.norm)
            self.conv = fused.to(memory_format=torch.channels_last)
            self.norm = nn.Identity()


class _SkipBlock(Block):
    """A block over an input concatenated with its skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels, channels)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """Two inputs [B, channels, bands, F] to [B, channels, bands, F]."""
        assert skip is not None
        if not isinstance(self.norm, nn.Identity):
            return super().forward(torch.cat([x, skip], dim=1))
        # two convolutions are faster than a concatenation
        first, second = self.conv.weight.chunk(2, dim=1)
        out = F.conv2d(x, first, self.conv.bias, padding=1)
        out += F.conv2d(skip, second, padding=1)
        return out.relu_()


class _MaskOutput(NamedTuple):
    """Output of the mask U-Net.

    Attributes:
        shares: soft masks of the stems and the residual, [B, S + 1, C, bands, F], which sum to 1.
        activity: logits of the probability that a stem is active, [B, S, F].
    """

    shares: Tensor
    activity: Tensor


class MaskUNet(nn.Module):
    """Soft masks of stems and residual for every band and frame of a mixture, mono or stereo.

    The louder channel comes first, so swapped channels have exactly swapped masks.

    Args:
        config: the model's configuration.
    """

    def __init__(self, config: MasksConfig) -> None:
        super().__init__()
        self.config = config
        channels, outputs = config.channels, (len(config.stems) + 1) * config.audio_channels
        pairs = list(pairwise(channels))
        in_channels = (FEATURES[config.audio_channels], *channels[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(Block(i, o), Block(o, o))
            for i, o in zip(in_channels, channels, strict=True)
        )
        # only bands are downsampled, so that onsets stay sharp
        self.downsample = nn.ModuleList(nn.Conv2d(c, c, (2, 1), (2, 1)) for c in channels[:-1])
        self.upsample = nn.ModuleList(nn.ConvTranspose2d(o, i, (2, 1), (2, 1)) for i, o in pairs)
        self.up = nn.ModuleList(_SkipBlock(c) for c in channels[:-1])
        # convolutions alone do not know which band they see
        self.band_embedding = nn.Parameter(torch.zeros(channels[0], config.bands, 1))
        bottom = channels[-1] * (config.bands >> len(pairs))
        self.linear_in = nn.Linear(bottom, config.dim)
        self.transformer = Transformer(config.dim, config.heads, config.layers, config.kernel)
        self.norm = nn.LayerNorm(config.dim)
        self.linear_out = nn.Linear(config.dim, bottom)
        self.activity = nn.Linear(config.dim, len(config.stems))
        self.scores = nn.Conv2d(channels[0], outputs, 1)
        self.bias = nn.Parameter(torch.zeros(outputs, config.bands, 1))
        # fastest for convolutions, most of all on a CPU in bf16
        self.to(memory_format=torch.channels_last)

    def fuse(self) -> None:
        """Fold all normalizations into the convolutions, for faster inference."""
        for part in self.modules():
            if isinstance(part, Block):
                part.fuse()

    def forward(self, power: Tensor, cross: Tensor) -> _MaskOutput:
        """Masks and activity of mixtures.

        Args:
            power: of each channel in every band, [B, C, bands, F], C being 1 or 2.
            cross: Σ Re(L R*) in every band, [B, bands, F]; the power of a mono mixture.
        """
        channels = power.shape[1]
        if self.config.audio_channels == 1:
            logits, activity = self.logits(band_features(power.mean(dim=1))[:, None])
            return _MaskOutput(logits.expand(-1, -1, channels, -1, -1).float().softmax(1), activity)
        both = power.expand(-1, 2, -1, -1)
        loud = both.sum(dim=(2, 3))
        swapped = (loud[:, 1] > loud[:, 0])[:, None, None, None]
        ordered = torch.where(swapped, both.flip(1), both)
        logits, activity = self.logits(stereo_features(ordered, cross))
        if channels == 1:
            return _MaskOutput(logits.mean(dim=2, keepdim=True).float().softmax(dim=1), activity)
        logits = torch.where(swapped[..., None], logits.flip(2), logits)
        return _MaskOutput(logits.float().softmax(dim=1), activity)

    def logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the masks [B, S + 1, C, bands, F] and of activity [B, S, F].

        Args:
            features: of the mixture, [B, features, bands, F].
        """
        x = features.contiguous(memory_format=torch.channels_last)
        skips = []
        for number, block in enumerate(self.down):
            x = block(x)
            if number == 0:
                x = x + self.band_embedding.to(x.dtype)
            if number < len(self.downsample):
                skips.append(x)
                x = self.downsample[number](x)
        _, _, bands, _ = x.shape
        hidden = self.linear_in(x.permute(0, 3, 1, 2).flatten(2))
        hidden = self.norm(self.transformer(hidden, None))
        activity = self.activity(hidden).mT
        hidden = self.linear_out(hidden)
        x = x + hidden.unflatten(2, (-1, bands)).permute(0, 2, 3, 1)
        for number in reversed(range(len(self.up))):
            x = self.up[number](self.upsample[number](x), skips.pop())
        logits = self._output_logits(x) + self.bias.to(x.dtype)
        channels = self.config.audio_channels
        return logits.view(len(x), -1, channels, *logits.shape[2:]), activity

    def _output_logits(self, x: Tensor) -> Tensor:
        """Logits [B, outputs, bands, F] of the last stage [B, channels, bands, F]."""
        # faster as a matrix product than as a convolution
        weight = self.scores.weight.flatten(1)
        assert self.scores.bias is not None
        rows = x.permute(0, 2, 3, 1).flatten(1, 2)
        logits: Tensor = weight @ rows.mT + self.scores.bias[:, None]
        return logits.view(len(x), -1, *x.shape[2:])
