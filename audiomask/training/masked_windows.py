"""Batches of the spectrogram model: masked windows of excerpts, and pairs of halves."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from audiomask.data.excerpt import Excerpt, generator
from audiomask.networks.spectrogram.beats import off_beat
from audiomask.networks.spectrogram.config import SpectrogramConfig
from audiomask.networks.spectrogram.continuation import join, margin, middle, separator
from audiomask.networks.spectrogram.features import BandSpectrum, compress, reference
from audiomask.networks.spectrogram.masking import VISIBLE, mask, sample_fates
from audiomask.networks.vqvae import AnyVQVAE

#: windows that are cut from an excerpt
_WINDOWS = 2
#: greatest power of a far passage that is silent
_SILENT = 1e-12


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
    """A passage: its power [F, bands], and codes [F] or [0] as in a batch."""

    power: Tensor
    codes: Tensor

    def cut(self, start: int, frames: int) -> _Heard:
        """Frames from ``start`` on."""
        return _Heard(*(part[start : start + frames] for part in self))


class _Song(NamedTuple):
    """An excerpt: its windows, and half a window from far away in the song, if there is one."""

    windows: _Heard
    far: _Heard | None


def first_frames(config: SpectrogramConfig) -> int:
    """Frames of an excerpt's first passage: its windows, and a margin after them."""
    return _WINDOWS * config.window + margin(config)


def far_frames(config: SpectrogramConfig) -> int:
    """Frames of an excerpt's far passage: half a window, and a margin on either side."""
    return config.window // 2 + 2 * margin(config)


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
        """``_WINDOWS`` windows of each of the excerpts [B, …], with their seeds ``sampled`` [B]."""
        heard = [self._song(mixture.mean(dim=0)) for mixture in excerpts.mixture]
        made = []
        for number, seed in enumerate(sampled.tolist()):
            draw = torch.Generator().manual_seed(seed)
            other = heard[(number + 1) % len(heard)].windows
            made += [self.window(heard[number], other, at, draw) for at in range(_WINDOWS)]
        return SpectrogramBatch(*map(torch.stack, zip(*made, strict=True)))

    def _song(self, audio: Tensor) -> _Song:
        """An excerpt's audio [T]: windows and, in what is left of it, a far passage."""
        config, first = self.config, first_frames(self.config) * self.config.hop_length
        windows = self._hear(audio[:first]).cut(0, _WINDOWS * config.window)
        if len(audio) <= first:
            return _Song(windows, None)
        far = self._hear(audio[first:]).cut(margin(config), config.window // 2)
        return _Song(windows, far if float(far.power.amax()) > _SILENT else None)

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
        self, song: _Song, other: _Heard, at: int, draw: torch.Generator
    ) -> SpectrogramBatch:
        """One window, without a batch dimension.

        Args:
            song: the excerpt.
            other: another song's windows; the same where a batch has only one.
            at: number of the window.
            draw: decides all that is random.
        """
        config, size = self.config, self.config.window
        own, codes = song.windows.cut(at * size, size)
        pair, false = torch.rand(2, generator=draw).tolist()
        truth = -1
        if pair < config.continuation_prob:
            half = size // 2
            truth = int(false < 0.5)
            second = song.windows.cut(at * size + half, half)
            if not truth:
                second = self._false_half(song, other, at, draw)
            own = join(own[:half], second.power)
            codes = torch.cat([codes[:half], second.codes])
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

    def _false_half(self, song: _Song, other: _Heard, at: int, draw: torch.Generator) -> _Heard:
        """Half a window that is not the continuation of another half; arguments as of ``window``.

        Where a song has no far passage, as it is too short or silent there, one beside the window
        takes its place.
        """
        config, size = self.config, self.config.window
        half, frames = size // 2, _WINDOWS * size
        song_draw, kind, place = torch.rand(3, generator=draw).tolist()
        if song_draw < config.other_song:
            return other.cut(int(place * (frames - half + 1)), half)
        if kind < config.far_passage and song.far is not None:
            return song.far
        if 0 <= kind - config.far_passage < config.beat_shift:
            true, window = at * size + half, song.windows.cut(at * size, size)
            # there is room after the first window, and before the last
            low, high = (1, frames - half - true) if at < _WINDOWS // 2 else (-true, -1)
            move = off_beat(window.power, config, low, high, draw)
            # half a window is longer than a part of a beat
            assert move is not None
            return song.windows.cut(true + move, half)
        # the excerpt's other windows
        rest = frames - size
        beside = _Heard(*(part.roll(-(at + 1) * size, dims=0)[:rest] for part in song.windows))
        return beside.cut(int(place * (rest - half + 1)), half)
