"""Every command of the README and of the docs is run, in a folder that has what readers have.

The two ``bash`` lines that make an environment are run by ``.ci/run``. ``tests/cli/test_ray.py``
runs commands as those of ``docs/cluster.md`` on a cluster; the Slurm scripts are run by nobody.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from signals import note

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> dict[str, str]:
    """Code blocks by page and number."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        some = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
        found |= {f"{page.stem}-{number}": block for number, block in enumerate(some)}
    return found


BLOCKS, PYTHON = blocks("console"), blocks("python")
(TOML,) = blocks("toml").values()


def commands(block: str) -> list[str]:
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with a song, recordings with gaps, an album, labels, notes and MIDI files."""
    samples, rate = soundfile.read(ROOT / "examples" / "song.wav", dtype="int16", stop=8 * 44100)
    soundfile.write(tmp_path / "song.wav", samples, rate)
    soundfile.write(tmp_path / "take.wav", samples[rate:], rate)
    holed = samples[: 2 * rate].copy()
    holed[rate : rate + 2000] = 0
    soundfile.write(tmp_path / "gap.wav", holed, rate)
    (tmp_path / "album").mkdir()
    soundfile.write(tmp_path / "album" / "one.wav", samples[:rate], rate)
    (tmp_path / "tapes" / "side a").mkdir(parents=True)
    soundfile.write(tmp_path / "tapes" / "side a" / "one.wav", holed, rate)
    (tmp_path / "labels.txt").write_text("0.300000\t0.350000\tdropout\n")
    rng = np.random.default_rng(0)
    pitches_of = {"guitar": (52, 64), "piano": (48, 72), "bass": (33, 45), "voice": (55, 67)}
    for stem, pitches in pitches_of.items():
        folder = tmp_path / "notes" / stem / "plain"
        folder.mkdir(parents=True)
        for pitch in pitches:
            sound = 0.5 * note(pitch, rate // 2, rate=rate)
            soundfile.write(folder / f"{pitch:03d}_v100.ogg", sound, rate)
    kit = tmp_path / "notes" / "drums" / "kit"
    kit.mkdir(parents=True)
    for piece in ("kick", "snare", "hat"):
        soundfile.write(kit / f"{piece}_a.ogg", 0.3 * rng.standard_normal(4000), rate)
    (tmp_path / "midi").mkdir()
    song = mido.MidiFile()
    track = song.add_track("PIANO")
    for pitch in range(60, 72):
        track.append(mido.Message("note_on", note=pitch, velocity=80))
        track.append(mido.Message("note_off", note=pitch, time=480))
    song.save(tmp_path / "midi" / "scale.mid")
    shutil.copytree(tmp_path / "notes" / "guitar", tmp_path / "mine" / "guitar")
    for number in range(2):
        folder = tmp_path / "songs" / f"song {number}"
        folder.mkdir(parents=True)
        for place, stem in enumerate(("guitar", "piano", "bass", "drums")):
            soundfile.write(folder / f"{stem}.wav", np.roll(samples, place * rate), rate)
    (tmp_path / "run.toml").write_text(TOML)
    return tmp_path


def run(command: str, folder: Path) -> None:
    for program in ("sox",):
        if re.search(rf"\b{program}\b", command) and shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    binaries = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=folder,
        env={"PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_commands(block: str, reader: Path) -> None:
    for command in commands(BLOCKS[block]):
        # minutes and thousands are the reader's; a second shows that it does what it says
        command = re.sub(r"--max-time (9m|1h)", "--max-time 1s --set warmup=1", command)
        command = command.replace("--keep-tokens 1000", "--keep-tokens 8")
        command = command.replace("evaluate mlm", "evaluate mlm --rounds 1 --limit 2")
        command = command.replace(
            "evaluate lm", "evaluate lm --pairs 1 --limit 2 --continuations 1"
        )
        # six models are trained in one block: small ones
        small = "--set dim=24 --set heads=2 --batch-size 2"
        command = re.sub(r"(train lm .*)", rf"\1 {small}", command)
        if "train lm" in BLOCKS[block]:
            small += " --set window=48 --set longest_span=16"
            command = re.sub(r"(train spectrogram .*)", rf"\1 {small}", command)
        run(command, reader)


def test_there_are_commands_of_every_subcommand() -> None:
    text = "\n".join(BLOCKS.values())
    for subcommand in ("separate", "infill", "tokenize", "detokenize", "train", "evaluate"):
        assert f"audiomask {subcommand}" in text


@pytest.mark.parametrize("block", PYTHON)
def test_python(block: str, reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reader)
    exec(compile(PYTHON[block], block, "exec"), {})
