"""Separation of recordings: windows of shares from the model, blended and applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from audiomask.audio.pcm import quantise
from audiomask.audio.shares import SharedOut
from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.audio.spectra import band_weights, stft, to_bands
from audiomask.audio.windows import blend_windows, plan_windows
from audiomask.inference.codec import DecodedSource
from audiomask.mlm.model import MaskedLM, band_features
from audiomask.mlm.separation import stem_codes
from audiomask.vqvae import AnyVQVAE

#: the grid of the shares: 44.1 kHz, this hop
HOP = 512
#: bands and window for models that do not bring their own
BANDS, BAND_STFT = 256, 4096
#: frames of a window for them
WINDOW = 576


class Separator:
    """Takes stems out of recordings.

    Args:
        vqvae, mlm: in evaluation mode, on ``device``.
        device: where they are.
    """

    def __init__(self, vqvae: AnyVQVAE, mlm: MaskedLM, device: torch.device) -> None:
        self.vqvae, self.mlm, self.device = vqvae, mlm, device
        self.sample_rate = vqvae.config.sample_rate
        self.nyquist = self.sample_rate / 2
        config = mlm.config
        self.headed = config.bands > 0
        self.bands = config.bands or BANDS
        self.size = config.band_stft if self.headed else BAND_STFT
        self.weights = band_weights(self.size // 2 + 1, self.nyquist, self.bands, self.nyquist).to(
            device
        )
        self.window = config.window if self.headed else WINDOW

    def blocks(
        self, source: AudioSource, stems: Sequence[int], residual: bool, subtype: str
    ) -> Iterator[list[Tensor]]:
        """Consecutive blocks of the stems asked for, [C, n] each, then the residual if wanted.

        Stems are rounded to what ``subtype`` stores, and the residual is the mixture minus the
        rounded stems: together they give the mixture back.
        """
        audio = ResampledSource(source, self.sample_rate)
        frames = -(-audio.frames // HOP)
        overlap = self.window // 6  # by so many frames a window fades into the next
        windows = plan_windows(frames, self.window, overlap)

        def compute(start: int, stop: int) -> Tensor:
            samples = audio.read(start * HOP, stop * HOP).to(self.device)
            return self.shares(samples)[list(stems)]

        pieces = blend_windows(windows, overlap, compute)
        shared = SharedOut(source, HOP / self.sample_rate, self.nyquist)
        done = 0
        for block in shared.stems(pieces):
            rounded = [quantise(stem, subtype) for stem in block.cpu().unbind()]
            length = block.shape[-1]
            if residual:
                mixture = source.read(done, done + length)
                rounded.append(mixture - torch.stack(rounded).sum(dim=0))
            done += length
            yield rounded

    @torch.inference_mode()
    def shares(self, audio: Tensor) -> Tensor:
        """Each stem's share of a window, then the rest's: [S + 1, bands, F].

        Args:
            audio: [C, F * HOP] at the model's rate.
        """
        spectrum = stft(audio, self.size, HOP)
        # the channels' mean power: folding them to mono would cancel what is out of phase
        power = to_bands(
            (spectrum.real.square() + spectrum.imag.square()).mean(dim=0), self.weights
        )
        if not self.headed:
            return self._shares_of_tokens(audio, power)
        codes = self.vqvae.encode(audio, self.mlm.config.levels)
        context = self.mlm.context(codes[None], band_features(power[None]))
        logits = self.mlm.mask_logits(context, self.mlm.all_stems(context))
        return logits[0].float().softmax(dim=0)

    def _shares_of_tokens(self, audio: Tensor, power: Tensor) -> Tensor:
        """Shares from the power of the stems' predicted tokens, decoded (a Wiener filter).

        What of the mixture's power they leave unexplained is the rest's.
        """
        powers = []
        for stem in range(len(self.mlm.config.stems)):
            sound = DecodedSource(self.vqvae, self.predict(audio, stem))
            spectrum = stft(sound.read(0, audio.shape[-1]).to(self.device), self.size, HOP)
            powers.append(
                to_bands(
                    (spectrum.real.square() + spectrum.imag.square()).mean(dim=0), self.weights
                )
            )
        rest = (power - torch.stack(powers).sum(dim=0)).clamp_min(0)
        parts = torch.stack([*powers, rest]) + 1e-10
        return parts / parts.sum(dim=0)

    def predict(self, audio: Tensor, stem: int) -> Tensor:
        """The stem's likeliest tokens, all of them masked: [C, levels, F'].

        Args:
            audio: [C, T] at the model's rate, T a multiple of its hop.
        """
        codes = self.vqvae.encode(audio, self.mlm.config.levels)
        window = self.mlm.config.window
        if self.mlm.config.layout == "concatenated":
            window = (window - 1) // 2  # mixture and stem share the model's window
        parts = torch.split(codes, window, dim=-1)
        return torch.cat([stem_codes(self.mlm, part, stem) for part in parts], dim=-1)
