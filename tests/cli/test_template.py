"""Names of stems."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.cli.template import DEFAULT_TEMPLATE, fill_template
from audiomask.errors import UsageError


def test_default():
    assert fill_template(DEFAULT_TEMPLATE, "song", "bass", "wav") == Path("song/bass.wav")


def test_braces_can_be_doubled():
    assert fill_template("{{{stem}}}.{ext}", "song", "bass", "wav") == Path("{bass}.wav")


@pytest.mark.parametrize(
    "template",
    [
        "../{stem}.wav",
        "/etc/{stem}",
        "a/../../{stem}",
        "{track}/../../{stem}",
        "{artist}/{stem}.wav",
        "{stem.__class__}",
        "{stem!r}",
        "{stem:>10}",
        "{}",
        "{stem",
        "",
        "{track}/",
    ],
)
def test_refused(template):
    with pytest.raises(UsageError, match="--template"):
        fill_template(template, "song", "bass", "wav")


def test_a_track_cannot_climb():
    with pytest.raises(UsageError, match="leads out"):
        fill_template("{track}/{stem}.{ext}", "..", "bass", "wav")


def test_no_name_of_a_file_climbs_either(invoke, wav, listing):
    plain = wav("work/plain.wav", seconds=0.05)
    for name in ("...wav", "..wav", ". . .wav"):
        plain.with_name(name).write_bytes(plain.read_bytes())
    done = invoke("separate", "work/...wav", "--stem", "bass", "-o", "out/deep")
    assert done.status == 2
    assert "leads out of the output folder" in done.error_line()
    for template in ("{track}/{stem}.{ext}", "{track}{track}/{stem}.{ext}", "{stem}{track}.{ext}"):
        for name in ("work/..wav", "work/. . .wav"):
            invoke(*("separate", name, "--stem", "bass", "-o", "out/deep", "--overwrite"),
                   *("--template", template))  # fmt: skip
    assert all(name.startswith(("out/deep/", "work/")) for name in listing())


@given(template=st.text("{}./ab\\:~", max_size=12) | st.text(max_size=12), track=st.text("./a"))
def test_nothing_leads_out_of_the_folder(template, track):
    try:
        path = fill_template(template, track, "bass", "wav")
    except UsageError:
        return
    top = Path("/top/out")
    assert (top / path).resolve().is_relative_to(top)
    assert (top / path).resolve() != top
