"""A step of the masked language model: its batches, and its loss by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy_songs import FRAMES, HOP, RATE, VQVAE, Meter, Songs, batch_of, excerpts, mlm_task

from audiomask.audio.spectra import band_weights, stft
from audiomask.checkpoint import load_checkpoint, load_weights
from audiomask.networks.layers.band_features import band_features
from audiomask.networks.layers.transformer import TransformerLayer
from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.masking import bert_mask
from audiomask.training.drafts import rough_estimates
from audiomask.training.tasks import mlm as module
from audiomask.training.tasks.mlm import MLMBatch, MLMTask, band_power, stem_rows

# Batches


def test_band_powers_are_those_of_the_spectrum() -> None:
    config = mlm_task().model.config
    mixture = Songs()[3].mixture[0]
    power = band_power(mixture, config)
    weights = band_weights(129, 4_000.0, 12, 4_000.0)
    assert torch.allclose(power, weights.T @ stft(mixture, 256, HOP).abs().square(), atol=1e-5)
    assert power.shape == (12, FRAMES)


def test_a_batch_has_one_of_the_named_stems() -> None:
    task = mlm_task()
    batch, songs = batch_of(task, 0, 20), excerpts(0, 20)
    assert torch.equal(batch.mixture, Meter().encode(songs.mixture[:, 0]))
    for index, number in enumerate(batch.stem_index.tolist()):
        stem = songs.stems[index : index + 1, number, 0]
        assert torch.equal(batch.stem[index : index + 1], Meter().encode(stem))
        power = band_power(songs.mixture[index, 0], task.model.config)
        assert torch.equal(batch.mixture_power[index], power)
    assert set(batch.stem_index.tolist()) == {0, 1}
    assert torch.equal(batch.stem_index, batch_of(task, 0, 20).stem_index)
    assert not torch.equal(batch.stem_index, batch_of(task, 0, 20, seed=1).stem_index)
    # not computed where nothing asks for it
    assert batch_of(mlm_task("paper"), 0, 3).mixture_power.shape == (3, 0)


def test_a_batch_has_drafts_where_they_are_read() -> None:
    task = mlm_task(draft=True, separated=0.5)
    batch, songs = batch_of(task, 0, 4), excerpts(0, 4)
    seeds = [int(task.batches(0).sample(index)[1]) for index in (0, 2)]
    stems = songs.stems[[0, 2], batch.stem_index, 0]
    rough = rough_estimates(songs.mixture[[0, 2], 0], stems, seeds, RATE)
    assert torch.equal(batch.draft, Meter().encode(rough))
    assert len(batch_of(mlm_task(), 0, 4).draft) == 0


def test_a_draft_is_read_in_most_rows() -> None:
    task = mlm_task(draft=True)
    batch = batch_of(task, 0, 40)
    mask = task.model.vocabulary.mask
    torch.manual_seed(0)
    some = task._some_drafts(batch.draft)
    missing = (some == mask).all(dim=(1, 2))
    assert 2 <= int(missing.sum()) <= 12
    assert torch.equal(some[~missing], batch.draft[~missing])
    other = batch._replace(draft=(batch.draft + 5) % 16)
    assert terms(task, batch)["plain"] == terms(task, other)["plain"]
    assert terms(task, batch)["stem"] != terms(task, other)["stem"]


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_recording_without_stems_teaches_plain_sequences_alone(preset: str) -> None:
    task = mlm_task(preset, **({"draft": True} if preset == "default" else {}))
    work, songs = task.batches(0), excerpts(0, 6)
    sampled = torch.stack([work.sample(index) for index in range(6)])
    known = torch.tensor([True, False, True, True, False, False])
    silent = torch.where(known[:, None, None, None], songs.stems, 0.0)
    batch = work(songs._replace(has_stems=known, stems=silent), sampled)
    assert torch.equal(batch.has_stem, known)
    none = batch._replace(has_stem=torch.zeros_like(known))
    other = batch._replace(stem=torch.where(known[:, None, None], batch.stem, 7))
    assert terms(task, batch)["stem"] == terms(task, other)["stem"] > 0
    assert terms(task, none)["stem"] == 0
    assert terms(task, none)["plain"] > 0


def test_an_excerpt_is_a_window_of_the_model() -> None:
    config = mlm_task().model.config
    assert MLMTask.samples(config) == FRAMES * HOP
    assert MLMTask.stems(config, {"flute"}) == ("low", "high")


def terms(task: MLMTask, batch: MLMBatch) -> dict[str, float]:
    """The terms of the loss of a batch of both jobs, always of the same masks."""
    torch.manual_seed(3)
    found = {name: float(value) for name, value in task.loss(batch)[1].items()}
    assert found.keys() == {"plain", "stem"}
    return found


def test_only_some_are_separated_and_all_teach_infill() -> None:
    task = mlm_task(separated=0.25, draft=True)
    batch, songs = batch_of(task, 0, 6), excerpts(0, 6)
    assert torch.equal(batch.mixture, Meter().encode(songs.mixture[:, 0]))
    whole = batch_of(mlm_task(draft=True), 0, 6)
    for part, all_of_it in zip(batch[1:], whole[1:], strict=True):
        assert torch.equal(part, all_of_it[[0, 3]])
    # a cache keeps more than is separated: the rest is passed over
    assert terms(task, batch) == pytest.approx(terms(task, whole), rel=1e-5)
    none = mlm_task(separated=0.0)
    batch = batch_of(none, 0, 3)
    assert len(batch.stem) == len(batch.mixture_power) == 0
    assert none.loss(batch)[1].keys() == {"plain"}


@pytest.mark.parametrize(
    ("preset", "share", "rows"),
    [
        ("default", 1.0, list(range(12))),
        ("default", 0.25, [0, 4, 8]),
        ("default", 0.3, [0, 3, 6, 9]),  # rounded up
        ("default", 0.0, []),
        ("paper", 0.25, list(range(12))),
    ],
)
def test_the_rows_that_have_a_stem_are_evenly_spread(
    preset: str, share: float, rows: list[int]
) -> None:
    assert stem_rows(mlm_task(preset, separated=share).model.config, 12).tolist() == rows


@pytest.mark.parametrize(
    ("preset", "shares"),
    [
        ("default", {}),
        ("default", {"separated": 0.5}),
        ("default", {"separated": 0.0}),
        ("default", {"bands": 0, "separated": 0.0}),
        ("default", {"bands": 0}),
        ("default", {"bands": 0, "separated": 0.5}),
        ("default", {"draft": True}),
        ("default", {"draft": True, "separated": 0.0}),
        ("paper", {}),
    ],
)
def test_what_no_loss_depends_on_is_known(preset: str, shares: dict[str, Any]) -> None:
    task = mlm_task(preset, **shares)
    task.loss(batch_of(task, 0, 4))[0].backward()
    named = {id(parameter) for parameter in task.unused_parameters()}
    for name, parameter in task.model.named_parameters():
        assert (parameter.grad is None) == (id(parameter) in named), name


def test_without_bands_separation_is_by_tokens_alone() -> None:
    task = mlm_task(bands=0)
    batch = batch_of(task, 0, 4)
    assert batch.mixture_power.shape == (4, 0)
    assert task.loss(batch)[1].keys() == {"plain", "stem"}


def test_each_row_is_separated_by_its_own_bands() -> None:
    """Of a cache's batch, which has more rows than are separated, the same ones are taken."""
    task = mlm_task(separated=0.5)
    given = []
    context = task.model.context

    def spy(ids: Tensor, bands: Tensor | None = None) -> Tensor:
        given.append((ids, bands))
        return context(ids, bands)

    whole = batch_of(mlm_task(), 0, 4)
    for batch in (batch_of(task, 0, 4), whole):
        given.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(task.model, "context", spy)
            task.loss(batch)
        (_, none), (ids, bands) = given
        assert none is None, "plain sequences are learned without bands, as infill has none"
        assert torch.equal(ids, whole.mixture[[0, 2]])
        assert bands is not None
        assert torch.equal(bands, band_features(whole.mixture_power[[0, 2]]))


def test_tokens_are_those_of_full_precision_when_training_is_not() -> None:
    task = mlm_task()
    seen = []

    def encode(audio: Tensor, levels: int | None = None) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return Meter().encode(audio)

    work = task.batches(0)
    work.vqvae.encode = encode  # type: ignore[method-assign]
    with torch.autocast("cpu", torch.bfloat16):
        batch = work(excerpts(0, 2), torch.tensor([[0, 5], [1, 6]]))
        loss, _ = task.loss(batch)
    assert seen == [False]
    assert loss.dtype == torch.float32


# The loss


def test_the_loss_is_on_the_chosen_positions_alone() -> None:
    task = mlm_task(levels=1)
    ids = torch.randint(16, (3, 1, 20))
    inputs, chosen = bert_mask(ids, task.model.vocabulary)
    hidden = task.model.target(task.model.context(inputs))
    loss = task.nll(hidden, ids, chosen)
    log_p = task.model.logits(hidden).log_softmax(dim=-1)
    expected = [-log_p[row, level, frame, ids[row, level, frame]]
                for row, level, frame in chosen.nonzero().tolist()]  # fmt: skip
    assert float(loss.detach()) == pytest.approx(
        float(torch.stack(expected).mean().detach()), rel=1e-5
    )
    # other targets elsewhere change nothing; on a chosen position they do
    other = torch.where(chosen, ids, (ids + 5) % 16)
    assert torch.equal(task.nll(hidden, other, chosen), loss)
    changed = torch.where(chosen, (ids + 5) % 16, ids)
    assert not torch.equal(task.nll(hidden, changed, chosen), loss)
    gradient = torch.autograd.grad(loss, hidden)[0].abs().sum(dim=-1) > 0
    assert torch.equal(gradient, chosen[:, 0])


def test_no_chosen_position_is_no_loss() -> None:
    task = mlm_task()
    ids = torch.full((1, 1, 5), task.model.vocabulary.pad)
    hidden = task.model.target(task.model.context(ids))
    assert float(task.nll(hidden, ids, torch.ones(1, 1, 5, dtype=torch.bool)).detach()) == 0
    assert float(task.nll(hidden, ids, torch.zeros(1, 1, 5, dtype=torch.bool)).detach()) == 0


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_the_loss_is_the_weighted_sum_and_trains_every_part(preset: str) -> None:
    task = mlm_task(preset)
    loss, terms = task.loss(batch_of(task, 0, 4))
    assert terms.keys() == module.WEIGHTS.keys() == {"plain", "stem"}
    expected = float(sum(module.WEIGHTS[name] * value for name, value in terms.items()))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    torch.autograd.backward(loss)
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_its_repeated_parts_are_the_transformers_layers() -> None:
    blocks = list(mlm_task(layers=3, stem_layers=2).repeated_blocks())
    assert len(blocks) == 5
    assert all(isinstance(block, TransformerLayer) for block in blocks)


def test_the_papers_sequence_is_masked_as_in_bert_and_as_when_separating(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = mlm_task("paper", window=21)
    given: list[Tensor] = []
    context = task.model.context
    monkeypatch.setattr(
        task.model, "context", lambda ids: (given.append(ids.clone()), context(ids))[1]
    )
    batch = batch_of(task, 0, 40)
    task.loss(batch)
    plain, sequence = given
    assert plain.shape == (80, 1, 21)
    assert sequence.shape == (40, 1, 21)
    vocabulary = task.model.vocabulary
    # mixture, SEP, stem
    assert torch.equal(sequence[:, 0, 10], vocabulary.codebook_size + 2 + batch.stem_index)
    assert (sequence[::2, :, 11:] == vocabulary.mask).all()
    share = (sequence[1::2, :, 11:] == vocabulary.mask).float().mean()
    assert 0.04 < float(share) < 0.24  # 12 %
    truth = batch.mixture[..., :10]
    assert 0.75 < float((sequence[..., :10] == truth).float().mean()) < 0.95


# What is heard of it


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_mixture_a_stem_and_the_stem_found_are_heard(preset: str) -> None:
    task = mlm_task(preset, window=FRAMES)
    task.model.eval()
    batch, songs = batch_of(task, 0, 2), excerpts(0, 2)
    name = ("low", "high")[int(batch.stem_index[0])]
    heard = task.audio_samples(batch)
    assert list(heard) == ["mixture", name, f"{name} found"]
    length = HOP * (FRAMES if preset == "default" else (FRAMES - 1) // 2)
    assert {audio.shape for audio in heard.values()} == {(length,)}
    assert torch.allclose(heard["mixture"], songs.mixture[0, 0, :length], atol=1e-4)
    stem = songs.stems[0, int(batch.stem_index[0]), 0, :length]
    assert torch.allclose(heard[name], stem, atol=1e-4)


def test_where_no_stem_is_learned_the_mixture_alone_is_heard() -> None:
    task = mlm_task(separated=0.0)
    assert list(task.audio_samples(batch_of(task, 0, 2))) == ["mixture"]


# Its checkpoint


def test_the_checkpoint_makes_the_same_model_and_requires_its_vqvae(tmp_path: Path) -> None:
    task = mlm_task()
    task.save(tmp_path, task.model.state_dict(), {"step": 3})
    found = load_checkpoint(tmp_path, "mlm")
    assert found.notes == {"step": 3}
    assert found.requires == {"vqvae": VQVAE}
    again = build_mlm(found.preset, found.config)
    load_weights(again, found)
    assert again.config == task.model.config
    assert again.config.sample_rate == RATE
    assert torch.allclose(again.codebooks, task.model.codebooks, atol=1e-3)
    ids = torch.randint(16, (1, 1, 20))
    for model in (again, task.model):
        model.eval()
    with torch.no_grad():
        assert torch.allclose(again.context(ids), task.model.context(ids), atol=2e-2)
