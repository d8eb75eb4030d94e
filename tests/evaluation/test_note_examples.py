"""Labelled sounds of a bank: their pitch, family and chord are what their labels say."""

from pathlib import Path

import pytest
import torch

from audiomask.errors import DataError
from audiomask.evaluation.note_examples import (
    CHORDS,
    LOWEST,
    ROOT,
    NoteExamples,
    split_libraries,
)

RATE = 44_100


def libraries(bank: Path) -> list[Path]:
    return sorted(path for stem in bank.iterdir() for path in stem.iterdir())


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank of four families whose notes are four semitones apart, with ten libraries."""
    import soundfile
    from signals import note

    folder = tmp_path_factory.mktemp("dense")
    for number, stem in enumerate(["guitar", "piano", "other"] * 4):
        library = folder / stem / f"lib{number}"
        library.mkdir(parents=True)
        for pitch in range(36, 88, 4):
            soundfile.write(library / f"{pitch}_v100.wav", 0.5 * note(pitch, 22_050), RATE)
    return folder


def peaks(audio: torch.Tensor, pitches: range) -> list[int]:
    """The three pitches with most energy at their fundamental."""
    spectrum = torch.fft.rfft(audio * torch.hann_window(len(audio))).abs()
    bins = [round(440 * 2 ** ((p - 69) / 12) * len(audio) / RATE) for p in pitches]
    strength = [float(spectrum[k - 1 : k + 2].max()) for k in bins]
    order = sorted(range(len(pitches)), key=lambda n: -strength[n])
    return [pitches[n] for n in order[:3]]


def test_notes_are_of_their_pitch_and_family(dense: Path) -> None:
    examples = NoteExamples(libraries(dense), RATE, 9_000)
    assert examples.families == ["guitar", "other", "piano"]
    found = list(examples.notes(60, ("piano", "guitar", "choir"), 0))
    assert {sound.labels["family"] for sound in found} == {0, 1}
    for sound in found:
        assert sound.audio.shape == (9_000,)
        assert float(sound.audio.square().mean().sqrt()) == pytest.approx(0.1, rel=1e-3)
        if sound.labels["pitch"] + LOWEST >= 48:  # below, bins are too wide to tell
            loudest = peaks(sound.audio, range(48, 86))
            assert sound.labels["pitch"] + LOWEST in loudest


def test_chords_are_their_three_notes(dense: Path) -> None:
    examples = NoteExamples(libraries(dense), RATE, RATE // 2)
    found = list(examples.chords(20, 0))
    assert len({sound.labels["chord"] for sound in found}) > 8
    for sound in found:
        kind, root = divmod(sound.labels["chord"], 12)
        expected = {ROOT + root + step for step in CHORDS[kind]}
        assert set(peaks(sound.audio, range(48, 67))) == expected


def test_the_seed_decides(dense: Path) -> None:
    examples = NoteExamples(libraries(dense), RATE, 2_000)
    for make in (lambda seed: examples.notes(3, ("piano",), seed), lambda s: examples.chords(3, s)):
        first, again, other = (
            torch.stack([sound.audio for sound in make(seed)]) for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_libraries_are_held_out(dense: Path, bank: Path, tmp_path: Path) -> None:
    learned, held_out = split_libraries(dense)
    assert learned
    assert held_out
    assert not set(learned) & set(held_out)
    with pytest.raises(DataError, match="has 7 libraries in train, 0 others"):
        split_libraries(bank)  # too few to hold any out
    with pytest.raises(DataError, match="is no note bank"):
        split_libraries(tmp_path)


def test_a_bank_of_few_pitches_has_no_chords(bank: Path) -> None:
    with pytest.raises(DataError, match="no library plays all notes from 48 to 66"):
        NoteExamples([bank / "piano" / "upright"], RATE, 2_000)


def test_triples_differ_in_what_is_asked(dense: Path) -> None:
    examples = NoteExamples(libraries(dense), RATE, 9_000)
    for a, b, x in examples.family_triples(5, 0):
        found = {peaks(sound, range(LOWEST, 84))[0] for sound in (a, b, x)}
        assert len(found) == 1
    for a, b, x in examples.chord_triples(5, 0):
        chords = [sorted(peaks(sound, range(ROOT, ROOT + 19))) for sound in (a, b, x)]
        assert chords[0] == chords[2] != chords[1]
    again = [triple.b for triple in examples.chord_triples(5, 0)]
    assert torch.equal(again[-1], b)


def test_triples_take_several_libraries(dense: Path) -> None:
    one = NoteExamples(libraries(dense)[:1], RATE, 9_000)
    with pytest.raises(DataError, match="two families"):
        next(one.family_triples(1, 0))
    with pytest.raises(DataError, match="two libraries"):
        next(one.chord_triples(1, 0))
