"""The loop: it learns as its schedule says, from the items it should."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from doubling import CPU, Doubling, Numbers, log, run, same
from safetensors.torch import load_file
from torch import Tensor, nn

from audiomask.errors import AudiomaskError
from audiomask.training.batches import BatchSource, RankSlice
from audiomask.training.config import Run, TrainConfig
from audiomask.training.loop import train
from audiomask.training.state import STATE_FILE

# A run


def test_steps_are_as_large_as_the_schedule_says(tmp_path: Path) -> None:
    task = Doubling()
    before = task.model[2].weight.detach().clone()
    run(task, tmp_path, steps=1, learning_rate=3e-2, weight_decay=0.0)
    # the first of three steps of warm-up; Adam's first step is the rate itself
    moved = (task.model[2].weight.detach() - before).abs()
    assert float(moved.median()) == pytest.approx(1e-2, rel=1e-3)


def test_the_loss_falls_and_is_logged(tmp_path: Path) -> None:
    task = Doubling()
    assert run(task, tmp_path, steps=150, learning_rate=2e-2, ema=0.9) == 150
    entries = log(tmp_path)
    assert [entry["step"] for entry in entries] == list(range(1, 151))
    assert entries[-1]["loss"] < 0.2 * entries[0]["loss"]
    assert entries[0].keys() >= {"step", "seconds", "loss", "noise", "gradient"}
    # what is saved for use are the averages, at the end once
    assert [notes["step"] for notes in task.saved] == [150]
    state = load_file(tmp_path / STATE_FILE)
    for name, value in task.saved[0]["weights"].items():
        assert torch.equal(value, state[f"average/{name}"])
    assert not torch.equal(state["average/0.weight"], state["model/0.weight"])
    assert torch.allclose(state["average/0.weight"], state["model/0.weight"], atol=0.1)


def test_checkpoints_come_every_so_many_steps(tmp_path: Path) -> None:
    task = Doubling()
    run(task, tmp_path, steps=8, save_every=3)
    assert [notes["step"] for notes in task.saved] == [3, 6, 8]
    assert all(notes["device"] == "cpu" for notes in task.saved)


def test_gradients_are_clipped(tmp_path: Path) -> None:
    norms: list[float] = []
    task = Doubling({2: lambda loss: 1e4 * loss})
    hook = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *rest: Any) -> Any:
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(float(torch.stack([g.square().sum() for g in gradients]).sum().sqrt()))
        return hook(self, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        run(task, tmp_path, steps=3, clip=0.5)
    assert norms[1] == pytest.approx(0.5, rel=1e-3)
    assert log(tmp_path)[1]["gradient"] > 100


def test_only_matrices_decay(tmp_path: Path) -> None:
    task = Doubling()
    made: list[torch.optim.Optimizer] = []
    build = torch.optim.AdamW.__init__

    def watch(self: torch.optim.AdamW, *rest: Any, **more: Any) -> None:
        build(self, *rest, **more)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "__init__", watch)
        run(task, tmp_path, steps=1, weight_decay=0.3)
    decays = {
        id(p): group["weight_decay"] for group in made[0].param_groups for p in group["params"]
    }
    for name, parameter in task.model.named_parameters():
        assert decays[id(parameter)] == (0.3 if parameter.dim() > 1 else 0), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision(tmp_path: Path, precision: str) -> None:
    kinds = []
    task = Doubling()
    task.model[0].register_forward_hook(lambda *parts: kinds.append(parts[2].dtype))
    run(task, tmp_path, steps=2, precision=precision)
    assert set(kinds) == {torch.float32 if precision == "fp32" else torch.bfloat16}
    state = load_file(tmp_path / STATE_FILE)
    assert state["model/0.weight"].dtype == torch.float32


# Items


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same_items(tmp_path: Path, workers: int) -> None:
    alone, helped = Doubling(), Doubling()
    run(alone, tmp_path / "a", workers=0)
    run(helped, tmp_path / "b", workers=workers)
    expected = torch.stack([Numbers()[i] for i in range(32)])
    assert torch.equal(torch.cat(alone.batches), expected)
    assert torch.equal(torch.cat(helped.batches), expected)
    assert same(tmp_path / "a", tmp_path / "b")


def test_the_seed_decides(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(Doubling(), tmp_path / name, seed=seed)
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("world", [1, 3])
def test_batches_are_dealt_out_to_the_processes(world: int) -> None:
    parts = [RankSlice(range(100), 10, 34, 2, rank, world) for rank in range(world)]  # type: ignore[arg-type]
    assert {len(part) for part in parts} == {24 // world}
    dealt = [[part[index] for index in range(len(part))] for part in parts]
    assert sorted(item for items in dealt for item in items) == list(range(10, 34))
    if world == 3:
        assert dealt[0][:4] == [10, 11, 16, 17]
        assert dealt[2][:4] == [14, 15, 20, 21]


def test_accumulated_batches_are_one_large_one(tmp_path: Path) -> None:
    class Plain(Doubling):
        """Without noise and running statistics, whose draws and means are of a batch."""

        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))

        def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self.batches.append(batch.clone())
            return (self.model(batch) - 2 * batch).square().mean(), {}

    torch.manual_seed(0)
    large = Plain()
    torch.manual_seed(0)
    small = Plain()
    small.model.load_state_dict(large.model.state_dict())
    plan = TrainConfig(6, batch_size=8, warmup=3, log_every=1)
    train(large, BatchSource(Numbers()), plan, tmp_path / "a", Run(CPU, quiet=True))
    plan = replace(plan, batch_size=2, accumulate=4)
    train(small, BatchSource(Numbers()), plan, tmp_path / "b", Run(CPU, quiet=True))
    assert torch.equal(torch.cat(large.batches), torch.cat(small.batches))
    assert [len(batch) for batch in small.batches] == [2] * 24
    pairs = zip(log(tmp_path / "a"), log(tmp_path / "b"), strict=True)
    for one, other in pairs:
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.slow
def test_compiled_blocks_learn_the_same(tmp_path: Path) -> None:
    plain, compiled = Doubling(), Doubling()
    run(plain, tmp_path / "a")
    run(compiled, tmp_path / "b", compile=True)
    assert compiled.model[0]._compiled_call_impl is not None
    losses = [[entry["loss"] for entry in log(tmp_path / name)] for name in "ab"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_overflowing_half_precision_is_left_out(tmp_path: Path) -> None:
    task = Doubling({3: lambda loss: loss + (0 * loss).sqrt()})
    assert run(task, tmp_path, steps=6, precision="fp16") == 6
    assert not math.isfinite(log(tmp_path)[2]["gradient"])
    for value in task.model.state_dict().values():
        assert value.double().isfinite().all()
    # but not for ever
    bad = dict.fromkeys(range(1, 40), lambda loss: loss + (0 * loss).sqrt())
    with pytest.raises(AudiomaskError, match="gradient is"):
        run(Doubling(bad), tmp_path / "b", steps=40, precision="fp16")
