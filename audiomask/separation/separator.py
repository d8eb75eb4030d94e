"""Separation of recordings: windows of shares from the model, blended and applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from audiomask.audio.bands import Bands, as_parts
from audiomask.audio.pcm import quantize
from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.audio.spectra import at_once, band_weights, centred, frame_spectra
from audiomask.audio.windows import blend_windows, plan_windows
from audiomask.codec.chunks import DecodedSource, chunk_of
from audiomask.networks.mlm.model import MaskedLM, band_features
from audiomask.networks.mlm.separation import stem_codes
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime.device import fast
from audiomask.runtime.memory import AdaptiveBatches
from audiomask.separation.masking import SharedOut
from audiomask.separation.settings import SeparationMethod

#: bands, spectral window and hop of the shares for models that do not bring their own
BANDS, BAND_STFT, BAND_HOP = 256, 4096, 1024
#: frames of a window for them
WINDOW = 288


class Separator:
    """Takes stems out of recordings.

    Args:
        vqvae, mlm: in evaluation mode, on ``device``.
        device: where they are.
        memory: the device's, where what it holds at once is known already.
    """

    def __init__(
        self,
        vqvae: AnyVQVAE,
        mlm: MaskedLM,
        device: torch.device,
        memory: AdaptiveBatches | None = None,
    ) -> None:
        self.vqvae, self.mlm, self.device = vqvae, mlm, device
        self.memory = memory or AdaptiveBatches(device)
        self.sample_rate = vqvae.config.sample_rate
        self.nyquist = self.sample_rate / 2
        config = mlm.config
        self.headed = config.bands > 0
        # a guide without weight would be worked out for nothing
        self.guided = self.headed and mlm.refiner.guided
        self.bands, self.size, self.hop, self.window = BANDS, BAND_STFT, BAND_HOP, WINDOW
        if self.headed:
            self.bands, self.size = config.bands, config.band_stft
            self.hop = config.hop_length * config.band_frames
            self.window = config.window // config.band_frames
        weights = band_weights(self.size // 2 + 1, self.nyquist, self.bands, self.nyquist)
        self.sums = Bands(weights.to(device))

    def blocks(
        self,
        source: AudioSource,
        stems: Sequence[int],
        residual: bool,
        subtype: str,
        method: str = SeparationMethod.mask,
    ) -> Iterator[list[Tensor]]:
        """Consecutive blocks of the stems asked for, [C, n] each, then the residual if wanted.

        Stems are rounded to what ``subtype`` stores, and the residual is the mixture minus the
        rounded stems: together they give the mixture back. What of a stem is beyond full scale is
        left so, for whoever writes it to clip it and say so; the residual counts on that.
        """
        make = self.masked if method == SeparationMethod.mask else self.resynthesised
        made = make(source, stems)
        done = 0
        for block in made:
            found = block.cpu()
            rounded = quantize(found, subtype)
            parts = list(_unclipped(found, rounded).unbind())
            length = block.shape[-1]
            if residual:
                parts.append(source.read(done, done + length) - rounded.sum(dim=0))
            done += length
            yield parts

    def windows(self, audio: AudioSource) -> tuple[list[tuple[int, int]], int]:
        """Windows over all frames of shares, and by how many each fades into the next."""
        overlap = self.window // 6
        return plan_windows(-(-audio.frames // self.hop), self.window, overlap), overlap

    def masked(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Stems [S, C, n] that share out the recording's own spectrum."""
        audio = ResampledSource(source, self.sample_rate)
        windows, overlap = self.windows(audio)

        def compute(start: int, stop: int) -> Tensor:
            samples = audio.read(start * self.hop, stop * self.hop).to(self.device)
            return self.shares(samples)[list(stems)]

        pieces = blend_windows(windows, overlap, compute)
        yield from SharedOut(source, self.hop / self.sample_rate, self.nyquist).stems(pieces)

    def resynthesised(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        """Stems [S, C, n] decoded from their predicted tokens alone, the paper's way.

        The tokens of the whole recording are predicted first: they are small.
        """
        audio = ResampledSource(source, self.sample_rate)
        windows, _ = self.windows(audio)
        per_frame = self.hop // self.vqvae.config.hop_length
        found: list[Tensor] = []
        settled = 0
        for number, (start, stop) in enumerate(windows):
            samples = audio.read(start * self.hop, stop * self.hop).to(self.device)
            codes = self.predict(samples, stems)
            # where two windows overlap, each has its half: both know least of their ends
            last = number == len(windows) - 1
            until = stop if last else (windows[number + 1][0] + stop) // 2
            inner = slice((settled - start) * per_frame, (until - start) * per_frame)
            found.append(codes[..., inner].to(torch.int16).cpu())
            settled = until
        sounds = [
            ResampledSource(
                DecodedSource(self.vqvae, codes.long(), batches=self.memory), source.sample_rate
            )
            for codes in torch.cat(found, dim=-1)
        ]
        chunk = chunk_of(source.channels)
        for start in range(0, source.frames, chunk):
            stop = min(start + chunk, source.frames)
            yield torch.stack([sound.read(start, stop) for sound in sounds])

    def power(self, audio: Tensor) -> Tensor:
        """The power of a window [C, T] in bands, [bands, F], the mean of its channels.

        Folding them to mono would cancel what is out of phase.
        """
        channels, length = audio.shape
        pad = self.size - self.hop
        padded = centred(audio, self.size, self.hop)
        found, step = [], at_once(audio.device, channels) * self.hop
        for begin in range(0, length, step):
            heard = padded[:, begin : min(begin + step, length) + pad]
            parts = as_parts(frame_spectra(heard, self.size, self.hop))
            found.append(self.sums.to_bands(parts.square_().mean(dim=0)))
        return torch.cat(found).T.contiguous()

    def codes(self, audio: Tensor) -> Tensor:
        """Codes [C, levels, F'] of a window [C, T], as many channels at once as there is room."""

        def compute(start: int, stop: int) -> Tensor:
            return self.vqvae.encode(audio[start:stop], self.mlm.config.levels)

        return torch.cat(self.memory.map("channels", 0, len(audio), compute))

    @torch.inference_mode()
    def shares(self, audio: Tensor) -> Tensor:
        """Each stem's share of a window, then the rest's: [S + 1, bands, F].

        Args:
            audio: [C, F * hop] at the model's rate.
        """
        power = self.power(audio)
        if not self.headed:
            return self._shares_of_tokens(audio, power)
        features = band_features(power[None])
        # shares bear rounding, tokens do not: the VQ-VAE stays in full precision
        codes = self.codes(audio) if self.guided else None
        with fast(self.device):
            context = stems = None
            if codes is not None:
                context = self.mlm.context(codes[None], features)
                stems = self.mlm.all_stems(context)
            logits = self.mlm.mask_logits(features, context, stems)
        return logits[0].float().softmax(dim=0)

    def _shares_of_tokens(self, audio: Tensor, power: Tensor) -> Tensor:
        """Shares from the power of the stems' predicted tokens, decoded (a Wiener filter).

        What of the mixture's power they leave unexplained is the rest's.
        """
        powers = []
        for codes in self.predict(audio, range(len(self.mlm.config.stems))):
            sound = DecodedSource(self.vqvae, codes, batches=self.memory)
            powers.append(self.power(sound.read(0, audio.shape[-1]).to(self.device)))
        rest = (power - torch.stack(powers).sum(dim=0)).clamp_min(0)
        parts = torch.stack([*powers, rest]) + 1e-10
        return parts / parts.sum(dim=0)

    @torch.inference_mode()
    def predict(self, audio: Tensor, stems: Sequence[int]) -> Tensor:
        """The stems' likeliest tokens, all of them masked: [S, C, levels, F'].

        Args:
            audio: [C, F * hop] at the model's rate, of a window at most.
            stems: their numbers.
        """
        codes = self.codes(audio)
        if self.headed:
            features = band_features(self.power(audio)[None]).expand(len(codes), -1, -1)
            hidden = self.mlm.all_stems(self.mlm.context(codes, features))
            return torch.stack([self.mlm.logits(hidden[:, n]).argmax(dim=-1) for n in stems])
        window = self.mlm.config.window
        if self.mlm.config.layout == "concatenated":
            window = (window - 1) // 2  # mixture and stem share the model's window
        parts = torch.split(codes, window, dim=-1)
        return torch.stack(
            [torch.cat([stem_codes(self.mlm, part, n) for part in parts], dim=-1) for n in stems]
        )


def _unclipped(found: Tensor, rounded: Tensor) -> Tensor:
    """Rounded samples, but those beyond full scale as they were found."""
    if found is rounded:  # by a subtype that clips nothing
        return rounded
    return torch.where(found.abs() > 1, found, rounded)
