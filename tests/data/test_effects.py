"""Effects: lengths stay, gains are bounded, what is drawn beforehand decides."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import noise, tone

from audiomask.data.effects import (
    EQ_POINTS,
    apply_effects,
    drive,
    equalizer,
    reverb_tail,
    sample_effects,
)

RATE = 44_100
TAIL = 22_050
NAMES = ["guitar", "piano", "bass", "drums", "other"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), length=st.integers(1, 30_000), lines=st.integers(0, 5))
def test_effects_keep_the_length_and_follow_their_generator(
    seed: int, length: int, lines: int
) -> None:
    audio = 0.3 * noise(lines, length, seed=seed)
    before = audio.clone()
    first, second = (
        apply_effects(audio, sample_effects(NAMES[:lines], np.random.default_rng(seed), 0.5, RATE))
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(audio, before)
    assert first.shape == (lines, length)
    assert first.isfinite().all()


def test_effects_change_most_and_leave_some() -> None:
    audio = 0.3 * torch.randn(1, 2_000)
    found = [
        apply_effects(audio, sample_effects(["guitar"], np.random.default_rng(seed), 0.5, RATE))
        for seed in range(60)
    ]
    same = sum(torch.equal(audio, sound) for sound in found)
    assert 1 <= same < 20  # (1 - 0.35) (1 - 0.7) (1 - 0.5) = 0.1
    never = sample_effects(NAMES * 20, np.random.default_rng(0), 0.5, RATE, chance=0.0)
    lines = 0.3 * torch.randn(100, 50)
    assert torch.equal(apply_effects(lines, never), lines)


def test_a_line_does_not_hear_its_neighbours() -> None:
    effects = sample_effects(NAMES, np.random.default_rng(3), 0.5, RATE)
    lines = torch.randn(5, 3_000)
    alone = torch.zeros(5, 3_000)
    alone[2] = lines[2]
    torch.testing.assert_close(apply_effects(lines, effects)[2], apply_effects(alone, effects)[2])


def test_reverberation_does_not_wrap_around() -> None:
    # of the end, nothing must be heard at the beginning
    audio = torch.zeros(1, 44_100)
    audio[0, -1] = 1
    for seed in range(20):
        sound = apply_effects(
            audio, sample_effects(["piano"], np.random.default_rng(seed), 1.0, RATE)
        )
        assert float(sound[0, :20_000].abs().max()) < 0.02


def test_the_band_shares_one_room() -> None:
    effects = sample_effects(NAMES * 10, np.random.default_rng(0), 0.4, RATE)
    assert effects.reverb.shape == (1, TAIL)
    assert effects.curve.shape == (50, EQ_POINTS)
    impulses = torch.zeros(50, 30_000)
    impulses[:, 0] = 1
    wet = (effects.wet > 0) & (effects.drive < 0) & (effects.curve == 1).all(dim=1)
    assert int(wet.sum()) >= 2
    sound = apply_effects(impulses, effects)[wet]
    expected = effects.wet[wet, None] * effects.reverb[0]
    torch.testing.assert_close(sound[:, 1:TAIL], expected[:, 1:], atol=1e-5, rtol=0)


def test_an_equaliser_is_heard_as_it_is_drawn() -> None:
    effects = sample_effects(["piano"], np.random.default_rng(0), 0.5, RATE)
    curve = torch.linspace(0.5, 2, EQ_POINTS)[None]
    effects = effects._replace(curve=curve, wet=torch.zeros(1), drive=-torch.ones(1))
    for hz in (2_000.0, 11_025.0, 18_000.0):
        before = tone(hz, 44_100)[None]
        after = apply_effects(before, effects)
        ratio = after[0, 5_000:-5_000].std() / before[0, 5_000:-5_000].std()
        assert float(ratio) == pytest.approx(0.5 + 1.5 * hz / 22_050, rel=0.01)


def test_guitars_are_driven_most() -> None:
    effects = sample_effects(["guitar", "bass", "piano"] * 300, np.random.default_rng(0), 0.5, RATE)
    share = (effects.drive >= 0).float().view(-1, 3).mean(dim=0)
    assert share.tolist() == pytest.approx([0.35, 0.2, 0.05], abs=0.07)


def test_drive_clips_softly() -> None:
    audio = torch.linspace(-0.5, 0.5, 101)[None]
    soft = drive(audio, torch.tensor([0.0]))
    assert torch.allclose(soft, 0.5 * torch.tanh(2 * audio), atol=1e-6)
    hard = drive(audio, torch.tensor([40.0]))
    assert torch.allclose(hard[audio.abs() > 0.05].abs(), torch.tensor(0.5), atol=1e-3)
    assert (hard.diff() >= 0).all()
    assert torch.equal(drive(torch.zeros(1, 5), torch.tensor([20.0])), torch.zeros(1, 5))


@given(seed=st.integers(0, 999))
def test_the_equaliser_stays_within_12_db(seed: int) -> None:
    gain = equalizer(np.random.default_rng(seed), RATE)
    assert gain.shape == (EQ_POINTS,)
    assert gain.dtype == np.float32
    decibels = 20 * np.log10(gain)
    assert np.abs(decibels).max() <= 12.001
    assert np.abs(np.diff(decibels)[50:]).max() < 1  # smooth


def test_a_rooms_tail_decays_by_60_db_in_its_time() -> None:
    tail = reverb_tail(0.25, np.random.default_rng(0), RATE)
    assert tail.shape == (TAIL,)
    assert tail.dtype == np.float32
    assert np.square(tail).sum() == pytest.approx(1, rel=1e-4)
    assert not tail[:220].any()
    early = np.square(tail[2_000:4_000]).mean()
    late = np.square(tail[2_000 + 11_025 :][:2_000]).mean()
    assert 10 * np.log10(early / late) == pytest.approx(60, abs=1.5)
