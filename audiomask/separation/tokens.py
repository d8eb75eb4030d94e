"""Separation by tokens, as the paper does it: the language model predicts the stems' tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.codec.chunks import DecodedSource, chunk_of
from audiomask.networks.layers.band_features import band_features
from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.mlm.separation import stem_codes
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime.memory import AdaptiveBatches
from audiomask.separation.separator import ShareSeparator

#: bands, spectral window, hop and window of the shares where the language model reads no bands
_BANDS, _STFT_SIZE, HOP_LENGTH, WINDOW = 256, 4096, 1024, 288


class WienerSeparator(ShareSeparator):
    """Shares the spectrum out by the power of the stems' predicted tokens, decoded.

    Args:
        vqvae, mlm: in evaluation mode, on ``device``.
        device: where they are.
        batches: of the device.
    """

    def __init__(
        self, vqvae: AnyVQVAE, mlm: MaskedLM, device: torch.device, batches: AdaptiveBatches
    ) -> None:
        config = mlm.config
        bands, size, hop, window = _BANDS, _STFT_SIZE, HOP_LENGTH, WINDOW
        if config.bands:
            bands, size = config.bands, config.band_stft
            hop = config.hop_length * config.band_frames
            window = config.window // config.band_frames
        super().__init__(config.sample_rate, bands, size, hop, window, device)
        self.vqvae, self.mlm, self.batches, self.names = vqvae, mlm, batches, config.stems

    def open(self, audio: AudioSource) -> Callable[[int, int], Tensor]:
        """What finds shares [S + 1, 1, bands, F] of a recording's windows."""

        def find(start: int, stop: int) -> Tensor:
            samples = audio.read(start * self.hop_length, stop * self.hop_length)
            return self.shares(samples.to(self.device))

        return find

    def shares(self, audio: Tensor) -> Tensor:
        """Each stem's share of a window [C, T], then the rest's: [S + 1, 1, bands, F].

        What of the mixture's power the stems leave unexplained is the rest's.
        """
        power = self.power(audio)
        powers = []
        for codes in self.predict(audio, range(len(self.names))):
            sound = DecodedSource(self.vqvae, codes, batches=self.batches)
            powers.append(self.power(sound.read(0, audio.shape[-1]).to(self.device)))
        rest = (power - torch.stack(powers).sum(dim=0)).clamp_min(0)
        parts = torch.stack([*powers, rest]) + 1e-10
        return (parts / parts.sum(dim=0))[:, None]

    def encode(self, audio: Tensor) -> Tensor:
        """Codes [C, levels, F'] of a window [C, T], as many channels at once as there is room."""

        def compute(start: int, stop: int) -> Tensor:
            return self.vqvae.encode(audio[start:stop], self.mlm.config.levels)

        return torch.cat(self.batches.map("channels", 0, len(audio), compute))

    @torch.inference_mode()
    def predict(self, audio: Tensor, stems: Sequence[int]) -> Tensor:
        """The stems' likeliest tokens, all of them masked: [S, C, levels, F'].

        Args:
            audio: [C, F * hop_length] at ``sample_rate``, of a window at most.
            stems: their numbers.
        """
        codes = self.encode(audio)
        config = self.mlm.config
        if config.bands:
            features = band_features(self.power(audio)[None]).expand(len(codes), -1, -1)
            hidden = self.mlm.predict_all_stems(self.mlm.context(codes, features))
            return torch.stack([self.mlm.logits(hidden[:, n]).argmax(dim=-1) for n in stems])
        window = config.window
        if config.layout == "concatenated":
            window = (window - 1) // 2  # mixture and stem share the model's window
        parts = torch.split(codes, window, dim=-1)
        return torch.stack(
            [torch.cat([stem_codes(self.mlm, part, n) for part in parts], dim=-1) for n in stems]
        )


class TokenSeparator(WienerSeparator):
    """Decodes each stem from its predicted tokens alone, the paper's way."""

    def stems(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Stems [S, C, n] decoded from tokens.

        The tokens of the whole recording are predicted first: they are small.
        """
        audio = ResampledSource(source, self.sample_rate)
        windows, _ = self.windows(audio)
        per_frame = self.hop_length // self.vqvae.config.hop_length
        found: list[Tensor] = []
        settled = 0
        for number, (start, stop) in enumerate(windows):
            samples = audio.read(start * self.hop_length, stop * self.hop_length)
            codes = self.predict(samples.to(self.device), stems)
            # where two windows overlap, each has its half: both know least of their ends
            last = number == len(windows) - 1
            until = stop if last else (windows[number + 1][0] + stop) // 2
            inner = slice((settled - start) * per_frame, (until - start) * per_frame)
            found.append(codes[..., inner].to(torch.int16).cpu())
            settled = until
        sounds = [
            ResampledSource(
                DecodedSource(self.vqvae, codes.long(), batches=self.batches), source.sample_rate
            )
            for codes in torch.cat(found, dim=-1)
        ]
        chunk = chunk_of(source.channels)
        for start in range(0, source.frames, chunk):
            stop = min(start + chunk, source.frames)
            yield torch.stack([sound.read(start, stop) for sound in sounds])
