"""Reading spans: the right samples, only those, and unreadable files named once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch

from audiomask.audio.files import AudioFile
from audiomask.audio.source import MemorySource, ResampledSource
from audiomask.data.read_method import find_read_method
from audiomask.data.reading import Reader, read_span
from audiomask.errors import DataError

RATE = 44_100


def noise(samples: int, channels: int = 2) -> npt.NDArray[np.float64]:
    """Noise without what a lossy coding drops: what is read can be found again by its shape."""
    rough = np.random.default_rng(0).standard_normal((samples + 63, channels))
    smooth = np.cumsum(rough, axis=0)
    return np.asarray(0.02 * (smooth[63:] - smooth[:-63]), dtype=np.float64).clip(-0.9, 0.9)


def write(file: Path, audio: npt.NDArray[np.float64], rate: int = RATE) -> Path:
    """A file of any ending that libsndfile writes; its lossy encoders want short blocks."""
    opus = file.suffix == ".opus"
    with soundfile.SoundFile(
        file, "w", rate, audio.shape[1],
        format="OGG" if opus else None, subtype="OPUS" if opus else None,
    ) as out:  # fmt: skip
        for start in range(0, len(audio), 8_192):
            out.write(audio[start : start + 8_192])
    return file


def likeness(first: torch.Tensor, second: torch.Tensor) -> float:
    """Correlation, 1 for the same shape at the same place."""
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff"])
@pytest.mark.parametrize("span", [(0, 100), (-50, 50), (4_321, 9_876), (19_990, 20_050), (-9, -3),
                                  (30_000, 30_010), (-10, 20_010), (5, 5)])  # fmt: skip
def test_lossless_files_to_the_sample(tmp_path: Path, name: str, span: tuple[int, int]) -> None:
    file = write(tmp_path / name, noise(20_000))
    with AudioFile(file) as whole:
        expected = whole.read(*span)
    assert torch.equal(read_span(file, *span), expected)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.mp3"])
def test_lossy_files_are_sought_well_enough(tmp_path: Path, name: str) -> None:
    rate = 48_000 if name == "a.opus" else RATE
    audio = noise(4 * rate)
    file = write(tmp_path / name, audio, rate)
    found = read_span(file, 3 * rate, 3 * rate + 10_000, rate)
    expected = torch.from_numpy(audio[3 * rate : 3 * rate + 10_000].T).float()
    assert likeness(found, expected) > 0.98
    assert not read_span(file, 5 * rate, 5 * rate + 100, rate).any()
    end = read_span(file, 4 * rate - 5_000, 4 * rate + 5_000, rate)
    assert end[:, :4_000].any()
    assert not end[:, 8_000:].any()


@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("b.m4a", "alac"), ("a.wv", "wavpack")]
)
def test_what_ffmpeg_reads(
    tmp_path: Path, name: str, codec: str, peer: Callable[[str], str]
) -> None:
    audio = noise(4 * RATE)
    source, file = write(tmp_path / "a.wav", audio), tmp_path / name
    command = [peer("ffmpeg"), "-v", "error", "-i", str(source), "-c:a", codec, str(file)]
    subprocess.run(command, check=True)
    whole = torch.from_numpy(audio.T).float()
    for start in (0, 3 * RATE, 70_001):
        found = read_span(file, start, start + 10_000)
        assert likeness(found, whole[:, start : start + 10_000]) > 0.98
    early = read_span(file, -5_000, 5_000)
    assert not early[:, :5_000].any()
    assert likeness(early[:, 5_000:], whole[:, :5_000]) > 0.98
    assert not read_span(file, -200, -100).any()
    assert not read_span(file, 5 * RATE, 5 * RATE + 100).any()


def test_a_format_that_ffmpeg_seeks_in_by_packets(
    tmp_path: Path, peer: Callable[[str], str]
) -> None:
    audio = noise(4 * RATE)
    source, file = write(tmp_path / "a.wav", audio), tmp_path / "a.wma"
    subprocess.run([peer("ffmpeg"), "-v", "error", "-i", str(source), str(file)], check=True)
    found = read_span(file, 2 * RATE, 3 * RATE)
    assert found.shape == (2, RATE)
    assert float(found.std()) == pytest.approx(audio.std(), rel=0.1)


@pytest.mark.parametrize("rate", [22_050, 48_000, 96_000])
@pytest.mark.parametrize("name", ["a.wav", "a.m4a"])
def test_an_excerpt_is_that_part_of_the_whole_resampled(
    tmp_path: Path, rate: int, name: str, peer: Callable[[str], str]
) -> None:
    file = write(tmp_path / "a.wav", noise(2 * rate), rate)
    with AudioFile(file) as source:
        whole = ResampledSource(MemorySource(source.read(0, source.frames), rate), RATE)
        expected = whole.read(0, whole.frames)
    if name == "a.m4a":
        other = tmp_path / name
        command = [peer("ffmpeg"), "-v", "error", "-i", str(file), "-c:a", "alac", str(other)]
        subprocess.run(command, check=True)
        file = other
    for start in (0, 12_345, 80_000):
        found = read_span(file, start, start + 5_000)
        assert torch.allclose(found, expected[:, start : start + 5_000], atol=2e-5)
    tail = read_span(file, 2 * RATE - 100, 2 * RATE + 4_000)
    assert torch.allclose(tail[:, :100], expected[:, -100:], atol=2e-5)
    assert not tail[:, 1_000:].any()


@pytest.mark.parametrize("name", ["long.wav", "long.flac", "long.ogg", "long.mp3"])
@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_only_the_span_is_read(
    tmp_path: Path, name: str, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / name, noise(60 * rate, 1), rate)
    find_read_method(file)  # as the scan of a data set does, once for all spans
    read, frames = soundfile.SoundFile.read, []

    def spy(self: soundfile.SoundFile, *given: object, **named: object) -> object:
        audio = read(self, *given, **named)
        frames.append(len(audio))
        return audio

    monkeypatch.setattr(soundfile.SoundFile, "read", spy)
    assert read_span(file, 50 * RATE, 51 * RATE).shape == (1, RATE)
    assert 0.99 * rate < sum(frames) < 1.5 * rate


def test_what_is_no_number_is_silent(tmp_path: Path) -> None:
    audio = np.ones((100, 2))
    audio[3, 0], audio[4, 1], audio[5, 1] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    found = read_span(tmp_path / "a.wav", 0, 100)
    assert found.sum() == 197
    assert found[0, 3] == found[1, 4] == found[1, 5] == 0


def test_a_header_without_a_length(tmp_path: Path, peer: Callable[[str], str]) -> None:
    peer("ffmpeg")
    file = write(tmp_path / "a.wav", noise(20_000))
    expected = read_span(file, 10_000, 11_000)
    content = bytearray(file.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = content[4:8] = bytes(4)
    file.write_bytes(content)
    assert torch.allclose(read_span(file, 10_000, 11_000), expected, atol=1e-6)


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(tmp_path / "whole.flac", noise(60_000)).read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp3").write_text("not music\n" * 100)
    (tmp_path / "bytes.wav").write_bytes(b"RIFF" + bytes(range(256)) * 4)
    (tmp_path / "empty.ogg").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    for name in ("cut.flac", "text.mp3", "bytes.wav", "empty.ogg", "folder.wav", "none.wav"):
        with pytest.raises(DataError, match=name) as caught:
            read_span(tmp_path / name, 40_000, 60_000)
        assert "\n" not in str(caught.value)
    assert read_span(tmp_path / "cut.flac", 0, 10_000).any()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match="install ffmpeg"):
        read_span(tmp_path / "bytes.wav", 0, 10)


def test_an_impossible_rate_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 3)
    with pytest.raises(DataError, match=r"slow\.wav: has an impossible sample rate: 3"):
        read_span(tmp_path / "slow.wav", 0, 10)


def test_a_bad_file_is_left_out_and_not_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = write(tmp_path / "good.wav", noise(1_000)), tmp_path / "bad.wav"
    bad.write_text("no")
    reader = Reader([good, bad, good])
    assert reader.read(bad, 0, 10) is None
    write(bad, noise(1_000))  # mended, but remembered
    assert reader.read(bad, 0, 10) is None
    found = reader.read(good, 5, 15)
    assert found is not None
    assert torch.equal(found, read_span(good, 5, 15))
    assert [record.getMessage() for record in caplog.records] == [
        f"{bad}: is text, not audio; left out"
    ]


SCRIPT = """
import sys
from pathlib import Path
from torch.utils.data import DataLoader, Dataset
from audiomask.data.reading import Reader

class Spans(Dataset):
    def __init__(self, files):
        self.files, self.reader = files, Reader(files)
    def __len__(self):
        return 24
    def __getitem__(self, index):
        return self.reader.read(self.files[index % 3], 0, 10) is not None

if __name__ == "__main__":
    data = Spans([Path(name) for name in sys.argv[2:]])
    loader = DataLoader(data, 2, num_workers=4, multiprocessing_context=sys.argv[1])
    print(sum(int(batch.sum()) for batch in loader), int(data.reader._bad.sum()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_bad_file_is_named_once_by_all_workers(tmp_path: Path, start: str) -> None:
    files = [tmp_path / name for name in ("good.wav", "bad.wav", "missing.wav")]
    write(files[0], noise(100))
    files[1].write_text("no")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, start, *files], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == ["8", "2"], done.stderr
    assert done.stderr.count("bad.wav") == 1
    assert done.stderr.count("missing.wav") == 1
