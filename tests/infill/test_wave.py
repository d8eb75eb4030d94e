"""Fillings and continuations by the raw-audio model: in place, in level, from both sides."""

import math

import pytest
import torch
from signals import noise
from tiny_wave import SMALL
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill.choice import kinds_needed
from audiomask.infill.extension import ExtendedSource, Extension
from audiomask.infill.extension_plan import fill_extension
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.wave import WaveFiller
from audiomask.networks.wave import build_wave
from audiomask.networks.wave.model import WaveModel

RATE = 24_000


def filler(temperature: float = 1.0, seed: int = 0) -> WaveFiller:
    torch.manual_seed(0)
    model = build_wave("default", SMALL).eval()
    assert isinstance(model, WaveModel)
    return WaveFiller(model, torch.device("cpu"), temperature, seed)


def infiller(seed: int = 0) -> Infiller:
    settings = InfillSettings(method="wave", temperature=1.0, seed=seed)
    return Infiller(None, None, torch.device("cpu"), settings, wave=filler(1.0, seed))


def rms(samples: Tensor) -> float:
    return float(samples.double().square().mean().sqrt())


def stereo(seconds: float) -> Tensor:
    """Dull noise, which an untrained model goes on with; the right is softer."""
    sound = 0.2 * noise(1, round(seconds * RATE) + 3).unfold(1, 4, 1).mean(dim=-1)
    return torch.cat([sound, 0.5 * sound])


def test_the_method_needs_its_model_alone() -> None:
    assert kinds_needed(InfillSettings(method="wave")) == ("wave",)


@pytest.mark.parametrize("after", [True, False])
def test_a_recording_goes_on_on_either_side(after: bool) -> None:
    audio = stereo(1.0)
    kept = audio.clone()
    room = Extension(after=RATE // 20) if after else Extension(before=RATE // 20)
    view = ExtendedSource(MemorySource(audio, RATE), room)
    (made,) = fill_extension(infiller(), view)
    assert made.method == InfillMethod.wave
    assert made.samples.shape == (2, RATE // 20)
    assert torch.equal(audio, kept)
    for channel, sound in zip(made.samples, audio, strict=True):
        # an untrained model's noise is weak, and short gaps are not brought to a level
        assert 0.1 * rms(sound) < rms(channel) < 1.5 * rms(sound)
    # the samples at the join go on as sharply as those of the sound itself
    joined = [audio[:, -2:], made.samples[:, :2]] if after else [made.samples[:, -2:], audio[:, :2]]
    steps = torch.cat(joined, dim=1).diff(dim=1).abs()
    assert float(steps.max()) < 1.2 * float(audio.diff(dim=1).abs().max())


def test_a_gap_is_entered_from_both_sides() -> None:
    audio = stereo(1.0)
    gap = Gap(RATE // 2, RATE // 2 + RATE // 16)
    holed = audio.clone()
    holed[:, gap.start : gap.stop] = math.nan
    source = MemorySource(holed, RATE)
    (made,) = infiller().fill(source, [gap])
    assert isinstance(made, Filling)
    assert torch.isfinite(made.samples).all()
    for edge in (made.samples[:, :200], made.samples[:, -200:]):
        assert 0.1 * rms(audio) < rms(edge) < 1.5 * rms(audio)
    assert holed[:, gap.start : gap.stop].isnan().all()


def test_other_gaps_are_not_heard() -> None:
    audio = stereo(1.0)
    gaps = [Gap(6_000, 7_000), Gap(20_000, 21_000)]
    loud = audio.clone()
    loud[:, 6_000:7_000] = 1.0
    quiet = audio.clone()
    quiet[:, 6_000:7_000] = math.nan
    made = [filler().fill(MemorySource(sound, RATE), gaps[1], gaps) for sound in (loud, quiet)]
    assert torch.equal(*made)


def test_the_seed_and_the_place_decide() -> None:
    source = MemorySource(stereo(1.0), RATE)
    gap = Gap(12_000, 12_500)
    one, same, other = (filler(1.0, seed).fill(source, gap, [gap]) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("known", [Gap(12_000, 12_500), Gap(12_000, 12_001)])
def test_however_little_is_known_it_is_gone_on_from(known: Gap) -> None:
    audio = torch.zeros(1, RATE)
    audio[:, known.start : known.stop] = stereo(1.0)[:1, : known.length] + 0.1
    gaps = [Gap(known.start - 300, known.start), Gap(known.stop, RATE)]
    made = filler().fill(MemorySource(audio, RATE), gaps[1], [Gap(0, known.start), gaps[1]])
    assert made.isfinite().all()
    assert made[:, :300].any()
