"""Teachers: checkpoints that a run learns from, of which its folder keeps a copy."""

from __future__ import annotations

from typing import Any

import torch

from audiomask.checkpoint import Checkpoint, load_checkpoint, restore, save_checkpoint
from audiomask.runtime import distributed
from audiomask.training.run_setup import RunSetup

#: name of the copy in a run's folder
TEACHER = "teacher"


def open_teacher(setup: RunSetup, found: Checkpoint | None, kind: str, device: torch.device) -> Any:
    """The model of a checkpoint, in evaluation mode, of which a new run's folder gets a copy.

    Args:
        setup: of the run.
        found: the checkpoint; None in a run that is resumed, which reads its copy.
        kind: of the checkpoint.
        device: for the model.

    Raises:
        CheckpointError: the copy cannot be written, or read again.
    """
    folder = setup.options.out / TEACHER
    if found is not None:
        with distributed.main_process_first():
            if distributed.rank() == 0:
                save_checkpoint(folder, found.kind, found.preset, found.config, found.tensors)
    return restore(load_checkpoint(folder, kind)).to(device).eval()
