"""Audio sources: any excerpt is a part of the whole, at every rate."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import noise, tone

from audiomask.audio.source import MemorySource, ResampledSource, resample, resampled_length

RATES = [(48_000, 44_100), (44_100, 48_000), (8_000, 44_100), (22_050, 44_100), (96_000, 44_100)]


@given(start=st.integers(-60, 60), length=st.integers(0, 90))
def test_memory_gives_zeros_outside(start: int, length: int) -> None:
    audio = noise(2, 40) / 4
    padded = torch.cat([torch.zeros(2, 60), audio, torch.zeros(2, 110)], dim=1)
    found = MemorySource(audio, 44_100).read(start, start + length)
    assert torch.equal(found, padded[:, start + 60 : start + 60 + length])


def test_memory_knows_its_shape() -> None:
    source = MemorySource(noise(3, 40).double() / 4, 8_000)
    assert (source.sample_rate, source.channels, source.frames) == (8_000, 3, 40)
    assert source.read(0, 40).dtype == torch.float32
    with pytest.raises(ValueError, match="channels, samples"):
        MemorySource(torch.zeros(40), 8_000)


@pytest.mark.parametrize(("old", "new"), RATES)
def test_an_excerpt_is_a_part_of_the_whole_resampled(old: int, new: int) -> None:
    audio = noise(2, old) / 4
    source = ResampledSource(MemorySource(audio, old), new)
    assert (source.sample_rate, source.channels, source.frames) == (new, 2, new)
    # silence around it, as a source has; a whole second keeps both rates' samples aligned
    around = torch.cat([torch.zeros(2, old), audio, torch.zeros(2, old)], dim=1)
    whole = resample(around, old, new)[:, new : 2 * new]
    assert whole.std() > 0.05
    for start, stop in [
        (0, new),
        (0, 1),
        (1_234, 5_679),
        (new // 2, new // 2 + 7),
        (new - 99, new),
    ]:
        assert torch.allclose(source.read(start, stop), whole[:, start:stop], atol=1e-5)


@settings(max_examples=15)
@given(start=st.integers(-3_000, 7_000), length=st.integers(1, 3_000))
def test_any_two_excerpts_agree_where_they_overlap(start: int, length: int) -> None:
    source = ResampledSource(MemorySource(noise(1, 4_801) / 4, 48_000), 44_100)
    assert source.frames == math.ceil(4_801 * 44_100 / 48_000)
    wide = source.read(-3_000, 10_000)
    assert torch.allclose(
        source.read(start, start + length), wide[:, start + 3_000 :][:, :length], atol=1e-5
    )
    assert not wide[:, :3_000].any()
    assert not wide[:, 3_000 + source.frames :].any()


def test_a_tone_stays_the_same_tone() -> None:
    fast, slow = (tone(1_000, rate, rate)[None] for rate in (48_000, 44_100))
    moved = ResampledSource(MemorySource(fast, 48_000), 44_100).read(4_000, 40_000)
    assert torch.allclose(moved, slow[:, 4_000:40_000], atol=1e-3)


def test_the_same_rate_is_left_alone() -> None:
    audio = noise(1, 1_000) / 4
    assert torch.equal(ResampledSource(MemorySource(audio, 44_100), 44_100).read(0, 1_000), audio)
    assert resample(audio, 8_000, 8_000) is audio


@pytest.mark.parametrize(
    ("frames", "old", "new", "expected"),
    [
        (0, 48_000, 44_100, 0),
        (1, 48_000, 44_100, 1),
        (160, 48_000, 44_100, 147),
        (161, 160, 147, 148),
    ],
)
def test_lengths_are_rounded_up(frames: int, old: int, new: int, expected: int) -> None:
    assert resampled_length(frames, old, new) == expected
