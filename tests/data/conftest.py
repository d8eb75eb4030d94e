"""Songs on disk as tracks, a second long unless a test says otherwise."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch

from audiomask.data.tracks import Track

RATE = 44_100


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Track]:
    """``write("song", guitar=0.5, mixture=samples)``: files of constants or of samples [n, C].

    They are stored as floating-point numbers, so that what is read is what was written. What is
    called ``mixture`` becomes the track's; everything else is a stem of one file.
    """

    def make(
        name: str, seconds: float = 1.0, rate: int = RATE, **parts: float | npt.NDArray[np.float64]
    ) -> Track:
        folder = tmp_path / name
        folder.mkdir()
        files, lengths = {}, []
        for part, given in parts.items():
            constant = np.full((round(seconds * rate), 1), given) if np.isscalar(given) else given
            audio = np.asarray(constant)
            files[part] = folder / f"{part}.wav"
            soundfile.write(files[part], audio, rate, "FLOAT")
            lengths.append(len(audio) / rate)
        mixture = files.pop("mixture", None)
        stems = {part: (file,) for part, file in files.items()}
        return Track(name, "train", stems, mixture, min(lengths))

    return make
