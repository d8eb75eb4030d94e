"""``audiomask separate --minus``: the song without some stems, named and stored like the song."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 44100


@pytest.fixture
def song(tmp_path):
    """``song("a.wav")``: 0.4 s of notes and noise, 24 bit where the format has it, as read back."""

    def write(name, **settings):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(round(0.4 * RATE) + 7)[:, None] / RATE
        notes = np.sin(2 * np.pi * np.array([110, 220]) * time) * np.exp(-3 * time)
        noise = np.random.default_rng(0).standard_normal(notes.shape)
        soundfile.write(path, 0.03 * notes + 0.003 * noise, RATE, **settings)
        return soundfile.read(path, always_2d=True)[0]

    return write


def read(path):
    return soundfile.read(path, always_2d=True)[0]


def test_the_song_without_a_stem_is_the_song_minus_that_stem(call, song, tiny):
    mixture = song("My Song.wav", subtype="PCM_24")
    beside = ("--stem", "guitar", "--minus", "guitar", "--model", tiny)
    assert call("separate", "My Song.wav", *beside).status == 0
    rest = read("separated/My Song (no guitar).wav")
    guitar = read("separated/My Song/guitar.wav")
    assert np.abs(guitar).max() > 1e-3
    assert np.abs(guitar + rest - mixture).max() <= 2**-23
    assert soundfile.info("separated/My Song (no guitar).wav").subtype == "PCM_24"


def test_it_may_be_the_only_output_and_lack_several_stems(call, song, tiny, listing):
    mixture = song("song.wav", subtype="PCM_24")
    stems = ("--stem", "all", "--residual", "-o", "stems")
    assert call("separate", "song.wav", *stems, "--model", tiny).status == 0
    minus = ("--minus", "guitar", "--minus", "bass", "--minus", "guitar")
    assert call("separate", "song.wav", *minus, "--model", tiny).status == 0
    assert [name for name in listing() if name.startswith("separated")] == [
        "separated/song (no guitar, bass).wav"
    ]
    left = mixture - read("stems/song/guitar.wav") - read("stems/song/bass.wav")
    assert np.abs(read("separated/song (no guitar, bass).wav") - left).max() <= 2**-22


def test_stems_residual_and_minus_may_differ(call, song, tiny):
    mixture = song("song.wav", subtype="PCM_24")
    wanted = ("--stem", "guitar", "--residual", "--minus", "bass", "--format", "flac")
    assert call("separate", "song.wav", *wanted, "--model", tiny).status == 0
    guitar, rest = read("separated/song/guitar.flac"), read("separated/song/residual.flac")
    assert np.abs(guitar + rest - mixture).max() <= 2**-23
    minus = read("separated/song (no bass).flac")
    assert np.abs(minus - mixture).max() > 1e-3
    assert np.abs(minus - rest).max() > 1e-3


@pytest.mark.parametrize("ending", ["mp3", "ogg", "flac", "opus"])
def test_it_has_the_format_of_the_song(invoke, song, ending):
    if ending == "opus":  # which soundfile does not know by its name
        soundfile.write("song.opus", song("song.wav"), 48000, "OPUS", format="OGG")
    else:
        song(f"song.{ending}")
    assert invoke("separate", f"song.{ending}", "--minus", "drums").status == 0
    made = Path(f"separated/song (no drums).{ending}")
    assert soundfile.info(made).format == soundfile.info(f"song.{ending}").format
    assert soundfile.info(made).frames == soundfile.info(f"song.{ending}").frames


def test_a_format_that_cannot_be_written_becomes_wav(invoke, song):
    song("song.aiff")
    assert invoke("separate", "song.aiff", "--minus", "drums").status == 0
    assert soundfile.info("separated/song (no drums).wav").format == "WAV"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--format", "flac"], "song (no drums).flac"),
        (["--template", "{stem}/{track}.{ext}"], "no drums/song.mp3"),
        (["--template", "{track}-{stem}.ogg"], "song-no drums.ogg"),
        (["--subtype", "PCM_24"], "song (no drums).wav"),
    ],
)
def test_options_choose_name_and_format(invoke, song, arguments, name):
    song("song.mp3")
    assert invoke("separate", "song.mp3", "--minus", "drums", *arguments).status == 0
    assert Path("separated", name).is_file()


def test_a_folder_is_mirrored_and_titles_tell(invoke, song):
    samples = song("in/two.wav")
    Path("in/a").mkdir()
    with soundfile.SoundFile("in/a/one.flac", "w", RATE, 2) as file:
        file.title = "One"
        file.write(samples)
    assert invoke("separate", "in", "--minus", "drums", "-o", "out").status == 0
    assert Path("out/two (no drums).wav").is_file()
    with soundfile.SoundFile("out/a/one (no drums).flac") as file:
        assert file.title == "One (no drums)"


def test_it_goes_to_standard_output(invoke, song):
    song("song.mp3")
    done = invoke("separate", "song.mp3", "--minus", "drums", "-o", "-")
    assert done.status == 0
    assert done.out[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--minus", "flute"], "unknown stem 'flute'"),
        (["--minus", "all"], "use --stem all --residual"),
        (["--minus", "drums", "--residual"], "--residual writes what --stem leaves"),
        (["--minus", "drums", "--bitrate", "192k"], "wav loses nothing"),
        (["--minus", "drums", "--stem", "drums", "-o", "-"], "takes one stem of one file"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_2(invoke, song, listing, arguments, words):
    song("song.wav")
    done = invoke("separate", "song.wav", *arguments)
    assert done.status == 2
    assert words in done.error_line()
    assert listing() == ["song.wav"]
