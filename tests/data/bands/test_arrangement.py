"""Arrangements: made-up songs and songs read from MIDI files."""

from pathlib import Path
from random import Random

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomask.data.bands.arrangement import ABSENCE_PROB, RANGES, Arrangement, compose, read_midi
from audiomask.data.bands.guitarist import STRINGS, grip
from audiomask.data.bands.score import Chord, humanize
from audiomask.errors import DataError

TICKS = 480
MAJOR = (0, 2, 4, 5, 7, 9, 11)


def check(song: Arrangement, seconds: float) -> None:
    """What holds for every arrangement."""
    for stem, notes in song.items():
        low, high = RANGES[stem]
        assert notes, stem
        assert [n.onset for n in notes] == sorted(n.onset for n in notes)
        free: dict[int, float] = {}
        for note in notes:
            assert low <= note.pitch <= high, (stem, note)
            assert 1 <= note.velocity <= 127
            assert 0.0 <= note.onset < seconds
            assert 0.0 < note.duration <= seconds - note.onset + 1e-9
            assert note.onset >= free.get(note.pitch, 0.0) - 1e-9, "struck while it sounds"
            free[note.pitch] = note.onset + note.duration


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.5, 40.0))
def test_composed_songs_are_playable(seed: int, seconds: float) -> None:
    song = compose(np.random.default_rng(seed), seconds)
    assert song
    assert set(song) <= set(RANGES)
    check(song, seconds)


def test_a_song_depends_on_its_generator_alone() -> None:
    songs = [compose(np.random.default_rng(5), 12.0) for _ in range(2)]
    assert songs[0] == songs[1]
    assert songs[0] != compose(np.random.default_rng(6), 12.0)


def test_songs_are_varied_and_lack_a_player_as_often_as_is_said() -> None:
    songs = [compose(np.random.default_rng(seed), 20.0) for seed in range(80)]
    for stem in ("guitar", "piano", "bass", "drums"):
        playing = [song[stem] for song in songs if stem in song]
        assert len(playing) / len(songs) == pytest.approx(1 - ABSENCE_PROB[stem], abs=0.12), stem
        assert len({(len(notes), notes[0].pitch) for notes in playing}) > 0.8 * len(playing), stem
    assert 10 < sum("other" in song for song in songs) < 60
    strokes = {note.pitch for song in songs for note in song.get("drums", [])}
    assert len(strokes) >= 20


def test_songs_keep_to_a_key() -> None:
    for seed in range(40):
        song = compose(np.random.default_rng(seed), 30.0)
        classes = np.bincount(
            [n.pitch % 12 for stem, notes in song.items() if stem != "drums" for n in notes],
            minlength=12,
        )
        best = max(sum(classes[(key + step) % 12] for step in MAJOR) for key in range(12))
        assert best >= 0.8 * classes.sum(), seed


def test_a_grip_holds_chord_tones_one_to_a_string() -> None:
    for root in range(12):
        for intervals in ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10)):
            for position in (0, 3, 7):
                chord = Chord(root, intervals, root)
                held = grip(chord, position)
                assert 3 <= len(held) <= len(STRINGS)
                assert held == sorted(set(held))
                assert {p % 12 for p in held} <= set(chord.classes)
                assert held[0] % 12 == root or held[0] >= 50


def test_strums_are_staggered() -> None:
    gaps: list[float] = []
    for seed in range(40):
        onsets = np.array(
            [n.onset for n in compose(np.random.default_rng(seed), 10.0).get("guitar", [])]
        )
        gaps.extend(d for d in np.diff(onsets) if d < 0.04)
    assert len(gaps) > 500
    assert np.mean(np.array(gaps) > 0) > 0.99


def test_swing_delays_the_off_beats_only() -> None:
    events = [(0.0, 0.25, 60, 80), (0.5, 0.25, 62, 80), (1.0, 0.25, 64, 80)]
    notes = humanize(events, "piano", lambda b: b, Random(0), swing=0.15, timing_std=0.0)
    assert [n.onset for n in notes] == pytest.approx([0.0, 0.65, 1.0])


def track(
    notes: list[tuple[float, float, int]], name: str = "", program: int = 0, channel: int = 0
) -> mido.MidiTrack:
    """A track of (onset, length, pitch) in beats."""
    events = [(at, 1, pitch) for at, _, pitch in notes]
    events += [(at + beats, 0, pitch) for at, beats, pitch in notes]
    made = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    made.append(mido.Message("program_change", program=program, channel=channel))
    now = 0
    for at, down, pitch in sorted(events):
        tick = round(at * TICKS)
        made.append(
            mido.Message(
                "note_on", note=pitch, velocity=90 * down, channel=channel, time=tick - now
            )
        )
        now = tick
    return made


def save(path: Path, *tracks: mido.MidiTrack, tempo: int = 500_000) -> Path:
    head = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)])
    mido.MidiFile(ticks_per_beat=TICKS, tracks=[head, *tracks]).save(path)
    return path


@pytest.fixture
def pop(tmp_path: Path) -> Path:
    """A song of 64 beats at 120 a minute: C, A minor, F, G, a bar each, with a melody."""
    piano = []
    for bar in range(16):
        root, third = ((48, 4), (45, 3), (41, 4), (43, 4))[bar % 4]
        piano += [(bar * 4.0, 3.9, root + step) for step in (0, third + 12, 19, 24)]
    melody = [(beat + 0.0, 0.9, 72 + MAJOR[beat % 7]) for beat in range(64)]
    return save(tmp_path / "pop.mid", track(melody, "MELODY"), track(piano, "PIANO"))


def test_a_piano_song_becomes_a_band(pop: Path) -> None:
    stems = set()
    tunes = 0
    for seed in range(12):
        song = read_midi(pop, np.random.default_rng(seed))
        check(song, 40.0)
        stems |= set(song)
        assert {"piano", "guitar", "bass"} <= set(song)
        assert [n.onset for n in song["piano"][:4]] == [0.0] * 4
        assert song["piano"][4].onset == pytest.approx(2.0)
        assert song["piano"][4].velocity == 90
        tunes += [n.pitch for n in song["guitar"][:3]] == [72, 74, 76]
        # the bass marks every change of chord with its root
        for bar in range(1, 12):
            near = [n.pitch % 12 for n in song["bass"] if abs(n.onset - bar * 2.0) < 0.1]
            assert (0, 9, 5, 7)[bar % 4] in near, (seed, bar)
    assert stems == set(RANGES)
    assert 0 < tunes < 12


def test_an_excerpt_starts_at_zero(pop: Path) -> None:
    song = read_midi(pop, np.random.default_rng(1), start=7.0, seconds=8.0)
    check(song, 8.0)
    assert song["piano"][0].onset == pytest.approx(1.0)  # the bar that starts at 8 s
    assert song == read_midi(pop, np.random.default_rng(1), start=7.0, seconds=8.0)
    assert read_midi(pop, np.random.default_rng(1), start=500.0, seconds=8.0) == {}


def test_other_files_keep_their_notes_by_program(tmp_path: Path) -> None:
    file = save(
        tmp_path / "band.mid",
        track([(0, 1, 60)], "keys", program=4, channel=0),
        track([(1, 1, 100)], "lead", program=27, channel=1),
        track([(2, 1, 16)], "low", program=33, channel=2),
        track([(3, 1, 36), (4, 1, 10)], "kit", program=0, channel=9),
        track([(4, 2, 72)], "strings", program=48, channel=3),
    )
    song = read_midi(file, np.random.default_rng(0))
    check(song, 10.0)
    assert {stem: [(n.onset, n.pitch) for n in notes] for stem, notes in song.items()} == {
        "piano": [(0.0, 60)],
        "guitar": [(0.5, 88)],  # an octave lower: a guitar has no such note
        "bass": [(1.0, 28)],
        "drums": [(1.5, 36)],  # key 10 is outside the percussion map
        "other": [(2.0, 72)],
    }


def test_tempo_changes_and_the_pedal_are_heeded(tmp_path: Path) -> None:
    made = mido.MidiTrack()
    on, off = {"type": "note_on", "velocity": 70}, {"type": "note_off"}
    made.append(mido.Message("control_change", control=64, value=127))
    made.append(mido.Message(**on, note=60))
    made.append(mido.Message(**off, note=60, time=TICKS // 2))
    made.append(mido.Message("control_change", control=64, value=0, time=TICKS * 3 // 2))
    made.append(mido.Message(**on, note=62))
    made.append(mido.Message(**off, note=62, time=TICKS))
    slower = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000, time=2 * TICKS)])
    song = read_midi(save(tmp_path / "a.mid", slower, made), np.random.default_rng(0))
    notes = [(n.onset, n.duration, n.pitch) for n in song["piano"]]
    assert notes == [pytest.approx((0.0, 1.0, 60)), pytest.approx((1.0, 1.0, 62))]


def test_files_without_music_are_refused(tmp_path: Path) -> None:
    empty = save(tmp_path / "empty.mid", track([]))
    text = tmp_path / "text.mid"
    text.write_text("la la la")
    for path, reason in (
        (empty, "no notes"),
        (text, "not a readable"),
        (tmp_path / "no", "no such"),
    ):
        with pytest.raises(DataError, match=reason) as caught:
            read_midi(path, np.random.default_rng(0))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
