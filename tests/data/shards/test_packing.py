"""Packing: that nothing is lost, mixed up or half written, however often it is interrupted."""

import errno
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import webdataset
from signals import tone, uniform_noise

from audiomask.data.layouts import recognize
from audiomask.data.shards.manifest import Manifest, Segment
from audiomask.data.shards.packing import pack
from audiomask.data.sources import Source
from audiomask.errors import AudiomaskError, DataError

RATE = 44_100
Save = Callable[..., Path]


def sounds(out: Path, segment: Segment) -> dict[str, npt.NDArray[np.float64]]:
    """The samples of a segment's members, [n, C], read by their places in the shard."""
    found = {}
    for what, member in segment.members.items():
        with (out / member.shard).open("rb") as shard:
            shard.seek(member.offset)
            data, rate = soundfile.read(io.BytesIO(shard.read(member.size)), always_2d=True)
        assert rate == segment.sample_rate
        found[what] = data * member.gain
    return found


def segments(manifest: Manifest) -> list[Segment]:
    return [segment for shard in manifest.shards for segment in shard.segments]


def whole(out: Path, manifest: Manifest, song: str, what: str) -> npt.NDArray[np.float64]:
    """A stem of a song, put together again."""
    pieces = sorted((s for s in segments(manifest) if s.name == song), key=lambda s: s.start)
    ends = [round((s.start + s.seconds) * s.sample_rate) for s in pieces]
    assert [round(s.start * s.sample_rate) for s in pieces] == [0, *ends[:-1]]
    return np.concatenate([sounds(out, piece)[what] for piece in pieces])


def tree(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_sample_of_every_stem_comes_back(songs: Path, tmp_path: Path) -> None:
    made = pack([recognize(songs)], tmp_path / "out", seconds=0.5, shard_bytes=400_000)
    assert made.manifest.complete
    names = {segment.name for segment in segments(made.manifest)}
    assert len(names) == 12
    for name in names:
        folder = songs / name
        stems = {"guitar": ("guitar 1", "guitar 2"), "bass": ("bass",), "drums": ("drums",)}
        for stem, files in stems.items():
            if not (folder / f"{files[0]}.wav").exists():
                continue
            read = [soundfile.read(folder / f"{file}.wav", always_2d=True)[0] for file in files]
            back = whole(made.folder, made.manifest, name, stem)
            assert np.array_equal(back, sum(read[1:], read[0]))


def test_24_bits_stay_and_floats_get_them(save: Save, tmp_path: Path) -> None:
    fine = uniform_noise(48_000, 2)
    folder = tmp_path / "musdb" / "train" / "A Song"
    for name in ("mixture", "drums", "bass", "vocals"):
        file = save(folder / f"{name}.wav", fine, "PCM_24", 48_000)
    fine = soundfile.read(file)[0]
    save(folder / "other.wav", fine / 3, "DOUBLE", 48_000)
    made = pack([recognize(tmp_path / "musdb")], tmp_path / "out")
    (segment,) = segments(made.manifest)
    assert not made.manifest.complete
    assert set(segment.stems) == {"drums", "bass", "other", "vocals"}  # their sum is the mixture
    assert (segment.sample_rate, segment.seconds) == (48_000, 1.0)
    found = sounds(made.folder, segment)
    assert np.array_equal(found["drums"], fine)
    assert np.abs(found["other"] - fine / 3).max() <= 2.0**-23


def test_what_goes_beyond_full_scale_is_not_clipped(save: Save, tmp_path: Path) -> None:
    noise = uniform_noise(RATE, 1, level=1)
    noise[:2, 0] = (-1, 1)
    for number in (1, 2, 3):
        save(tmp_path / "in" / "song" / f"guitar {number}.wav", noise)
    file = save(tmp_path / "in" / "song" / "bass.wav", noise)
    noise = soundfile.read(file, always_2d=True)[0]  # as 16 bits hold it
    save(tmp_path / "in" / "song" / "drums.wav", 700 * noise, "FLOAT")
    made = pack([recognize(tmp_path / "in")], tmp_path / "out")
    (segment,) = segments(made.manifest)
    found = sounds(made.folder, segment)
    assert np.array_equal(found["guitar"], 3 * noise)
    assert np.array_equal(found["bass"], noise)
    assert np.abs(found["drums"] - 700 * noise).max() < 700 * 2**-22
    gains = {stem: member.gain for stem, member in segment.members.items()}
    assert gains == {"guitar": 4, "bass": 1, "drums": 1024}


def test_rates_and_channels_that_differ_in_a_song(save: Save, tmp_path: Path) -> None:
    fast, slow = (0.5 * tone(440, n, n).numpy()[:, None] for n in (RATE, RATE // 2))
    save(tmp_path / "in" / "song" / "guitar.wav", fast)
    surround = np.tile(slow, 6) * [0.0, 0.2, 0.1, 0.4, 0.2, 0.6]
    save(tmp_path / "in" / "song" / "bass.wav", surround, "PCM_24", RATE // 2)
    made = pack([recognize(tmp_path / "in")], tmp_path / "out")
    (segment,) = segments(made.manifest)
    found = sounds(made.folder, segment)
    assert segment.sample_rate == RATE
    assert found["bass"].shape == (RATE, 2)
    middle = slice(5_000, -5_000)
    for channel, factor in enumerate((0.1, 0.4)):
        difference = found["bass"][middle, channel] - factor * found["guitar"][middle, 0]
        assert np.abs(difference).max() < 1e-3


def test_no_song_is_in_two_splits_and_neighbours_differ(packed: Path, songs: Path) -> None:
    shards = recognize(packed).shards
    assert shards is not None
    expected = {track.name: track.split for track in recognize(songs).tracks}
    for split in ("train", "validation", "test"):
        order = [s.name for shard in shards.manifest.of(split) for s in shard.segments]
        assert dict.fromkeys(order, split) == {
            name: place for name, place in expected.items() if place == split
        }
        assert all(one != two for one, two in itertools.pairwise(order))
    assert len(shards.manifest.of("train")) > 5


def test_webdataset_reads_them(packed: Path) -> None:
    shards = recognize(packed).shards
    assert shards is not None
    for shard in shards.manifest.shards:
        data = webdataset.WebDataset(str(packed / shard.name), shardshuffle=False)
        for sample, segment in zip(data, shard.segments, strict=True):
            entry = json.loads(sample["json"])
            assert entry["song"] == segment.name
            assert set(entry["stems"]) == set(segment.stems)
            assert {f"{stem}.flac" for stem in segment.stems} < sample.keys()
            (member,) = segment.stems["bass"]
            assert len(sample["bass.flac"]) == member.size


def test_recordings(save: Save, tmp_path: Path) -> None:
    noise = uniform_noise(3 * RATE, 2)
    file = save(tmp_path / "in" / "a b.c.wav", noise)
    save(tmp_path / "in" / "lossy.ogg", noise, "VORBIS")
    made = pack([recognize(tmp_path / "in")], tmp_path / "out", seconds=1.0)
    assert {tuple(segment.members) for segment in segments(made.manifest)} == {("mixture",)}
    back = whole(made.folder, made.manifest, "a b.c", "mixture")
    assert np.array_equal(back, soundfile.read(file)[0])
    assert len(segments(made.manifest)) == 6


def test_the_manifest_says_what_there_is(packed: Path) -> None:
    entries = json.loads((packed / "shards.json").read_text())
    train = entries["splits"]["train"]
    # songs of 1, 1.5, 2 and 2.5 s, twice
    assert (train["songs"], train["samples"], train["seconds"]) == (8, 28, 14.0)
    assert train["stems"] == {"bass": 28, "drums": 11, "guitar": 28}
    assert train["shards"] == len(list((packed / "train").glob("*.tar")))
    assert entries["origin"]["seconds"] == 0.5
    assert not (packed / "unfinished.json").exists()
    assert [shard["size"] for shard in entries["shards"]] == [
        (packed / shard["name"]).stat().st_size for shard in entries["shards"]
    ]
    sizes = [shard["size"] for shard in entries["shards"]]
    assert max(sizes) < 800_000
    assert min(sizes[:5]) >= 400_000


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("after", [1, 14, 31])
def test_interrupted_packing_goes_on_to_the_same_bytes(
    songs: Path, packed: Path, tmp_path: Path, after: int
) -> None:
    def stop(done: int, total: int) -> None:
        if done == after:
            raise Interrupted

    source, out = recognize(songs), tmp_path / "out"
    settings = {"seconds": 0.5, "shard_bytes": 400_000}
    with pytest.raises(Interrupted):
        pack([source], out, **settings, progress=stop)
    assert not (out / "shards.json").exists()
    assert not list(out.rglob(".*"))
    for shard in out.rglob("*.tar"):
        assert shard.read_bytes() == (packed / shard.relative_to(out)).read_bytes()
    kept = {shard: shard.stat().st_ino for shard in out.rglob("*.tar")}
    assert bool(kept) == (after > 1)
    with pytest.raises(DataError, match="was interrupted; give the same --pack again"):
        recognize(out)
    told: list[tuple[int, int]] = []
    pack([source], out, **settings, progress=lambda done, total: told.append((done, total)))
    assert tree(out) == tree(packed)
    assert {shard: shard.stat().st_ino for shard in kept} == kept  # not written again
    assert told[-1] == (42, 42)
    assert sorted(told) == told


@pytest.mark.slow
def test_a_kill_leaves_whole_shards(songs: Path, packed: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from audiomask.data.layouts import recognize\n"
        "from audiomask.data.shards.packing import pack\n"
        "source, out = recognize(Path(sys.argv[1])), Path(sys.argv[2])\n"
        "pack([source], out, seconds=0.5, shard_bytes=400_000, threads=1,\n"
        "     progress=lambda done, total: time.sleep(0.05))\n"
    )
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", script, str(songs), str(out)])
    until = time.monotonic() + 60
    while len(list(out.glob("train/*.tar"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (out / "train" / ".audiomask-0123.part").write_bytes(b"x")
    whole = {path: path.read_bytes() for path in out.glob("train/*.tar")}
    assert len(whole) >= 2
    last = max(whole)
    last.write_bytes(whole[last][:-20_000])  # as a disk without power may leave it
    pack([recognize(songs)], out, seconds=0.5, shard_bytes=400_000)
    assert tree(out) == tree(packed)


def test_what_is_packed_is_not_packed_again(songs: Path, packed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in packed.rglob("*")}
    made = pack([recognize(songs)], packed, seconds=0.5, shard_bytes=400_000)
    assert {path: path.stat().st_mtime_ns for path in packed.rglob("*")} == before
    shards = recognize(packed).shards
    assert shards is not None
    assert made.manifest == shards.manifest


def test_another_packing_is_refused(songs: Path, packed: Path, tmp_path: Path) -> None:
    source = recognize(songs)
    with pytest.raises(DataError, match="other songs, or packed with other settings"):
        pack([source], packed, seconds=0.6, shard_bytes=400_000)
    fewer = replace(source, tracks=source.tracks[:3])
    with pytest.raises(DataError, match="other songs, or packed with other settings"):
        pack([fewer], packed, seconds=0.5, shard_bytes=400_000)
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(DataError, match="is not empty"):
        pack([source], tmp_path)
    with pytest.raises(DataError, match="is a file"):
        pack([source], tmp_path / "thesis.txt")
    with pytest.raises(AudiomaskError, match="too small"):
        pack([source], tmp_path / "new", seconds=0)
    with pytest.raises(DataError, match="is packed already"):
        pack([recognize(packed)], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_only_songs_of_a_kind_are_packed(
    bank: Path, songs: Path, slakh: Callable[..., Path], save: Save, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="note bank are not packed"):
        pack([recognize(bank)], tmp_path / "out")
    for name in ("mixture", "drums", "bass", "other", "vocals"):
        save(tmp_path / "musdb" / "train" / "A Song" / f"{name}.wav", np.zeros((RATE, 2)))
    save(tmp_path / "recordings" / "a.wav", np.zeros((RATE, 1)))
    for other in ("musdb", "recordings"):
        with pytest.raises(DataError, match="pack each into its own folder"):
            pack([recognize(songs), recognize(tmp_path / other)], tmp_path / "out")
    both = [recognize(songs), recognize(slakh({"S00": (25, False)}))]
    made = pack(both, tmp_path / "out")
    names = {segment.name for segment in segments(made.manifest)}
    assert {name for name in names if name.startswith("slakh/")} == {"slakh/Track00001"}
    assert len({name for name in names if name.startswith(f"{songs.name}/")}) == 12


def break_song(source: Source, number: int) -> str:
    """Damage one file of a song after it was found; returns the song's name."""
    (file,) = source.tracks[number].stems["bass"]
    file.write_text("no audio")
    return source.tracks[number].name


def test_an_unreadable_song_is_named_once_and_left_out(
    save: Save, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        for stem in ("guitar", "bass"):
            noise = uniform_noise(2 * RATE, 1, level=0.3, seed=number)
            save(tmp_path / "in" / f"song {number}" / f"{stem}.wav", noise)
    source = recognize(tmp_path / "in")
    bad = break_song(source, 1)
    made = pack([source], tmp_path / "out", seconds=0.5)
    assert made.left_out == (bad,)
    assert {segment.name for segment in segments(made.manifest)} == {"song 0", "song 2"}
    assert len(segments(made.manifest)) == 8
    (message,) = (record.getMessage() for record in caplog.records)
    assert "song 1/bass.wav: is text, not audio; what cannot be read" in message
    (out := tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="song 1: could not be read; nothing is packed"):
        pack([replace(source, tracks=source.tracks[1:2])], out)
    assert not (out / "shards.json").exists()


def test_a_full_disk_is_told_and_packing_goes_on_later(
    songs: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, added = tarfile.TarFile.addfile, 0

    def full(self: tarfile.TarFile, *given: object) -> None:
        nonlocal added
        added += 1
        if added > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        add(self, *given)  # type: ignore[arg-type]

    source, out = recognize(songs), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", full)
        with pytest.raises(DataError, match=r"No space left.*pack again to go on") as caught:
            pack([source], out, seconds=0.5, shard_bytes=400_000)
    assert "\n" not in str(caught.value)
    assert list(out.rglob("*.tar"))
    pack([source], out, seconds=0.5, shard_bytes=400_000)
    assert tree(out) == tree(packed)


def test_the_seed_decides_the_order(songs: Path, packed: Path, tmp_path: Path) -> None:
    made = pack([recognize(songs)], tmp_path / "out", seconds=0.5, shard_bytes=400_000, seed=1)
    shards = recognize(packed).shards
    assert shards is not None
    one, two = segments(made.manifest), segments(shards.manifest)
    places = [[(s.name, s.start) for s in found] for found in (one, two)]
    assert places[0] != places[1]
    assert sorted(places[0]) == sorted(places[1])
