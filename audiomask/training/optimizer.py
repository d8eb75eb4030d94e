"""Optimizers: how gradients move weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Muon, Optimizer

from audiomask.errors import ConfigError
from audiomask.training.config import TrainConfig

#: decay of AdamW's moments
BETAS = (0.9, 0.98)


class CombinedOptimizer(Optimizer):
    """Some optimizers of different parameters as one, its state in the order of the parameters.

    Args:
        parts: the optimizers.
    """

    def __init__(self, parts: Iterable[Optimizer]) -> None:
        self.parts = list(parts)
        groups = [group for part in self.parts for group in part.param_groups]
        super().__init__(groups, {})
        # the very groups of the parts: a rate that is set here is theirs
        self.param_groups = groups

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move all weights; ``closure`` is not supported, as nothing here needs it."""
        assert closure is None
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """As of one optimizer: the state of each parameter by its number."""
        states: dict[int, Any] = {}
        groups: list[dict[str, Any]] = []
        for part in self.parts:
            first, own = len_of(groups), part.state_dict()
            states |= {first + number: state for number, state in own["state"].items()}
            groups += [
                group | {"params": [first + number for number in group["params"]]}
                for group in own["param_groups"]
            ]
        return {"state": states, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        groups = list(state_dict["param_groups"])
        for part in self.parts:
            taken = [groups.pop(0) for _ in part.param_groups]
            first = min(number for group in taken for number in group["params"])
            last = first + len_of(taken)
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


def len_of(groups: Iterable[dict[str, Any]]) -> int:
    """How many parameters there are in groups."""
    return sum(len(group["params"]) for group in groups)


def freeze_except(model: nn.Module, prefix: str, unused: Iterable[nn.Parameter] = ()) -> None:
    """Let none but the parameters learn whose names begin so.

    Args:
        model: whose parameters.
        prefix: how their names begin.
        unused: those that no loss depends on: processes would wait for gradients of theirs.

    Raises:
        ConfigError: there are none, or none that is taught.
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
    """The optimizer that the schedule names.

    AdamW's weight decay leaves biases and scales alone. Muon (Jordan et al. 2024) makes the steps
    of a matrix orthogonal, which lets all its directions learn alike; it takes those of the
    model's repeated parts, with steps as large as AdamW's (Liu et al. 2025, eq. 4), and AdamW
    the rest.

    Args:
        model: whose parameters.
        config: its rate is the first; the loop changes it.
        blocks: the model's repeated parts.

    Raises:
        ConfigError: Muon is asked for where every process holds only parts of the weights.
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
    plain = AdamW([group for group in groups if group["params"]], lr=rate, betas=BETAS)
    if not repeated:
        return plain
    matrices = [p for p in model.parameters() if p in repeated]
    muon = Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return CombinedOptimizer([muon, plain])
