"""``tokenize --page`` and ``detokenize --page``: tokens to look at, and to listen to."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiomask.audio.source import AudioSource
from audiomask.cli.page_file import OpenPage, clock
from audiomask.page.document import write_page
from audiomask.page.token_map import TokenMap
from audiomask.page.tracks import EMBEDDED_SECONDS, Player, Track, choose_ending, match_loudness
from audiomask.tokens import MID_SIDE, SEMANTIC, Tokens

if TYPE_CHECKING:
    from audiomask.engine import Engine

_ORIGINAL, _DECODED = "original", "resynthesis"
#: seconds of each track of a page at most
MOST_SECONDS = EMBEDDED_SECONDS / 2
#: samples to read at once
_BLOCK = 1 << 18


class TokenPage(OpenPage):
    """The page of one recording's tokens. A context manager.

    Args:
        path: of the page.
        title: its title.
        tokens: of the recording.
        overwrite: whether an existing page may be replaced.
    """

    def __init__(self, path: Path, title: str, tokens: Tokens, overwrite: bool) -> None:
        super().__init__(path, overwrite)
        self._title, self._tokens = title, tokens
        most = round(MOST_SECONDS * tokens.sample_rate)
        self._samples = min(tokens.num_samples, most)
        self._tracks: list[Track] = []
        self._decoded: Track | None = None
        self._written = 0

    def add_original(self, source: AudioSource) -> None:
        """Add the recording itself."""
        track = self._open(_ORIGINAL, source.channels)
        for start in range(0, self._samples, _BLOCK):
            track.write(source.read(start, min(start + _BLOCK, self._samples)))

    def add_decoded(self, engine: "Engine") -> None:
        """Add what the tokens sound like, if they do."""
        if self._tokens.kind == SEMANTIC:
            return
        for block in engine.detokenize(self._tokens):
            if not self.write_decoded(block):
                break

    def write_decoded(self, block: Any) -> bool:
        """Add the next samples, a tensor [C, n], of what the tokens sound like.

        Returns:
            Whether the page has room for more.
        """
        if self._decoded is None:
            self._decoded = self._open(_DECODED, self._tokens.channels)
        self._decoded.write(block[:, : self._samples - self._written])
        self._written = min(self._written + block.shape[1], self._samples)
        return self._written < self._samples

    def _open(self, name: str, channels: int) -> Track:
        tokens = self._tokens
        encoded = self.folder / f"{name}.{choose_ending(2 * self._samples / tokens.sample_rate)}"
        track = Track(name, self._samples, tokens.sample_rate, channels, encoded, alone=True)
        self._tracks.append(self.stack.enter_context(track))
        return track

    def finish(self) -> None:
        """Write the page."""
        tokens, tracks = self._tokens, self._tracks
        notes = []
        for track in tracks:
            track.finish()
        if len(tracks) > 1:
            match_loudness(tracks)
            notes.append("Both are played equally loud.")
        elif tokens.kind == SEMANTIC:
            notes.append("These tokens tell what sounds, and cannot be turned back into sound.")
        if self._samples < tokens.num_samples:
            notes.append(f"Shown are the first {MOST_SECONDS / 60:.3g} minutes.")
        frames = -(-tokens.frames * self._samples // tokens.num_samples)
        codes = tokens.codes[:, :, :frames]
        names = _channel_names(tokens)
        bright = tracks[0].brightness(frames)
        maps = [
            TokenMap.draw(name, channel, bright) for name, channel in zip(names, codes, strict=True)
        ]
        about = _about(tokens)
        seconds = self._samples / tokens.sample_rate
        player = Player("Tokens", seconds, tracks, facts=list(about.items()), maps=maps)
        write_page(
            self.path,
            self._title,
            [player],
            notes,
            tokens.sample_rate,
            self.overwrite,
            about,
        )


def _about(tokens: Tokens) -> dict[str, str]:
    """What is told of tokens, by its name."""
    return {
        "length": clock(tokens.duration),
        "channels": str(tokens.channels),
        "levels": str(tokens.levels),
        "frames": f"{tokens.frames:,}",
        "codes in a level": f"{tokens.codebook_size:,}",
        "kbit/s": f"{tokens.bitrate / 1000:.2f}",
    }


def _channel_names(tokens: Tokens) -> list[str]:
    """What the channels of codes are called."""
    if tokens.kind == SEMANTIC or tokens.codes.shape[0] == 1:
        return ["tokens"]
    if tokens.stereo == MID_SIDE:
        return ["tokens of the middle", "tokens of the sides"]
    if tokens.channels == 2:
        return ["tokens, left", "tokens, right"]
    return [f"tokens, channel {number}" for number in range(1, tokens.channels + 1)]
