"""The residual quantizer: look-up, running means by hand, dead codes, levels."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.networks.vqvae.quantizer import Codebook, ResidualQuantizer, RunningNorm


def table(vectors: Tensor, decay: float = 0.9, dead_below: float = 0.0) -> Codebook:
    """A codebook in the middle of its training: each vector has been chosen once a batch."""
    book = Codebook(*vectors.shape, decay=decay, dead_below=dead_below)
    book.vectors.copy_(vectors)
    book.embed_sum.copy_(vectors)
    book.cluster_size.fill_(1)
    book.started.fill_(True)
    return book


# One codebook


def test_nearest_is_the_smallest_distance() -> None:
    book, points = Codebook(16, 4), torch.randn(50, 4)
    distances = torch.stack([(points - vector).norm(dim=-1) for vector in book.vectors])
    assert torch.equal(book.nearest(points), distances.argmin(dim=0))
    assert torch.equal(book.nearest(book.vectors), torch.arange(16))


def test_running_means_by_hand() -> None:
    book = table(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    batch = torch.tensor([[0.2, 1.0], [2.0, 0.5], [1.0, -0.5]])
    codes = book.nearest(batch)
    assert codes.tolist() == [1, 0, 0]
    book.update(batch, codes)
    assert book.cluster_size.tolist() == pytest.approx([0.9 + 0.1 * 2, 0.9 + 0.1 * 1])
    sums = torch.tensor([[0.9 + 0.1 * 3.0, 0.0], [0.1 * 0.2, 0.9 + 0.1 * 1.0]])
    assert torch.allclose(book.embed_sum, sums)
    assert torch.allclose(book.vectors, sums / torch.tensor([[1.1], [1.0]]))


def test_the_first_batch_seeds_the_whole_table() -> None:
    book, batch = Codebook(8, 4), 100 + torch.randn(500, 4)
    assert not book.started
    book.init_from_batch(batch)
    assert book.started
    assert torch.allclose(book.embed_sum, book.vectors * book.cluster_size[:, None])
    assert torch.allclose(book.cluster_size, torch.tensor(500 / 8 / 3).expand(8))
    # near vectors of the batch, but none of them exactly: something is left to the next level
    nearest = torch.cdist(book.vectors, batch).amin(dim=1)
    assert (nearest > 0).all()
    assert float(nearest.max()) < 5 * book.INIT_NOISE * 2
    assert len(book.vectors.unique(dim=0)) == 8


def starve(dead_below: float) -> tuple[Codebook, Tensor]:
    """A codebook whose code 1 nothing has chosen for 60 batches, and the batch."""
    book = table(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), dead_below=dead_below)
    batch = torch.stack([torch.ones(12), torch.linspace(-0.5, 0.5, 12)], dim=1)
    for _ in range(60):
        # its codes are given, so that a code seeded in between is not chosen either
        book.update(batch, torch.zeros(12, dtype=torch.long))
    return book, batch


def test_a_dead_code_gets_a_vector_of_the_batch_with_its_count_and_sum() -> None:
    book, batch = starve(dead_below=0.0)
    dead = book.vectors[1].clone()
    book.dead_below = 0.1
    book.update(batch, torch.zeros(12, dtype=torch.long))
    assert dead.tolist() == pytest.approx([-1, 0], abs=1e-6)
    seeded = book.vectors[1].clone()
    assert (batch == seeded).all(dim=1).any()
    assert float(book.cluster_size[1]) == pytest.approx(12 / 2 / 3)
    assert torch.allclose(book.embed_sum[1], seeded * book.cluster_size[1])
    # the living code is none the worse for it
    assert torch.allclose(book.vectors[0], torch.tensor([1.0, 0.0]), atol=1e-3)
    # and the next running mean does not undo it, chosen or not
    book.update(batch, torch.zeros(12, dtype=torch.long))
    assert torch.allclose(book.vectors[1], seeded, atol=1e-6)
    book.update(seeded.expand(12, 2), torch.ones(12, dtype=torch.long))
    assert torch.allclose(book.vectors[1], seeded, atol=1e-6)


def test_a_seed_that_nothing_chooses_is_replaced_again() -> None:
    book, batch = starve(dead_below=0.1)
    tried = set()
    for _ in range(60):
        book.update(batch, torch.zeros(12, dtype=torch.long))
        tried.add(tuple(book.vectors[1].tolist()))
    assert len(tried) > 1


def test_a_rare_code_is_not_dead() -> None:
    book = table(torch.randn(4, 4), dead_below=0.1)
    batch = torch.randn(100, 4)
    codes = torch.zeros(100, dtype=torch.long)
    codes[:4] = torch.tensor([1, 2, 3, 3])  # 1 of 100, where the mean is 25
    book.cluster_size.copy_(torch.tensor([97.0, 3.0, 3.0, 3.0]))
    before = book.embed_sum[1].clone()
    book.update(batch, codes)
    assert torch.allclose(book.embed_sum[1], 0.9 * before + 0.1 * batch[0], atol=1e-6)


def test_settling_is_k_means() -> None:
    centres = 10 * torch.randn(6, 3)
    data = (centres[torch.arange(600) % 6] + 0.01 * torch.randn(600, 3))[torch.randperm(600)]
    book = Codebook(64, 3)
    book.init_kmeans(data)
    distance = (data - book.vectors[book.nearest(data)]).norm(dim=-1)
    assert float(distance.max()) < 0.1
    assert book.started
    assert torch.allclose(book.embed_sum, book.vectors * book.cluster_size[:, None])


# Standardisation


def test_standardisation_by_hand() -> None:
    layer = RunningNorm(1, momentum=0.4)
    first, second = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[6.0], [6.0]]])
    # the first batch counts fully: mean 2, variance 1
    assert torch.allclose(layer(first), torch.tensor([[[-1.0], [1.0]]]), atol=1e-4)
    # the second by a half: mean (2 + 6) / 2, variance (1 + 2²) / 2
    assert torch.allclose(layer(second), torch.tensor(2 / 2.5**0.5), atol=1e-4)
    layer(second)  # the third by 0.4, which is more than a third
    assert float(layer.mean) == pytest.approx(0.6 * 4 + 0.4 * 6)
    # and in use as in training, whatever the batch
    layer.eval()
    expected = (first - layer.mean) / (layer.variance + 1e-8).sqrt()
    assert torch.allclose(layer(first), expected)
    assert int(layer.updates) == 3
    assert torch.allclose(layer.undo(expected), first, atol=1e-5)


def test_standardised_vectors_have_unit_norm_and_keep_their_shape() -> None:
    x = 5 + torch.tensor([3.0, 1.0, 0.1]) * torch.randn(2, 500, 3)
    y = RunningNorm(3)(x)
    assert torch.allclose(y.mean(dim=(0, 1)), torch.zeros(3), atol=1e-5)
    assert float(y.square().sum(dim=-1).mean()) == pytest.approx(1, rel=1e-3)
    # one scale for all channels: what varies most still does
    spread, before = y.std(dim=(0, 1)), x.std(dim=(0, 1))
    assert torch.allclose(spread / spread[0], before / before[0], rtol=1e-4)


# All levels


@pytest.fixture
def quantizer() -> ResidualQuantizer:
    """Three levels whose codebooks and standardisation have seen some batches."""
    torch.manual_seed(0)
    made = ResidualQuantizer(4, 3, 16)
    for _ in range(5):
        made(torch.randn(4, 25, 4), None)
    return made.eval()


def test_decode_of_encode_is_what_forward_gives(quantizer: ResidualQuantizer) -> None:
    latents = torch.randn(2, 30, 4)
    codes = quantizer.encode(latents)
    assert codes.shape == (2, 3, 30)
    assert codes.dtype == torch.int64
    assert codes.min() >= 0
    assert codes.max() < 16
    assert all(len(level.unique()) > 4 for level in codes.unbind(dim=1))
    assert torch.equal(quantizer.encode(latents, 2), codes[:, :2])
    quantized, again, _ = quantizer(latents, None)
    assert torch.equal(again, codes)
    assert torch.allclose(quantizer.decode(codes), quantized, atol=1e-5)


def test_each_level_codes_what_the_ones_before_left(quantizer: ResidualQuantizer) -> None:
    latents = torch.randn(2, 30, 4)
    codes = quantizer.encode(latents)
    left = quantizer.running_norm(latents)
    for level in range(3):
        vectors = quantizer.codebooks[level].vectors
        distances = torch.cdist(left.flatten(0, 1), vectors)
        chosen = distances.gather(-1, codes[:, level].reshape(-1, 1)).squeeze(-1)
        assert torch.allclose(chosen, distances.amin(dim=-1), atol=1e-5)
        left = left - vectors[codes[:, level]]


def test_levels_that_a_row_does_not_use_give_nothing(quantizer: ResidualQuantizer) -> None:
    latents = torch.randn(3, 30, 4)
    quantized, codes, commitment = quantizer(latents, torch.tensor([1, 2, 3]))
    assert torch.equal(codes, quantizer.encode(latents))
    for row in range(3):
        expected = quantizer.decode(codes[row : row + 1, : row + 1])
        assert torch.allclose(quantized[row : row + 1], expected, atol=1e-5)
    # the commitment is the distance to the sum of the levels that the row uses
    projected = quantizer.running_norm(latents)
    distance = torch.zeros(())
    for row in range(3):
        vectors = [quantizer.codebooks[n].vectors[codes[row, n]] for n in range(row + 1)]
        distance += (projected[row] - sum(vectors)).square().sum(dim=-1).mean().detach() / 3
    assert float(commitment.detach()) == pytest.approx(float(distance), rel=1e-4)


def test_only_training_moves_the_codebooks(quantizer: ResidualQuantizer) -> None:
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(torch.randn(2, 30, 4), None)
    for name, value in quantizer.state_dict().items():
        assert torch.equal(value, before[name]), name
    quantizer.train()
    quantizer(torch.randn(2, 30, 4), None)
    for level in range(3):
        name = f"codebooks.{level}.vectors"
        assert not torch.equal(quantizer.state_dict()[name], before[name])


def test_gradients_pass_straight_through(quantizer: ResidualQuantizer) -> None:
    latents = torch.randn(2, 30, 4, requires_grad=True)
    quantized, _, commitment = quantizer(latents, None)
    upstream = torch.randn_like(quantized)
    found = torch.autograd.grad(quantized, latents, upstream, retain_graph=True)[0]
    # as if nothing was quantized
    assert torch.allclose(found, upstream, atol=1e-5)
    pulled = torch.autograd.grad(commitment, latents)[0]
    assert pulled.abs().sum() > 0
    # and it pulls towards the codes
    with torch.no_grad():
        nearer = quantizer(latents - 0.01 * pulled / pulled.norm(), None)[2]
    assert float(nearer) < float(commitment.detach())


def test_settled_levels_fit_and_the_next_batch_moves_them_little() -> None:
    latents = 3 + torch.randn(4, 500, 4) * torch.tensor([4.0, 2.0, 1.0, 0.5])
    quantizer = ResidualQuantizer(4, 2, 64)
    quantizer.init_kmeans(latents.flatten(0, 1))
    assert quantizer.training
    first = quantizer.eval()(latents, None)[2]
    assert float(first) < 0.1
    moved = quantizer.train()(latents, None)[2]
    assert float(moved) == pytest.approx(float(first), rel=0.1)


def test_each_level_makes_the_error_smaller_once_trained() -> None:
    latents = torch.randn(40, 3)[torch.randint(40, (4, 64))] @ torch.randn(3, 8)
    latents = latents + 0.1 * torch.randn_like(latents)
    quantizer = ResidualQuantizer(8, 3, 16)
    for _ in range(100):
        quantizer(latents, None)
    quantizer.eval()
    with torch.no_grad():
        codes = quantizer.encode(latents)
        errors = [float(F.mse_loss(quantizer.decode(codes[:, :n]), latents)) for n in (1, 2, 3)]
    power = float(latents.square().mean())
    assert errors[0] < 0.5 * power
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.95 * errors[1]
