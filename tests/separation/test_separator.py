"""Separation by masks: exact sums, and what the model is shown of a recording."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource
from audiomask.networks.masks import MaskUNet, build_masks
from audiomask.separation.masks import MaskSeparator

CPU = torch.device("cpu")
HOP = 1024


@pytest.fixture(scope="module")
def separator(masks: MaskUNet) -> MaskSeparator:
    return MaskSeparator(masks, CPU)


def test_the_grid_is_the_models(separator: MaskSeparator, masks: MaskUNet) -> None:
    config = masks.config
    assert (
        separator.names
        == config.stems
        == (
            "guitar",
            "piano",
            "bass",
            "drums",
            "vocals",
        )
    )
    assert (separator.sample_rate, separator.hop_length) == (config.sample_rate, HOP)
    assert separator.window == config.window
    assert separator.power.stft_size == config.stft_size


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("rate", [44100, 48000, 16000])
def test_stems_and_residual_give_the_mixture_back(
    separator: MaskSeparator, separated: Callable[..., list[Tensor]], rate: int, subtype: str
) -> None:
    torch.manual_seed(0)
    audio = (0.2 * torch.randn(2, 2 * rate + 5) * 32768).round().clamp(-32768, 32767) / 32768
    parts = separated(separator, audio, range(5), True, subtype, rate)
    assert all(part.shape == audio.shape for part in parts)
    assert torch.allclose(torch.stack(parts).sum(dim=0), audio, atol=1e-6)
    if subtype == "PCM_16":
        assert torch.equal((parts[0] * 32768).round() / 32768, parts[0])


def test_what_is_beyond_full_scale_is_left_to_the_writer(
    separator: MaskSeparator, separated: Callable[..., list[Tensor]]
) -> None:
    torch.manual_seed(0)
    audio = 40 * torch.randn(1, 30_000).clamp(-1, 1)
    stem, rest = separated(separator, audio, [0], True, "PCM_16")
    over = stem.abs() > 1
    assert over.any()
    clipped = torch.where(over, stem.clamp(-1, 32767 / 32768), stem)
    assert torch.allclose(clipped + rest, audio, atol=1e-5)


def shares_of(separator: MaskSeparator, audio: Tensor, start: int = 0, stop: int = 40) -> Tensor:
    """Shares [S + 1, sides, bands, F] of a window's frames."""
    return separator.open(MemorySource(audio, separator.sample_rate))(start, stop)


@pytest.mark.parametrize(("channels", "sides"), [(1, 1), (2, 2), (3, 2), (6, 2)])
def test_shares_sum_to_one_over_stems_and_rest(
    separator: MaskSeparator, channels: int, sides: int
) -> None:
    shares = shares_of(separator, 0.1 * torch.randn(channels, 40 * HOP))
    assert shares.shape == (6, sides, 64, 40)
    assert torch.allclose(shares.sum(dim=0), torch.ones(sides, 64, 40), atol=1e-5)
    assert shares.dtype == torch.float32
    assert shares.min() >= 0


def test_shares_are_the_models(separator: MaskSeparator, masks: MaskUNet) -> None:
    audio = 0.1 * torch.randn(2, 40 * HOP)
    power, cross = separator.power.stereo(audio)
    with torch.inference_mode():
        expected = masks(power[None], cross[None]).shares[0]
    assert torch.allclose(shares_of(separator, audio), expected, atol=0.02)


def test_a_window_is_read_where_it_lies(separator: MaskSeparator) -> None:
    audio = 0.1 * torch.randn(2, 60 * HOP)
    window = audio[:, 12 * HOP : 50 * HOP]
    assert torch.equal(shares_of(separator, audio, 12, 50), shares_of(separator, window, 0, 38))


def test_another_grid_of_bands(separated: Callable[..., list[Tensor]]) -> None:
    torch.manual_seed(0)
    grid = {"sample_rate": 16_000, "stft_size": 600, "hop_length": 200, "bands": 12, "window": 20}
    size = {"channels": (4, 6), "dim": 16, "heads": 2, "layers": 1, "stems": ("voice",)}
    separator = MaskSeparator(build_masks("default", grid | size).eval(), CPU)
    audio = 0.1 * torch.randn(2, 100_003)
    voice, rest = separated(separator, audio, [0], True, rate=44_100)
    assert voice.shape == audio.shape
    assert torch.allclose(voice + rest, audio, atol=1e-6)
    assert voice.std() > 0.01


def test_one_stem_alone_is_the_same_as_among_all(
    separator: MaskSeparator, separated: Callable[..., list[Tensor]]
) -> None:
    audio = 0.1 * torch.randn(1, 50_000)
    (alone,) = separated(separator, audio, [2])
    assert torch.equal(alone, separated(separator, audio, range(5))[2])


def test_channels_out_of_phase_are_not_folded_away(separator: MaskSeparator) -> None:
    """The model must see the power of anti-phase stereo as it sees that in phase."""
    sound = 0.1 * torch.randn(1, 40 * HOP)
    power, cross = separator.power.stereo(torch.cat([sound, sound]))
    opposite, against = separator.power.stereo(torch.cat([sound, -sound]))
    assert power.mean() > 0
    assert torch.allclose(power, opposite)
    assert torch.allclose(cross, -against)


@pytest.mark.parametrize("samples", [1, 100, 513])
def test_the_shortest_recordings(separator: MaskSeparator, samples: int) -> None:
    source = MemorySource(torch.rand(1, samples), 44100)
    blocks = list(separator.blocks(source, [0], True, "FLOAT"))
    assert sum(block[0].shape[1] for block in blocks) == samples


def test_windows_overlap_and_none_is_longer_than_the_models(
    masks: MaskUNet, separated: Callable[..., list[Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    separator = MaskSeparator(masks, CPU)
    lengths: list[int] = []
    open_audio = separator.open

    def told(audio: AudioSource) -> Callable[[int, int], Tensor]:
        find = open_audio(audio)

        def note(start: int, stop: int) -> Tensor:
            lengths.append(stop - start)
            return find(start, stop)

        return note

    monkeypatch.setattr(separator, "open", told)
    frames = 3 * separator.window + 5
    separated(separator, 0.1 * torch.randn(1, frames * HOP), [0])
    assert len(lengths) > 3
    assert max(lengths) == separator.window
    assert sum(lengths) >= frames + (len(lengths) - 1) * (separator.window // 6)
