"""A batch of the language model: its tokens are those of recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_lm import settings
from torch.utils.data import default_collate

from audiomask.audio.source import MemorySource
from audiomask.data.excerpt import Excerpt
from audiomask.engine import Engine
from audiomask.networks.lm import build_lm
from audiomask.training.task import Required
from audiomask.training.tasks import lm as module
from audiomask.training.tasks.lm import LMTask

RATE = 44_100


@pytest.fixture
def engine(continuing: Path) -> Engine:
    return Engine(continuing, "cpu")


def task_of(engine: Engine, stage: str, **more: object) -> LMTask:
    model = build_lm("default", settings(stage, **more))
    required = {kind: Required("", engine.load(kind)) for kind in engine.kinds if kind != "mlm"}
    read = {"semantic": ("spectrogram",), "coarse": ("vqvae", "spectrogram")}.get(stage, ("vqvae",))
    return LMTask(model, "default", required={kind: required[kind] for kind in read})


def sound(samples: int, rows: int = 2) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    loud = torch.linspace(0, 40, samples).sin().square()
    return 0.1 * loud * torch.randn(rows, 1, samples, generator=draw)


def batch_of(task: LMTask, audio: torch.Tensor) -> module.LMBatch:
    number = len(audio)
    stems = torch.zeros(number, 1, *audio.shape[1:])
    excerpts = Excerpt(audio, stems, torch.zeros(number, dtype=torch.bool))
    work = task.batches(0)
    return work(excerpts, torch.stack([work.sample(n) for n in range(number)]))


@pytest.mark.parametrize("stage", ["semantic", "coarse", "fine", "acoustic"])
def test_tokens_are_those_of_the_recording(
    stage: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRAMES", 64)
    task = task_of(engine, stage)
    config, audio = task.model.config, sound(task.samples(task.model.config))
    batch = batch_of(task, audio)
    several = 1 if stage == "semantic" else 2
    assert batch.tokens.shape == (2 * several, len(config.predicted), 32)
    assert batch.condition.shape[:2] == (2 * several, len(config.condition))
    source = MemorySource(audio[1], RATE)
    codes = engine.tokenize(source).codes[0].long()[:, 24:]
    semantic = engine.tokenize_semantic(source).codes[0].long()
    for number in range(several):
        row, frames = several + number, slice(32 * number, 32 * number + 32)
        tokens = slice(6 + 8 * number, 6 + 8 * number + 8)
        want, given = {
            "semantic": (semantic[:, :32], codes[:0]),
            "coarse": (codes[:1, frames], semantic[:, tokens]),
            "fine": (codes[1:, frames], codes[:1, frames]),
            "acoustic": (codes[:1, frames], codes[:0]),
        }[stage]
        assert torch.equal(batch.tokens[row], want)
        if len(given):
            assert torch.equal(batch.condition[row], given)


@pytest.mark.parametrize("stage", ["semantic", "coarse", "fine", "acoustic"])
def test_what_is_kept_of_excerpts_makes_the_same_batch(
    stage: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRAMES", 64)
    task = task_of(engine, stage)
    audio = sound(task.samples(task.model.config))
    excerpts = Excerpt(audio, torch.zeros(2, 1, *audio.shape[1:]), torch.zeros(2).bool())
    encoder = task.token_encoder(0)
    kept = encoder.encode(excerpts, torch.arange(2))
    # no more levels than the stage needs, each once, though its windows lie beside each other
    steps, tokens = (32, 32) if stage == "semantic" else (64, 16)
    levels = {"semantic": 0, "coarse": 1, "fine": 2, "acoustic": 1}[stage]
    semantic = (1, tokens) if stage in ("semantic", "coarse") else (0, 64)
    assert kept["codes"].shape == (2, levels, steps)
    assert kept["semantic"].shape == (2, *semantic)
    assert {part.dtype for part in kept.values()} == {torch.int32}
    items = [
        encoder.item({name: part[row] for name, part in kept.items()}, row) for row in range(2)
    ]
    found = encoder.finish(default_collate(items))
    for part, expected in zip(found, batch_of(task, audio), strict=True):
        assert part.dtype == torch.int64
        assert torch.equal(part, expected)


def test_settings_that_decide_tokens_are_told(engine: Engine) -> None:
    def told(stage: str, **more: object) -> dict[str, object]:
        return task_of(engine, stage, **more).token_encoder(0).settings()

    assert told("semantic") == {"levels": 0, "steps": 32, "beside": 0}
    assert told("coarse") == {"levels": 1, "steps": 576, "beside": 24}
    assert told("fine") == {"levels": 2, "steps": 576, "beside": 24}
    assert told("coarse", coarse_levels=2)["levels"] == 2
    # windows of another length may be cut from the same tokens
    assert told("acoustic", window=64) == told("acoustic", window=32)
    assert told("acoustic", window=640)["steps"] == 640


def test_the_loss_is_of_all_tokens_and_its_terms_of_each_level(engine: Engine) -> None:
    task = task_of(engine, "acoustic", coarse_levels=2)
    task.model.eval()
    batch = batch_of(task, sound(task.samples(task.model.config)))
    loss, terms = task.loss(batch)
    assert list(terms) == ["level_1", "level_2"]
    assert float(loss.detach()) == pytest.approx(float(sum(terms.values())) / 2)
    fine = task_of(engine, "fine")
    assert fine.loss(batch_of(fine, sound(fine.samples(fine.model.config))))[1] == {}
    blocks = list(task.repeated_blocks())
    assert len(blocks) == 4, "two layers, and two levels' networks"


def test_a_batch_is_learned_by_heart(engine: Engine) -> None:
    task = task_of(engine, "coarse", forgetful=0.0)
    batch = batch_of(task, sound(task.samples(task.model.config)))
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss, _ = task.loss(batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
