"""The masked language model learns both of its jobs: sequences, and stems of mixtures."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from toy_songs import FRAMES, batch_of, learn, mlm_task

from audiomask.networks.layers.band_features import band_features
from audiomask.networks.mlm.decoding import PerRecordingNoise, iterative_decode
from audiomask.networks.mlm.masking import bert_mask
from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.mlm.separation import stem_codes
from audiomask.training.tasks.mlm import MLMBatch, MLMTask

pytestmark = pytest.mark.slow


def unigram_entropy(ids: Tensor) -> float:
    share = torch.bincount(ids.flatten()).float() / ids.numel()
    return float(torch.special.entr(share).sum())


@torch.no_grad()
def masked_nll(model: MaskedLM, ids: Tensor) -> float:
    """Nats a token of what BERT's masking hides."""
    inputs, chosen = bert_mask(ids, model.vocabulary)
    hidden_ones = chosen & (inputs == model.vocabulary.mask)
    logits = model.logits(model.target(model.context(inputs)))
    return float(F.cross_entropy(logits[hidden_ones], ids[hidden_ones]))


def accuracy(model: MaskedLM, batch: MLMBatch, stem: int) -> float:
    """How many of a stem's codes are found from the mixture's alone."""
    mixture = batch.mixture
    bands = None
    if model.config.layout == "concatenated":
        mixture = mixture[..., : (model.config.window - 1) // 2]
    else:
        bands = band_features(batch.mixture_power)
    truth = 4 * (mixture // 4) if stem == 0 else mixture % 4
    (found,) = stem_codes(model, mixture, [stem], bands)
    return float((found == truth).float().mean())


@pytest.fixture(scope="module")
def aligned() -> MLMTask:
    """The default preset after some seconds of both jobs."""
    task = mlm_task()
    learn(task, 160)
    return task


def test_the_default_learns_sequences_far_under_the_unigram_entropy(aligned: MLMTask) -> None:
    ids = batch_of(aligned, 5_000, 64).mixture  # songs that it never saw
    assert unigram_entropy(ids) > 2.5
    assert masked_nll(aligned.model, ids) < 0.4 * unigram_entropy(ids)


def test_it_fills_a_gap_with_what_must_be_there(aligned: MLMTask) -> None:
    ids = batch_of(aligned, 5_000, 32).mixture
    unknown = torch.zeros(32, FRAMES, dtype=torch.bool)
    unknown[:, 12:18] = True
    noise = PerRecordingNoise([(torch.Generator().manual_seed(0), 32, 1)])
    filled, _, score = iterative_decode(aligned.model, ids, unknown, 6, 0.0, noise)
    right = float((filled == ids)[:, 0][unknown].float().mean())
    assert right > 0.7
    # it is surer of the truth than of a random filling's neighbours
    assert float(score.mean()) > -0.7


def test_it_finds_the_stems_codes(aligned: MLMTask) -> None:
    batch = batch_of(aligned, 5_000, 32)
    assert min(accuracy(aligned.model, batch, stem) for stem in range(2)) > 0.7  # by chance: 1 / 4


def test_the_papers_preset_learns_both_jobs_too() -> None:
    task = mlm_task("paper", window=25)
    learn(task, 300, 6e-3)
    batch = batch_of(task, 5_000, 64)
    ids = batch.mixture[..., :25]
    assert masked_nll(task.model, ids) < 0.6 * unigram_entropy(ids)
    assert min(accuracy(task.model, batch, stem) for stem in range(2)) > 0.6  # by chance: 1 / 4
