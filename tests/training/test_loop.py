"""The loop: it learns, stops when told, resumes exactly, and never saves what is spoilt."""

import itertools
import json
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from audiomask.errors import AudiomaskError, DataError
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.model import VQVAE
from audiomask.runtime import distributed
from audiomask.runtime.termination import termination_signals
from audiomask.training import loop
from audiomask.training.batches import BatchSource, RankSlice
from audiomask.training.loop import Run, train
from audiomask.training.schedule import Schedule
from audiomask.training.signals import Stop
from audiomask.training.state import STATE_FILE
from audiomask.training.tasks.vqvae import VQVAETask

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
        self.validated: list[Tensor] = []
        self.saved: list[dict[str, Any]] = []

    def repeated_blocks(self) -> list[nn.Module]:
        return [self.model[0]]

    def unused_parameters(self) -> list[nn.Parameter]:
        return []

    def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        noise = 0.01 * torch.randn_like(batch)
        loss = (self.model(batch + noise) - 2 * batch).square().mean()
        if not self.model.training:
            self.validated.append(batch.clone())
            return loss, {"noise": noise.mean()}
        self.batches.append(batch.clone())
        changed = self.at.get(len(self.batches), lambda loss: None)(loss)
        return loss if changed is None else changed, {"noise": noise.mean()}

    def audio_samples(self, batch: Tensor) -> dict[str, Tensor]:
        return {"input": batch.flatten()}

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        copies = {name: value.clone() for name, value in weights.items()}
        self.saved.append(notes | {"weights": copies, "folder": folder.name})


def schedule(steps: int, **more: Any) -> Schedule:
    return Schedule(steps, batch_size=4, warmup=3, log_every=1, **more)


def run(task: Any, out: Path, steps: int = 8, **more: Any) -> int:
    plan = {k: more.pop(k) for k in list(more) if k in Schedule.__dataclass_fields__}
    data, check = more.pop("data", Numbers()), more.pop("check", None)
    how = Run(CPU, quiet=True, **more)
    return train(task, BatchSource(data, seconds=0.5), schedule(steps, **plan), out, how, check)


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def terminate(loss: Tensor) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


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
    plan = Schedule(6, batch_size=8, warmup=3, log_every=1)
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


# Validation


class Others(Dataset[Tensor]):
    """Item i is always the same, and none of Numbers."""

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.random.default_rng([8, index]).normal(size=4)).float()


def test_validation_is_on_the_same_items_and_leaves_no_trace(tmp_path: Path) -> None:
    checked, plain = Doubling(), Doubling()
    more = {"validate_every": 3, "validate_items": 8}
    run(checked, tmp_path / "a", check=BatchSource(Others()), **more)
    run(plain, tmp_path / "b")
    expected = torch.stack([Others()[i] for i in range(8)])
    assert len(checked.validated) == 3 * 2  # after steps 3, 6 and 8
    for first in (0, 2, 4):
        assert torch.equal(torch.cat(checked.validated[first : first + 2]), expected)
    states = [load_file(tmp_path / name / STATE_FILE) for name in "ab"]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    entries = [entry for entry in log(tmp_path / "a") if "validation_loss" in entry]
    assert [entry["step"] for entry in entries] == [3, 6, 8]
    # of the averaged weights
    task = Doubling()
    task.model.load_state_dict(checked.saved[-1]["weights"])
    task.model.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        losses = [float(task.loss(batch)[0]) for batch in expected.split(4)]
    assert entries[-1]["validation_loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    # the loss rises after the fifth step: its weights are spoilt on purpose
    def spoil(loss: Tensor) -> None:
        with torch.no_grad():
            task.model[2].bias += 100
            loss *= 0

    task = Doubling({6: spoil})
    run(task, tmp_path, validate_every=1, validate_items=4, check=BatchSource(Others()), ema=0.0)
    losses = [e["validation_loss"] for e in log(tmp_path) if "validation_loss" in e]
    best = int(np.argmin(losses)) + 1
    assert best <= 5
    kept = [notes["step"] for notes in task.saved if notes["folder"] == "best"]
    assert kept[-1] == best
    # and stays the best after a resumption
    place = json.loads(read_metadata(tmp_path)["place"])
    assert (place["best_step"], place["best"]) == (best, pytest.approx(min(losses)))


def read_metadata(out: Path) -> dict[str, str]:
    with safe_open(out / STATE_FILE, framework="pt") as stored:
        return dict(stored.metadata())


def test_tensorboard_gets_numbers_sounds_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    more = {"validate_every": 4, "validate_items": 4, "check": BatchSource(Others())}
    run(Doubling(), tmp_path, tensorboard=True, **more)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/gradient", "train/speed", "validation/loss"} <= set(
        tags["scalars"]
    )
    assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 9))
    assert tags["audio"] == ["input"]
    assert tags["images"] == ["input"]


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

        def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
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
    for number in termination_signals():
        task = Doubling({2: lambda loss, n=number: os.kill(os.getpid(), n)})
        assert run(task, tmp_path / str(number)) == 2
        assert [notes["step"] for notes in task.saved] == [2]
        assert len(task.batches) == 2


def test_a_signal_that_comes_twice_is_one_request(tmp_path: Path) -> None:
    """A closed terminal sends SIGHUP twice, ``torchrun`` passes on what the group got already."""

    def tell(loss: Tensor) -> None:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGINT, signal.SIGINT):
            os.kill(os.getpid(), number)

    task = Doubling({2: tell})
    assert run(task, tmp_path) == 2
    assert [notes["step"] for notes in task.saved] == [2]


def test_a_later_ctrl_c_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stop, "GRACE", 0.0)

    def tell(loss: Tensor) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(Doubling({2: tell}), tmp_path)
    assert not (tmp_path / STATE_FILE).exists()


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


class Clock:
    """Time that passes by a second a step."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def task(self, stop_at: int = 0) -> Doubling:
        def tick(loss: Tensor) -> None:
            self.now += 1
            if len(task.batches) == stop_at:
                terminate(loss)

        task = Doubling(dict.fromkeys(range(1, 1000), tick))
        return task


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def rates(out: Path) -> list[float]:
    return [entry["learning_rate"] for entry in log(out)]


def test_the_learning_rate_falls_with_the_time(tmp_path: Path, clock: Clock) -> None:
    plan = {"steps": 500, "learning_rate": 1.0, "max_time": 40.0, "total_seconds": 40.0}
    assert run(clock.task(), tmp_path, **plan) == 41
    by_steps = Schedule(steps=40, batch_size=1, learning_rate=1.0, warmup=3)
    expected = [by_steps.learning_rate_at(step, step / 40) for step in range(41)]
    assert rates(tmp_path) == pytest.approx(expected)
    assert rates(tmp_path)[-1] == pytest.approx(0.01)
    # no more is to be had without saying so
    again = plan | {"total_seconds": 61.0, "max_time": 20.0, "resume": True}
    assert run(clock.task(), tmp_path, **again) == 62
    assert rates(tmp_path)[41:] == pytest.approx([0.01] * 21)
    again |= {"total_seconds": 124.0, "max_time": 62.0, "replan": True}
    assert run(clock.task(), tmp_path, **again) == 125
    assert rates(tmp_path)[62] == pytest.approx(0.01 + 0.99 / 2)
    assert rates(tmp_path)[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("total", [30.0, 80.0])
def test_a_resumed_run_goes_down_to_its_new_end(tmp_path: Path, clock: Clock, total: float) -> None:
    plan = {"steps": 500, "learning_rate": 1.0, "max_time": 40.0, "total_seconds": 40.0}
    assert run(clock.task(stop_at=20), tmp_path, **plan) == 20
    clock.now += 1000  # between the two nothing passes
    again = plan | {"total_seconds": total, "max_time": total - 20, "resume": True}
    assert run(clock.task(), tmp_path, **again) == total + 1
    found = rates(tmp_path)
    assert found[3:] == sorted(found[3:], reverse=True)
    assert found[20] == pytest.approx(0.01 + 0.99 / 2)
    assert found[-1] == pytest.approx(0.01)
    assert max(a - b for a, b in itertools.pairwise(found[3:])) < 0.2


def test_without_a_limit_it_ends_as_it_was_planned(tmp_path: Path, clock: Clock) -> None:
    plan = {"steps": 500, "total_seconds": 40.0}
    assert run(clock.task(stop_at=20), tmp_path, max_time=40.0, **plan) == 20
    assert run(clock.task(), tmp_path, resume=True, **plan) == 41


def test_all_processes_go_by_the_first_ones_clock(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "from_main_process", lambda share, device: 0.5)
    run(clock.task(stop_at=8), tmp_path, 1000, learning_rate=1.0, total_seconds=1000.0)
    assert rates(tmp_path)[3:] == pytest.approx([0.01 + 0.99 / 2] * 5)


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    run(Doubling(), tmp_path)
    again = Doubling()
    assert run(again, tmp_path, resume=True) == 8
    assert again.batches == []
    # unless it is asked for more steps
    assert run(again, tmp_path, steps=10, resume=True) == 10
    assert torch.equal(again.batches[0][0], Numbers()[32])


def test_a_run_goes_on_where_its_items_ended_whatever_the_batch(tmp_path: Path) -> None:
    run(Doubling(), tmp_path, steps=3)
    again = Doubling()
    plan = Schedule(5, batch_size=6, warmup=3, log_every=1)
    train(again, BatchSource(Numbers()), plan, tmp_path, Run(CPU, quiet=True, resume=True))
    expected = torch.stack([Numbers()[i] for i in range(12, 24)])
    assert torch.equal(torch.cat(again.batches), expected)


def test_what_a_kill_undid_is_taken_out_of_the_log(tmp_path: Path) -> None:
    def kill(loss: Tensor) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Doubling({7: kill}), tmp_path, save_every=4)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # cut by the kill
    assert [entry["step"] for entry in log_lines(tmp_path)] == [1, 2, 3, 4, 5, 6]
    run(Doubling(), tmp_path, resume=True)
    assert [entry["step"] for entry in log(tmp_path)] == list(range(1, 9))


def log_lines(out: Path) -> list[dict[str, float]]:
    lines = (out / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


# Data that fails


class Failing(Dataset[Tensor]):
    """Has ten items."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, index: int) -> Tensor:
        if index >= 10:
            raise self.error
        return Numbers()[index]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    "error", [DataError("nothing in songs/ could be read"), FileNotFoundError(2, "gone", "a.wav")]
)
def test_data_that_is_gone_is_one_line_and_keeps_the_checkpoint(
    tmp_path: Path, workers: int, error: Exception
) -> None:
    task = Doubling()
    with pytest.raises(DataError, match=r"(nothing in songs/|gone).*the run stopped") as caught:
        run(task, tmp_path, data=Failing(error), save_every=1, workers=workers)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert [notes["step"] for notes in task.saved] == [1, 2]
    assert run(Doubling(), tmp_path, resume=True) == 8


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


def test_a_run_stopped_while_its_loss_is_out_of_range_keeps_the_checkpoint(tmp_path: Path) -> None:
    def spike(loss: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGTERM)
        return 1e6 * (1 + loss)

    task = Doubling({55: spike})
    assert run(task, tmp_path, steps=80, save_every=10) == 55
    assert [notes["step"] for notes in task.saved] == [10, 20, 30, 40, 50]
    # a resumed run goes on from before the spike
    again = Doubling()
    run(again, tmp_path, steps=80, resume=True)
    assert torch.equal(again.batches[0][0], Numbers()[200])


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
