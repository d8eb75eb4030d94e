"""One-dimensional ConvNeXt blocks, for the VQ-VAE's encoder and decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: frames of a chunk: their widest activations fit a processor's caches
CHUNK_FRAMES = 256


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a pointwise two-layer network (Liu et al. 2022).

    Pointwise layers are ``nn.Linear``, so that they run as plain matrix products.

    Args:
        dim: channels.
        kernel: width of the depthwise convolution in frames.
        scale: initial value of the layer scale.
    """

    def __init__(self, dim: int, kernel: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 3 * dim)
        self.contract = nn.Linear(3 * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, dim] to [B, F, dim]."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return x + self.scale * self._pointwise(y)
        y = torch.cat([self._pointwise(part) for part in y.split(CHUNK_FRAMES, dim=1)], dim=1)
        return torch.addcmul(x, y, self.scale)

    def _pointwise(self, x: Tensor) -> Tensor:
        """The layers that act on each frame alone, [B, F, dim] to [B, F, dim]."""
        y: Tensor = self.contract(nn.functional.gelu(self.expand(self.norm(x))))
        return y


class ConvNeXtStack(nn.Module):
    """Input projection over time, ``blocks`` blocks, final norm: [B, F, in_dim] to [B, F, dim]."""

    def __init__(self, in_dim: int, dim: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.project = nn.Linear(in_dim, dim)
        self.embed = nn.Conv1d(dim, dim, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, kernel, 1 / blocks) for _ in range(blocks))
        self.final_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, in_dim] to [B, F, dim]."""
        return self.body(self.project(x))

    def body(self, x: Tensor) -> Tensor:
        """Everything after the input projection, [B, F, dim] to [B, F, dim]."""
        x = self.norm(self.embed(x.transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        return self.final_norm(x)  # type: ignore[no-any-return]
