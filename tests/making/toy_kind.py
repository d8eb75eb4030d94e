"""What a new kind needs besides its network: a task, an evaluator and an entry."""

from typing import Any, Self

import torch
from torch import Tensor
from toy_network import Toy, ToyConfig, peak

from audiomask.data.excerpt import Excerpt
from audiomask.engine import Engine
from audiomask.evaluation.evaluator import Evaluator
from audiomask.evaluation.options import EvaluateOptions
from audiomask.evaluation.report import Report, Table
from audiomask.evaluation.songs import Song
from audiomask.kinds import Kind
from audiomask.training.config import TrainConfig
from audiomask.training.task import Task

TOY = Kind("toy", "toy", "toy_network:build_toy", ("toy_network:ToyConfig",), "toy_kind:ToyTask", "toy_kind:ToyEvaluator")  # fmt: skip # noqa: E501


class Mixtures:
    def sample(self, index: int) -> Tensor:
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> Tensor:
        return excerpts.mixture


class ToyTask(Task):
    kind, train_config, needs_stems = "toy", TrainConfig(steps=100, batch_size=4, warmup=5), False
    model: Toy

    @classmethod
    def samples(cls, config: ToyConfig) -> int:
        return config.samples

    @classmethod
    def stems(cls, config: ToyConfig, known: Any) -> tuple[str, ...]:
        return ("guitar",)

    def batches(self, seed: int) -> Mixtures:
        return Mixtures()

    def loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (self.model(batch) - peak(batch)).square().mean()
        return loss, {"error": loss.detach().sqrt()}


class ToyEvaluator(Evaluator):
    def __init__(self, engine: Engine) -> None:
        self.model, self.errors = engine.load("toy"), []

    @classmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        return cls(engine)

    def add(self, song: Song) -> str | None:
        self.errors.append(float((self.model(song.mixture) - peak(song.mixture)).abs().mean()))
        return None

    def finish(self) -> Report:
        error = sum(self.errors) / len(self.errors)
        return Report(
            {"error": error}, [Table("Peaks", ("", "error"), [["toy", f"{error:.2f}"]])], []
        )
