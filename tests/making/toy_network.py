"""The network of a toy kind: it guesses the peak of a passage from its level."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from audiomask.errors import ConfigError


@dataclass(frozen=True)
class ToyConfig:
    sample_rate: int = 44_100
    samples: int = 4_096
    width: int = 8

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"width is {self.width}; it must be at least 1")


class Toy(nn.Module):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.Sequential(
            nn.Linear(1, config.width), nn.ReLU(), nn.Linear(config.width, 1)
        )

    def forward(self, audio: Tensor) -> Tensor:
        level = audio.square().mean(dim=-1, keepdim=True).clamp_min(1e-8).log10()
        guess: Tensor = self.layers(level)[..., 0]
        return guess


def peak(audio: Tensor) -> Tensor:
    return audio.abs().amax(dim=-1).clamp_min(1e-4).log10()


def build_toy(preset: str, settings: Mapping[str, Any]) -> Toy:
    try:
        return Toy(ToyConfig(**settings))
    except TypeError as error:
        raise ConfigError(f"toy preset {preset}: {error}") from error
