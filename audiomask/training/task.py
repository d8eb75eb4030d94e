"""Task: what the training loop asks of a model's training."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn


class Task(Protocol):
    """What a model wants of the loop: a loss for a batch, and a way to be saved and heard."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def blocks(self) -> Iterable[nn.Module]:
        """The model's repeated parts, which are compiled or shared out one by one."""

    def untaught(self) -> Iterable[nn.Parameter]:
        """Parameters that no batch's loss depends on."""

    def loss(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss of a batch, and the numbers worth logging, scalars without gradient."""

    def sounds(self, batch: Any) -> dict[str, Tensor]:
        """Passages [T] by name that let one hear how well the model does on a batch."""

    def save(self, folder: Path, weights: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Write an inference checkpoint with these weights."""
