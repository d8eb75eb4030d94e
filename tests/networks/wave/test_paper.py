"""The paper's preset: every layer and shape that the paper gives."""

import pytest
import torch
from tiny_wave import PAPER
from torch import nn

from audiomask.networks.wave import build_wave
from audiomask.networks.wave.config import PaperConfig
from audiomask.networks.wave.mulaw import encode
from audiomask.networks.wave.paper import PaperWave, sinusoids


def test_every_layer_and_shape_is_the_papers() -> None:
    model = build_wave("paper", {})
    assert isinstance(model, PaperWave)
    convolutions = [layer for layer in model.encoder if isinstance(layer, nn.Conv1d)]
    assert [layer.out_channels for layer in convolutions] == [256, 256, 128, 128, 32]
    assert [layer.in_channels for layer in convolutions] == [1, 256, 256, 128, 128]
    assert [layer.kernel_size for layer in convolutions] == [(7,)] * 5
    assert [layer.stride for layer in convolutions] == [(2,), (3,), (2,), (3,), (2,)]
    assert len(model.encoder) == 10
    assert (model.config.patch, model.config.window // model.config.patch) == (2000, 64)
    x, lengths = torch.zeros(3, 1, 2000), []
    for layer in model.encoder:
        x = layer(x)
        lengths.append(tuple(x.shape))
    assert lengths[::2] == [
        (3, 256, 1000), (3, 256, 334), (3, 128, 167), (3, 128, 56), (3, 32, 28),
    ]  # fmt: skip
    assert (model.linear.in_features, model.linear.out_features) == (32 * 28, 128)
    assert len(model.transformer.layers) == 3
    for block in model.transformer.layers:
        assert isinstance(block, nn.TransformerEncoderLayer)
        assert block.self_attn.embed_dim == 128
        assert (block.linear1.out_features, block.linear2.out_features) == (256, 128)
        assert (block.dropout.p, block.dropout1.p, block.self_attn.dropout) == (0, 0, 0)
    assert model.token_dropout.p == 0.1
    first, _, dropout, last = model.head
    assert (first.in_features, first.out_features) == (128, 1024)
    assert (last.in_features, last.out_features) == (1024, 256)
    assert dropout.p == 0.2


def test_positions_are_sinusoidal() -> None:
    found = sinusoids(5, torch.zeros(128))
    assert found.shape == (5, 128)
    angle = torch.tensor(3.0)
    assert torch.allclose(found[3, :2], torch.stack([angle.sin(), angle.cos()]))
    assert torch.equal(found[0], torch.tensor([0.0, 1.0]).repeat(64))


@torch.no_grad()
def test_one_prediction_is_made_of_a_window() -> None:
    torch.manual_seed(0)
    model = PaperWave(PaperConfig(**PAPER)).eval()
    levels = encode(torch.rand(2, 801) * 2 - 1)
    logits = model.logits(levels[:, :-1])
    assert logits.shape == (2, 256)
    bits = model.bits(levels)
    shares = logits.softmax(dim=-1)
    expected = -shares[torch.arange(2), levels[:, -1]].log2()
    assert bits.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    # all but the sample itself matters
    for place in (0, 799):
        changed = levels.clone()
        changed[:, place] = (changed[:, place] + 128) % 256
        assert not torch.allclose(model.logits(changed[:, :-1]), logits)


def test_dropout_is_of_tokens_and_of_the_head() -> None:
    torch.manual_seed(0)
    model = PaperWave(PaperConfig(**PAPER)).train()
    levels = encode(torch.rand(1, 800) * 2 - 1)
    assert not torch.equal(model.logits(levels), model.logits(levels))
    model.token_dropout.p = 0
    model.head[2].p = 0
    assert torch.equal(model.logits(levels), model.logits(levels))
