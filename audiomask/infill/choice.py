"""The choice of a method for each gap, and of the passage that it is filled with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audiomask.audio.source import AudioSource
from audiomask.infill.gaps import Gap
from audiomask.infill.passages import Passage, PassageFinder
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.views import ChannelView, like

#: seconds of the longest gap that autoregressive models fill better than anything else
AR_SECONDS = 0.12
#: seconds, from and to, of gaps that "auto" has the spectrogram model fill where no passage
#: matches: it was measured to be nearer than tokens up to half a second
SPECTROGRAM_SECONDS = (AR_SECONDS, 0.5)


def kinds_needed(settings: InfillSettings) -> tuple[str, ...]:
    """The kinds of models that fillings of these settings cannot do without."""
    if settings.method == InfillMethod.spectrogram:
        return ("spectrogram",)
    if settings.method == InfillMethod.wave:
        return ("wave",)
    return ("vqvae", "mlm")


def tries_spectrogram(settings: InfillSettings) -> bool:
    """Whether some gaps are filled by a spectrogram model where there is one.

    Not where tokens are to be drawn: it draws nothing.
    """
    return settings.seeks_passages and settings.temperature == 0 and SPECTROGRAM_SECONDS[1] > 0


@dataclass(frozen=True)
class Choice:
    """How a gap is to be filled.

    Attributes:
        method: any but "auto".
        passages: the best passages found, the best first; none where they were not looked for.
        passage: the one to take, if the method is "passage".
        origin: the recording that it is in, with the gap's channels alone.
    """

    method: InfillMethod
    passages: tuple[Passage, ...] = ()
    passage: Passage | None = None
    origin: AudioSource | None = None

    def goes_by_stem(self, settings: InfillSettings) -> bool:
        """Whether the gap is filled stem by stem.

        Of "auto" only gaps are that nothing better is found for: where a passage of the whole
        matches, its stems are together as they were played.
        """
        matched = settings.method == InfillMethod.auto and self.passage is not None
        return settings.by_stem and self.method != InfillMethod.ar and not matched


class MethodChooser:
    """Chooses how the gaps of a recording are filled. No model is needed for that.

    Args:
        source: the recording.
        gaps: all its gaps.
        settings: of the infill.
        other: another recording that passages may come from.
        spectrogram: whether there is a spectrogram model that "auto" may choose.
    """

    def __init__(
        self,
        source: AudioSource,
        gaps: Sequence[Gap],
        settings: InfillSettings,
        other: AudioSource | None = None,
        spectrogram: bool = False,
    ) -> None:
        self.source, self.gaps, self.settings, self.other = source, list(gaps), settings, other
        self.spectrogram = spectrogram and tries_spectrogram(settings)
        self._finders: dict[tuple[int, ...], PassageFinder] = {}

    def choose(self, gap: Gap, whole: Gap | None = None) -> Choice:
        """How to fill one of the gaps.

        Args:
            gap: the gap, or as much of it as a passage has to fill.
            whole: the gap where that is a part of it.
        """
        method = InfillMethod(self.settings.method)
        if method not in (InfillMethod.auto, InfillMethod.passage):
            return Choice(method)
        automatic = method == InfillMethod.auto
        if automatic and gap.length <= AR_SECONDS * self.source.sample_rate:
            return Choice(InfillMethod.ar)
        finder = self._finder(gap.channels)
        found = finder.find(gap)
        if automatic:  # the others are offered after those that match
            found.sort(key=lambda passage: not passage.matches)
        if not found or (automatic and not found[0].matches):
            return Choice(self._generator(whole or gap))
        chosen = found[min(self.settings.choice, len(found)) - 1]
        origin = finder.other if chosen.foreign else finder.source
        offered = max(self.settings.candidates, self.settings.choice)
        return Choice(InfillMethod.passage, tuple(found[:offered]), chosen, origin)

    def _generator(self, gap: Gap) -> InfillMethod:
        """What makes the sound of a gap that no passage matches."""
        low, high = SPECTROGRAM_SECONDS
        fits = low < gap.length / self.source.sample_rate <= high
        return InfillMethod.spectrogram if self.spectrogram and fits else InfillMethod.tokens

    def _finder(self, channels: tuple[int, ...]) -> PassageFinder:
        """The finder for some channels; it keeps what it has computed of the recording."""
        if channels not in self._finders:
            other = None if self.other is None else like(self.other, self.source)
            source = self.source
            if channels:
                source = ChannelView(source, channels)
                other = None if other is None else ChannelView(other, channels)
            there = Gap(0, 1, channels)
            gaps = [gap for gap in self.gaps if gap.shares_channel(there)]
            # few recordings have gaps in many combinations of channels
            if len(self._finders) > 1:
                self._finders.pop(next(iter(self._finders)))
            self._finders[channels] = PassageFinder(source, gaps, other)
        return self._finders[channels]
