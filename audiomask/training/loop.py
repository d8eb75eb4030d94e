"""The one training loop: steps, validation and checkpoints, in one process or in many."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader

from audiomask.errors import AudiomaskError, DataError
from audiomask.runtime import distributed
from audiomask.training.batches import BatchSource, RankSlice, to_device
from audiomask.training.config import TrainConfig
from audiomask.training.divergence import DivergenceGuard
from audiomask.training.ema import EMA
from audiomask.training.logger import TrainLogger
from audiomask.training.optimizer import freeze_except, optimizer_of
from audiomask.training.processes import DistributedStep
from audiomask.training.signals import Stop, leave_signals
from audiomask.training.state import TrainState, gather_full, load_state, save_state
from audiomask.training.task import Task

#: gradient steps in a row that half precision may lose to overflow
OVERFLOWS = 20


@dataclass(frozen=True)
class Run:
    """Where and how a run is carried out, as opposed to what it does.

    Attributes:
        device: this process's.
        precision: ``fp32``, ``bf16`` or ``fp16`` for the heavy products.
        workers: processes that load data, for each process that trains.
        seed: of the random numbers drawn in steps.
        max_time: seconds after which the run is saved and ends.
        resume: go on with the run in the folder.
        replan: how far the schedule's time has come follows from the time spent, as if the run
            had been planned so from its beginning; otherwise it goes on from where it was.
        quiet: nothing on the screen.
        compile: compile the model's blocks.
        shard: spread weights and moments over the processes.
        tensorboard: write for TensorBoard as well.
    """

    device: torch.device
    precision: str = "fp32"
    workers: int = 0
    seed: int = 0
    max_time: float | None = None
    resume: bool = False
    replan: bool = False
    quiet: bool = False
    compile: bool = False
    shard: bool = False
    tensorboard: bool = False

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of the heavy products."""
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        if self.precision not in kinds:
            return nullcontext()
        return torch.autocast(self.device.type, kinds[self.precision])


class Trainer:
    """One run: see :func:`train`."""

    def __init__(
        self,
        task: Task,
        source: BatchSource,
        config: TrainConfig,
        out: Path,
        run: Run,
        validation: BatchSource | None,
    ) -> None:
        self.task, self.source, self.config, self.out, self.run = task, source, config, out, run
        self.validation = validation
        self.model = task.model.to(run.device).train()
        freeze_except(self.model, config.trainable_prefix, task.unused_parameters())
        if run.compile:
            for block in task.repeated_blocks():
                block.compile()
        self.distributed_step = DistributedStep(task, run.device, run.shard)
        self.optimizer = optimizer_of(self.model, config, task.repeated_blocks())
        half = run.precision == "fp16"
        self.scaler = torch.amp.GradScaler(run.device.type, enabled=half)
        self.overflows = 0
        torch.manual_seed(run.seed)
        self.ema = EMA(self.model, config.ema)
        self.state = TrainState()
        if run.resume:
            self.state = load_state(out, self.model, self.ema.weights, self.optimizer)
            if half and self.state.scaler:
                self.scaler.load_state_dict(self.state.scaler)
        if config.total_seconds is None or run.replan:
            self.state.time_share = config.share_after(0.0, 0.0, self.state.seconds)
        self.guard = DivergenceGuard(out)
        self.began, self.before = time.monotonic(), self.state.seconds

    def batches(self) -> Iterator[Any]:
        """This process's batches, from where the run is."""
        world = distributed.world_size()
        left = (self.config.steps - self.state.step) * self.config.accumulate
        first, size = self.state.items, self.config.batch_size
        items = RankSlice(
            self.source.data, first, first + left * size * world, size, distributed.rank(), world
        )
        return self.load(self.source, items, self.run.workers)

    def load(self, source: BatchSource, items: RankSlice, workers: int) -> Iterator[Any]:
        """Batches of items, on the device."""
        loader: DataLoader[Any] = DataLoader(
            items,
            batch_size=items.batch,
            collate_fn=source.collate,
            num_workers=workers,
            pin_memory=self.run.device.type == "cuda",
            worker_init_fn=leave_signals,
            prefetch_factor=2 if workers else None,
            # its own: by default it draws from the random state that a resumed run has put back
            generator=torch.Generator().manual_seed(self.run.seed),
        )
        arriving = iter(loader)
        try:
            for arrived in arriving:
                yield source.finish(to_device(arrived, self.run.device))
        except (AudiomaskError, OSError) as error:
            # a worker's error arrives as its whole traceback, whose last line says it
            reason = str(error).strip().splitlines()[-1].removeprefix("audiomask.errors.")
            reason = reason.removeprefix("DataError: ")
            # frames kept for a traceback would keep the loader, and so its workers, alive
            cause = error.with_traceback(None)
            raise DataError(f"{reason}; the run stopped, its last checkpoint stays") from cause
        finally:
            del arriving

    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        """One step of the optimizer; returns its numbers, the loss among them.

        Raises:
            AudiomaskError: the loss or the gradient is no number, or has exploded.
        """
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate_at(self.state.step, self.state.time_share)
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for number in range(config.accumulate):
            batch = next(batches)
            with self.distributed_step.no_sync(more=number < config.accumulate - 1):
                with self.run.autocast():
                    loss, numbers = self.distributed_step.loss(batch)
                torch.autograd.backward(self.scaler.scale(loss / config.accumulate))
            for name, value in ({"loss": loss.detach()} | numbers).items():
                sums[name] = sums.get(name, 0) + value / config.accumulate
        sums["loss"] = distributed.all_reduce_mean(sums["loss"])
        self.guard.follow(float(sums["loss"]), self.state.step)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if self.scaler.is_enabled() and not torch.isfinite(norm) and self.overflows < OVERFLOWS:
            self.overflows += 1  # the scale was too large: this step is left out, the next smaller
        else:
            self.guard.number(float(norm), "gradient", self.state.step)
            self.overflows = 0
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.state.step += 1
        self.state.items += config.batch_size * config.accumulate * distributed.world_size()
        self.ema.update(self.model, self.state.step)
        return sums | {"gradient": norm.detach()}

    def look_at_clock(self) -> bool:
        """Note the time spent, and tell whether it is over, for all processes alike.

        Their clocks differ by a little: the first process's tells all of them how far the
        schedule has come, so that they learn at the same rate.
        """
        state, run, total = self.state, self.run, self.config.total_seconds
        passed = time.monotonic() - self.began
        now = self.before + passed
        over = run.max_time is not None and passed > run.max_time
        if total is not None:
            share = self.config.share_after(state.time_share, state.seconds, now)
            state.time_share = distributed.from_main_process(share, run.device)
            over = over or now > total
        state.seconds = now
        return over

    def save(self) -> None:
        """Write the run's state, and the averaged weights for use.

        Raises:
            CheckpointError: they cannot be written; those from before stay.
        """
        self.look_at_clock()
        self.state.scaler = self.scaler.state_dict()
        save_state(self.out, self.model, self.ema.weights, self.optimizer, self.state)
        self.save_for_use(self.out)

    def save_for_use(self, folder: Path) -> None:
        """Write a checkpoint of the averaged weights."""
        weights = {name: gather_full(value) for name, value in self.ema.weights.items()}
        if distributed.rank() == 0:
            state = self.state
            notes: dict[str, Any] = {"step": state.step, "seconds": round(state.seconds)}
            notes |= {"device": self.run.device.type, "processes": distributed.world_size()}
            self.task.save(folder, weights, notes)

    def validate(self, logger: TrainLogger) -> None:
        """Measure the averaged weights on data that is not trained on; keep the best."""
        if self.validation is None:
            return
        world, size = distributed.world_size(), self.config.batch_size
        rounds = max(1, self.config.validate_items // (size * world))
        items = RankSlice(
            self.validation.data, 0, rounds * size * world, size, distributed.rank(), world
        )
        sums: dict[str, Tensor] = {}
        device = self.run.device
        cuda = [device] if device.type == "cuda" else []
        self.model.eval()
        with self.ema.applied_to(self.model), torch.no_grad(), torch.random.fork_rng(cuda):
            torch.manual_seed(0)  # the same masks every time
            for number, batch in enumerate(self.load(self.validation, items, 0)):
                with self.run.autocast():
                    loss, numbers = self.distributed_step.local_loss(batch)
                for name, value in ({"loss": loss} | numbers).items():
                    sums[name] = sums.get(name, 0) + value / rounds
                if number == 0 and logger.writer is not None:
                    logger.log_audio(self.state, self.task.audio_samples(batch))
        self.model.train()
        means = {name: float(distributed.all_reduce_mean(value)) for name, value in sums.items()}
        state = self.state
        if state.best is None or means["loss"] < state.best:
            state.best, state.best_step = means["loss"], state.step
            self.save_for_use(self.out / "best")
        logger.validated(state, means)

    def seconds_left(self) -> float | None:
        """Seconds until this call ends by the clock, if it does."""
        total = self.config.total_seconds
        ends = [] if total is None else [total - self.state.seconds]
        if self.run.max_time is not None:
            ends.append(self.run.max_time)
        return min(ends, default=None)

    def loop(self) -> str:
        """Train to the end; returns why it came."""
        config, state, run = self.config, self.state, self.run
        batches = self.batches()
        with (
            Stop() as stop,
            TrainLogger(
                self.out,
                config.steps,
                state,
                run.quiet,
                run.tensorboard,
                self.seconds_left(),
                self.source.sample_rate,
            ) as logger,
        ):
            if self.validation is None:
                logger.print("no validation data: the best checkpoint is not kept apart")
            if state.time_share >= 1:
                logger.print(
                    "the learning rate has fallen to its end already: for another plan, "
                    "--set total_seconds=… of the run in all"
                )
            marked, marked_at = state.items, time.monotonic()
            why = "" if state.step < config.steps else "all steps done"
            while not why:
                rate = config.learning_rate_at(state.step, state.time_share)
                numbers = self.step(batches)
                late = self.look_at_clock()
                now = time.monotonic()
                logger.advance(state.step)
                if state.step % config.log_every == 0:
                    values = {
                        name: float(distributed.all_reduce_mean(v)) for name, v in numbers.items()
                    }
                    values["learning_rate"] = rate
                    speed = (
                        (state.items - marked) * self.source.seconds / max(now - marked_at, 1e-9)
                    )
                    logger.step(state, values, speed)
                    marked, marked_at = state.items, now
                if state.step == config.steps:
                    why = "all steps done"
                elif distributed.any_rank(stop.asked or late, run.device):
                    why = f"{'out of time' if late else 'stopped by a signal'}; --resume goes on"
                if state.step % config.validate_every == 0 or state.step == config.steps:
                    self.validate(logger)
                if not why and state.step % config.save_every == 0 and self.guard.calm:
                    self.save()
            if self.guard.calm or state.step == config.steps:
                self.save()
            else:
                why += "; the loss was out of range, so the checkpoint before that stays"
        logger.summary(state, why)
        return why


def train(
    task: Task,
    source: BatchSource,
    config: TrainConfig,
    out: Path,
    run: Run,
    validation: BatchSource | None = None,
) -> int:
    """Train until ``schedule.steps``, the time's end or a signal; returns the step reached.

    ``state.safetensors`` in ``out`` holds all that ``run.resume`` needs, beside it lies the
    checkpoint of the averaged weights, and in ``best`` the one that validated best.

    Args:
        task: what is trained, and how its loss is computed.
        source: what it is trained on.
        config: what the run does.
        out: its folder.
        run: where and how.
        validation: what it is validated on.

    Raises:
        AudiomaskError: the loss is no number or explodes (the last checkpoint stays as it was),
            the data fails, or the folder cannot be written.
    """
    trainer = Trainer(task, source, config, out, run, validation)
    trainer.loop()
    return trainer.state.step
