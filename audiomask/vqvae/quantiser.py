"""Residual vector quantiser with cosine look-up, EMA codebooks and re-seeding of dead codes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Codebook(nn.Module):
    """One level: K unit vectors of dimension D, learned as running means of what chose them.

    A code whose running count falls under ``dead_below`` of the mean count is re-seeded with a
    vector of the batch: its vector, count and sum together, else the next running mean would
    undo it.

    Args:
        size: K.
        dim: D.
        decay: of the running means (van den Oord et al. 2017, eq. 6 to 8).
        dead_below: share of the mean running count under which a code is dead.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, size: int, dim: int, decay: float = 0.97, dead_below: float = 0.1) -> None:
        super().__init__()
        self.decay = decay
        self.dead_below = dead_below
        vectors = F.normalize(torch.randn(size, dim), dim=-1)
        self.register_buffer("vectors", vectors)
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", vectors.clone())
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def nearest(self, unit: Tensor) -> Tensor:
        """Codes [N] of the unit vectors [N, D]: the largest cosine."""
        return (unit @ self.vectors.T).argmax(dim=-1)

    @torch.no_grad()
    def update(self, unit: Tensor, codes: Tensor) -> None:
        """Move the running means towards a batch of unit vectors [N, D] with codes [N]."""
        size = self.vectors.shape[0]
        if not self.started:
            # the first batch seeds the whole table, so that no code starts far from the data
            self._seed(torch.ones(size, dtype=torch.bool, device=unit.device), unit)
            self.started.fill_(True)
            return
        chosen = F.one_hot(codes, size).to(unit.dtype)
        self.counts.lerp_(chosen.sum(dim=0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ unit, 1 - self.decay)
        self.vectors.copy_(F.normalize(self.sums, dim=-1))
        dead = self.counts < self.dead_below * len(unit) / size
        if dead.any():
            self._seed(dead, unit)

    def _seed(self, which: Tensor, unit: Tensor) -> None:
        """Give the codes ``which`` [K] random vectors of the batch [N, D]."""
        number = int(which.sum())
        picks = torch.randint(len(unit), (number,), device=unit.device)
        # a third of the mean count: a seed that nothing chooses is replaced again soon
        count = len(unit) / self.vectors.shape[0] / 3
        self.vectors[which] = unit[picks]
        self.counts[which] = count
        self.sums[which] = unit[picks] * count


class Inward(nn.Module):
    """Latents [B, F, dim] to standardised unit vectors [B, F, code_dim]."""

    def __init__(self, dim: int, code_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, code_dim)
        self.standardise = nn.BatchNorm1d(code_dim, affine=False, momentum=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, dim] to [B, F, code_dim]."""
        y = self.standardise(self.project(x).flatten(0, 1)).view(*x.shape[:2], -1)
        return F.normalize(y, dim=-1)


class ResidualQuantiser(nn.Module):
    """Levels of factorised codebooks, each coding what the ones before left.

    That is Zeghidour et al. 2021, algorithm 1. Every level projects the residual to ``code_dim``,
    takes the code of largest cosine and projects it back (Kumar et al. 2023, section 3.2). The
    projection is standardised over the batch first: without that, all vectors fall onto one code
    within the first steps.
    """

    def __init__(self, dim: int, levels: int, size: int, code_dim: int) -> None:
        super().__init__()
        self.inward = nn.ModuleList(Inward(dim, code_dim) for _ in range(levels))
        self.outward = nn.ModuleList(nn.Linear(code_dim, dim) for _ in range(levels))
        self.codebooks = nn.ModuleList(Codebook(size, code_dim) for _ in range(levels))

    def encode(self, latents: Tensor) -> Tensor:
        """Codes [B, levels, F] of latents [B, F, dim]."""
        residual, codes = latents, []
        for inward, outward, codebook in zip(
            self.inward, self.outward, self.codebooks, strict=True
        ):
            assert isinstance(codebook, Codebook)
            unit = inward(residual)
            code = codebook.nearest(unit.flatten(0, 1)).view(unit.shape[:2])
            residual = residual - outward(codebook.vectors[code])
            codes.append(code)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Quantised latents [B, F, dim] of codes [B, 1..levels, F]."""
        total: Tensor | float = 0.0
        for level in range(codes.shape[1]):
            codebook = self.codebooks[level]
            assert isinstance(codebook, Codebook)
            total = total + self.outward[level](codebook.vectors[codes[:, level]])
        assert isinstance(total, Tensor)
        return total

    def forward(self, latents: Tensor, used: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise with gradients.

        Args:
            latents: [B, F, dim].
            used: levels each row is decoded from [B] (quantiser dropout), or all.

        Returns:
            quantised latents [B, F, dim], codes [B, levels, F], commitment term (scalar): the
            mean squared distance of the projected unit vectors to their codes.
        """
        residual = latents
        total = torch.zeros_like(latents)
        commitment = latents.new_zeros(())
        codes = []
        for level, (inward, outward, codebook) in enumerate(
            zip(self.inward, self.outward, self.codebooks, strict=True)
        ):
            assert isinstance(codebook, Codebook)
            unit = inward(residual)
            flat = unit.detach().flatten(0, 1)
            code = codebook.nearest(flat)
            vectors = codebook.vectors[code].view_as(unit)  # before the update moves the table
            if self.training:
                codebook.update(flat, code)
            live = latents.new_ones(len(latents)) if used is None else (used > level).float()
            distance = (unit - vectors).square().sum(dim=-1).mean(dim=-1)
            commitment = commitment + (distance * live).mean()
            straight = unit + (vectors - unit).detach()
            part = outward(straight)
            total = total + part * live[:, None, None]
            residual = residual - part
            codes.append(code.view(unit.shape[:2]))
        return total, torch.stack(codes, dim=1), commitment
