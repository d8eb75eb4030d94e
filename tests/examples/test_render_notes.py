"""The script that renders a SoundFont's notes: what it does is in the package, and tested there."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_is_no_soundfont_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "font.sf2").write_text("no font")
    script = ROOT / "examples" / "render_notes.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path / "bank", "--soundfont", tmp_path / "font.sf2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error" in done.stderr
