"""Configuration of a stage of the language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from audiomask.errors import ConfigError
from audiomask.networks.spectrogram.model import SEMANTIC_FRAMES

#: most layers, and longest window, as time grows with them
_MOST_LAYERS, _LONGEST = 64, 1 << 14
#: whole numbers that may be zero
_OPTIONAL = ("codebook_size", "levels", "clusters", "semantic_hop", "condition_layers")


@dataclass(frozen=True)
class LMConfig:
    """Settings of one stage.

    A stage predicts some tokens from all of them that come before, and from others that are known
    all along, which are its condition:

    - semantic: semantic tokens, from themselves alone;
    - coarse: the first levels of acoustic tokens, given the semantic tokens;
    - fine: the other levels, given the first;
    - acoustic: as coarse, without semantic tokens.

    Attributes:
        stage: which one.
        sample_rate: of the audio that tokens are made of, in Hz.
        hop_length: samples of a step: of a semantic token, or of a frame of acoustic tokens.
        codebook_size, levels: of the VQ-VAE; 0 where no acoustic tokens are read.
        clusters: number of semantic tokens; 0 where none are read.
        semantic_hop: samples of a semantic token; 0 where none are read.
        coarse_levels: levels that the stage coarse predicts; the stage fine predicts the others.
        window: steps of the longest context, in training and inference.
        dim, heads, layers: of the causal transformer.
        condition_layers: convolutional layers over the condition, which see it before and after.
        kernel: their width in tokens.
        forgetful: in training, up to this share of the past steps is hidden from all later ones
            (forgetful causal masking, Liu et al. 2022).

    Raises:
        ConfigError: a value is invalid.
    """

    stage: Literal["semantic", "coarse", "fine", "acoustic"]
    sample_rate: int
    hop_length: int
    codebook_size: int = 0
    levels: int = 0
    clusters: int = 0
    semantic_hop: int = 0
    coarse_levels: int = 2
    window: int = 576
    dim: int = 192
    heads: int = 6
    layers: int = 4
    condition_layers: int = 1
    kernel: int = 9
    forgetful: float = 0.15

    def __post_init__(self) -> None:
        if self.stage not in ("semantic", "coarse", "fine", "acoustic"):
            raise ConfigError(
                f"stage is {self.stage!r}; it must be semantic, coarse, fine or acoustic"
            )
        for name, value in vars(self).items():
            least = 0 if name in _OPTIONAL else 1
            whole = type(value) is int and least <= value <= 1 << 20
            if name not in ("stage", "forgetful") and not whole:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number from {least}")
        if type(self.forgetful) not in (int, float) or not 0 <= self.forgetful < 1:
            raise ConfigError(f"forgetful is {self.forgetful!r}; it must be from 0 to less than 1")
        if self.dim % (2 * self.heads):
            raise ConfigError(f"dim is {self.dim}; it must be a multiple of twice the heads")
        if max(self.layers, self.condition_layers) > _MOST_LAYERS:
            raise ConfigError(f"layers is {self.layers}; it must be {_MOST_LAYERS} at most")
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel is {self.kernel}; it must be odd")
        if self.window > _LONGEST:
            raise ConfigError(f"window is {self.window}; it must be {_LONGEST} at most")
        self._check_tokens()

    def _check_tokens(self) -> None:
        """Raise ConfigError for tokens that the stage cannot read or predict."""
        if self.stage in ("semantic", "coarse") and not (self.clusters and self.semantic_hop):
            raise ConfigError(f"clusters is {self.clusters}; the stage reads semantic tokens")
        if self.stage == "semantic":
            return
        if not self.codebook_size:
            raise ConfigError("codebook_size is 0; the stage predicts acoustic tokens")
        least = self.coarse_levels + (self.stage == "fine")
        if self.levels < least:
            raise ConfigError(
                f"coarse_levels is {self.coarse_levels}; the VQ-VAE has {self.levels}, and the "
                f"stage {self.stage} needs {least}"
            )
        if self.stage == "coarse":
            if self.semantic_hop % self.hop_length:
                raise ConfigError(
                    f"semantic_hop is {self.semantic_hop}; it must be a multiple of the VQ-VAE's "
                    f"hop_length, {self.hop_length}"
                )
            if self.window % self.condition_step:
                raise ConfigError(
                    f"window is {self.window}; it must be a multiple of {self.condition_step}, "
                    "the frames of a semantic token"
                )

    @property
    def predicted(self) -> tuple[int, ...]:
        """The number of different tokens in each row that is predicted, coarse first."""
        if self.stage == "semantic":
            return (self.clusters,)
        levels = self.levels - self.coarse_levels if self.stage == "fine" else self.coarse_levels
        return (self.codebook_size,) * levels

    @property
    def condition(self) -> tuple[int, ...]:
        """The number of different tokens in each row of the condition; empty without one."""
        if self.stage == "coarse":
            return (self.clusters,)
        return (self.codebook_size,) * self.coarse_levels if self.stage == "fine" else ()

    @property
    def condition_step(self) -> int:
        """Steps of a token of the condition."""
        return self.semantic_hop // self.hop_length if self.stage == "coarse" else 1


#: steps of a stage's window, where it is not LMConfig's: 30 s, and 1.5 s
WINDOWS = {"semantic": 640, "fine": 128}


def decided_by(required: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that the tokenizers decide.

    Args:
        required: configurations of the stage's VQ-VAE and spectrogram model, by kind.

    Raises:
        ConfigError: they are of different sample rates.
    """
    vqvae, spectrogram = required.get("vqvae"), required.get("spectrogram")
    found: dict[str, Any] = {}
    if spectrogram is not None:
        hop = spectrogram.hop_length * SEMANTIC_FRAMES
        found |= {"clusters": spectrogram.semantic_clusters, "semantic_hop": hop}
        found |= {"hop_length": hop, "sample_rate": spectrogram.sample_rate}
    if vqvae is not None:
        rate = found.get("sample_rate", vqvae.sample_rate)
        if rate != vqvae.sample_rate:
            raise ConfigError(
                f"sample_rate is {vqvae.sample_rate} in the VQ-VAE, but {rate} in the spectrogram "
                "model"
            )
        found |= {"codebook_size": vqvae.codebook_size, "levels": vqvae.levels}
        found |= {"hop_length": vqvae.hop_length, "sample_rate": vqvae.sample_rate}
    return found
