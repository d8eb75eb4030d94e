"""The default model: nothing depends on later samples, patches are decoded alone, memory."""

import math
from typing import Any

import pytest
import torch
from tiny_wave import SMALL
from torch import Tensor

from audiomask.networks.wave import build_wave
from audiomask.networks.wave import model as module
from audiomask.networks.wave.config import WaveConfig
from audiomask.networks.wave.features import patch_features
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.mulaw import LEVELS, decode, encode

SIZE, PATCHES = 512, 8
#: a run that begins with the window
START = torch.zeros(1, 1, dtype=torch.int64)


def model_of(**settings: Any) -> WaveModel:
    torch.manual_seed(0)
    model = WaveModel(WaveConfig(**(SMALL | settings)))
    # a head of zeros would hide what the layers below see
    torch.nn.init.normal_(model.decoder.head.weight, std=0.3)
    return model.eval()


def sound(batch: int = 1, patches: int = PATCHES, seed: int = 0) -> Tensor:
    """Levels of a tone in noise, int64 [B, T]."""
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(patches * SIZE) / 8_000
    pitch = 200 + 400 * torch.rand(batch, 1, generator=draw)
    noise = 0.1 * torch.randn(batch, len(time), generator=draw)
    return encode(0.5 * torch.sin(2 * torch.pi * pitch * time) + noise)


def mixture(model: WaveModel, levels: Tensor) -> Tensor:
    """The parameters of every sample's distribution, [T, 3K]."""
    samples = decode(levels)
    features = patch_features(samples, START, levels.shape[1] // SIZE, model.config)
    parts = model.decoder(features, model.context(samples)[0])
    return torch.cat(parts, dim=-1).flatten(0, 1)


@pytest.mark.parametrize("place", [0, 1, 511, 512, 700, 1023, 1024, 2_600, 4_095])
@torch.no_grad()
def test_no_distribution_depends_on_its_own_sample_or_later_ones(place: int) -> None:
    model, levels = model_of(), sound()
    changed = levels.clone()
    changed[:, place] = (changed[:, place] + LEVELS // 2) % LEVELS
    before, after = mixture(model, levels), mixture(model, changed)
    # convolutions by spectra round by what comes later
    assert torch.allclose(before[: place + 1], after[: place + 1], atol=2e-3)
    if place < levels.shape[1] - 1:
        assert float((before[place + 1] - after[place + 1]).abs().max()) > 0.02


@torch.no_grad()
def test_the_past_reaches_far() -> None:
    model, levels = model_of(), sound()
    changed = levels.clone()
    changed[:, :SIZE] = encode(torch.zeros(SIZE))
    samples = decode(levels), decode(changed)
    contexts = [model.context(one)[0] for one in samples]
    assert torch.equal(contexts[0][0], contexts[1][0])
    assert all(not torch.allclose(contexts[0][n], contexts[1][n]) for n in range(1, PATCHES))


@torch.no_grad()
def test_patches_are_predicted_alone_or_together() -> None:
    model, levels = model_of(), sound(2)
    whole = model.bits(levels, START.expand(2, -1), PATCHES)
    assert whole.shape == (2, PATCHES, SIZE)
    first = torch.tensor([[5, 0], [6, 2]])
    found = model.bits(levels, first, 2)
    for row, places in enumerate(first.tolist()):
        chosen = [place + offset for place in places for offset in range(2)]
        assert torch.allclose(found[row], whole[row, chosen], atol=1e-3)


@torch.no_grad()
def test_costs_are_the_bits_and_what_was_to_be_expected() -> None:
    torch.manual_seed(0)
    model, levels = WaveModel(WaveConfig(**SMALL)), sound(2)
    first = torch.tensor([[4], [5]])
    bits, expected = model.costs(levels, first, 3)
    assert torch.equal(bits, model.bits(levels, first, 3))
    assert expected.shape == bits.shape
    # stationary noise costs what was to be expected, on average
    assert float((bits - expected).mean()) == pytest.approx(0, abs=0.8)


def test_turns_give_the_same_bits_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for most in (PATCHES, 3):
        monkeypatch.setattr(module, "AT_ONCE", most)
        model = model_of()
        bits = model.bits(sound(), START, PATCHES)
        torch.autograd.backward(bits.mean())
        gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found.append((bits.detach(), gradients))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-3)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-4)


def test_every_weight_learns() -> None:
    model = model_of()
    bits = model.bits(sound(2), torch.tensor([[0, 3], [4, 6]]), 2)
    torch.autograd.backward(bits.mean())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


@torch.no_grad()
def test_training_begins_with_what_the_linear_predictors_know() -> None:
    torch.manual_seed(0)
    model = WaveModel(WaveConfig(**SMALL))
    bits = model.bits(sound(), torch.tensor([[4]]), 4)
    # noise of 0.1 has this many bits in steps of the levels there
    step = 0.3 * math.log(256) / 127.5
    expected = math.log2(0.1 * math.sqrt(2 * math.pi * math.e) / step)
    assert float(bits.mean()) == pytest.approx(expected, abs=0.6)
    silent = model.bits(encode(torch.zeros(1, SIZE * PATCHES)), torch.tensor([[4]]), 2)
    assert float(silent.mean()) < 1


def test_the_default_is_small_and_hears_half_a_million_samples() -> None:
    with torch.device("meta"):
        model = build_wave("default", {})
    assert model.config.window == 524_288
    # a byte for each, and two megabytes in all
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_950_000
