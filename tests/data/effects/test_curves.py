"""Gains over frequency: within their bounds, smooth where they are said to be, and rooms' tails."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.data.effects import EQ_POINTS
from audiomask.data.effects.curves import CABINET_FLOOR, cabinet, equalizer, input_tone
from audiomask.data.effects.params import Curve
from audiomask.data.effects.space import reverb_tail

RATE = 44_100
TAIL = 22_050


def decibels(curve: Curve) -> np.ndarray:
    assert curve.shape == (EQ_POINTS,)
    assert curve.dtype == np.float32
    return 20 * np.log10(curve)


def at(hz: float) -> int:
    """The point of a curve nearest to a frequency."""
    return round(hz / (RATE / 2) * (EQ_POINTS - 1))


@given(seed=st.integers(0, 999))
def test_the_equalizer_stays_within_12_db(seed: int) -> None:
    gain = decibels(equalizer(np.random.default_rng(seed), RATE))
    assert np.abs(gain).max() <= 12.001
    assert np.abs(np.diff(gain)[50:]).max() < 1  # smooth


@given(seed=st.integers(0, 999))
def test_an_amplifiers_input_has_less_bass_and_more_mids(seed: int) -> None:
    gain = decibels(input_tone(np.random.default_rng(seed), RATE))
    assert gain[at(20)] < gain[at(1_200)]
    assert gain.max() <= 12.001


@given(seed=st.integers(0, 999))
def test_a_cabinet_is_deaf_at_both_ends(seed: int) -> None:
    gain = decibels(cabinet(np.random.default_rng(seed), RATE))
    assert gain.min() >= CABINET_FLOOR - 0.01
    middle = np.median(gain[at(300) : at(2_000)])
    assert gain[0] < middle - 10
    assert gain[at(18_000) :].max() < middle - 12
    # its corner lies from 3 to 7 kHz: two octaves above it little is left
    assert gain[at(20_000) :].mean() < middle - 15


def test_cabinets_differ() -> None:
    found = [decibels(cabinet(np.random.default_rng(seed), RATE)) for seed in range(20)]
    assert np.std(found, axis=0)[at(500) : at(6_000)].mean() > 1.5


def test_curves_follow_the_sample_rate() -> None:
    # what lies at a frequency is the same, whatever the rate
    for make in (equalizer, input_tone, cabinet):
        whole, half = (make(np.random.default_rng(3), rate) for rate in (RATE, RATE // 2))
        np.testing.assert_allclose(half[200::2], whole[100 : EQ_POINTS // 2 + 1], rtol=1e-3)


def test_a_rooms_tail_decays_by_60_db_in_its_time() -> None:
    tail = reverb_tail(0.25, np.random.default_rng(0), RATE)
    assert tail.shape == (TAIL,)
    assert tail.dtype == np.float32
    assert np.square(tail).sum() == pytest.approx(1, rel=1e-4)
    assert not tail[:220].any()
    early = np.square(tail[2_000:4_000]).mean()
    late = np.square(tail[2_000 + 11_025 :][:2_000]).mean()
    assert 10 * np.log10(early / late) == pytest.approx(60, abs=1.5)
