"""Infill of recordings: the method for each gap, and its filling.

Short gaps are interpolated by autoregressive models. Longer ones get a passage of the recording
whose surroundings are like theirs. Where none matches, the masked language model predicts tokens,
which are decoded in phase with the sound on both sides and brought to its level; or the spectrogram
model predicts magnitudes, or the raw-audio model draws samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.errors import AudiomaskError, UsageError
from audiomask.infill.choice import AR_SECONDS, Choice, MethodChooser
from audiomask.infill.context import GapContext, OffsetSource, envelope
from audiomask.infill.edges import EdgeExtendedSource
from audiomask.infill.gap_tokens import predict_gap_tokens
from audiomask.infill.gaps import Gap
from audiomask.infill.leveling import limit_peaks, match_level, peak_ceiling, relative_level
from audiomask.infill.passages import Passage
from audiomask.infill.ranking import Ranker
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.short_gaps import fill_short
from audiomask.infill.spectrogram import SpectrogramFiller
from audiomask.infill.splice import Patch, crossfade_bounds, sorted_by_start
from audiomask.infill.transplant import transplant
from audiomask.infill.views import ChannelView, without_dc
from audiomask.infill.wave import WaveFiller
from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.vqvae import AnyVQVAE
from audiomask.runtime.memory import AdaptiveBatches

#: known frames a side that are decoded with the gap, to propagate phases from
_CONTEXT_FRAMES = 8
#: the method of tokens between autoregressive edges
AR_AND_TOKENS = "ar+tokens"
#: seconds of crossfade a side
FADE = 0.01


@dataclass(frozen=True)
class StemFilling:
    """How one stem of a gap was filled.

    Attributes:
        name: the stem's.
        method: as a filling's.
        passage: what it was filled with, if with a passage.
    """

    name: str
    method: str
    passage: Passage | None = None


@dataclass(frozen=True)
class Filling(Patch):
    """New samples for a gap and its crossfades.

    Attributes:
        gap: the gap.
        method: "ar", "passage", "tokens", "ar+tokens", "spectrogram", "wave", "lm" or "stems".
        passes: windows of the model that were needed: several for a gap longer than half a window.
        passage: what the gap was filled with, if with a passage.
        passages: the best passages found, the best first, as many as the settings ask for.
        level: of its middle third against the half second on each side, in dB; NaN in silence.
        stems: how each stem was filled, if the method is "stems".
    """

    gap: Gap
    method: str
    passes: int = 1
    passage: Passage | None = None
    passages: tuple[Passage, ...] = ()
    level: float = math.nan
    stems: tuple[StemFilling, ...] = ()


class Infiller:
    """Fills gaps of recordings.

    Args:
        vqvae, mlm: models in evaluation mode, on ``device``; None where no gap is filled with
            tokens.
        device: where they are.
        settings: how gaps are filled.
        batches: batch sizes that the device is known to hold, if any.
        spectrogram, wave: fill gaps with a spectrogram model, and with a raw-audio model; None
            where no gap is filled so.
        ranking: chooses among drawn fillings where it can; the likeliest is taken when None.
    """

    def __init__(
        self,
        vqvae: AnyVQVAE | None,
        mlm: MaskedLM | None,
        device: torch.device,
        settings: InfillSettings,
        batches: AdaptiveBatches | None = None,
        spectrogram: SpectrogramFiller | None = None,
        ranking: Ranker | None = None,
        wave: WaveFiller | None = None,
    ) -> None:
        self.vqvae, self.mlm, self.device = vqvae, mlm, device
        self.settings, self.spectrogram = settings, spectrogram
        self.ranking, self.wave = ranking, wave
        self.batches = batches or AdaptiveBatches(device)

    def fill(
        self, source: AudioSource, gaps: Sequence[Gap], other: AudioSource | None = None
    ) -> Iterator[Filling]:
        """The fillings of a recording's gaps, each computed when it is asked for.

        Args:
            source: the recording.
            gaps: as ``merge_gaps`` gives them.
            other: another recording that passages may come from.

        Yields:
            Fillings in the order of their first samples.

        Raises:
            AudiomaskError: the gaps leave nothing of a channel.
            UsageError: the method is "lm", which fills no gaps.
        """
        if self.settings.method == InfillMethod.lm:
            raise UsageError("--method lm continues recordings, and fills no gaps: add --after")
        channels = source.channels
        for channel in range(channels):
            holes = [gap.length for gap in gaps if channel in gap.channel_numbers(channels)]
            if sum(holes) >= source.frames:
                whole = "recording" if all(not gap.channels for gap in gaps) else "channel"
                where = "" if whole == "recording" else f" (number {channel + 1})"
                raise AudiomaskError(
                    f"the whole {whole} is one gap{where}: there is no sound around it"
                )
        fades = crossfade_bounds(gaps, source.frames, round(FADE * source.sample_rate), channels)
        chooser = self.chooser(source, gaps, other)
        made = (
            self.fill_gap(source, gap, gaps, f, chooser.choose(gap))
            for gap, f in zip(gaps, fades, strict=True)
        )
        starts = [gap.start - left for gap, (left, _) in zip(gaps, fades, strict=True)]
        return sorted_by_start(made, starts)

    def chooser(
        self, source: AudioSource, gaps: Sequence[Gap], other: AudioSource | None = None
    ) -> MethodChooser:
        """What chooses how a recording's gaps are filled, by the models that are here."""
        return MethodChooser(source, gaps, self.settings, other, self.spectrogram is not None)

    def fill_gap(
        self,
        source: AudioSource,
        gap: Gap,
        gaps: Sequence[Gap],
        fades: tuple[int, int],
        choice: Choice,
    ) -> Filling:
        """The filling of one gap, from its own channels with their DC offset removed.

        Args:
            source: the recording.
            gap: the gap.
            gaps: all gaps of the recording, none of which is read as sound.
            fades: samples of its crossfades on the left and the right.
            choice: how it is filled.
        """
        if gap.channels:
            source = ChannelView(source, gap.channels)
        gaps = [other for other in gaps if other.shares_channel(gap)]
        view = without_dc(source, gap, gaps)
        filling = self._fill_as_chosen(source if view is None else view, gap, gaps, fades, choice)
        samples = filling.samples
        inside = samples[:, gap.start - filling.start :][:, : gap.length]
        level = relative_level(inside, source if view is None else view, gap, gaps)
        if view is not None:
            samples = samples + view.offset(filling.start, filling.stop)
        samples = limit_peaks(samples, peak_ceiling(source, gap, gaps), source.sample_rate)
        return replace(filling, samples=samples, level=level)

    def _fill_as_chosen(
        self,
        source: AudioSource,
        gap: Gap,
        gaps: Sequence[Gap],
        fades: tuple[int, int],
        choice: Choice,
    ) -> Filling:
        """The filling of a gap in all channels of the source."""
        if choice.method == InfillMethod.ar:
            samples = fill_short(source, gap, gaps)
            if gap.length > AR_SECONDS * source.sample_rate:
                # what is extrapolated so far has died away
                samples = match_level(samples, gap, source, gap, gaps, faded=True)
            return Filling(gap.start, samples, gap, InfillMethod.ar, channels=gap.channels)
        if choice.method == InfillMethod.spectrogram:
            return self._fill_with_spectrogram(source, gap, gaps)
        if choice.method == InfillMethod.wave:
            return self._fill_with_samples(source, gap, gaps)
        if choice.passage is None:
            return self._fill_with_tokens(source, gap, gaps, fades)
        foreign = choice.passage.foreign
        origin = choice.origin if foreign else source
        assert origin is not None
        patch = transplant(source, gap, gaps, choice.passage, origin, fades)
        return Filling(
            patch.start,
            patch.samples,
            gap,
            InfillMethod.passage,
            passage=choice.passage,
            passages=choice.passages,
            channels=gap.channels,
        )

    def _fill_with_spectrogram(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> Filling:
        """The filling of a gap by predicted magnitudes; by linear prediction where none are."""
        assert self.spectrogram is not None
        samples, passes = self.spectrogram.fill(source, gap, gaps)
        method = InfillMethod.spectrogram
        if not passes:
            # what is extrapolated dies away, while the level is part of what is predicted
            method = InfillMethod.ar
            samples = match_level(samples, gap, source, gap, gaps, faded=True)
        return Filling(gap.start, samples, gap, method, max(passes, 1), channels=gap.channels)

    def _fill_with_samples(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> Filling:
        """The filling of a gap by drawn samples, the best of several if they are asked for."""
        assert self.wave is not None
        ranking = self._ranking(source, gap, gaps)
        fillings = []
        for number in range(1 if ranking is None else self.settings.candidates):
            samples = self.wave.fill(source, gap, gaps, number)
            # what is drawn may die away
            samples = match_level(samples, gap, source, gap, gaps, faded=True)
            fillings.append(
                Filling(gap.start, samples, gap, InfillMethod.wave, channels=gap.channels)
            )
        return self._best(ranking, source, gap, gaps, fillings)

    def _ranking(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> Ranker | None:
        """What chooses among several fillings of a gap; None where nothing can, or there is one."""
        if not self.settings.draws_several or self.ranking is None:
            return None
        return self.ranking if self.ranking.fits(source, gap, gaps) else None

    def _best(
        self,
        ranking: Ranker | None,
        source: AudioSource,
        gap: Gap,
        gaps: Sequence[Gap],
        fillings: Sequence[Filling],
    ) -> Filling:
        """The filling that a ranking finds best; the only one without a ranking."""
        if ranking is None:
            return fillings[0]
        scores = ranking.scores(source, gap, gaps, fillings)
        return fillings[scores.index(max(scores))]

    def _fill_with_tokens(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fades: tuple[int, int]
    ) -> Filling:
        """The filling of a gap by its predicted tokens, decoded.

        Unless the method is "tokens" and there is sound outside for crossfades, its edges are
        autoregressive and the crossfades lie in the gap; except on a side with too little sound to
        extrapolate.
        """
        assert self.vqvae is not None
        vqvae, rate, hop = self.vqvae, self.vqvae.config.sample_rate, self.vqvae.config.hop_length
        uncertain, inner, method = gap, gap, str(InfillMethod.tokens)
        others = gaps
        if self.settings.seeks_passages or not any(fades):
            source = EdgeExtendedSource(source, gap, gaps)
            uncertain, inner, method = source.uncertain_span, source.inner, AR_AND_TOKENS
            fades = (inner.start - gap.start or fades[0], gap.stop - inner.stop or fades[1])
        gaps = [uncertain if other == gap else other for other in gaps]
        context = GapContext.around(source, uncertain, gaps, vqvae.config, 2 * self.reach)
        samples = context.samples.to(self.device)

        def compute(start: int, stop: int) -> Tensor:
            return vqvae.encode(samples[start:stop])

        with torch.inference_mode():
            codes = torch.cat(self.batches.map("channels", 0, len(samples), compute))
            vectors = vqvae.vectors(codes)
        ranking = self._ranking(source, gap, others)
        number = 1 if ranking is None else self.settings.candidates
        # copies: inference tensors cannot be changed outside inference mode
        codes = codes[:, : self.levels].repeat(number, 1, 1)
        vectors = vectors.repeat(number, 1, 1)
        passes = self._predict_gap_tokens(codes, vectors, context, gap)
        weight = context.weight(inner, fades).to(self.device)
        near = context.near(vqvae.config.reach + _CONTEXT_FRAMES)
        span = slice(near.start * hop, near.stop * hop)
        start, stop = inner.start - fades[0], inner.stop + fades[1]
        there = source.read(start, stop).clone()
        # 0 * NaN would be NaN
        there[:, fades[0] : fades[0] + inner.length] = 0
        share = envelope(stop - start, *fades)
        fillings = []
        for drawn in torch.split(vectors, len(samples)):
            with torch.inference_mode():
                made = vqvae.inpaint(
                    drawn[:, near],
                    samples[:, span],
                    weight[span],
                    context.first - near.start,
                    context.last - near.start,
                ).cpu()
            placed = OffsetSource(made, rate, context.offset + span.start)
            filled = ResampledSource(placed, source.sample_rate).read(start, stop)
            filled = self._match_level(filled, Gap(start, stop), source, gap, others)
            # equal-power crossfade: the noise of both sides is uncorrelated
            mixed = share * there + (1 - share.square()).sqrt() * filled
            fillings.append(Filling(start, mixed, gap, method, passes, channels=gap.channels))
        return self._best(ranking, source, gap, others, fillings)

    @property
    def levels(self) -> int:
        """Levels of tokens that are predicted."""
        assert self.mlm is not None
        return self.mlm.config.levels

    @property
    def reach(self) -> int:
        """Frames on each side of a gap that are read to predict its tokens."""
        assert self.mlm is not None
        return self.mlm.config.window // 2

    def _match_level(
        self, made: Tensor, span: Gap, source: AudioSource, gap: Gap, gaps: Sequence[Gap]
    ) -> Tensor:
        """What was decoded, at the level of its surroundings: see ``leveling.match_level``."""
        return match_level(made, span, source, gap, gaps)

    def _predict_gap_tokens(
        self, codes: Tensor, vectors: Tensor, context: GapContext, gap: Gap
    ) -> int:
        """Fill a gap's codes and vectors in place: see ``gap_tokens.predict_gap_tokens``."""
        assert self.mlm is not None
        return predict_gap_tokens(self.mlm, self.settings, codes, vectors, context, gap)
