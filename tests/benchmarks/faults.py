"""Detection of faults: planted faults found, and false alarms, compared with pydub.

Dropouts of 5 to 300 ms are planted into the recordings of a folder, one kind a recording: silence,
also before encoding as MP3, AAC or Vorbis, or noise. False alarms are counted in the unchanged
recordings. The baseline is pydub's ``detect_silence`` at -50 dBFS. Needs ffmpeg.

    python tests/benchmarks/faults.py music/ --part 2/3
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from pydub import AudioSegment
from pydub.silence import detect_silence

from audiomask.audio.files import AudioFile
from audiomask.infill.detection.detect import DEFAULT_KINDS, KINDS, detect_faults

Audio = npt.NDArray[np.float32]
Spans = list[tuple[float, float]]

LENGTHS = (0.005, 0.008, 0.012, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3)
#: contents of a fault, as a level in dBFS, and encodings of the recording
FLOORS = {"silence": None, "noise -60 dBFS": -60.0, "noise -80 dBFS": -80.0}
CODINGS = {
    "mp3 64k": ("mp3", "-b:a", "64k"),
    "mp3 128k": ("mp3", "-b:a", "128k"),
    "mp3 192k": ("mp3", "-b:a", "192k"),
    "mp3 320k": ("mp3", "-b:a", "320k"),
    "aac 128k": ("m4a", "-c:a", "aac", "-b:a", "128k"),
    "vorbis q4": ("ogg", "-c:a", "libvorbis", "-q:a", "4"),
}
#: largest error of both edges, in seconds
TOLERANCE = 0.004
#: lowest level on both sides of a fault, in dBFS
QUIET = -45.0
CLICKS = "clicks"


def level(audio: Audio) -> float:
    """Root mean square, in dB of full scale."""
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-12))


def plant(audio: Audio, rate: int, kind: str, seed: int) -> tuple[Audio, Spans]:
    """A copy of audio [T, C] with a fault about every two seconds, and their spans in seconds."""
    rng = np.random.default_rng(seed)
    made, spans = audio.copy(), []
    for begin in np.arange(1.0, len(audio) / rate - 1.5, 2.2):
        for _ in range(5):
            start = int((begin + rng.uniform(0, 1.2)) * rate)
            length = int(rng.choice(LENGTHS) * rate)
            if kind == CLICKS:
                length = int(rng.integers(1, 51))
            sides = audio[start - rate // 50 : start], audio[start + length :][: rate // 50]
            if min(map(level, sides)) > QUIET:
                break
        else:
            continue
        noise = rng.normal(size=(length, audio.shape[1]))
        floor = FLOORS.get(kind)
        if kind == CLICKS:
            made[start : start + length] += noise * 0.3
        else:
            made[start : start + length] = 0 if floor is None else noise * 10 ** (floor / 20)
        spans.append((start / rate, (start + length) / rate))
    return np.clip(made, -1, 1), spans


def ours(path: Path, kinds: tuple[str, ...]) -> Spans:
    """The spans that ``infill`` would fill, in seconds."""
    with AudioFile(path) as file:
        faults = [f.gap for f in detect_faults(file, 0.004, kinds) if not f.left]
        return [(gap.start / file.sample_rate, gap.stop / file.sample_rate) for gap in faults]


def peer(path: Path) -> Spans:
    """The spans that pydub finds silent, in seconds, except at the ends."""
    sound = AudioSegment.from_file(path)
    spans = detect_silence(sound, min_silence_len=5, silence_thresh=-50)
    return [(a / 1000, b / 1000) for a, b in spans if a > 0 and b < len(sound)]


def main() -> None:
    """Count planted faults that are found, and false alarms."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of recordings without faults")
    parser.add_argument("--part", default="0/1", help="K/N: every N-th recording, from the K-th on")
    parser.add_argument("--clicks", action="store_true", help="plant clicks, and look for them")
    arguments = parser.parse_args()
    first, step = map(int, arguments.part.split("/"))
    suffixes = {".wav", ".flac", ".ogg", ".mp3"}
    paths = sorted(p for data in arguments.data for p in data.rglob("*") if p.suffix in suffixes)
    kinds = KINDS if arguments.clicks else DEFAULT_KINDS
    kinds = tuple(kind for kind in kinds if kind != "clipped")
    variants = [CLICKS] if arguments.clicks else [*FLOORS, *CODINGS]
    planted, found = Counter[str](), Counter[str]()
    alarms, seconds = Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(paths[first::step]):
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
            clean = Path(folder, "clean.wav")
            soundfile.write(clean, audio, rate, subtype="PCM_16")
            seconds += len(audio) / rate
            if wrong := len(ours(clean, kinds)):
                alarms["audiomask"] += wrong
                print(f"{wrong} false alarms: {path}", flush=True)
            alarms["pydub"] += len(peer(clean))
            variant = variants[number % len(variants)]
            made, spans = plant(audio, rate, variant, number)
            target = Path(folder, "made.wav")
            soundfile.write(target, made, rate, subtype="PCM_16")
            if variant in CODINGS:
                ending, *options = CODINGS[variant]
                coded = Path(folder, f"coded.{ending}")
                command = ["ffmpeg", "-v", "error", "-y", "-i", target, *options, coded]
                subprocess.run(list(map(str, command)), check=True)
                target = coded
            planted[variant] += len(spans)
            slack = 0.001 if arguments.clicks else TOLERANCE
            for name, detected in (("audiomask", ours(target, kinds)), ("pydub", peer(target))):
                found[f"{name} {variant}"] += sum(
                    any(abs(a - start) < slack and abs(b - stop) < slack for a, b in detected)
                    for start, stop in spans
                )
    for variant in variants:
        counts = [f"{name} {found[f'{name} {variant}']}" for name in ("audiomask", "pydub")]
        print(f"{variant}: {planted[variant]} planted; found {', '.join(counts)}")
    for name in ("audiomask", "pydub"):
        print(f"{name}: {alarms[name]} false alarms in {seconds / 3600:.2f} h")


if __name__ == "__main__":
    main()
