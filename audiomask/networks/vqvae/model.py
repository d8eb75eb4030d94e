"""The default VQ-VAE: spectrum, ConvNeXt encoder, residual quantizer, ConvNeXt decoder, phases.

All layers run at frame rate (86 frames a second), ten times cheaper than strided convolutions from
the waveform. Codes hold magnitudes and phase advances. Absolute phases are reconstructed when
decoding, so training compares spectra and the decoder never has to predict a phase.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.audio.spectra import frames_per_chunk, stft
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
    analyze_chunks,
    complex_abs,
    exp10,
)
from audiomask.networks.vqvae.usage import perplexity
from audiomask.runtime import distributed


class VQVAE(nn.Module):
    """Audio [B, T] at 44.1 kHz to codes [B, levels, T / hop] and back."""

    #: exponent that flattens the spectrum's range where phase advances are weighted by it
    COMPRESSION = 0.3
    #: exponent of the principal components' relative size: 0 keeps their variances, 1 whitens
    WHITENING = 0.5
    #: by how much the magnitudes of noise are raised when decoding
    NOISE_GAIN = 0.25
    #: Griffin-Lim iterations of ``inpaint``
    INPAINT_ITERATIONS = 8

    centre: Tensor
    spread: Tensor

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        bins = config.stft_size // 2 + 1
        kernel, code_dim = config.KERNEL, config.code_dim
        # mean of log magnitudes by bin, and their standard deviation; see ``init_from_pca``
        self.register_buffer("centre", torch.full((bins,), -3.0))
        self.register_buffer("spread", torch.ones(()))
        self.encoder = ConvNeXtStack(
            bins + 2 * config.advance_bins, config.encoder_dim, config.encoder_blocks, kernel
        )
        self.to_code = nn.Linear(config.encoder_dim, code_dim)
        # linear skip connections past encoder and decoder, which learn the rest
        self.linear_in = nn.Linear(bins, code_dim)
        self.quantizer = ResidualQuantizer(code_dim, config.levels, config.codebook_size)
        self.linear_out = nn.Linear(code_dim, bins)
        self.decoder = ConvNeXtStack(code_dim, config.decoder_dim, config.decoder_blocks, kernel)
        self.head = nn.Linear(config.decoder_dim, bins + 2 * config.advance_bins)
        for parameter in (*self.to_code.parameters(), *self.head.parameters()):
            nn.init.uniform_(parameter, -2e-3, 2e-3)  # why not normal: see MaskedLM.__init__

    @torch.no_grad()
    def init_from_pca(self, audio: Tensor) -> None:
        """Set the linear skip connections to principal components, and the codebooks by k-means.

        From random weights an encoder learns loudness first, then timbre, and partials only after
        thousands of steps.

        Args:
            audio: training excerpts [B, T], some minutes.
        """
        levels = self.analyze(audio).log_magnitude.flatten(0, 1)
        self.centre.copy_(levels.mean(dim=0))
        self.spread.copy_(levels.std(dim=0).mean())
        weights = bin_weights(len(self.centre), self.config.sample_rate, levels.device).sqrt()
        data = (levels - self.centre) / self.spread * weights
        sizes, axes = torch.linalg.eigh(data.T @ data / len(data))
        sizes = sizes.flip(0)[: self.config.code_dim].clamp_min(1e-8).sqrt()
        axes = axes.flip(1)[:, : self.config.code_dim]
        scale = (sizes[0] / sizes).pow(self.WHITENING) / sizes[0]
        self.linear_in.weight.copy_((axes * scale).T * weights)
        self.linear_out.weight.copy_((axes / scale) * self.spread / weights[:, None])
        nn.init.zeros_(self.linear_in.bias)
        self.linear_out.bias.copy_(self.centre)
        self.quantizer.init_kmeans(self.latents(self.analyze(audio)).flatten(0, 1))

    def latents(self, spectrum: Spectrum) -> Tensor:
        """Latents [B, F, code_dim] of a spectrum."""
        return self._to_latents(*self._project_in(spectrum))

    def _project_in(self, spectrum: Spectrum) -> tuple[Tensor, Tensor]:
        """The encoder's input projection [B, F, dim] and the linear skip [B, F, code_dim].

        These are the widest inputs; a long recording goes through them in chunks.
        """
        level = (spectrum.log_magnitude - self.centre) / self.spread
        tonal = spectrum.log_magnitude[..., : self.config.advance_bins]
        compressed = exp10(self.COMPRESSION * tonal)
        inputs = torch.cat([level, *(compressed * spectrum.advance)], dim=-1)
        return self.encoder.project(inputs), self.linear_in(level)

    def _to_latents(self, projected: Tensor, skip: Tensor) -> Tensor:
        """Latents [B, F, code_dim] of what ``_project_in`` gives."""
        return self.to_code(self.encoder.body(projected)) + skip  # type: ignore[no-any-return]

    def analyze(self, audio: Tensor) -> Spectrum:
        """The spectrum of audio [B, T].

        Raises:
            ValueError: T is no multiple of the hop length.
        """
        self._check(audio)
        return analyze(audio, *self._analysis())

    def _analysis(self) -> tuple[int, int, int]:
        """Window and hop in samples, and the number of bins with phase advances."""
        return self.config.stft_size, self.config.hop_length, self.config.advance_bins

    def _check(self, audio: Tensor) -> None:
        if audio.shape[-1] % self.config.hop_length:
            raise ValueError(f"{audio.shape[-1]} samples are no whole number of frames")

    def decode_spectrum(self, quantized: Tensor) -> Spectrum:
        """The spectrum of quantized latents [B, F, code_dim]."""
        return self._project_out(self.decoder(quantized), quantized)

    def _project_out(self, decoded: Tensor, quantized: Tensor) -> Spectrum:
        """The spectrum of the decoder's output [B, F, dim] and the linear skip of its input."""
        tonal = self.config.advance_bins
        sizes = [self.config.stft_size // 2 + 1, tonal, tonal]
        log_magnitude, real, imaginary = self.head(decoded).float().split(sizes, -1)
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
        spectra = analyze_chunks(audio, *self._analysis())
        projected, skip = zip(*map(self._project_in, spectra), strict=True)
        latents = self._to_latents(torch.cat(projected, dim=1), torch.cat(skip, dim=1))
        return self.quantizer.encode(latents, levels)

    @torch.no_grad()
    def decode(
        self, codes: Tensor, start: int = 0, stop: int | None = None, share_phases: bool = False
    ) -> Tensor:
        """Audio [B, frames * hop] of codes [B, 1..levels, F].

        Args:
            codes: of the whole recording, of any integer type.
            start, stop: frames to decode, as part of the whole recording; all by default.
            share_phases: the rows are channels of one recording, which keep a common phase so that
                the stereo image stays.
        """
        total = codes.shape[-1]
        stop = total if stop is None else stop
        first, last = phases.frames_needed(start, stop, total, self.config.overlap)
        reach = self.config.reach
        low, high = max(first - reach, 0), min(last + reach, total)
        part = codes[..., low:high].long().to(self.head.weight.device)
        quantized = self.quantizer.decode(part)
        kept = slice(first - low, last - low)
        audio = self._synthesize(self.decoder(quantized)[:, kept], quantized[:, kept], share_phases)
        hop = self.config.hop_length
        return audio[:, (start - first) * hop : (stop - first) * hop]

    def _synthesize(self, decoded: Tensor, quantized: Tensor, share_phases: bool) -> Tensor:
        """Audio [B, F * hop] of what ``_project_out`` takes; its first frame begins a block.

        Spectra are computed in chunks that fit a processor's caches.
        """
        size, hop = self.config.stft_size, self.config.hop_length
        (batch, frames, _), bins = decoded.shape, size // 2 + 1
        rows = 1 if share_phases else batch
        magnitude = decoded.new_empty(batch, frames, bins, dtype=torch.float32)
        shared = magnitude if rows == batch else magnitude.new_empty(rows, frames, bins)
        advance = magnitude.new_empty(2, rows, frames, self.config.advance_bins)
        step = frames_per_chunk(decoded.device, batch)
        for begin in range(0, frames, step):
            some = slice(begin, begin + step)
            spectrum = self._project_out(decoded[:, some], quantized[:, some])
            phase_advance = spectrum.phase_advance(size, hop)
            boosted = magnitude[:, some] = self._boost_noise(spectrum, phase_advance)
            if rows < batch:
                shared[:, some], advance[:, :, some] = phases.shared_phase(boosted, phase_advance)
            else:
                advance[:, :, some] = phase_advance
        return phases.griffin_lim(magnitude, phases.propagate(shared, advance), size, hop)

    def _boost_noise(self, spectrum: Spectrum, phase_advance: Tensor) -> Tensor:
        """A spectrum's magnitudes [B, F, bins], those of noise raised by ``NOISE_GAIN``.

        An L1 loss on log magnitudes gives medians, which lie below the means of noise.
        """
        gain = 1 + self.NOISE_GAIN * (1 - complex_abs(phase_advance).clamp_max(1))
        tonal = gain.shape[-1]
        magnitude = spectrum.magnitude()
        magnitude[..., :tonal] *= gain
        magnitude[..., tonal:] *= 1 + self.NOISE_GAIN
        return magnitude

    def vectors(self, codes: Tensor) -> Tensor:
        """The levels' code vectors summed, [B, F, code_dim], of codes [B, 1..levels, F]."""
        return self.quantizer.vectors(codes.long())

    def inpaint(
        self, vectors: Tensor, known: Tensor, weight: Tensor, first: int, last: int
    ) -> Tensor:
        """Decode code vectors between known audio, to be cross-faded with it.

        Phases are propagated from the known frames on both sides, and Griffin-Lim iterations make
        them consistent with the known audio, so that partials continue. The decoder's error on the
        known frames beside the gap (single partials, mostly) is added in the gap, fading out.

        Args:
            vectors: of all frames [C, F, code_dim], C channels of one recording.
            known: audio [C, F * hop]; its samples in the gap are ignored.
            weight: [F * hop], 1 where ``known`` is the output itself, 0 where it is unused.
            first, last: frames [first, last) that are decoded; the others' windows hold known
                audio only.

        Returns:
            [C, F * hop].
        """
        size, hop = self.config.stft_size, self.config.hop_length
        observed = stft(known, size, hop).mT
        spectrum = self.decode_spectrum(self.quantizer.running_norm.undo(vectors))
        error = (observed.abs() + SOFT_FLOOR).log10() - spectrum.log_magnitude
        log_magnitude = spectrum.log_magnitude + fade_into_gap(error, first, last)
        corrected = Spectrum(log_magnitude, spectrum.advance)
        phase_advance = corrected.phase_advance(size, hop)
        magnitude = self._boost_noise(corrected, phase_advance)
        phasors = torch.view_as_real(observed / (observed.abs() + 1e-9)).movedim(-1, 0)
        gap = slice(first, last)
        target = observed.abs()
        target[:, gap] = magnitude[:, gap]
        # one more advance than frames: into the first known one after them
        around = F.pad(target, (0, 0, 0, 1))[:, first : last + 1]
        advance = phases.shared_phase(
            around, F.pad(phase_advance, (0, 0, 0, 1))[:, :, first : last + 1]
        )[1]
        phasors[:, :, gap] = phases.propagate_between(
            target[:, gap],
            advance,
            phasors[:, :, first - 1] if first else None,
            phasors[:, :, last] if last < observed.shape[1] else None,
        )
        known_audio = (known, weight)
        return phases.griffin_lim(target, phasors, size, hop, self.INPAINT_ITERATIONS, known_audio)

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


#: known frames a side over which the decoder's error is averaged, and frames in which it fades
_EDGE_FRAMES, _FADE_FRAMES = 4, 20


def fade_into_gap(error: Tensor, first: int, last: int) -> Tensor:
    """The mean error beside a gap, faded into it: [B, F, bins], zero outside the gap.

    Args:
        error: difference of log magnitudes [B, F, bins]; its values in the gap are ignored.
        first, last: frames [first, last) of the gap.
    """
    frames = error.shape[1]
    faded = torch.zeros_like(error)
    place = torch.arange(first, last, device=error.device)
    sides = []
    if first:
        sides.append((error[:, max(first - _EDGE_FRAMES, 0) : first], place - first + 1))
    if last < frames:
        sides.append((error[:, last : last + _EDGE_FRAMES], last - place))
    weights = [torch.exp(-away / _FADE_FRAMES) for _, away in sides]
    total: Tensor | float = sum(weights)
    for (near, _), weight in zip(sides, weights, strict=True):
        # at an edge all of that side's error, in the middle of a long gap none
        share = (weight * weight / total)[:, None]
        faded[:, first:last] += near.mean(dim=1, keepdim=True) * share
    return faded
