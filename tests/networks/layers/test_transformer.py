"""The transformer: relative positions, both directions, and blindness to padding."""

import pytest
import torch

from audiomask.networks.layers.transformer import Attention, Transformer, rotary_angles, rotate

CPU = torch.device("cpu")


def test_angles_by_hand() -> None:
    cosine, sine = rotary_angles(3, 4, CPU)
    expected = torch.tensor([[0.0, 0.0], [1.0, 0.01], [2.0, 0.02]])
    assert torch.allclose(cosine, expected.cos())
    assert torch.allclose(sine, expected.sin())


def test_rotation_keeps_lengths_and_sees_only_distances() -> None:
    angles = rotary_angles(40, 8, CPU)
    query, key = torch.randn(8), torch.randn(8)
    queries = rotate(query.expand(1, 1, 40, 8), angles)[0, 0]
    keys = rotate(key.expand(1, 1, 40, 8), angles)[0, 0]
    assert torch.allclose(queries.norm(dim=-1), query.norm().expand(40), atol=1e-5)
    scores = queries @ keys.T
    for distance in range(-20, 21):
        diagonal = scores.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), atol=1e-4)
    assert scores[0].std() > 0.1  # and those it does see


@torch.no_grad()
def test_attention_depends_on_relative_positions_only() -> None:
    attention = Attention(16, 2)
    x = torch.randn(2, 10, 16)
    far = tuple(angle[30:] for angle in rotary_angles(40, 8, CPU))
    near = rotary_angles(10, 8, CPU)
    assert torch.allclose(attention(x, near, None), attention(x, far, None), atol=1e-5)
    # but on those it does: in another order the first frame finds something else
    order = [0, *range(9, 0, -1)]
    swapped = attention(x[:, order], near, None)
    assert (swapped[:, 0] - attention(x, near, None)[:, 0]).abs().max() > 1e-4


@torch.no_grad()
def test_attention_by_hand() -> None:
    attention = Attention(4, 1)
    x = torch.randn(1, 3, 4)
    angles = rotary_angles(3, 4, CPU)
    query, key, value = attention.qkv(x).chunk(3, dim=-1)
    scores = rotate(query[:, None], angles)[:, 0] @ rotate(key[:, None], angles)[:, 0].mT / 2
    expected = attention.out(scores.softmax(dim=-1) @ value)
    assert torch.allclose(attention(x, angles, None), expected, atol=1e-6)


def test_attention_in_training_is_that_in_use() -> None:
    attention = Attention(16, 2)
    x, angles = torch.randn(2, 30, 16), rotary_angles(30, 8, CPU)
    attention_mask = torch.ones(2, 30, dtype=torch.bool)
    attention_mask[1, 20:] = False
    for mask in (None, attention_mask):
        trained = attention(x, angles, mask)
        assert trained.requires_grad
        with torch.no_grad():
            assert torch.allclose(trained, attention(x, angles, mask), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kernel", [0, 7])
def test_both_directions(kernel: int) -> None:
    model = Transformer(16, 2, 2, kernel)
    x = torch.randn(1, 60, 16)
    for changed, looked_at in ((59, 0), (0, 59)):
        other = x.clone()
        other[:, changed] = torch.randn(16)
        assert (model(x) - model(other))[:, looked_at].abs().max() > 1e-5


@torch.no_grad()
@pytest.mark.parametrize("kernel", [0, 7])
def test_padding_is_as_if_it_was_not_there(kernel: int) -> None:
    model = Transformer(16, 2, 2, kernel)
    x = torch.randn(2, 30, 16)
    attention_mask = torch.ones(2, 30, dtype=torch.bool)
    attention_mask[0, 20:] = False
    out = model(x, attention_mask)
    other = x.clone()
    other[0, 20:] = 100 * torch.randn(10, 16)
    assert torch.allclose(
        model(other, attention_mask)[attention_mask], out[attention_mask], atol=1e-5
    )
    assert torch.allclose(out[:1, :20], model(x[:1, :20]), atol=1e-5)
    assert torch.allclose(out[1:], model(x[1:]), atol=1e-5)
    assert not torch.allclose(out[:1, :20], model(x)[:1, :20], atol=1e-3)


@torch.no_grad()
def test_the_window_may_grow() -> None:
    model = Transformer(16, 2, 2, 7)
    assert model(torch.randn(1, 500, 16)).isfinite().all()
    assert torch.equal(Transformer(16, 2, 0, 7)(torch.ones(1, 5, 16)), torch.ones(1, 5, 16))


@torch.no_grad()
def test_shared_layers_and_the_first_few() -> None:
    torch.manual_seed(0)
    x, shared = torch.randn(1, 20, 16), Transformer(16, 2, 3, 3, shared=True)
    assert len(shared.layers) == 1
    once = shared(x, depth=1)
    assert torch.equal(shared(once, depth=2), shared(x))
    assert torch.equal(shared(x, depth=0), x)
    own = Transformer(16, 2, 3, 3)
    assert len(own.layers) == 3
    assert not torch.allclose(own(x, depth=2), own(x))
