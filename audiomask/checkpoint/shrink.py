"""Smaller copies of checkpoints, with their large matrices as 8-bit integers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from audiomask.checkpoint import (
    MODEL_FILE,
    CheckpointLibrary,
    load_checkpoint,
    save_checkpoint,
)


class _Shrunk(NamedTuple):
    """A checkpoint that was copied.

    Attributes:
        folder: of the copy.
        before: bytes of the original's weights.
        after: bytes of the copy's.
    """

    folder: Path
    before: int
    after: int


def shrink(model: Path, out: Path) -> list[_Shrunk]:
    """Write copies with 8-bit matrices of one checkpoint, or of all in a folder.

    A copy has its own fingerprint. A checkpoint that is copied together with one that it requires
    requires that one's copy. The copy of a VQ-VAE refuses tokens of the original, as it would make
    slightly different ones.

    Args:
        model: a checkpoint, or a folder that holds checkpoints by kind.
        out: the folder of the copies, laid out in the same way. Checkpoints in it are replaced.

    Raises:
        CheckpointError: there is no checkpoint, one is broken, or ``out`` cannot be written.
    """
    # in the registry a kind comes after those that it requires
    folders = CheckpointLibrary(model).own.values()
    renamed: dict[str, str] = {}
    done = []
    for source in folders:
        target = out / source.relative_to(model)
        found = load_checkpoint(source)
        requires = {kind: renamed.get(old, old) for kind, old in found.requires.items()}
        renamed[found.fingerprint] = save_checkpoint(
            target,
            found.kind,
            found.preset,
            found.config,
            found.tensors,
            found.notes,
            eight_bit=True,
            requires=requires,
        )
        sizes = [(folder / MODEL_FILE).stat().st_size for folder in (source, target)]
        done.append(_Shrunk(target, *sizes))
    return done
