"""Code lengths without a trained model: by hand, as proper distributions, and in their order."""

import math

import pytest
import torch
from torch import Tensor

from audiomask.evaluation import sample_codes
from audiomask.evaluation.sample_codes import (
    cascade,
    code_costs,
    linear,
    second_order,
    unigram,
)
from audiomask.networks.wave.mulaw import LEVELS, SILENCE, decode, encode

TARGETS = 256


def tone(samples: int = 8_192, noise: float = 0.02) -> Tensor:
    """Levels of two tones in noise, int64 [2, T]."""
    draw = torch.Generator().manual_seed(0)
    time = torch.arange(samples) / 16_000
    pitch = torch.tensor([[220.0], [530.0]])
    audio = 0.4 * torch.sin(2 * math.pi * pitch * time)
    audio += 0.3 * torch.sin(2 * math.pi * 3.1 * pitch * time)
    return encode(audio + noise * torch.randn(audio.shape, generator=draw))


def test_the_unigram_counts_what_came_before() -> None:
    levels = torch.tensor([[7, 7, 7, 9, 7, 200]])
    found = unigram(levels, 2)
    total = 4 + LEVELS / 2
    assert found[0].tolist() == pytest.approx([-math.log2(3.5 / total), -math.log2(0.5 / total)])


def test_the_second_order_counts_what_followed_the_same_two() -> None:
    levels = torch.tensor([[1, 2, 3] * 50 + [1, 2, 3]])
    found = second_order(levels, 1)
    shares = 50.5 / (152 + LEVELS / 2)
    for seen in (50, 50):
        shares = (seen + 4 * shares) / (seen + 4)
    # the last 3 follows 2, and 1 and 2, fifty times each
    assert float(found) == pytest.approx(-math.log2(shares), abs=0.02)
    # all levels share out the probability
    total = 0.0
    for level in range(LEVELS):
        levels[0, -1] = level
        total += 2 ** -float(second_order(levels, 1))
    assert total == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("code", [unigram, linear, cascade])
def test_the_probabilities_of_a_sample_sum_to_one(code) -> None:
    levels = tone(1_024)[:1].repeat(LEVELS, 1)
    levels[:, -1] = torch.arange(LEVELS)
    assert float((2 ** -code(levels, 1)).sum()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("code", [linear, cascade])
def test_no_bits_depend_on_later_samples(code) -> None:
    levels = tone(2_048)[:1]
    changed = levels.clone()
    changed[:, 1_900:] = SILENCE
    before, after = code(levels, TARGETS), code(changed, TARGETS)
    same = 1_900 - (2_048 - TARGETS)
    assert torch.allclose(before[:, :same], after[:, :same], atol=1e-3)
    assert not torch.allclose(before[:, same:], after[:, same:], atol=1e-3)


def test_they_are_in_the_order_of_what_they_know() -> None:
    levels = tone()
    found = [
        float(code(levels, TARGETS).mean()) for code in (unigram, second_order, linear, cascade)
    ]
    assert found[0] > found[1] > found[2]
    assert found[3] < found[1]
    # noise of 0.02 has this many bits at least, in steps of the levels at 0.4
    step = 0.4 * math.log(256) / 127.5
    assert found[2] > math.log2(0.02 * math.sqrt(2 * math.pi * math.e) / step) - 1


def test_a_filter_adapts_by_signs() -> None:
    levels = tone(4_096, noise=0)
    samples = decode(levels).double().numpy()
    predicted = sample_codes.run_cascade(samples, ((32, 2e-3),))
    errors = abs(samples - predicted)
    plain = abs(samples[:, 1:] - 31 / 32 * samples[:, :-1])
    assert predicted[0, 0] == 0
    assert predicted[0, 1] == pytest.approx(31 / 32 * samples[0, 0])
    assert errors[:, -500:].mean() < 0.5 * plain[:, -500:].mean()


def test_a_good_prediction_costs_little_and_the_expectation_is_right() -> None:
    levels = tone()
    exact, _ = code_costs(levels, decode(levels))
    assert float(exact[:, 1_000:].mean()) < 0.2
    noisy = decode(levels) + 0.03 * torch.randn(levels.shape)
    bits, expected = code_costs(levels, noisy)
    assert bits.shape == expected.shape == levels.shape
    assert float((bits - expected)[:, 1_000:].mean()) == pytest.approx(0, abs=0.4)
