"""Measures, against numbers worked out by hand and against the museval package."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomask.evaluation.metrics import (
    entropy,
    level,
    partial_correlation,
    sdr,
    si_sdr,
    snr,
    usage,
)


def test_level() -> None:
    assert level(torch.full((2, 100), 0.1)) == pytest.approx(-20)
    assert level(torch.zeros(1, 100)) == -math.inf


def test_si_sdr_by_hand() -> None:
    target = torch.tensor([[1.0, 1, 0, 0]])
    estimate = torch.tensor([[2.0, 2, 1, 1]])  # twice the target, and noise of a quarter its power
    assert si_sdr(estimate, target) == pytest.approx(10 * math.log10(8 / 2), abs=1e-5)
    assert si_sdr(0.01 * estimate, target) == pytest.approx(10 * math.log10(8 / 2), abs=1e-5)


def test_si_sdr_takes_an_offset_for_error_and_channels_for_one_signal() -> None:
    target = torch.tensor([[1.0, -1, 1, -1]])
    assert si_sdr(target + 1, target) == pytest.approx(0, abs=1e-5)
    both = torch.tensor([[1.0, 1], [0, 0]])
    assert si_sdr(torch.tensor([[2.0, 2], [1, 1]]), both) == pytest.approx(6.0206, abs=1e-3)


def test_snr_by_hand() -> None:
    target = torch.tensor([[3.0], [4.0]])
    assert snr(torch.tensor([[3.0], [3.0]]), target) == pytest.approx(10 * math.log10(25))
    assert snr(torch.zeros(2, 1), target) == pytest.approx(0)
    assert snr(target, target) == math.inf


def test_sdr_by_hand() -> None:
    target = torch.ones(1, 11)
    estimate = target.clone()
    estimate[:, :4] += 0.5  # a window of 6.02 dB
    estimate[:, 4:8] += 1.0  # one of 0 dB
    estimate[:, 8:] += 9.0  # what is no whole window does not count
    (found,) = sdr([estimate], [target], 4)
    assert found == pytest.approx(10 * math.log10(4) / 2)
    # a song shorter than a window is one
    (found,) = sdr([target + 0.1], [target], 100)
    assert found == pytest.approx(20, abs=1e-4)


def test_sdr_leaves_silent_windows_out_for_every_stem() -> None:
    first, second = torch.ones(1, 12), torch.ones(1, 12)
    second[:, :4] = 0
    estimates = [first + 0.1, second + 0.1]
    estimates[0][:, :4] += 10  # would be the lowest of three
    found = sdr(estimates, [first, second], 4)
    assert found == pytest.approx([20, 20], abs=1e-4)
    assert all(math.isnan(value) for value in sdr([first], [0 * first], 4))


@pytest.mark.parametrize("channels", [1, 2])
def test_sdr_is_musevals(channels: int, peer: Callable[[str], str]) -> None:
    peer("ffmpeg")  # museval does not load without it
    from museval.metrics import bss_eval

    rng = np.random.default_rng(channels)
    window, shape = 800, (3, 4321, channels)
    true = rng.standard_normal(shape)
    made = true + rng.uniform(0.01, 1, (3, 1, 1)) * rng.standard_normal(shape)
    true[1, :1700] = 0  # two windows and a bit of silence
    made[2, 2400:3200] = 0
    theirs, *_ = bss_eval(true, made, window=window, hop=window, filters_len=16)
    ours = sdr(parts(made), parts(true), window)
    assert np.isnan(theirs).sum(axis=1).tolist() == [3, 3, 3]
    assert ours == pytest.approx(np.nanmedian(theirs, axis=1).tolist(), abs=1e-6)


def parts(stems: np.ndarray) -> list[Tensor]:
    """Stems [S, T, C] as tensors [C, T]."""
    return [torch.from_numpy(stem.T.copy()) for stem in stems]


def test_entropy_and_usage_by_hand() -> None:
    assert entropy(torch.tensor([0, 0, 3, 3])) == pytest.approx(1)
    assert entropy(torch.tensor([[5, 5], [5, 5]])) == 0
    found = usage(torch.tensor([2, 2, 0, 0, 4]))
    assert found.tokens == 8
    assert found.bits == pytest.approx(1.5)
    assert found.perplexity == pytest.approx(2**1.5)
    assert (found.used, found.dead) == (0.6, 2)


# Partials


def tones(seconds: float, *pitches: float) -> Tensor:
    time = torch.arange(int(seconds * 44_100)) / 44_100
    return 0.1 * torch.stack([torch.sin(2 * math.pi * p * time) for p in pitches]).sum(0)[None]


def test_partials_tell_notes_from_other_notes_and_from_noise() -> None:
    torch.manual_seed(0)
    notes = tones(2, 220, 440, 660, 880, 1100)
    hiss = 0.003 * torch.randn_like(notes)
    assert partial_correlation(notes, notes, 44_100) == pytest.approx(1)
    assert partial_correlation(0.2 * notes + 0.2 * hiss, notes + hiss, 44_100) > 0.9
    assert partial_correlation(tones(2, 247, 494, 741, 988, 1235), notes, 44_100) < 0.6
    noise = torch.randn_like(notes)
    assert abs(partial_correlation(noise, notes + hiss, 44_100)) < 0.2


def test_partials_count_where_something_sounds() -> None:
    torch.manual_seed(0)
    notes = torch.cat([tones(1, 300, 600), torch.zeros(1, 44_100)], dim=1)
    wrong = notes + 1e-5 * torch.cat([torch.zeros(1, 60_000), tones(1, 500)[:, :28_200]], dim=1)
    assert partial_correlation(wrong, notes, 44_100) > 0.99
    assert partial_correlation(notes[:, :500], notes[:, :500], 44_100) == pytest.approx(1)
    assert math.isnan(partial_correlation(0 * notes, 0 * notes, 44_100))
