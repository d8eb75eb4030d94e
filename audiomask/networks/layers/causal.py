"""Causal transformer layers with rotary positions: no frame sees a later one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.networks.layers.transformer import rotary_angles, rotate


class CausalLayer(nn.Module):
    """Pre-norm layer: attention to this frame and earlier ones, and a feed-forward network."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.feed_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """[B, F, dim] to [B, F, dim]."""
        batch, frames, dim = x.shape
        parts = self.qkv(self.attention_norm(x)).view(batch, frames, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        query, key = rotate(query, angles), rotate(key, angles)
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, frames, dim))
        return x + self.contract(F.gelu(self.expand(self.feed_norm(x))))  # type: ignore[no-any-return]


class CausalTransformer(nn.Module):
    """A stack of layers: [B, F, dim] to [B, F, dim]."""

    def __init__(self, dim: int, heads: int, layers: int) -> None:
        super().__init__()
        self.head_dim = dim // heads
        self.layers = nn.ModuleList(CausalLayer(dim, heads) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, dim] to [B, F, dim]."""
        angles: tuple[Tensor, Tensor] = rotary_angles(x.shape[1], self.head_dim, x.device)
        for layer in self.layers:
            x = layer(x, angles)
        return x
