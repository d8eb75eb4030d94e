"""Codec: recordings to tokens and back, chunk by chunk with enough context to be exact."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.vqvae import AnyVQVAE

#: samples a chunk, before its context: some seconds, so that memory stays flat
CHUNK = 1 << 19


def encode(
    vqvae: AnyVQVAE,
    source: AudioSource,
    device: torch.device,
    progress: Callable[[float], None] | None = None,
) -> Tensor:
    """Codes [C, levels, F] of a recording.

    Args:
        vqvae: in evaluation mode, on ``device``.
        source: at any rate; it is resampled to the model's.
        progress: told the seconds of audio just done.
    """
    config = vqvae.config
    audio = ResampledSource(source, config.sample_rate)
    frames = -(-audio.frames // config.hop_length)
    step = max(CHUNK // config.hop_length, 1)
    parts = []
    for start in range(0, frames, step):
        stop = min(start + step, frames)
        part = encode_frames(vqvae, audio, start, stop, frames, device)
        parts.append(part.to(torch.int16 if config.codebook_size <= 1 << 15 else torch.int32))
        if progress is not None:
            end = min(stop * config.hop_length, audio.frames)
            progress((end - start * config.hop_length) / config.sample_rate)
    return torch.cat(parts, dim=-1)


@torch.inference_mode()
def encode_frames(
    vqvae: AnyVQVAE,
    audio: AudioSource,
    start: int,
    stop: int,
    frames: int,
    device: torch.device,
) -> Tensor:
    """Codes [C, levels, stop - start] of some of a recording's frames, as if all were coded.

    Args:
        audio: at the model's rate.
        frames: how many the recording has; the model must not hear silence beyond its ends.
    """
    config = vqvae.config
    low, high = max(start - config.context, 0), min(stop + config.context, frames)
    samples = audio.read(low * config.hop_length, high * config.hop_length)
    codes = vqvae.encode(samples.to(device))
    return codes[..., start - low : stop - low].cpu()


class DecodedSource:
    """The sound of tokens as an audio source: what is asked for is decoded.

    Args:
        vqvae: in evaluation mode, on ``device``.
        codes: [C, levels, F].
        device: where to decode.
    """

    def __init__(self, vqvae: AnyVQVAE, codes: Tensor, device: torch.device) -> None:
        self.vqvae, self.codes, self.device = vqvae, codes, device
        self.sample_rate = vqvae.config.sample_rate
        self.channels = codes.shape[0]
        self.frames = codes.shape[-1] * vqvae.config.hop_length

    @torch.inference_mode()
    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside."""
        hop, context = self.vqvae.config.hop_length, self.vqvae.config.context
        out = torch.zeros(self.channels, stop - start)
        first, last = max(start, 0), min(stop, self.frames)
        if first >= last:
            return out
        low = max(first // hop - context, 0)
        high = min(-(-last // hop) + context, self.codes.shape[-1])
        audio = self.vqvae.decode(self.codes[..., low:high].long().to(self.device)).cpu()
        out[:, first - start : last - start] = audio[:, first - low * hop : last - low * hop]
        return out
