"""Separation by tokens: the language model predicts the stems' tokens from the mixture's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource, ResampledSource
from audiomask.codec.chunks import DecodedSource, chunk_of
from audiomask.networks.layers.band_features import band_features
from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.mlm.separation import stem_codes
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime.memory import AdaptiveBatches
from audiomask.separation.separator import Separator, SoftMaskSeparator

#: bands, spectral window, hop and window of the masks if the language model reads no bands
_BANDS, _STFT_SIZE, HOP_LENGTH, WINDOW = 256, 4096, 1024, 288


class WienerSeparator(SoftMaskSeparator):
    """Separates by Wiener masks, from the power of the stems' predicted tokens, decoded.

    Args:
        vqvae, mlm: models in evaluation mode, on ``device``.
        device: of the models.
        batches: batch sizes that the device can hold.
        drafts: makes rough estimates of the stems, for a language model that reads drafts; None
            for no drafts.
    """

    def __init__(
        self,
        vqvae: AnyVQVAE,
        mlm: MaskedLM,
        device: torch.device,
        batches: AdaptiveBatches,
        drafts: Separator | None = None,
    ) -> None:
        config = mlm.config
        bands, size, hop, window = _BANDS, _STFT_SIZE, HOP_LENGTH, WINDOW
        if config.bands:
            bands, size = config.bands, config.band_stft
            hop = config.hop_length * config.band_frames
            window = config.window // config.band_frames
        super().__init__(config.sample_rate, bands, size, hop, window, device)
        self.vqvae, self.mlm, self.batches, self.names = vqvae, mlm, batches, config.stems
        self._drafts = drafts if config.draft else None

    def open(self, audio: AudioSource) -> Callable[[int, int], Tensor]:
        """A function from a window to masks [S + 1, 1, bands, F]."""

        def masks_of(start: int, stop: int) -> Tensor:
            samples = audio.read(start * self.hop_length, stop * self.hop_length)
            return self.shares(samples.to(self.device))

        return masks_of

    def shares(self, audio: Tensor) -> Tensor:
        """Masks of stems and residual [S + 1, 1, bands, F] for a window of audio [C, T].

        The residual has the mixture's power minus the stems', if positive.
        """
        power = self.power(audio)
        powers = []
        for codes in self.predict(audio, range(len(self.names))):
            sound = DecodedSource(self.vqvae, codes, batches=self.batches)
            powers.append(self.power(sound.read(0, audio.shape[-1]).to(self.device)))
        residual = (power - torch.stack(powers).sum(dim=0)).clamp_min(0)
        parts = torch.stack([*powers, residual]) + 1e-10
        return (parts / parts.sum(dim=0))[:, None]

    def encode(self, audio: Tensor) -> Tensor:
        """Codes [C, levels, F'] of audio [C, T], in batches of channels that fit in memory."""

        def compute(start: int, stop: int) -> Tensor:
            return self.vqvae.encode(audio[start:stop], self.mlm.config.levels)

        return torch.cat(self.batches.map("channels", 0, len(audio), compute))

    @torch.inference_mode()
    def predict(self, audio: Tensor, stems: Sequence[int]) -> Tensor:
        """The stems' most likely tokens, predicted in one pass: [S, C, levels, F'].

        Args:
            audio: [C, F * hop_length], at ``sample_rate``; F is at most a window.
            stems: indices into ``names``.
        """
        codes = self.encode(audio)
        config = self.mlm.config
        if config.bands:
            features = band_features(self.power(audio)[None]).expand(len(codes), -1, -1)
            return stem_codes(self.mlm, codes, stems, features, self._draft_codes(audio, stems))
        window = config.window
        if config.layout == "concatenated":
            window = (window - 1) // 2  # the model's window has mixture, separator and stem
        parts = torch.split(codes, window, dim=-1)
        return torch.cat([stem_codes(self.mlm, part, stems) for part in parts], dim=-1)

    def _draft_codes(self, audio: Tensor, stems: Sequence[int]) -> Tensor | None:
        """Codes [S, C, levels, F'] of rough estimates of stems, MASK for those that have none.

        Args:
            audio: [C, F * hop_length], at ``sample_rate``.
            stems: indices into ``names``.
        """
        if self._drafts is None:
            return None
        names = self._drafts.names
        known = [n for n in stems if self.names[n] in names]
        frames = audio.shape[-1] // self.vqvae.config.hop_length
        shape = (len(stems), len(audio), self.mlm.config.levels, frames)
        codes = torch.full(shape, self.mlm.vocabulary.mask, device=audio.device)
        if known:
            source = MemorySource(audio.cpu(), self.sample_rate)
            numbers = [names.index(self.names[n]) for n in known]
            rough = torch.cat(list(self._drafts.stems(source, numbers)), dim=-1).to(audio.device)
            for n, estimate in zip(known, rough, strict=True):
                codes[list(stems).index(n)] = self.encode(estimate)
        return codes


class TokenSeparator(WienerSeparator):
    """Decodes stems from their predicted tokens, as in the paper."""

    def stems(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Stems [S, C, n], in consecutive blocks, after prediction of the whole recording."""
        audio = ResampledSource(source, self.sample_rate)
        windows, _ = self.windows(audio)
        per_frame = self.hop_length // self.vqvae.config.hop_length
        predicted: list[Tensor] = []
        done = 0
        for number, (start, stop) in enumerate(windows):
            samples = audio.read(start * self.hop_length, stop * self.hop_length)
            codes = self.predict(samples.to(self.device), stems)
            # windows are cut in the middle of their overlap, as they have least context at the ends
            last = number == len(windows) - 1
            end = stop if last else (windows[number + 1][0] + stop) // 2
            inner = slice((done - start) * per_frame, (end - start) * per_frame)
            predicted.append(codes[..., inner].to(torch.int16).cpu())
            done = end
        sounds = [
            ResampledSource(
                DecodedSource(self.vqvae, codes.long(), batches=self.batches), source.sample_rate
            )
            for codes in torch.cat(predicted, dim=-1)
        ]
        chunk = chunk_of(source.channels)
        for start in range(0, source.frames, chunk):
            stop = min(start + chunk, source.frames)
            yield torch.stack([sound.read(start, stop) for sound in sounds])
