"""A browser to open pages in, and what is heard of them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: the levels of some tones in decibels, as the first player sounds; begins after its gains settled
_LEVELS = """
async (tones) => {
  const { players, audioContext } = window.audiomask;
  const audio = audioContext();
  const analyser = audio.createAnalyser();
  analyser.fftSize = 4096;
  analyser.smoothingTimeConstant = 0;
  players[0].engine.master.connect(analyser);
  const begun = audio.currentTime;
  while (audio.currentTime < begun + 0.4) await new Promise((done) => setTimeout(done, 20));
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  return tones.map((hertz) => levels[Math.round(hertz * 4096 / audio.sampleRate)]);
}
"""


def levels(page: Any, tones: Sequence[float]) -> list[float]:
    """The levels in decibels of tones, in hertz, in what the first player of a page sounds like."""
    return list(page.evaluate(_LEVELS, list(tones)))


def heard(page: Any, tones: Sequence[float]) -> list[float]:
    """Those of some tones, in hertz, that are heard from the first player of a page."""
    return [hertz for hertz, level in zip(tones, levels(page, tones), strict=True) if level > -45]


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
        page.goto(path.absolute().as_uri())
        return page

    yield go
    for context in opened:
        context.__exit__(None, None, None)
    assert told == []


def _remote(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))
