"""The paper's raw-audio model (Verma 2022, arXiv 2206.08297): a window tells the next sample.

Each patch goes through the same convolutions, and the tokens through a small transformer. The last
token tells the distribution of the next sample's level.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.networks.wave.config import PaperConfig
from audiomask.networks.wave.mulaw import LEVELS, decode

#: the strides of the convolutions, in turn
_STRIDES = (2, 3)


class PaperWave(nn.Module):
    """The paper's model.

    Args:
        config: the model's configuration.
    """

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before, length = 1, config.patch
        for number, filters in enumerate(config.filters):
            stride = _STRIDES[number % len(_STRIDES)]
            layers += [
                nn.Conv1d(before, filters, config.kernel, stride, config.kernel // 2),
                nn.ReLU(),
            ]
            before, length = filters, -(-length // stride)
        self.encoder = nn.Sequential(*layers)
        self.linear = nn.Linear(before * length, config.dim)
        self.token_dropout = nn.Dropout(config.token_dropout)
        layer = nn.TransformerEncoderLayer(
            config.dim, config.heads, config.feed, dropout=0.0, batch_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.head = nn.Sequential(
            nn.Linear(config.dim, config.head),
            nn.ReLU(),
            nn.Dropout(config.head_dropout),
            nn.Linear(config.head, LEVELS),
        )

    def logits(self, levels: Tensor) -> Tensor:
        """Logits [B, 256] of the level that comes next.

        Args:
            levels: int64 [B, T], T a multiple of the patch.
        """
        patches = decode(levels).view(-1, 1, self.config.patch)
        tokens = self.linear(self.encoder(patches).flatten(1))
        tokens = tokens.view(len(levels), -1, self.config.dim)
        tokens = self.token_dropout(tokens + sinusoids(tokens.shape[1], tokens))
        # every token is earlier than what is predicted, so all may see each other
        found: Tensor = self.head(self.transformer(tokens)[:, -1])
        return found

    def bits(self, levels: Tensor) -> Tensor:
        """Bits [B] of the last sample of each window, given all before it.

        Args:
            levels: int64 [B, T + 1], T a multiple of the patch.
        """
        logits = self.logits(levels[:, :-1]).float()
        return F.cross_entropy(logits, levels[:, -1], reduction="none") / math.log(2)


def sinusoids(length: int, like: Tensor) -> Tensor:
    """Sinusoidal positions [length, dim] (Vaswani et al. 2017, section 3.5).

    Args:
        length: number of positions.
        like: [..., dim], of the type and device wanted.
    """
    dim = like.shape[-1]
    place = torch.arange(length, device=like.device).float()[:, None]
    angles = place * 10000 ** (-torch.arange(0, dim, 2, device=like.device).float() / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(like.dtype)
