"""Bidirectional transformer layers with rotary positions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotary_angles(frames: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines [frames, head_dim / 2] of rotary positions (Su et al. 2021, eq. 15)."""
    frequency = 10000 ** (-torch.arange(0, head_dim, 2, device=device).float() / head_dim)
    angle = torch.arange(frames, device=device).float()[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate pairs of channels of [B, heads, F, head_dim] by their position's angle."""
    cosine, sine = (a.to(x.dtype) for a in angles)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


class Attention(nn.Module):
    """Self-attention over all frames of a window."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], attention_mask: Tensor | None
    ) -> Tensor:
        """[B, F, dim] to [B, F, dim]; ``attention_mask`` [B, F] is false at frames to ignore."""
        batch, frames, dim = x.shape
        parts = self.qkv(x).view(batch, frames, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mask = None if attention_mask is None else attention_mask[:, None, None, :]
        query, key = rotate(query, angles), rotate(key, angles)
        if x.device.type == "cpu" and torch.is_grad_enabled():
            # the fused kernel's backward pass takes twice the time of plain products there
            scores = (query * query.shape[-1] ** -0.5) @ key.mT
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            y = scores.softmax(dim=-1).to(value.dtype) @ value
        else:
            y = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(y.transpose(1, 2).reshape(batch, frames, dim))  # type: ignore[no-any-return]


class TransformerLayer(nn.Module):
    """Pre-norm layer: depthwise convolution (optional), attention, feed-forward network.

    The convolution models local patterns, such as onsets, which attention learns slowly (Gulati et
    al. 2020).
    """

    def __init__(self, dim: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.feed_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)
        self.local: nn.Conv1d | None = None
        if kernel:
            self.local = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)

    def forward(
        self, x: Tensor, angles: tuple[Tensor, Tensor], attention_mask: Tensor | None
    ) -> Tensor:
        """[B, F, dim] to [B, F, dim]."""
        if self.local is not None:
            # to the convolution, masked frames are zeros, as its padding is
            visible = x if attention_mask is None else x * attention_mask[..., None]
            x = x + self.local(visible.transpose(1, 2)).transpose(1, 2)
        x = x + self.attention(self.attention_norm(x), angles, attention_mask)
        return x + self.contract(F.gelu(self.expand(self.feed_norm(x))))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A stack of layers: [B, F, dim] to [B, F, dim].

    Args:
        dim, heads, kernel: of the layers.
        layers: number of them.
        shared: whether all have the same weights (Lan et al. 2020, section 3.1).
    """

    def __init__(
        self, dim: int, heads: int, layers: int, kernel: int, shared: bool = False
    ) -> None:
        super().__init__()
        self.head_dim, self.depth = dim // heads, layers
        number = min(layers, 1) if shared else layers
        self.layers = nn.ModuleList(TransformerLayer(dim, heads, kernel) for _ in range(number))

    def forward(
        self, x: Tensor, attention_mask: Tensor | None = None, depth: int | None = None
    ) -> Tensor:
        """[B, F, dim] to [B, F, dim].

        Args:
            x: the input.
            attention_mask: bool [B, F], false at frames to ignore.
            depth: number of layers to apply; all when None.
        """
        for output in islice(self.outputs(x, attention_mask), depth):
            x = output
        return x

    def outputs(self, x: Tensor, attention_mask: Tensor | None = None) -> Iterator[Tensor]:
        """The output of each layer in turn, [B, F, dim]."""
        angles = rotary_angles(x.shape[1], self.head_dim, x.device)
        for number in range(self.depth):
            x = self.layers[number % len(self.layers)](x, angles, attention_mask)
            yield x
