from collections.abc import Iterator

import pytest
import torch
from signals import tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.separation import masking as module
from audiomask.separation.masking import MaskApplier, audible, next_smooth_number

HOP = 512 / 44100
#: that of the bundled model
LONG_HOP = 1024 / 44100


@pytest.fixture
def all_audible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stems have what is too low for them, so that shares of one give everything back."""
    monkeypatch.setattr(module, "audible", torch.ones_like)


def pieces(shares: Tensor, size: int) -> Iterator[Tensor]:
    return iter(torch.split(shares, size, dim=-1))


def frames_of(samples: int, rate: int) -> int:
    return -(-samples * 44100 // (rate * 512))


@pytest.mark.usefixtures("all_audible")
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_share_of_one_gives_the_recording_back(rate: int, channels: int) -> None:
    torch.manual_seed(0)
    audio = torch.randn(channels, int(rate * 1.3) + 17)
    shares = torch.ones(1, 1, 64, frames_of(audio.shape[1], rate))
    shared = MaskApplier(MemorySource(audio, rate), HOP, 22050)
    together = torch.cat(list(shared.stems(pieces(shares, 30))), dim=-1)
    assert together.shape == (1, *audio.shape)
    assert torch.allclose(together[0], audio, atol=2e-5)


@pytest.mark.usefixtures("all_audible")
@pytest.mark.parametrize("samples", [1, 2, 511, 512, 513, 5000])
def test_short_recordings_keep_their_length(samples: int) -> None:
    audio = torch.randn(2, samples)
    shared = MaskApplier(MemorySource(audio, 44100), HOP, 22050)
    shares = torch.ones(1, 1, 64, frames_of(samples, 44100))
    together = torch.cat(list(shared.stems(pieces(shares, 4))), dim=-1)
    assert torch.allclose(together[0], audio, atol=2e-5)


def test_how_the_shares_arrive_makes_no_difference() -> None:
    torch.manual_seed(0)
    audio = torch.randn(2, 60_000)
    shares = torch.rand(3, 1, 64, frames_of(60_000, 44100))
    shared = MaskApplier(MemorySource(audio, 44100), HOP, 22050)
    whole = torch.cat(list(shared.stems(pieces(shares, 1000))), dim=-1)
    for size in (1, 7, 64):
        parts = torch.cat(list(shared.stems(pieces(shares, size))), dim=-1)
        assert torch.allclose(parts, whole, atol=1e-5)


@pytest.mark.usefixtures("all_audible")
@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_shares_that_sum_to_one_give_stems_that_sum_to_the_recording(rate: int) -> None:
    torch.manual_seed(0)
    audio = torch.randn(2, rate)
    shares = torch.randn(4, 1, 64, frames_of(rate, rate)).softmax(dim=0)
    shared = MaskApplier(MemorySource(audio, rate), HOP, 22050)
    together = torch.cat(list(shared.stems(pieces(shares, 50))), dim=-1)
    assert torch.allclose(together.sum(dim=0), audio, atol=5e-5)


@pytest.mark.usefixtures("all_audible")
@pytest.mark.parametrize("channels", [2, 3, 6])
def test_left_and_right_have_shares_of_their_own(channels: int) -> None:
    torch.manual_seed(0)
    audio = torch.randn(channels, 30_000)
    shares = torch.randn(3, 2, 64, frames_of(30_000, 44100)).softmax(dim=0)
    shared = MaskApplier(MemorySource(audio, 44100), HOP, 22050)
    stems = torch.cat(list(shared.stems(pieces(shares, 20))), dim=-1)
    assert torch.allclose(stems.sum(dim=0), audio, atol=5e-5)
    for channel in range(channels):
        # as that channel alone, with the shares of its side
        one = MaskApplier(MemorySource(audio[channel : channel + 1], 44100), HOP, 22050)
        side = shares[:, channel % 2, None]
        alone = torch.cat(list(one.stems(pieces(side, 20))), dim=-1)
        assert torch.allclose(stems[:, channel], alone[:, 0], atol=1e-5)
    assert not torch.allclose(stems[:, 0] / audio[0], stems[:, 1] / audio[1], atol=0.1)


def test_a_stem_on_the_left_is_not_taken_from_the_right() -> None:
    low, high = tone([300, 5000], 44100)
    shares = torch.zeros(1, 2, 64, frames_of(44100, 44100))
    shares[:, 0, :32] = 1
    shared = MaskApplier(MemorySource(torch.stack([low + high, low]), 44100), HOP, 22050)
    left, right = torch.cat(list(shared.stems(pieces(shares, 40))), dim=-1)[0]
    middle = slice(4_000, -4_000)
    assert torch.allclose(left[middle], low[middle], atol=0.02)
    assert not right.any()


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_share_acts_on_its_own_band_and_time(rate: int) -> None:
    low, high = tone([300, 5000], 2 * rate, rate)
    frames = frames_of(2 * rate, rate)
    shares = torch.zeros(1, 1, 64, frames)
    shares[:, :, :32, : frames // 2] = 1  # the lower bands, in the first second
    shared = MaskApplier(MemorySource((low + high)[None], rate), HOP, 22050)
    stem = torch.cat(list(shared.stems(pieces(shares, 40))), dim=-1)[0, 0]
    first, second = slice(rate // 10, rate * 9 // 10), slice(rate * 11 // 10, rate * 19 // 10)
    assert torch.allclose(stem[first], low[first], atol=0.02)
    assert stem[second].abs().max() < 0.02


def test_what_lies_above_the_last_band_follows_it() -> None:
    rate = 96000
    ultrasound = tone(30_000, rate, rate)
    shares = torch.zeros(1, 1, 64, frames_of(rate, rate))
    shares[:, :, -1] = 0.5
    shared = MaskApplier(MemorySource(ultrasound[None], rate), HOP, 22050)
    stem = torch.cat(list(shared.stems(pieces(shares, 40))), dim=-1)[0, 0]
    middle = slice(rate // 10, rate * 9 // 10)
    assert torch.allclose(stem[middle], 0.5 * ultrasound[middle], atol=0.01)


def test_smooth_numbers_have_small_factors() -> None:
    assert [next_smooth_number(n) for n in (0, 1, 11, 93, 512, 557)] == [1, 1, 12, 96, 512, 560]


# What is too low for any stem


def stem_of(audio: Tensor, rate: int) -> Tensor:
    """The only stem, which has a share of one."""
    frames = -(-audio.shape[1] * 44100 // (rate * 1024))
    shared = MaskApplier(MemorySource(audio, rate), LONG_HOP, 22050)
    return torch.cat(list(shared.stems(iter([torch.ones(1, 1, 256, frames)]))), dim=-1)[0]


def test_what_is_audible_by_hand() -> None:
    gain = audible(torch.tensor([0.0, 12.0, 16.0, 20.0, 27.5, 20_000.0]))
    assert torch.allclose(gain, torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0, 1.0]), atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("offset", [0.03, -0.5])
def test_an_offset_is_no_stems(rate: int, offset: float) -> None:
    sine = 0.1 * tone(220, 2 * rate, rate)
    stem = stem_of((sine + offset)[None], rate)[0]
    middle = slice(rate // 5, -rate // 5)
    assert torch.allclose(stem[middle], sine[middle], atol=2e-4)


@pytest.mark.parametrize("hz", [0.2, 1.0, 3.0])
def test_a_slow_drift_is_no_stems(hz: float) -> None:
    drift = 0.1 * tone(hz, 3 * 44100)
    stem = stem_of(drift[None], 44100)[0, 44100:-44100]
    assert float(stem.abs().max()) < 2e-3


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 192000])
@pytest.mark.parametrize("hz", [30.0, 41.2, 100.0])
def test_low_notes_are_left_as_they_are(rate: int, hz: float) -> None:
    note = 0.1 * tone(hz, 2 * rate, rate)
    stem = stem_of(note[None], rate)[0]
    middle = slice(rate // 5, -rate // 5)
    assert torch.allclose(stem[middle], note[middle], atol=1e-3)


def test_many_channels_are_done_as_few() -> None:
    torch.manual_seed(0)
    audio = torch.randn(70, 20_000)
    assert torch.allclose(stem_of(audio, 44100)[:2], stem_of(audio[:2], 44100), atol=1e-5)
