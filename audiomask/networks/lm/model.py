"""A stage of the language model: the likelihood of tokens, given those before and a condition.

There is one step of the transformer for a frame, not for a token: a frame's levels are told from
its hidden state by small networks, one after the other, each of which knows the levels before it
(as in the RQ-Transformer, Lee et al. 2022, section 3.2.2). A condition is not put before the
tokens, but added to the frames that it is about. So a window of S semantic tokens and F frames of
L levels takes F steps in place of S + L F, and nothing has to be aligned. The product of the
probabilities is still that of all tokens: likelihoods are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.networks.layers.causal import CausalTransformer, KeyValueCache
from audiomask.networks.layers.convnext import ConvNeXtBlock
from audiomask.networks.lm.config import LMConfig
from audiomask.runtime import distributed

#: hidden units of a level's network, in multiples of the width
_WIDER = 2


class LevelHead(nn.Module):
    """The network of one level: a residual feed-forward layer, and a norm."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, _WIDER * dim)
        self.contract = nn.Linear(_WIDER * dim, dim)
        self.last_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to [..., dim]."""
        x = x + self.contract(F.gelu(self.expand(self.norm(x))))
        found: Tensor = self.last_norm(x)
        return found


class TokenLM(nn.Module):
    """One stage.

    Embeddings of tokens are also the rows of the output layers.

    Args:
        config: the stage's configuration.
    """

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.embeddings = _tables(config.predicted, dim)
        # so that a token that is seen is not, from the first, the one that is expected
        self.linear_in = nn.Linear(dim, dim, bias=False)
        self.biases = nn.ParameterList(torch.zeros(size) for size in config.predicted)
        self.condition_embeddings = _tables(config.condition, dim)
        layers = config.condition_layers if config.condition else 0
        self.condition_layers = nn.ModuleList(
            ConvNeXtBlock(dim, config.kernel, 1.0) for _ in range(layers)
        )
        # what stands for the frame before the first
        self.start = nn.Parameter(torch.zeros(dim))
        self.transformer = CausalTransformer(dim, config.heads, config.layers)
        self.heads = nn.ModuleList(LevelHead(dim) for _ in config.predicted)

    def condition(self, tokens: Tensor) -> Tensor | None:
        """The condition of every step.

        Args:
            tokens: int64 [B, rows, N]; of a stage without condition, of no rows.

        Returns:
            [B, N * condition_step, dim], or None without condition.
        """
        if not len(self.condition_embeddings):
            return None
        x = self._embed(self.condition_embeddings, tokens)
        for layer in self.condition_layers:
            x = layer(x)
        return x.repeat_interleave(self.config.condition_step, dim=1)

    def hidden(
        self, tokens: Tensor, condition: Tensor | None, cache: KeyValueCache | None = None
    ) -> Tensor:
        """What is known of each step before it, [B, F, dim].

        Args:
            tokens: of the steps before each, int64 [B, rows, F], or [B, rows, F - 1] from the
                beginning of a window.
            condition: of the steps, [B, F, dim], or None.
            cache: of earlier steps, to which these are added.
        """
        x = self.linear_in(self._embed(self.embeddings, tokens))
        if cache is None or not cache.frames:
            x = torch.cat([self.start.to(x.dtype).expand(len(x), 1, -1), x], dim=1)
        if condition is not None:
            x = x + condition
        forgotten = None
        if self.training and self.config.forgetful:
            drawn = distributed.rand(len(x), x.shape[1] + 1, device=x.device)
            forgotten = drawn[:, 1:] < self.config.forgetful * drawn[:, :1]
        found: Tensor = self.transformer(x, forgotten, cache)
        return found

    def logits(self, hidden: Tensor, row: int, before: Sequence[Tensor]) -> Tensor:
        """Logits of a row's tokens.

        Args:
            hidden: [..., dim], from ``hidden``.
            row: its number.
            before: tokens of the rows before it at the same steps, [...] each.

        Returns:
            [..., size].
        """
        for table, known in zip(self.embeddings, before, strict=False):
            hidden = hidden + F.embedding(known, table) * math.sqrt(self.config.dim)
        return F.linear(self.heads[row](hidden), self.embeddings[row], self.biases[row])

    def nats(self, tokens: Tensor, condition_tokens: Tensor) -> Tensor:
        """Negative log-likelihood of every token of windows, [B, rows, F], in nats.

        Args:
            tokens: int64 [B, rows, F].
            condition_tokens: as ``condition`` takes them, of the same time.
        """
        hidden = self.hidden(tokens[..., :-1], self.condition(condition_tokens))
        rows = list(tokens.unbind(dim=1))
        found = []
        for number, row in enumerate(rows):
            logits = self.logits(hidden, number, rows[:number]).float()
            found.append(F.cross_entropy(logits.flatten(0, 1), row.flatten(), reduction="none"))
        return torch.stack([nats.view(rows[0].shape) for nats in found], dim=1)

    def _embed(self, tables: nn.ParameterList, tokens: Tensor) -> Tensor:
        """Embeddings of all rows summed, [B, F, dim], of tokens [B, rows, F]."""
        parts = [
            F.embedding(row, table) for table, row in zip(tables, tokens.unbind(dim=1), strict=True)
        ]
        return torch.stack(parts).sum(dim=0) * math.sqrt(self.config.dim)


def split(config: LMConfig, codes: Tensor, semantic: Tensor) -> tuple[Tensor, Tensor]:
    """What a stage predicts, and its condition.

    Args:
        config: the stage's.
        codes: acoustic tokens [B, levels, F]; any for the stage semantic.
        semantic: semantic tokens [B, 1, N]; any for stages that do not read them.

    Returns:
        [B, rows, F] and [B, rows, N]; a stage without condition gets one of no rows.
    """
    coarse = codes[:, : config.coarse_levels]
    if config.stage == "semantic":
        return semantic, semantic[:, :0]
    if config.stage == "fine":
        return codes[:, config.coarse_levels :], coarse
    return coarse, semantic if config.stage == "coarse" else coarse[:, :0]


def _tables(sizes: Sequence[int], dim: int) -> nn.ParameterList:
    """Embeddings [size, dim] of rows, of length 1 on average; why not normal: see MaskedLM."""
    most = math.sqrt(3 / dim)
    return nn.ParameterList(torch.empty(size, dim).uniform_(-most, most) for size in sizes)
