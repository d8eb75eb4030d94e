"""Settings of separation."""

from enum import StrEnum


class SeparationMethod(StrEnum):
    """How stems are made.

    "mask" shares the recording's own spectrum out among them; "tokens" decodes each from its
    predicted tokens alone, as the paper does.
    """

    mask = "mask"
    tokens = "tokens"
