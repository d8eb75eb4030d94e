"""What belongs to a recording: kept by infill, and by separate as far as it holds for a stem."""

import io
import json
import os
import shutil
import struct
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from recordings import RATE, bext, chunk, fmt, png, riff

FRAMES = 2 * RATE


def sound(channels=2, gap=True, frames=FRAMES):
    """Noise as int16 [frames, channels], with 100 ms of digital silence."""
    noise = np.random.default_rng(channels).integers(-9000, 9000, (frames, channels))
    noise[noise == 0] = 1
    if gap:
        noise[RATE : RATE + RATE // 10] = 0
    return noise.astype("<i2")


def info(**items):
    return chunk(
        b"LIST", b"INFO" + b"".join(chunk(k.encode(), v + b"\0") for k, v in items.items())
    )


CUE = chunk(b"cue ", struct.pack("<III4sIII", 1, 1, RATE, b"data", 0, 0, RATE))
LABEL = chunk(b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"Verse\0"))
IXML = chunk(b"iXML", b"<BWFXML><PROJECT>X</PROJECT></BWFXML>")


def take(samples, kind=b"RIFF", head=None):
    """A broadcast recording with a bit of everything, odd lengths among it."""
    data = samples.tobytes()
    width = samples.shape[1] * samples.dtype.itemsize
    before = [chunk(b"bext", bext()), head or fmt(samples.shape[1]), IXML]
    after = [CUE, LABEL, info(INAM=b"My Song", IART=b"Someone"), chunk(b"xyz ", b"odd")]
    if kind == b"RIFF":
        return riff(*before, chunk(b"data", data), *after)
    body = b"".join(before) + b"data" + struct.pack("<I", 0xFFFFFFFF) + data + b"".join(after)
    ds64 = struct.pack("<QQQI", 4 + 36 + len(body), len(data), len(data) // width, 0)
    return riff(chunk(b"ds64", ds64), body, kind=kind, size=0xFFFFFFFF)


def extensible(channels, mask, bits=16, valid=None):
    width = channels * bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE, channels, RATE, RATE * width, width, bits)
    guid = bytes.fromhex("0100000000001000800000aa00389b71")
    return chunk(b"fmt ", head + struct.pack("<HHI", 22, valid or bits, mask) + guid)


def chunks_of(data):
    """Names and contents of a WAV's chunks, in order; the samples and ds64 left out."""
    wide = data[:4] == b"RF64"
    at, found = 12, []
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"ds64":
            wide = int.from_bytes(data[at + 16 : at + 24], "little")
        size = wide if name == b"data" and size == 0xFFFFFFFF else size
        found.append((name, None if name in (b"data", b"ds64") else data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def ffmpeg(*words):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, words)], check=True)


@pytest.fixture
def tagged(tmp_path, peer):
    """``tagged("in.m4a")``: a song with tags, a cover and, in lossless formats, a gap."""
    peer("ffmpeg")
    (tmp_path / "made").mkdir()
    (tmp_path / "made/cover.png").write_bytes(png())

    def make(name, *options, cover=True):
        raw = tmp_path / "made/raw.wav"
        raw.write_bytes(riff(fmt(), chunk(b"data", sound().tobytes())))
        pictures = ["-i", tmp_path / "made/cover.png", "-map", "0:a", "-map", "1:v"]
        pictures += ["-c:v", "copy", "-disposition:v", "attached_pic"]
        tags = {"title": "My Söng", "artist": "Someone", "album": "Record", "track": "3/12"}
        tags |= {"date": "2024", "genre": "Rock", "comment": "made for tests"}
        tags |= {"REPLAYGAIN_TRACK_GAIN": "-6.00 dB"}
        words = [word for item in tags.items() for word in ("-metadata", "=".join(item))]
        ffmpeg("-i", raw, *(pictures if cover else ()), *words, *options, tmp_path / name)
        return tmp_path / name

    return make


# infill


@pytest.mark.parametrize("kind", [b"RIFF", b"RF64"])
def test_infill_gives_back_every_chunk_in_its_place(invoke, tmp_path, kind):
    (tmp_path / "take.wav").write_bytes(take(sound(), kind))
    assert invoke("infill", "take.wav").status == 0
    before, after = ((tmp_path / n).read_bytes() for n in ("take.wav", "take.infilled.wav"))
    assert [c for c in chunks_of(before) if c[0] != b"ds64"] == chunks_of(after)
    assert int.from_bytes(after[4:8], "little") == len(after) - 8
    with wave.open(str(tmp_path / "take.infilled.wav")) as file:
        assert file.getnframes() == FRAMES
    filled = soundfile.read(tmp_path / "take.infilled.wav", dtype="int16")[0]
    same = np.r_[0:RATE, RATE + RATE // 10 : FRAMES]
    assert (filled[same] == sound()[same]).all()
    assert filled[RATE : RATE + RATE // 10].all()


@pytest.mark.slow
def test_chunks_travel_through_pipes(run, tmp_path):
    """The installed command, whose reader takes the header's word."""
    data = take(sound())
    done = run("infill", "-", "-o", "-", "--method", "ar", "--gap", "0.5:0.51", stdin=data)
    assert done.status == 0, done.err
    assert chunks_of(done.out) == chunks_of(data)
    done = run("infill", "-", "-o", "-", stdin=take(sound(gap=False)))
    assert done.status == 0, done.err
    assert done.out == take(sound(gap=False))


def test_a_recording_without_gaps_is_copied_byte_for_byte(invoke, tmp_path, tagged):
    whole = sound(gap=False)
    (tmp_path / "take.wav").write_bytes(take(whole) + b"more than its header tells")
    (tmp_path / "wide.wav").write_bytes(take(whole, b"RF64"))
    for ending in ("flac", "ogg", "mp3", "aiff", "caf", "au", "w64"):
        soundfile.write(tmp_path / f"in.{ending}", whole, RATE)
    files = ["take.wav", "wide.wav", *(f"in.{e}" for e in ("flac", "aiff", "caf", "au", "w64"))]
    done = invoke("infill", *files, "-o", "out")
    assert done.status == 0
    for name in files:
        stem, ending = name.split(".")
        copy = tmp_path / f"out/{stem}.infilled.{ending}"
        assert copy.read_bytes() == (tmp_path / name).read_bytes()
        assert f"{name}: no gaps found, copied as it is" in done.err
    for name in ("in.ogg", "in.mp3"):
        assert invoke("infill", name, "-o", f"same.{name[3:]}").status == 0
        assert (tmp_path / f"same.{name[3:]}").read_bytes() == (tmp_path / name).read_bytes()
        converted = invoke("infill", name, "-o", f"{name[3:]}.wav")
        assert "copied" not in converted.err
        assert soundfile.info(tmp_path / f"{name[3:]}.wav").frames == FRAMES


def test_a_copy_replaces_nothing_unasked(invoke, tmp_path):
    (tmp_path / "a.wav").write_bytes(take(sound(gap=False)))
    (tmp_path / "a.infilled.wav").write_bytes(b"old")
    assert invoke("infill", "a.wav").status == 2
    assert (tmp_path / "a.infilled.wav").read_bytes() == b"old"
    assert invoke("infill", "a.wav", "--overwrite").status == 0
    assert (tmp_path / "a.infilled.wav").read_bytes() == take(sound(gap=False))


def test_another_format_is_no_copy(invoke, tmp_path):
    (tmp_path / "a.wav").write_bytes(take(sound(gap=False)))
    for name in ("b.rf64", "b.flac", "b.w64"):
        assert invoke("infill", "a.wav", "-o", name).status == 0
        assert (soundfile.read(tmp_path / name, dtype="int16")[0] == sound(gap=False)).all()
    assert (tmp_path / "b.rf64").read_bytes()[:4] == b"RF64"


@pytest.mark.parametrize(("channels", "mask"), [(2, 0x3), (4, 0x33), (6, 0x60F), (8, 0x63F)])
@pytest.mark.parametrize("bits", [16, 24])
def test_infill_keeps_the_mask_of_channels(invoke, tmp_path, channels, mask, bits):
    head = extensible(channels, mask, bits, valid=20 if bits == 24 else None)
    samples = sound(channels)
    if bits == 24:
        wide = np.zeros((*samples.shape, 3), np.uint8)
        wide[..., 1:] = samples.view(np.uint8).reshape(*samples.shape, 2)
        samples = wide.reshape(len(samples), -1)
    (tmp_path / "a.wav").write_bytes(riff(head, chunk(b"data", samples.tobytes())))
    assert invoke("infill", "a.wav").status == 0
    assert (tmp_path / "a.infilled.wav").read_bytes()[12:60] == head
    assert soundfile.info(tmp_path / "a.infilled.wav").subtype == f"PCM_{bits}"
    assert invoke("separate", "a.wav", "--stem", "bass").status == 0
    assert (tmp_path / "separated/a/bass.wav").read_bytes()[12:60] == head


@pytest.mark.parametrize("ending", ["flac", "aiff", "caf", "wav"])
def test_infill_keeps_tags_and_cover(invoke, tmp_path, tagged, probe, ending):
    options = ("-write_id3v2", "1") if ending == "aiff" else ()
    before = probe(tagged(f"in.{ending}", *options, cover=ending in ("flac", "aiff")))
    assert before["tags"]["TITLE"] == "My Söng"
    assert invoke("infill", f"in.{ending}").status == 0
    assert probe(tmp_path / f"in.infilled.{ending}") == before


@pytest.mark.parametrize("ending", ["mp3", "ogg"])
def test_infill_keeps_tags_of_lossy_formats(invoke, tmp_path, tagged, probe, ending):
    path = tagged(f"in.{ending}", "-ar", 48000, cover=ending == "mp3")
    before = probe(path)
    done = invoke("infill", path, "-o", f"out.{ending}", "--gap", "1:1.1", "--bitrate", "192k")
    assert done.status == 0
    after = probe(tmp_path / f"out.{ending}")
    assert after["pictures"] == before["pictures"]
    kept = {key: value for key, value in before["tags"].items() if key != "ENCODER"}
    kept["COMMENT"] = "made for tests"
    assert kept.items() <= after["tags"].items()
    assert soundfile.info(tmp_path / f"out.{ending}").frames == soundfile.info(path).frames


# separate


USUAL = {
    **{"TITLE": "My Söng (bass)", "ARTIST": "Someone", "ALBUM": "Record", "TRACK": "3/12"},
    **{"DATE": "2024", "GENRE": "Rock", "COMMENT": "made for tests"},
}


@pytest.mark.parametrize("source", ["mp3", "m4a", "flac", "ogg", "wav"])
@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg"])
def test_stems_are_tagged_in_every_format(invoke, tmp_path, tagged, probe, source, format):
    covered = source in ("mp3", "m4a", "flac")
    path = tagged(f"in.{source}", cover=covered)
    assert invoke("separate", path, "--stem", "bass", "--format", format).status == 0
    stem = probe(tmp_path / f"separated/in/bass.{format}")
    assert USUAL.items() <= stem["tags"].items()
    assert stem["pictures"] == ["png"] * covered
    assert not [name for name in stem["tags"] if name.startswith("REPLAYGAIN")]
    frames = soundfile.info(tmp_path / f"separated/in/bass.{format}").frames
    assert frames == FRAMES or source == "m4a"


def test_stems_keep_time_code_cues_and_layout(invoke, tmp_path, probe):
    head = extensible(4, 0x33)
    (tmp_path / "take.wav").write_bytes(take(sound(4), head=head))
    assert invoke("separate", "take.wav", "--stem", "bass", "--residual").status == 0
    was = dict(chunks_of((tmp_path / "take.wav").read_bytes()))
    for stem in ("bass", "residual"):
        path = tmp_path / f"separated/take/{stem}.wav"
        found = chunks_of(path.read_bytes())
        names = [b"bext", b"fmt ", b"iXML", b"data", b"cue ", b"LIST", b"LIST", b"xyz "]
        assert [name for name, _ in found] == names
        now = dict(found)
        assert now[b"bext"][:348] == was[b"bext"][:348]
        assert struct.unpack("<5h", now[b"bext"][412:422]) == (0x7FFF,) * 5
        assert all(now[name] == was[name] for name in (b"fmt ", b"iXML", b"cue ", b"xyz "))
        assert probe(path)["tags"]["TITLE"] == f"My Song ({stem})"
        assert probe(path)["layout"] == "quad"


def test_stems_go_to_standard_output_with_their_tags(invoke, tmp_path):
    (tmp_path / "take.wav").write_bytes(take(sound()))
    done = invoke("separate", "take.wav", "--stem", "bass", "-o", "-")
    assert done.status == 0
    assert b"My Song (bass)\0" in dict(chunks_of(done.out))[b"LIST"]
    assert soundfile.info(io.BytesIO(done.out)).frames == FRAMES


def test_a_recording_without_tags_gives_stems_without(invoke, wav, tmp_path):
    wav("song.wav")
    assert invoke("separate", "song.wav", "--stem", "bass").status == 0
    data = (tmp_path / "separated/song/bass.wav").read_bytes()
    assert [name for name, _ in chunks_of(data)] == [b"fmt ", b"data"]


def test_info_of_older_programs_is_understood(invoke, tmp_path, probe):
    words = info(INAM="Süß".encode("cp1252"), IART="Motörhead".encode("cp1252"))
    (tmp_path / "a.wav").write_bytes(riff(fmt(), chunk(b"data", sound().tobytes()), words))
    assert invoke("separate", "a.wav", "--stem", "bass", "--format", "flac").status == 0
    tags = probe(tmp_path / "separated/a/bass.flac")["tags"]
    assert (tags["TITLE"], tags["ARTIST"]) == ("Süß (bass)", "Motörhead")


@pytest.mark.parametrize("command", [("infill",), ("separate", "--stem", "bass", "-o", ".")])
def test_malformed_chunks_are_passed_over(invoke, tmp_path, command):
    data = chunk(b"data", sound().tobytes())
    lies = b"iXML" + struct.pack("<I", 100 << 20) + b"<BWFXML>"
    id3 = chunk(b"id3 ", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + b"APIC\x7f\x7f\x7f\x7f")
    half = chunk(b"LIST", b"INFOINAM" + struct.pack("<I", 1 << 31) + b"Half")
    (tmp_path / "a.wav").write_bytes(riff(fmt(), chunk(b"bext", b"short"), data, id3, half, lies))
    done = invoke(command[0], "a.wav", *command[1:])
    assert done.status == 0, done.err
    (path,) = (p for p in tmp_path.rglob("*.wav") if p.name != "a.wav")
    assert soundfile.info(path).frames == FRAMES
    assert path.stat().st_size < len(data) + 1000


# what is needed and what is refused


def test_tags_that_need_ffprobe_are_missed_aloud(invoke, tmp_path, tagged, monkeypatch):
    path = tagged("in.m4a")
    (tmp_path / "bin").mkdir()
    os.symlink(shutil.which("ffmpeg"), tmp_path / "bin/ffmpeg")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = invoke("separate", path, "--stem", "bass")
    assert done.status == 0
    (warning,) = (line for line in done.err.splitlines() if "warning" in line)
    assert "install ffprobe" in warning


@pytest.mark.slow
def test_tags_of_m4a_come_through_pipes(run, tagged, probe, tmp_path):
    data = tagged("in.m4a").read_bytes()
    done = run("infill", "-", "-o", "out.flac", "--gap", "1:1.01", "--method", "ar", stdin=data)
    assert done.status == 0, done.err
    found = probe(tmp_path / "out.flac")
    assert (found["tags"]["TITLE"], found["pictures"]) == ("My Söng", ["png"])


def test_bitrate_is_for_lossy_formats(invoke, wav, tmp_path, peer):
    wav("song.wav", seconds=2)
    line = invoke("separate", "song.wav", "--bitrate", "192k").error_line()
    assert "mp3" in line
    assert "wav" in line
    assert "wav" in invoke("infill", "song.wav", "--bitrate", "192k").error_line()
    assert invoke("separate", "song.wav", "--format", "mp3", "--bitrate", "x").status == 2
    assert invoke("separate", "song.wav", "--format", "mp3", "--bitrate", "999k").status == 2
    words = ("separate", "song.wav", "--format", "mp3", "--stem", "bass", "--bitrate", "96k")
    assert invoke(*words).status == 0
    path = tmp_path / "separated/song/bass.mp3"
    assert soundfile.info(path).frames == 2 * RATE
    asked = [peer("ffprobe"), "-v", "error", "-of", "json", "-show_streams", str(path)]
    stream = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)["streams"][0]
    assert stream["bit_rate"] == "96000"


@pytest.mark.slow
def test_the_installed_command_keeps_a_take(run, tmp_path, peer):
    """With the true models, and sox as the reader."""
    (tmp_path / "take.wav").write_bytes(take(sound()))
    assert run("infill", "take.wav").status == 0
    before, after = ((tmp_path / n).read_bytes() for n in ("take.wav", "take.infilled.wav"))
    assert chunks_of(before) == chunks_of(after)
    asked = [peer("sox"), "--i", "-s", str(tmp_path / "take.infilled.wav")]
    assert int(subprocess.run(asked, capture_output=True, check=True).stdout) == FRAMES
    assert not list(Path(tmp_path).glob(".audiomask*"))
