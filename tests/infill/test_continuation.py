"""Continuation by the language model: the prompt stays, the join is no click, a seed decides."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_lm import settings
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.engine import Engine
from audiomask.errors import CheckpointError, ConfigError, UsageError
from audiomask.infill import continuation as module
from audiomask.infill.continuation import Stages
from audiomask.infill.extension import Extension
from audiomask.infill.gaps import Gap
from audiomask.infill.settings import InfillSettings
from audiomask.networks.lm import build_lm
from audiomask.networks.lm.model import TokenLM

RATE = 44_100
DRAWN = InfillSettings("lm", temperature=1.0)


def music(seconds: float = 2.0, channels: int = 2, rate: int = RATE) -> Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    parts = [torch.sin(2 * torch.pi * pitch * time) for pitch in (220.0, 331.0, 1760.0)]
    sides = torch.linspace(1.0, 0.5, channels)[:, None]
    return 0.1 * sides * torch.stack(parts).sum(dim=0)


def continued(
    engine: Engine, audio: Tensor, after: int, rate: int = RATE, chosen: InfillSettings = DRAWN
) -> Tensor:
    """What comes after audio [C, T]: [C, after]."""
    fillings = list(engine.extend(MemorySource(audio, rate), Extension(after=after), chosen))
    assert all(filling.method == "lm" for filling in fillings)
    assert fillings[0].start == audio.shape[1]
    assert fillings[-1].stop == audio.shape[1] + after
    return torch.cat([filling.samples for filling in fillings], dim=1)


@pytest.fixture
def engine(continuing: Path) -> Engine:
    return Engine(continuing, "cpu")


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (44_100, 2), (8_000, 3)])
def test_a_recording_goes_on_as_loud_as_it_was(engine: Engine, rate: int, channels: int) -> None:
    audio = music(2.0, channels, rate)
    made = continued(engine, audio, round(1.5 * rate), rate)
    assert made.shape == (channels, round(1.5 * rate))
    assert made.isfinite().all()
    later = made[:, rate // 2 :]
    ratio = later.square().mean(dim=1) / audio.square().mean(dim=1)
    assert float((10 * ratio.log10()).abs().max()) < 3


def test_the_join_is_no_click(engine: Engine) -> None:
    audio = music()
    whole = torch.cat([audio, continued(engine, audio, RATE // 2)], dim=1)
    jumps = whole.diff(dim=1).abs()
    near = slice(2 * RATE - 50, 2 * RATE + 50)
    assert float(jumps[:, near].max()) < 1.5 * float(jumps[:, : 2 * RATE - 50].max())


def test_a_seed_a_temperature_and_a_share_decide(engine: Engine) -> None:
    audio = music()

    def made(**changed: float) -> Tensor:
        chosen = InfillSettings("lm", **({"temperature": 1.0} | changed))  # type: ignore[arg-type]
        return continued(engine, audio, RATE // 2, chosen=chosen)

    first = made()
    assert torch.equal(first, made())
    assert not torch.equal(first, made(seed=1))
    assert not torch.equal(first, made(top_p=0.1))
    assert torch.equal(made(temperature=0.0), made(temperature=0.0, seed=3))


def test_stages_see_what_comes_before_and_the_plan_of_all(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SimpleNamespace] = []
    generate = module.generate

    def told(
        model: TokenLM, prompt: Tensor, condition: Tensor, steps: int, *more: object
    ) -> Tensor:
        found = generate(model, prompt, condition, steps, *more)  # type: ignore[arg-type]
        stage = model.config.stage
        asked.append(SimpleNamespace(**locals()))
        return found

    monkeypatch.setattr(module, "generate", told)
    heard: list[Tensor] = []
    semantic_tokens = module.semantic_tokens

    def hear(model: object, source: MemorySource, *more: object) -> object:
        heard.append(source.audio)
        return semantic_tokens(model, source, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "semantic_tokens", hear)
    draw = torch.Generator().manual_seed(0)
    audio = 0.1 * torch.randn(1, 3 * RATE, generator=draw)
    continued(engine, audio, RATE)
    plan, coarse, fine = asked
    assert [one.stage for one in asked] == ["semantic", "coarse", "fine"]
    # the plan's prompt is of whole tokens of the recording, up to its end
    (sound,) = heard
    starts = range(0, 3 * RATE, 2048)
    (start,) = (n for n in starts if torch.equal(sound[:, :2048], audio[:, n : n + 2048]))
    end = start + sound.shape[1]
    assert -2048 < end - 3 * RATE < 2048 + 0.03 * RATE
    assert plan.prompt.shape[2] * 2048 == sound.shape[1]
    # the coarse stage has the recording's codes, and a token of the plan for every four frames
    codes = engine.tokenize(MemorySource(audio, RATE)).codes.long()
    number = coarse.prompt.shape[2]
    begins = range(0, codes.shape[2], 4)
    (begin,) = (n for n in begins if torch.equal(codes[:, :1, n : n + 24], coarse.prompt[..., :24]))
    assert 0 <= (begin + number) * 512 - end < 2048
    assert -(-(number + coarse.steps) // 4) == coarse.condition.shape[2]
    whole = torch.cat([plan.prompt, plan.found], dim=2)
    assert torch.equal(coarse.condition, whole[..., (begin * 512 - start) // 2048 :])
    # the fine stage has both
    given = torch.cat([coarse.prompt, coarse.found], dim=2)
    assert torch.equal(fine.condition, given[..., -fine.condition.shape[2] :])
    assert fine.prompt.shape[2] + fine.steps == fine.condition.shape[2]


@pytest.mark.parametrize("without", [("lm-fine",), ("lm-semantic",), ("lm-coarse", "lm-fine")])
def test_stages_that_are_missing_are_done_without(
    without: tuple[str, ...], continuing: Path, tmp_path: Path
) -> None:
    shutil.copytree(continuing, tmp_path / "some", ignore=shutil.ignore_patterns(*without))
    made = continued(Engine(tmp_path / "some", "cpu"), music(), RATE // 2)
    assert made.isfinite().all()
    assert made.square().mean() > 0


def test_without_a_plan_the_stage_acoustic_goes_on(
    engine: Engine, continuing: Path, tmp_path: Path
) -> None:
    alone, unplanned = tmp_path / "alone", InfillSettings("lm", temperature=1.0, plan=False)
    ignore = shutil.ignore_patterns("lm-semantic", "lm-coarse")
    shutil.copytree(continuing, alone, ignore=ignore)
    made = continued(engine, music(), RATE // 2, chosen=unplanned)
    assert torch.equal(made, continued(Engine(alone, "cpu"), music(), RATE // 2))
    assert not torch.equal(made, continued(engine, music(), RATE // 2))
    shutil.rmtree(alone / "lm-acoustic")
    with pytest.raises(CheckpointError, match="has no lm-acoustic, which goes on without a plan"):
        continued(Engine(alone, "cpu"), music(), RATE // 2, chosen=unplanned)


def test_what_is_needed_is_named(continuing: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no lm-semantic and lm-coarse, which --method"):
        continued(Engine(tiny, "cpu"), music(), RATE)
    ignore = shutil.ignore_patterns("lm-fine", "mlm")
    shutil.copytree(continuing, tmp_path / "some", ignore=ignore)
    with pytest.raises(CheckpointError, match="has neither lm-fine nor mlm"):
        continued(Engine(tmp_path / "some", "cpu"), music(), RATE)


def test_stages_of_other_levels_do_not_fit() -> None:
    coarse = build_lm("default", settings("coarse", levels=4, coarse_levels=2))
    fine = build_lm("default", settings("fine", levels=4, coarse_levels=1))
    with pytest.raises(ConfigError, match="coarse_levels is 1 in lm-fine, but 2 in lm-coarse"):
        Stages(coarse, fine=fine)


def test_it_fills_no_gaps_and_leads_into_nothing(engine: Engine) -> None:
    source = MemorySource(music(), RATE)
    with pytest.raises(UsageError, match="fills no gaps: add --after"):
        list(engine.infill(source, [Gap(20_000, 40_000)], DRAWN))
    for extension in (Extension(before=RATE), Extension(after=RATE, loop=True)):
        with pytest.raises(UsageError, match="neither --before nor --loop"):
            list(engine.extend(source, extension, DRAWN))


def test_long_continuations_are_made_in_parts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiomask.infill.extension_plan.CONTINUED_PART", 0.5)
    fillings = list(engine.extend(MemorySource(music(), RATE), Extension(after=RATE), DRAWN))
    assert [filling.gap.length for filling in fillings] == [RATE // 2, RATE // 2]


def test_a_very_short_recording_goes_on(engine: Engine) -> None:
    assert continued(engine, music(0.11, 1), RATE // 4).isfinite().all()
    silent = continued(engine, torch.zeros(1, RATE), RATE)
    assert float(silent[:, RATE // 2 :].abs().max()) < 0.01
