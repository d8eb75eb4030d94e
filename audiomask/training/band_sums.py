"""Batches of the masks: sums of excerpts' spectra over bands."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.audio.bands import Bands, as_parts
from audiomask.audio.spectra import band_weights, centered, frame_spectra
from audiomask.data.excerpt import Excerpt, generator
from audiomask.data.lossy import MP3_RATES, STRONGEST, through_mp3
from audiomask.networks.masks.config import MasksConfig

#: share of low-passed excerpts, and range of their cutoff, as shares of the Nyquist frequency
LOWPASSED, CUTOFFS = 0.2, (0.45, 0.9)
#: share of the others whose mixture goes through MP3
MP3_PROB = 0.15


class _StemSums(NamedTuple):
    """Powers and cross-spectra of mixtures and stems, summed over bands.

    Attributes:
        mixture_power: Σ|X|² in every band of every channel [B, C, bands, F].
        channel_cross: Σ Re(L R*) of the mixture's channels [B, bands, F].
        stem_power: Σ|S|² [B, S + 1, C, bands, F], the residual last.
        cross_power: Σ Re(S X*) [B, S + 1, C, bands, F].
    """

    mixture_power: Tensor
    channel_cross: Tensor
    stem_power: Tensor
    cross_power: Tensor


class MasksBatch(NamedTuple):
    """A batch to learn masks from.

    Attributes:
        sums: of the excerpts whose stems are known, [B, …].
        gram: Σ Re(X Y*) of all channels of the U recordings without stems,
            [U, C, U, C, bands, F].
    """

    sums: _StemSums
    gram: Tensor


class BandSums:
    """Makes batches of excerpts.

    Args:
        config: of the model to be trained.
        seed: with an item's index, decides what lossy codecs do to it.
    """

    def __init__(self, config: MasksConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        nyquist = config.sample_rate / 2
        bins = config.stft_size // 2 + 1
        self.weights = band_weights(bins, nyquist, config.bands, nyquist)
        self.bands: dict[torch.device, Bands] = {}

    def sample(self, index: int) -> Tensor:
        """What lossy codecs do to an excerpt: its lowpass's cutoff and its compression, [2].

        The cutoff is a share of the Nyquist frequency, 1 for none. The compression is that of
        ``through_mp3``, -1 for none, as always at sample rates that MP3 does not have.
        """
        chance, position = torch.rand(2, generator=generator(self.seed, index))
        low, high = CUTOFFS
        cutoff = torch.where(chance < LOWPASSED, low + position * (high - low), 1.0)
        coded = (cutoff == 1) & (chance > 1 - MP3_PROB * (1 - LOWPASSED))
        coded &= self.config.sample_rate in MP3_RATES
        return torch.stack([cutoff, torch.where(coded, position * STRONGEST, -1.0)])

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> MasksBatch:
        """A batch of excerpts [B, …], with what codecs do to them, ``sampled`` [B, 2]."""
        known = excerpts.has_stems.cpu()
        # one at a time, to save memory
        pairs = zip(excerpts.stems[known], sampled[known].tolist(), strict=True)
        sums = [self.band_sums(stems, *lossy) for stems, lossy in pairs]
        if not sums:
            empty = self.band_sums(torch.zeros_like(excerpts.stems[0]))
            sums_of_all = _StemSums(*(part[None][:0] for part in empty))
        else:
            sums_of_all = _StemSums(*map(torch.stack, zip(*sums, strict=True)))
        return MasksBatch(sums_of_all, self.gram(excerpts.mixture[~known]))

    def _bands(self, device: torch.device) -> Bands:
        """The bands, on a device."""
        if device not in self.bands:
            self.bands[device] = Bands(self.weights.to(device))
        return self.bands[device]

    def _spectrum(self, audio: Tensor, cutoff: float = 1.0) -> Tensor:
        """Spectra of audio [..., C, T], below the cutoff, as parts."""
        size, hop = self.config.stft_size, self.config.hop_length
        found = as_parts(frame_spectra(centered(audio, size, hop), size, hop))
        found[..., 2 * round(cutoff * (size // 2 + 1)) :] = 0
        return found

    def gram(self, mixtures: Tensor) -> Tensor:
        """Σ Re(X Y*) in every band of all channels of mixtures [U, C, T].

        Returns:
            [U, C, U, C, bands, F]; without mixtures [0, C, 0, C, bands, F].
        """
        bands = self._bands(mixtures.device)
        number, channels, length = mixtures.shape
        frames = length // self.config.hop_length
        every = [row for mixture in mixtures for row in self._spectrum(mixture)]
        found = mixtures.new_zeros(len(every), len(every), bands.number, frames)
        for k, one in enumerate(every):
            for m, other in enumerate(every[: k + 1]):
                found[k, m] = found[m, k] = bands.to_bands(one * other).T
        return found.view(number, channels, number, channels, bands.number, frames)

    def band_sums(self, stems: Tensor, cutoff: float = 1.0, compression: float = -1.0) -> _StemSums:
        """The sums of one excerpt, without a batch dimension.

        Args:
            stems: [S + 1, C, T].
            cutoff: of the lowpass, as a share of the Nyquist frequency.
            compression: of the mixture by MP3, from 0; below 0 for none. The stems stay as they
                were before, so that masks learn to give these back as well as they can.
        """
        bands = self._bands(stems.device)
        audible = stems.abs().amax(dim=(1, 2)) > 0
        parts = [self._spectrum(stem, cutoff) for stem in stems[audible]]
        frames = stems.shape[-1] // self.config.hop_length
        empty = stems.new_zeros(stems.shape[1], bands.number, frames)
        # the STFT is linear
        mixture = torch.stack(parts).sum(dim=0) if parts else None
        if compression >= 0 and mixture is not None:
            coded = through_mp3(stems.sum(dim=0), self.config.sample_rate, compression)
            mixture = self._spectrum(coded, cutoff)

        def products(one: Tensor, other: Tensor) -> Tensor:
            return torch.stack([bands.to_bands(a * b).T for a, b in zip(one, other, strict=True)])

        powers, crosses = [], []
        remaining = iter(parts)
        for is_audible in audible.tolist():
            part = next(remaining) if is_audible else None
            powers.append(empty if part is None else products(part, part))
            crosses.append(empty if part is None or mixture is None else products(part, mixture))
        power = empty if mixture is None else products(mixture, mixture)
        channel_cross = empty[0] if mixture is None else products(mixture[:1], mixture[-1:])[0]
        return _StemSums(power, channel_cross, torch.stack(powers), torch.stack(crosses))
