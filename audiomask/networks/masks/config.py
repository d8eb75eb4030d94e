"""Configuration of the mask U-Net."""

from __future__ import annotations

from dataclasses import dataclass

from audiomask.errors import ConfigError
from audiomask.networks.stems import STEMS

#: longest window of the spectrum, in hops, as memory grows with it
_MOST_HOPS = 64
#: longest window of frames, as the time of attention grows with its square
LONGEST = 1 << 14


@dataclass(frozen=True)
class MasksConfig:
    """Settings of the mask U-Net.

    Attributes:
        stems: to separate; the residual has a mask as well.
        sample_rate: of the audio, in Hz.
        audio_channels: 2 for separate masks of left and right; 1 for mono.
        stft_size: window of the spectrum, in samples.
        hop_length: samples between frames.
        bands: mel-spaced bands of spectrum and masks.
        window: frames of the context, in training and inference.
        channels: feature channels of the U-Net's stages, each with half the bands of the one
            before.
        dim, heads, layers, kernel: of the transformer in the bottleneck; ``kernel`` is the width
            of its depthwise convolutions in frames, 0 for none.
    """

    stems: tuple[str, ...] = STEMS
    sample_rate: int = 44100
    audio_channels: int = 2
    stft_size: int = 4096
    hop_length: int = 1024
    bands: int = 256
    window: int = 288
    channels: tuple[int, ...] = (24, 40, 64, 80, 112)
    dim: int = 256
    heads: int = 4
    layers: int = 3
    kernel: int = 7

    def __post_init__(self) -> None:
        """Convert lists of JSON to tuples, and check all values.

        Raises:
            ConfigError: a value is invalid.
        """
        object.__setattr__(self, "stems", tuple(self.stems))
        object.__setattr__(self, "channels", tuple(self.channels))
        if not self.stems or not all(isinstance(stem, str) for stem in self.stems):
            raise ConfigError(f"stems are {self.stems!r}; they must be names")
        sizes = {f"channels[{n}]": value for n, value in enumerate(self.channels)}
        for name, value in (vars(self) | sizes).items():
            least = 0 if name in ("kernel", "layers") else 1
            whole = type(value) is int and least <= value <= 1 << 20
            if name not in ("stems", "channels") and not whole:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number from {least}")
        if self.audio_channels not in (1, 2):
            raise ConfigError(f"audio_channels is {self.audio_channels}; it must be 1 or 2")
        if self.sample_rate < 1000:
            raise ConfigError(f"sample_rate is {self.sample_rate}; it must be at least 1000")
        if not 0 < len(self.channels) <= 16:
            raise ConfigError(f"channels are {self.channels!r}; it takes 1 to 16 stages")
        halvings = 1 << (len(self.channels) - 1)
        if self.bands % halvings:
            raise ConfigError(f"bands is {self.bands}; it must be a multiple of {halvings}")
        if not self.hop_length <= self.stft_size <= _MOST_HOPS * self.hop_length:
            least, most = self.hop_length, _MOST_HOPS * self.hop_length
            raise ConfigError(f"stft_size is {self.stft_size}; it must be from {least} to {most}")
        if self.window > LONGEST:
            raise ConfigError(f"window is {self.window}; it must be {LONGEST} at most")
        if self.kernel and self.kernel % 2 == 0:
            raise ConfigError(f"kernel is {self.kernel}; it must be odd, or 0 for none")
        if self.dim % (2 * self.heads):
            raise ConfigError(f"dim is {self.dim}; it must be a multiple of twice the heads")
