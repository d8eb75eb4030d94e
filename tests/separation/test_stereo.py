"""Separation in stereo: channels that are swapped have swapped stems, and all add up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.networks.masks import MaskUNet, build_masks
from audiomask.separation.masks import MaskSeparator
from audiomask.separation.settings import Quality

CPU = torch.device("cpu")
HOP = 256
SIZE = {
    "sample_rate": 16_000,
    "stft_size": 1024,
    "hop_length": HOP,
    "bands": 16,
    "window": 24,
    "channels": (4, 6),
    "dim": 16,
    "heads": 2,
    "layers": 1,
    "stems": ("guitar", "bass"),
}


def model_of(seed: int, **settings: object) -> MaskUNet:
    """A tiny model of random weights whose masks differ from band to band."""
    torch.manual_seed(seed)
    model = build_masks("default", SIZE | settings).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.activity.bias.fill_(2.0)  # all stems play
    return model


def recording(channels: int, seed: int = 0, frames: int = 40) -> Tensor:
    """Noise that the channels share in part, of unequal energy."""
    random = torch.Generator().manual_seed(seed)
    parts = torch.randn(channels + 1, frames * HOP + 17, generator=random)
    gain = torch.linspace(0.05, 0.1, channels)[torch.randperm(channels, generator=random)]
    return gain[:, None] * (parts[:-1] + parts[-1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("quality", [Quality.fast, Quality.best])
def test_swapped_channels_have_swapped_shares(seed: int, quality: Quality) -> None:
    separator, audio = MaskSeparator(model_of(seed), CPU, quality), recording(2, seed)
    plain, swapped = (
        separator.open(MemorySource(one, 16_000))(3, 27) for one in (audio, audio.flip(0))
    )
    assert torch.equal(swapped, plain.flip(1))
    assert (plain[:, 0] - plain[:, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("rate", [16_000, 22_050])
@pytest.mark.parametrize("seed", range(3))
def test_swapped_channels_have_swapped_stems(
    separated: Callable[..., list[Tensor]], seed: int, rate: int
) -> None:
    separator, audio = MaskSeparator(model_of(seed), CPU), recording(2, seed, 80)
    plain, swapped = (
        torch.stack(separated(separator, one, [0, 1], True, rate=rate))
        for one in (audio, audio.flip(0))
    )
    assert torch.equal(swapped, plain.flip(1))


@pytest.mark.parametrize("audio_channels", [1, 2])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_stems_and_residual_are_the_recording_on_any_number_of_channels(
    separated: Callable[..., list[Tensor]], channels: int, audio_channels: int
) -> None:
    separator = MaskSeparator(model_of(0, audio_channels=audio_channels), CPU)
    audio = recording(channels)
    parts = separated(separator, audio, [0, 1], True, rate=16_000)
    assert all(part.shape == audio.shape for part in parts)
    assert torch.allclose(torch.stack(parts).sum(dim=0), audio, atol=1e-6)
    assert all(part.std() > 1e-3 for part in parts)


def test_left_and_right_have_masks_of_their_own(separated: Callable[..., list[Tensor]]) -> None:
    separator, audio = MaskSeparator(model_of(1), CPU), recording(2)
    stem, rest = separated(separator, audio, [0], True, rate=16_000)
    # what a mask for both would give: as if the right were heard on the left
    left = separated(separator, audio[:1].expand(2, -1), [0], rate=16_000)[0]
    assert not torch.allclose(stem[0], left[0], atol=1e-3)
    assert torch.allclose(stem + rest, audio, atol=1e-6)


def test_pairs_of_channels_that_are_swapped_have_swapped_stems(
    separated: Callable[..., list[Tensor]],
) -> None:
    separator, audio = MaskSeparator(model_of(2), CPU), recording(6)
    order = [1, 0, 3, 2, 5, 4]
    plain = torch.stack(separated(separator, audio, [0, 1], rate=16_000))
    swapped = torch.stack(separated(separator, audio[order], [0, 1], rate=16_000))
    assert torch.allclose(swapped, plain[:, order], atol=1e-6)


def test_mono_is_as_the_same_on_both_sides(separated: Callable[..., list[Tensor]]) -> None:
    separator, audio = MaskSeparator(model_of(3, audio_channels=1), CPU), recording(1)
    alone = torch.stack(separated(separator, audio, [0, 1], rate=16_000))
    both = torch.stack(separated(separator, audio.expand(2, -1), [0, 1], rate=16_000))
    assert torch.allclose(both[:, :1], alone, atol=1e-5)
    assert torch.allclose(both[:, 1:], alone, atol=1e-5)
