"""Generation: with a cache and moving windows it is what the model says."""

from __future__ import annotations

import pytest
import torch
from tiny_lm import settings
from torch import Tensor

from audiomask.networks.lm import build_lm
from audiomask.networks.lm.model import TokenLM
from audiomask.networks.lm.sampling import draw, generate


def model_of(stage: str, **more: object) -> TokenLM:
    torch.manual_seed(3)
    return build_lm("default", settings(stage, **({"levels": 4, "coarse_levels": 2} | more))).eval()


def given_of(model: TokenLM, steps: int, prompt: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    config = model.config
    rows = torch.stack([torch.randint(s, (batch, prompt)) for s in config.predicted], dim=1)
    number = -(-(prompt + steps) // config.condition_step)
    known = [torch.randint(s, (batch, number)) for s in config.condition]
    none = torch.zeros(batch, 0, number, dtype=torch.int64)
    return rows, torch.stack(known, dim=1) if known else none


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("stage", ["semantic", "coarse", "fine", "acoustic"])
@pytest.mark.parametrize("length", [0, 5, 50])
def test_the_likeliest_tokens_are_those_without_a_cache(stage: str, length: int) -> None:
    model = model_of(stage)
    prompt, condition = given_of(model, 60, length)
    found = generate(model, prompt, condition, 60, 0.0, 1.0, seeded())
    assert found.shape == (2, len(model.config.predicted), 60)
    unit, window = model.config.condition_step, model.config.window
    whole = torch.cat([prompt, found], dim=2)
    have = length
    with torch.no_grad():
        while have < length + 60:
            begin = -(-max(have - window // 2, 0) // unit) * unit
            end = min(begin + window, length + 60)
            known = model.condition(condition[..., begin // unit : -(-end // unit)])
            known = None if known is None else known[:, : end - begin]
            part = whole[..., begin:end]
            hidden = model.hidden(part[..., :-1], known)
            rows = list(part.unbind(dim=1))
            for row, tokens in enumerate(rows):
                best = model.logits(hidden, row, rows[:row]).argmax(dim=-1)
                assert torch.equal(best[:, have - begin :], tokens[:, have - begin :])
            have = end


def test_a_seed_decides() -> None:
    model = model_of("acoustic")
    prompt, condition = given_of(model, 40, 8)
    first, again, other = (
        generate(model, prompt, condition, 40, 1.0, 0.9, seeded(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    shares = torch.tensor([0.1, 0.4, 0.2, 0.3])
    logits = shares.log().expand(20_000, -1)
    found = draw(logits, 1.0, 1.0, seeded()).bincount(minlength=4) / 20_000
    assert torch.allclose(found, shares, atol=0.015)
    # the first two have 0.7 together, so that the third is needed for 0.75
    found = draw(logits, 1.0, 0.75, seeded()).bincount(minlength=4) / 20_000
    assert torch.allclose(found, torch.tensor([0, 0.4, 0.2, 0.3]) / 0.9, atol=0.015)
    found = draw(logits, 1.0, 0.7 - 1e-3, seeded()).bincount(minlength=4) / 20_000
    assert torch.allclose(found, torch.tensor([0, 0.4, 0, 0.3]) / 0.7, atol=0.015)
    cold = draw(logits, 0.5, 1.0, seeded()).bincount(minlength=4) / 20_000
    assert torch.allclose(cold, shares.square() / shares.square().sum(), atol=0.015)
    assert draw(logits, 1.0, 1e-9, seeded()).unique().tolist() == [1]
    assert draw(logits, 0.0, 1.0, seeded()).unique().tolist() == [1]
