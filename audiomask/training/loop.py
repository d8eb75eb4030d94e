"""The training loop of all kinds: steps, validation and checkpoints, in one process or in many."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader

from audiomask.errors import AudiomaskError, DataError
from audiomask.runtime import distributed
from audiomask.training.batches import BatchSource, RankSlice, to_device
from audiomask.training.config import Run, TrainConfig
from audiomask.training.divergence import DivergenceGuard
from audiomask.training.ema import EMA
from audiomask.training.logger import TrainLogger
from audiomask.training.optimizer import freeze_except, optimizer_of
from audiomask.training.processes import DistributedStep
from audiomask.training.signals import Stop, leave_signals
from audiomask.training.state import TrainState, gather_full, load_state, save_state
from audiomask.training.task import Task

#: consecutive steps that may be skipped because gradients overflow in half precision
_OVERFLOWS = 20


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
        self._distributed_step = DistributedStep(task, run.device, run.shard)
        self.optimizer = optimizer_of(self.model, config, task.repeated_blocks())
        half = run.precision == "fp16"
        self.scaler = torch.amp.GradScaler(run.device.type, enabled=half)
        self._overflows = 0
        torch.manual_seed(run.seed)
        self.ema = EMA(self.model, config.ema)
        self.state = TrainState()
        if run.resume:
            self.state = load_state(out, self.model, self.ema.weights, self.optimizer)
            if half and self.state.scaler:
                self.scaler.load_state_dict(self.state.scaler)
        if config.total_seconds is None or run.replan:
            self.state.time_share = config.share_after(0.0, 0.0, self.state.seconds)
        self._guard = DivergenceGuard(out)
        self.began, self.before = time.monotonic(), self.state.seconds

    def batches(self) -> Iterator[Any]:
        """This process's remaining batches."""
        world = distributed.world_size()
        left = (self.config.steps - self.state.step) * self.config.accumulate
        first, size = self.state.items, self.config.batch_size
        items = RankSlice(
            self.source.data, first, first + left * size * world, size, distributed.rank(), world
        )
        return self.load(self.source, items, self.run.workers)

    def load(self, source: BatchSource, items: RankSlice, workers: int) -> Iterator[Any]:
        """Load batches of items, and finish them on the device.

        Raises:
            DataError: an item cannot be made.
        """
        loader: DataLoader[Any] = DataLoader(
            items,
            batch_size=items.batch,
            collate_fn=source.collate,
            num_workers=workers,
            pin_memory=self.run.device.type == "cuda",
            worker_init_fn=leave_signals,
            prefetch_factor=2 if workers else None,
            # the default generator would change the random state of a resumed run
            generator=torch.Generator().manual_seed(self.run.seed),
        )
        arriving = iter(loader)
        try:
            for arrived in arriving:
                yield source.finish(to_device(arrived, self.run.device))
        except (AudiomaskError, OSError) as error:
            # a worker's error has its whole traceback as text; the message is the last line
            reason = str(error).strip().splitlines()[-1].removeprefix("audiomask.errors.")
            reason = reason.removeprefix("DataError: ")
            # the frames of a traceback would keep the loader, and so its workers, alive
            cause = error.with_traceback(None)
            raise DataError(f"{reason}; the run stopped, its last checkpoint stays") from cause
        finally:
            del arriving

    def step(self, batches: Iterator[Any]) -> dict[str, Tensor]:
        """One step of the optimizer; returns the numbers to log, the loss among them.

        Raises:
            AudiomaskError: the loss or the gradient is not finite, or the loss has exploded.
        """
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate_at(self.state.step, self.state.time_share)
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for number in range(config.accumulate):
            batch = next(batches)
            with self._distributed_step.no_sync(more=number < config.accumulate - 1):
                with self.run.autocast():
                    loss, numbers = self._distributed_step.loss(batch)
                torch.autograd.backward(self.scaler.scale(loss / config.accumulate))
            for name, value in ({"loss": loss.detach()} | numbers).items():
                sums[name] = sums.get(name, 0) + value / config.accumulate
        sums["loss"] = distributed.all_reduce_mean(sums["loss"])
        self._guard.follow(float(sums["loss"]), self.state.step)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if self.scaler.is_enabled() and not torch.isfinite(norm) and self._overflows < _OVERFLOWS:
            self._overflows += 1  # GradScaler skips this step and reduces its scale
        else:
            self._guard.number(float(norm), "gradient", self.state.step)
            self._overflows = 0
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.state.step += 1
        self.state.items += config.batch_size * config.accumulate * distributed.world_size()
        self.ema.update(self.model, self.state.step)
        return sums | {"gradient": norm.detach()}

    def _look_at_clock(self) -> bool:
        """Update the time spent; returns whether the run's time is over.

        The clocks of processes differ slightly: all use rank 0's share of the time, so that they
        have the same learning rate.
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
        """Write the run's state, and a checkpoint of the averaged weights.

        Raises:
            CheckpointError: they cannot be written; the earlier ones are kept.
        """
        self._look_at_clock()
        self.state.scaler = self.scaler.state_dict()
        save_state(self.out, self.model, self.ema.weights, self.optimizer, self.state)
        self._save_for_use(self.out)

    def _save_for_use(self, folder: Path) -> None:
        """Write a checkpoint of the averaged weights."""
        weights = {name: gather_full(value) for name, value in self.ema.weights.items()}
        if distributed.rank() == 0:
            state = self.state
            notes: dict[str, Any] = {"step": state.step, "seconds": round(state.seconds)}
            notes |= {"device": self.run.device.type, "processes": distributed.world_size()}
            self.task.save(folder, weights, notes)

    def validate(self, logger: TrainLogger) -> None:
        """Compute the averaged weights' validation loss, and save them if it is the lowest."""
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
            torch.manual_seed(0)  # the same masks in every validation
            for number, batch in enumerate(self.load(self.validation, items, 0)):
                with self.run.autocast():
                    loss, numbers = self._distributed_step.local_loss(batch)
                for name, value in ({"loss": loss} | numbers).items():
                    sums[name] = sums.get(name, 0) + value / rounds
                if number == 0 and logger.writer is not None:
                    logger.log_audio(self.state, self.task.audio_samples(batch))
        self.model.train()
        means = {name: float(distributed.all_reduce_mean(value)) for name, value in sums.items()}
        state = self.state
        if state.best is None or means["loss"] < state.best:
            state.best, state.best_step = means["loss"], state.step
            self._save_for_use(self.out / "best")
        logger.validated(state, means)

    def _seconds_left(self) -> float | None:
        """Seconds until the time limit of this call, if it has one."""
        total = self.config.total_seconds
        ends = [] if total is None else [total - self.state.seconds]
        if self.run.max_time is not None:
            ends.append(self.run.max_time)
        return min(ends, default=None)

    def loop(self) -> str:
        """Train until the run ends; returns why it ended."""
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
                self._seconds_left(),
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
                late = self._look_at_clock()
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
                if not why and state.step % config.save_every == 0 and self._guard.calm:
                    self.save()
            if self._guard.calm or state.step == config.steps:
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
    """Train until ``config.steps``, the time limit or a signal; returns the step reached.

    In ``out``, ``state.safetensors`` has everything that ``run.resume`` needs; beside it is the
    checkpoint of the averaged weights, and in ``best`` the one with the lowest validation loss.

    Args:
        task: the model and its loss.
        source: batches to train on.
        config: what is computed.
        out: the run's folder.
        run: where and how it is computed.
        validation: batches to validate on, if there are any.

    Raises:
        AudiomaskError: the loss is not finite or explodes (the last checkpoint is kept), an item
            cannot be made, or the folder cannot be written.
    """
    trainer = Trainer(task, source, config, out, run, validation)
    trainer.loop()
    return trainer.state.step
