"""Samples drawn one by one from the raw-audio model."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from audiomask.networks.wave.config import WaveConfig
from audiomask.networks.wave.generation import SampleGenerator, draw_levels, generate
from audiomask.networks.wave.logistic import log_probability
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.mulaw import decode, encode

SMALL = WaveConfig(
    window=4096,
    patch=128,
    targets=2,
    run=1,
    orders=(8, 40),
    spans=(512, 1024),
    blocks=(64, 128),
    refine_order=8,
    refine_span=128,
    refine_block=32,
    combine_span=64,
    combine_block=16,
    history=16,
    components=2,
    dim=16,
    heads=2,
    layers=1,
    decoder_dim=16,
    decoder_hidden=24,
    decoder_layers=1,
)


@pytest.fixture
def model() -> WaveModel:
    torch.manual_seed(3)
    made = WaveModel(SMALL).eval()
    with torch.no_grad():
        # a new model ignores its context and its features
        made.decoder.head.weight.normal_(std=0.1)
    return made


def _sound(length: int) -> Tensor:
    time = torch.arange(length) / 16_000
    noise = torch.randn(length, generator=torch.Generator().manual_seed(1))
    return 0.5 * torch.sin(2 * math.pi * 440 * time) + 0.02 * noise


@pytest.mark.parametrize("past", [1, 200, 256, 1000])
def test_distributions_one_by_one_are_those_of_whole_patches(model: WaveModel, past: int) -> None:
    levels = encode(torch.stack([_sound(past + 300), _sound(past + 300).flip(0)]))
    running = SampleGenerator(model, levels[:, :past], 300)
    bits = []
    for at in range(past, past + 300):
        found = log_probability(levels[:, at], *running.mixture())
        bits.append(-found / math.log(2))
        running.add(levels[:, at])
    # silence before the recording makes its end that of a patch
    lead = -past % SMALL.patch
    rest = -(lead + past + 300) % SMALL.patch
    window = torch.nn.functional.pad(levels, (lead, rest), value=128)
    first = (lead + past) // SMALL.patch
    number = window.shape[1] // SMALL.patch - first
    with torch.no_grad():
        expected = model.bits(window, torch.full((2, 1), first), number).flatten(1)[:, :300]
    torch.testing.assert_close(torch.stack(bits, dim=1), expected, rtol=2e-3, atol=2e-3)


def test_a_long_past_is_cut_to_the_window(model: WaveModel) -> None:
    sound = _sound(3 * SMALL.window)
    levels = encode(sound)[None]
    running = SampleGenerator(model, levels, 1)
    found = running.mixture()[0]
    assert torch.isfinite(found).all()
    context = running._context
    newest = decode(levels[:, -SMALL.window + SMALL.patch :])
    with torch.no_grad():
        alone = model.context(torch.nn.functional.pad(newest, (0, SMALL.patch)))[:, -1]
    torch.testing.assert_close(context, alone)


def test_draws_follow_the_distribution() -> None:
    rows = 4000
    logits = torch.tensor([[0.0, math.log(3.0)]]).expand(rows, -1)
    means = torch.tensor([[-0.5, 0.5]]).expand(rows, -1)
    log_scales = torch.full((rows, 2), math.log(0.01))
    drawn = draw_levels((logits, means, log_scales), 1.0, torch.Generator().manual_seed(0))
    values = decode(drawn)
    assert float((values > 0).float().mean()) == pytest.approx(0.75, abs=0.03)
    upper = values[values > 0]
    # the standard deviation of a logistic distribution is its scale times pi by the root of 3
    assert float(upper.std()) == pytest.approx(0.01 * math.pi / math.sqrt(3), rel=0.15)
    cold = draw_levels((logits, means, log_scales), 0.0, torch.Generator())
    assert (cold == encode(torch.tensor([0.5]))).all()


def test_same_seed_same_sound(model: WaveModel) -> None:
    past = _sound(600)[None]
    one, two, other = (
        generate(model, past, 150, 1.0, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert one.shape == (1, 150)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert float(one.abs().max()) <= 1
