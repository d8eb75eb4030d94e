"""The spectrogram model: heads by setting, layers, shares, and filled frames."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from tiny_spectrogram import SMALL

from audiomask.networks.spectrogram import PRESETS, SpectrogramModel, build_spectrogram
from audiomask.networks.spectrogram.interpolation import interpolate


def make(preset: str = "default", **settings: Any) -> SpectrogramModel:
    torch.manual_seed(0)
    return build_spectrogram(preset, SMALL | settings).eval()


@pytest.mark.parametrize("preset", PRESETS)
@torch.no_grad()
def test_every_preset_has_its_heads(preset: str) -> None:
    model = make(preset)
    config = model.config
    features = torch.rand(2, 48, 16)
    hidden = model.hidden(features)
    assert hidden.shape == (2, 48, 16)
    assert (model.magnitudes is None) == (preset == "hubert")
    assert (model.clusters is None) == (config.targets == "none")
    assert (model.continuation is None) == (preset not in ("default", "frame-transformer"))
    assert model.adversary is None
    if model.magnitudes is not None:
        found = model.predict_magnitudes(hidden, features)
        assert found.shape == (2, 48, 16)
        assert 0 <= float(found.min()) <= float(found.max()) <= 1
    if model.clusters is not None:
        assert model.predict_clusters(hidden).shape == (2, 48, 4)
    if model.continuation is not None:
        assert model.predict_continuation(hidden).shape == (2,)


def test_a_share_is_of_the_input() -> None:
    model, inputs = make(base="none"), torch.rand(1, 48, 16)
    hidden = model.hidden(inputs)
    found = model.predict_magnitudes(hidden, inputs)
    assert (found <= inputs).all()
    assert torch.allclose(model.predict_magnitudes(hidden, torch.ones(1, 48, 16)) * inputs, found)
    plain = make("mockingjay")
    hidden = plain.hidden(inputs)
    assert torch.equal(
        plain.predict_magnitudes(hidden, inputs), plain.predict_magnitudes(hidden, 0 * inputs)
    )


def test_shared_layers_are_one_layer_applied_often() -> None:
    one, own = make("audio-albert", layers=3), make("mockingjay", layers=3)
    sizes = [sum(p.numel() for p in model.transformer.parameters()) for model in (own, one)]
    assert sizes[0] == 3 * sizes[1]
    for layer in own.transformer.layers:
        layer.load_state_dict(one.transformer.layers[0].state_dict())
    own.linear_in.load_state_dict(one.linear_in.state_dict())
    own.norm.load_state_dict(one.norm.state_dict())
    features = torch.rand(1, 48, 16)
    assert torch.allclose(one.hidden(features), own.hidden(features), atol=1e-6)


def test_layers_are_counted_from_the_input() -> None:
    model, features = make(layers=3), torch.rand(1, 48, 16)
    outputs = [model.hidden(features, layer) for layer in range(4)]
    assert torch.equal(outputs[0], model.linear_in((features - 0.3) * 4.0))
    for before, after in pairwise(outputs):
        assert not torch.allclose(before, after)
    for found, expected in zip(model.layer_outputs(features), outputs[1:], strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(model.norm(outputs[3]), model.hidden(features))


def test_the_answer_depends_on_both_halves_and_the_separator() -> None:
    model, features = make(), torch.rand(1, 48, 16)
    plain = model.predict_continuation(model.hidden(features))
    for part in (slice(0, 10), slice(22, 26), slice(38, 48)):
        other = features.clone()
        other[:, part] = 1 - other[:, part]
        assert not torch.allclose(model.predict_continuation(model.hidden(other)), plain)


@pytest.mark.parametrize("head", ["share", "magnitudes"])
def test_it_begins_with_the_interpolation_and_learns_what_differs(head: str) -> None:
    model, features = make(head=head), 0.1 + 0.8 * torch.rand(2, 48, 16)
    hidden = torch.zeros(2, 48, dtype=torch.bool)
    hidden[0, 10:14] = hidden[1, :5] = True
    found = model.fill(features, hidden)
    assert torch.allclose(found, interpolate(features, hidden), atol=1e-5)
    assert model.magnitudes is not None
    with torch.no_grad():
        model.magnitudes.bias += 1
    more = model.fill(features, hidden)
    assert torch.allclose(more.logit()[hidden], found.logit()[hidden] + 1, atol=1e-4)


def test_fillings_are_in_the_hidden_frames_and_do_not_read_them() -> None:
    model, features = make(), torch.rand(2, 48, 16)
    hidden = torch.zeros(2, 48, dtype=torch.bool)
    hidden[0, 10:14] = hidden[1, 30:31] = True
    found = model.fill(features, hidden)
    assert torch.equal(found[~hidden], features[~hidden])
    other = torch.where(hidden[..., None], torch.rand(2, 48, 16), features)
    assert torch.equal(model.fill(other, hidden), found)
    assert not torch.equal(found[hidden], features[hidden])


@torch.no_grad()
def test_semantic_features_are_means_over_a_token() -> None:
    model, features = make(), torch.rand(2, 48, 16)
    found = model.semantic_features(features)
    hidden = model.hidden(features, model.config.target_layer)
    assert found.shape == (2, 24, 16)
    assert torch.allclose(found[1, 3], hidden[1, 6:8].mean(dim=0), atol=1e-6)
