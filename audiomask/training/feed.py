"""Feed: what a training loop reads, and which part of making it is whose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset, default_collate

from audiomask.training.data.blend import Blend, Finished, Finisher, Numbered, Work, collate_raw


def unchanged(batch: Any) -> Any:
    """The batch as it is."""
    return batch


@dataclass(frozen=True)
class Feed:
    """Items and how they become batches.

    Attributes:
        data: the items, by index.
        collate: makes a batch of items, in the loader's workers.
        finish: makes it what the model takes, once it is on the device.
    """

    data: Dataset[Any]
    collate: Callable[[list[Any]], Any] = default_collate
    finish: Callable[[Any], Any] = unchanged


def feed_of(blend: Blend, work: Work, device: torch.device) -> Feed:
    """A feed of excerpts for a device: a GPU plays the bands itself, in no time; otherwise the
    loader's workers do it beside the training.
    """
    numbered = Numbered(blend, work)
    if device.type == "cpu":
        return Feed(numbered, Finished(blend, work))
    return Feed(numbered, collate_raw, Finisher(blend, work, device))
