"""Semantic tokens of recordings: clusters of the spectrogram model's layer, one channel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.networks.spectrogram.features import BandSpectrum, compress, reference
from audiomask.networks.spectrogram.model import SEMANTIC_FRAMES, SpectrogramModel
from audiomask.tokens import SEMANTIC, Tokens


def semantic_tokens(
    model: SpectrogramModel,
    source: AudioSource,
    device: torch.device,
    fingerprint: str,
    progress: Callable[[float], None] | None = None,
) -> Tokens:
    """Semantic tokens of a recording's mean channel.

    Args:
        model: in evaluation mode, on ``device``, with its semantic clusters.
        source: at any sample rate, with any number of channels.
        device: the model's.
        fingerprint: the model's.
        progress: called with the seconds of audio just done.
    """
    config = model.config
    return Tokens(
        codes=_encode(model, source, device, progress),
        sample_rate=source.sample_rate,
        num_samples=source.frames,
        hop_length=config.hop_length * SEMANTIC_FRAMES,
        codebook_size=config.semantic_clusters,
        fingerprint=fingerprint,
        model_sample_rate=config.sample_rate,
        kind=SEMANTIC,
    )


@torch.inference_mode()
def _encode(
    model: SpectrogramModel,
    source: AudioSource,
    device: torch.device,
    progress: Callable[[float], None] | None,
) -> Tensor:
    """Codes int16 or int32 [1, 1, tokens].

    Every code is from the middle half of a window, except at the recording's ends. The windows are
    always at the same places, so that codes do not depend on how the recording is read.
    """
    config = model.config
    spectrum = BandSpectrum(config)
    audio = ResampledSource(source, config.sample_rate)
    hop = config.hop_length * SEMANTIC_FRAMES
    total, window = -(-audio.frames // hop), config.window // SEMANTIC_FRAMES
    step = max(window // 2, 1)
    margin = (window - step) // 2
    kind = torch.int16 if config.semantic_clusters <= 1 << 15 else torch.int32
    parts = []
    for start in range(0, total, step):
        stop = min(start + step, total)
        # zeros outside are no music: at the ends the window is moved inside
        low = max(min(start - margin, total - window), 0)
        samples = audio.read(low * hop, (low + window) * hop).mean(dim=0)
        power = spectrum(samples.to(device))
        features = compress(power, reference(power), config.exponent)
        codes = model.semantic_clusters(model.semantic_features(features[None]))[0]
        parts.append(codes[start - low : stop - low].to(kind).cpu())
        if progress is not None:
            end = min(stop * hop, audio.frames)
            progress((end - start * hop) / config.sample_rate)
    return torch.cat(parts)[None, None]
