"""Models of checkpoints, loaded when they are first needed."""

from __future__ import annotations

from contextlib import suppress
from threading import RLock

import torch
from torch import nn

from audiomask.checkpoint.library import CheckpointLibrary
from audiomask.checkpoint.store import Checkpoint, load_checkpoint, restore
from audiomask.errors import CheckpointError, ConfigError
from audiomask.kinds import KINDS, Kind, checkpoints, kind_of, resolve
from audiomask.runtime.memory import device_errors


class ModelLoader:
    """The models of a library on one device, each read once. Threads may share it.

    Args:
        library: finds their checkpoints.
        device: where they run.
    """

    def __init__(self, library: CheckpointLibrary, device: torch.device) -> None:
        self.library, self.device = library, device
        self._lock = RLock()
        self._models: dict[str, nn.Module] = {}
        self._fingerprints: dict[str, str] = {}

    def load(self, kind: str) -> nn.Module:
        """The model of a kind, or KIND-STAGE, in evaluation mode on the device; read once.

        A checkpoint that it requires must have the fingerprint of the one it was trained with.

        Raises:
            CheckpointError: there is none, it is broken, or what it requires is missing.
        """
        with self._lock:
            if kind not in self._models:
                known = checkpoints()
                entry, stage = known[kind] if kind in known else (kind_of(kind), None)
                checkpoint = load_checkpoint(self.library.folder_of(kind), entry.name)
                if stage is not None and checkpoint.config.get("stage") != stage:
                    found = checkpoint.config.get("stage")
                    raise CheckpointError(f"{checkpoint.folder}: is the stage {found}, not {stage}")
                self._models[kind] = self._restore(entry, checkpoint)
                self._fingerprints[kind] = checkpoint.fingerprint
            return self._models[kind]

    def _restore(self, entry: Kind, checkpoint: Checkpoint) -> nn.Module:
        """The model of a checkpoint, once that is known to fit those that it requires."""
        requires = entry.required_by(checkpoint.config.get("stage"))
        for other in requires:
            fingerprint = checkpoint.requires.get(other)
            if fingerprint is None:
                raise CheckpointError(
                    f"{checkpoint.folder}: does not say which {other} it requires"
                )
            # the folder may hold another checkpoint than the one required
            found = self.fingerprint_of(other)
            if found != fingerprint:
                raise CheckpointError(
                    f"{checkpoint.folder}: belongs to the {KINDS[other].title} {fingerprint}, not "
                    f"to {found} in {self.library.folder_of(other)}"
                )
        model = restore(checkpoint).eval()
        if entry.check is not None:
            required = {other: self.load(other).config for other in requires}
            try:
                resolve(entry.check)(model.config, required)
            except ConfigError as error:
                raise CheckpointError(f"{checkpoint.folder}: {error}") from error
        fuse = getattr(model, "fuse", None)
        if fuse is not None:  # an equal form that is faster and cannot be trained
            fuse()
        with device_errors(self.device):
            return model.to(self.device)

    @property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each checkpoint that is found and can be read, by its kind."""
        found = {}
        for kind in self.library.kinds:
            with suppress(CheckpointError):
                found[kind] = self.fingerprint_of(kind)
        return found

    def fingerprint_of(self, kind: str) -> str:
        """What identifies the weights of a kind: the loaded ones, else those on the disk.

        Raises:
            CheckpointError: there is no checkpoint, or its config.json is malformed.
        """
        loaded = self._fingerprints.get(kind)
        return self.library.fingerprint_of(kind) if loaded is None else loaded
