"""Where results go, and what is refused before work starts."""

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
