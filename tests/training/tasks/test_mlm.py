"""A step of the masked language model: its loss by hand, and that it learns both of its jobs."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.audio.spectra import band_weights, stft
from audiomask.checkpoint import load_checkpoint, load_weights
from audiomask.data.excerpt import Excerpt
from audiomask.networks.mlm import build_mlm
from audiomask.networks.mlm.decoding import PerRecordingNoise, iterative_decode
from audiomask.networks.mlm.masking import bert_mask
from audiomask.networks.mlm.model import MaskedLM, band_features
from audiomask.networks.mlm.separation import stem_codes
from audiomask.training.tasks import mlm as module
from audiomask.training.tasks.mlm import MLMTask, Scene, Scenes, band_sums

RATE, HOP, FRAMES = 8_000, 64, 33
#: bins of a frame's spectrum where the stems of the toy songs have their only partial
LOW, HIGH = 4, 24
LEVELS = (0.0, 0.1, 0.2, 0.3)


class Meter(nn.Module):
    """Stands for a VQ-VAE: a frame's code tells the amplitudes of its low and its high partial."""

    def encode(self, audio: Tensor, levels: int | None = None) -> Tensor:
        spectrum = torch.fft.rfft(audio.unfold(-1, HOP, HOP)).abs() / (HOP / 2)
        low, high = ((spectrum[..., k] / 0.1).round().long().clamp(0, 3) for k in (LOW, HIGH))
        return (4 * low + high)[:, None]


class Songs:
    """Toy songs: a low and a high tone, the loudness of each a random pattern of four frames."""

    def __getitem__(self, index: int) -> Excerpt:
        random = torch.Generator().manual_seed(index)
        time = torch.arange(FRAMES * HOP)
        stems = torch.zeros(3, FRAMES * HOP)
        for stem, partial in enumerate((LOW, HIGH)):
            pattern = torch.tensor(LEVELS)[torch.randint(4, (4,), generator=random)]
            loudness = pattern.repeat(FRAMES // 4 + 1)[:FRAMES].repeat_interleave(HOP)
            stems[stem] = loudness * torch.sin(2 * math.pi * partial / HOP * time)
        return Excerpt(stems.sum(dim=0), stems, torch.tensor(True))


def make(preset: str, **settings: Any) -> MLMTask:
    """A tiny model of the preset, for the toy songs."""
    torch.manual_seed(0)
    belongs = {"levels": 1, "codebook_size": 16, "code_dim": 8, "hop_length": HOP}
    size = {"sample_rate": RATE, "stems": ["low", "high"], "dim": 48, "heads": 4, "layers": 2}
    if preset == "default":
        size |= {"bands": 12, "band_stft": 256, "window": FRAMES, "band_frames": 1}
        size |= {"mask_channels": (4, 6)}
    codebooks = F.normalize(torch.randn(1, 16, 8), dim=-1)
    model = build_mlm(preset, belongs | size | settings, codebooks)
    return MLMTask(model, preset, {"vqvae": "f" * 16})


def work(task: MLMTask, seed: int = 0) -> Scenes:
    return Scenes(task.model.config, Meter(), seed)  # type: ignore[arg-type]


def excerpts(first: int, number: int) -> Excerpt:
    songs = [Songs()[index] for index in range(first, first + number)]
    return Excerpt(*map(torch.stack, zip(*songs, strict=True)))


def scenes(task: MLMTask, first: int, number: int, seed: int = 0) -> Scene:
    making = work(task, seed)
    drawn = torch.stack([making.draw(index) for index in range(first, first + number)])
    return making(excerpts(first, number), drawn)


# Scenes


def test_band_sums_are_those_of_the_spectra() -> None:
    config = make("default").model.config
    mixture, stems, _ = Songs()[3]
    power, stem_power, cross = band_sums(mixture, stems, config)
    weights = band_weights(129, 4_000.0, 12, 4_000.0)
    x, s = stft(mixture, 256, HOP), stft(stems, 256, HOP)
    assert torch.allclose(power, weights.T @ x.abs().square(), atol=1e-5)
    assert torch.allclose(stem_power, weights.T @ s.abs().square(), atol=1e-5)
    assert torch.allclose(cross, weights.T @ (s * x.conj()).real, atol=1e-5)
    # each song is the sum of its stems: so are the cross-powers
    assert torch.allclose(cross.sum(dim=0), power, atol=1e-4)
    assert power.shape == (12, FRAMES)


def test_a_scene_has_one_of_the_named_stems() -> None:
    task = make("default")
    batch, songs = scenes(task, 0, 20), excerpts(0, 20)
    assert torch.equal(batch.mixture, Meter().encode(songs.mixture))
    for index, number in enumerate(batch.number.tolist()):
        stem = songs.stems[index : index + 1, number]
        assert torch.equal(batch.stem[index : index + 1], Meter().encode(stem))
        sums = band_sums(songs.mixture[index], songs.stems[index], task.model.config)
        found = (batch.mixture_power, batch.stem_power, batch.cross_power)
        assert all(torch.equal(a[index], b) for a, b in zip(found, sums, strict=True))
    assert set(batch.number.tolist()) == {0, 1}
    assert torch.equal(batch.number, scenes(task, 0, 20).number)
    assert not torch.equal(batch.number, scenes(task, 0, 20, seed=1).number)
    # not computed where nothing asks for it
    assert scenes(make("paper"), 0, 3).mixture_power.shape == (3, 0)


def terms(task: MLMTask, batch: Scene) -> dict[str, float]:
    """The terms of the loss of a batch of both jobs, always of the same masks."""
    torch.manual_seed(3)
    found = {name: float(value) for name, value in task.loss(batch)[1].items()}
    assert found.keys() == {"plain", "stem", "amplitude", "ratio"}
    return found


def test_only_some_are_separated_and_all_teach_infill() -> None:
    task = make("default", separated=0.25)
    batch, songs = scenes(task, 0, 6), excerpts(0, 6)
    assert torch.equal(batch.mixture, Meter().encode(songs.mixture))
    whole = scenes(make("default"), 0, 6)
    for part, all_of_it in zip(batch[1:], whole[1:], strict=True):
        assert torch.equal(part, all_of_it[[0, 3]])
    # a cache keeps more than is separated: the rest is passed over
    assert terms(task, batch) == pytest.approx(terms(task, whole), rel=1e-5)
    unheard = make("default", tokenised=0.0)
    batch = scenes(unheard, 0, 3)
    assert len(batch.stem) == len(batch.mixture) == 0
    assert unheard.loss(batch)[1].keys() == {"amplitude", "ratio"}
    assert unheard.sounds(batch) == {}
    none = make("default", separated=0.0)
    batch = scenes(none, 0, 3)
    assert len(batch.stem) == len(batch.mixture_power) == 0
    assert none.loss(batch)[1].keys() == {"plain"}


def test_only_some_have_tokens_and_all_are_separated() -> None:
    task = make("default", tokenised=0.25)
    batch, songs = scenes(task, 0, 6), excerpts(0, 6)
    whole = scenes(make("default"), 0, 6)
    assert torch.equal(batch.mixture, Meter().encode(songs.mixture)[[0, 3]])
    for name in ("stem", "number"):
        assert torch.equal(getattr(batch, name), getattr(whole, name)[[0, 3]])
    for name in ("mixture_power", "stem_power", "cross_power"):
        assert torch.equal(getattr(batch, name), getattr(whole, name))
    # a cache keeps all tokens: those of the others are passed over
    assert terms(task, batch) == pytest.approx(terms(task, whole), rel=1e-5)


@pytest.mark.parametrize(
    ("preset", "shares"),
    [
        ("default", {}),
        ("default", {"tokenised": 0.0}),
        ("default", {"tokenised": 0.5}),
        ("default", {"separated": 0.0}),
        ("default", {"bands": 0, "separated": 0.0}),
        ("default", {"bands": 0}),
        ("default", {"bands": 0, "tokenised": 0.5}),
        ("paper", {}),
    ],
)
def test_what_no_loss_depends_on_is_known(preset: str, shares: dict[str, Any]) -> None:
    task = make(preset, **shares)
    task.loss(scenes(task, 0, 4))[0].backward()
    named = {id(parameter) for parameter in task.unused_parameters()}
    for name, parameter in task.model.named_parameters():
        assert (parameter.grad is None) == (id(parameter) in named), name


def test_without_bands_separation_is_by_tokens_alone() -> None:
    task = make("default", bands=0)
    batch = scenes(task, 0, 4)
    assert batch.mixture_power.shape == (4, 0)
    assert task.loss(batch)[1].keys() == {"plain", "stem"}


def test_each_row_is_separated_by_its_own_guide() -> None:
    """Rows with tokens are put first: every other number of a row goes with it."""
    task = make("default", tokenised=0.5)
    batch = scenes(task, 0, 4)
    given = []
    logits = task.model.mask_logits

    def spy(features: Tensor, context: Tensor | None, stems: Tensor | None) -> Tensor:
        assert context is not None
        assert stems is not None
        given.append((features, context, stems))
        return logits(features, context, stems)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task.model, "mask_logits", spy)
        task.loss(batch)
    ((features, context, stems),) = given
    assert torch.equal(features, band_features(batch.mixture_power[[0, 2, 1, 3]]))
    task.model.eval()
    heard = task.model.context(batch.mixture, band_features(batch.mixture_power[[0, 2]]))
    assert torch.allclose(context, heard, atol=1e-5)
    assert stems.shape[:2] == (2, 2)


def test_tokens_are_those_of_full_precision_when_training_is_not() -> None:
    task = make("default")
    seen = []

    def encode(audio: Tensor, levels: int | None = None) -> Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return Meter().encode(audio)

    making = work(task)
    making.vqvae.encode = encode  # type: ignore[method-assign]
    with torch.autocast("cpu", torch.bfloat16):
        batch = making(excerpts(0, 2), torch.tensor([0, 1]))
        loss, _ = task.loss(batch)
    assert seen == [False]
    assert loss.dtype == torch.float32


# The loss


def test_the_loss_is_on_the_chosen_positions_alone() -> None:
    task = make("default", levels=1)
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
    task = make("default")
    ids = torch.full((1, 1, 5), task.model.vocabulary.pad)
    hidden = task.model.target(task.model.context(ids))
    assert float(task.nll(hidden, ids, torch.ones(1, 1, 5, dtype=torch.bool)).detach()) == 0
    assert float(task.nll(hidden, ids, torch.zeros(1, 1, 5, dtype=torch.bool)).detach()) == 0


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_the_loss_is_the_weighted_sum_and_trains_every_part(preset: str) -> None:
    task = make(preset)
    loss, terms = task.loss(scenes(task, 0, 4))
    weights = {"plain": module.PLAIN, "stem": module.STEM}
    if preset == "default":
        weights |= {"amplitude": module.AMPLITUDE, "ratio": module.RATIO}
    assert terms.keys() == weights.keys()
    expected = float(sum(weights[name] * value for name, value in terms.items()))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    torch.autograd.backward(loss)
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_papers_sequence_is_masked_as_in_bert_and_as_when_separating(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make("paper", window=21)
    given: list[Tensor] = []
    context = task.model.context
    monkeypatch.setattr(
        task.model, "context", lambda ids: (given.append(ids.clone()), context(ids))[1]
    )
    batch = scenes(task, 0, 40)
    task.loss(batch)
    plain, sequence = given
    assert plain.shape == (80, 1, 21)
    assert sequence.shape == (40, 1, 21)
    vocabulary = task.model.vocabulary
    # mixture, SEP, stem
    assert torch.equal(sequence[:, 0, 10], vocabulary.codebook_size + 2 + batch.number)
    assert (sequence[::2, :, 11:] == vocabulary.mask).all()
    share = (sequence[1::2, :, 11:] == vocabulary.mask).float().mean()
    assert 0.04 < float(share) < 0.24  # 12 %
    truth = batch.mixture[..., :10]
    assert 0.75 < float((sequence[..., :10] == truth).float().mean()) < 0.95


# Learning


def train(task: MLMTask, steps: int, rate: float = 4e-3) -> None:
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=rate, betas=(0.9, 0.98))
    batches = [scenes(task, 12 * number, 12) for number in range(40)]
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 20, 2 * (1 - step / steps))
        loss, _ = task.loss(batches[step % 40])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(task.model.parameters(), 1.0)
        optimizer.step()
    task.model.eval()


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


def accuracy(model: MaskedLM, batch: Scene, stem: int) -> float:
    """How many of a stem's codes are found from the mixture's alone."""
    mixture = batch.mixture
    bands = None
    if model.config.layout == "concatenated":
        mixture = mixture[..., : (model.config.window - 1) // 2]
    else:
        bands = band_features(batch.mixture_power)
    truth = 4 * (mixture // 4) if stem == 0 else mixture % 4
    return float((stem_codes(model, mixture, stem, bands) == truth).float().mean())


@pytest.fixture(scope="module")
def folded() -> MLMTask:
    """The default preset after some seconds of both jobs."""
    task = make("default")
    train(task, 160)
    return task


def test_the_default_learns_sequences_far_under_the_unigram_entropy(folded: MLMTask) -> None:
    ids = scenes(folded, 5_000, 64).mixture  # songs that it never saw
    assert unigram_entropy(ids) > 2.5
    assert masked_nll(folded.model, ids) < 0.4 * unigram_entropy(ids)


def test_it_fills_a_gap_with_what_must_be_there(folded: MLMTask) -> None:
    ids = scenes(folded, 5_000, 32).mixture
    unknown = torch.zeros(32, FRAMES, dtype=torch.bool)
    unknown[:, 12:18] = True
    noise = PerRecordingNoise([(torch.Generator().manual_seed(0), 32, 1)])
    filled, _, score = iterative_decode(folded.model, ids, unknown, 6, 0.0, noise)
    right = float((filled == ids)[:, 0][unknown].float().mean())
    assert right > 0.7
    # it is surer of the truth than of a random filling's neighbours
    assert float(score.mean()) > -0.7


@torch.no_grad()
def test_it_gives_each_stem_its_bands(folded: MLMTask) -> None:
    model, batch = folded.model.eval(), scenes(folded, 5_000, 64)
    ids = batch.mixture
    features = band_features(batch.mixture_power)
    context = model.context(ids, features)
    shares = model.mask_logits(features, context, model.predict_all_stems(context)).softmax(dim=1)
    total = batch.mixture_power[:, None]
    # of each band's energy, most is given to the stem whose it is
    for stem in range(2):
        own = batch.stem_power[:, stem] > 0.9 * batch.mixture_power
        loud = batch.mixture_power > 0.1
        given = (shares[:, stem] * total[:, 0])[own & loud].sum()
        assert float(given / total[:, 0][own & loud].sum()) > 0.9


def test_it_finds_the_stems_codes(folded: MLMTask) -> None:
    batch = scenes(folded, 5_000, 32)
    assert min(accuracy(folded.model, batch, stem) for stem in range(2)) > 0.7  # by chance: 1 / 4


def test_the_papers_preset_learns_both_jobs_too() -> None:
    task = make("paper", window=25)
    train(task, 300, 6e-3)
    batch = scenes(task, 5_000, 64)
    ids = batch.mixture[..., :25]
    assert masked_nll(task.model, ids) < 0.6 * unigram_entropy(ids)
    assert min(accuracy(task.model, batch, stem) for stem in range(2)) > 0.6  # by chance: 1 / 4


# Its checkpoint


def test_the_checkpoint_makes_the_same_model_and_names_its_vqvae(tmp_path: Path) -> None:
    task = make("default")
    task.save(tmp_path, task.model.state_dict(), {"step": 3})
    found = load_checkpoint(tmp_path, "mlm")
    assert found.notes == {"vqvae": "f" * 16, "step": 3}
    again = build_mlm(found.preset, found.config)
    load_weights(again, found)
    assert again.config == task.model.config
    assert torch.allclose(again.codebooks, task.model.codebooks, atol=1e-3)
    ids = torch.randint(16, (1, 1, 20))
    for model in (again, task.model):
        model.eval()
    with torch.no_grad():
        assert torch.allclose(again.context(ids), task.model.context(ids), atol=2e-2)
