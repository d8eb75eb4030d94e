"""Extensions: what is continued, from where, and that nothing else is touched."""

import itertools

import pytest
import torch
from signals import noise, tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.errors import AudiomaskError
from audiomask.infill.extension import (
    SEAM,
    ExtendedSource,
    Extension,
    PaddedFile,
    is_silent_at,
    runs_on,
)
from audiomask.infill.extension_plan import Part, fill_extension, plan_extension
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import AR_AND_TOKENS, Infiller
from audiomask.infill.settings import InfillSettings
from audiomask.networks.mlm import MaskedLM
from audiomask.networks.vqvae import AnyVQVAE

RATE = 8000
ROUND = 12 * RATE


def song(rounds: int = 3) -> Tensor:
    """A round of noise of random loudness, several times over: [2, T]."""
    generator = torch.Generator().manual_seed(1)
    loud = 0.02 + 0.15 * torch.rand(ROUND // 800, generator=generator)
    one = loud.repeat_interleave(800) * torch.randn(2, ROUND, generator=generator)
    return one.clamp(-0.9, 0.9).repeat(1, rounds)


def view_of(audio: Tensor, extension: Extension) -> ExtendedSource:
    return ExtendedSource(MemorySource(audio, RATE), extension)


def plan(audio: Tensor, other: Tensor | None = None, **of: int) -> list[Part]:
    take = None if other is None else MemorySource(other, RATE)
    return list(plan_extension(view_of(audio, Extension(**of)), InfillSettings(), take))


def extended(
    vqvae: AnyVQVAE, mlm: MaskedLM, audio: Tensor, extension: Extension, **options: object
) -> tuple[Tensor, list[str]]:
    """The extended recording, and the methods of its parts."""
    chosen = InfillSettings(**options)  # type: ignore[arg-type]
    maker = Infiller(vqvae, mlm, torch.device("cpu"), chosen)
    view = view_of(audio, extension)
    made = torch.zeros(len(audio), view.length)
    made[:, extension.before : extension.before + audio.shape[1]] = audio
    methods, done = [], 0
    for filling in fill_extension(maker, view):
        assert filling.start == filling.gap.start >= done
        done = filling.stop
        made[:, filling.start : filling.stop] = filling.samples
        methods.append(filling.method)
    return made, methods


def test_a_song_that_repeats_goes_on_and_is_led_into(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    # it ends in the middle of its third round, and begins in the middle of its first
    audio = song()[:, 5 * RATE : -4 * RATE]
    of = Extension(before=5 * RATE, after=4 * RATE)
    made, methods = extended(vqvae, mlm, audio, of)
    assert set(methods) == {"passage"}
    assert float((made - song()).abs().max()) < 1e-6


def test_a_passage_plays_on_to_the_end_and_again() -> None:
    audio = song(2)
    audio[:, : 2 * RATE] = 0.1 * noise(2, 2 * RATE)  # its only repetition is from 2 s on
    seconds = 70
    parts = plan(audio, after=seconds * RATE)
    assert next(part.gap.start for part in parts) == audio.shape[1]
    assert parts[-1].gap.stop == audio.shape[1] + seconds * RATE
    assert all(a.gap.stop == b.gap.start for a, b in itertools.pairwise(parts))
    starts = [part.choice.passage.start for part in parts if part.choice.passage]
    assert len(starts) == len(parts) > 3
    assert len(set(starts)) == 1
    assert starts[0] + parts[0].gap.length == audio.shape[1]


def test_what_leads_in_is_planned_outwards() -> None:
    audio = song(3)[:, ROUND // 2 :]
    parts = plan(audio, before=40 * RATE)
    assert parts[0].gap.stop == 40 * RATE
    assert parts[-1].gap.start == 0
    assert all(a.gap.start == b.gap.stop for a, b in itertools.pairwise(parts))
    for part in parts:
        passage = part.choice.passage
        assert passage is not None
        assert passage.start >= 40 * RATE
        assert passage.start + part.gap.length <= 40 * RATE + audio.shape[1]


def test_another_take_plays_on_to_its_end() -> None:
    audio = song(1)[:, : 8 * RATE]
    take = song(3)
    parts = plan(audio, take, after=50 * RATE)
    first = parts[0].choice.passage
    assert first is not None
    assert first.foreign
    assert first.start % ROUND == 8 * RATE
    ends = [part.choice.passage.start + part.gap.length for part in parts if part.choice.passage]
    assert len(ends) == len(parts) > 1
    assert ends[:-1] == [3 * ROUND] * (len(ends) - 1)


@pytest.mark.parametrize("method", ["auto", "tokens", "ar", "passage"])
@pytest.mark.parametrize("extension", [Extension(after=9000), Extension(900, 500), Extension(9000)])
def test_the_recording_stays_as_it_is(
    vqvae: AnyVQVAE, mlm: MaskedLM, method: str, extension: Extension
) -> None:
    audio = 0.1 * noise(2, 2 * RATE) + 0.2 * tone(440, 2 * RATE, rate=RATE)
    made, methods = extended(vqvae, mlm, audio, extension, method=method)
    here = slice(extension.before, extension.before + audio.shape[1])
    assert torch.equal(made[:, here], audio)
    assert bool(torch.isfinite(made).all())
    assert float(made.abs().max()) < 1
    if method == "tokens":
        assert set(methods) == {AR_AND_TOKENS}
    # no click: the first new sample is about as far from the last old one as others are
    for edge in {here.start, here.stop} - {0, made.shape[1]}:
        step = (made[:, edge] - made[:, edge - 1]).abs().max()
        assert float(step) < 1.5 * float(audio.diff(dim=1).abs().max())


def test_a_bridge_joins_end_and_beginning(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio = song()[:, : -4 * RATE]
    made, methods = extended(vqvae, mlm, audio, Extension(after=4 * RATE, loop=True))
    assert methods == ["passage"]
    assert float((made - song()).abs().max()) < 1e-6
    (part,) = plan(audio, after=4 * RATE, loop=True)
    assert part.choice.passage is not None
    assert part.choice.passage.start < audio.shape[1]


def test_a_seam_is_all_that_changes(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio = torch.stack(
        (0.3 * tone(440, 2 * RATE, rate=RATE), 0.3 * tone(300, 2 * RATE, rate=RATE))
    )
    audio = audio[:, 40 : 40 + 15_003]
    assert not runs_on(MemorySource(audio, RATE))
    made, methods = extended(vqvae, mlm, audio, Extension(loop=True))
    assert methods == ["ar"]
    assert made.shape == audio.shape
    seam = round(SEAM * RATE)
    assert torch.equal(made[:, :-seam], audio[:, :-seam])
    assert not torch.equal(made, audio)
    over = (made[:, 0] - made[:, -1]).abs()
    assert float(over.max()) < 1.2 * float(audio.diff(dim=1).abs().max())
    assert runs_on(MemorySource(made, RATE))


def test_whole_periods_run_on() -> None:
    assert runs_on(MemorySource(0.3 * tone(440, RATE, rate=RATE)[None], RATE))
    assert runs_on(MemorySource(torch.zeros(1, RATE), RATE))
    assert runs_on(MemorySource(0.3 * noise(2, RATE), RATE))


def test_the_view_has_room_and_the_beginning_again() -> None:
    audio = noise(2, 1000)
    view = view_of(audio, Extension(10, 20))
    assert view.frames == view.length == 1030
    assert view.rooms == [Gap(0, 10), Gap(1010, 1030)]
    assert torch.equal(view.read(5, 1025)[:, 5:1005], audio)
    view = view_of(audio, Extension(after=20, loop=True))
    assert (view.frames, view.length) == (2020, 1020)
    assert torch.equal(view.read(1015, 2030)[:, 5:1005], audio)
    assert not view.read(1015, 2030)[:, 1005:].any()


def test_silence_around_a_file_is_copied_with_it() -> None:
    class File:
        channels, frames = 2, 100

        def read_raw(self, start: int, stop: int) -> object:
            assert 0 <= start <= stop <= 100
            return torch.arange(start, stop)[:, None].expand(-1, 2).numpy() + 1

    padded = PaddedFile(File(), Extension(10, 5))  # type: ignore[arg-type]
    assert padded.frames == 115
    parts = [padded.read_raw(0, 4), padded.read_raw(4, 60), padded.read_raw(60, 115)]
    found = [value for part in parts for value in part[:, 0].tolist()]
    assert found == [0] * 10 + list(range(1, 101)) + [0] * 5


def test_ends_that_are_silent() -> None:
    audio = torch.cat((noise(1, RATE), torch.zeros(1, RATE)), dim=1)
    assert is_silent_at(MemorySource(audio, RATE), end=True)
    assert not is_silent_at(MemorySource(audio, RATE), end=False)


def test_too_short_to_be_extended() -> None:
    with pytest.raises(AudiomaskError, match=r"0\.050 s"):
        plan(noise(1, 400), after=10)


@pytest.mark.parametrize(("seconds", "method"), [(0.3, "spectrogram"), (3.0, "tokens")])
def test_the_whole_room_decides_what_generates_it(seconds: float, method: str) -> None:
    # a quarter of so short a recording is what a passage would have to fill
    audio = 0.1 * noise(1, RATE)
    view = view_of(audio, Extension(after=round(seconds * RATE)))
    parts = list(plan_extension(view, InfillSettings(), spectrogram=True))
    assert [part.choice.method for part in parts] == [method]
