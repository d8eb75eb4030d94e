"""Batches of the spectrogram model: masked windows of excerpts, and pairs of halves."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.data.excerpt import Excerpt, generator
from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.continuation import join, middle, separator
from audiomask.networks.spectrogram.features import BandSpectrum, compress, reference
from audiomask.networks.spectrogram.masking import VISIBLE, mask, sample_fates
from audiomask.networks.vqvae import AnyVQVAE

#: windows that are cut from an excerpt
WINDOWS = 2


class SpectrogramBatch(NamedTuple):
    """Masked windows.

    Attributes:
        inputs: what the model gets, [B, F, bands].
        target: the true magnitudes, [B, F, bands].
        hidden: bool [B, F, bands], the parts to predict.
        truth: int64 [B], whether the second half is the continuation of the first: 1 yes, 0 no,
            -1 for windows in one piece.
        codes: the VQ-VAE's codes of level 1, int64 [B, F], of the first of its frames in each;
            [B, 0] where they are not predicted.
    """

    inputs: Tensor
    target: Tensor
    hidden: Tensor
    truth: Tensor
    codes: Tensor


class _Heard(NamedTuple):
    """An excerpt: its power [F, bands], and codes [F] or [0] as in a batch."""

    power: Tensor
    codes: Tensor


class Windows:
    """Makes masked windows of excerpts, and pairs of halves.

    Attributes:
        vqvae: whose codes are predicted, on the device of the excerpts; None where none are.

    Args:
        config: of the model to be trained.
        seed: with an item's index, decides everything that is random.
    """

    vqvae: AnyVQVAE | None = None

    def __init__(self, config: SpectrogramConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        self._spectrum = BandSpectrum(config)

    def sample(self, index: int) -> Tensor:
        """The seed of an excerpt's windows."""
        return torch.randint(1 << 32, (), generator=generator(self.seed, index))

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> SpectrogramBatch:
        """``WINDOWS`` windows of each of the excerpts [B, …], with their seeds ``sampled`` [B]."""
        heard = [self._hear(mixture.mean(dim=0)) for mixture in excerpts.mixture]
        made = []
        for number, seed in enumerate(sampled.tolist()):
            draw = torch.Generator().manual_seed(seed)
            other = heard[(number + 1) % len(heard)]
            made += [self.window(heard[number], other, at, draw) for at in range(WINDOWS)]
        return SpectrogramBatch(*map(torch.stack, zip(*made, strict=True)))

    def _hear(self, audio: Tensor) -> _Heard:
        """Power and codes of audio [T]."""
        power = self._spectrum(audio)
        if self.vqvae is None:
            return _Heard(power, torch.zeros(0, dtype=torch.int64, device=audio.device))
        # in half precision the VQ-VAE would choose other codes
        with torch.autocast(audio.device.type, enabled=False):
            codes = self.vqvae.encode(audio[None], 1)[0, 0].long()
        return _Heard(power, codes[:: self.config.hop_length // self.vqvae.config.hop_length])

    def window(
        self, song: _Heard, other: _Heard, at: int, draw: torch.Generator
    ) -> SpectrogramBatch:
        """One window, without a batch dimension.

        Args:
            song: the excerpt, of WINDOWS windows.
            other: another song's excerpt; the same where a batch has only one.
            at: number of the window.
            draw: decides all that is random.
        """
        config, size = self.config, self.config.window
        own, codes = (part[at * size : (at + 1) * size] for part in song)
        pair, false, far, place = torch.rand(4, generator=draw).tolist()
        truth = -1
        if pair < config.continuation_prob:
            half = size // 2
            second, later = own[half:], codes[half:]
            truth = int(false < 0.5)
            if not truth:
                # elsewhere in the same song is one of the excerpt's other windows
                rest = slice(None, (WINDOWS - 1) * size)
                elsewhere = _Heard(*(p.roll(-(at + 1) * size, dims=0)[rest] for p in song))
                found = other if far < config.other_song else elsewhere
                start = int(place * (len(found.power) - half + 1))
                second, later = (part[start : start + half] for part in found)
            own, codes = join(own[:half], second), torch.cat([codes[:half], later])
        fates = sample_fates(size, config, draw)
        span = middle(config)
        if truth >= 0:
            fates[span] = VISIBLE
        visible = fates == VISIBLE
        target = compress(own, reference(own, visible.to(own.device)), config.exponent)
        inputs, hidden = mask(target, fates, config, draw)
        if truth >= 0:
            inputs[span] = separator(config).to(inputs.device)
            hidden[span] = False
        return SpectrogramBatch(
            inputs, target, hidden, torch.tensor(truth, device=own.device), codes
        )
