"""Fillings by the spectrogram model: what is predicted is heard, and both sides go on."""

import math
from collections.abc import Sequence

import pytest
import torch
from signals import noise, tone
from tiny_spectrogram import tiny_filler
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill import choice
from audiomask.infill.choice import MethodChooser, kinds_needed
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.spectrogram import SpectrogramFiller

RATE = 44_100
SECOND = Gap(RATE, RATE + 8_820)


def fill(
    audio: Tensor, gaps: Sequence[Gap], rate: int = RATE, filler: SpectrogramFiller | None = None
) -> list[Filling]:
    settings = InfillSettings(method="spectrogram")
    maker = Infiller(None, None, torch.device("cpu"), settings, spectrogram=filler or tiny_filler())
    return list(maker.fill(MemorySource(audio, rate), gaps))


def decibels(samples: Tensor) -> float:
    return 10 * math.log10(float(samples.double().square().mean()) + 1e-20)


def test_partials_go_on_in_phase() -> None:
    audio = 0.2 * tone([330, 1250, 4100], 3 * RATE).sum(dim=0, keepdim=True)
    (made,) = fill(audio, [SECOND])
    assert made.method == InfillMethod.spectrogram
    true = audio[:, SECOND.start : SECOND.stop]
    assert decibels(true) - decibels(made.samples - true) > 15


def test_the_frames_that_gaps_touch_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    filler, seen = tiny_filler(), []
    real = filler.model.fill

    def keep(features: Tensor, hidden: Tensor) -> Tensor:
        seen.append(hidden.clone())
        return real(features, hidden)

    monkeypatch.setattr(filler.model, "fill", keep)
    # spectra of 4 frames' length reach a frame and a half beyond their own
    gap, other = Gap(60 * 1024, 65 * 1024), Gap(75 * 1024, 75 * 1024 + 1)
    source = MemorySource(0.1 * noise(2, 120 * 1024), RATE)
    filler.fill(source, gap, [gap, other])
    (hidden,) = seen
    assert hidden.shape == (2, filler.config.window)
    # the middle of the gap's frames 58 to 66 is that of the window
    expected = torch.zeros(48, dtype=torch.bool)
    expected[58 - 38 : 67 - 38] = True
    expected[73 - 38 : 77 - 38] = True
    assert torch.equal(hidden, expected.expand(2, -1))


@pytest.mark.parametrize("change", [-9.0, 6.0])
def test_bands_are_as_loud_as_predicted(change: float, monkeypatch: pytest.MonkeyPatch) -> None:
    audio, gap = 0.05 * noise(1, 4 * RATE), Gap(2 * RATE, 2 * RATE + RATE // 3)
    filler = tiny_filler()
    source = MemorySource(audio, RATE)
    plain = filler.fill(source, gap, [gap]).samples
    real = filler.model.fill

    def louder(features: Tensor, hidden: Tensor) -> Tensor:
        factor = 10 ** (change / 20 * filler.config.exponent)
        known = features.clamp_max(10 ** (-12 / 20 * filler.config.exponent))
        filled = real(known, hidden)
        return torch.where(hidden[..., None], factor * filled, features)

    monkeypatch.setattr(filler.model, "fill", louder)
    # the greatest magnitude of a window is 1: louder fillings need room
    monkeypatch.setattr(
        "audiomask.infill.spectrogram.reference",
        lambda power, known: 20 * (power * known[..., None]).amax(dim=(1, 2), keepdim=True),
    )
    made = filler.fill(source, gap, [gap]).samples
    middle = slice(gap.length // 3, 2 * gap.length // 3)
    level = decibels(audio)
    assert decibels(plain[:, middle]) - level == pytest.approx(0, abs=3)
    assert decibels(made[:, middle]) - level == pytest.approx(change, abs=2.5)


def test_noise_keeps_its_level_and_tone() -> None:
    audio = 0.05 * noise(1, 4 * RATE)
    smooth = audio.cumsum(dim=1)
    pink = 0.1 * (audio + 0.02 * (smooth - smooth.mean()))
    (made,) = fill(pink, [Gap(2 * RATE, 2 * RATE + RATE // 2)])
    assert abs(made.level) < 3
    spectra = [
        torch.fft.rfft(part[0, 2_000:20_000]).abs().square() for part in (made.samples, pink)
    ]
    for low, high in ((100, 400), (400, 2_000), (2_000, 8_000)):
        found, true = (float(one[low:high].mean()) for one in spectra)
        assert 10 * abs(math.log10(found / true)) < 4


def test_the_joins_are_where_both_sides_go_on() -> None:
    audio = 0.2 * tone([220, 560], 3 * RATE).sum(dim=0, keepdim=True) + 0.001 * noise(1, 3 * RATE)
    (made,) = fill(audio, [SECOND])
    assert (made.start, made.stop) == (SECOND.start, SECOND.stop)
    whole = audio.clone()
    whole[:, made.start : made.stop] = made.samples
    bends = whole.diff(n=2).abs()[0]
    usual = float(bends[: RATE // 2].max())
    for join in (SECOND.start, SECOND.stop):
        assert float(bends[join - 10 : join + 10].max()) < 2 * usual


def test_only_known_samples_matter_and_none_are_written() -> None:
    audio = 0.1 * noise(2, 2 * RATE)
    gaps = [Gap(20_000, 21_000), Gap(23_000, 35_000), Gap(36_000, 36_500, (1,))]
    silent, broken = audio.clone(), audio.clone()
    for gap in gaps:
        rows = list(gap.channel_numbers(2))
        silent[rows, gap.start : gap.stop] = 0
        broken[rows, gap.start : gap.stop] = torch.nan
    kept = broken.clone()
    made, same = fill(silent, gaps), fill(broken, gaps)
    for one, other in zip(made, same, strict=True):
        assert torch.equal(one.samples, other.samples)
        assert one.samples.isfinite().all()
        assert one.samples.shape == (len(one.gap.channel_numbers(2)), one.gap.length)
    assert torch.equal(broken.nan_to_num(), kept.nan_to_num())


def test_channels_are_filled_by_themselves() -> None:
    audio = torch.cat([0.1 * noise(1, 2 * RATE), 0.01 * tone([500], 2 * RATE)])
    (both,) = fill(audio[[0, 1, 0]], [SECOND])
    assert torch.equal(both.samples[0], both.samples[2])
    for row in (0, 1):
        (alone,) = fill(audio[[row]], [SECOND])
        assert torch.allclose(both.samples[row], alone.samples[0], atol=1e-5)


def test_silence_stays_silence() -> None:
    audio = torch.cat([0.1 * noise(1, 2 * RATE), torch.zeros(1, 2 * RATE)])
    (made,) = fill(audio, [SECOND])
    assert not made.samples[1].any()
    assert made.samples[0].any()


def test_where_no_frame_is_known_linear_prediction_is_told() -> None:
    (made,) = fill(0.1 * tone([440], 9_000), [Gap(1_000, 8_500)])
    assert (made.method, made.passes) == (InfillMethod.ar, 1)
    assert made.samples.any()


@pytest.mark.parametrize("gap", [Gap(0, 9_000), Gap(2 * RATE - 9_000, 2 * RATE)])
def test_gaps_at_the_ends(gap: Gap) -> None:
    (made,) = fill(0.1 * noise(1, 2 * RATE), [gap])
    assert made.method == InfillMethod.spectrogram
    assert abs(made.level) < 4


@pytest.mark.parametrize("start", [0, RATE, 3 * RATE])
def test_a_gap_longer_than_the_window_is_filled_in_parts(start: int) -> None:
    filler = tiny_filler(window=24)
    audio = 0.1 * noise(1, 6 * RATE)
    (made,) = fill(audio, [Gap(start, start + 3 * RATE)], filler=filler)
    assert made.passes > 5
    (short,) = fill(audio, [Gap(RATE, RATE + 4_000)], filler=filler)
    assert short.passes == 1
    for part in made.samples.split(RATE // 4, dim=1):
        assert decibels(part) > decibels(audio) - 15


@pytest.mark.parametrize("rate", [8_000, 48_000, 96_000])
def test_other_rates(rate: int) -> None:
    audio = 0.2 * tone([440], 3 * rate, rate) + 0.002 * noise(1, 3 * rate)
    gap = Gap(rate, rate + rate // 8)
    (made,) = fill(audio, [gap], rate)
    assert (made.method, made.samples.shape[1]) == (InfillMethod.spectrogram, gap.length)
    true = audio[:, gap.start : gap.stop]
    assert decibels(true) - decibels(made.samples - true) > 10


def test_the_same_again() -> None:
    audio = 0.1 * noise(2, 2 * RATE)
    first, again = (fill(audio, [SECOND])[0].samples for _ in range(2))
    assert torch.equal(first, again)


def test_auto_fills_gaps_of_some_lengths_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemorySource(0.1 * noise(1, 3 * RATE), RATE)
    longer = Gap(RATE, 2 * RATE)

    def chosen(gap: Gap, settings: InfillSettings) -> InfillMethod:
        return MethodChooser(source, [gap], settings, None, True).choose(gap).method

    assert chosen(SECOND, InfillSettings()) == InfillMethod.spectrogram
    assert chosen(longer, InfillSettings()) == InfillMethod.tokens
    # tokens that are to be drawn are drawn
    assert chosen(SECOND, InfillSettings(temperature=1.0)) == InfillMethod.tokens
    assert chosen(SECOND, InfillSettings(method="tokens")) == InfillMethod.tokens
    # auto can do without the model
    assert kinds_needed(InfillSettings()) == ("vqvae", "mlm")
    # where there is none, tokens are chosen, by a dry run as well
    without = MethodChooser(source, [SECOND], InfillSettings())
    assert without.choose(SECOND).method == InfillMethod.tokens
    chooser = MethodChooser(source, [SECOND], InfillSettings(), None, True)
    monkeypatch.setattr(choice, "SPECTROGRAM_SECONDS", (0.12, 0.15))
    assert chooser.choose(SECOND).method == InfillMethod.tokens
