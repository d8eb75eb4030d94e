"""The loop: it learns, stops when told, resumes exactly, and never saves what is spoilt."""

import json
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from audiomask.errors import AudiomaskError
from audiomask.training.feed import Feed
from audiomask.training.loop import Averages, Schedule, train
from audiomask.training.state import STATE_FILE
from audiomask.training.vqvae import VQVAETask
from audiomask.vqvae.config import VQVAEConfig
from audiomask.vqvae.model import VQVAE

CPU = torch.device("cpu")


class Numbers(Dataset[Tensor]):
    """Item i is always the same."""

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng([7, index]).normal(size=4)).float()


class Doubling:
    """Learn y = 2 x with noise drawn in every step, and remember what was seen."""

    def __init__(self, at: dict[int, Callable[[Tensor], Tensor | None]] | None = None) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
        self.at = at or {}
        self.batches: list[Tensor] = []
        self.saved: list[dict[str, Any]] = []

    def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, float]]:
        noise = 0.01 * torch.randn_like(batch)
        loss = (self.model(batch + noise) - 2 * batch).square().mean()
        self.batches.append(batch.clone())
        changed = self.at.get(len(self.batches), lambda loss: None)(loss)
        return loss if changed is None else changed, {"noise": float(noise.mean())}

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        copies = {name: value.clone() for name, value in weights.items()}
        self.saved.append(notes | {"weights": copies})


def schedule(steps: int, **more: Any) -> Schedule:
    return Schedule(steps, batch_size=4, warmup=3, log_every=1, **more)


def run(task: Any, out: Path, steps: int = 8, **more: Any) -> int:
    plan = {k: more.pop(k) for k in list(more) if k in Schedule.__dataclass_fields__}
    data = more.pop("data", Numbers())
    return train(task, Feed(data), schedule(steps, **plan), out, device=CPU, quiet=True, **more)


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def terminate(loss: Tensor) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


# Its parts


def test_the_learning_rate_by_hand() -> None:
    plan = Schedule(steps=110, batch_size=1, learning_rate=1.0, warmup=10)
    assert [plan.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert plan.rate(10) == pytest.approx(1.0)
    assert plan.rate(60) == pytest.approx(0.01 + 0.99 / 2)
    assert plan.rate(110) == pytest.approx(0.01)
    assert plan.rate(500) == pytest.approx(0.01)
    falling = [plan.rate(step) for step in range(10, 111)]
    assert falling == sorted(falling, reverse=True)


def test_averages_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    averages = Averages(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(5.0)
    averages.update(model, 0)  # the first steps count for more: decay 1 / 10
    assert float(averages.weights["weight"]) == pytest.approx(0.1 * 1 + 0.9 * 3)
    assert float(averages.weights["running_mean"]) == 5  # buffers are copied
    before = float(averages.weights["weight"])
    with torch.no_grad():
        model.weight.fill_(0.0)
    averages.update(model, 10_000)
    assert float(averages.weights["weight"]) == pytest.approx(0.5 * before)


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


# Stopping and going on


def same(a: Path, b: Path) -> bool:
    """Whether two runs ended in the same state, the random generator's included."""
    first, second = load_file(a / STATE_FILE), load_file(b / STATE_FILE)
    assert first.keys() == second.keys()
    return all(
        torch.allclose(value.double(), second[name].double(), rtol=0, atol=1e-6)
        for name, value in first.items()
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_equals_one_without_interruption(tmp_path: Path, workers: int) -> None:
    whole = Doubling()
    assert run(whole, tmp_path / "whole", workers=workers) == 8
    before = signal.getsignal(signal.SIGTERM)
    stopped = Doubling({3: terminate})
    assert run(stopped, tmp_path / "parts", workers=workers) == 3
    assert signal.getsignal(signal.SIGTERM) is before
    assert not same(tmp_path / "whole", tmp_path / "parts")
    resumed = Doubling()
    torch.manual_seed(99)  # another process
    assert run(resumed, tmp_path / "parts", workers=workers, resume=True) == 8
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert torch.equal(torch.cat(whole.batches), torch.cat([*stopped.batches, *resumed.batches]))
    losses = [[entry["loss"] for entry in log(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == losses[1]
    for name, value in whole.saved[-1]["weights"].items():
        assert torch.equal(value, resumed.saved[-1]["weights"][name])


def test_a_resumed_vqvae_does_too(tmp_path: Path) -> None:
    # its codebooks learn by running means, and it drops levels and re-seeds codes at random
    config = VQVAEConfig(
        hop_length=256, stft_size=512, encoder_dim=8, encoder_blocks=1, decoder_dim=8,
        decoder_blocks=1, levels=2, codebook_size=8, code_dim=4,
    )  # fmt: skip

    class Noise(Dataset[Tensor]):
        def __getitem__(self, index: int) -> Tensor:
            random = torch.Generator().manual_seed(index)
            return 0.1 * torch.randn(1, 8192, generator=random)

    def task() -> VQVAETask:
        torch.manual_seed(0)
        return VQVAETask(VQVAE(config), "default", {})

    class Killed(VQVAETask):
        count = 0

        def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, float]]:
            self.count += 1
            if self.count == 6:
                raise KeyboardInterrupt
            return super().loss(batch)

    run(task(), tmp_path / "whole", data=Noise())
    killed = Killed(task().model, "default", {})
    with pytest.raises(KeyboardInterrupt):
        run(killed, tmp_path / "parts", data=Noise(), save_every=4)
    assert run(task(), tmp_path / "parts", data=Noise(), resume=True) == 8
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_a_signal_stops_after_the_step_and_saves(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        task = Doubling({2: lambda loss, n=number: os.kill(os.getpid(), n)})
        assert run(task, tmp_path / str(number)) == 2
        assert [notes["step"] for notes in task.saved] == [2]
        assert len(task.batches) == 2


def test_a_signal_to_the_whole_group_does_not_kill_the_workers_first(tmp_path: Path) -> None:
    def tell(loss: Tensor) -> None:
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGTERM)
        time.sleep(0.3)

    task = Doubling({2: tell, 6: terminate})
    assert run(task, tmp_path, workers=1) == 6
    assert [notes["step"] for notes in task.saved] == [6]
    assert multiprocessing.active_children() == []


def test_max_time_stops_and_saves(tmp_path: Path) -> None:
    task = Doubling()
    assert run(task, tmp_path, max_time=0.0) == 1
    assert [notes["step"] for notes in task.saved] == [1]
    # it counts the call, not the run
    assert run(Doubling(), tmp_path, max_time=60.0, resume=True) == 8


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    run(Doubling(), tmp_path)
    again = Doubling()
    assert run(again, tmp_path, resume=True) == 8
    assert again.batches == []
    # unless it is asked for more steps
    assert run(again, tmp_path, steps=10, resume=True) == 10
    assert torch.equal(again.batches[0][0], Numbers()[32])


# Spoilt losses


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, bad: float
) -> None:
    task = Doubling({6: lambda loss: loss * bad})
    with pytest.raises(AudiomaskError, match=rf"loss is {bad} at step 5; .*--resume") as caught:
        run(task, tmp_path, save_every=2)
    assert "\n" not in str(caught.value)
    assert [notes["step"] for notes in task.saved] == [2, 4]
    assert all(
        value.double().isfinite().all() for value in load_file(tmp_path / STATE_FILE).values()
    )
    assert run(Doubling(), tmp_path, resume=True) == 8


def test_a_gradient_that_is_not_finite_does_too(tmp_path: Path) -> None:
    # the square root of zero has a finite value and an infinite slope
    task = Doubling({3: lambda loss: loss + (0 * loss).sqrt()})
    with pytest.raises(AudiomaskError, match=r"gradient is (nan|inf) at step 2"):
        run(task, tmp_path, save_every=1)
    assert [notes["step"] for notes in task.saved] == [1, 2]
    assert all(
        value.double().isfinite().all() for value in load_file(tmp_path / STATE_FILE).values()
    )
    for value in task.model.state_dict().values():
        assert value.double().isfinite().all()
