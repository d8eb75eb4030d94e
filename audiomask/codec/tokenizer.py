"""Recordings to tokens and back, and the check that tokens are of a VQ-VAE."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.codec.chunks import DecodedSource, LeftRight, MidSide, chunk_of, encode
from audiomask.errors import TokensError, UsageError
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime.memory import AdaptiveBatches
from audiomask.tokens import MID_SIDE, SEPARATE, Tokens


def tokenize(
    vqvae: AnyVQVAE,
    fingerprint: str,
    source: AudioSource,
    device: torch.device,
    levels: int | None = None,
    stereo: str = SEPARATE,
    progress: Callable[[float], None] | None = None,
    batches: AdaptiveBatches | None = None,
) -> Tokens:
    """Tokens of a recording.

    Args:
        vqvae: in evaluation mode, on ``device``.
        fingerprint: the VQ-VAE's.
        source: at any sample rate, with any number of channels.
        device: the model's.
        levels: how many of the first levels to keep; all when None.
        stereo: "separate" codes each channel by itself, "mid-side" the mean of left and right and
            half their difference. Only recordings of two channels have mid and side.
        progress: called with the seconds of audio just done.
        batches: the device's, which remember how much fits into its memory.

    Raises:
        UsageError: the VQ-VAE has fewer levels.
    """
    config = vqvae.config
    if levels is not None and not 1 <= levels <= config.levels:
        raise UsageError(f"--levels {levels}: this VQ-VAE has 1 to {config.levels}")
    if source.channels != 2:
        stereo = SEPARATE
    coded = MidSide(source) if stereo == MID_SIDE else source
    codes = encode(vqvae, coded, device, progress, batches)[:, :levels]
    return Tokens(
        codes=codes.contiguous(),
        sample_rate=source.sample_rate,
        num_samples=source.frames,
        hop_length=config.hop_length,
        codebook_size=config.codebook_size,
        fingerprint=fingerprint,
        model_sample_rate=config.sample_rate,
        stereo=stereo,
    )


def detokenize(
    vqvae: AnyVQVAE, fingerprint: str, tokens: Tokens, batches: AdaptiveBatches | None = None
) -> Iterator[Tensor]:
    """The audio of tokens: consecutive blocks [C, n], ``tokens.num_samples`` samples in all.

    Args:
        vqvae: in evaluation mode.
        fingerprint: the VQ-VAE's.
        tokens: of a recording.
        batches: those of the VQ-VAE's device.

    Raises:
        TokensError: another VQ-VAE made them.
    """
    _check(vqvae, fingerprint, tokens)
    mid_side = tokens.stereo == MID_SIDE
    decoded: AudioSource = DecodedSource(vqvae, tokens.codes, not mid_side, batches)
    audio = ResampledSource(LeftRight(decoded) if mid_side else decoded, tokens.sample_rate)
    chunk = chunk_of(tokens.channels)
    for start in range(0, tokens.num_samples, chunk):
        yield audio.read(start, min(start + chunk, tokens.num_samples))


def _check(vqvae: AnyVQVAE, fingerprint: str, tokens: Tokens) -> None:
    """Raise TokensError unless the VQ-VAE made the tokens."""
    if tokens.fingerprint != fingerprint:
        raise TokensError(
            f"these tokens were made by the VQ-VAE {tokens.fingerprint}, not by "
            f"{fingerprint}; name theirs with --model"
        )
    config = vqvae.config
    for name, value, true in (
        ("hop_length", tokens.hop_length, config.hop_length),
        ("model_sample_rate", tokens.model_sample_rate, config.sample_rate),
        ("codebook_size", tokens.codebook_size, config.codebook_size),
    ):
        if value != true:
            raise TokensError(f"{name} is {value} in these tokens, {true} in their VQ-VAE")
    if tokens.levels > config.levels:
        raise TokensError(f"{tokens.levels} levels, but their VQ-VAE has {config.levels}")
