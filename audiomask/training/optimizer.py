"""Optimizers, and which parameters they train."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Muon, Optimizer

from audiomask.errors import ConfigError
from audiomask.training.config import TrainConfig

#: decay rates of AdamW's moments
_BETAS = (0.9, 0.98)


class CombinedOptimizer(Optimizer):
    """Several optimizers of different parameters as one.

    Args:
        parts: the optimizers; the combined state has their parameters in this order.
    """

    def __init__(self, parts: Iterable[Optimizer]) -> None:
        self.parts = list(parts)
        groups = [group for part in self.parts for group in part.param_groups]
        super().__init__(groups, {})
        # the same dicts as the parts': a learning rate that is set here is set there
        self.param_groups = groups

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters; ``closure`` is not supported."""
        assert closure is None
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The state dict of one optimizer, with the states of all parameters by number."""
        states: dict[int, Any] = {}
        groups: list[dict[str, Any]] = []
        for part in self.parts:
            first, own = _len_of(groups), part.state_dict()
            states |= {first + number: state for number, state in own["state"].items()}
            groups += [
                group | {"params": [first + number for number in group["params"]]}
                for group in own["param_groups"]
            ]
        return {"state": states, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of ``state_dict``."""
        groups = list(state_dict["param_groups"])
        for part in self.parts:
            taken = [groups.pop(0) for _ in part.param_groups]
            first = min(number for group in taken for number in group["params"])
            last = first + _len_of(taken)
            own = [
                group | {"params": [number - first for number in group["params"]]}
                for group in taken
            ]
            states = state_dict["state"]
            part.load_state_dict(
                {
                    "state": {n - first: s for n, s in states.items() if first <= n < last},
                    "param_groups": own,
                }
            )
        # loading makes new groups
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _len_of(groups: Iterable[dict[str, Any]]) -> int:
    """Number of parameters in groups."""
    return sum(len(group["params"]) for group in groups)


def freeze_except(model: nn.Module, prefix: str, unused: Iterable[nn.Parameter] = ()) -> None:
    """Freeze all parameters except those whose names begin with a prefix.

    Args:
        model: the model.
        prefix: of the parameters to train.
        unused: parameters that no loss depends on, to be frozen as well: with several processes,
            DDP would wait for their gradients.

    Raises:
        ConfigError: no parameter has the prefix, or all of these are unused.
    """
    names = [name for name, _ in model.named_parameters()]
    if not any(name.startswith(prefix) for name in names):
        parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
        raise ConfigError(
            f"trainable_prefix is {prefix!r}, and no parameter begins so; there are: {parts}"
        )
    idle = {id(parameter) for parameter in unused}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(prefix) and id(parameter) not in idle)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(
            f"trainable_prefix is {prefix!r}, and no loss depends on that with these shares"
        )


def optimizer_of(
    model: nn.Module, config: TrainConfig, blocks: Iterable[nn.Module] = ()
) -> Optimizer:
    """The optimizer that a configuration names.

    AdamW applies weight decay to matrices only, not to biases and scales. Muon (Jordan et al. 2024)
    makes the updates of a matrix orthogonal, so that all its directions learn at the same rate. It
    trains the matrices of the repeated blocks, with updates as large as AdamW's (Liu et al. 2025,
    eq. 4); AdamW trains the other parameters.

    Args:
        model: its parameters are trained.
        config: has the optimizer's name, learning rate and weight decay.
        blocks: the model's repeated blocks.

    Raises:
        ConfigError: Muon is asked for with sharded weights.
    """
    repeated = {p for block in blocks for p in block.parameters() if p.dim() == 2}
    if config.optimizer != "muon":
        repeated = set()
    if any(isinstance(p, DTensor) for p in repeated):
        raise ConfigError(
            "optimizer is muon, which takes whole matrices: with --shard, --set optimizer=adamw"
        )
    rest = [p for p in model.parameters() if p not in repeated]
    rate, decay = config.learning_rate, config.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": [p for p in rest if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in rest if p.dim() <= 1], "weight_decay": 0.0},
    ]
    plain = AdamW([group for group in groups if group["params"]], lr=rate, betas=_BETAS)
    if not repeated:
        return plain
    matrices = [p for p in model.parameters() if p in repeated]
    muon = Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return CombinedOptimizer([muon, plain])
