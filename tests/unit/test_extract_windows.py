"""Windows of landmarks and sound: which are cut, which are not and why, and what is in them."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import ledger, sample_index
from scripts.common.clock import Clock, Gap
from scripts.common.errors import InputError, RunError
from scripts.common.face_shape import EYE_CORNERS, NOSE_TIP, relative_to_nose
from scripts.common.frame_table import FrameTable
from scripts.common.intervals import Intervals
from scripts.common.landmarks import Landmarks
from scripts.common.statistics import Moments
from scripts.datasets.extract_windows import extract_windows, window_starts
from scripts.datasets.speakers import Faces
from scripts.datasets.window_checks import Recorded, largest_jump
from tests.unit.examples import conformed_clock, conformed_frames, face_points, one_face, ramp

LIMITS = {"too_small": 100, "jump": 0.25, "av_length": 2, "av_start": 2, "gap": 0.1}
INTER_OCULAR_PX = float(np.linalg.norm(np.subtract(*face_points(1)[0, list(EYE_CORNERS)])))
FRAME_NS = 40_000_000


@dataclass(frozen=True)
class Cut:
    """What one job has written."""

    folder: Path
    rows: list[ledger.Row]
    samples: list[dict[str, Any]]
    moments: Moments

    @property
    def reasons(self) -> list[str]:
        return [row.reason or row.outcome for row in self.rows]

    def npz(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)


@pytest.fixture
def cut(tmp_path):
    """Cut a recording called `a`: 64 frames, one face and a sound, unless the test says otherwise."""
    numbers = iter(range(1000))

    def cut(
        frames: int = 64,
        *,
        table: FrameTable | None = None,
        clock: Clock | None = None,
        landmarks: Landmarks | None = None,
        sound: np.ndarray | None = None,
        **changes: Any,
    ) -> Cut:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        paths = {name: folder / name for name in ("frames", "sound.wav", "clock", "landmarks", "windows")}
        # An empty table is false, and is what some tests are about.
        (conformed_frames(frames) if table is None else table).write(paths["frames"])
        (conformed_clock(frames) if clock is None else clock).write(paths["clock"])
        (one_face(face_points(frames)) if landmarks is None else landmarks).write(paths["landmarks"])
        soundfile.write(paths["sound.wav"], ramp(frames) if sound is None else sound, 16_000, subtype="PCM_16")
        given = {"recording": "a", "fps": "25", "window_frames": 64, "hop": 32, "limits": LIMITS, "start_s": 0.0}
        extract_windows(
            paths["frames"], paths["sound.wav"], paths["clock"], paths["landmarks"], paths["windows"],
            folder / "a.index.parquet", folder / "a.stats.npz", folder / "a.ledger.parquet",
            **{**given, "excluded": [], **changes},
        )  # fmt: skip
        return Cut(
            paths["windows"],
            ledger.rows(ledger.read([folder / "a.ledger.parquet"])),
            sample_index.read(folder / "a.index.parquet").to_pylist(),
            Moments.read(folder / "a.stats.npz"),
        )

    return cut


@given(st.integers(0, 2000), st.integers(2, 100), st.integers(1, 120))
def test_n_frames_give_floor_n_minus_window_by_hop_plus_one_windows(frames, window, hop):
    starts = window_starts(frames, window, hop)
    assert len(starts) == ((frames - window) // hop + 1 if frames >= window else 0)
    assert all(start % hop == 0 and start + window <= frames for start in starts)


@pytest.mark.parametrize(("frames", "windows"), [(64, 1), (95, 1), (96, 2), (128, 3), (200, 5)])
def test_every_candidate_window_ends_in_the_ledger(cut, frames, windows):
    done = cut(frames)
    assert len(done.rows) == windows == (frames - 64) // 32 + 1
    assert done.reasons == ["written"] * windows
    assert [row.item for row in done.rows] == [f"a_{first:06d}" for first in range(0, frames - 63, 32)]
    assert sorted(path.stem for path in done.folder.iterdir()) == [row.item for row in done.rows]
    assert [sample["sample"] for sample in done.samples] == [row.item for row in done.rows]


def test_a_window_is_what_the_models_take(cut):
    window = cut().npz("a_000000")
    assert sorted(window) == ["audio", "pose"]
    assert (window["pose"].dtype, window["pose"].shape) == (np.float32, (64, 2, 68))
    assert (window["audio"].dtype, window["audio"].shape) == (np.float32, (1, 40_960))


def test_picture_and_sound_of_a_window_are_of_the_same_frames(cut):
    """Frame k has the landmarks shifted by k pixels, and 640 samples of the value k."""
    points = face_points(200, at={k: (k, 2 * k) for k in range(200)})
    done = cut(200, landmarks=one_face(points))
    for sample in done.samples:
        first, window = sample["first_frame"], done.npz(sample["sample"])
        frame = np.arange(first, first + 64)
        assert np.array_equal(window["pose"][:, 0, 0], 100 + frame)
        assert np.array_equal(window["pose"][:, 1, 0], 300 + 2 * frame)
        assert np.array_equal(window["pose"], points[frame].transpose(0, 2, 1))
        assert np.array_equal(np.rint(window["audio"][0] * 32768), np.repeat(frame, 640))


def test_the_index_says_which_stretch_of_the_recording_a_sample_is(cut):
    start_ns = 7 * 10**9
    clock = Clock(start_ns, 16_000.0, 16_000, 96 * 640, 1)
    second = cut(96, clock=clock).samples[1]
    assert second == {
        "sample": "a_000032",
        "recording": "a",
        "start_ns": start_ns + 32 * FRAME_NS,
        "stop_ns": start_ns + 96 * FRAME_NS,
        "first_frame": 32,
        "track": 0,
        "interpolated": 0,
        "file": "npz/a/a_000032.npz",
    }


def test_a_recording_shorter_than_a_window_is_one_candidate_and_short(cut):
    done = cut(63)
    (row,) = done.rows
    assert (row.item, row.outcome, row.reason, row.value, row.limit) == ("a", "filtered", "short", 63, 64)
    assert (row.start_ns, row.stop_ns) == (0, 63 * FRAME_NS)
    assert (done.samples, list(done.folder.iterdir())) == ([], [])


def only_row(done: Cut) -> tuple[str, float | None, float | None]:
    (row,) = done.rows
    assert row.outcome == "filtered"
    assert row.message
    assert (row.start_ns, row.stop_ns) == (0, 64 * FRAME_NS)
    assert (done.samples, list(done.folder.iterdir())) == ([], [])
    return row.reason, row.value, row.limit


def test_frames_without_a_face_are_counted_as_no_face(cut):
    assert only_row(cut(landmarks=one_face(face_points(64), without=[3, 4, 63]))) == ("no_face", 3, 0)
    assert only_row(cut(landmarks=Landmarks.empty(64, "fan"))) == ("no_face", 64, 0)


def test_a_face_whose_points_are_not_known_is_none(cut):
    points = face_points(64)
    points[5, 40, 1] = np.nan
    assert only_row(cut(landmarks=one_face(points))) == ("no_face", 1, 0)


def test_more_than_one_face_is_multi_face(cut):
    frame = np.r_[np.arange(64), 10, 11, 11]
    track = np.r_[np.zeros(64, int), 1, 1, 2]
    three = Landmarks.make(frame, track, face_points(67), np.ones(67), frames=64, backend="fan")
    assert only_row(cut(landmarks=three)) == ("multi_face", 3, 1)


def test_a_hole_in_the_picture_beyond_the_limit_is_a_gap(cut):
    """The source shows nothing new for 200 ms: frames 11 to 14 repeat frame 10."""
    source = np.r_[np.arange(11), [10] * 4, np.arange(11, 60)]
    gaps = np.zeros(64, np.int64)
    gaps[15] = 160_000_000
    table = conformed_frames(64, source_frame=source, gap_before_ns=gaps)
    assert only_row(cut(table=table)) == ("gap", 0.16, 0.1)
    assert cut(table=table, limits={**LIMITS, "gap": 0.16}).reasons == ["written"]


def test_a_gap_counts_only_where_a_picture_is_repeated():
    source = np.r_[np.arange(11), [10] * 4, np.arange(11, 60)]
    gaps = np.zeros(64, np.int64)
    gaps[15] = 160_000_000
    recorded = Recorded.of(
        conformed_frames(64, source_frame=source, gap_before_ns=gaps), conformed_clock(64), Fraction(25)
    )
    assert np.flatnonzero(recorded.stands_still_s).tolist() == [11, 12, 13, 14]


def test_a_slow_source_has_no_gap(cut):
    table = conformed_frames(64, source_frame=np.arange(64) // 5)
    assert cut(table=table).reasons == ["written"]


def test_a_hole_in_the_sound_beyond_the_limit_is_a_gap(cut):
    """300 ms, as the demo's bag has it."""
    hole = conformed_clock(64, [Gap(6400, 6400 + 4800, "hole")])
    assert only_row(cut(clock=hole)) == ("gap", 0.3, 0.1)
    assert cut(clock=conformed_clock(64, [Gap(6400, 6400 + 1600, "hole")])).reasons == ["written"]


def test_the_face_that_moves_too_far_in_a_frame_is_a_jump(cut):
    moved = one_face(face_points(64, at=dict.fromkeys(range(20, 64), (0.3 * INTER_OCULAR_PX, 0))))
    reason, value, limit = only_row(cut(landmarks=moved))
    assert (reason, limit) == ("jump", 0.25)
    assert value == pytest.approx(0.3, rel=1e-4)
    assert cut(landmarks=moved, limits={**LIMITS, "jump": 0.31}).reasons == ["written"]


def test_a_mouth_that_moves_is_no_jump(cut):
    points = face_points(64)
    points[::2, 48:] += 30
    assert cut(landmarks=one_face(points)).reasons == ["written"]


def test_another_face_that_follows_the_first_is_a_jump(cut):
    track = np.repeat([0, 1], 32)
    assert only_row(cut(landmarks=one_face(face_points(64), track=track))) == ("jump", 2, 1)


def test_a_face_narrower_than_the_limit_is_too_small(cut):
    reason, value, limit = only_row(cut(landmarks=one_face(face_points(64, width=99))))
    assert (reason, limit) == ("too_small", 100)
    assert value == pytest.approx(99, abs=1e-3)
    assert cut(landmarks=one_face(face_points(64, width=100))).reasons == ["written"]


def lacking_picture(start: int, end: int) -> FrameTable:
    source = np.arange(64)
    source[:start] = -1
    source[64 - end :] = -1
    return conformed_frames(64, source_frame=source)


def test_a_picture_that_begins_late_or_ends_early_is_av_start_or_av_length(cut):
    assert only_row(cut(table=lacking_picture(3, 0))) == ("av_start", 3, 2)
    assert only_row(cut(table=lacking_picture(0, 3))) == ("av_length", 3, 2)
    assert cut(table=lacking_picture(2, 2)).reasons == ["written"]


def test_a_picture_that_lacks_frames_within_the_limit_is_not_said_to_show_no_face(cut):
    for lacking, without, expected in (
        ((2, 0), [0, 1], ("av_start", 2, 0)),
        ((0, 1), [63], ("av_length", 1, 0)),
        ((0, 0), [0, 1], ("no_face", 2, 0)),
    ):
        landmarks = one_face(face_points(64), without=without)
        assert only_row(cut(table=lacking_picture(*lacking), landmarks=landmarks)) == expected


def test_a_sound_that_begins_late_or_ends_early_is_av_start_or_av_length(cut):
    late = conformed_clock(64, [Gap(0, 2 * 640 + 1, "before_start")])
    early = conformed_clock(64, [Gap(61 * 640, 64 * 640, "after_stop")])
    within = conformed_clock(64, [Gap(0, 2 * 640, "before_start"), Gap(62 * 640, 64 * 640, "after_stop")])
    assert only_row(cut(clock=late)) == ("av_start", 3, 2)
    assert only_row(cut(clock=early)) == ("av_length", 3, 2)
    assert cut(clock=within).reasons == ["written"]


def test_a_video_without_any_picture_is_av_start(cut):
    assert only_row(cut(table=conformed_frames(64, source_frame=np.full(64, -1)))) == ("av_start", 64, 2)


def test_a_damaged_frame_is_tainted(cut):
    assert only_row(cut(table=conformed_frames(64, tainted=np.isin(np.arange(64), [7, 8])))) == ("tainted", 2, 0)


def test_a_stretch_that_a_person_ruled_out_is_excluded_with_the_reason(cut):
    done = cut(160, excluded=[[1.26, 1.29, "cough"]])
    assert done.reasons == ["excluded", "excluded", "written", "written"]
    assert {row.message for row in done.rows if row.reason} == {"cough"}
    assert done.rows[0].value == pytest.approx(0.03)
    assert done.rows[1].value == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("excluded", "reasons"),
    [
        ([None, 0.5, "x"], ["excluded", "written"]),
        ([3.5, None, "x"], ["written", "excluded"]),
        ([0.0, None, "x"], ["excluded", "excluded"]),
        ([2.56, 2.57, "x"], ["written", "excluded"]),
        ([0.0, 1.28, "x"], ["excluded", "written"]),
    ],
)
def test_an_exclusion_touches_a_window_or_not(cut, excluded, reasons):
    assert cut(96, excluded=[excluded]).reasons == reasons


def test_exclusions_are_told_from_the_recording_also_where_its_import_began_later(cut):
    """The import took the recording from 10 s on: its clock begins there, the sheet of exclusions does not."""
    clock = Clock(110 * 10**9, 16_000.0, 16_000, 160 * 640, 1)
    done = cut(160, clock=clock, start_s=10.0, excluded=[[10.0, 10.1, "cough"], [1.0, 2.0, "cut off"]])
    assert done.reasons == ["excluded", "written", "written", "written"]


def test_the_first_reason_that_applies_is_the_one(cut):
    """Excluded, then the streams, then the face; so a hole in the recording is not taken for a missing face."""
    none = Landmarks.empty(64, "fan")
    table = lacking_picture(3, 0)
    assert cut(table=table, landmarks=none, excluded=[[0, 1, "x"]]).reasons == ["excluded"]
    assert cut(table=table, landmarks=none).reasons == ["av_start"]


@given(st.integers(64, 300), st.integers(1, 64), st.sets(st.integers(0, 299), max_size=6))
@settings(max_examples=15)
def test_counts_add_up_and_written_windows_are_the_index(cut, frames, hop, without):
    landmarks = one_face(face_points(frames), without=sorted(frame for frame in without if frame < frames))
    done = cut(frames, landmarks=landmarks, hop=hop)
    assert len(done.rows) == (frames - 64) // hop + 1
    written = [row.item for row in done.rows if row.outcome == "written"]
    assert [sample["sample"] for sample in done.samples] == written
    assert {path.stem for path in done.folder.iterdir()} == set(written)
    for row in done.rows:
        first = int(row.item[-6:])
        lacking = sum(first <= frame < first + 64 for frame in without)
        assert (row.reason, row.value) == (("no_face", lacking) if lacking else ("", None))


def test_statistics_are_of_the_written_windows_relative_to_the_nose(cut):
    points = face_points(96, at={k: (k / 10, 0) for k in range(96)})
    points[:, 8, 1] += np.arange(96)
    done = cut(96, landmarks=one_face(points, without=[95]))
    assert done.reasons == ["written", "no_face"]
    values = relative_to_nose(done.npz("a_000000")["pose"])
    assert values.shape == (64, 136)
    assert not values[:, [NOSE_TIP, 68 + NOSE_TIP]].any()
    assert done.moments.count.tolist() == [64] * 136
    assert np.allclose(done.moments.mean, values.mean(axis=0), rtol=1e-12)
    assert np.allclose(done.moments.std, values.std(axis=0), atol=1e-9)
    assert values[0, 68 + 8] == pytest.approx(301 - 305)


def test_points_that_no_network_measured_count_as_all_others(cut):
    """They stand in the windows, and nobody who computes anew from those could leave them out."""
    points = face_points(96, at={k: (k / 10, 0) for k in range(96)})
    points[:, 60, 1] += np.arange(96)
    frame = np.arange(96)
    landmarks = Landmarks.make(
        frame, np.zeros(96, int), points, np.ones(96), frames=96, backend="openseeface", imputed=(60, 64)
    )
    done = cut(96, landmarks=landmarks)
    values = np.concatenate([relative_to_nose(done.npz(sample["sample"])["pose"]) for sample in done.samples])
    assert done.moments.count.tolist() == [128] * 136
    assert np.abs(done.moments.mean - values.mean(axis=0)).max() < 1e-12 * 300
    assert np.abs(done.moments.std - values.std(axis=0)).max() < 1e-12 * 300


def test_another_window_has_its_own_length(cut):
    done = cut(50, window_frames=10, hop=20)
    assert [sample["first_frame"] for sample in done.samples] == [0, 20, 40]
    window = done.npz("a_000040")
    assert (window["pose"].shape, window["audio"].shape) == ((10, 2, 68), (1, 6400))
    assert set(np.rint(window["audio"][0] * 32768)) == set(range(40, 50))


def test_a_window_has_the_same_bytes_on_every_run(cut):
    one, other = cut(), cut()
    assert (one.folder / "a_000000.npz").read_bytes() == (other.folder / "a_000000.npz").read_bytes()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"table": FrameTable.empty()}, "picture"),
        ({"clock": Clock.empty()}, "sound"),
        ({"landmarks": Landmarks.empty()}, "face search"),
    ],
)
def test_what_failed_in_an_earlier_step_fails_here_as_upstream(cut, changes, what):
    with pytest.raises(InputError, match=f"a: the {what} failed, see the ledger of that step") as error:
        cut(**changes)
    assert error.value.reason == ledger.UPSTREAM


def test_products_that_are_not_of_one_run_are_an_error_of_the_run(cut):
    with pytest.raises(RunError, match="64 frames, but landmarks of 70 and 40960 samples"):
        cut(landmarks=one_face(face_points(70)))
    with pytest.raises(RunError, match="64 frames, but landmarks of 64 and 40320 samples"):
        cut(clock=conformed_clock(63))


def test_the_largest_jump_is_that_of_the_bones_in_inter_ocular_distances():
    pose = face_points(4, at={2: (0, INTER_OCULAR_PX)}).transpose(0, 2, 1)
    assert largest_jump(pose) == pytest.approx(1, rel=1e-5)
    assert largest_jump(pose[:2]) == 0.0


def test_a_track_of_many_is_found_without_a_table_a_track():
    """A long recording has thousands of tracks; memory must not grow with frames times tracks."""
    frames = 3000
    landmarks = one_face(face_points(frames), track=np.arange(frames) // 3)
    faces = Faces.of(landmarks, frames)
    assert faces.count.tolist() == [1] * frames
    assert [faces.tracks_in(first, 3) for first in (0, 1, 3)] == [1, 2, 1]
    rows = faces.rows(2997, 3)
    assert rows is not None
    assert rows.tolist() == [2997, 2998, 2999]
    assert faces.rows(2996, 3) is None
    assert sum(array.size for array in (faces.count, faces.known, faces.frame)) < 4 * frames


def intervals(*pairs: tuple[int, int], per_second: float) -> Intervals:
    return Intervals.make(list(pairs), [1.0] * len(pairs), origin_ns=0, per_second=per_second)


def test_no_window_goes_across_a_cut(cut, tmp_path):
    """A cut before frame 70: the windows from 32 and 64 go across it, those from 0 and 96 do not."""
    intervals((0, 70), (70, 160), per_second=25).write(tmp_path / "scenes")
    done = cut(160, scenes=tmp_path / "scenes")
    assert done.reasons == ["written", "cut", "cut", "written"]
    assert (done.rows[1].value, done.rows[1].limit) == (1, 0)
    intervals((0, 64), (64, 128), per_second=25).write(tmp_path / "scenes")
    assert cut(128, scenes=tmp_path / "scenes").reasons == ["written", "cut", "written"]


def test_a_window_with_less_speech_than_the_limit_is_no_speech(cut, tmp_path):
    """Speech from 1.0 to 2.1 s and from 5.08 s on."""
    intervals((16_000, 33_600), (81_280, 102_400), per_second=16_000).write(tmp_path / "speech")
    limits = {**LIMITS, "no_speech": 0.1}
    done = cut(160, speech=tmp_path / "speech", limits=limits, hop=16)
    assert done.reasons == ["written", "written", "written", "written", "no_speech", "written", "written"]
    assert done.rows[4].value == pytest.approx(0.04)
    assert done.rows[4].limit == 0.1
    intervals(per_second=16_000).write(tmp_path / "speech")
    assert only_row(cut(speech=tmp_path / "speech", limits=limits)) == ("no_speech", 0, 0.1)
    assert cut(limits=limits).reasons == ["written"]


def test_a_sound_that_stands_at_the_end_of_the_scale_is_clipping(cut):
    time_s = np.arange(64 * 640) / 16_000
    limits = {**LIMITS, "clipping": 0.01}
    for gain, reasons in ((0.9, ["written"]), (4.0, ["clipping"])):
        tone = np.clip(gain * np.sin(2 * np.pi * 200 * time_s), -1, 1)
        done = cut(sound=(tone * 32767).astype(np.int16), limits=limits)
        assert done.reasons == reasons
    assert done.rows[0].value > 0.5


def two_people(frames: int = 64, *, size: tuple[int, int] = (0, 0)) -> Landmarks:
    """Track 0 is large, at the left, and silent; track 1 small, in the middle of 900 x 600 px, and speaks."""
    large, small = face_points(frames, width=300), face_points(frames, width=150)
    small[:, :, 0] += 280
    small[:, 64:68, 1] += (10 * (np.arange(frames) % 2))[:, None]
    order = np.tile([0, 1], frames)
    points = np.stack([large, small], axis=1).reshape(-1, 68, 2)
    return Landmarks.make(
        np.repeat(np.arange(frames), 2), order, points, np.ones(2 * frames), frames=frames, backend="fan", size=size
    )


@pytest.mark.parametrize(("speaker", "track"), [("largest", 0), ("central", 1), ("active", 1)])
def test_of_several_faces_the_speaker_is_taken_and_no_other(cut, speaker, track):
    people = two_people(size=(900, 600))
    done = cut(landmarks=people, speaker=speaker)
    assert done.reasons == ["written"]
    assert done.samples[0]["track"] == track
    assert np.array_equal(done.npz("a_000000")["pose"], people.points[track::2].transpose(0, 2, 1))
    assert only_row(cut(landmarks=people)) == ("multi_face", 2, 1)


def test_a_speaker_who_changes_within_a_window_is_never_mixed(cut):
    """The large face leaves in frame 40; the small one comes in frame 30. No track is whole."""
    people = two_people()
    kept = np.where(people.track == 0, people.frame < 40, people.frame >= 30)
    some = Landmarks.make(
        people.frame[kept], people.track[kept], people.points[kept], people.score[kept], frames=64, backend="fan"
    )
    for speaker in ("largest", "active"):
        assert only_row(cut(landmarks=some, speaker=speaker)) == ("jump", 2, 1)
