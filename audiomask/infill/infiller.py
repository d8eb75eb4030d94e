"""Infill of recordings: the method for each gap, and its filling.

Short gaps are interpolated by autoregressive models. Longer ones get a passage of the recording
whose surroundings are like theirs. Where none matches, the masked language model predicts tokens,
which are decoded in phase with the sound on both sides and brought to its level.
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
from audiomask.infill.gaps import Gap
from audiomask.infill.leveling import limit_peaks, match_level, peak_ceiling, relative_level
from audiomask.infill.passages import Passage
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.short_gaps import fill_short
from audiomask.infill.splice import Patch, crossfade_bounds, sorted_by_start
from audiomask.infill.transplant import transplant
from audiomask.infill.views import ChannelView, without_dc
from audiomask.networks.mlm.decoding import PerRecordingNoise, iterative_decode
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
        method: "ar", "passage", "tokens", "ar+tokens", "lm" or "stems".
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
        vqvae, mlm: models in evaluation mode, on ``device``. Without an MLM there are no tokens.
        device: where they are.
        settings: how gaps are filled.
        batches: batch sizes that the device is known to hold, if any.
    """

    def __init__(
        self,
        vqvae: AnyVQVAE,
        mlm: MaskedLM | None,
        device: torch.device,
        settings: InfillSettings,
        batches: AdaptiveBatches | None = None,
    ) -> None:
        self.vqvae, self.mlm, self.device = vqvae, mlm, device
        self.settings = settings
        config = vqvae.config if mlm is None else mlm.config
        #: of tokens that are predicted, and frames beside a gap that are read for it
        self.levels, self.reach = config.levels, 0 if mlm is None else mlm.config.window // 2
        self.batches = batches or AdaptiveBatches(device)
        self.rate, self.hop = vqvae.config.sample_rate, vqvae.config.hop_length

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
        chooser = MethodChooser(source, gaps, self.settings, other)
        made = (
            self.fill_gap(source, gap, gaps, f, chooser.choose(gap))
            for gap, f in zip(gaps, fades, strict=True)
        )
        starts = [gap.start - left for gap, (left, _) in zip(gaps, fades, strict=True)]
        return sorted_by_start(made, starts)

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

    def _fill_with_tokens(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fades: tuple[int, int]
    ) -> Filling:
        """The filling of a gap by its predicted tokens, decoded.

        Unless the method is "tokens" and there is sound outside for crossfades, its edges are
        autoregressive and the crossfades lie in the gap; except on a side with too little sound to
        extrapolate.
        """
        uncertain, inner, method = gap, gap, str(InfillMethod.tokens)
        others = gaps
        if self.settings.seeks_passages or not any(fades):
            source = EdgeExtendedSource(source, gap, gaps)
            uncertain, inner, method = source.uncertain_span, source.inner, AR_AND_TOKENS
            fades = (inner.start - gap.start or fades[0], gap.stop - inner.stop or fades[1])
        gaps = [uncertain if other == gap else other for other in gaps]
        context = GapContext.around(source, uncertain, gaps, self.vqvae.config, 2 * self.reach)
        samples = context.samples.to(self.device)

        def compute(start: int, stop: int) -> Tensor:
            return self.vqvae.encode(samples[start:stop])

        with torch.inference_mode():
            codes = torch.cat(self.batches.map("channels", 0, len(samples), compute))
            vectors = self.vqvae.vectors(codes)
        # copies: inference tensors cannot be changed outside inference mode
        codes, vectors = codes[:, : self.levels].clone(), vectors.clone()
        passes = self._predict_gap_tokens(codes, vectors, context, gap)
        weight = context.weight(inner, fades).to(self.device)
        near = context.near(self.vqvae.config.reach + _CONTEXT_FRAMES)
        span = slice(near.start * self.hop, near.stop * self.hop)
        with torch.inference_mode():
            made = self.vqvae.inpaint(
                vectors[:, near],
                samples[:, span],
                weight[span],
                context.first - near.start,
                context.last - near.start,
            ).cpu()
        placed = OffsetSource(made, self.rate, context.offset + span.start)
        start, stop = inner.start - fades[0], inner.stop + fades[1]
        filled = ResampledSource(placed, source.sample_rate).read(start, stop)
        filled = self._match_level(filled, Gap(start, stop), source, gap, others)
        there = source.read(start, stop).clone()
        # 0 * NaN would be NaN
        there[:, fades[0] : fades[0] + inner.length] = 0
        share = envelope(stop - start, *fades)
        # equal-power crossfade: the noise of both sides is uncorrelated
        samples = share * there + (1 - share.square()).sqrt() * filled
        return Filling(start, samples, gap, method, passes, channels=gap.channels)

    def _match_level(
        self, made: Tensor, span: Gap, source: AudioSource, gap: Gap, gaps: Sequence[Gap]
    ) -> Tensor:
        """What was decoded, at the level of its surroundings: see ``leveling.match_level``."""
        return match_level(made, span, source, gap, gaps)

    def _predict_gap_tokens(
        self, codes: Tensor, vectors: Tensor, context: GapContext, gap: Gap
    ) -> int:
        """Fill a gap's codes and vectors in place; returns the number of windows.

        A gap of more than half the model's window is filled in parts from left to right, other
        unknown frames masked. All candidates are one batch.

        Args:
            codes: [C, levels, F].
            vectors: code vectors [C, F, D].
            context: the frames' context.
            gap: the gap; its start and the seed decide the random numbers.
        """
        assert self.mlm is not None
        window, channels = self.mlm.config.window, codes.shape[0]
        candidates = self.settings.candidates
        # at temperature 0 no level is sampled: all get expected vectors
        sampled_levels = None if self.settings.temperature else 0
        generator = torch.Generator().manual_seed((self.settings.seed << 20) ^ gap.start)
        unknown = context.unknown.to(codes.device)
        portions = torch.split(torch.arange(context.first, context.last), max(window // 2, 1))
        for portion in portions:
            first, last = int(portion[0]), int(portion[-1]) + 1
            low = max(min(first - (window - (last - first)) // 2, len(unknown) - window), 0)
            view = slice(low, low + window)
            inside = torch.zeros_like(unknown[view])
            inside[first - low : last - low] = True
            ids = torch.where(unknown[view], self.mlm.vocabulary.mask, codes[..., view])
            rows = candidates * channels
            filled = iterative_decode(
                self.mlm,
                ids.repeat(candidates, 1, 1),
                inside.expand(rows, -1),
                self.settings.steps,
                self.settings.temperature,
                PerRecordingNoise([(generator, rows, channels)]),
                sampled_levels,
            )
            best = int(filled.score.view(candidates, channels).mean(dim=1).argmax())
            chosen = slice(best * channels, (best + 1) * channels)
            codes[..., first:last] = filled.ids[chosen, :, first - low : last - low]
            vectors[:, first:last] = filled.vectors[chosen, first - low : last - low]
            unknown[first:last] = False
        return len(portions)
