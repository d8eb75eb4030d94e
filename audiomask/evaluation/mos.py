"""Opinion: what mos would say of a decoded sound, predicted as mean opinion scores.

ViSQOL in audio mode and Zimtohrli, both of sound at 48 kHz, from 1 (bad) to 5 (the same). Either
hears one channel: each is judged by itself, and the mean over those that sound is the score.
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

#: the only sample rate that both are made for
RATE = 48_000
#: ViSQOL judges stretches of 0.6 s, and the first begins 0.3 s in
LEAST_SECONDS = 1.0
TOO_SHORT = "shorter than a second, the least that ViSQOL judges"
#: who judges, and what the table is called
OPINIONS = {
    "visqol": "ViSQOL, predicted opinion from 1 to 5 (higher is better)",
    "zimtohrli": "Zimtohrli, predicted opinion from 1 to 5 (higher is better)",
}


class MOSPredictor:
    """Predicts opinions.

    Raises:
        DependencyError: what predicts them is not installed.
    """

    def __init__(self) -> None:
        self._visqol = optional("visqol", "opinion", "--opinion").VisqolApi()
        self._visqol.create(mode="audio")
        self._zimtohrli = optional("zimtohrli", "opinion", "--opinion").mos_from_signals

    def scores(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> dict[str, float]:
        """All opinions of ``OPINIONS`` on decoded audio beside the original, both [C, T].

        Raises:
            DataError: a decoded channel is digital silence, or the original is silent.
            ValueError: they are shorter than ``LEAST_SECONDS``.
        """
        return {
            "visqol": self.visqol(decoded, audio, sample_rate),
            "zimtohrli": self.zimtohrli(decoded, audio, sample_rate),
        }

    def visqol(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> float:
        """ViSQOL's opinion alone, 4.73 at most; arguments and errors as of ``scores``.

        It brings the decoded sound to the loudness of the original before it compares them, and
        so does not hear a wrong level, and has no opinion on digital silence.
        """

        def judge(decoded: Tensor, audio: Tensor) -> float:
            pair = (audio.double().numpy(), decoded.double().numpy())
            score = float(self._visqol.measure_from_arrays(*pair, RATE).moslqo)
            if math.isnan(score):
                raise DataError("the decoded sound is digital silence, which ViSQOL cannot judge")
            return score

        return each_channel(judge, decoded, audio, sample_rate)

    def zimtohrli(self, decoded: Tensor, audio: Tensor, sample_rate: int) -> float:
        """Zimtohrli's opinion alone, on sound of any length; arguments as of ``scores``.

        Raises:
            DataError: the original is silent.
        """

        def judge(decoded: Tensor, audio: Tensor) -> float:
            return float(self._zimtohrli(audio.float().numpy(), decoded.float().numpy()))

        return each_channel(judge, decoded, audio, sample_rate)


def each_channel(
    judge: Callable[[Tensor, Tensor], float], decoded: Tensor, audio: Tensor, sample_rate: int
) -> float:
    """Mean of what is judged of each channel that sounds.

    A channel in which the original is silent has no opinion that means anything.

    Args:
        judge: gets one decoded channel [n] and the original, at 48 kHz.
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
        judge(*(resample(x[None], sample_rate, RATE)[0] for x in pair)) for pair in sounding
    )
