"""Infill: what is filled, with what, and that nothing else is touched."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import noise, tone
from tiny_spectrogram import tiny_filler
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.errors import AudiomaskError, UsageError
from audiomask.infill import gap_tokens
from audiomask.infill import infiller as module
from audiomask.infill.choice import AR_SECONDS, SPECTROGRAM_SECONDS
from audiomask.infill.gaps import Gap, merge_gaps
from audiomask.infill.infiller import AR_AND_TOKENS, FADE, Filling, Infiller
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.networks.mlm import MaskedLM
from audiomask.networks.mlm.decoding import Decoded
from audiomask.networks.vqvae import AnyVQVAE

CPU = torch.device("cpu")
RATE = 44100

#: a language model continues recordings instead
FILLS_GAPS = [one for one in InfillMethod if one not in (InfillMethod.lm, InfillMethod.wave)]


def infiller(vqvae: AnyVQVAE, mlm: MaskedLM, **options: object) -> Infiller:
    chosen = InfillSettings(**({"steps": 2} | options))  # type: ignore[arg-type]
    return Infiller(vqvae, mlm, CPU, chosen, spectrogram=tiny_filler())


def fill(maker: Infiller, audio: Tensor, gaps: Sequence[Gap], rate: int = RATE) -> list[Filling]:
    return list(maker.fill(MemorySource(audio, rate), gaps))


def as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither level nor peaks of a filling are changed."""
    for name in ("match_level", "limit_peaks"):
        monkeypatch.setattr(module, name, lambda samples, *_, **__: samples)


def test_a_gap_without_a_passage_and_with_too_little_beside_it(
    vqvae: AnyVQVAE, mlm: MaskedLM
) -> None:
    gap = Gap(0, 1921)  # a sample longer than linear prediction's, and 79 are known
    maker = infiller(vqvae, mlm, method=InfillMethod.passage)
    (filling,) = fill(maker, 0.1 * noise(1, 2000), [gap], 16_000)
    assert filling.method == InfillMethod.ar
    assert filling.samples.isfinite().all()


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.data(),
    st.sampled_from(FILLS_GAPS),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([RATE, 16_000]),
)
def test_fillings_keep_to_the_gaps_and_their_crossfades(
    vqvae: AnyVQVAE,
    mlm: MaskedLM,
    data: st.DataObject,
    method: str,
    temperature_now: float,
    rate: int,
) -> None:
    length = data.draw(st.integers(2000, 30_000))
    spans = data.draw(
        st.lists(
            st.tuples(st.integers(0, length - 2), st.integers(1, 8000)), min_size=1, max_size=3
        )
    )
    gaps = merge_gaps([Gap(a, min(a + n, length)) for a, n in spans])
    if sum(gap.length for gap in gaps) >= length:
        return
    audio = 0.1 * noise(1, length)
    fade = round(FADE * rate)
    made = fill(infiller(vqvae, mlm, method=method, temperature=temperature_now), audio, gaps, rate)
    assert [filling.gap for filling in made] == gaps
    for filling in made:
        gap = filling.gap
        assert gap.start - fade <= filling.start <= gap.start
        assert gap.stop <= filling.stop <= min(gap.stop + fade, length)
        if filling.method in (InfillMethod.ar, InfillMethod.spectrogram):
            assert (filling.start, filling.stop) == (gap.start, gap.stop)
        for other in gaps:
            if other is not gap:
                assert filling.stop <= other.start or filling.start >= other.stop
        assert filling.samples.shape == (1, filling.stop - filling.start)
        assert filling.samples.isfinite().all()
        within = AR_SECONDS * rate < gap.length <= SPECTROGRAM_SECONDS[1] * rate
        if method == InfillMethod.passage:
            # where there is none, what "auto" has for that length
            instead = (InfillMethod.spectrogram, InfillMethod.ar) if within else ()
            tokens = (AR_AND_TOKENS, InfillMethod.tokens)
            assert filling.method in (InfillMethod.passage, *tokens, *instead)
        elif method == InfillMethod.spectrogram:  # which may know too little to hear anything
            assert filling.method in (InfillMethod.spectrogram, InfillMethod.ar)
        elif method != InfillMethod.auto:
            assert filling.method == method
        else:
            heard = AR_AND_TOKENS if temperature_now else InfillMethod.spectrogram
            longer = (heard, InfillMethod.ar) if within else (AR_AND_TOKENS,)
            assert filling.method in (
                (InfillMethod.ar,) if gap.length <= AR_SECONDS * rate else longer
            )


def test_a_crossfade_is_between_what_is_there_and_what_is_made(
    vqvae: AnyVQVAE, mlm: MaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap, fade = Gap(10_000, 20_000), round(FADE * RATE)
    audio = 0.1 * noise(1, 40_000)
    # a decoder that says 1000 all over
    monkeypatch.setattr(vqvae, "inpaint", lambda v, known, *_: torch.full_like(known, 1000.0))
    as_it_is(monkeypatch)
    made = fill(infiller(vqvae, mlm, method=InfillMethod.tokens), audio, [gap])[0]
    assert (made.start, made.stop) == (gap.start - fade, gap.stop + fade)
    assert (made.samples[:, fade:-fade] == 1000).all()
    share = torch.arange(fade, 0, -1) / (fade + 1)
    for there, found, weight in (
        (audio[0, made.start : gap.start], made.samples[0, :fade], share),
        (audio[0, gap.stop : made.stop], made.samples[0, -fade:], share.flip(0)),
    ):
        expected = weight * there + (1 - weight**2).sqrt() * 1000
        assert torch.allclose(found, expected, rtol=1e-4)


def test_edges_are_what_goes_on_from_the_sides(
    vqvae: AnyVQVAE, mlm: MaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vqvae, "inpaint", lambda vectors, known, *_: torch.zeros_like(known))
    as_it_is(monkeypatch)
    audio = 0.1 * tone([330, 550], 60_000).sum(dim=0, keepdim=True)
    gap = Gap(20_000, 40_000)
    holed = audio.clone()
    holed[:, gap.start : gap.stop] = 0
    maker = infiller(vqvae, mlm)
    # tokens take its place
    maker.spectrogram = None
    made = fill(maker, holed, [gap])[0]
    true = audio[:, gap.start : gap.stop]
    for edge in (slice(0, 300), slice(-300, None)):
        error = (made.samples[:, edge] - true[:, edge]).square().mean()
        assert float(error / true.square().mean()) < 0.05
    assert (made.start, made.stop) == (gap.start, gap.stop)
    # where there is too little sound for an edge, a crossfade outside the gap stands in
    early = fill(maker, holed[:, gap.start - 500 :], [Gap(500, 20_500)])[0]
    assert (early.start, early.stop) == (500 - round(FADE * RATE), 20_500)
    # none of it without them
    plain = fill(infiller(vqvae, mlm, method=InfillMethod.tokens), holed, [gap])[0]
    assert not plain.samples[:, gap.start - plain.start :][:, : gap.length].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("milliseconds", "noisy", "method"),
    [
        (40, True, InfillMethod.ar),
        (110, True, InfillMethod.ar),
        (110, False, InfillMethod.ar),
        (130, False, InfillMethod.spectrogram),
        (550, False, AR_AND_TOKENS),
    ],
)
def test_the_method_suits_the_length_whatever_the_sound(
    vqvae: AnyVQVAE, mlm: MaskedLM, milliseconds: int, noisy: bool, method: str
) -> None:
    audio = 0.1 * tone(440, 40_000) + (0.01 if noisy else 1e-5) * noise(1, 40_000)
    gap = Gap(15_000, 15_000 + milliseconds * RATE // 1000)
    assert fill(infiller(vqvae, mlm), audio, [gap])[0].method == method


def test_the_candidates_go_through_the_model_together(
    vqvae: AnyVQVAE, mlm: MaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = gap_tokens.iterative_decode

    def counted(model: MaskedLM, ids: Tensor, *rest: object) -> Decoded:
        sizes.append(len(ids))
        return real(model, ids, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(gap_tokens, "iterative_decode", counted)
    maker = infiller(vqvae, mlm, method=InfillMethod.tokens, temperature=1.0, candidates=3)
    fill(maker, 0.1 * noise(2, 120_000), [Gap(10_000, 16_000), Gap(40_000, 46_000)])
    assert sizes == [6, 6]


@pytest.mark.slow
def test_a_channel_is_filled_as_if_it_were_alone(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio = 0.1 * noise(3, 60_000)
    gaps = [Gap(10_000, 11_000, (1,)), Gap(10_500, 25_000, (0, 2)), Gap(40_000, 41_000)]
    made = {f.gap: f for f in fill(infiller(vqvae, mlm), audio, gaps)}
    assert list(made) == gaps or sorted(made) == gaps
    for gap, rows, alone in (
        (gaps[0], [1], [Gap(10_000, 11_000), Gap(40_000, 41_000)]),
        (gaps[1], [0, 2], [Gap(10_500, 25_000), Gap(40_000, 41_000)]),
    ):
        filling = made[gap]
        assert (filling.channels, len(filling.samples)) == (gap.channels, len(rows))
        (same, _) = fill(infiller(vqvae, mlm), audio[rows], alone)
        assert torch.equal(filling.samples, same.samples)
    # the last one's neighbours are those of every channel
    assert made[gaps[2]].channels == ()
    assert made[gaps[2]].samples.shape == (3, 1000)


def test_fillings_come_in_the_order_of_their_first_samples(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    gaps = [Gap(20_000, 20_100, (0,)), Gap(20_050, 32_000, (1,)), Gap(50_000, 50_100)]
    made = fill(infiller(vqvae, mlm, method=InfillMethod.tokens), 0.1 * noise(2, 80_000), gaps)
    short = fill(infiller(vqvae, mlm), 0.1 * noise(2, 80_000), gaps)
    for fillings in (made, short):
        assert {filling.gap for filling in fillings} == set(gaps)
        starts = [filling.start for filling in fillings]
        assert starts == sorted(starts)
    # held no longer than needed
    asked: list[int] = []

    def fillings() -> Iterator[Filling]:
        for number, (start, gap) in enumerate(((100, gaps[0]), (90, gaps[1]), (500, gaps[2]))):
            asked.append(number)
            yield Filling(start, torch.zeros(1, 1), gap, InfillMethod.ar)

    ordered = module.sorted_by_start(fillings(), [80, 90, 500])
    assert [(next(ordered).start, len(asked)) for _ in range(3)] == [(90, 2), (100, 2), (500, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("method", [InfillMethod.auto, InfillMethod.tokens, InfillMethod.ar])
@pytest.mark.parametrize("length", [1000, 12_000])
def test_a_constant_offset_goes_on_through_the_gap(
    vqvae: AnyVQVAE, mlm: MaskedLM, method: str, length: int
) -> None:
    gap = Gap(100_000, 100_000 + length)
    sound = 0.005 * noise(2, 220_000)
    offset = torch.tensor([[0.2], [-0.1]])
    shifted = sound + offset
    shifted[:, gap.start : gap.stop] = 0
    plain = fill(infiller(vqvae, mlm, method=method), sound, [gap])[0]
    made = fill(infiller(vqvae, mlm, method=method), shifted, [gap])[0]
    assert (made.start, made.stop) == (plain.start, plain.stop)
    # the same filling, but for the offset
    assert (made.samples - plain.samples - offset).abs().mean() < 0.01
    means = made.samples.unfold(1, 500, 500).mean(dim=2)
    assert (means - offset).abs().max() < 0.05


def test_same_seed_same_filling_other_seed_another(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio, gaps = 0.1 * noise(1, 40_000), [Gap(10_000, 25_000)]
    first, again, other = (
        fill(infiller(vqvae, mlm, seed=seed, temperature=1.0), audio, gaps)[0].samples
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    # nothing is drawn without temperature_now
    cold, too = (fill(infiller(vqvae, mlm, seed=s), audio, gaps)[0].samples for s in (1, 2))
    assert torch.equal(cold, too)
    assert not torch.equal(cold, first)


def test_equal_channels_are_filled_equally(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio = 0.1 * torch.randn(1, 40_000).repeat(2, 1)
    maker = infiller(vqvae, mlm, candidates=3, temperature=1.0)
    patch = fill(maker, audio, [Gap(10_000, 20_000)])[0]
    assert torch.allclose(patch.samples[0], patch.samples[1], atol=1e-6)


@pytest.mark.parametrize(
    "gap", [Gap(0, 5000), Gap(35_000, 40_000)], ids=["at the start", "at the end"]
)
def test_gaps_at_the_ends(vqvae: AnyVQVAE, mlm: MaskedLM, gap: Gap) -> None:
    patch = fill(infiller(vqvae, mlm), 0.1 * torch.randn(1, 40_000), [gap])[0]
    assert patch.start <= gap.start
    assert patch.stop >= gap.stop
    assert patch.samples[:, 200:-200].abs().max() > 0


def test_a_gap_longer_than_the_window(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    window = mlm.config.window * 512
    audio = 0.1 * torch.randn(1, 3 * window)
    gap = Gap(window // 2, window // 2 + 2 * window)
    patch = fill(infiller(vqvae, mlm), audio, [gap])[0]
    assert patch.passes > 1
    assert fill(infiller(vqvae, mlm), audio, [Gap(window, window + 9000)])[0].passes == 1
    inside = patch.samples[:, gap.start - patch.start :][:, : gap.length]
    for part in inside.split(8192, dim=1):
        assert part.abs().max() > 0


@pytest.mark.slow
def test_what_the_gap_holds_does_not_matter(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio, gap = 0.1 * torch.randn(1, 40_000), Gap(10_000, 12_000)
    silent, broken = audio.clone(), audio.clone()
    silent[:, gap.start : gap.stop] = 0
    broken[:, gap.start : gap.stop] = torch.nan
    one, two = (fill(infiller(vqvae, mlm), a, [gap])[0].samples for a in (silent, broken))
    assert torch.equal(one, two)


@pytest.mark.parametrize("method", FILLS_GAPS)
def test_the_samples_in_memory_stay_as_they_are(
    vqvae: AnyVQVAE, mlm: MaskedLM, method: InfillMethod
) -> None:
    audio, gap = 0.1 * noise(2, 60_000), Gap(20_000, 30_000)
    before = audio.clone()
    fill(infiller(vqvae, mlm, method=method), audio, [gap])
    assert torch.equal(audio, before)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_rates(vqvae: AnyVQVAE, mlm: MaskedLM, rate: int) -> None:
    patch = fill(infiller(vqvae, mlm), 0.1 * torch.randn(2, rate), [Gap(2000, 4000)], rate)[0]
    assert patch.samples.shape[0] == 2
    assert patch.start <= 2000
    assert patch.stop >= 4000


def test_a_recording_that_is_all_gap(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    with pytest.raises(AudiomaskError, match="whole recording"):
        fill(infiller(vqvae, mlm), torch.zeros(1, 1000), [Gap(0, 1000)])
    with pytest.raises(AudiomaskError, match=r"whole channel is one gap \(number 2\)"):
        fill(infiller(vqvae, mlm), torch.zeros(2, 1000), [Gap(0, 1000, (1,))])


@pytest.mark.parametrize(
    "wrong",
    [{"method": "magic"}, {"steps": 0}, {"candidates": 0}, {"temperature": float("nan")}],
)
def test_settings_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        InfillSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0.25, 0.5, 1.0])
def test_long_autoregressive_fillings_keep_the_level(
    vqvae: AnyVQVAE, mlm: MaskedLM, seconds: float
) -> None:
    # what is extrapolated of partials in noise dies away
    partials = tone((330.0, 440.0, 1250.0), 4 * RATE).sum(dim=0)
    audio = 0.05 * (partials + 2 * noise(4 * RATE, seed=5))[None]
    gap = Gap(2 * RATE, 2 * RATE + round(seconds * RATE))
    (filling,) = fill(infiller(vqvae, mlm, method="ar"), audio, [gap])
    assert filling.method == InfillMethod.ar
    assert abs(filling.level) < 3
    joins = filling.samples[0, [0, -1]] - audio[0, [gap.start - 1, gap.stop]]
    assert joins.abs().max() < 3 * audio.std()
