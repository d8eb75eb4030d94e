"""A picture of tokens: the codes of each level over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiomask.page.pictures import draw_shades

#: most columns; of more frames, evenly spaced ones are shown
_COLUMNS = 1200


@dataclass(frozen=True)
class TokenMap:
    """A picture of one channel's codes, a row a level, the first at the top.

    The same code has the same color in all of a row. Codes are ordered by how high the sound lies
    in which they occur, from dark to light, so that a neighbor's color tells of a similar sound.

    Attributes:
        name: of the channel.
        remark: shown beside it: how many codes of each level occur.
        levels: number of rows.
        picture: the address of the picture.
    """

    name: str
    remark: str
    levels: int
    picture: str

    @classmethod
    def draw(cls, name: str, codes: Tensor, brightness: Tensor) -> TokenMap:
        """Draw codes.

        Args:
            name: of the channel.
            codes: [levels, frames].
            brightness: how high the sound lies in every frame, [frames], or evenly spaced parts.
        """
        levels, frames = codes.shape
        columns = min(frames, _COLUMNS)
        shown = codes.long()[:, torch.arange(columns) * frames // columns]
        bright = brightness[torch.arange(columns) * len(brightness) // columns]
        shades = torch.stack([_order(level, bright) for level in shown])
        used = ", ".join(str(len(level.unique())) for level in codes)
        return cls(name, f"codes used: {used}", levels, draw_shades(shades, "viridis"))

    def described(self) -> dict[str, Any]:
        """What the page's script reads of it."""
        about = {"name": self.name, "remark": self.remark, "levels": self.levels}
        return about | {"picture": self.picture}


def _order(codes: Tensor, brightness: Tensor) -> Tensor:
    """A number from 0 to 1 for each code [columns], the greater the brighter it is on average."""
    kinds, place = np.unique(codes.numpy(), return_inverse=True)
    mean = np.bincount(place, brightness.numpy()) / np.bincount(place)
    rank = mean.argsort(kind="stable").argsort()
    return torch.from_numpy((rank / max(len(kinds) - 1, 1))[place])
