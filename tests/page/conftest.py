"""Pages to open, and a browser to open them in."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from audiomask.page.document import write_page
from audiomask.page.tracks import Player, Track

RATE = 22050
#: the frequencies of the tracks, which tell what is heard
TONES = {"original": 3000.0, "guitar": 500.0, "bass": 1000.0, "drums": 2000.0}


def tone(hertz: float, seconds: float, rate: int = RATE) -> torch.Tensor:
    """A stereo tone [2, T] at a quarter of full scale."""
    times = torch.arange(round(seconds * rate)) / rate
    return (0.25 * torch.sin(2 * torch.pi * hertz * times)).expand(2, -1)


@pytest.fixture
def make_page(tmp_path: Path) -> Callable[..., Path]:
    """``make_page(inside=False)``: a page of a mixer, with a tone for each track."""

    def make(
        name: str = "page.html",
        title: str = "song",
        seconds: float = 4.0,
        inside: bool = True,
        in_turn: bool = False,
        names: dict[str, float] = TONES,
        players: int = 1,
        ending: str = "flac",
    ) -> Path:
        def build(place: int) -> Player:
            tracks = []
            for number, (track, hertz) in enumerate(names.items()):
                audio = tone(hertz, seconds)
                encoded = tmp_path / f"{place}-{number}.{ending}"
                with Track(
                    track,
                    audio.shape[1],
                    RATE,
                    2,
                    encoded,
                    alone=in_turn or track == "original",
                ) as made:
                    made.write(audio)
                    made.finish()
                if not inside:
                    made.encoded, made.address = None, encoded.name
                tracks.append(made)
            return Player(f"part {place}", seconds, tracks, regions=[(1.0, 1.5)])

        path = tmp_path / name
        write_page(path, title, [build(n) for n in range(players)], ["A note."], RATE)
        return path

    return make


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser without a window; tests are skipped where it is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """``visit(path, color_scheme="dark")``: a page opened from disk.

    At the end it must have logged nothing, and asked for nothing but files.
    """
    told: list[str] = []

    @contextmanager
    def listening(**settings: Any) -> Iterator[Any]:
        context = chromium.new_context(**settings)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda asked: told.append(asked.url) if _remote(asked.url) else None)
        yield page
        context.close()

    opened = []

    def go(path: Path, **settings: Any) -> Any:
        context = listening(**settings)
        page = context.__enter__()
        opened.append(context)
        page.goto(path.as_uri())
        return page

    yield go
    for context in opened:
        context.__exit__(None, None, None)
    assert told == []


def _remote(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))
