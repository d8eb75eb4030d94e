"""Names on the command line: home, addresses, and what folders hold beside audio."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from audiomask.audio.names import ending_counts
from audiomask.cli.paths import local_path, local_paths
from audiomask.errors import UsageError


def test_a_leading_tilde_is_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/a/b") == f"{tmp_path}/a/b"
    assert local_path("~") == str(tmp_path)
    assert local_path("./~/a") == "./~/a"
    assert local_path("~nobody-of-that-name/a") == "~nobody-of-that-name/a"
    assert local_paths([Path("~/a"), "~/a", 3]) == [tmp_path / "a", "~/a", 3]


@pytest.mark.parametrize("text", ["https://a.org/b.mp3", "s3://bucket/key", "HTTP://a/b"])
def test_addresses_are_refused(text: str) -> None:
    for given in (local_path, lambda text: local_paths(Path(text))):
        with pytest.raises(UsageError, match="addresses are not read: download it first"):
            given(text)


def test_addresses_of_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local_path("file:///a%20b/c#1.wav") == "/a b/c#1.wav"
    assert local_path("file://localhost/a") == local_path("file:/a") == "/a"
    with pytest.raises(UsageError, match="on another machine"):
        local_path("file://server/a")
    monkeypatch.chdir(tmp_path)
    Path("odd:").mkdir()
    Path("odd:/a.wav").touch()
    assert local_path("odd://a.wav") == "odd://a.wav"


def test_endings_are_counted() -> None:
    names = ["a.txt", "b.JPG", "c.jpg", "d", *(f"x.{letter}" for letter in "abcdef")]
    assert ending_counts(map(Path, names)) == (
        "2 .jpg, 1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 3 of other endings"
    )


@pytest.mark.slow
def test_the_command_reads_what_strangers_have(
    run: Callable[..., object], tmp_path: Path, strange: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An album of joined files, a film and a disc, beside what is no audio."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    album = tmp_path / "album"
    album.mkdir()
    files = strange.parts(tmp_path, "-c:a libmp3lame -b:a 128k", ".mp3", (1.0, 1.0))
    strange.join(album / "joined.mp3", files)
    strange.put_words(album / "disc.wav", strange.dts(tmp_path, 1))
    strange.ffmpeg("-i", tmp_path / "part0.wav", "-c:a", "wavpack", album / "song.wv")
    strange.ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.5", "-c:v", "mpeg4", album / "mute.mp4")
    for name in ("cover.jpg", "notes.txt", ".hidden", "old.tokens.txt"):
        (album / name).write_text("no audio")
    done = run("tokenize", "album", "--output=~/tokens", "--format", "text")
    assert done.status == 1
    lines = done.err.splitlines()
    passed = "audiomask: passed over 2 files that are no audio by name: 1 .jpg, 1 .txt"
    assert lines[0] == passed
    assert "audiomask: error: album/mute.mp4: has no sound" in lines
    table = [line for line in lines if not line.startswith("audiomask: ")]
    assert [line[:5] for line in table] == ["1 of ", "─────", "album"]
    assert "mpg123" not in done.err
    assert sorted(p.name for p in (tmp_path / "home" / "tokens").iterdir()) == [
        "disc.tokens.txt",
        "joined.tokens.txt",
        "song.tokens.txt",
    ]
    quiet = run("tokenize", "album/song.wv", "album", "-o", "t", "--quiet")
    assert "passed over" not in quiet.err
    away = "https://127.0.0.1:9/song.mp3"  # where nothing answers
    refused = run("separate", away)
    assert refused.status == 1
    assert f"{away}: cannot be read" in refused.error_line()


@pytest.mark.slow
def test_warnings_of_decoders_do_not_come_through(
    run: Callable[..., object], tmp_path: Path
) -> None:
    """libsndfile's MP3 decoder writes to file number 2 by itself about a header that lies."""
    tone = 0.3 * np.sin(np.arange(3 * 44_100) / 20)
    soundfile.write(tmp_path / "a.mp3", tone, 44_100)
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) * 2 // 3])
    done = run("tokenize", "cut.mp3")
    assert done.status == 0
    assert all(line.startswith("audiomask: ") for line in done.err.splitlines())
    assert "ends early" in done.err
