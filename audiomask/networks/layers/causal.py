"""Causal transformer layers with rotary positions: no frame sees a later one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.networks.layers.transformer import rotary_angles, rotate


class KeyValueCache:
    """Keys and values of the frames so far in every layer, so that each frame is computed once.

    Attributes:
        frames: how many frames there are.

    Args:
        capacity: most frames.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.frames = capacity, 0
        self._layers: list[Tensor] = []

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add new frames' keys and values [B, heads, F, head_dim]; returns those of all frames."""
        if layer == len(self._layers):
            batch, heads, _, width = key.shape
            self._layers.append(key.new_empty(2, batch, heads, self.capacity, width))
        kept, last = self._layers[layer], self.frames + key.shape[2]
        kept[0, :, :, self.frames : last], kept[1, :, :, self.frames : last] = key, value
        return kept[0, :, :, :last], kept[1, :, :, :last]


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

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
        number: int = 0,
    ) -> Tensor:
        """[B, F, dim] to [B, F, dim].

        Args:
            x: the input.
            angles: of the frames' positions.
            mask: bool [..., F, frames], which frames each may see; itself and all earlier ones
                when None.
            cache: of earlier frames, to which these are added.
            number: this layer's place in the cache.
        """
        batch, frames, dim = x.shape
        parts = self.qkv(self.attention_norm(x)).view(batch, frames, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        query, key = rotate(query, angles), rotate(key, angles)
        if cache is not None:
            key, value = cache.extend(number, key, value)
        causal = mask is None and key.shape[2] == frames
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        x = x + self.out(y.transpose(1, 2).reshape(batch, frames, dim))
        return x + self.contract(F.gelu(self.expand(self.feed_norm(x))))  # type: ignore[no-any-return]


class CausalTransformer(nn.Module):
    """A stack of layers: [B, F, dim] to [B, F, dim]."""

    def __init__(self, dim: int, heads: int, layers: int) -> None:
        super().__init__()
        self.head_dim = dim // heads
        self.layers = nn.ModuleList(CausalLayer(dim, heads) for _ in range(layers))

    def forward(
        self, x: Tensor, forgotten: Tensor | None = None, cache: KeyValueCache | None = None
    ) -> Tensor:
        """[B, F, dim] to [B, F, dim].

        Args:
            x: the input.
            forgotten: bool [B, F], frames that later ones do not see (forgetful causal masking,
                Liu et al. 2022); none when None.
            cache: of earlier frames, which these follow and are added to.
        """
        before, frames = 0 if cache is None else cache.frames, x.shape[1]
        cosine, sine = rotary_angles(before + frames, self.head_dim, x.device)
        angles = (cosine[before:], sine[before:])
        mask: Tensor | None = None
        if forgotten is not None or (before and frames > 1):
            ones = torch.ones(frames, before + frames, dtype=torch.bool, device=x.device)
            mask = ones.tril(before)
            if forgotten is not None:
                itself = torch.eye(frames, dtype=torch.bool, device=x.device)
                mask = mask & (itself | ~forgotten[:, None, None, :])
        for number, layer in enumerate(self.layers):
            x = layer(x, angles, mask, cache, number)
        if cache is not None:
            cache.frames += frames
        return x
