"""Infill of recordings: how each gap is filled, and how its sound is spliced in.

Short gaps are interpolated by autoregressive models. Longer ones get their tokens from the masked
language model, in a dialogue: a gap asks for windows to be filled, and whoever runs it may answer
those of many gaps, and many recordings, at once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from audiomask.audio.gaps import Gap
from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.audio.splice import Patch, crossfade_bounds
from audiomask.errors import AudiomaskError
from audiomask.inference.edges import Extended, sides
from audiomask.inference.memory import Memory
from audiomask.inference.scene import Placed, Scene, envelope
from audiomask.inference.settings import AR, AUTO, TOKENS, InfillSettings
from audiomask.inference.short_gaps import FORESEEN, fill_short, foresight
from audiomask.mlm.decoding import Filled, Noise, fill
from audiomask.mlm.model import MaskedLM
from audiomask.vqvae import AnyVQVAE

#: known frames on each side whose sound must come out right, for what is in the gap to fit them
AROUND = 8
#: tokens between autoregressive edges
BLEND = "ar+tokens"
#: seconds of crossfade a side
FADE = 0.01
#: seconds of the longest gap that autoregressive models fill better than tokens, in any recording
#: and in one that can be foreseen (measured on 12 bands and 12 solos, by mel distance)
SHORT, LONGEST = 0.05, 0.1


@dataclass(frozen=True)
class Filling(Patch):
    """New samples for a gap and its crossfades.

    Attributes:
        gap: what they fill.
        method: how they were made, "ar", "tokens" or "ar+tokens".
        passes: how often the model looked; more than once for a gap longer than half its window.
    """

    gap: Gap
    method: str
    passes: int = 1


@dataclass(frozen=True)
class Request:
    """A window that a gap wants filled.

    Attributes:
        ids: codes or MASK [rows, levels, F]; the rows are the channels, once for each candidate.
        unknown: bool [F], true where codes are wanted.
        generator: of this gap alone.
        channels: of the recording.
    """

    ids: Tensor
    unknown: Tensor
    generator: torch.Generator
    channels: int


Dialogue = Generator[Request, Filled, Filling]


class Infiller:
    """Fills gaps of recordings.

    Args:
        vqvae, mlm: in evaluation mode, on ``device``.
        device: where they are.
        settings: how gaps are filled.
        at_once: how many gaps' windows the model is given together, where memory allows.
        memory: the device's, where what it holds at once is known already.
    """

    def __init__(
        self,
        vqvae: AnyVQVAE,
        mlm: MaskedLM,
        device: torch.device,
        settings: InfillSettings,
        at_once: int = 1,
        memory: Memory | None = None,
    ) -> None:
        self.vqvae, self.mlm, self.device = vqvae, mlm, device
        self.settings, self.at_once = settings, at_once
        self.memory = memory or Memory(device)
        self.rate, self.hop = vqvae.config.sample_rate, vqvae.config.hop_length

    def dialogues(self, source: AudioSource, gaps: Sequence[Gap]) -> list[Dialogue]:
        """The filling of every gap of a recording, none of them begun.

        Args:
            gaps: sorted and apart, as ``merge_gaps`` gives them.

        Raises:
            AudiomaskError: the gaps leave nothing of the recording.
        """
        if sum(gap.length for gap in gaps) >= source.frames:
            raise AudiomaskError("the whole recording is one gap: there is nothing to go by")
        fades = crossfade_bounds(gaps, source.frames, round(FADE * source.sample_rate))
        return [
            self.dialogue(source, gap, gaps, both) for gap, both in zip(gaps, fades, strict=True)
        ]

    def dialogue(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fades: tuple[int, int]
    ) -> Dialogue:
        """The filling of one gap.

        Args:
            gaps: all the recording's, so that no other is taken for sound.
            fades: samples of its crossfades on the left and the right.
        """
        method = self.settings.method
        if method == AUTO:
            method = AR if suits(source, gap, gaps) else TOKENS
        if method == TOKENS:
            return (yield from self.from_tokens(source, gap, gaps, fades))
        return Filling(gap.start, fill_short(source, gap, gaps), gap, AR)

    def from_tokens(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fades: tuple[int, int]
    ) -> Dialogue:
        """A gap filled with what its guessed tokens sound like.

        With the "auto" method its edges are autoregressive, and the crossfades lie in the gap; but
        for a side with too little sound to go on with.
        """
        unsure, inner, method = gap, gap, TOKENS
        if self.settings.method == AUTO:
            source = Extended(source, gap, gaps)
            unsure, inner, method = source.unsure, source.inner, BLEND
            fades = (inner.start - gap.start or fades[0], gap.stop - inner.stop or fades[1])
        gaps = [unsure if other == gap else other for other in gaps]
        scene = Scene.around(source, unsure, gaps, self.vqvae.config, self.mlm.config.window)
        samples = scene.samples.to(self.device)

        def compute(start: int, stop: int) -> Tensor:
            return self.vqvae.encode(samples[start:stop])

        with torch.inference_mode():
            codes = torch.cat(self.memory.parts("channels", 0, len(samples), compute))
            vectors = self.vqvae.vectors(codes)
        # copies: what inference mode made cannot be changed outside it
        codes, vectors = codes[:, : self.mlm.config.levels].clone(), vectors.clone()
        passes = yield from self.guess(codes, vectors, scene, gap)
        weight = scene.weight(inner, fades).to(self.device)
        near = scene.near(self.vqvae.config.reach + AROUND)
        span = slice(near.start * self.hop, near.stop * self.hop)
        with torch.inference_mode():
            made = self.vqvae.between(
                vectors[:, near],
                samples[:, span],
                weight[span],
                scene.first - near.start,
                scene.last - near.start,
            ).cpu()
        placed = Placed(made, self.rate, scene.offset + span.start)
        start, stop = inner.start - fades[0], inner.stop + fades[1]
        filled = ResampledSource(placed, source.sample_rate).read(start, stop)
        there = source.read(start, stop)
        # 0 * NaN is NaN: what the gap holds must not be multiplied
        there[:, fades[0] : fades[0] + inner.length] = 0
        share = envelope(stop - start, *fades)
        # powers add up to one: noise is not alike on both sides, and would sink between them
        samples = share * there + (1 - share.square()).sqrt() * filled
        return Filling(start, samples, gap, method, passes)

    def guess(
        self, codes: Tensor, vectors: Tensor, scene: Scene, gap: Gap
    ) -> Generator[Request, Filled, int]:
        """Fill a gap's codes and vectors in place; returns in how many passes.

        A gap of more than half the model's window is filled in passes from left to right.
        Other unknown frames are masked while that happens.

        Args:
            codes: [C, levels, F].
            vectors: [C, F, D].
            scene: whose frames they are.
            gap: which gap; with the seed, it decides the filling.
        """
        window, channels = self.mlm.config.window, codes.shape[0]
        candidates = self.settings.candidates
        generator = torch.Generator().manual_seed((self.settings.seed << 20) ^ gap.start)
        unknown = scene.unknown.to(codes.device)
        portions = torch.split(torch.arange(scene.first, scene.last), max(window // 2, 1))
        for portion in portions:
            first, last = int(portion[0]), int(portion[-1]) + 1
            low = max(min(first - (window - (last - first)) // 2, len(unknown) - window), 0)
            view = slice(low, low + window)
            inside = torch.zeros_like(unknown[view])
            inside[first - low : last - low] = True
            ids = torch.where(unknown[view], self.mlm.vocabulary.mask, codes[..., view])
            filled = yield Request(ids.repeat(candidates, 1, 1), inside, generator, channels)
            best = int(filled.score.view(candidates, channels).mean(dim=1).argmax())
            rows = slice(best * channels, (best + 1) * channels)
            codes[..., first:last] = filled.ids[rows, :, first - low : last - low]
            vectors[:, first:last] = filled.vectors[rows, first - low : last - low]
            unknown[first:last] = False
        return len(portions)

    def answer(self, requests: Sequence[Request]) -> list[Filled]:
        """Fill windows, as many at once as there is room for."""
        states = [request.generator.get_state() for request in requests]

        def compute(start: int, stop: int) -> list[Filled]:
            # what failed has drawn from them: fillings must not depend on that
            for request, state in zip(requests[start:stop], states[start:stop], strict=True):
                request.generator.set_state(state)
            return self.fill(requests[start:stop])

        parts = self.memory.parts("windows", 0, len(requests), compute)
        return [filled for part in parts for filled in part]

    def fill(self, requests: Sequence[Request]) -> list[Filled]:
        """Fill windows, those of one length together."""
        answers: dict[int, Filled] = {}
        # without any heat nothing is drawn: every level is what is to be expected
        drawn = None if self.settings.temperature else 0
        lengths = {request.ids.shape[-1] for request in requests}
        for length in sorted(lengths):
            numbers = [n for n, r in enumerate(requests) if r.ids.shape[-1] == length]
            some = [requests[number] for number in numbers]
            sizes = [len(request.ids) for request in some]
            noise = Noise([(r.generator, len(r.ids), r.channels) for r in some])
            filled = fill(
                self.mlm,
                torch.cat([request.ids for request in some]),
                torch.cat([r.unknown.expand(len(r.ids), -1) for r in some]),
                self.settings.steps,
                self.settings.temperature,
                noise,
                drawn,
            )
            parts = zip(*(torch.split(part, sizes) for part in filled), strict=True)
            answers |= dict(zip(numbers, map(Filled._make, parts), strict=True))
        return [answers[number] for number in range(len(requests))]

    def run(self, dialogues: Iterable[Dialogue]) -> Iterator[Filling]:
        """Carry dialogues on, ``at_once`` of them side by side; what they come to, in order."""
        waiting = iter(dialogues)
        while some := list(islice(waiting, self.at_once)):
            found: dict[int, Filling] = {}
            asked: dict[int, Request] = {}
            answers: dict[int, Filled | None] = dict.fromkeys(range(len(some)))
            while answers:
                for number, answer in answers.items():
                    try:
                        # a generator that has not begun takes None
                        asked[number] = some[number].send(answer)  # type: ignore[arg-type]
                    except StopIteration as end:
                        found[number] = end.value
                answers = dict(zip(asked, self.answer(list(asked.values())), strict=True))
                asked = {}
            yield from (found[number] for number in range(len(some)))


def suits(source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> bool:
    """Whether autoregressive models fill a gap better than tokens, by its length and its sides."""
    seconds = gap.length / source.sample_rate
    if not SHORT < seconds <= LONGEST:
        return seconds <= SHORT
    return foresight(*sides(source, gap, gaps)) >= FORESEEN
