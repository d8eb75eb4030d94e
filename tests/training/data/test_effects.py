"""Effects: lengths stay, gains are bounded, the random generator decides."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomask.training.data.effects import colour, drive, equaliser, impulse


@settings(max_examples=20)
@given(
    seed=st.integers(0, 999),
    length=st.integers(1, 30_000),
    stem=st.sampled_from(["guitar", "piano", "bass", "drums", "other"]),
)
def test_colour_keeps_the_length_and_follows_its_generator(
    seed: int, length: int, stem: str
) -> None:
    audio = 0.3 * torch.randn(length, generator=torch.Generator().manual_seed(seed))
    first, second = (colour(audio, stem, np.random.default_rng(seed), 0.5) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (length,)
    assert first.isfinite().all()


def test_colour_changes_most_and_leaves_some() -> None:
    audio = 0.3 * torch.randn(2_000)
    found = [colour(audio, "guitar", np.random.default_rng(seed), 0.5) for seed in range(60)]
    same = sum(torch.equal(audio, sound) for sound in found)
    assert 1 <= same < 20  # (1 - 0.35) (1 - 0.7) (1 - 0.5) = 0.1


def test_colour_does_not_wrap_around() -> None:
    # reverberation of the end must not be heard at the beginning
    audio = torch.zeros(44_100)
    audio[-1] = 1
    for seed in range(20):
        sound = colour(audio, "piano", np.random.default_rng(seed), 1.0)
        assert float(sound[:20_000].abs().max()) < 0.02


def test_drive_clips_softly() -> None:
    audio = torch.linspace(-0.5, 0.5, 101)
    assert torch.allclose(drive(audio, 0.0), 0.5 * torch.tanh(2 * audio), atol=1e-6)
    hard = drive(audio, 40.0)
    assert torch.allclose(hard[audio.abs() > 0.05].abs(), torch.tensor(0.5), atol=1e-3)
    assert (hard.diff() >= 0).all()
    assert torch.equal(drive(torch.zeros(5), 20.0), torch.zeros(5))


@given(seed=st.integers(0, 999))
def test_the_equaliser_stays_within_12_db(seed: int) -> None:
    gain = equaliser(1_001, np.random.default_rng(seed))
    assert gain.shape == (1_001,)
    assert gain.dtype == torch.float32
    decibels = 20 * gain.log10()
    assert float(decibels.abs().max()) <= 12.001
    assert float(decibels.diff()[50:].abs().max()) < 1  # smooth


def test_a_rooms_tail_decays_by_60_db_in_its_time() -> None:
    tail = impulse(0.25, np.random.default_rng(0))
    assert tail.shape == (22_050,)
    assert float(tail.square().sum()) == pytest.approx(1, rel=1e-4)
    assert not tail[:220].any()
    early = float(tail[2_000:4_000].square().mean())
    late = float(tail[2_000 + 11_025 :][:2_000].square().mean())
    assert 10 * np.log10(early / late) == pytest.approx(60, abs=1.5)
