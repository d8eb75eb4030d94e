"""The default VQ-VAE: spectrum, ConvNeXt encoder, residual quantizer, ConvNeXt decoder, phases.

All the work is done at frame rate (86 frames a second), which makes it ten times cheaper than
strided convolutions from the waveform. What is coded are magnitudes and phase advances; phases are
made up when decoding, so that training compares spectra and never has to learn them: a decoder
that predicted phases by mel losses (as in Vocos, Siuzdak 2023, without its discriminators) gave
noise with the envelope of music.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.audio.spectra import at_once, stft
from audiomask.networks.layers.convnext import ConvNeXtStack
from audiomask.networks.vqvae import phase_reconstruction as phases
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.losses import bin_weights, spectral_loss
from audiomask.networks.vqvae.output import VQVAEOutput
from audiomask.networks.vqvae.quantizer import ResidualQuantizer
from audiomask.networks.vqvae.spectrum import (
    SOFT_FLOOR,
    Spectrum,
    analyze,
    analyze_in_parts,
    length,
    ten_to_the,
)
from audiomask.networks.vqvae.usage import perplexity
from audiomask.runtime import distributed


class VQVAE(nn.Module):
    """Audio [B, T] at 44.1 kHz to codes [B, levels, T / hop] and back."""

    #: exponent that flattens the spectrum's range where phase advances are weighted by it
    COMPRESSION = 0.3
    #: exponent of the principal components' relative size: 0 keeps their variances, 1 evens them
    EVENNESS = 0.5
    #: by how much the magnitudes of noise are raised when decoding, measured on validation clips
    NOISE_GAIN = 0.25
    #: Griffin-Lim iterations where sound has to fit to what is on its sides
    FITTING = 8

    centre: Tensor
    spread: Tensor

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        bins = config.stft_size // 2 + 1
        kernel, code_dim = config.KERNEL, config.code_dim
        # what log magnitudes are on average; ``start`` measures it
        self.register_buffer("centre", torch.full((bins,), -3.0))
        self.register_buffer("spread", torch.ones(()))
        self.encoder = ConvNeXtStack(3 * bins, config.encoder_dim, config.encoder_blocks, kernel)
        self.to_code = nn.Linear(config.encoder_dim, code_dim)
        # a straight way past the networks: these learn what it cannot say
        self.linear_in = nn.Linear(bins, code_dim)
        self.quantizer = ResidualQuantizer(code_dim, config.levels, config.codebook_size)
        self.linear_out = nn.Linear(code_dim, bins)
        self.decoder = ConvNeXtStack(code_dim, config.decoder_dim, config.decoder_blocks, kernel)
        self.head = nn.Linear(config.decoder_dim, 3 * bins)
        for parameter in (*self.to_code.parameters(), *self.head.parameters()):
            nn.init.uniform_(parameter, -2e-3, 2e-3)  # see MaskedLM.special: not normal

    @torch.no_grad()
    def init_from_pca(self, audio: Tensor) -> None:
        """Begin at principal components: the straight way codes and decodes by them.

        From random weights an encoder first learns loudness, then timbre, and in 4,000 steps no
        partials; from here it begins with what 300 steps of that would not reach.

        Args:
            audio: examples [B, T] of what will be learned, some minutes.
        """
        found = self.analyze(audio).log_magnitude.flatten(0, 1)
        self.centre.copy_(found.mean(dim=0))
        self.spread.copy_(found.std(dim=0).mean())
        weights = bin_weights(len(self.centre), self.config.sample_rate, found.device).sqrt()
        data = (found - self.centre) / self.spread * weights
        sizes, axes = torch.linalg.eigh(data.T @ data / len(data))
        sizes = sizes.flip(0)[: self.config.code_dim].clamp_min(1e-8).sqrt()
        axes = axes.flip(1)[:, : self.config.code_dim]
        scale = (sizes[0] / sizes).pow(self.EVENNESS) / sizes[0]
        self.linear_in.weight.copy_((axes * scale).T * weights)
        self.linear_out.weight.copy_((axes / scale) * self.spread / weights[:, None])
        nn.init.zeros_(self.linear_in.bias)
        self.linear_out.bias.copy_(self.centre)
        self.quantizer.init_kmeans(self.latents(self.analyze(audio)).flatten(0, 1))

    def latents(self, spectrum: Spectrum) -> Tensor:
        """Latents [B, F, code_dim] of a spectrum."""
        return self._to_latents(*self._projected_in(spectrum))

    def _projected_in(self, spectrum: Spectrum) -> tuple[Tensor, Tensor]:
        """A spectrum by the encoder's input projection [B, F, dim], and the straight way past it.

        Nothing that comes after is as wide.
        """
        level = (spectrum.log_magnitude - self.centre) / self.spread
        heard = ten_to_the(self.COMPRESSION * spectrum.log_magnitude)
        inputs = torch.cat([level, *(heard * spectrum.advance)], dim=-1)
        return self.encoder.project(inputs), self.linear_in(level)

    def _to_latents(self, projected: Tensor, straight: Tensor) -> Tensor:
        """Latents [B, F, code_dim] of what ``_projected_in`` gives."""
        return self.to_code(self.encoder.body(projected)) + straight  # type: ignore[no-any-return]

    def analyze(self, audio: Tensor) -> Spectrum:
        """The spectrum of audio [B, T].

        Raises:
            ValueError: T is no multiple of the hop length.
        """
        self._check(audio)
        return analyze(audio, self.config.stft_size, self.config.hop_length)

    def _check(self, audio: Tensor) -> None:
        if audio.shape[-1] % self.config.hop_length:
            raise ValueError(f"{audio.shape[-1]} samples are no whole number of frames")

    def decode_spectrum(self, quantized: Tensor) -> Spectrum:
        """The spectrum that quantized latents [B, F, code_dim] stand for."""
        return self._projected_out(self.decoder(quantized), quantized)

    def _projected_out(self, deep: Tensor, quantized: Tensor) -> Spectrum:
        """The spectrum of what the decoder makes of quantized latents, and of them themselves."""
        log_magnitude, real, imaginary = self.head(deep).float().chunk(3, -1)
        log_magnitude = log_magnitude + self.linear_out(quantized).float()
        return Spectrum(log_magnitude, torch.stack([real, imaginary]))

    @torch.no_grad()
    def encode(self, audio: Tensor, levels: int | None = None) -> Tensor:
        """Codes [B, levels, T / hop] of audio [B, T].

        Args:
            audio: at the model's rate.
            levels: only the first levels' codes; all when None.

        Raises:
            ValueError: T is no multiple of the hop length.
        """
        self._check(audio)
        spectra = analyze_in_parts(audio, self.config.stft_size, self.config.hop_length)
        projected, straight = zip(*map(self._projected_in, spectra), strict=True)
        latents = self._to_latents(torch.cat(projected, dim=1), torch.cat(straight, dim=1))
        return self.quantizer.encode(latents, levels)

    @torch.no_grad()
    def decode(
        self, codes: Tensor, start: int = 0, stop: int | None = None, together: bool = False
    ) -> Tensor:
        """Audio [B, frames * hop] of codes [B, 1..levels, F].

        Args:
            codes: of the whole recording, of any integer type.
            start, stop: frames [start, stop) to decode, just as if all were; all by default.
            together: whether the rows are channels of one recording, and so share their phases:
                what was in the middle stays there.
        """
        total = codes.shape[-1]
        stop = total if stop is None else stop
        first, last = phases.span(start, stop, total, self.config.overlap)
        reach = self.config.reach
        low, high = max(first - reach, 0), min(last + reach, total)
        part = codes[..., low:high].long().to(self.head.weight.device)
        quantized = self.quantizer.decode(part)
        kept = slice(first - low, last - low)
        audio = self._synthesize(self.decoder(quantized)[:, kept], quantized[:, kept], together)
        hop = self.config.hop_length
        return audio[:, (start - first) * hop : (stop - first) * hop]

    def _synthesize(self, deep: Tensor, quantized: Tensor, together: bool) -> Tensor:
        """Audio [B, F * hop] of what ``_projected_out`` takes; its first frame begins a block.

        Spectra are worked out in parts that fit a processor's caches.
        """
        size, hop = self.config.stft_size, self.config.hop_length
        (batch, frames, _), bins = deep.shape, size // 2 + 1
        rows = 1 if together else batch
        magnitude = deep.new_empty(batch, frames, bins, dtype=torch.float32)
        shared = magnitude if rows == batch else magnitude.new_empty(rows, frames, bins)
        turns = magnitude.new_empty(2, rows, frames, bins)
        step = at_once(deep.device, batch)
        for begin in range(0, frames, step):
            some = slice(begin, begin + step)
            spectrum = self._projected_out(deep[:, some], quantized[:, some])
            phase_advance = spectrum.phase_advance(size, hop)
            loud = magnitude[:, some] = self._raised(spectrum, phase_advance)
            if rows < batch:
                shared[:, some], turns[:, :, some] = phases.shared_phase(loud, phase_advance)
            else:
                turns[:, :, some] = phase_advance
        return phases.griffin_lim(magnitude, phases.propagate(shared, turns), size, hop)

    def _raised(self, spectrum: Spectrum, phase_advance: Tensor) -> Tensor:
        """A spectrum's magnitudes [B, F, bins], those of noise raised.

        The loss makes magnitudes medians, which are below the means wherever there is noise.
        """
        sure = length(phase_advance).clamp_max(1)
        return spectrum.magnitude() * (1 + self.NOISE_GAIN * (1 - sure))

    def vectors(self, codes: Tensor) -> Tensor:
        """The sums of the code vectors [B, F, code_dim] of codes [B, 1..levels, F]."""
        return self.quantizer.vectors(codes.long())

    def inpaint(
        self, vectors: Tensor, known: Tensor, weight: Tensor, first: int, last: int
    ) -> Tensor:
        """What code vectors sound like between known sound, to be cross-faded with it.

        Phases run on from the known frames on both sides, and iterations fit them to the known
        sound, so that partials go through. What the vectors do not say of the known frames
        next to the gap (single partials, mostly) is taken for true in the gap's frames as well,
        the less the farther they are.

        Args:
            vectors: of all frames [C, F, code_dim], C channels of one recording.
            known: sound [C, F * hop]; what it holds where nothing is known does not matter.
            weight: [F * hop], 1 where the known sound will stand as it is, 0 where it is not heard.
            first, last: frames [first, last) that are made; the others' windows hold nothing
                but known sound.

        Returns:
            [C, F * hop].
        """
        size, hop = self.config.stft_size, self.config.hop_length
        heard = stft(known, size, hop).mT
        spectrum = self.decode_spectrum(self.quantizer.running_norm.undo(vectors))
        missed = (heard.abs() + SOFT_FLOOR).log10() - spectrum.log_magnitude
        log_magnitude = spectrum.log_magnitude + spread_in(missed, first, last)
        made = Spectrum(log_magnitude, spectrum.advance)
        phase_advance = made.phase_advance(size, hop)
        magnitude = self._raised(made, phase_advance)
        phasors = torch.view_as_real(heard / (heard.abs() + 1e-9)).movedim(-1, 0)
        gap = slice(first, last)
        goal = heard.abs()
        goal[:, gap] = magnitude[:, gap]
        # one more advance than frames: into the first known one after them
        around = F.pad(goal, (0, 0, 0, 1))[:, first : last + 1]
        turns = phases.shared_phase(
            around, F.pad(phase_advance, (0, 0, 0, 1))[:, :, first : last + 1]
        )[1]
        phasors[:, :, gap] = phases.between(
            goal[:, gap],
            turns,
            phasors[:, :, first - 1] if first else None,
            phasors[:, :, last] if last < heard.shape[1] else None,
        )
        return phases.griffin_lim(goal, phasors, size, hop, self.FITTING, (known, weight))

    def codebooks(self) -> Tensor:
        """The code vectors, [levels, K, D]."""
        return torch.stack([table.vectors for table in self.quantizer.tables()])

    def forward(self, audio: Tensor) -> VQVAEOutput:
        """Reconstruct audio [B, T] and measure the loss; in training mode, move the codebooks."""
        used = None
        if self.training and self.config.level_dropout > 0:
            batch, levels = len(audio), self.config.levels
            fewer = 1 + (levels * distributed.rand(batch, device=audio.device)).long()
            drop = distributed.rand(batch, device=audio.device) < self.config.level_dropout
            used = torch.where(drop, fewer, levels)
        spectrum = self.analyze(audio)
        latents = self.latents(spectrum)
        # look-ups in bfloat16 would pick wrong codes: the quantizer runs in full precision
        with torch.autocast(audio.device.type, enabled=False):
            quantized, codes, commitment = self.quantizer(latents.float(), used)
        estimate = self.decode_spectrum(quantized)
        with torch.autocast(audio.device.type, enabled=False):
            losses = spectral_loss(spectrum, estimate, self.config.sample_rate)
        loss = 5 * losses["bins"] + 10 * losses["mel"] + losses["convergence"] + losses["advance"]
        losses["commitment"] = commitment
        return VQVAEOutput(
            codes=codes,
            losses=losses,
            loss=loss + self.config.commitment * commitment,
            perplexity=perplexity(codes, self.config.codebook_size),
        )


#: known frames on a side whose mean tells what vectors miss, and frames in which that fades
NEAR, FADING = 4, 20


def spread_in(missed: Tensor, first: int, last: int) -> Tensor:
    """What is missed beside a gap, faded into it: [B, F, bins], zero outside the gap.

    Args:
        missed: difference of log magnitudes [B, F, bins]; what it is in the gap does not matter.
        first, last: frames [first, last) of the gap.
    """
    frames = missed.shape[1]
    spread = torch.zeros_like(missed)
    place = torch.arange(first, last, device=missed.device)
    sides = []
    if first:
        sides.append((missed[:, max(first - NEAR, 0) : first], place - first + 1))
    if last < frames:
        sides.append((missed[:, last : last + NEAR], last - place))
    weights = [torch.exp(-away / FADING) for _, away in sides]
    total: Tensor | float = sum(weights)
    for (near, _), weight in zip(sides, weights, strict=True):
        # near an edge all of its own side's, in the middle of a long gap nothing
        share = (weight * weight / total)[:, None]
        spread[:, first:last] += near.mean(dim=1, keepdim=True) * share
    return spread
