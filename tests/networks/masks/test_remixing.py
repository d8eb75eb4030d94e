"""Self-remixing: new mixtures of a teacher's stems, and how they are put together again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from audiomask.networks.masks.losses import amplitude_term, ratio_term
from audiomask.networks.masks.remixing import remix, remix_loss, shuffle

MIXTURES, STEMS, CHANNELS, BANDS, FRAMES = 3, 2, 2, 4, 5


def spectra() -> Tensor:
    """Spectra of mixtures with a bin in each band, complex [U, C, bands, F]."""
    draw = torch.Generator().manual_seed(0)
    shape = (MIXTURES, CHANNELS, BANDS, FRAMES)
    return torch.complex(torch.randn(shape, generator=draw), torch.randn(shape, generator=draw))


def gram_of(x: Tensor) -> Tensor:
    return torch.einsum("kcbf,mdbf->kcmdbf", x, x.conj()).real


def soft_masks(seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    shape = (MIXTURES, STEMS + 1, CHANNELS, BANDS, FRAMES)
    return torch.randn(shape, generator=draw).softmax(dim=1)


def activity(*likely: list[float]) -> Tensor:
    """Logits of mean probabilities [U, S]."""
    return torch.tensor(likely).logit()[..., None].expand(-1, -1, FRAMES)


def test_stems_move_on_where_the_teacher_is_sure_in_all_mixtures() -> None:
    offsets = torch.tensor([1, 1, 2])
    found = shuffle(activity([0.95, 0.02], [0.04, 0.99], [0.99, 0.97]), offsets)
    assert found.tolist() == [[1, 2, 0], [1, 2, 0], [2, 0, 1]]
    unsure = shuffle(activity([0.95, 0.02], [0.6, 0.99], [0.99, 0.97]), offsets)
    assert unsure.tolist() == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]


def mixed(x: Tensor, shares: Tensor, sources: Tensor) -> Tensor:
    """The new mixtures' spectra, stem by stem."""
    return torch.stack(
        [
            sum(shares[origin[n], stem] * x[origin[n]] for stem, origin in enumerate(sources))
            for n in range(MIXTURES)
        ]
    )


def test_new_mixtures_are_sums_of_the_stems() -> None:
    x, shares = spectra(), soft_masks(1)
    sources = torch.tensor([[1, 2, 0], [0, 1, 2], [2, 0, 1]])
    made = remix(shares, gram_of(x), sources)
    expected = mixed(x, shares, sources)
    assert torch.allclose(made.power, expected.abs().square(), atol=1e-4)
    cross = (expected[:, 0] * expected[:, 1].conj()).real
    assert torch.allclose(made.cross, cross, atol=1e-4)


def test_the_loss_is_of_the_mixtures_put_together_again() -> None:
    x, shares, told = spectra(), soft_masks(1), soft_masks(2)
    sources = torch.tensor([[1, 2, 0], [0, 1, 2], [2, 0, 1]])
    made = remix(shares, gram_of(x), sources)
    new = mixed(x, shares, sources)
    again = torch.zeros_like(x)
    for stem, origin in enumerate(sources.tolist()):
        for n, mixture in enumerate(origin):
            again[mixture] += told[n, stem] * new[n]
    error, power = (again - x).abs().square()[:, None], x.abs().square()
    expected = amplitude_term(error, power) + 0.1 * ratio_term(error, power[:, None], power)
    found = remix_loss(told, made, gram_of(x))
    assert float(found) == pytest.approx(float(expected.mean()), rel=1e-4)


def test_what_stays_where_it_is_is_put_together_by_any_masks() -> None:
    x, sources = spectra(), torch.arange(MIXTURES).expand(STEMS + 1, -1)
    made = remix(soft_masks(1), gram_of(x), sources)
    assert torch.allclose(made.power, x.abs().square(), atol=1e-4)
    # at the floor of 30 dB, in tenths
    assert float(remix_loss(soft_masks(2), made, gram_of(x))) == pytest.approx(-3, abs=0.02)


def test_a_teacher_that_knows_is_learned_from() -> None:
    # each mixture's first band is its first stem, its second the second one, and so on
    true = torch.zeros(MIXTURES, STEMS + 1, CHANNELS, BANDS, FRAMES)
    for stem in range(STEMS + 1):
        true[:, stem, :, stem] = 1
    true[:, STEMS, :, STEMS + 1 :] = 1
    x, sources = spectra(), torch.tensor([[1, 2, 0], [2, 0, 1], [0, 1, 2]])
    made = remix(true, gram_of(x), sources)
    best = float(remix_loss(true, made, gram_of(x)))
    assert best == pytest.approx(-3, abs=0.02)
    assert float(remix_loss(soft_masks(2), made, gram_of(x))) > best + 1
