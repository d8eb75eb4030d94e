"""What every command does with files, over an engine without a model."""

import io
from pathlib import Path

import pytest
import soundfile

RATE = 44100


def lines(outcome):
    return [line for line in outcome.err.splitlines() if line]


# tokenize and detokenize


def test_default_names(invoke, wav, listing):
    wav("song.wav")
    assert invoke("tokenize", "song.wav").status == 0
    assert listing() == ["song.tokens.safetensors", "song.wav"]
    Path("song.wav").unlink()
    assert invoke("detokenize", "song.tokens.safetensors").status == 0
    assert listing() == ["song.tokens.safetensors", "song.wav"]
    assert soundfile.info("song.wav").frames == int(0.25 * RATE)


@pytest.mark.parametrize("arguments", [["-o", "x.txt"], ["-o", "x.txt", "--format", "text"]])
def test_text_tokens_by_name_or_option(invoke, wav, arguments):
    wav("song.wav")
    assert invoke("tokenize", "song.wav", *arguments).status == 0
    assert Path("x.txt").read_text().startswith("# audiomask tokens 2\n")


def test_text_format_gives_the_default_name(invoke, wav, listing):
    wav("song.wav")
    invoke("tokenize", "song.wav", "--format", "text", "--levels", "2")
    assert listing() == ["song.tokens.txt", "song.wav"]
    assert "# levels: 2\n" in Path("song.tokens.txt").read_text()


def test_stereo_is_coded_as_it_is_asked_for(invoke, wav):
    wav("song.wav", channels=1)
    wav("both.wav")
    for arguments, name, told in (
        ([], "both.wav", "separate"),
        (["--stereo", "mid-side"], "both.wav", "mid-side"),
        (["--stereo", "mid-side"], "song.wav", "separate"),
    ):
        done = invoke("tokenize", name, "-o", "x.txt", "--overwrite", *arguments)
        assert done.status == 0
        assert f"# stereo: {told}\n" in Path("x.txt").read_text()
    assert invoke("tokenize", "both.wav", "--stereo", "wide").status == 2


def test_tokens_to_standard_output_are_data_only(invoke, wav):
    wav("song.wav")
    done = invoke("tokenize", "song.wav", "-o", "-", "--format", "text")
    assert done.status == 0
    assert done.out.startswith(b"# audiomask tokens 2\n")
    assert len(done.out.splitlines()) > 20


def test_subtype(invoke, wav):
    wav("song.wav")
    invoke("tokenize", "song.wav")
    invoke("detokenize", "song.tokens.safetensors", "-o", "b.flac", "--subtype", "pcm_24")
    assert soundfile.info("b.flac").subtype == "PCM_24"


# separate


def test_separate_writes_every_stem_like_the_song(invoke, wav, listing):
    wav("song.flac", rate=22050, channels=1)
    assert invoke("separate", "song.flac").status == 0
    stems = [f"separated/song/{stem}.wav" for stem in ("bass", "drums", "guitar", "piano")]
    assert listing() == [*stems, "song.flac"]
    for stem in stems:
        info = soundfile.info(stem)
        assert (info.samplerate, info.channels, info.frames) == (22050, 1, int(0.25 * 22050))


def test_one_stem_and_residual(invoke, wav, listing):
    wav("song.wav")
    assert invoke("separate", "song.wav", "--stem", "guitar", "--residual").status == 0
    assert listing() == ["separated/song/guitar.wav", "separated/song/residual.wav", "song.wav"]


def test_stem_repeats_and_all(invoke, wav, listing):
    wav("song.wav")
    invoke("separate", "song.wav", *["--stem", "bass"] * 2, "--stem", "piano", "-o", "a")
    invoke("separate", "song.wav", "--stem", "bass", "--stem", "all", "-o", "b")
    assert [name for name in listing() if name[0] == "a"] == ["a/song/bass.wav", "a/song/piano.wav"]
    assert len([name for name in listing() if name[0] == "b"]) == 4


def test_template_and_format(invoke, wav, listing):
    wav("song.wav")
    invoke("separate", "song.wav", "--stem", "bass", "--template", "{stem}/{track}.flac", "-o", "x")
    invoke("separate", "song.wav", "--stem", "drums", "--format", "ogg", "-o", "x")
    assert listing() == ["song.wav", "x/bass/song.flac", "x/song/drums.ogg"]
    assert soundfile.info("x/bass/song.flac").format == "FLAC"
    assert soundfile.info("x/song/drums.ogg").format == "OGG"


def test_template_without_the_stem_collides(invoke, wav):
    wav("song.wav")
    done = invoke("separate", "song.wav", "--template", "{track}.wav")
    assert done.status == 2
    assert "several results" in done.error_line()


def test_stem_to_standard_output(invoke, wav, listing):
    wav("song.wav")
    done = invoke("separate", "song.wav", "--stem", "guitar", "-o", "-")
    assert done.status == 0
    samples, rate = soundfile.read(io.BytesIO(done.out))
    assert samples.shape == (int(0.25 * RATE), 2)
    assert rate == RATE
    assert listing() == ["song.wav"]


def test_separated_folders_mirror_and_are_not_read_again(invoke, wav, listing):
    wav("in/a.wav")
    wav("in/live/a.wav")
    for _ in range(2):
        done = invoke("separate", "in", "--stem", "bass", "-o", "in/out", "--overwrite")
        assert done.status == 0
    assert listing() == [
        "in/a.wav",
        "in/live/a.wav",
        "in/out/a/bass.wav",
        "in/out/live/a/bass.wav",
    ]


def test_clipping_is_reported_even_when_quiet(invoke, wav, engine):
    engine.gain = 5.0
    wav("song.wav", level=0.9)
    done = invoke("separate", "song.wav", "--stem", "bass", "-q")
    assert done.status == 0
    assert "warning" in done.err
    assert "separated/song/bass.wav" in done.err
    assert "clipped" in done.err
    done = invoke(
        *("separate", "song.wav", "--stem", "bass", "-q", "--overwrite", "--subtype", "FLOAT")
    )
    assert done.err == ""


# existing outputs, several files


def test_existing_output_is_kept_unless_told(invoke, wav, engine, monkeypatch):
    wav("song.wav")
    Path("song.tokens.safetensors").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(engine, "__init__", None)  # refused before the engine is made
        done = invoke("tokenize", "song.wav")
    assert done.status == 2
    assert "song.tokens.safetensors" in done.error_line()
    assert invoke("tokenize", "song.wav", "--skip-existing").status == 0
    assert Path("song.tokens.safetensors").read_text() == "mine"
    assert invoke("tokenize", "song.wav", "--overwrite").status == 0
    assert Path("song.tokens.safetensors").read_bytes() != b"mine"


def test_skip_existing_makes_the_missing_stems(invoke, wav):
    wav("song.wav")
    Path("separated/song").mkdir(parents=True)
    Path("separated/song/bass.wav").write_text("mine")
    assert invoke("separate", "song.wav", "--skip-existing").status == 0
    assert Path("separated/song/bass.wav").read_text() == "mine"
    assert soundfile.info("separated/song/drums.wav").frames == int(0.25 * RATE)


def test_a_bad_file_does_not_stop_the_others(invoke, wav, listing):
    wav("in/a.wav")
    Path("in/b.wav").write_text("not audio")
    wav("in/c.wav")
    Path("out").mkdir()
    Path("out/c.tokens.safetensors").write_text("mine")
    wav("in/d.wav")
    done = invoke("tokenize", "in", "-o", "out")
    assert done.status == 1
    assert [name for name in listing() if name.startswith("out")] == [
        f"out/{name}.tokens.safetensors" for name in "acd"
    ]
    assert Path("out/c.tokens.safetensors").read_text() == "mine"
    table = done.err.partition("2 of 4 files failed")[2]
    assert any(line.startswith("in/b.wav  ") for line in table.splitlines())
    assert table.count("in/b.wav") == 1
    assert "in/c.wav" in table
    assert "exists" in table
    assert "in/a.wav" not in table
    assert "Traceback" not in done.err


def test_a_bad_checkpoint_ends_all(invoke, wav, engine, monkeypatch):
    from audiomask.errors import CheckpointError

    def fail(*arguments, **options):
        raise CheckpointError("m: config.json is missing")

    monkeypatch.setattr(engine, "tokenize", fail)
    wav("a.wav")
    wav("b.wav")
    done = invoke("tokenize", "a.wav", "b.wav")
    assert done.status == 1
    assert done.error_line() == "audiomask: error: m: config.json is missing"


def test_failure_leaves_no_output(invoke, wav, engine, monkeypatch, listing):
    def fail(self, source, stems, residual, subtype, **how):
        yield {name: source.read(0, 100) for name in stems}
        raise MemoryError

    monkeypatch.setattr(engine, "separate", fail)
    wav("song.wav")
    done = invoke("separate", "song.wav")
    assert done.status == 1
    assert "out of memory" in done.error_line()
    assert listing() == ["song.wav"]


def test_verbose_says_more(invoke, wav):
    wav("song.wav")
    done = invoke("tokenize", "song.wav", "--verbose")
    assert "computing on cpu" in done.err
    assert "song.wav: 0.250 s of audio" in done.err


def test_one_line_a_file_unless_quiet(invoke, wav):
    wav("song.wav", seconds=1.0)
    done = invoke("separate", "song.wav", "--stem", "bass")
    assert done.err.startswith("audiomask: song.wav -> separated/song/bass.wav (1.0 s of audio")
    assert len(lines(done)) == 1
    assert invoke("separate", "song.wav", "--stem", "bass", "-q", "--overwrite").err == ""
