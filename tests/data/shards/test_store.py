"""Stores: that shards are fetched once, kept within bounds, and that what is broken is told."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from signals import tone

from audiomask.audio.slices import Slice
from audiomask.data.layouts import recognize
from audiomask.data.shards import store as stores
from audiomask.data.shards.address import Address, Shards
from audiomask.data.shards.packing import pack
from audiomask.data.shards.store import CachedRemoteStore, FolderStore, MemberReader
from audiomask.errors import DataError


def shards_at(text: Path | str) -> Shards:
    found = recognize(text).shards
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "RETRY_PAUSES", (0.0, 0.0))


def streamed(shards: Shards, keep: int = 3, folder: Path | None = None) -> CachedRemoteStore:
    return CachedRemoteStore(shards.address, shards.manifest.of("train"), keep, folder)


def test_a_shard_is_streamed_once_whoever_needs_it(
    packed: Path, server: Callable[..., object], tmp_path: Path
) -> None:
    running = server(packed)
    shards = shards_at(running.address)  # type: ignore[attr-defined]
    several = [streamed(shards, folder=tmp_path / "cache") for _ in range(4)]
    name = "train/000000.tar"
    got: list[bytes] = []

    def read(store: CachedRemoteStore) -> None:
        with store.open(name) as shard:
            got.append(shard.read())

    threads = [threading.Thread(target=read, args=(store,)) for store in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [(packed / name).read_bytes()] * 4
    assert running.asked.count(name) == 1  # type: ignore[attr-defined]


def test_what_is_kept_has_bounds(packed: Path, tmp_path: Path) -> None:
    shards = shards_at(f"pipe:cat {packed}/")
    store = streamed(shards, keep=3, folder=tmp_path / "cache")
    names = [shard.name for shard in shards.manifest.of("train")]
    assert len(names) > 5
    dead = tmp_path / "cache" / "train" / ".audiomask-0.part"
    dead.parent.mkdir(parents=True)
    dead.touch()
    os.utime(dead, (0, 0))
    with store.open(names[0]) as first:
        for name in names[1:]:
            store.open(names[1]).close()  # in use all the time
            store.open(name).close()
            assert len(list((tmp_path / "cache").rglob("*.tar"))) == min(names.index(name) + 1, 3)
            time.sleep(0.01)
        assert first.read() == (packed / names[0]).read_bytes()  # gone, but open
    kept = {path.name for path in (tmp_path / "cache").rglob("*.tar")}
    assert Path(names[1]).name in kept
    roomy = streamed(shards, keep=len(names), folder=tmp_path / "roomy")
    for name in names:
        roomy.open(name).close()
    assert len(list((tmp_path / "roomy").rglob("*.tar"))) == len(names)
    assert not dead.exists()


def test_the_next_shard_comes_in_the_background(packed: Path, tmp_path: Path) -> None:
    shards = shards_at(f"pipe:cat {packed}/")
    store = streamed(shards, folder=tmp_path / "cache")
    store.prefetch("train/000001.tar")
    until = time.monotonic() + 30
    while not (tmp_path / "cache" / "train" / "000001.tar").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_a_temporary_cache_goes_with_its_process(packed: Path) -> None:
    script = (
        "import sys, os\nfrom audiomask.data.layouts import recognize\n"
        "from audiomask.data.shards.store import CachedRemoteStore\n"
        "s = recognize(sys.argv[1]).shards\n"
        "store = CachedRemoteStore(s.address, s.manifest.of('train'), 3)\n"
        "store.open('train/000000.tar').close()\n"
        "if os.fork() == 0:\n    sys.exit()\n"  # a worker that ends takes nothing with it
        "os.wait()\n"
        "print(store.folder, len(list(store.folder.rglob('*.tar'))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"pipe:cat {packed}/"], capture_output=True, text=True
    )
    folder, number = done.stdout.split()
    assert number == "1"
    assert not Path(folder).exists()


def fetch(text: str, folder: Path) -> None:
    streamed(shards_at(text), folder=folder).open("train/000000.tar").close()


def test_processes_share_a_cache(
    packed: Path, server: Callable[..., object], tmp_path: Path
) -> None:
    running = server(packed)
    address = running.address  # type: ignore[attr-defined]
    context = multiprocessing.get_context("fork")
    several = [context.Process(target=fetch, args=(address, tmp_path / "cache")) for _ in range(2)]
    for process in several:
        process.start()
    for process in several:
        process.join()
        assert process.exitcode == 0
    assert running.asked.count("train/000000.tar") == 1  # type: ignore[attr-defined]


def test_a_stream_that_breaks_off_is_begun_again(
    packed: Path, server: Callable[..., object], tmp_path: Path
) -> None:
    running = server(packed)
    shards = shards_at(running.address)  # type: ignore[attr-defined]
    running.broken = 2  # type: ignore[attr-defined]
    with streamed(shards, folder=tmp_path / "cache").open("train/000000.tar") as shard:
        assert shard.read() == (packed / "train" / "000000.tar").read_bytes()
    running.broken = 3  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"http://.*train/000001\.tar: .*it ended too soon"):
        streamed(shards, folder=tmp_path / "cache").open("train/000001.tar")
    assert not (tmp_path / "cache" / "train" / "000001.tar").exists()
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_shard_of_another_size_is_refused(packed: Path, tmp_path: Path) -> None:
    # the manifest is shorter than that, the shards are longer
    shards = shards_at(f"pipe:head -c 400000 {packed}/")
    with pytest.raises(DataError, match=r"train/000000\.tar: is cut short: 400,000 bytes, not"):
        streamed(shards, folder=tmp_path / "cache").open("train/000000.tar")
    address = Address("x", "pipe:cat /dev/zero | head -c 3000000 #", True)
    with pytest.raises(DataError, match=r"is another than it was: 3,000,000 bytes, not"):
        streamed(Shards(address, shards.manifest), folder=tmp_path / "cache").open(
            "train/000000.tar"
        )


def test_a_cache_that_cannot_be_written(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    store = streamed(shards_at(f"pipe:cat {packed}/"), folder=tmp_path / "cache")
    with pytest.raises(DataError, match=r"cannot be kept .*; give another --cache"):
        store.open("train/000000.tar")
    store.try_fetch("train/000000.tar")  # in the background nothing is said


def test_a_damaged_member_is_named(packed: Path, tmp_path: Path) -> None:
    shards = shards_at(packed)
    shard = shards.manifest.of("train")[0]
    (member,) = shard.segments[0].stems["bass"]
    copy = tmp_path / "train" / "000000.tar"
    copy.parent.mkdir()
    whole = (packed / shard.name).read_bytes()
    address = Address("copy", f"{tmp_path}/", False)
    reader = MemberReader(FolderStore(address), address)
    copy.write_bytes(whole)
    assert reader.read(member, 0, 1000).shape == (1, 1000)
    zeros = b"\0" * 3_000
    copy.write_bytes(whole[: member.offset] + zeros + whole[member.offset + 3_000 :])
    with pytest.raises(DataError, match=r"train/000000\.tar: \d+\.bass\.flac is damaged"):
        reader.read(member, 0, 1000)
    middle = member.offset + member.size // 2
    copy.write_bytes(whole[:middle])
    with pytest.raises(DataError, match=r"train/000000\.tar: \d+\.bass\.flac: is "):
        reader.read(member, 0, 22_050)
    copy.unlink()
    with pytest.raises(DataError, match=r"train/000000\.tar: cannot be read \(No such file"):
        reader.read(member, 0, 1000)


def test_only_what_is_asked_for_is_read(packed: Path) -> None:
    shards = shards_at(packed)
    (member,) = shards.manifest.of("train")[0].segments[0].stems["bass"]
    folder = FolderStore(shards.address)
    with folder.open(member.shard) as shard:
        part = Slice(shard, member.offset, member.size)
        read = part.read()
        shard.seek(member.offset)
        assert read == shard.read(member.size)
        assert part.read(1) == b""
        assert part.seek(-4, os.SEEK_END) == part.tell() == member.size - 4
        assert len(part.read(100)) == 4
    audio = MemberReader(folder, shards.address).read(member, -100, 30_000)
    assert audio.shape == (1, 30_100)
    assert torch.equal(audio[:, :100], torch.zeros(1, 100))
    assert audio[:, 100:20_000].any()


def test_members_come_at_one_rate_and_at_their_level(
    tmp_path: Path, save: Callable[..., Path]
) -> None:
    sound = 3 * tone(440, 22_050, 22_050).numpy()[:, None]
    save(tmp_path / "in" / "song" / "guitar.wav", sound, "FLOAT", 22_050)
    pack([recognize(tmp_path / "in")], tmp_path / "out")
    shards = shards_at(tmp_path / "out")
    (member,) = shards.manifest.shards[0].segments[0].stems["guitar"]
    assert member.gain == 4
    audio = MemberReader(FolderStore(shards.address), shards.address).read(member, 0, 44_100)
    expected = 3 * tone(440, 44_100).numpy()
    assert np.abs(audio[0].numpy() - expected)[500:-500].max() < 1e-3
