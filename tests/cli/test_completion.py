"""Shell completion: installed by its option, in the shells that people use."""

import os
import subprocess
from pathlib import Path

import pytest

#: what a new shell offers for a line that is being typed
OFFERS = {
    "bash": (
        "COMP_WORDS=({words}); COMP_CWORD={last}; _audiomask_completion audiomask; "
        'printf "%s\\n" "${{COMPREPLY[@]}}"'
    ),
    # zsh completes at a terminal only: this is what it evaluates there
    "zsh": 'env _TYPER_COMPLETE_ARGS="{words}" _AUDIOMASK_COMPLETE=complete_zsh audiomask',
    "fish": 'complete -C "{words}"',
}


@pytest.mark.parametrize("name", OFFERS)
def test_a_shell_completes_commands_options_and_their_values(peer, script, tmp_path, name):
    shell = peer(name)
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PATH": f"{Path(script).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"):
        environment.pop(variable, None)

    def ask(*arguments):
        done = subprocess.run(
            [shell, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    # followed by another command, as shells replace themselves by the last one
    assert "completion installed in" in ask("-c", "audiomask --install-completion; true")
    for words, offered in (
        ("audiomask sep", "separate"),
        ("audiomask separate --qual", "--quality"),
        ("audiomask separate --quality b", "best"),
    ):
        line = OFFERS[name].format(words=words, last=len(words.split()) - 1)
        assert offered in ask("-ic", line)


def test_zsh_knows_the_function_of_its_completion(peer, script, tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)}
    lines = f"{script} --install-completion; true"
    subprocess.run([peer("zsh"), "-c", lines], env=environment, check=True, capture_output=True)
    function = next(tmp_path.rglob("_audiomask"))
    assert function.read_text().startswith("#compdef audiomask")
    subprocess.run([peer("zsh"), "-n", str(function)], check=True)
