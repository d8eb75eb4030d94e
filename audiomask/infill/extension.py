"""Extension: room before and after a recording, and whether its end runs into its beginning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.audio.files import AudioFile
from audiomask.audio.pcm import Raw
from audiomask.audio.source import AudioSource
from audiomask.errors import AudiomaskError
from audiomask.infill.autoregressive import burg, dithered
from audiomask.infill.gaps import Gap
from audiomask.infill.passages import SILENT, SILENT_SIDE
from audiomask.infill.splice import Patch

#: seconds of the longest extension, and of the longest bridge between a loop's end and beginning
LONGEST, LONGEST_BRIDGE = 600.0, 60.0
#: seconds of the end that is rewritten for a loop without a bridge
SEAM = 0.02
#: seconds of the shortest recording that can be extended
_SHORTEST = 0.1
#: seconds of the beginning that follow a loop's end in its view, and of new sound that is kept
_AGAIN, _KEPT = 4.0, 10.0
#: seconds beside a seam, and order of the model whose errors show whether it clicks
_SEAM_SIDE, _SEAM_ORDER = 0.1, 64


@dataclass(frozen=True)
class Extension:
    """What a recording is to be extended by.

    Attributes:
        before: samples that lead into its beginning.
        after: samples that continue its end.
        loop: whether the new end is to run into the beginning: by ``after`` samples of bridge, or
            else by a seam that replaces its last hundredths of a second.
    """

    before: int = 0
    after: int = 0
    loop: bool = False

    def check(self, source: AudioSource) -> None:
        """Raise AudiomaskError if the recording is too short to be extended."""
        if source.frames < _SHORTEST * source.sample_rate:
            seconds = source.frames / source.sample_rate
            raise AudiomaskError(
                f"{seconds:.3f} s are too short to be extended: it takes {_SHORTEST:g} s"
            )


class ExtendedSource:
    """A recording with room before and after it; what has been made of that is sound.

    In a loop the recording's beginning comes again after the room.

    Args:
        source: the recording.
        extension: the room.
    """

    def __init__(self, source: AudioSource, extension: Extension) -> None:
        self.source, self.extension = source, extension
        self.sample_rate, self.channels = source.sample_rate, source.channels
        again = round(_AGAIN * source.sample_rate) if extension.loop else 0
        self.again = min(again, source.frames)
        #: of the recording and the room, without the beginning that comes again
        self.length = extension.before + source.frames + extension.after
        self.frames = self.length + self.again
        self._made: list[Patch] = []

    @property
    def rooms(self) -> list[Gap]:
        """The gaps to be filled."""
        before, end = self.extension.before, self.length - self.extension.after
        spans = [(0, before), (end, self.length)]
        if self.extension.loop and not self.extension.after:
            spans = [(end - round(SEAM * self.sample_rate), end)]
        return [Gap(*span) for span in spans if span[0] < span[1]]

    def add(self, patch: Patch) -> None:
        """Take new samples for sound, as long as those that come next may ask for them."""
        near = round(_KEPT * self.sample_rate)
        self._made = [
            one
            for one in self._made
            if one.stop > patch.start - near and one.start < patch.stop + near
        ]
        self._made.append(patch)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) as float32 [C, stop - start]; zeros outside and where none are."""
        before = self.extension.before
        samples = self.source.read(start - before, stop - before)
        if self.again and stop > self.length:
            first = max(start, self.length)
            after = self.source.read(first - self.length, stop - self.length).clone()
            after[:, max(self.frames - first, 0) :] = 0
            samples = torch.cat((samples[:, : first - start], after), dim=1)
        for patch in self._made:
            first, last = max(patch.start, start), min(patch.stop, stop)
            if first < last:
                samples = samples.clone()
                samples[:, first - start : last - start] = patch.samples[
                    :, first - patch.start : last - patch.start
                ]
        return samples


class PaddedFile:
    """A file with silence before and after it, to be copied.

    Args:
        file: the file.
        extension: how much silence.
    """

    def __init__(self, file: AudioFile, extension: Extension) -> None:
        self.file, self._before = file, extension.before
        self.channels = file.channels
        self.frames = extension.before + file.frames + extension.after

    def read_raw(self, start: int, stop: int) -> Raw:
        """Samples [start, stop) as :meth:`audiomask.audio.files.AudioFile.read_raw` has them."""
        first, last = (min(max(at - self._before, 0), self.file.frames) for at in (start, stop))
        raw = self.file.read_raw(first, last)
        if len(raw) == stop - start:
            return raw
        silence = np.zeros((stop - start, self.channels), raw.dtype)
        at = first + self._before - start
        silence[at : at + len(raw)] = raw
        return silence


def runs_on(source: AudioSource) -> bool:
    """Whether a recording's end runs into its beginning as it is, without a click.

    A linear predictor's largest error over the seam is then no larger than elsewhere near it.
    """
    side = round(_SEAM_SIDE * source.sample_rate)
    end = source.read(max(source.frames - side, 0), source.frames).double()
    beginning = source.read(0, min(side, source.frames)).double()
    for parts in zip(end, beginning, strict=True):
        sound = torch.cat(parts)
        order = min(_SEAM_ORDER, len(sound) // 4)
        coefficients = burg(dithered(parts), order)
        errors = F.conv1d(sound[None, None], coefficients.flip(0)[None, None]).abs()[0, 0]
        seam = slice(len(parts[0]) - order, len(parts[0]))
        over = float(errors[seam].max())
        errors[seam] = 0
        if over > float(errors.max()):
            return False
    return True


def is_silent_at(source: AudioSource, end: bool) -> bool:
    """Whether a recording's last half second, or its first, is silence."""
    side = min(round(SILENT_SIDE * source.sample_rate), source.frames)
    start = source.frames - side if end else 0
    sound = source.read(start, start + side).nan_to_num(0.0, 0.0, 0.0)
    return float(sound.square().mean().sqrt()) < SILENT
