"""Set-up of a run: its device, configuration and data, without its model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.console import Console

from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.excerpt import Elsewhere
from audiomask.data.interleave import BatchBuilder, InterleavedDataset
from audiomask.data.layouts import recognize
from audiomask.data.open import open_data
from audiomask.data.sources import Source
from audiomask.data.survey import show
from audiomask.errors import UsageError
from audiomask.runtime import distributed
from audiomask.runtime.device import has_bfloat16
from audiomask.training.batches import BatchSource, batch_source
from audiomask.training.config import TrainConfig
from audiomask.training.options import TrainOptions


@dataclass(frozen=True)
class RunSetup:
    """The device, configuration and data of a run.

    Attributes:
        options: of the run.
        device: this process's.
        train_config: what is computed.
        augmentation: of recorded tracks.
        sources: the data found.
        stems: names of the stems of excerpts.
        samples: length of an excerpt.
        sample_rate: of the excerpts, the same as the model's.
        need_stems: whether sources that do not separate the stems are refused.
        channels: of the excerpts.
        recordings: whether recordings are allowed beside others nonetheless.
        elsewhere: a second passage at the end of excerpts; None for none.
    """

    options: TrainOptions
    device: torch.device
    train_config: TrainConfig
    augmentation: Augmentation
    sources: Sequence[Source]
    stems: Sequence[str]
    samples: int
    sample_rate: int
    need_stems: bool
    channels: int = 1
    recordings: bool = False
    elsewhere: Elsewhere | None = None

    def open(self, split: str) -> InterleavedDataset:
        """The excerpts of a split, with augmentation if it is the train split.

        Raises:
            DataError: there are none, or they lack the stems.
        """
        training = split == "train"
        with distributed.main_process_first():
            return open_data(
                self.sources,
                self.stems,
                self.samples,
                self.options.seed if training else 0,
                sample_rate=self.sample_rate,
                split=split,
                augmentation=self.augmentation if training else NONE,
                cache=self.options.cache,
                need_stems=self.need_stems,
                channels=self.channels,
                recordings=self.recordings,
                elsewhere=self.elsewhere,
            )

    def validation(self, builder: BatchBuilder) -> BatchSource | None:
        """Batches of the validation split, if there is one."""
        found = any(source.counts()["validation"] for source in self.sources)
        return batch_source(self.open("validation"), builder, self.device) if found else None


def prepare(options: TrainOptions) -> None:
    """Check the run's folder, and set the number of threads.

    Raises:
        UsageError: the folder holds another run, and --resume was not asked for.
    """
    fresh = not (options.resume or options.dry_run)
    if fresh and (options.out / "state.safetensors").exists():
        raise UsageError(f"{options.out}: holds a run already; --resume it or name another folder")
    if options.threads:
        torch.set_num_threads(options.threads)


def survey(options: TrainOptions) -> list[Source]:
    """Find the data in the folders, and print a table of it on stderr.

    Raises:
        DataError: a folder is of no known layout.
    """
    sources = [recognize(place) for place in options.data]
    if not options.quiet and distributed.rank() == 0:
        show(sources, Console(stderr=True))
    return sources


def precision_of(name: str, device: torch.device) -> str:
    """The number format of a name: for ``auto`` the fastest that is safe on the device."""
    if name != "auto":
        return name
    if has_bfloat16(device):
        return "bf16"
    # older GPUs are faster in half precision, with scaled gradients, than in float32
    return "fp16" if device.type == "cuda" else "fp32"
