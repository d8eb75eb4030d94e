"""Settings of separation."""

from enum import StrEnum


class SeparationMethod(StrEnum):
    """How stems are separated.

    "mask" applies the masks of the mask U-Net to the recording's spectrum. "wiener" applies Wiener
    masks from the power of the stems' predicted tokens, decoded. "tokens" decodes these tokens
    alone, as the paper does.
    """

    mask = "mask"
    wiener = "wiener"
    tokens = "tokens"


class Quality(StrEnum):
    """Quality and time of separation by masks.

    "fast" has windows that overlap little. "best" averages the masks of four passes: as it is,
    shifted by half a hop, and transposed by a semitone up and down.
    """

    fast = "fast"
    normal = "normal"
    best = "best"
