"""Help and version, without what makes them slow."""

import subprocess
import sys

import pytest

import audiomask

COMMANDS = ("tokenize", "detokenize", "infill", "separate", "evaluate", "train", "shrink", "info")


def test_help_names_every_command(run):
    done = run("--help")
    assert done.status == 0
    assert done.err == ""
    for command in COMMANDS:
        assert f"\n  {command} " in done.out.decode()


def test_help_imports_nothing_heavy():
    code = (
        "import sys, audiomask.cli.app\n"
        "heavy = {'torch', 'torchaudio', 'numpy', 'soundfile', 'rich.progress', 'pydub', 'scipy'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert done.returncode == 0


def test_no_arguments_shows_the_help(run):
    assert run().out == run("--help").out


def test_version(run):
    assert run("--version").out.decode() == f"audiomask {audiomask.__version__}\n"


def test_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "audiomask", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"audiomask {audiomask.__version__}\n"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("tokenize", "-o --format --kind --levels --model --device --threads --jobs --overwrite"),
        ("detokenize", "-o --subtype --jobs --skip-existing --quiet --verbose --debug"),
        (
            "infill",
            "-o --gap --gaps --detect --detect-kind --min-gap --middle --method --steps "
            "--temperature --top-p --candidates --seed --report --dry-run --jobs --overwrite",
        ),
        (
            "separate",
            "-o --stem --minus --residual --method --template --format --subtype --jobs -j",
        ),
        (
            "evaluate",
            "--data --split --limit --seconds --mono --seed --levels --fit --rounds --gap-length "
            "--gaps-per-file --method --json --model --device --quiet",
        ),
        (
            "train",
            "--data --out --preset --steps --max-time --resume --precision --workers "
            "--batch-size --seed --save-every --init --vqvae --spectrogram --stage --set --device "
            "--threads --config --accumulate --compile --shard --tensorboard --validate-every "
            "--pack --cache --keep-tokens --dry-run",
        ),
    ],
)
def test_help_of_a_command_names_its_options(run, command, options):
    done = run(command, "--help")
    assert done.status == 0
    words = done.out.decode().replace(",", " ").split()
    assert [option for option in options.split() if option not in words] == []
