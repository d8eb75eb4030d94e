"""EMA: the smoothed weights that a run saves for use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class EMA:
    """Exponential moving average of a model's learned weights; buffers are copied.

    Attributes:
        weights: a state dict.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.learned = {name for name, _ in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model; the first steps count for more."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if name in self.learned:
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """The model with the averaged weights, for as long as this lasts."""
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
