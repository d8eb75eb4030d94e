"""Names of files: any that a disk can freeze_except, and messages that stay on one line."""

import os
from pathlib import Path

import pytest

from audiomask.cli.exits import describe
from audiomask.errors import AudioFileError
from audiomask.runtime.console import printable

NAMES = [
    "Ä composed",
    "A\u0308 decomposed",
    "夜曲 🎸",
    "  spaces  inside  ",
    "two\nlines",
    "tab\tand\x1b[31mcolour",
    "-o",
    "--help",
    "per %s cent {track}",
    "quotes ' \" `date` $HOME",
    "[a-z]*?",
    "dots...and.more.dots",
    "not utf-8 \udce9",
]
COMMANDS = {
    "tokenize": ((), "{}.tokens.safetensors"),
    "detokenize": ((), "{}.wav"),
    "infill": (("--gap", "0.01:0.02"), "{}.infilled.wav"),
    "separate": (("--stem", "bass"), "{}/bass.wav"),
}


@pytest.fixture
def named(wav, tmp_path):
    """``in/`` with a recording of every name; those that this disk takes."""
    wav("plain.wav", seconds=0.05)
    content = (tmp_path / "plain.wav").read_bytes()
    (tmp_path / "in").mkdir()
    taken = []
    for name in NAMES:
        try:
            (tmp_path / f"in/{name}.wav").write_bytes(content)
            taken.append(name)
        except (OSError, UnicodeEncodeError):
            continue
    assert len(taken) > 4
    return taken


@pytest.mark.parametrize("command", COMMANDS)
def test_every_name_in_a_folder(invoke, named, command):
    fixed, made = COMMANDS[command]
    source = "in"
    if command == "detokenize":
        assert invoke("tokenize", "in", "-o", "coded").status == 0
        source = "coded"
    done = invoke(command, source, *fixed, "-o", "out")
    assert done.status == 0, done.err
    found = {str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file()}
    assert found == {made.format(name) for name in named}
    assert all(line.startswith("audiomask: ") for line in done.err.splitlines())
    assert "\x1b" not in done.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["two\nlines", "-o", "not utf-8 \udce9", "[a-z]*?"])
def test_one_by_one_and_failing(invoke, wav, command, name):
    fixed, _ = COMMANDS[command]
    try:
        Path(f"{name}.txt").write_text("la la la\n")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this disk does not take the name")
    done = invoke(command, *fixed, "--", f"{name}.txt")
    assert done.status == 1
    assert printable(f"{name}.txt: ") in done.error_line()
    wav("good.wav", seconds=0.05)
    done = invoke(command, *fixed, "--", f"{name}.txt", "nowhere.txt")
    table = done.err.partition("2 of 2 files failed")[2].splitlines()
    assert len(table) == 5  # the rest of the header, a rule, a line each, and a sum
    assert table[2].startswith(printable(f"{name}.txt  "))
    assert table[2].count(".txt") == 1


def test_control_characters_are_spelt_out():
    assert printable("a\nb\x1b[0m\u2028\udce9é 🎸") == "a\\nb\\x1b[0m\\u2028\\udce9é 🎸"
    assert describe(AudioFileError("a  b\nc: is text")) == "a  b\\nc: is text"
    assert describe(OSError(2, "No such file", "a\rb")) == "a\\rb: No such file"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_the_longest_names(invoke, wav):
    name = "x" * 240
    wav(f"{name}.wav", seconds=0.05)
    assert invoke("separate", f"{name}.wav", "--stem", "bass").status == 0
    done = invoke("tokenize", f"{name}.wav")
    assert done.status == 1
    assert "File name too long" in done.error_line()
    done = invoke("tokenize", f"{name}.wav", "plain.wav", "-o", "out")
    assert done.status == 1
    assert "2 of 2 files failed" in done.err
