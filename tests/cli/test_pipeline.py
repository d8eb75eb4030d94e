"""The installed command from end to end, with the bundled checkpoints, on real sound."""

import io
import shlex
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

EXAMPLES = Path(__file__).parents[2] / "examples"
STEMS = ("guitar", "piano", "bass", "drums", "vocals")


@pytest.fixture
def song(tmp_path):
    """Two seconds of the example: (path, samples [T, 2] int16, rate)."""
    samples, rate = soundfile.read(EXAMPLES / "song.wav", dtype="int16", stop=2 * 44100 + 77)
    path = tmp_path / "song.wav"
    soundfile.write(path, samples, rate)
    return path, samples, rate


@pytest.mark.slow
def test_tokenize_into_detokenize_through_a_pipe(script, song, tmp_path):
    command = shlex.quote(script)
    subprocess.run(
        f"{command} tokenize song.wav -o - | {command} detokenize - -o back.wav",
        shell=True,
        check=True,
        cwd=tmp_path,
    )
    _, samples, rate = song
    info = soundfile.info(tmp_path / "back.wav")
    assert (info.frames, info.channels, info.samplerate) == (len(samples), 2, rate)


@pytest.mark.slow
def test_a_middle_stays_in_the_middle_and_mid_side_keeps_the_width(run, song, tmp_path):
    _, samples, rate = song
    sides = {}
    middle = np.repeat(samples[:, :1], 2, axis=1)
    soundfile.write(tmp_path / "middle.wav", middle, rate)
    for name, stereo in (("middle", "separate"), ("song", "separate"), ("song", "mid-side")):
        done = run("tokenize", f"{name}.wav", "-o", "x.safetensors", "--overwrite",
                   "--stereo", stereo)  # fmt: skip
        assert done.status == 0, done.err
        done = run("detokenize", "x.safetensors", "-o", "back.wav", "--overwrite")
        assert done.status == 0, done.err
        back, _ = soundfile.read(tmp_path / "back.wav")
        assert back.shape == samples.shape
        sides[name, stereo] = np.sqrt(np.mean((back[:, 0] - back[:, 1]) ** 2))
    assert sides["middle", "separate"] < 1e-4
    true = samples / 2**15
    width = np.sqrt(np.mean((true[:, 0] - true[:, 1]) ** 2))
    # within 3 dB of the song's own
    assert 0.7 < sides["song", "mid-side"] / width < 1.4


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mask", "wiener"])
def test_stems_and_residual_sum_to_the_song(run, song, tmp_path, method):
    done = run("separate", "song.wav", "--residual", "--method", method)
    assert done.status == 0, done.err
    _, samples, rate = song
    total = np.zeros(samples.shape, np.int64)
    names = [*STEMS, "residual"]
    assert sorted(p.stem for p in (tmp_path / "separated/song").iterdir()) == sorted(names)
    for name in names:
        stem, stem_rate = soundfile.read(tmp_path / f"separated/song/{name}.wav", dtype="int16")
        assert stem_rate == rate
        assert stem.shape == samples.shape
        # nobody sings in it
        assert name in ("vocals", "residual") or np.abs(stem).max() > 0
        total += stem
    assert np.abs(total - samples).max() <= 1


@pytest.mark.slow
def test_stem_through_pipes(run, song):
    path, samples, rate = song
    done = run("separate", "-", "--stem", "guitar", "-o", "-", stdin=path.read_bytes())
    assert done.status == 0, done.err
    stem, stem_rate = soundfile.read(io.BytesIO(done.out))
    assert stem.shape == samples.shape
    assert stem_rate == rate


@pytest.mark.slow
def test_infill_keeps_what_is_outside_the_gap(run, song, tmp_path):
    path, samples, rate = song
    start, stop = rate, rate + rate // 4
    samples[start:stop] = 0
    soundfile.write(path, samples, rate)
    done = run("infill", "song.wav", "--steps", 2)
    assert done.status == 0, done.err
    filled, _ = soundfile.read(tmp_path / "song.infilled.wav", dtype="int16")
    fade = round(0.02 * rate)
    assert filled.shape == samples.shape
    assert np.array_equal(filled[: start - fade], samples[: start - fade])
    assert np.array_equal(filled[stop + fade :], samples[stop + fade :])
    assert np.abs(filled[start:stop]).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["separate", "nowhere.wav"], 1, "nowhere.wav"),
        (["separate", "song.wav", "--stem", "kazoo"], 2, "kazoo"),
        (["separate", "text.wav"], 1, "text.wav"),
        (["tokenize", "song.wav", "--model", "nowhere"], 1, "nowhere"),
        (["detokenize", "text.wav", "-o", "out.wav"], 1, "text.wav"),
    ],
)
def test_bad_input_is_one_line(run, song, tmp_path, listing, arguments, status, words):
    (tmp_path / "text.wav").write_text("la la la\n")
    done = run(*arguments)
    assert done.status == status
    assert words in done.error_line()
    assert done.out == b""
    assert listing() == ["song.wav", "text.wav"]


def test_reader_that_leaves_ends_it_quietly(script, song, tmp_path):
    writer = subprocess.Popen(
        [script, "separate", "song.wav", "--stem", "guitar", "-o", "-", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.read(10)
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait(timeout=60) == -signal.SIGPIPE


@pytest.mark.slow
def test_drawn_fillings_are_as_loud_as_music(run, tmp_path):
    """Half seconds of the example, drawn at temperature 1: level in the middle and clipping."""
    samples, rate = soundfile.read(EXAMPLES / "song.wav", dtype="float64")
    soundfile.write(tmp_path / "song.wav", samples, rate, subtype="FLOAT")
    starts = [1.5 + 2.5 * number for number in range(4)]
    gaps = [word for start in starts for word in ("--gap", f"{start}:{start + 0.5}")]
    done = run("infill", "song.wav", *gaps, "--method", "tokens", "--temperature", "1",
               "--steps", 4, "-o", "out.wav", "-q")  # fmt: skip
    assert done.status == 0, done.err
    made, _ = soundfile.read(tmp_path / "out.wav", dtype="float64")
    assert np.abs(made).max() <= max(np.abs(samples).max(), 1)

    def level(sound, start):
        middle = sound[round((start + 0.5 / 3) * rate) : round((start + 1 / 3) * rate)]
        return 10 * np.log10(np.mean(middle**2))

    errors = np.array([level(made, start) - level(samples, start) for start in starts])
    assert abs(np.median(errors)) < 3
    assert np.abs(errors).max() < 10
    assert (made == samples)[: round(1.4 * rate)].all()
