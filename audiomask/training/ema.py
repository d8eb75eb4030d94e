"""The exponential moving average of the weights, which a run saves for use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class EMA:
    """Exponential moving average of a model's parameters; buffers are copied.

    Args:
        model: its present weights are the first average.
        decay: share of the average that each update keeps.

    Attributes:
        weights: a state dict.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self._learned = {name for name, _ in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Update the average; the decay is smaller in the first steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if name in self._learned:
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """A context in which the model has the averaged weights."""
        with torch.no_grad():
            state = model.state_dict()
            own = {name: value.detach().clone() for name, value in state.items()}
            for name, value in state.items():
                value.copy_(self.weights[name])
            try:
                yield
            finally:
                for name, value in state.items():
                    value.copy_(own[name])
