"""Settings of separation."""

from enum import StrEnum


class SeparationMethod(StrEnum):
    """How stems are made.

    "mask" shares the recording's own spectrum out by the mask U-Net. "wiener" does so by the power
    of the stems' tokens, as the language model predicts them. "tokens" decodes those tokens alone,
    as the paper does.
    """

    mask = "mask"
    wiener = "wiener"
    tokens = "tokens"


class Quality(StrEnum):
    """How much is done for the masks.

    "fast" lets windows overlap little. "best" looks four times, half a hop earlier and a semitone
    higher and lower as well, and takes the mean.
    """

    fast = "fast"
    normal = "normal"
    best = "best"
