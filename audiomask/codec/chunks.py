"""Recordings to tokens and back, in chunks whose context makes the result exact."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime.memory import AdaptiveBatches

#: samples of a chunk of one or two channels, without its context: 24 s at 44.1 kHz
CHUNK = 1 << 20
#: frames of the smallest batch when memory falls short: its context is about as long
_LEAST = 64


def chunk_of(channels: int) -> int:
    """Samples of a chunk of a recording with this many channels."""
    return max(CHUNK // max(channels // 2, 1), 1)


def encode(
    vqvae: AnyVQVAE,
    source: AudioSource,
    device: torch.device,
    progress: Callable[[float], None] | None = None,
    batches: AdaptiveBatches | None = None,
) -> Tensor:
    """Codes [C, levels, F] of a recording.

    Args:
        vqvae: in evaluation mode, on ``device``.
        source: at any sample rate; it is resampled to the model's.
        device: the model's.
        progress: called with the seconds of audio just done.
        batches: the device's, which remember how much fits into its memory.
    """
    config, batches = vqvae.config, batches or AdaptiveBatches(device)
    audio = ResampledSource(source, config.sample_rate)
    frames = -(-audio.frames // config.hop_length)
    step = max(chunk_of(source.channels) // config.hop_length, 1)
    kind = torch.int16 if config.codebook_size <= 1 << 15 else torch.int32

    def compute(start: int, stop: int) -> Tensor:
        return _encode_frames(vqvae, audio, start, stop, frames, device).to(kind)

    parts = []
    for start in range(0, frames, step):
        stop = min(start + step, frames)
        parts += batches.map("frames", start, stop, compute, _LEAST)
        if progress is not None:
            end = min(stop * config.hop_length, audio.frames)
            progress((end - start * config.hop_length) / config.sample_rate)
    return torch.cat(parts, dim=-1)


@torch.inference_mode()
def _encode_frames(
    vqvae: AnyVQVAE,
    audio: AudioSource,
    start: int,
    stop: int,
    frames: int,
    device: torch.device,
) -> Tensor:
    """Codes [C, levels, stop - start] of frames of a recording, equal to those of one pass over it.

    Args:
        vqvae: in evaluation mode, on ``device``.
        audio: at the model's sample rate.
        start, stop: the frames.
        frames: of the whole recording: no context is read beyond its ends.
        device: the model's.
    """
    config = vqvae.config
    low, high = max(start - config.context, 0), min(stop + config.context, frames)
    samples = audio.read(low * config.hop_length, high * config.hop_length)
    codes = vqvae.encode(samples.to(device))
    return codes[..., start - low : stop - low].cpu()


class DecodedSource:
    """Tokens as an audio source, decoded as it is read.

    Args:
        vqvae: in evaluation mode.
        codes: [C, levels, F].
        together: whether channels share their phases. Mid and side differ too much for that.
        batches: those of the VQ-VAE's device, which remember how much fits into its memory.
    """

    def __init__(
        self,
        vqvae: AnyVQVAE,
        codes: Tensor,
        together: bool = True,
        batches: AdaptiveBatches | None = None,
    ) -> None:
        self.vqvae, self.codes, self.together = vqvae, codes, together
        self.batches = batches or AdaptiveBatches(next(vqvae.parameters()).device)
        self.sample_rate = vqvae.config.sample_rate
        self.channels = codes.shape[0]
        self.frames = codes.shape[-1] * vqvae.config.hop_length

    @torch.inference_mode()
    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside."""
        hop = self.vqvae.config.hop_length
        out = torch.zeros(self.channels, stop - start)
        first, last = max(start, 0), min(stop, self.frames)
        if first >= last:
            return out
        low = first // hop

        def compute(start: int, stop: int) -> Tensor:
            return self.vqvae.decode(self.codes, start, stop, self.together).cpu()

        parts = self.batches.map("frames", low, -(-last // hop), compute, _LEAST)
        audio = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        out[:, first - start : last - start] = audio[:, first - low * hop : last - low * hop]
        return out


class MidSide:
    """A stereo recording as mid (the mean of left and right) and side (half of left minus right).

    Args:
        source: of two channels.
    """

    def __init__(self, source: AudioSource) -> None:
        self.source = source
        self.sample_rate, self.channels, self.frames = source.sample_rate, 2, source.frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [2, stop - start]; zeros outside."""
        left, right = self.source.read(start, stop)
        return torch.stack([left + right, left - right]) / 2


class LeftRight(MidSide):
    """Left and right of a source of mid and side."""

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [2, stop - start]; zeros outside."""
        return 2 * super().read(start, stop)
