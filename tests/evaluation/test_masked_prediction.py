"""Guesses: which tokens are masked, and the bits of models whose guesses are known."""

import math

import pytest
import torch
from torch import Tensor, nn

from audiomask.evaluation.bigram import count
from audiomask.evaluation.masked_prediction import (
    BATCH,
    MaskedPredictions,
    baseline_bits,
    batches,
    concatenate,
    frame_mask,
    predict_masked,
    starts,
)
from audiomask.networks.mlm.config import MLMConfig
from audiomask.networks.mlm.masking import bert_mask
from audiomask.networks.mlm.vocabulary import Vocabulary

CODES = 8


class Sure(nn.Module):
    """A model that gives what it sees the probability p, the other codes the rest in equal parts.

    In place of MASK it sees code 0.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.config = MLMConfig(2, CODES, 4, 512, 44_100, stems=(), window=5, band_frames=1)
        self.vocabulary = Vocabulary(CODES, ())
        self.p = nn.Parameter(torch.tensor(p))

    def context(self, ids: Tensor) -> Tensor:
        return torch.where(ids == self.vocabulary.mask, 0, ids)

    def target(self, hidden: Tensor) -> Tensor:
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        rest = (1 - self.p) / (CODES - 1)
        seen = nn.functional.one_hot(hidden, CODES).bool()
        return torch.where(seen, self.p, rest).log()


def guessed(model: Sure, clips: list[Tensor], mask: object = None) -> MaskedPredictions:
    drawn = torch.Generator().manual_seed(0)
    chosen = mask or (lambda ids, g: (ids, torch.ones_like(ids, dtype=torch.bool)))
    beside = [baseline_bits(clip, []) for clip in clips]
    return concatenate(
        [
            predict_masked(model, clips, beside, batch, chosen, drawn)  # type: ignore[arg-type]
            for batch in batches(clips, 5)
        ]
    )


def test_windows_cover_a_clip_to_its_end() -> None:
    assert starts(10, 4) == [0, 4, 6]
    assert starts(8, 4) == [0, 4]
    assert starts(4, 4) == [0]
    found = batches([torch.zeros(2, 13), torch.zeros(2, 9)], 4)
    assert found[0] == [(0, 0), (0, 4), (0, 8), (0, 9)]
    assert found[1:] == [[(1, 0), (1, 4), (1, 5)]]
    assert len(found[0]) == BATCH


def test_whole_frames_are_masked() -> None:
    ids = torch.randint(CODES, (50, 2, 40))
    inputs, chosen = frame_mask(ids, CODES, torch.Generator().manual_seed(0))
    assert torch.equal(chosen[:, 0], chosen[:, 1])
    assert torch.equal(inputs == CODES, chosen)
    assert torch.equal(inputs[~chosen], ids[~chosen])
    assert 0.12 < float(chosen.double().mean()) < 0.18


def test_bits_of_a_model_that_is_known() -> None:
    clips = [torch.randint(CODES, (2, 7)), torch.randint(CODES, (2, 5))]
    found = guessed(Sure(0.5), clips)
    assert len(found.code) == 2 * (2 * 5 + 5)
    assert found.values[:, 0].tolist() == pytest.approx([1.0] * len(found.code))
    assert found.values[:, 1].tolist() == [1.0] * len(found.code)
    # it looks at nothing but the token itself: less to see changes nothing
    assert torch.equal(found.values[:, 2], found.values[:, 0])
    assert found.values[:, 3:].isnan().all()
    assert not found.masked.any()
    assert [int((found.clip == clip).sum()) for clip in (0, 1)] == [20, 10]
    uniform = guessed(Sure(1 / CODES), clips)
    assert uniform.values[:, 0].tolist() == pytest.approx([3.0] * len(uniform.code))


def test_masked_tokens_are_not_seen() -> None:
    clip = torch.ones(2, 5, dtype=torch.int16)
    found = guessed(Sure(0.5), [clip], lambda ids, g: (torch.full_like(ids, CODES), ids == 1))
    assert found.masked.all()
    assert found.values[:, 0].tolist() == pytest.approx([-math.log2(0.5 / 7)] * 10)
    assert not found.values[:, 1].any()
    assert found.code.tolist() == [1] * 10
    assert found.level.tolist() == [0] * 5 + [1] * 5


def test_berts_masking_is_told_apart_from_what_was_kept() -> None:
    model = Sure(0.5)
    clips = [torch.randint(CODES, (2, 4000), generator=torch.Generator().manual_seed(1))]
    found = guessed(model, clips, lambda ids, g: bert_mask(ids, model.vocabulary, g))
    assert 0.75 < float(found.masked.double().mean()) < 0.85
    assert len(found.where(found.masked).code) == int(found.masked.sum())


def test_baselines_stand_beside_the_right_tokens() -> None:
    clip = torch.tensor([[0, 1, 0, 1, 1], [2, 2, 2, 2, 2]])
    models = [count([row], CODES, 1.0, 1.0) for row in clip]
    bits = baseline_bits(clip, models)
    assert bits.shape == (2, 5, 2)
    assert torch.equal(bits[0, :, 0], models[0].unigram_bits(clip[0]))
    assert torch.equal(bits[1, :, 1], models[1].bigram_bits(clip[1]))
    drawn = torch.Generator().manual_seed(0)

    def second_frame(ids: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return ids, (torch.arange(5) == 1).expand_as(ids)

    found = predict_masked(Sure(0.5), [clip], [bits], [(0, 0)], second_frame, drawn)  # type: ignore[arg-type]
    assert torch.equal(found.values[:, 3:], bits[:, 1])


def test_a_short_window_sees_no_more_than_the_papers() -> None:
    class Long(Sure):
        """Knows every token when it sees more than the paper's 16 frames at once, else none."""

        def __init__(self) -> None:
            super().__init__(0.5)
            self.seen: set[int] = set()

        def logits(self, hidden: Tensor) -> Tensor:
            self.seen.add(hidden.shape[-1])
            self.p.data.fill_(0.5 if hidden.shape[-1] > 16 else 1 / CODES)
            return super().logits(hidden)

    model = Long()
    clips = [torch.randint(CODES, (2, 40))]
    beside, drawn = [baseline_bits(clips[0], [])], torch.Generator()
    model.config = MLMConfig(2, CODES, 4, 512, 44_100, stems=(), window=40)
    everything = lambda ids, g: (ids, torch.ones_like(ids, dtype=torch.bool))  # noqa: E731
    found = predict_masked(model, clips, beside, [(0, 0)], everything, drawn)  # type: ignore[arg-type]
    assert model.seen == {40, 16, 8}
    assert found.values[:, 0].tolist() == pytest.approx([1.0] * 80)
    assert found.values[:, 2].tolist() == pytest.approx([3.0] * 80)
