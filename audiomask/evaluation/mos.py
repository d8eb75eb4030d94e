"""Mean opinion scores of listeners for decoded audio, as predicted by ViSQOL and Zimtohrli.

ViSQOL runs in audio mode. Both take audio at 48 kHz and give scores from 1 (bad) to 5 (identical)
for one channel; the mean over the channels that are not silent is the score.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from torch import Tensor

from audiomask.audio.source import resample
from audiomask.errors import DataError
from audiomask.evaluation.metrics import SILENCE, level
from audiomask.runtime.dependencies import optional

#: sample rate of both predictors
_RATE = 48_000
#: ViSQOL compares patches of 0.6 s, the first of which begins at 0.3 s
LEAST_SECONDS = 1.0
TOO_SHORT = "shorter than a second, the least that ViSQOL judges"
#: the predictors, and titles of their tables
OPINIONS = {
    "visqol": "ViSQOL, predicted opinion from 1 to 5 (higher is better)",
    "zimtohrli": "Zimtohrli, predicted opinion from 1 to 5 (higher is better)",
}


class MOSPredictor:
    """Predicts mean opinion scores.

    Raises:
        DependencyError: ViSQOL or Zimtohrli is not installed.
    """

    def __init__(self) -> None:
        self._visqol = optional("visqol", "opinion", "--opinion").VisqolApi()
        self._visqol.create(mode="audio")
        self._zimtohrli = optional("zimtohrli", "opinion", "--opinion").mos_from_signals

    def scores(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> dict[str, float]:
        """The scores of ``OPINIONS`` for decoded audio and the original, both [C, T].

        Raises:
            DataError: a decoded channel is digital silence, or the original is silent.
            ValueError: they are shorter than ``LEAST_SECONDS``.
        """
        return {
            "visqol": self.visqol(decoded, audio, sample_rate),
            "zimtohrli": self.zimtohrli(decoded, audio, sample_rate),
        }

    def visqol(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> float:
        """ViSQOL's score, 4.73 at most; arguments and errors are those of ``scores``.

        It scales the decoded audio to the level of the original. So a wrong level does not change
        the score, and digital silence has none.
        """

        def judge(decoded: Tensor, audio: Tensor) -> float:
            pair = (audio.double().numpy(), decoded.double().numpy())
            score = float(self._visqol.measure_from_arrays(*pair, _RATE).moslqo)
            if math.isnan(score):
                raise DataError("the decoded sound is digital silence, which ViSQOL cannot judge")
            return score

        return _each_channel(judge, decoded, audio, sample_rate)

    def zimtohrli(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> float:
        """Zimtohrli's score, of audio of any length; arguments are those of ``scores``.

        Raises:
            DataError: the original is silent.
        """

        def judge(decoded: Tensor, audio: Tensor) -> float:
            return float(self._zimtohrli(audio.float().numpy(), decoded.float().numpy()))

        return _each_channel(judge, decoded, audio, sample_rate)


def _each_channel(
    judge: Callable[[Tensor, Tensor], float], decoded: Tensor, audio: Tensor, sample_rate: int
) -> float:
    """Mean score over the channels in which the original is not silent.

    Args:
        judge: the score of one decoded channel [n] and the original [n], at 48 kHz.
        decoded: [C, T].
        audio: the original, [C, T].
        sample_rate: of both.

    Raises:
        DataError: the original is silent.
    """
    pairs = zip(decoded, audio, strict=True)
    sounding = [(made, true) for made, true in pairs if level(true) >= SILENCE]
    if not sounding:
        raise DataError("silent in every channel, of which there is no opinion")
    return statistics.fmean(
        judge(*(resample(x[None], sample_rate, _RATE)[0] for x in pair)) for pair in sounding
    )
