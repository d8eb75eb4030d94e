"""Where results go, and what is refused before work starts."""

import os
from pathlib import Path

import pytest

from audiomask.cli.inputs import collect_inputs, is_audio
from audiomask.cli.options import Common
from audiomask.cli.outputs import check_outputs, plan_files
from audiomask.errors import UsageError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.wav", "in/sub/a.wav", "song.wav", "song.flac"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def plan(*arguments, output=None):
    inputs = collect_inputs(arguments, is_audio)
    return plan_files(inputs, output, lambda path: path.with_suffix(".tok"))


def places(*arguments, output=None):
    return [str(job.output) for job in plan(*arguments, output=output)]


def test_default_is_beside_the_input():
    assert places("in/sub/a.wav") == ["in/sub/a.tok"]
    assert places("in") == ["in/a.tok", "in/sub/a.tok"]


def test_output_names_the_file():
    assert places("song.wav", output="x/y.tok") == ["x/y.tok"]


@pytest.mark.parametrize("output", ["in", "new/"])
def test_output_is_a_folder_when_it_is_one_or_ends_with_a_slash(output):
    assert places("song.wav", output=output) == [f"{Path(output)}/song.tok"]


def test_a_folder_is_mirrored():
    assert places("in", output="out") == ["out/a.tok", "out/sub/a.tok"]


def test_several_inputs_need_a_folder():
    with pytest.raises(UsageError, match="folder"):
        plan("in", output="song.wav")
    with pytest.raises(UsageError, match="standard output"):
        plan("in", output="-")


def test_standard_input_goes_to_standard_output():
    assert places("-") == ["-"]
    assert places("-", output="x.tok") == ["x.tok"]
    assert places("-", "song.wav", output="out") == ["out/stdin.tok", "out/song.tok"]


def test_collisions_are_refused_even_with_overwrite():
    jobs = plan("song.wav", "song.flac")
    with pytest.raises(UsageError, match=r"song\.wav and song\.flac .* song\.tok"):
        check_outputs(jobs, Common(overwrite=True))


def test_an_input_is_never_the_output():
    inputs = collect_inputs(["song.wav"], is_audio)
    jobs = plan_files(inputs, "in/../song.wav", lambda path: path)
    with pytest.raises(UsageError, match="is an input"):
        check_outputs(jobs, Common(overwrite=True))


def test_existing_output_of_one_file():
    Path("song.tok").touch()
    with pytest.raises(UsageError, match=r"song\.tok exists"):
        check_outputs(plan("song.wav"), Common())
    check_outputs(plan("song.wav"), Common(overwrite=True))
    check_outputs(plan("song.wav"), Common(skip_existing=True))
    check_outputs(plan("song.wav", "in/a.wav"), Common())  # fails alone, when its turn comes


def test_an_empty_output_is_not_the_present_folder():
    with pytest.raises(UsageError, match="-o is empty"):
        plan("song.wav", output="")


def test_an_output_named_dash_is_not_standard_output(tmp_path):
    assert places("song.wav", output="./-") == [str(tmp_path / "-")]


def test_names_that_are_one_file_collide_only_where_they_are(monkeypatch):
    for name in ("in/Ä.wav", "song.wav", "in/sub/a\u0308.wav"):
        Path(name).touch()
    jobs = plan("in/Ä.wav", "in/sub/a\u0308.wav", output="out")
    check_outputs(jobs, Common())
    assert sorted(path.name for path in Path().rglob(".*")) == []
    touch = Path.touch

    def touch_both(path, *more):
        touch(path, *more)
        touch(path.with_name("a\u0308.tok"), *more)

    monkeypatch.setattr(Path, "touch", touch_both)  # a file system that knows no difference
    with pytest.raises(UsageError, match="are one file here"):
        check_outputs(jobs, Common(overwrite=True))


def test_an_input_is_known_by_whatever_name():
    os.link("song.wav", "alias.tok")
    with pytest.raises(UsageError, match="is an input"):
        check_outputs(plan("song.wav", output="alias.tok"), Common(overwrite=True))


# every command

FOLDERS = {
    "tokenize": ((), "{}.tokens.safetensors"),
    "detokenize": ((), "{}.wav"),
    "infill": (("--gap", "0.1:0.11"), "{}.infilled.wav"),
    "separate": (("--stem", "bass"), "{}/bass.wav"),
}


@pytest.fixture
def recordings(invoke, wav):
    """``recordings("infill", "a", "live/b")``: inputs below ``work``; runs the command on them."""

    def prepare(command, *names):
        for name in names:
            wav(f"work/{name}.wav", seconds=0.2)
            if command == "detokenize":
                assert invoke("tokenize", f"work/{name}.wav").status == 0
                Path(f"work/{name}.wav").unlink()
        return lambda *more: invoke(command, "work", *FOLDERS[command][0], *more)

    return prepare


@pytest.mark.parametrize("command", FOLDERS)
def test_a_tree_is_mirrored_once_though_results_lie_in_it(recordings, command, listing):
    run = recordings(command, "a", "live/b", "live/deep/c")
    wanted = [f"work/out/{FOLDERS[command][1].format(name)}" for name in
              ("a", "live/b", "live/deep/c")]  # fmt: skip
    for more in ((), ("--skip-existing",), ("--overwrite",)):
        done = run("-o", "work/out", *more)
        assert done.status == 0, done.err
        assert [name for name in listing() if name.startswith("work/out/")] == wanted


@pytest.mark.parametrize("command", ["tokenize", "detokenize", "infill"])
def test_results_beside_the_inputs_are_not_read_again(recordings, command, listing):
    run = recordings(command, "a", "live/b")
    assert run().status == 0
    made = listing()
    done = run("--skip-existing")
    assert done.status == 0
    assert done.err.count("skipped, its outputs exist") == 2
    assert listing() == made


def test_stems_may_not_go_among_the_songs(recordings, listing):
    run = recordings("separate", "a")
    for output in ("work", "work/.", "./work/"):
        done = run("-o", output)
        assert done.status == 2
        assert "choose another folder" in done.error_line()
    assert run("-o", "").status == 2
    assert [name for name in listing() if name.startswith("work")] == ["work/a.wav"]


@pytest.mark.parametrize("command", FOLDERS)
def test_skip_existing_does_the_rest_and_touches_nothing_else(recordings, command):
    run = recordings(command, "a", "live/b", "c")
    kept = Path("out", FOLDERS[command][1].format("live/b"))
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    done = run("-o", "out", "--skip-existing")
    assert done.status == 0
    assert done.err.count("skipped, its outputs exist") == 1
    assert kept.read_text() == "mine"
    for name in "ac":
        assert Path("out", FOLDERS[command][1].format(name)).stat().st_size > 100


@pytest.mark.parametrize("command", FOLDERS)
def test_two_that_would_write_one_file_are_refused_before_work_starts(
    recordings, command, engine, invoke, monkeypatch, listing
):
    recordings(command, "a", "b")
    ends = (".tokens.safetensors", ".tokens.txt") if command == "detokenize" else (".wav", ".mp3")
    Path(f"work/b{ends[0]}").rename(f"work/a{ends[1]}")
    before = listing()
    monkeypatch.setattr(engine, "__init__", None)
    for inputs in (["work"], [f"work/a{end}" for end in ends], ["work/a*"]):
        done = invoke(command, *inputs, *FOLDERS[command][0], "-o", "out", "--overwrite")
        assert done.status == 2
        assert "would both be written to" in done.error_line()
    assert listing() == before


@pytest.mark.parametrize("command", FOLDERS)
def test_the_others_are_done_and_a_table_says_which_failed(recordings, command):
    run = recordings(command, "a", "c")
    end = ".tokens.txt" if command == "detokenize" else ".wav"
    Path(f"work/b{end}").write_text("la la la\n")
    Path("work/d").mkdir()
    os.symlink("gone", f"work/d/e{end}")
    done = run("-o", "out")
    assert done.status == 1
    table = done.err.partition("2 of 4 files failed")[2]
    assert f"work/b{end} " in table
    assert f"work/d/e{end} " in table
    assert "no such file" in table
    assert "Traceback" not in done.err
    for name in "ac":
        assert Path("out", FOLDERS[command][1].format(name)).exists()
    assert not list(Path("out").rglob(".*"))


@pytest.mark.parametrize("command", FOLDERS)
def test_patterns_work_as_folders_do(recordings, command, invoke, listing):
    recordings(command, "a", "live/b")
    fixed, name = FOLDERS[command]
    done = invoke(command, "work/**/*", *fixed, "-o", "out")
    assert done.status == 0, done.err
    assert [made for made in listing() if made.startswith("out")] == [
        f"out/{name.format('a')}",
        f"out/{name.format('live/b')}",
    ]
