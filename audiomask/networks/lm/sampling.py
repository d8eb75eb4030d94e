"""Sampling from a stage of the language model, step by step, with a key-value cache."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.networks.layers.causal import KeyValueCache
from audiomask.networks.lm.model import TokenLM


@torch.inference_mode()
def generate(
    model: TokenLM,
    prompt: Tensor,
    condition: Tensor,
    steps: int,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
) -> Tensor:
    """Continue tokens.

    The context is the model's window at most: when it is full, its later half begins a new one.

    Args:
        model: in evaluation mode.
        prompt: int64 [B, rows, P].
        condition: of the prompt and the new steps, as ``TokenLM.condition`` takes it; of no rows
            for a stage without.
        steps: number of new ones.
        temperature: of the distributions; at 0 the likeliest token is taken.
        top_p: tokens are drawn from the likeliest ones that have this share of the probability
            together (nucleus sampling, Holtzman et al. 2020).
        generator: of the random numbers, on the CPU.

    Returns:
        int64 [B, rows, steps].
    """
    config = model.config
    unit, half = config.condition_step, max(config.window // 2, 1)
    have, total = prompt.shape[2], prompt.shape[2] + steps
    made = list(prompt.unbind(dim=2))
    while have < total:
        begin = -(-max(have - half, 0) // unit) * unit
        end = min(begin + config.window, total)
        known = model.condition(condition[..., begin // unit : -(-end // unit)])
        cache = KeyValueCache(end - begin)
        before = prompt[..., :0] if have == begin else torch.stack(made[begin:have], dim=2)
        first = begin
        for step in range(have, end):
            given = None if known is None else known[:, first - begin : step + 1 - begin]
            hidden = model.hidden(before, given, cache)[:, -1]
            tokens: list[Tensor] = []
            for row in range(len(config.predicted)):
                logits = model.logits(hidden, row, tokens).float()
                tokens.append(draw(logits, temperature, top_p, generator))
            made.append(torch.stack(tokens, dim=1))
            before, first = made[-1][..., None], step + 1
        have = end
    return torch.stack(made[prompt.shape[2] :], dim=2)


def draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> Tensor:
    """Tokens [B] of logits [B, K]; see ``generate``."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    shares, tokens = (
        (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    )
    until = shares.cumsum(dim=-1)
    # a token counts if those before it do not have the share yet: the likeliest one always does
    until = torch.where(until - shares < top_p, until, 0.0)
    place = torch.rand(len(logits), 1, generator=generator).to(until) * until.amax(-1, keepdim=True)
    chosen = (until <= place).logical_and(until > 0).sum(dim=-1, keepdim=True)
    return tokens.gather(-1, chosen.clamp_max(tokens.shape[-1] - 1))[:, 0]
