"""What stems of any method are held to."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.separation.separator import Separator

Blocks = Callable[..., list[Tensor]]


@pytest.fixture(scope="session")
def separated() -> Blocks:
    """``separated(separator, audio, [0, 2], residual=True)``: whole stems [C, T], in order."""

    def run(
        separator: Separator,
        audio: Tensor,
        stems: Sequence[int],
        residual: bool = False,
        subtype: str = "FLOAT",
        rate: int = 44_100,
    ) -> list[Tensor]:
        blocks = list(separator.blocks(MemorySource(audio, rate), stems, residual, subtype))
        return [torch.cat(part, dim=1) for part in zip(*blocks, strict=True)]

    return run
