"""The default VQ-VAE: STFT, ConvNeXt encoder, residual quantiser, ConvNeXt decoder, inverse STFT.

All the work is done at frame rate (86 frames a second), which makes it ten times cheaper than
strided convolutions from the waveform. Synthesis predicts magnitude and phase (Vocos, Siuzdak
2023).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiomask import parallel
from audiomask.audio.spectra import istft, stft
from audiomask.vqvae.config import VQVAEConfig
from audiomask.vqvae.convnext import ConvNeXtStack
from audiomask.vqvae.losses import spectral_loss
from audiomask.vqvae.output import VQVAEOutput
from audiomask.vqvae.quantiser import ResidualQuantiser
from audiomask.vqvae.usage import perplexity


class VQVAE(nn.Module):
    """Audio [B, T] at 44.1 kHz to codes [B, levels, T / hop] and back."""

    #: exponent that flattens the spectrum's range before the encoder
    COMPRESSION = 0.3

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config = config
        bins = config.stft_size // 2 + 1
        kernel = config.KERNEL
        self.encoder = ConvNeXtStack(3 * bins, config.encoder_dim, config.encoder_blocks, kernel)
        self.quantiser = ResidualQuantiser(
            config.encoder_dim, config.levels, config.codebook_size, config.code_dim
        )
        self.decoder = ConvNeXtStack(
            config.encoder_dim, config.decoder_dim, config.decoder_blocks, kernel
        )
        self.head = nn.Linear(config.decoder_dim, 2 * bins)
        # music lies some 50 dB under full scale in most bins; start there rather than at 0 dB
        nn.init.constant_(self.head.bias[:bins], -5.0)

    def latents(self, audio: Tensor) -> Tensor:
        """Encoder output [B, F, dim] of audio [B, T].

        Raises:
            ValueError: T is no multiple of the hop length.
        """
        if audio.shape[-1] % self.config.hop_length:
            raise ValueError(f"{audio.shape[-1]} samples are no whole number of frames")
        spectrum = stft(audio, self.config.stft_size, self.config.hop_length)
        magnitude = spectrum.abs()
        compressed = (magnitude + 1e-6).pow(self.COMPRESSION)
        turn = compressed / (magnitude + 1e-6)
        inputs = torch.cat([compressed, spectrum.real * turn, spectrum.imag * turn], dim=1)
        return self.encoder(inputs.transpose(1, 2))  # type: ignore[no-any-return]

    def synthesise(self, quantised: Tensor) -> Tensor:
        """Audio [B, F * hop] of quantised latents [B, F, dim]."""
        log_magnitude, phase = self.head(self.decoder(quantised)).float().chunk(2, dim=-1)
        # exp of an untrained network must not overflow; 1e2 is far above any real bin
        magnitude = log_magnitude.exp().clamp_max(1e2)
        spectrum = torch.polar(magnitude, phase).transpose(1, 2)
        return istft(spectrum, self.config.stft_size, self.config.hop_length)

    def encode(self, audio: Tensor) -> Tensor:
        """Codes [B, levels, T / hop] of audio [B, T].

        Raises:
            ValueError: T is no multiple of the hop length.
        """
        return self.quantiser.encode(self.latents(audio))

    def decode(self, codes: Tensor) -> Tensor:
        """Audio [B, F * hop] of codes [B, 1..levels, F]."""
        return self.synthesise(self.quantiser.decode(codes))

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
        latents = self.latents(audio)
        # look-ups in bfloat16 would pick wrong codes: the quantiser runs in full precision
        with torch.autocast(audio.device.type, enabled=False):
            quantised, codes, commitment = self.quantiser(latents.float(), used)
        reconstruction = self.synthesise(quantised)
        with torch.autocast(audio.device.type, enabled=False):
            losses = spectral_loss(audio, reconstruction, self.config.sample_rate)
        losses["commitment"] = commitment
        loss = 10 * losses["mel"] + losses["convergence"] + self.config.commitment * commitment
        return VQVAEOutput(
            reconstruction=reconstruction,
            codes=codes,
            losses=losses,
            loss=loss,
            perplexity=perplexity(codes, self.config.codebook_size),
        )
