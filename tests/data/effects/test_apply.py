"""Applying effects: lengths stay, what is drawn beforehand decides, lines have their places."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import noise, tone
from torch import Tensor

from audiomask.data.effects import EQ_POINTS, EffectParams, apply_effects, sample_effects
from audiomask.data.effects.curves import cabinet
from audiomask.data.effects.params import LineEffects, join_effects, stack_effects
from audiomask.data.effects.space import pan_gains

RATE = 44_100
TAIL = 22_050
NAMES = ["guitar", "piano", "bass", "drums", "vocals", "other"]


def effects_of(*lines: LineEffects, channels: int = 1) -> EffectParams:
    """The parameters of lines in a room of noise."""
    wide = [dataclasses.replace(line, gain=(line.gain * channels)[:channels]) for line in lines]
    return stack_effects(wide, noise(channels, TAIL, seed=1) / math.sqrt(TAIL))


def sampled(names: list[str], seed: int, channels: int = 1, chance: float = 1.0) -> EffectParams:
    pans = [None] * len(names) if channels == 2 else None
    return sample_effects(names, np.random.default_rng(seed), 0.5, RATE, chance, pans)


def level(audio: Tensor) -> float:
    """Mean power in dB."""
    return 10 * math.log10(float(audio.double().square().mean()))


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999),
    length=st.integers(1, 30_000),
    lines=st.integers(0, 6),
    channels=st.integers(1, 2),
)
def test_effects_keep_the_length_and_follow_their_generator(
    seed: int, length: int, lines: int, channels: int
) -> None:
    audio = 0.3 * noise(lines, 1, length, seed=seed)
    before = audio.clone()
    first, second = (apply_effects(audio, sampled(NAMES[:lines], seed, channels)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(audio, before)
    assert first.shape == (lines, channels, length)
    assert first.isfinite().all()


def test_effects_change_most_and_leave_some() -> None:
    audio = 0.3 * torch.randn(1, 1, 2_000)
    found = [apply_effects(audio, sampled(["other"], seed)) for seed in range(100)]
    same = sum(torch.equal(audio, sound) for sound in found)
    assert 1 <= same < 25  # about 0.92 · 0.95 · 0.75 · 0.9 · 0.88 · 0.3 · 0.5 = 0.08
    never = sampled(NAMES * 20, 0, chance=0.0)
    lines = 0.3 * torch.randn(120, 1, 50)
    assert torch.equal(apply_effects(lines, never), lines)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_defaults_of_a_line_leave_it_as_it_is(channels: int) -> None:
    audio = noise(3, 1, 1_000)
    treated = apply_effects(audio, effects_of(*[LineEffects()] * 3, channels=channels))
    assert torch.equal(treated, audio.expand(-1, channels, -1))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_line_does_not_hear_its_neighbours(channels: int) -> None:
    effects = sampled(NAMES, 3, channels)
    lines = torch.randn(6, 1, 3_000)
    alone = torch.zeros(6, 1, 3_000)
    alone[2] = lines[2]
    torch.testing.assert_close(apply_effects(lines, effects)[2], apply_effects(alone, effects)[2])


def test_parameters_of_songs_joined_do_what_each_does_alone() -> None:
    songs = [sampled(NAMES[:count], seed, 2) for seed, count in enumerate((3, 0, 6, 1))]
    joined = join_effects(songs)
    assert joined.reverb.shape == (4, 2, TAIL)
    assert joined.room.tolist() == [0, 0, 0, 2, 2, 2, 2, 2, 2, 3]
    lines = 0.3 * noise(10, 1, 5_000)
    alone = [apply_effects(*given) for given in zip(lines.split([3, 0, 6, 1]), songs, strict=True)]
    torch.testing.assert_close(apply_effects(lines, joined), torch.cat(alone))


def test_lines_that_have_their_channels_keep_them_apart() -> None:
    audio = 0.3 * noise(2, 2, 4_000)
    audio[:, 1] = 0
    line = LineEffects(echo_gain=0.5, echo_time=441.0, mod_mix=0.5, mod_depth=20.0, mod_rate=1e-4)
    found = apply_effects(audio, effects_of(line, line, channels=2))
    assert float((found[:, 0] - audio[:, 0]).abs().max()) > 0.05
    assert float(found[:, 1].abs().max()) < 1e-6


# The room


def test_reverberation_does_not_wrap_around() -> None:
    # of the end, nothing must be heard at the beginning; echoes may, and what an amplifier's tone
    # does to a click at the very end
    audio = torch.zeros(1, 1, 44_100)
    audio[..., -1] = 1
    for seed in range(20):
        effects = sampled(["piano"], seed)
        effects = effects._replace(echo_gain=torch.zeros(1), drive=-torch.ones(1))
        assert float(apply_effects(audio, effects)[..., :20_000].abs().max()) < 0.02


def test_the_band_shares_one_room() -> None:
    effects = sampled(NAMES * 10, 0)
    assert effects.reverb.shape == (1, 1, TAIL)
    assert effects.curve.shape == effects.tone.shape == (60, EQ_POINTS)
    impulses = torch.zeros(60, 1, 30_000)
    impulses[..., 0] = 1
    wet = (effects.wet > 0) & (effects.drive < 0) & (effects.curve == 1).all(dim=1)
    wet &= (effects.mod_mix == 0) & (effects.echo_gain == 0) & effects.threshold.isinf()
    assert int(wet.sum()) >= 2
    sound = apply_effects(impulses, effects)[wet, 0]
    expected = effects.wet[wet, None] * effects.reverb[0, 0]
    torch.testing.assert_close(sound[:, 1:TAIL], expected[:, 1:], atol=1e-5, rtol=0)


def test_a_stereo_room_has_two_sides() -> None:
    left, right = sampled(["piano"], 0, 2).reverb[0]
    assert abs(float(left @ right)) < 0.05
    assert float(left @ left) == pytest.approx(1, rel=1e-3)
    assert float(right @ right) == pytest.approx(1, rel=1e-3)


# Echoes


@pytest.mark.parametrize("samples", [4_410.0, 12_345.0])
def test_an_echo_comes_at_its_time_and_again_and_again(samples: float) -> None:
    impulse = torch.zeros(1, 1, 50_000)
    impulse[..., 100] = 1
    found = apply_effects(impulse, effects_of(LineEffects(echo_gain=0.5, echo_time=samples)))[0, 0]
    for number in range(4):
        place = 100 + number * int(samples)
        assert float(found[place]) == pytest.approx(0.5**number, abs=2e-3)
        found[place] = 0
    # what echoes beyond the end comes again at the beginning
    assert float(found.abs().max()) < 0.07


# Places


@given(pan=st.floats(-1, 1))
def test_a_place_is_of_constant_power_and_the_middle_changes_nothing(pan: float) -> None:
    left, right = pan_gains(pan)
    assert left**2 + right**2 == pytest.approx(2)
    assert pan_gains(-pan) == pytest.approx((right, left))
    assert (right > left) == (pan > 1e-15) or pan == pytest.approx(0, abs=1e-9)
    assert pan_gains(0) == pytest.approx((1, 1))


def test_lines_have_their_places_on_two_channels() -> None:
    audio = noise(3, 1, 500)
    pans = [-1.0, 0.0, 1.0]
    effects = sample_effects(["bass"] * 3, np.random.default_rng(0), 0.5, RATE, 0.0, pans)
    found = apply_effects(audio, effects)
    assert found.shape == (3, 2, 500)
    for line, pan, sound in zip(audio, pans, found, strict=True):
        left, right = pan_gains(pan)
        assert torch.allclose(sound[0], left * line[0], atol=1e-6)
        assert torch.allclose(sound[1], right * line[0], atol=1e-6)


def test_places_that_are_not_given_are_drawn() -> None:
    guitars, basses = (sampled([name] * 300, 0, 2, chance=0.0).gain for name in ("guitar", "bass"))
    for gain in (guitars, basses):
        assert torch.allclose(gain.square().sum(dim=1), torch.full((300,), 2.0))
        assert float(gain[:, 0].mean()) == pytest.approx(float(gain[:, 1].mean()), abs=0.1)
    # basses stay about the middle
    assert float((basses[:, 0] - basses[:, 1]).abs().max()) < 0.4
    assert float((guitars[:, 0] - guitars[:, 1]).abs().max()) > 1


@pytest.mark.parametrize("spread", [0.2, 1.0])
@pytest.mark.parametrize("pan", [0.0, 0.5, -1.0])
def test_a_spread_line_is_wide_and_folds_to_mono_without_loss(spread: float, pan: float) -> None:
    audio = 0.3 * noise(1, 1, 44_100)
    placed = LineEffects(gain=pan_gains(pan))
    wide = dataclasses.replace(placed, spread=spread, spread_time=300.0)
    room = torch.zeros(2, TAIL)
    plain, found = (apply_effects(audio, stack_effects([line], room))[0] for line in (placed, wide))
    assert level(found.mean(dim=0)) > level(plain.mean(dim=0)) - 3
    assert level(found) == pytest.approx(level(plain) + 10 * math.log10(1 + spread**2), abs=0.2)
    if pan == 0:
        assert torch.allclose(found.sum(dim=0), plain.sum(dim=0), atol=1e-5)
        assert float(torch.corrcoef(found)[0, 1]) < 1 - spread**2 / 2


# Gains over frequency


def test_an_equalizer_is_heard_as_it_is_drawn() -> None:
    curve = np.linspace(0.5, 2, EQ_POINTS, dtype=np.float32)
    effects = effects_of(LineEffects(curve=curve))
    for hz in (2_000.0, 11_025.0, 18_000.0):
        before = tone(hz, 44_100)[None, None]
        after = apply_effects(before, effects)
        ratio = after[..., 5_000:-5_000].std() / before[..., 5_000:-5_000].std()
        assert float(ratio) == pytest.approx(0.5 + 1.5 * hz / 22_050, rel=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_a_cabinet_lets_nothing_through_far_above_its_corner(seed: int) -> None:
    curve = cabinet(np.random.default_rng(seed), RATE)
    effects = effects_of(LineEffects(curve=curve))
    middle, high = (
        level(apply_effects(tone(hz, 44_100)[None, None], effects)[..., 5_000:-5_000])
        for hz in (1_000.0, 18_000.0)
    )
    assert high < middle - 15


# What is drawn


def test_guitars_are_driven_most() -> None:
    effects = sampled(["guitar", "bass", "piano"] * 300, 0)
    share = (effects.drive >= 0).float().view(-1, 3).mean(dim=0)
    assert share.tolist() == pytest.approx([0.5, 0.3, 0.1], abs=0.07)


def test_every_effect_is_drawn_for_guitars() -> None:
    effects = sampled(["guitar"] * 200, 0, 2)
    used = {
        "compressor": effects.threshold.isfinite(),
        "modulation": effects.mod_mix > 0,
        "vibrato": effects.mod_mix == 1,
        "amplifier": effects.drive >= 0,
        "echo": effects.echo_gain > 0,
        "room": effects.wet > 0,
        "spread": effects.spread > 0,
        "equalizer": (effects.curve != 1).any(dim=1),
    }
    for name, rows in used.items():
        assert 4 < int(rows.sum()) < 196, name
    assert not (effects.drive[~used["amplifier"]] >= 0).any()
    assert (effects.tone[~used["amplifier"]] == 1).all()
    assert float(effects.echo_gain.max()) < 1  # or they would never end
