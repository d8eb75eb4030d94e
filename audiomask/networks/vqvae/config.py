"""Configuration of the default VQ-VAE."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from audiomask.errors import ConfigError


@dataclass(frozen=True)
class VQVAEConfig:
    """Frame-rate VQ-VAE with residual quantization.

    Attributes:
        sample_rate: of the audio, in Hz.
        hop_length: samples between frames.
        stft_size: window of analysis and synthesis, in samples.
        advance_hz: phase advances are coded up to this frequency. What lies above sounds as noise:
            there, partials are too weak and too close to be told from it.
        encoder_dim, encoder_blocks: width and depth of the ConvNeXt encoder.
        decoder_dim, decoder_blocks: width and depth of the ConvNeXt decoder.
        levels: residual quantizer stages.
        codebook_size: codes a level.
        code_dim: dimension of latents and code vectors.
        level_dropout: probability that a training excerpt is decoded from its first levels only.
        commitment: weight of the commitment term.

    Raises:
        ConfigError: a value out of range.
    """

    sample_rate: int = 44100
    hop_length: int = 512
    stft_size: int = 2048
    advance_hz: float = 5500.0
    encoder_dim: int = 256
    encoder_blocks: int = 5
    decoder_dim: int = 256
    decoder_blocks: int = 5
    levels: int = 4
    codebook_size: int = 1024
    code_dim: int = 32
    level_dropout: float = 0.25
    commitment: float = 0.5

    #: width of every depthwise convolution, in frames
    KERNEL = 7
    #: the largest value of fields that need not be whole numbers
    _MOST = MappingProxyType({"level_dropout": 1, "commitment": 100, "advance_hz": 1_000_000})

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if most := self._MOST.get(name):
                if not isinstance(value, int | float) or not 0 <= value <= most:
                    raise ConfigError(f"{name} is {value!r}; it must lie in 0 to {most}")
            elif type(value) is not int or not 1 <= value <= 1 << 20:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number from 1")
        if self.sample_rate < 1000:
            raise ConfigError(f"sample_rate is {self.sample_rate}; it must be at least 1000")
        if self.stft_size % 2 or not 1 <= self.stft_size // self.hop_length <= 16:
            raise ConfigError(f"stft_size is {self.stft_size}; it must be even and 1 to 16 hops")
        if self.code_dim > self.stft_size // 2 + 1:
            raise ConfigError(f"code_dim is {self.code_dim}; a spectrum has fewer bins")

    @property
    def advance_bins(self) -> int:
        """Bins of a spectrum whose phase advances are coded."""
        highest = int(self.advance_hz * self.stft_size / self.sample_rate)
        return min(highest, self.stft_size // 2) + 1

    @property
    def overlap(self) -> int:
        """Frames a side that share samples with a frame."""
        return -(-self.stft_size // self.hop_length) - 1

    @property
    def reach(self) -> int:
        """Frames a side of the decoder's receptive field."""
        return self.KERNEL // 2 * (1 + self.decoder_blocks)

    @property
    def context(self) -> int:
        """Frames a side of the encoder's receptive field, analysis windows included."""
        # the phase advance reaches one frame further back
        return self.KERNEL // 2 * (1 + self.encoder_blocks) + self.overlap + 1

    @property
    def margin(self) -> int:
        """Frames a side of a gap whose analysis window, or phase advance, reaches into it."""
        return -(-(self.stft_size // 2) // self.hop_length) + 1
