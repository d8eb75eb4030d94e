"""Masking: BERT's rates, and what gaps and random rates may hide."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from audiomask.networks.mlm import masking
from audiomask.networks.mlm.masking import bert_mask, center_mask, gap_mask, mixed_mask, random_mask
from audiomask.networks.mlm.vocabulary import Vocabulary

VOCABULARY = Vocabulary(100, ["guitar", "piano"])
MASK = VOCABULARY.mask


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codes(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(100, shape, generator=generator(seed))


def within(count: int, number: int, share: float) -> bool:
    """Whether a binomial count is within 4 standard deviations (1 run in 16,000 is not)."""
    return abs(count - number * share) < 4 * math.sqrt(number * share * (1 - share))


# BERT


@pytest.mark.parametrize("seed", [0, 1])
def test_berts_rates(seed: int) -> None:
    ids = codes(50, 4, 1000, seed=seed)
    inputs, chosen = bert_mask(ids, VOCABULARY, generator(seed + 10))
    number = int(chosen.sum())
    assert within(number, ids.numel(), 0.15)
    masked, kept = chosen & (inputs == MASK), chosen & (inputs == ids)
    other = chosen & (inputs != ids) & (inputs != MASK)
    assert within(int(masked.sum()), number, 0.8)
    # a random code is the true one 1 time in 100
    assert within(int(other.sum()), number, 0.1 * 0.99)
    assert within(int(kept.sum()), number, 0.1 * 1.01)
    assert torch.equal(inputs[~chosen], ids[~chosen])
    # every level and every place alike
    for part in (*chosen.unbind(dim=1), chosen[..., :100], chosen[..., -100:]):
        assert within(int(part.sum()), part.numel(), 0.15)
    # the random codes are all codes alike
    counts = torch.bincount(inputs[other], minlength=100)
    assert len(counts) == 100
    expected = float(counts.sum()) / 100
    assert float(((counts - expected) ** 2 / expected).sum()) < 99 + 4 * math.sqrt(2 * 99)


@given(seed=st.integers(0, 999), sep=st.integers(0, 1))
def test_specials_are_never_chosen_and_never_made_but_mask(seed: int, sep: int) -> None:
    ids = codes(4, 2, 41, seed=seed)
    ids[..., 20] = VOCABULARY.codebook_size + 2 + sep
    ids[:2, :, 35:] = VOCABULARY.pad
    special = ids >= 100
    for mask in (bert_mask, gap_mask, random_mask):
        inputs, chosen = mask(ids, VOCABULARY, generator(seed))
        assert not chosen[special].any()
        assert torch.equal(inputs[special], ids[special])
        assert (inputs[~special] <= MASK).all()


@pytest.mark.parametrize("mask", [bert_mask, gap_mask, random_mask])
def test_the_generator_decides(mask) -> None:
    ids = codes(4, 2, 50)
    once, again, other = (mask(ids, VOCABULARY, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[1], other[1])
    assert torch.equal(ids, codes(4, 2, 50))  # and the ids themselves stay


# Gaps


@given(seed=st.integers(0, 9999), frames=st.integers(1, 120), levels=st.integers(1, 4))
def test_a_gap_is_at_some_stage_of_being_filled(seed: int, frames: int, levels: int) -> None:
    ids = codes(3, levels, frames, seed=seed)
    inputs, chosen = gap_mask(ids, VOCABULARY, generator(seed))
    hidden = inputs == MASK
    assert torch.equal(inputs[~hidden], ids[~hidden])
    assert torch.equal(chosen, hidden)
    for row in range(3):
        places = hidden[row].any(dim=0).nonzero().flatten()
        if len(places) == 0:
            continue
        assert len(places) <= max(1, frames // 2)
        # coarser levels are known, finer ones unknown all over the gap
        first = int(hidden[row].any(dim=1).nonzero()[0])
        finer = hidden[row, first + 1 :]
        if len(finer):
            gap = finer[0].nonzero().flatten()
            assert gap.tolist() == list(range(int(gap[0]), int(gap[-1]) + 1))
            assert (finer == finer[0]).all()
            assert (hidden[row, first] <= finer[0]).all()


def test_gaps_are_of_all_lengths_levels_and_places() -> None:
    ids = codes(2000, 2, 200)
    inputs, chosen = gap_mask(ids, VOCABULARY, generator())
    hidden = inputs == MASK
    # level 1 is all MASK in the gap while level 0 is being filled: there the gap is plain to see
    coarse = hidden[:, 0].any(dim=1)
    lengths = hidden[coarse, 1].sum(dim=1)
    assert int(lengths.min()) in (4, 5)
    assert 90 <= int(lengths.max()) <= 100
    # as many between 2 % and 10 % as between 10 % and 50 %: lengths are even in their logarithm
    assert within(int((lengths < 20).sum()), len(lengths), 0.5)
    starts = hidden[coarse, 1].float().argmax(dim=1)
    assert int(starts.min()) < 10
    assert int(starts.max()) > 180
    fine = chosen[:, 1].any(dim=1) & ~coarse
    assert 0.4 < int(coarse.sum()) / int(coarse.sum() + fine.sum()) < 0.6
    # and of all rates: the mean of cos(π r / 2) is 2 / π
    share = chosen[coarse, 0].sum(dim=1) / lengths
    assert float(share.mean()) == pytest.approx(2 / math.pi, abs=0.03)


# Random rates


def test_each_row_has_its_own_rate() -> None:
    ids = codes(3000, 2, 100)
    inputs, chosen = random_mask(ids, VOCABULARY, generator())
    assert torch.equal(chosen, inputs == MASK)
    assert torch.equal(inputs[~chosen], ids[~chosen])
    rates = chosen.float().mean(dim=(1, 2))
    assert float(rates.mean()) == pytest.approx(2 / math.pi, abs=0.02)
    assert float(rates.min()) < 0.05
    assert float(rates.max()) > 0.97
    # P(cos(π r / 2) < 1 / 2) = 1 / 3
    assert float((rates < 0.5).float().mean()) == pytest.approx(1 / 3, abs=0.04)


# The middle


@pytest.mark.parametrize("frames", [1, 2, 7, 200])
def test_the_middle_is_masked_on_all_levels(frames: int) -> None:
    ids = codes(500, 3, frames)
    ids[:, :, frames // 2] = VOCABULARY.pad  # special tokens stay
    inputs, chosen = center_mask(ids, VOCABULARY, generator())
    assert torch.equal(chosen, inputs == MASK)
    assert torch.equal(inputs[~chosen], ids[~chosen])
    assert not chosen[:, :, frames // 2].any()
    assert (chosen == chosen[:, :1]).all()
    if frames == 200:
        lengths = chosen[:, 0].sum(dim=1) + 1  # the special token
        assert (int(lengths.min()), int(lengths.max())) >= (4, 90)
        assert int(lengths.max()) <= 100
        begin = chosen[:, 0].float().argmax(dim=1)
        end = 200 - chosen[:, 0].flip(1).float().argmax(dim=1)
        assert ((begin - (200 - end)).abs() <= 1).all()


# All of them


def test_rows_are_masked_in_four_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def way(number: int):
        def mask(ids: Tensor, vocabulary: Vocabulary, generator: object) -> tuple[Tensor, Tensor]:
            return torch.full_like(ids, number), torch.full_like(ids, number % 2, dtype=torch.bool)

        return mask

    for number, name in enumerate(("bert_mask", "gap_mask", "random_mask", "center_mask")):
        monkeypatch.setattr(masking, name, way(number))
    inputs, chosen = mixed_mask(codes(8000, 1, 3), VOCABULARY, generator())
    assert (inputs == inputs[:, :, :1]).all()
    assert torch.equal(chosen, inputs % 2 == 1)
    counts = torch.bincount(inputs[:, 0, 0], minlength=4).tolist()
    assert sum(masking.MASKING_PROBS) == pytest.approx(1)
    for count, share in zip(counts, masking.MASKING_PROBS, strict=True):
        assert within(count, 8000, share)
