"""Configuration of the default VQ-VAE."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VQVAEConfig:
    """Frame-rate VQ-VAE with residual quantisation.

    Attributes:
        sample_rate: samples a second of the audio it codes.
        hop_length: samples between frames.
        stft_size: window of analysis and synthesis.
        encoder_dim, encoder_blocks: width and depth of the ConvNeXt encoder.
        decoder_dim, decoder_blocks: width and depth of the ConvNeXt decoder.
        levels: residual quantiser stages.
        codebook_size: codes a level.
        code_dim: dimension in which codes are looked up.
        level_dropout: probability that a training excerpt uses only its first levels.
        commitment: weight of the commitment term.
    """

    sample_rate: int = 44100
    hop_length: int = 512
    stft_size: int = 2048
    encoder_dim: int = 256
    encoder_blocks: int = 6
    decoder_dim: int = 288
    decoder_blocks: int = 8
    levels: int = 4
    codebook_size: int = 1024
    code_dim: int = 12
    level_dropout: float = 0.5
    commitment: float = 0.25

    #: width of every depthwise convolution, in frames
    KERNEL = 7

    @property
    def context(self) -> int:
        """Frames a side that decide one frame's codes, or one frame's sound, exactly."""
        half = self.KERNEL // 2
        overlap = -(-self.stft_size // self.hop_length)
        return half * (1 + max(self.encoder_blocks, self.decoder_blocks)) + overlap

    @property
    def margin(self) -> int:
        """Frames a side of a gap whose analysis window reaches into it."""
        return -(-(self.stft_size // 2) // self.hop_length)
