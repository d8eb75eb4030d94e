"""Open-Unmix, trained on the data of `audiomask train masks`, and compared with our separation.

    python tests/benchmarks/open_unmix.py train DATA... --out DIR --minutes M [--width 256]
    python tests/benchmarks/open_unmix.py compare SONGS... --open-unmix DIR --model MODELS

``train`` follows the published recipe: a model of three BLSTM layers for each stem, STFT of
4096/1024, 16 kHz of bandwidth, inputs normalized by the data's mean and scale, mean squared error
of magnitudes, Adam at 1e-3 with a weight decay of 1e-5, batches of 16 excerpts of 6 s. Three things
differ: the published width is 512; the excerpts are mono; and the learning rate is multiplied by
0.3 after 70, 85 and 95 % of a fixed wall time for all stems together, rather than on plateaus. The
excerpts are those of `audiomask train masks` with the same --data, --seed and --cache, each made
once for all models. bf16 is used where the machine is fast at it. SIGTERM saves the run; --resume
continues it, with --minutes counted from its beginning.

``compare`` prints the improvement of SI-SDR over the mixture, as `audiomask evaluate separate`
does; the mel distance to the true stem, which ignores phases; and the speed of separation into all
stems. Open-Unmix has its own Separator, with one Wiener step over all stems and the residual; its
mono models process each channel of a song. Systems take turns song by song, after one song that
does not count; the time includes resampling. "Untrained" rows are for speed only, which does not
depend on the weights: models that process all channels at once, as the published ones do, of the
width at hand and of the published one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from report import note, show
from torch import Tensor, nn

import audiomask
from audiomask.audio.source import MemorySource, ResampledSource
from audiomask.audio.spectra import mel_distance
from audiomask.data.layouts import recognize
from audiomask.data.open import open_data
from audiomask.data.places import name_of, place_of
from audiomask.engine import Engine
from audiomask.errors import AudiomaskError, DataError
from audiomask.evaluation.baselines import CUTOFF, lowpass, ratio_mask
from audiomask.evaluation.metrics import SILENCE, level, si_sdr
from audiomask.evaluation.options import Split
from audiomask.evaluation.report import SPREAD, Summary, as_json, summarize
from audiomask.evaluation.separation import ALONE
from audiomask.evaluation.songs import Choice, Song, find_songs
from audiomask.networks.stems import STEMS
from audiomask.runtime.device import choose_device
from audiomask.training.tasks.masks import MasksTask

try:
    import open_unmix_model as umx
except ModuleNotFoundError as missing:
    if missing.name != "openunmix":
        raise
    raise SystemExit("open_unmix: error: needs openunmix: pip install '.[peers]'") from None

MIXTURE, LOWPASS, ORACLE = "mixture", f"lowpass {CUTOFF} Hz", "ideal ratio mask"
LOW = "bass"
#: seconds of the song that does not count
WARM_UP = 12.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Estimates = Mapping[str, Tensor]
System = Callable[[Song], Estimates]


@app.command()
def train(
    data: Annotated[list[str], typer.Argument(help="As --data of audiomask train.")],
    out: Annotated[Path, typer.Option(help="Folder of the weights and the run's state.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Wall time, all stems together.")],
    width: Annotated[int, typer.Option(min=2, help="Of the hidden layers.")] = 256,
    seconds: Annotated[float, typer.Option(min=0.5, help="Of an excerpt.")] = 6.0,
    batch: Annotated[int, typer.Option(min=1, help="Excerpts a step.")] = 16,
    stems: Annotated[str, typer.Option(help="With commas between them.")] = ",".join(STEMS),
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load data.")] = 0,
    cache: Annotated[Path | None, typer.Option(help="As --cache of audiomask train.")] = None,
    device: Annotated[str, typer.Option()] = "auto",
    resume: Annotated[bool, typer.Option(help="Continue the run in --out.")] = False,
) -> None:
    """Train Open-Unmix for a fixed wall time."""
    if threads is not None:
        torch.set_num_threads(threads)
    places = [place_of(text) for text in data]
    names = tuple(name_of(place) for place in places)
    recipe = umx.Recipe(tuple(stems.split(",")), names, width, seconds, batch, seed)
    try:
        umx.check_place(out, resume)  # before the data, which can take minutes to open
        samples = round(seconds * umx.SAMPLE_RATE)
        sources = [recognize(place) for place in places]
        dataset = open_data(
            sources,
            recipe.stems,
            samples,
            seed,
            augmentation=MasksTask.augmentation,
            cache=cache,
            need_stems=True,
        )
        run = umx.Training(dataset, recipe, out, choose_device(device), workers, resume)
        note(f"{', '.join(names)}: {', '.join(recipe.stems)}; width {width}" + run.half * ", bf16")
        run.train(60 * minutes)
    except AudiomaskError as error:
        raise failed(error) from None


class Unmixer:
    """Separation of songs by Open-Unmix.

    Args:
        models: one for each stem; mono, or of as many channels as the songs.
        device: of the models.
    """

    def __init__(self, models: nn.ModuleDict, device: torch.device) -> None:
        self.separator, self.device, self.stems = umx.separator(models, device), device, [*models]

    @torch.inference_mode()
    def __call__(self, song: Song) -> Estimates:
        """Stems, [C, T] each, of the song's sample rate and length."""
        mixture = ResampledSource(MemorySource(song.mixture, song.sample_rate), umx.SAMPLE_RATE)
        found = self.separator(mixture.read(0, mixture.frames)[None].to(self.device))[0].cpu()
        length = song.mixture.shape[-1]
        back = [
            ResampledSource(MemorySource(stem, umx.SAMPLE_RATE), song.sample_rate).read(0, length)
            for stem in found
        ]
        # without the residual, which is last
        return dict(zip(self.stems, back, strict=False))


def ours(engine: Engine, stems: Sequence[str], method: str) -> System:
    """Separation of songs by an engine."""

    def separate(song: Song) -> Estimates:
        source = MemorySource(song.mixture, song.sample_rate)
        blocks = list(engine.separate(source, stems, method=method))
        return {stem: torch.cat([block[stem] for block in blocks], dim=-1) for stem in stems}

    return separate


def clocked(systems: Mapping[str, System], song: Song) -> dict[str, tuple[Estimates, float]]:
    """Each system's estimates, and its speed in seconds of audio a second."""
    found = {}
    for name, system in systems.items():
        began = time.perf_counter()
        estimates = system(song)
        taken = time.perf_counter() - began
        found[name] = (estimates, song.mixture.shape[-1] / song.sample_rate / taken)
    return found


def measured(song: Song, stems: Sequence[str]) -> list[str]:
    """The stems that play in a song with others."""
    true = {stem: song.stems[stem] for stem in stems if stem in song.stems}
    loud = {stem: audio for stem, audio in true.items() if level(audio) >= SILENCE}
    return [stem for stem, audio in loud.items() if si_sdr(song.mixture, audio) <= ALONE]


def improvements(song: Song, stems: Sequence[str], found: Mapping[str, Estimates]) -> list[Any]:
    """A row for every stem and system: SI-SDR, its improvement, and mel distance."""
    systems: dict[str, Estimates] = {
        MIXTURE: dict.fromkeys(stems, song.mixture),
        LOWPASS: {LOW: lowpass(song.mixture, song.sample_rate)},
        **found,
        ORACLE: ratio_mask(song.mixture, song.stems),
    }
    base = {stem: si_sdr(song.mixture, song.stems[stem]) for stem in stems}
    rows = []
    for system, estimates in systems.items():
        for stem in (stem for stem in stems if stem in estimates):
            estimate, true = estimates[stem], song.stems[stem]
            ratio = si_sdr(estimate, true)
            row = {"song": song.name, "stem": stem, "system": system, "si_sdr": ratio}
            row["improvement"] = ratio - base[stem]
            row["mel_distance"] = float(mel_distance(estimate, true, song.sample_rate).mean())
            rows.append(row)
    return rows


@app.command()
def compare(
    data: Annotated[list[Path], typer.Argument(help="As --data of audiomask evaluate separate.")],
    open_unmix: Annotated[Path, typer.Option(help="What train wrote.")],
    model: Annotated[Path | None, typer.Option(help="Checkpoints; else the bundled.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Ours: mask, wiener, tokens.")] = None,
    split: Annotated[Split, typer.Option(help="Songs of this split only.")] = Split.test,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many songs.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Only the middle of every song.")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    cache: Annotated[Path | None, typer.Option(help="As --cache of audiomask train.")] = None,
    device: Annotated[str, typer.Option()] = "cpu",
    json: Annotated[Path | None, typer.Option(help="File for all results.")] = None,
) -> None:
    """Compare our separation with Open-Unmix's and with baselines."""
    methods = method or ["mask", "tokens"]
    rows: list[dict[str, Any]] = []
    speeds: dict[str, list[float]] = {}
    songs: list[dict[str, Any]] = []
    try:
        engine = Engine(model, device, threads)
        models, notes = umx.load(open_unmix)
        stems, width = engine.stems(methods[0]), notes["width"]
        for known in map(engine.stems, methods):
            if set(known) != set(models):
                needed = ", ".join(known)
                raise DataError(f"{open_unmix}: has {', '.join(models)}; {needed} are needed")
        peer = f"Open-Unmix, width {width}"
        alone = {stem: umx.PerChannel(models[stem]) for stem in stems}
        systems: dict[str, System] = {
            **{f"ours ({name})": ours(engine, stems, name) for name in methods},
            peer: Unmixer(nn.ModuleDict(alone), engine.device),
        }
        untrained: dict[int, dict[str, System]] = {}
        choice = Choice(split.value, limit, seconds, stems=stems, cache=cache)
        refs = find_songs([recognize(folder) for folder in data], choice)
        for number, ref in enumerate(refs):
            song = ref.read()
            wanted = measured(song, stems)
            names = ", ".join(wanted) or "left out"
            note(f"{number + 1} of {len(refs)}: {song.name}: {names}")
            if not wanted:
                continue
            channels = song.mixture.shape[0]
            if channels not in untrained:
                untrained[channels] = {
                    f"Open-Unmix, width {w}, {channels}-channel, untrained": Unmixer(
                        umx.build(stems, w, channels), engine.device
                    )
                    # for mono songs the trained models are like this
                    for w in sorted({umx.WIDTH} if channels == 1 else {width, umx.WIDTH})
                }
                end = round(WARM_UP * song.sample_rate)
                short = Song(song.name, song.mixture[:, :end], {}, song.sample_rate)
                clocked(systems | untrained[channels], short)
            found = clocked(systems, song)
            rest = clocked(untrained[channels], song)
            for name, (_, speed) in (found | rest).items():
                speeds.setdefault(name, []).append(speed)
            rows += improvements(song, wanted, {name: made for name, (made, _) in found.items()})
            length = song.mixture.shape[-1] / song.sample_rate
            songs.append({"song": song.name, "channels": channels, "seconds": length})
        if not rows:
            raise DataError("no song has any of the stems beside others")
    except AudiomaskError as error:
        raise failed(error) from None
    quality = summaries(rows, stems, "improvement")
    timbre = summaries(rows, stems, "mel_distance")
    taken = {name: summarize(values) for name, values in speeds.items()}
    report(quality, timbre, taken, stems, peer, threads)
    kinds = sorted({f"{song['channels']}-channel" for song in songs})
    lengths = f"{min(s['seconds'] for s in songs):.0f} to {max(s['seconds'] for s in songs):.0f} s"
    note(f"{len(songs)} songs, {', '.join(kinds)}, {lengths}; {engine.device}, {threads} threads")
    note(
        f"{peer}: {notes['minutes']:.1f} min on {', '.join(notes['data'])}, "
        f"{notes['steps']} steps of {notes['batch']} x {notes['seconds']:g} s"
    )
    if json is not None:
        head = {
            "audiomask": audiomask.__version__,
            "torch": torch.__version__,
            "checkpoints": engine.fingerprints,
            "open_unmix": notes,
            "device": str(engine.device),
            "threads": threads,
            "data": [str(folder) for folder in data],
            "split": split.value,
            "songs": songs,
        }
        head |= {"si_sdr_improvement": quality, "mel_distance": timbre, "speed": taken}
        head |= {"speeds": speeds, "rows": rows}
        json.write_text(as_json(head) + "\n", encoding="utf-8")


def summaries(
    rows: Sequence[Mapping[str, Any]], stems: Sequence[str], measure: str
) -> dict[str, dict[str, Summary]]:
    """Summaries of a metric for each system and stem."""
    found: dict[str, dict[str, Summary]] = {}
    for system in dict.fromkeys(row["system"] for row in rows):
        for stem in stems:
            of = [row for row in rows if (row["system"], row["stem"]) == (system, stem)]
            if of:
                found.setdefault(system, {})[stem] = summarize([row[measure] for row in of])
    return found


def report(
    quality: Mapping[str, Mapping[str, Summary]],
    timbre: Mapping[str, Mapping[str, Summary]],
    speed: Mapping[str, Summary],
    stems: Sequence[str],
    peer: str,
    threads: int,
) -> None:
    """Print the tables of SI-SDR, of mel distance, and of speed."""
    known = [stem for stem in stems if stem in quality[MIXTURE]]
    headings = [f"{stem} ({quality[MIXTURE][stem].number})" for stem in known]
    for title, found in (
        ("SI-SDR improvement over the mixture, dB", quality),
        ("Mel distance to the true stem", timbre),
    ):
        lines = [[system, *cells(by_stem, known)] for system, by_stem in found.items()]
        title += ", median / mean over (so many) songs"
        show(title, ("", *headings, "mean of stems"), lines)
    base = speed[peer].median
    lines = [[name, *s.cells(), f"{s.median / base:.2f}"] for name, s in speed.items()]
    title = f"Seconds of audio a second into all stems, {threads} CPU threads"
    show(title, ("", *SPREAD, "of trained Open-Unmix's"), lines)


def cells(by_stem: Mapping[str, Summary], known: Sequence[str]) -> list[str]:
    """Median and mean of each of a system's stems, and their means if it has all stems."""
    pairs = {s: (by_stem[s].median, by_stem[s].mean) for s in known if s in by_stem}
    if len(pairs) == len(known):
        pairs["mean"] = (
            sum(median for median, _ in pairs.values()) / len(known),
            sum(mean for _, mean in pairs.values()) / len(known),
        )
    return [
        f"{pairs[place][0]:.2f} / {pairs[place][1]:.2f}" if place in pairs else ""
        for place in (*known, "mean")
    ]


def failed(error: AudiomaskError) -> typer.Exit:
    """Print an error and return the exit."""
    note(f"open_unmix: error: {error}")
    return typer.Exit(error.exit_code)


if __name__ == "__main__":
    app()
