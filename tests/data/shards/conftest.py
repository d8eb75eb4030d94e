"""Songs to pack, shards of them, and a server that has them."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from audiomask.data.layouts import recognize
from audiomask.data.shards.packing import pack

RATE = 44_100


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """``save(path, samples [n, C])`` writes 16-bit samples, folders above them included."""

    def write(
        path: Path, samples: npt.NDArray[np.float64], subtype: str = "PCM_16", rate: int = RATE
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, subtype)
        return path

    return write


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory, save: Callable[..., Path]) -> Path:
    """Twelve songs of 1 to 2.5 s with guitar (in two files), bass, and drums in every third one.

    Eight are for training, two each for validation and test.
    """
    folder = tmp_path_factory.mktemp("songs")
    for number in range(12):
        split = "validation" if number in (8, 9) else "test" if number > 9 else "train"
        rng = np.random.default_rng(number)
        length = RATE + number % 4 * RATE // 2
        parts = {"guitar 1": 1, "guitar 2": 2, "bass": 1}
        if number % 3 == 0:
            parts["drums"] = 2
        for part, channels in parts.items():
            noise = rng.uniform(-0.3, 0.3, (length, channels))
            save(folder / split / f"song {number}" / f"{part}.wav", noise)
    return folder


@pytest.fixture(scope="session")
def packed(songs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The songs as shards of few segments of half a second."""
    out = tmp_path_factory.mktemp("packed") / "shards"
    pack([recognize(songs)], out, seconds=0.5, shard_bytes=400_000)
    return out


class Server(http.server.ThreadingHTTPServer):
    """A web server that notes what it is asked for, and can break off answers."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.broken = 0
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path.lstrip("/"))
                if self.path.endswith(".tar") and server.broken:
                    server.broken -= 1
                    whole = Path(self.translate_path(self.path)).read_bytes()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(whole)))
                    self.end_headers()
                    self.wfile.write(whole[: len(whole) // 2])
                    return
                super().do_GET()

            def log_message(self, format: str, *given: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def server(peer: Callable[[str], str]) -> Iterator[Callable[[Path], Server]]:
    """``server(folder)`` serves a folder until the test ends; webdataset asks it with curl."""
    peer("curl")
    running = []

    def serve(folder: Path) -> Server:
        started = Server(folder)
        threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
        running.append(started)
        return started

    yield serve
    for one in running:
        one.shutdown()
        one.server_close()
