"""The default VQ-VAE: spectrum, ConvNeXt encoder, residual quantiser, ConvNeXt decoder, phases.

All the work is done at frame rate (86 frames a second), which makes it ten times cheaper than
strided convolutions from the waveform. What is coded are magnitudes and phase advances; phases are
made up when decoding, so that training compares spectra and never has to learn them: a decoder
that predicted phases by mel losses (as in Vocos, Siuzdak 2023, without its discriminators) gave
noise with the envelope of music.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiomask import parallel
from audiomask.vqvae import phases
from audiomask.vqvae.config import VQVAEConfig
from audiomask.vqvae.convnext import ConvNeXtStack
from audiomask.vqvae.losses import bin_weights, spectral_loss
from audiomask.vqvae.output import VQVAEOutput
from audiomask.vqvae.quantiser import ResidualQuantiser
from audiomask.vqvae.spectrum import Spectrum, analyse
from audiomask.vqvae.usage import perplexity


class VQVAE(nn.Module):
    """Audio [B, T] at 44.1 kHz to codes [B, levels, T / hop] and back."""

    #: exponent that flattens the spectrum's range where phase advances are weighted by it
    COMPRESSION = 0.3
    #: exponent of the principal components' relative size: 0 keeps their variances, 1 evens them
    EVENNESS = 0.5
    #: by how much the magnitudes of noise are raised when decoding, measured on validation clips
    NOISE_GAIN = 0.25

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
        self.inward = nn.Linear(config.encoder_dim, code_dim)
        # a straight way past the networks: these learn what it cannot say
        self.narrow = nn.Linear(bins, code_dim)
        self.quantiser = ResidualQuantiser(code_dim, config.levels, config.codebook_size)
        self.widen = nn.Linear(code_dim, bins)
        self.decoder = ConvNeXtStack(code_dim, config.decoder_dim, config.decoder_blocks, kernel)
        self.head = nn.Linear(config.decoder_dim, 3 * bins)
        for parameter in (*self.inward.parameters(), *self.head.parameters()):
            nn.init.normal_(parameter, std=1e-3)

    @torch.no_grad()
    def start(self, audio: Tensor) -> None:
        """Begin at principal components: the straight way codes and decodes by them.

        From random weights an encoder first learns loudness, then timbre, and in 4,000 steps no
        partials; from here it begins with what 300 steps of that would not reach.

        Args:
            audio: examples [B, T] of what will be learned, some minutes.
        """
        found = self.analyse(audio).log_magnitude.flatten(0, 1)
        self.centre.copy_(found.mean(dim=0))
        self.spread.copy_(found.std(dim=0).mean())
        weights = bin_weights(len(self.centre), self.config.sample_rate, found.device).sqrt()
        data = (found - self.centre) / self.spread * weights
        sizes, axes = torch.linalg.eigh(data.T @ data / len(data))
        sizes = sizes.flip(0)[: self.config.code_dim].clamp_min(1e-8).sqrt()
        axes = axes.flip(1)[:, : self.config.code_dim]
        scale = (sizes[0] / sizes).pow(self.EVENNESS) / sizes[0]
        self.narrow.weight.copy_((axes * scale).T * weights)
        self.widen.weight.copy_((axes / scale) * self.spread / weights[:, None])
        nn.init.zeros_(self.narrow.bias)
        self.widen.bias.copy_(self.centre)
        self.quantiser.settle(self.latents(self.analyse(audio)).flatten(0, 1))

    def latents(self, spectrum: Spectrum) -> Tensor:
        """Latents [B, F, code_dim] of a spectrum."""
        level = (spectrum.log_magnitude - self.centre) / self.spread
        heard = 10 ** (self.COMPRESSION * spectrum.log_magnitude)
        inputs = torch.cat([level, *(heard * spectrum.advance)], dim=-1)
        return self.inward(self.encoder(inputs)) + self.narrow(level)  # type: ignore[no-any-return]

    def analyse(self, audio: Tensor) -> Spectrum:
        """The spectrum of audio [B, T].

        Raises:
            ValueError: T is no multiple of the hop length.
        """
        if audio.shape[-1] % self.config.hop_length:
            raise ValueError(f"{audio.shape[-1]} samples are no whole number of frames")
        return analyse(audio, self.config.stft_size, self.config.hop_length)

    def describe(self, quantised: Tensor) -> Spectrum:
        """The spectrum that quantised latents [B, F, code_dim] stand for."""
        log_magnitude, real, imaginary = self.head(self.decoder(quantised)).float().chunk(3, -1)
        log_magnitude = log_magnitude + self.widen(quantised).float()
        return Spectrum(log_magnitude, torch.stack([real, imaginary]))

    def encode(self, audio: Tensor, levels: int | None = None) -> Tensor:
        """Codes [B, levels, T / hop] of audio [B, T].

        Args:
            audio: at the model's rate.
            levels: only the first levels' codes; all when None.

        Raises:
            ValueError: T is no multiple of the hop length.
        """
        return self.quantiser.encode(self.latents(self.analyse(audio)), levels)

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
        spectrum = self.describe(self.quantiser.decode(part))
        audio = self.synthesise(spectrum.cut(first - low, last - low), together)
        hop = self.config.hop_length
        return audio[:, (start - first) * hop : (stop - first) * hop]

    def synthesise(self, spectrum: Spectrum, together: bool = False) -> Tensor:
        """Audio [B, F * hop] of a spectrum whose first frame begins a block of phases."""
        size, hop = self.config.stft_size, self.config.hop_length
        turn = spectrum.turn(size, hop)
        sure = turn.square().sum(dim=0).sqrt().clamp_max(1)
        # the loss makes magnitudes medians, which are below the means wherever there is noise
        magnitude = spectrum.magnitude() * (1 + self.NOISE_GAIN * (1 - sure))
        found = phases.run_on(*(phases.joint(magnitude, turn) if together else (magnitude, turn)))
        return phases.griffin_lim(magnitude, found, size, hop)

    def codebooks(self) -> Tensor:
        """The code vectors, [levels, K, D]."""
        return torch.stack([table.vectors for table in self.quantiser.tables()])

    def forward(self, audio: Tensor) -> VQVAEOutput:
        """Reconstruct audio [B, T] and measure the loss; in training mode, move the codebooks."""
        used = None
        if self.training and self.config.level_dropout > 0:
            batch, levels = len(audio), self.config.levels
            fewer = 1 + (levels * parallel.rand(batch, device=audio.device)).long()
            drop = parallel.rand(batch, device=audio.device) < self.config.level_dropout
            used = torch.where(drop, fewer, levels)
        spectrum = self.analyse(audio)
        latents = self.latents(spectrum)
        # look-ups in bfloat16 would pick wrong codes: the quantiser runs in full precision
        with torch.autocast(audio.device.type, enabled=False):
            quantised, codes, commitment = self.quantiser(latents.float(), used)
        estimate = self.describe(quantised)
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
