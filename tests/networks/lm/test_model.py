"""The stages' network: what a step sees, the cache, and that it learns what there is to learn."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_lm import settings
from torch import Tensor, nn

from audiomask.networks.layers.causal import KeyValueCache
from audiomask.networks.lm import build_lm
from audiomask.networks.lm.model import TokenLM, split

STAGES = ("semantic", "coarse", "fine", "acoustic")


def model_of(stage: str, **more: object) -> TokenLM:
    torch.manual_seed(0)
    return build_lm("default", settings(stage, **({"levels": 4, "coarse_levels": 2} | more))).eval()


def tokens_of(model: TokenLM, batch: int = 2, steps: int = 16) -> tuple[Tensor, Tensor]:
    config = model.config
    rows = [torch.randint(size, (batch, steps)) for size in config.predicted]
    given = steps // config.condition_step
    condition = torch.zeros(batch, 0, given, dtype=torch.int64)
    if config.condition:
        known = [torch.randint(size, (batch, given)) for size in config.condition]
        condition = torch.stack(known, dim=1)
    return torch.stack(rows, dim=1), condition


@pytest.mark.parametrize("stage", STAGES)
def test_a_token_depends_on_those_before_it_and_on_none_after(stage: str) -> None:
    model = model_of(stage)
    tokens, condition = tokens_of(model)
    with torch.no_grad():
        before = model.nats(tokens, condition)
        for row in range(tokens.shape[1]):
            changed = tokens.clone()
            changed[:, row, 9] = (changed[:, row, 9] + 1) % model.config.predicted[row]
            moved = (model.nats(changed, condition) - before).abs().amax(dim=0) > 1e-6
            assert not moved[:, :9].any()
            assert not moved[:row, 9].any()
            assert moved[row:, 9].all()
            assert moved[:, 10:].any(dim=1).all()


@pytest.mark.parametrize("stage", ["coarse", "fine"])
def test_a_condition_is_seen_before_and_after(stage: str) -> None:
    model = model_of(stage)
    tokens, condition = tokens_of(model, steps=64)
    step = model.config.condition_step
    with torch.no_grad():
        before = model.nats(tokens, condition)
        changed = condition.clone()
        changed[:, :, 32 // step] = (changed[:, :, 32 // step] + 1) % 6
        moved = model.nats(tokens, changed)
    where = (moved - before).abs().amax(dim=(0, 1)) > 1e-6
    # one token to either side, as the kernel has three
    assert not where[: 32 - step].any()
    assert where[32 - step :].all()


def test_nats_are_those_of_a_distribution() -> None:
    model = model_of("acoustic", codebook_size=5, coarse_levels=2)
    prefix = torch.randint(5, (1, 2, 3))
    every = torch.cartesian_prod(torch.arange(5), torch.arange(5))[:, :, None]
    rows = torch.cat([prefix.expand(25, -1, -1), every], dim=2)
    with torch.no_grad():
        nats = model.nats(rows, torch.zeros(25, 0, 4, dtype=torch.int64))[..., 3].sum(dim=1)
    assert float((-nats).exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_with_a_cache_it_is_the_same_model(stage: str) -> None:
    model = model_of(stage)
    tokens, condition = tokens_of(model, steps=12)
    with torch.no_grad():
        known = model.condition(condition)
        whole = model.hidden(tokens[..., :-1], known)
        cache = KeyValueCache(12)
        parts = []
        for first, last in ((0, 5), (5, 6), (6, 7), (7, 12)):
            given = None if known is None else known[:, first:last]
            parts.append(model.hidden(tokens[..., max(first - 1, 0) : last - 1], given, cache))
    assert cache.frames == 12
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)


def test_what_is_forgotten_is_seen_by_its_own_step_alone() -> None:
    transformer = model_of("acoustic").transformer
    x = torch.randn(1, 8, 16)
    forgotten = torch.zeros(1, 8, dtype=torch.bool)
    forgotten[0, 3] = True
    changed = x.clone()
    changed[0, 3] += 1
    with torch.no_grad():
        first, second = transformer(x, forgotten), transformer(changed, forgotten)
        assert torch.allclose(
            transformer(x, torch.zeros_like(forgotten)), transformer(x), atol=1e-6
        )
    moved = (first - second).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [number == 3 for number in range(8)]


def test_it_forgets_in_training_alone() -> None:
    model = model_of("acoustic", forgetful=0.9)
    tokens, condition = tokens_of(model)
    with torch.no_grad():
        assert torch.equal(model.nats(tokens, condition), model.nats(tokens, condition))
        model.train()
        assert not torch.equal(model.nats(tokens, condition), model.nats(tokens, condition))
        model = model_of("acoustic", forgetful=0.0).train()
        assert torch.equal(model.nats(tokens, condition), model.nats(tokens, condition))


def test_what_a_stage_predicts_and_from_what() -> None:
    codes = torch.arange(4)[None, :, None].expand(1, 4, 8)
    semantic = torch.full((1, 1, 2), 9)
    for stage, told, given in (
        ("semantic", [9], []),
        ("coarse", [0, 1], [9]),
        ("fine", [2, 3], [0, 1]),
        ("acoustic", [0, 1], []),
    ):
        model = model_of(stage)
        rows, condition = split(model.config, codes, semantic)
        assert rows[0, :, 0].tolist() == told
        assert condition[0, :, 0].tolist() == given
        assert (rows.shape[1], condition.shape[1]) == (
            len(model.config.predicted),
            len(model.config.condition),
        )


@pytest.mark.parametrize("stage", ["coarse", "acoustic"])
def test_it_learns_what_follows_from_what(stage: str) -> None:
    # level 1 counts on, level 2 is its double, and a new count begins where the condition says
    model = model_of(stage, codebook_size=8, dim=32, window=16).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        condition = torch.randint(6, (16, 1, 4))
        first = condition[:, 0].repeat_interleave(4, dim=1) + torch.arange(4).repeat(4)
        tokens = torch.stack([first % 8, 2 * first % 8], dim=1)
        given = condition if stage == "coarse" else condition[:, :0]
        nats = model.nats(tokens, given)
        optimizer.zero_grad()
        torch.autograd.backward(nats.mean())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        steps = model.eval().nats(tokens, given).mean(dim=0)
    assert float(steps[1].max()) < 0.1, "the second level follows from the first"
    assert float(steps[0, 5::4].max()) < 0.3, "the count goes on"
    assert (float(steps[0, 4::4].mean()) < 0.3) == (stage == "coarse")
    if stage == "acoustic":
        assert float(steps[0, 4::4].mean()) == pytest.approx(math.log(6), abs=0.5)
