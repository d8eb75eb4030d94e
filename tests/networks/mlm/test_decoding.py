"""Iterative decoding: only what is unknown is filled, all of it, coarse to fine."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiomask.networks.mlm.decoding import PerRecordingNoise, iterative_decode, sample

MASK = 12


def noise(*rows: int, seed: int = 0, channels: int = 1) -> PerRecordingNoise:
    """Of one recording, or of several with so many rows each."""
    return PerRecordingNoise([(torch.Generator().manual_seed(seed), n, channels) for n in rows])


@pytest.fixture
def model(make):
    return make(layers=1, stem_layers=1)


@pytest.fixture
def watched(model, monkeypatch):
    """The model and the ids that every pass was given."""
    passes: list[Tensor] = []
    context = model.context
    monkeypatch.setattr(model, "context", lambda ids: (passes.append(ids.clone()), context(ids))[1])
    return model, passes


def test_any_gap_is_filled_and_nothing_else(model) -> None:
    @settings(max_examples=25)
    @given(
        seed=st.integers(0, 999),
        steps=st.integers(1, 6),
        temperature=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
        share=st.floats(0, 1),
    )
    def check(seed: int, steps: int, temperature: float, share: float) -> None:
        random = torch.Generator().manual_seed(seed)
        ids = torch.randint(12, (2, 2, 20), generator=random)
        unknown = torch.rand(2, 20, generator=random) < share
        given_ids = ids.clone()
        drawing = noise(2, seed=seed)
        filled, vectors, score = iterative_decode(
            model, given_ids, unknown, steps, temperature, drawing
        )
        assert torch.equal(given_ids, ids)  # the caller's are left alone
        known = ~unknown[:, None].expand_as(ids)
        assert torch.equal(filled[known], ids[known])
        assert filled.min() >= 0
        assert filled.max() < 12
        assert (score <= 0).all()
        assert score.isfinite().all()
        books = model.codebooks
        expected = sum(books[level][filled[:, level]] for level in range(2))
        assert torch.allclose(vectors, expected, atol=1e-6)

    check()


def test_what_stood_in_the_gap_does_not_matter(model) -> None:
    ids, unknown = torch.randint(12, (1, 2, 20)), torch.zeros(1, 20, dtype=torch.bool)
    unknown[:, 5:15] = True
    other = torch.where(unknown[:, None], MASK, ids)
    first, second = (
        iterative_decode(model, x, unknown, 4, 1.0, noise(1)).ids for x in (ids, other)
    )
    assert torch.equal(first, second)


def test_the_seed_decides_and_cold_decoding_needs_none(model) -> None:
    ids = torch.zeros(1, 2, 20, dtype=torch.long)
    unknown = torch.ones(1, 20, dtype=torch.bool)

    def run(seed: int, temperature: float) -> Tensor:
        return iterative_decode(model, ids, unknown, 4, temperature, noise(1, seed=seed)).ids

    assert torch.equal(run(1, 1.0), run(1, 1.0))
    assert not torch.equal(run(1, 1.0), run(2, 1.0))
    assert torch.equal(run(1, 0.0), run(2, 0.0))


def test_equal_channels_are_filled_equally(model) -> None:
    ids = torch.randint(12, (2, 2, 20)).repeat_interleave(2, dim=0)
    unknown = torch.ones(4, 20, dtype=torch.bool)
    together = iterative_decode(model, ids, unknown, 4, 1.0, noise(4, channels=2)).ids
    assert torch.equal(together[0], together[1])
    assert torch.equal(together[2], together[3])
    assert not torch.equal(together[0], together[2])
    apart = iterative_decode(model, ids, unknown, 4, 1.0, noise(4)).ids
    assert not torch.equal(apart[0], apart[1])


def test_masks_outside_the_gap_stay(model) -> None:
    ids = torch.randint(12, (1, 2, 20))
    ids[..., 15:] = MASK
    unknown = (torch.arange(20) < 10)[None]
    filled = iterative_decode(model, ids, unknown, 4, 1.0, noise(1)).ids
    assert torch.equal(filled[..., 10:], ids[..., 10:])
    assert (filled[..., :10] < 12).all()


def test_coarse_levels_come_first_and_nothing_is_taken_back(watched) -> None:
    model, passes = watched
    ids = torch.randint(12, (2, 2, 30))
    unknown = torch.zeros(2, 30, dtype=torch.bool)
    unknown[0, 3:27], unknown[1, 10:14] = True, True
    filled = iterative_decode(model, ids, unknown, 8, 1.0, noise(2)).ids
    assert len(passes) == 8 + 2  # the finer level gets a quarter of the passes
    for number, now in enumerate(passes):
        level = 0 if number < 8 else 1
        masked = now == MASK
        assert masked[:, level].any(dim=1)[0]  # something is left to fill in the longer gap
        assert not masked[:, :level].any()
        assert torch.equal(masked[:, level + 1 :], unknown[:, None].expand(-1, 1 - level, -1))
        assert torch.equal(now[~masked], filled[~masked])
    # the cosine: after pass i of 8 the share cos(π i / 16) of the 24 is unknown
    left = [int((now[0, 0] == MASK).sum()) for now in passes[:8]]
    assert left == [24 - math.ceil(24 * (1 - math.cos(math.pi * i / 16)) - 1e-6) for i in range(8)]


def test_the_surest_come_first(make, monkeypatch) -> None:
    model = make(layers=1)
    # frame f prefers code 3 by f: the later, the surer
    logits = torch.zeros(1, 2, 10, 12)
    logits[..., 3] = torch.arange(10.0)
    monkeypatch.setattr(model, "level_logits", lambda hidden, level: logits[:, level])
    passes: list[Tensor] = []
    context = model.context
    monkeypatch.setattr(model, "context", lambda ids: (passes.append(ids.clone()), context(ids))[1])
    ids, unknown = torch.zeros(1, 2, 10, dtype=torch.long), torch.ones(1, 10, dtype=torch.bool)
    filled, _, score = iterative_decode(model, ids, unknown, 5, 0.0, noise(1))
    assert (filled[0, :, 1:] == 3).all()
    for now in passes[:5]:
        masked = (now[0, 0] == MASK).tolist()
        assert masked == sorted(masked, reverse=True)
    log_p = logits.log_softmax(dim=-1)[0, 0].amax(dim=-1)
    assert float(score) == pytest.approx(float(log_p.mean()), rel=1e-4)


def test_samples_follow_the_distribution() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    for temperature in (0.5, 1.0, 2.0):
        codes, log_p = sample(logits.expand(1, 20_000, 4), temperature, noise(1))
        shares = torch.bincount(codes[0], minlength=4) / 20_000
        assert torch.allclose(shares, (logits / temperature).softmax(dim=0), atol=0.015)
        # the log-probabilities are the model's own, at any temperature
        assert torch.allclose(log_p[0], logits.log_softmax(dim=0)[codes[0]])
    assert (sample(logits.expand(1, 50, 4), 0.0, noise(1))[0] == 0).all()


def test_gumbel_noise() -> None:
    drawn = noise(200_000).gumbel(torch.zeros(200_000))
    assert drawn.isfinite().all()
    assert float(drawn.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(drawn.var()) == pytest.approx(math.pi**2 / 6, abs=0.05)


def test_no_steps_are_refused(model) -> None:
    ids, unknown = torch.zeros(1, 2, 10, dtype=torch.long), torch.ones(1, 10, dtype=torch.bool)
    with pytest.raises(ValueError, match="one step"):
        iterative_decode(model, ids, unknown, 0, 1.0, noise(1))


def test_company_changes_nothing(model) -> None:
    """Each recording of a batch is filled as if it were alone."""
    ids = torch.randint(12, (5, 2, 20))
    unknown = torch.rand(5, 20) < 0.5
    together = iterative_decode(model, ids, unknown, 4, 1.0, noise(2, 3, channels=1))
    first = iterative_decode(model, ids[:2], unknown[:2], 4, 1.0, noise(2))
    second = iterative_decode(model, ids[2:], unknown[2:], 4, 1.0, noise(3))
    assert torch.equal(together.ids, torch.cat([first.ids, second.ids]))
    assert torch.allclose(together.score, torch.cat([first.score, second.score]), atol=1e-5)


@pytest.mark.parametrize("drawn", [0, 1])
def test_levels_that_are_not_drawn_are_what_is_to_be_expected(model, drawn: int) -> None:
    ids = torch.randint(12, (1, 2, 20))
    unknown = (torch.arange(20) >= 8)[None]
    filled = iterative_decode(model, ids, unknown, 4, 1.0, noise(1), drawn)
    # one more look at what was drawn says what to expect of the rest
    attention_mask = filled.ids.clone()
    attention_mask[:, drawn:] = torch.where(unknown, MASK, attention_mask[:, drawn:])
    with torch.inference_mode():
        shares = model.logits(model.target(model.context(attention_mask))).softmax(dim=-1)
    expected = sum(model.codebooks[level][filled.ids[:, level]] for level in range(drawn))
    for level in range(drawn, 2):
        expected = expected + shares[:, level] @ model.codebooks[level]
    assert torch.allclose(filled.vectors[unknown], expected[unknown], atol=1e-5)
    best = shares.argmax(dim=-1)
    for level in range(drawn, 2):
        assert torch.equal(filled.ids[:, level][unknown], best[:, level][unknown])
    assert torch.equal(filled.ids[..., :8], ids[..., :8])


def test_levels_that_are_known_stay_in_the_gap(watched) -> None:
    model, passes = watched
    ids = torch.randint(12, (1, 2, 20))
    unknown = torch.zeros(1, 20, dtype=torch.bool)
    unknown[:, 5:15] = True
    found = iterative_decode(model, ids, unknown, 8, 1.0, noise(1), known_levels=1)
    assert torch.equal(found.ids[:, 0], ids[:, 0])
    assert torch.equal(found.ids[:, 1, :5], ids[:, 1, :5])
    assert (found.ids < 12).all()
    assert len(passes) == 2, "a quarter of the steps, for the one level"
    assert torch.equal(passes[0][:, 0], ids[:, 0])
    assert (passes[0][0, 1, 5:15] == MASK).all()
