"""Configuration of the masked language model, and its presets."""

from __future__ import annotations

from dataclasses import dataclass

from audiomask.errors import ConfigError
from audiomask.networks.stems import STEMS

#: sizes that may be 0
_OPTIONAL_SIZES = ("stem_layers", "kernel", "bands", "head_rank")
#: frames of the longest window: attention takes quadratic time
MAX_WINDOW = 1 << 14
#: the longest STFT window of the bands, in hops
_MAX_STFT_HOPS = 64


@dataclass(frozen=True)
class MLMConfig:
    """Bidirectional transformer over the tokens of one VQ-VAE.

    Attributes:
        levels: how many of the VQ-VAE's levels it reads and predicts, coarse first.
        codebook_size, code_dim, hop_length, sample_rate: those of the VQ-VAE.
        stems: names of the stems; each has a SEP token.
        window: frames of a sequence.
        dim, heads: width and attention heads.
        layers: transformer layers over the whole sequence (aligned layout: over the mixture).
        stem_layers: aligned layout: further layers for each stem, on top of the mixture's.
        kernel: width of the depthwise convolution in every layer, in frames; 0 for none.
        layout: form of ``mixture SEP stem``. "concatenated" is the paper's: one after the other.
            "aligned" adds a stem's embeddings to the mixture's at the same frame: half the length,
            no alignment to learn, and all stems share the mixture's layers.
        bands: mel-spaced bands of the mixture's spectrum that the aligned layout reads beside
            the tokens to separate; 0 for tokens only.
        band_stft: window of that spectrum, in samples.
        band_frames: frames of tokens for each of its frames.
        head_rank: rank of the output layers beside the code-similarity heads; 0 for a full matrix.
        separated: aligned layout: share of a training batch on which stems' tokens are trained as
            well, rounded up; 0 trains infill alone.
        draft: aligned layout: whether the tokens of a rough estimate of the stem, such as the mask
            U-Net's, are read beside the mixture's.

    Raises:
        ConfigError: a value out of range.
    """

    levels: int
    codebook_size: int
    code_dim: int
    hop_length: int
    sample_rate: int
    stems: tuple[str, ...] = STEMS
    window: int = 576
    dim: int = 256
    heads: int = 4
    layers: int = 6
    stem_layers: int = 1
    kernel: int = 7
    layout: str = "aligned"
    bands: int = 256
    band_stft: int = 4096
    band_frames: int = 2
    head_rank: int = 64
    separated: float = 0.25
    draft: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "stems", tuple(self.stems))  # JSON gives a list
        if not all(isinstance(stem, str) for stem in self.stems):
            raise ConfigError(f"stems are {self.stems!r}; they must be names")
        if self.layout not in ("aligned", "concatenated"):
            raise ConfigError(f"layout is {self.layout!r}; it must be aligned or concatenated")
        share = self.separated
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ConfigError(f"separated is {share!r}; it must be from 0 to 1")
        for name, value in vars(self).items():
            least = 0 if name in _OPTIONAL_SIZES else 1
            whole = type(value) is int and least <= value <= 1 << 20
            if name not in ("stems", "layout", "separated", "draft") and not whole:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number from {least}")
        if not isinstance(self.draft, bool):
            raise ConfigError(f"draft is {self.draft!r}; it must be true or false")
        if self.draft and self.layout != "aligned":
            raise ConfigError("draft is true; only the aligned layout reads a draft")
        if self.bands and self.window % self.band_frames:
            raise ConfigError(f"window is {self.window}; it must be a multiple of band_frames")
        most = _MAX_STFT_HOPS * self.hop_length * self.band_frames
        if self.bands and self.band_stft > most:
            raise ConfigError(f"band_stft is {self.band_stft}; it must be {most} at most")
        # concatenated: mixture, SEP and stem share the window
        least = 3 if self.layout == "concatenated" else 1
        if not least <= self.window <= MAX_WINDOW:
            raise ConfigError(f"window is {self.window}; it must be from {least} to {MAX_WINDOW}")
        if self.kernel and self.kernel % 2 == 0:
            raise ConfigError(f"kernel is {self.kernel}; it must be odd, or 0 for none")
        if self.dim % (2 * self.heads):
            raise ConfigError(f"dim is {self.dim}; it must be a multiple of twice the heads")


#: the paper preset's changes to the defaults
PAPER = {
    "window": 512,
    "dim": 256,
    "layers": 8,
    "stem_layers": 0,
    "kernel": 0,
    "layout": "concatenated",
    "bands": 0,
    "head_rank": 0,
    "separated": 1.0,
    "draft": False,
}
