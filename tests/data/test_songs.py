"""Songs: which excerpts are taken of tracks on disk, and that they vary as the settings say."""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
from signals import tone, uniform_noise
from torch.utils.data import DataLoader

from audiomask.audio.files import AudioFile
from audiomask.audio.source import ResampledSource
from audiomask.data.augmentation import NONE, Augmentation
from audiomask.data.excerpt import Excerpt
from audiomask.data.songs import DurationWeightedSampler, TrackDataset
from audiomask.data.tracks import Track
from audiomask.errors import DataError

RATE = 44_100
STEMS = ("guitar", "bass")
#: excerpts that statistics are taken of
MANY = 400

Audio = npt.NDArray[np.float64]
Write = Callable[..., Track]


def noise(samples: int, channels: int = 1, seed: int = 0) -> Audio:
    return uniform_noise(samples, channels, level=0.3, seed=seed)


def items(
    tracks: Sequence[Track],
    augmentation: Augmentation = NONE,
    samples: int = 50,
    stems: Sequence[str] = STEMS,
    count: int = MANY,
    seed: int = 0,
) -> list[Excerpt]:
    data = TrackDataset(tracks, stems, samples, seed, augmentation)
    return [only_channel(data[index]) for index in range(count)]


def only_channel(item: Excerpt) -> Excerpt:
    """A mono excerpt without its channel dimension."""
    mixture, stems, has_stems = item
    return Excerpt(mixture.squeeze(0), stems.squeeze(1), has_stems)


def levels(excerpts: Sequence[Excerpt]) -> torch.Tensor:
    """[I, S + 1]: the stems' constants, in proportion to each other: levels are drawn anew."""
    return torch.stack([item.stems[:, 0] for item in excerpts])


def only(**settings: float) -> Augmentation:
    return replace(NONE, **settings)


@pytest.mark.slow
def test_as_recorded_it_is_the_files_own_samples(write: Write) -> None:
    parts = {part: noise(RATE, 1 + number % 2, number) for number, part in
             enumerate(("guitar", "bass", "drums", "voice"))}  # fmt: skip
    track = write("song", **parts)
    whole = {}
    for part, (file,) in track.stems.items():
        with AudioFile(file) as audio:
            whole[part] = audio.read(0, RATE).mean(dim=0)
    expected = torch.stack([whole["guitar"], whole["bass"], whole["drums"] + whole["voice"]])
    starts = set()
    for mixture, stems, has_stems in items([track], samples=1_000, count=20):
        start = int((expected[0].unfold(0, 1_000, 1) == stems[0]).all(dim=1).nonzero()[0])
        starts.add(start)
        assert torch.equal(stems, expected[:, start : start + 1_000])
        assert torch.equal(mixture, stems.sum(dim=0))
        assert has_stems
        assert has_stems.dtype == torch.bool
    assert len(starts) == 20
    assert min(starts) < RATE / 5
    assert max(starts) > 3 * RATE / 5


def test_several_files_of_a_stem_are_summed(write: Write) -> None:
    track = write("song", a=0.125, b=0.25, bass=0.5)
    both = track.stems["a"] + track.stems["b"]
    track = replace(track, stems={"guitar": both, "bass": track.stems["bass"]})
    assert levels(items([track], count=1)).tolist() == [[0.375, 0.5, 0]]


def test_the_rest_is_what_was_not_asked_for(write: Write) -> None:
    track = write("song", guitar=0.125, bass=0.25, drums=0.5, other=1.0)
    for stems, expected in (
        (("bass",), [0.25, 1.625]),
        (("other", "drums"), [1.0, 0.5, 0.375]),
        (("flute",), [0.0, 1.875]),
    ):
        assert levels(items([track], stems=stems, count=1)).tolist() == [expected]


def test_a_song_shorter_than_the_excerpt_is_padded(write: Write) -> None:
    track = write("song", guitar=0.5, seconds=0.01)
    item = items([track], samples=1_000, count=1)[0]
    assert (item.stems[0, :441] == 0.5).all()
    assert not item.stems[0, 441:].any()
    # a song that is long enough never is
    track = write("longer", guitar=0.5, seconds=0.02)
    assert all((item.stems[0] == 0.5).all() for item in items([track], samples=881))


def test_longer_songs_are_drawn_more_often(write: Write) -> None:
    tracks = [write("long", guitar=0.25, seconds=3.0), write("short", guitar=0.5)]
    share = float((levels(items(tracks))[:, 0] == 0.25).float().mean())
    assert share == pytest.approx(0.75, abs=0.06)
    with pytest.raises(DataError, match="has no duration"):
        DurationWeightedSampler([replace(tracks[0], seconds=0.0)])


@pytest.mark.slow
def test_rates_and_channels_may_differ_in_a_song(write: Write) -> None:
    slow_tone, fast_tone = (
        tone(440, rate, rate, torch.float64).numpy()[:, None] for rate in (22_050, 48_000)
    )
    slow = write("slow", rate=22_050, guitar=0.5 * slow_tone)
    fast = write("fast", rate=48_000, bass=0.25 * np.hstack([fast_tone, fast_tone]))
    track = replace(slow, stems={**slow.stems, **fast.stems})
    item = items([track], samples=20_000, count=1)[0]
    # the same sine at the same time, once resampled
    assert torch.allclose(item.stems[0], 2 * item.stems[1], atol=1e-3)
    assert float(item.stems[0].abs().max()) == pytest.approx(0.5, abs=1e-3)
    with AudioFile(slow.stems["guitar"][0]) as file:
        whole = ResampledSource(file, RATE).read(0, RATE)[0]
    windows = whole.unfold(0, 20_000, 1)
    assert float((windows - item.stems[0]).abs().amax(dim=1).min()) < 1e-5


def test_many_channels(write: Write) -> None:
    surround = np.full((RATE, 6), [0.0, 0.2, 0.1, 0.4, 0.2, 0.6])
    found = levels(items([write("song", guitar=surround)], count=1))
    assert float(found[0, 0]) == pytest.approx(0.25)


def test_a_missing_and_a_silent_stem(write: Write) -> None:
    for track in (write("missing", guitar=0.5), write("silent", guitar=0.5, bass=0.0)):
        assert levels(items([track], count=1)).tolist() == [[0.5, 0, 0]]
        for item in items([track], Augmentation(), samples=3_000, count=20):
            assert torch.isfinite(item.stems).all()
            assert not item.stems[1].any()


def test_a_silent_song_stays_silent(write: Write) -> None:
    for item in items([write("song", guitar=0.0, bass=0.0)], Augmentation(), count=20):
        assert not item.mixture.any()
        assert torch.isfinite(item.stems).all()


@pytest.mark.slow
def test_plain_recordings(write: Write) -> None:
    tracks = [write("plain", mixture=0.25), write("song", guitar=0.5)]
    for mixture, stems, has_stems in items(tracks, count=40):
        assert stems[:, 0].tolist() == ([0.5, 0, 0] if has_stems else [0, 0, 0.25])
        assert torch.equal(mixture, stems.sum(dim=0))
    found = items(tracks, Augmentation(), samples=1_000)
    plain = [item for item in found if not item.has_stems]
    assert 0.4 < len(plain) / len(found) < 0.6
    loudness = [10 * math.log10(float(item.mixture.square().mean())) for item in plain]
    assert -30.1 < min(loudness) < -28
    assert -14 < max(loudness) < -11.9
    assert all(torch.equal(item.mixture, item.stems[-1]) for item in plain)
    empty = Track("none", "train", {}, None, 1.0)
    with pytest.raises(ValueError, match="none has neither"):
        items([tracks[0], replace(empty, seconds=1e9)])


def test_everything_at_once_adds_up_and_does_not_clip(write: Write) -> None:
    tracks = [
        write("one", guitar=noise(RATE, 2, 1), bass=noise(RATE, 2, 2), drums=noise(RATE, 1, 3)),
        write("two", rate=48_000, guitar=noise(60_000, 2, 4), voice=noise(60_000, 2, 5)),
        write("plain", mixture=noise(RATE, 2, 6)),
    ]
    everything = Augmentation(**{field.name: 0.5 for field in fields(Augmentation)})
    for mixture, stems, _ in items(tracks, everything, samples=5_000, count=60):
        assert mixture.shape == (5_000,)
        assert stems.shape == (3, 5_000)
        assert mixture.dtype == stems.dtype == torch.float32
        assert torch.equal(mixture, stems.sum(dim=0))
        assert float(mixture.abs().max()) < 0.991


def test_an_item_is_its_seed_and_index(write: Write) -> None:
    tracks = [write("one", guitar=noise(RATE, 2), bass=noise(RATE)), write("two", guitar=0.5)]
    first, again, other = (items(tracks, Augmentation(), 500, seed=s, count=8) for s in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    different = [item.mixture for item in first + other]
    assert all(not torch.equal(a, b) for n, a in enumerate(different) for b in different[:n])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_any_number_of_workers_gives_the_same_batches(write: Write) -> None:
    tracks = [
        write("one", guitar=noise(RATE, 2, 1), bass=noise(RATE, 2, 2)),
        write("two", rate=22_050, guitar=noise(RATE, 1, 4), drums=noise(RATE, 2, 5)),
        write("plain", mixture=noise(RATE, 2, 6)),
    ]
    data = torch.utils.data.Subset(TrackDataset(tracks, STEMS, 8_000, 0), range(12))
    batches = [list(DataLoader(data, 4, num_workers=workers)) for workers in (0, 1, 4)]
    assert len(batches[0]) == 3
    for others in batches[1:]:
        for batch, other in zip(batches[0], others, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(batch, other, strict=True))


def test_only_the_excerpt_is_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    track = write("song", guitar=noise(60 * RATE), drums=noise(60 * RATE))
    read, frames = soundfile.SoundFile.read, []

    def spy(self: soundfile.SoundFile, *given: object, **named: object) -> object:
        audio = read(self, *given, **named)
        frames.append(len(audio))
        return audio

    monkeypatch.setattr(soundfile.SoundFile, "read", spy)
    items([track], samples=10_000, count=5)
    assert sum(frames) == 5 * 2 * 10_000
    frames.clear()
    items([track], only(stem_dropout=0.999), samples=10_000, count=5)
    assert sum(frames) == 5 * 10_000  # not what is left out, either


def test_an_unreadable_song_is_replaced_always_by_the_same(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    tracks = [write("good", guitar=0.25), write("bad", guitar=0.5, seconds=3.0)]
    (bad,) = tracks[1].stems["guitar"]
    bad.write_text("no audio")
    data, again = (TrackDataset(tracks, STEMS, 50, 0) for _ in range(2))
    found = [data[index] for index in range(20)]
    for index in reversed(range(20)):  # now that it is known to be bad, or met in another order
        assert torch.equal(data[index].stems, found[index].stems)
        assert torch.equal(again[index].stems, found[index].stems)
    assert all(float(item.stems[0].abs().max()) > 0 for item in found)
    assert sum(str(bad) in record.getMessage() for record in caplog.records) == 2  # once a set


def test_nothing_readable_is_an_error(write: Write) -> None:
    track = write("song", guitar=0.25)
    (file,) = track.stems["guitar"]
    file.unlink()
    data = TrackDataset([track], STEMS, 50, 0)
    with pytest.raises(DataError, match=r"song: none of 100 tracks in a row could be read"):
        data[0]


SCRIPT = """
import sys
from pathlib import Path
from torch.utils.data import DataLoader, Subset
from audiomask.data.songs import TrackDataset
from audiomask.data.tracks import Track

if __name__ == "__main__":
    files = [Path(name) for name in sys.argv[2:]]
    tracks = [Track(file.name, "train", {"guitar": (file,)}, None, 1.0) for file in files]
    data = Subset(TrackDataset(tracks, ["guitar"], 100, 0), range(16))
    loader = DataLoader(data, 2, num_workers=4, multiprocessing_context=sys.argv[1])
    print(sum(len(batch.mixture) for batch in loader))
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_an_unreadable_file_is_named_once_by_four_workers(
    write: Write, tmp_path: Path, start: str
) -> None:
    files = [write(name, guitar=0.5).stems["guitar"][0] for name in ("good", "bad", "worse")]
    for file in files[1:]:
        file.write_text("no audio")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, start, *files], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "16", done.stderr
    assert [done.stderr.count(str(file)) for file in files] == [0, 1, 1]
