"""A dataset of token files, to train models of one's own on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from os import PathLike
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from audiomask.errors import TokensError
from audiomask.tokens.content import Tokens
from audiomask.tokens.store import load_tokens

#: endings of the files that a folder is searched for
_ENDINGS = (".tokens.safetensors", ".tokens.txt")
#: files that a process keeps in memory
_KEPT = 32

_load = lru_cache(maxsize=_KEPT)(load_tokens)


class TokenDataset(Dataset[Tensor]):
    """The codes of token files: whole recordings, or windows of equal length.

    All files must have been made by one VQ-VAE, with equally many levels. They are read once at
    the beginning, and again when an item is asked for.

    Args:
        files: a folder, searched with its subfolders, or token files.
        frames: of a window. The windows of a channel follow each other without overlap, and an
            incomplete one at its end is left out. None for whole recordings.

    Raises:
        TokensError: there is no file, one is malformed, or they do not fit each other.
    """

    def __init__(
        self, files: str | PathLike[str] | Iterable[str | PathLike[str]], frames: int | None = None
    ) -> None:
        if isinstance(files, (str, PathLike)):
            folder = Path(files)
            found = sorted(p for p in folder.rglob("*") if p.name.lower().endswith(_ENDINGS))
            if not found:
                raise TokensError(f"{folder}: no token files ({', '.join(_ENDINGS)}) in it")
        else:
            found = [Path(file) for file in files]
        self.files, self.frames = found, frames
        numbers: list[int] = []
        first: Tokens | None = None
        for file in found:
            tokens = load_tokens(file)
            first = first or tokens
            if tokens.fingerprint != first.fingerprint or tokens.levels != first.levels:
                raise TokensError(
                    f"{file}: {tokens.levels} levels of the VQ-VAE {tokens.fingerprint} do not fit "
                    f"{first.levels} of {first.fingerprint} in {found[0]}"
                )
            windows = 0 if frames is None else tokens.frames // frames
            numbers.append(1 if frames is None else tokens.channels * windows)
        #: how many items the files have up to and with each
        self._ends = list(accumulate(numbers))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Tensor:
        """Codes as int64: [channels, levels, F] of a recording, or [levels, frames] of a window."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        number = bisect_right(self._ends, index)
        codes = _load(self.files[number]).codes.long()
        if self.frames is None:
            return codes
        windows = codes.shape[-1] // self.frames
        channel, window = divmod(index - (self._ends[number - 1] if number else 0), windows)
        return codes[channel, :, window * self.frames : (window + 1) * self.frames].clone()
