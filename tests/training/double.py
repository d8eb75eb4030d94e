"""The command line in double precision: run as a script, by ``torchrun`` as well.

Rounding then is so small that nothing amplifies it to what a mistake would do: neither Adam, which
takes steps of one size for gradients that are nothing but rounding, nor Muon, whose products are
in bfloat16, nor the choice of a code between two. So results can be compared within bounds that
no processor is near to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from audiomask.cli import main
from audiomask.training.loop import Trainer
from audiomask.training.processes import Step


def doubled(batch: Any) -> Any:
    """The batch with its floats in double precision."""
    if isinstance(batch, Tensor):
        return batch.double() if batch.is_floating_point() else batch
    return type(batch)(*(doubled(part) for part in batch))


@contextmanager
def double_precision() -> Iterator[None]:
    """What is made without saying how, and what is to be in full precision, is in double."""
    usual = Tensor.float
    torch.set_default_dtype(torch.float64)
    Tensor.float = Tensor.double  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        Tensor.float = usual  # type: ignore[method-assign]


def patch() -> None:
    """Convert the model before it is trained, and batches on their way in; data stay as made."""
    begin, forward = Trainer.__init__, Step.forward

    def begin_in_double(self: Trainer, task: Any, *rest: Any) -> None:
        task.model.double()
        begin(self, task, *rest)

    def forward_in_double(self: Step, batch: Any) -> Any:
        with double_precision():
            return forward(self, doubled(batch))

    Trainer.__init__ = begin_in_double  # type: ignore[method-assign, assignment]
    Step.forward = forward_in_double  # type: ignore[method-assign]


if __name__ == "__main__":
    patch()
    main()
