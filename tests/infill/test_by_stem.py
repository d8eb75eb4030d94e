"""Infill stem by stem: each by itself, their sum in the gap, and nothing else touched."""

from collections.abc import Mapping

import pytest
import torch
from signals import noise, tone
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource
from audiomask.infill.by_stem import StemInfiller
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.settings import BY_STEM, InfillSettings
from audiomask.networks.mlm import MaskedLM
from audiomask.networks.vqvae import AnyVQVAE

RATE = 8000
GAP = Gap(15 * RATE, 15 * RATE + RATE // 2)


def drums() -> Tensor:
    """Bursts of random loudness that come again after 3 s: [2, T]."""
    generator = torch.Generator().manual_seed(1)
    loud = (0.2 * torch.rand(30, generator=generator)).repeat_interleave(RATE // 10)
    return (loud * torch.randn(2, 3 * RATE, generator=generator)).clamp(-0.4, 0.4).repeat(1, 8)


def strings() -> Tensor:
    """A tone that never comes again, as it rises without end: [2, T]."""
    time = torch.arange(24 * RATE) / RATE
    return (0.2 * torch.sin(2 * torch.pi * (300 + 20 * time) * time)).expand(2, -1)


def maker(vqvae: AnyVQVAE, mlm: MaskedLM, **options: object) -> Infiller:
    chosen = InfillSettings(by_stem=True, **options)  # type: ignore[arg-type]
    return Infiller(vqvae, mlm, torch.device("cpu"), chosen)


def fill(infiller: Infiller, gap: Gap, asked: list[int] | None = None) -> tuple[Tensor, Filling]:
    """The filled song, and what is told; its stems are known, as though separation were perfect."""
    whole = drums() + strings()
    holed = whole.clone()
    holed[list(gap.channel_numbers(2)), gap.start : gap.stop] = torch.nan

    def split(source: AudioSource) -> Mapping[str, Tensor]:
        mixture = source.read(0, source.frames)
        assert bool(torch.isfinite(mixture).all())
        if asked is not None:
            asked.append(source.frames)
        beat = drums()[list(gap.channel_numbers(2)), : source.frames]
        return {"drums": beat, "piano": 1e-4 * beat, "residual": mixture - 1.0001 * beat}

    stems = StemInfiller(infiller, split)
    (filling,) = stems.fill(MemorySource(holed, RATE), [gap])
    there = list(gap.channel_numbers(2))
    made = holed.clone()
    made[there, filling.start : filling.stop] = filling.samples
    return made, filling


def test_drums_go_on_by_themselves(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    made, filling = fill(maker(vqvae, mlm, method="passage"), GAP)
    assert filling.method == BY_STEM
    beat, rest = filling.stems
    assert (beat.name, beat.method) == ("drums", "passage")
    assert beat.passage is not None
    assert (beat.passage.start - GAP.start) % (3 * RATE) == 0
    assert rest.name == "rest"
    assert filling.start >= GAP.start
    assert filling.stop <= GAP.stop
    middle = slice(GAP.start + 1000, GAP.stop - 1000)
    true, found = drums()[:, middle].flatten(), made[:, middle].flatten()
    # what the rest has in its place is not of the drums
    assert float((true * found).sum() / true.square().sum()) == pytest.approx(1, abs=0.15)
    assert bool(torch.isfinite(made).all())
    assert float(made.abs().max()) < 1


def test_one_channel(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    made, filling = fill(maker(vqvae, mlm, method="passage"), Gap(GAP.start, GAP.stop, (1,)))
    assert filling.method == BY_STEM
    assert filling.channels == (1,)
    assert len(filling.samples) == 1
    assert bool(torch.isfinite(made).all())


def test_a_passage_of_the_whole_is_better(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio = drums()

    def split(source: AudioSource) -> Mapping[str, Tensor]:
        raise AssertionError

    stems = StemInfiller(maker(vqvae, mlm), split)
    (filling,) = stems.fill(MemorySource(audio, RATE), [GAP])
    assert filling.method == "passage"


def test_short_gaps_are_not_separated(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    asked: list[int] = []
    _, filling = fill(maker(vqvae, mlm), Gap(GAP.start, GAP.start + 400), asked)
    assert (filling.method, filling.stems, asked) == ("ar", (), [])


@pytest.mark.parametrize("method", ["tokens", "passage"])
def test_stems_are_filled_by_the_method_asked_for(
    vqvae: AnyVQVAE, mlm: MaskedLM, method: str
) -> None:
    asked: list[int] = []
    made, filling = fill(maker(vqvae, mlm, method=method), GAP, asked)
    assert {one.method for one in filling.stems} == {method}
    assert asked == [24 * RATE]  # 30 s a side, as far as there are
    assert bool(torch.isfinite(made).all())


def test_silence_has_no_stems(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    def split(source: AudioSource) -> Mapping[str, Tensor]:
        silent = torch.zeros(1, source.frames)
        return {"drums": silent, "residual": silent}

    stems = StemInfiller(maker(vqvae, mlm), split)
    (filling,) = stems.fill(MemorySource(torch.zeros(1, 24 * RATE), RATE), [GAP])
    assert filling.method != BY_STEM
    assert float(filling.samples.abs().max()) < 0.01


def test_tone_and_noise_are_as_loud_as_around(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio = 0.2 * tone(440, 24 * RATE, rate=RATE)[None] + 0.05 * noise(1, 24 * RATE)

    def split(source: AudioSource) -> Mapping[str, Tensor]:
        mixture = source.read(0, source.frames)
        return {"piano": 0.6 * mixture, "bass": 0.3 * mixture, "residual": 0.1 * mixture}

    stems = StemInfiller(maker(vqvae, mlm), split)
    (filling,) = stems.fill(MemorySource(audio, RATE), [GAP])
    assert [one.name for one in filling.stems] == ["piano", "bass", "rest"]
    assert abs(filling.level) < 6
