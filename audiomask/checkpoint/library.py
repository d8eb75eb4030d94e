"""Where checkpoints are found: in the folder that was named, beside it, among the bundled ones."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path

from audiomask.checkpoint.store import CONFIG_FILE, bundled_folder, fingerprint_of, read_config
from audiomask.errors import CheckpointError
from audiomask.kinds import KINDS, checkpoints


class CheckpointLibrary:
    """The checkpoints of a folder, by kind, and those that they require.

    Nothing is read before it is asked for. A stage of a kind counts as a kind, KIND-STAGE.

    Args:
        folder: holds checkpoints, each in a folder of its kind's name, or is one checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def own(self) -> dict[str, Path]:
        """The checkpoints in the folder itself, by kind, in the order of the registry.

        Raises:
            CheckpointError: there is none, or it is of an unknown kind.
        """
        folder = self.folder
        if (folder / CONFIG_FILE).exists():
            entries = read_config(folder)
            kind = entries["kind"]
            if kind not in KINDS:
                known = ", ".join(KINDS)
                raise CheckpointError(f"{folder}: no kind of model '{kind}' (there are: {known})")
            if KINDS[kind].stages:
                kind = f"{kind}-{entries['config'].get('stage')}"
            return {kind: folder}
        names = checkpoints()
        found = {kind: folder / kind for kind in names if (folder / kind / CONFIG_FILE).exists()}
        if not found:
            kinds = ", ".join(names)
            raise CheckpointError(
                f"{folder}: not a checkpoint, nor a folder with checkpoints ({kinds})"
            )
        return found

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that have a checkpoint in the folder, then those required and found elsewhere.

        Raises:
            CheckpointError: the folder has no checkpoint.
        """
        found = list(self.own)
        for kind in checkpoints():
            with suppress(CheckpointError):
                if kind not in self.own and self._find(kind) is not None:
                    found.append(kind)
        return tuple(found)

    def folder_of(self, kind: str) -> Path:
        """The folder of a kind's checkpoint.

        Raises:
            CheckpointError: there is none. Where a checkpoint of the folder requires it, the
                message says where to copy it.
        """
        found = self._find(kind)
        if found is None:
            known = ", ".join(self.kinds)
            raise CheckpointError(
                f"{self.folder}: has no checkpoint '{kind}', which this needs (it has: {known})"
            )
        return found

    def fingerprint_of(self, kind: str) -> str:
        """The fingerprint of a kind's checkpoint.

        Raises:
            CheckpointError: there is none, or its config.json is malformed.
        """
        return fingerprint_of(read_config(self.folder_of(kind)))

    def _find(self, kind: str) -> Path | None:
        """The folder of a kind's checkpoint; None if there is none and none requires it.

        Raises:
            CheckpointError: one is required and not found, or a config.json is malformed.
        """
        if kind in self.own:
            return self.own[kind]
        for folder in self.own.values():
            fingerprint = read_config(folder)["requires"].get(kind)
            if fingerprint is not None:
                return find_required(folder, kind, fingerprint)
        return None


def find_required(folder: Path, kind: str, fingerprint: str) -> Path:
    """The folder of the checkpoint of a kind that another one requires.

    Args:
        folder: of the checkpoint that requires it. It is looked for in it, beside it and among
            the bundled ones.
        kind: of the one required.
        fingerprint: of the one required.

    Raises:
        CheckpointError: it is in none of these places.
    """
    try:
        bundled = [bundled_folder() / kind]
    except CheckpointError:  # an installation without checkpoints
        bundled = []
    for place in (folder / kind, folder.parent / kind, *bundled):
        known = (place / CONFIG_FILE).exists()
        if known and fingerprint_of(read_config(place)) == fingerprint:
            return place
    title = KINDS[kind].title
    raise CheckpointError(
        f"{folder}: its {title} ({fingerprint}) is neither in it nor beside it; "
        f"copy it to {folder / kind}"
    )
