"""Pages to open in a browser."""

from collections.abc import Callable
from pathlib import Path

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
