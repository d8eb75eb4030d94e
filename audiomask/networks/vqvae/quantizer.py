"""Residual vector quantizer with EMA codebooks and re-seeding of dead codes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.runtime import distributed


class Codebook(nn.Module):
    """One level: K vectors of dimension D, each the exponential moving average of its latents.

    A code whose average count falls under ``dead_below`` of the mean count is re-seeded with a
    latent of the batch. Vector, count and sum are reset together, or the next update would undo it.

    Args:
        size: K.
        dim: D.
        decay: of the moving averages (van den Oord et al. 2017, eq. 6 to 8). They must span many
            songs, or codes of instruments that rest for a while die.
        dead_below: share of the mean count under which a code is dead.
    """

    #: noise on the initial vectors, in standard deviations of the data: without it they would
    #: leave no residual for the next level to start from
    INIT_NOISE = 0.3

    vectors: Tensor
    cluster_size: Tensor
    embed_sum: Tensor
    started: Tensor

    def __init__(self, size: int, dim: int, decay: float = 0.997, dead_below: float = 0.2) -> None:
        super().__init__()
        self.decay = decay
        self.dead_below = dead_below
        # of norm one on average; why not normal: see MaskedLM.__init__
        vectors = torch.empty(size, dim).uniform_(-((3 / dim) ** 0.5), (3 / dim) ** 0.5)
        self.register_buffer("vectors", vectors)
        self.register_buffer("cluster_size", torch.ones(size))
        self.register_buffer("embed_sum", vectors.clone())
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def nearest(self, data: Tensor) -> Tensor:
        """Codes [N] of vectors [N, D]: the smallest Euclidean distance."""
        # |x - e|² = |x|² - 2 x·e + |e|², and |x|² is the same for all codes
        square = self.vectors.square().sum(dim=-1)
        return torch.addmm(square, data, self.vectors.T, alpha=-2).argmin(dim=-1)

    @torch.no_grad()
    def init_from_batch(self, data: Tensor) -> None:
        """Seed all codes from the first batch [N, D]."""
        self._init(distributed.all_gather(data))

    def _init(self, data: Tensor) -> None:
        noise = self.INIT_NOISE * data.std() * torch.randn_like(self.vectors)
        everything = torch.ones(len(self.vectors), dtype=torch.bool, device=data.device)
        self._seed(everything, data, noise)
        self.started.fill_(True)

    @torch.no_grad()
    def init_kmeans(self, data: Tensor, rounds: int = 10) -> None:
        """Seed all codes from latents [N, D], the same in every process, and run k-means."""
        self._init(data)
        for _ in range(rounds):
            codes = self.nearest(data)
            counts = torch.bincount(codes, minlength=len(self.vectors)).to(data.dtype)
            sums = torch.zeros_like(self.vectors).index_add_(0, codes, data)
            used = counts > 0
            self.vectors[used] = sums[used] / counts[used, None]
        self.embed_sum.copy_(self.vectors * self.cluster_size[:, None])

    @torch.no_grad()
    def update(self, data: Tensor, codes: Tensor) -> None:
        """Update the moving averages with a batch [N, D] and its codes [N], of all processes."""
        size = self.vectors.shape[0]
        chosen = F.one_hot(codes, size).to(data.dtype)
        self.cluster_size.lerp_(distributed.all_reduce_sum(chosen.sum(dim=0)), 1 - self.decay)
        self.embed_sum.lerp_(distributed.all_reduce_sum(chosen.T @ data), 1 - self.decay)
        self.vectors.copy_(self.embed_sum / self.cluster_size.clamp_min(1e-6)[:, None])
        dead = self.cluster_size < self.dead_below * len(data) * distributed.world_size() / size
        if dead.any():
            # every process has the same counts and draws the same latents
            self._seed(dead, distributed.all_gather(data))

    def _seed(self, which: Tensor, data: Tensor, noise: Tensor | float = 0.0) -> None:
        """Give the codes ``which`` [K] random latents of the batch [N, D]."""
        picks = torch.randint(len(data), (int(which.sum()),), device=data.device)
        seeds = data[picks] + noise
        # a third of the mean count: a seed that no latent chooses is replaced soon
        count = len(data) / self.vectors.shape[0] / 3
        self.vectors[which] = seeds
        self.cluster_size[which] = count
        self.embed_sum[which] = seeds * count


class RunningNorm(nn.Module):
    """Zero mean and unit norm on average, by running statistics in training and inference alike.

    One scale serves all channels, so that distances keep their relative size. A batch's own
    statistics (batch normalization) would give other codes in training than in inference, as one
    song's variance differs from the average by up to ten times.
    """

    mean: Tensor
    variance: Tensor
    updates: Tensor

    def __init__(self, dim: int, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to [..., dim]; in training the statistics are updated first."""
        if self.training:
            with torch.no_grad():
                flat = x.flatten(0, -2)
                # the plain mean of the first batches
                weight = max(self.momentum, 1 / (int(self.updates) + 1))
                self.mean.lerp_(distributed.all_reduce_mean(flat.mean(dim=0)), weight)
                variance = (flat - self.mean).square().sum(dim=-1).mean()
                self.variance.lerp_(distributed.all_reduce_mean(variance), weight)
                self.updates += 1
        # copies: the next batch's update must not change what this one's gradient needs
        return (x - self.mean.clone()) * (self.variance.clone() + 1e-8).rsqrt()

    def undo(self, x: Tensor) -> Tensor:
        """The inverse of ``forward``, [..., dim] to [..., dim]."""
        return x * (self.variance.clone() + 1e-8).sqrt() + self.mean.clone()


class ResidualQuantizer(nn.Module):
    """Codebooks that each code the residual of those before (Zeghidour et al. 2021, alg. 1).

    The distance is Euclidean.

    Args:
        dim: of latents and code vectors.
        levels: codebooks.
        size: codes in each.
    """

    def __init__(self, dim: int, levels: int, size: int) -> None:
        super().__init__()
        self.running_norm = RunningNorm(dim)
        self.codebooks = nn.ModuleList(Codebook(size, dim) for _ in range(levels))

    def tables(self) -> list[Codebook]:
        """The levels' codebooks."""
        return [table for table in self.codebooks if isinstance(table, Codebook)]

    def encode(self, latents: Tensor, levels: int | None = None) -> Tensor:
        """Codes [B, levels, F] of latents [B, F, dim]: of the first levels, or of all."""
        residual = self.running_norm(latents)
        codes = []
        for table in self.tables()[:levels]:
            code = table.nearest(residual.flatten(0, 1)).view(residual.shape[:2])
            residual = residual - table.vectors[code]
            codes.append(code)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Quantized latents [B, F, dim] of codes [B, 1..levels, F]."""
        return self.running_norm.undo(self.vectors(codes))

    def vectors(self, codes: Tensor) -> Tensor:
        """The levels' code vectors summed, [B, F, dim], of codes [B, 1..levels, F]."""
        parts = [
            table.vectors[level]
            for table, level in zip(self.tables(), codes.unbind(dim=1), strict=False)
        ]
        return torch.stack(parts).sum(dim=0)

    @torch.no_grad()
    def init_kmeans(self, latents: Tensor) -> None:
        """Initialize all levels by k-means on latents [N, dim], the same in every process."""
        self.running_norm.train()(latents)
        residual = self.running_norm.eval()(latents)
        self.running_norm.train(self.training)
        for table in self.tables():
            table.init_kmeans(residual)
            residual = residual - table.vectors[table.nearest(residual)]

    def forward(self, latents: Tensor, used: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Quantize with straight-through gradients; in training mode, update the codebooks.

        Args:
            latents: [B, F, dim].
            used: number of levels each row is decoded from [B] (quantizer dropout); all when None.

        Returns:
            quantized latents [B, F, dim], codes [B, levels, F], commitment term (scalar): the mean
            squared distance of the normalized latents to their quantized sum.
        """
        scaled = self.running_norm(latents)
        residual = scaled.detach()
        total = torch.zeros_like(residual)
        codes = []
        for level, table in enumerate(self.tables()):
            flat = residual.flatten(0, 1)
            if self.training and not table.started:
                table.init_from_batch(flat)
            code = table.nearest(flat)
            vectors = table.vectors[code].view_as(residual)  # before the update changes them
            if self.training:
                table.update(flat, code)
            live = 1.0 if used is None else (used > level).to(residual.dtype)[:, None, None]
            total = total + vectors * live
            residual = residual - vectors
            codes.append(code.view(residual.shape[:2]))
        commitment = (scaled - total).square().sum(dim=-1).mean()
        straight = scaled + (total - scaled).detach()
        return self.running_norm.undo(straight), torch.stack(codes, dim=1), commitment
