"""Token cache: excerpts encoded once and kept on disk, so that steps need no encoder.

A folder ``tokens-<hash>`` has ``manifest.json``, with everything that decides the tokens (such as
the tokenizers' fingerprints), and one safetensors file for each excerpt. ``<hash>`` is that of the
manifest: tokens of other data, settings or tokenizers are in other folders. What is kept of an
excerpt, the task's ``TokenEncoder`` says.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from audiomask.checkpoint.store import write_json, write_tensors
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.sources import signature
from audiomask.errors import AudiomaskError, DataError, UsageError
from audiomask.runtime import distributed
from audiomask.runtime.console import progress_bars
from audiomask.training.batches import BatchSource, batch_source, to_device
from audiomask.training.run_setup import RunSetup
from audiomask.training.signals import leave_signals

_MANIFEST = "manifest.json"
#: excerpts encoded at once
_BATCH = 8


class TokenEncoder(Protocol):
    """What the cache asks of a task: how excerpts become tokens, and kept tokens a batch."""

    @property
    def seed(self) -> int:
        """Decides the order of each pass over the excerpts."""

    def settings(self) -> dict[str, Any]:
        """Settings that decide the tokens, beside tokenizers and data; for JSON."""

    def encode(self, excerpts: Excerpt, numbers: Tensor) -> dict[str, Tensor]:
        """What is kept of excerpts [B, …]: tensors [B, …] by name, of the types they are kept in.

        Args:
            excerpts: the excerpts.
            numbers: of the excerpts in the data, int64 [B].
        """

    def item(self, kept: Mapping[str, Tensor], index: int) -> Any:
        """Item ``index`` of the training data, made of what is kept of its excerpt.

        An excerpt is an item once in each pass, with another index each time.

        Raises:
            LookupError: something is not there.
        """

    def finish(self, batch: Any) -> Any:
        """The task's batch of collated items, on the device."""


class _Numbered:
    """The batch builder of a cache that is filled: excerpts' numbers and what is kept of them.

    Args:
        encoder: of the excerpts.
    """

    def __init__(self, encoder: TokenEncoder) -> None:
        self.encoder = encoder

    def sample(self, index: int) -> Tensor:
        """The number, in place of random numbers."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> dict[str, Tensor]:
        """What is kept of excerpts [B, …], and their numbers [B] as ``number``."""
        return self.encoder.encode(excerpts, sampled) | {"number": sampled}


class TokenCache(Dataset[Any]):
    """Encoded excerpts in a folder. Each pass over them has another random order.

    Args:
        folder: of all caches; this one is a folder below it.
        identity: everything that decides the tokens, for JSON: the tokenizers' fingerprints, the
            data's signature, and settings.
        items: number of excerpts.
        encoder: encodes them.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], items: int, encoder: TokenEncoder
    ) -> None:
        known = json.dumps(identity, sort_keys=True)
        self.identity, self.items, self.encoder = json.loads(known), items, encoder
        self.folder = folder / f"tokens-{hashlib.sha256(known.encode()).hexdigest()[:16]}"

    def __getitem__(self, index: int) -> Any:
        epoch, place = divmod(index, self.items)
        file = self.file(int(order(self.encoder.seed, epoch, self.items)[place]))
        try:
            return self.encoder.item(load_file(file), index)
        except (OSError, SafetensorError, LookupError) as error:
            raise DataError(f"{file}: not a readable excerpt ({error}); delete it") from error

    def file(self, number: int) -> Path:
        """The file of an excerpt."""
        return self.folder / f"{number:06d}.safetensors"

    def missing(self) -> list[int]:
        """The numbers of the excerpts that are not in the folder yet.

        Raises:
            DataError: the folder's manifest is damaged or of other tokens.
        """
        manifest = self.folder / _MANIFEST
        if not manifest.is_file():
            return list(range(self.items))
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{manifest}: not readable; delete {self.folder}") from error
        if found != self.identity:
            raise DataError(f"{manifest}: describes other tokens; delete {self.folder}")
        return [number for number in range(self.items) if not self.file(number).is_file()]

    def fill(
        self, dataset: InterleavedDataset, device: torch.device, workers: int
    ) -> Iterator[int]:
        """Encode the missing excerpts; yields the number of files after each batch.

        If it is interrupted, the files written are complete, and the next call makes the rest.

        Args:
            dataset: the excerpts; file ``n`` is of excerpt ``n``.
            device: of the tokenizers.
            workers: processes that make the excerpts.

        Raises:
            DataError: an excerpt cannot be made, or the folder cannot be written.
        """
        missing = self.missing()
        done = self.items - len(missing)
        yield done
        if not missing:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / _MANIFEST, self.identity)
            source = batch_source(dataset, _Numbered(self.encoder), device)
            loader: DataLoader[Any] = DataLoader(
                source.data,
                sampler=missing,
                batch_size=_BATCH,
                collate_fn=source.collate,
                num_workers=workers,
                worker_init_fn=leave_signals,
            )
            for arrived in loader:
                batch = source.finish(to_device(arrived, device))
                numbers = batch.pop("number").tolist()
                for row, number in enumerate(numbers):
                    kept = {name: part[row].cpu().contiguous() for name, part in batch.items()}
                    write_tensors(self.file(number), kept, {})
                done += len(numbers)
                yield done
        except (OSError, AudiomaskError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.folder}: cannot keep tokens there ({error})") from error


def open_cache(
    setup: RunSetup,
    fingerprints: Mapping[str, str],
    encoder: TokenEncoder,
    dataset: InterleavedDataset,
) -> BatchSource:
    """Batches of excerpts whose tokens are kept on disk; missing ones are encoded first.

    Args:
        setup: of the run; its options have ``keep_tokens``.
        fingerprints: of the tokenizers, by kind.
        encoder: encodes excerpts.
        dataset: the excerpts.

    Raises:
        UsageError: there is no folder to keep them in.
        DataError: the folder cannot be used.
    """
    options = setup.options
    assert options.keep_tokens is not None
    if options.cache is None:
        raise UsageError("--keep-tokens needs a folder to keep them in: add --cache DIR")
    identity = {
        **fingerprints,
        "data": signature(setup.sources),
        "seed": options.seed,
        "stems": list(setup.stems),
        "augmentation": dataclasses.asdict(setup.augmentation),
        **encoder.settings(),
    }
    cache = TokenCache(options.cache, identity, options.keep_tokens, encoder)
    shown = not options.quiet and distributed.rank() == 0
    with distributed.main_process_first(), progress_bars(shown=shown) as bar:
        line = bar.add_task("tokens", total=cache.items)
        for done in cache.fill(dataset, setup.device, options.workers):
            bar.update(line, completed=done)
    rate = dataset.sample_rate
    seconds = dataset.samples / rate
    return BatchSource(cache, finish=encoder.finish, seconds=seconds, sample_rate=rate)


@lru_cache(maxsize=2)
def order(seed: int, epoch: int, items: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The order of excerpts in one pass over the cache, int64 [items]."""
    return np.random.default_rng([seed, epoch, 3]).permutation(items)
