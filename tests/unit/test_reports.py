import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import matplotlib
import numpy as np
import pytest
import soundfile
from docutils.core import publish_doctree
from docutils.nodes import system_message
from jinja2 import Template
from matplotlib import font_manager

from scripts.common.figure import name_beside, svg_figure
from scripts.common.landmarks import POINTS, Landmarks
from scripts.common.video import VideoWriter, as_yuv420p
from scripts.reports.plot_clocks import CLOCK, GAPS, MAX_PANELS, Panel, choose_panels, panels_of, plot_clocks
from scripts.reports.plot_outcomes import LEAST_WIDTH, Segment, percent, plot_outcomes, read_steps, widths
from scripts.reports.render_overlay import (
    CAPTION_PX,
    CARD_SIZE,
    Face,
    dashes,
    draw_face,
    faces_of,
    known_runs,
    read_sound,
    render_overlay,
    shown_size,
)

FPS = 25
GREY = 110
RATE_HZ = 16_000
BEEP_S = 0.52
CAPTIONS = Path(__file__).parents[2] / "docs" / "captions"


# Overlays


def face_at(x: float, y: float, size: float = 60.0) -> np.ndarray:
    """68 points on a square lattice, float32 (68, 2); the first stands at x, y."""
    lattice = np.array([(k % 9, k // 9) for k in range(POINTS)], np.float32)
    return (lattice * size / 8 + [x, y]).astype(np.float32)


def make_landmarks(points: list[np.ndarray], frame: list[int], frames: int, **given: Any) -> Landmarks:
    return Landmarks.make(
        np.array(frame),
        np.zeros(len(frame)),
        np.array(points, np.float32),
        np.ones(len(frame)),
        frames=frames,
        backend="given",
        **given,
    )


def write_grey(path: Path, width: int, height: int, frames: int) -> None:
    image = np.full((height, width, 3), GREY, np.uint8)
    with VideoWriter(path, rate=Fraction(FPS), time_base=Fraction(1, FPS), crf=20, preset="veryfast") as writer:
        for k in range(frames):
            writer.write(as_yuv420p(av.VideoFrame.from_ndarray(image, format="bgr24")), k)


def write_beep(path: Path, seconds: float, rate_hz: int = RATE_HZ) -> None:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = np.where((time_s >= BEEP_S) & (time_s < BEEP_S + 0.1), np.sin(2 * np.pi * 1000 * time_s), 0)
    soundfile.write(path, (sound * 20_000).astype(np.int16), rate_hz)


def read_pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]


def is_coloured(picture: np.ndarray, x: float, y: float) -> bool:
    """Whether anything but grey stands within two pixels of a point."""
    column, row = round(x), round(y)
    patch = picture[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].astype(int)
    return bool(np.ptp(patch, axis=2).max() > 40)


@pytest.fixture(scope="module")
def conformed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seconds, 1280 x 720, a face in all frames but frame 5, a beep at BEEP_S; an overlay of 1 s."""
    folder = tmp_path_factory.mktemp("conformed")
    paths = {
        "video": folder / "front.mp4",
        "sound": folder / "voice.wav",
        "landmarks": folder / "front.landmarks.npz",
    }
    write_grey(paths["video"], 1280, 720, 2 * FPS)
    write_beep(paths["sound"], 2.0)
    seen = [k for k in range(2 * FPS) if k != 5]
    make_landmarks([face_at(400 + 4 * k, 200, 240) for k in seen], seen, 2 * FPS).write(paths["landmarks"])
    render_overlay(**paths, out_video=folder / "overlay.mp4", seconds=1.0)
    return {**paths, "overlay": folder / "overlay.mp4"}


def inputs(conformed: dict[str, Path]) -> dict[str, Path]:
    return {name: conformed[name] for name in ("video", "sound", "landmarks")}


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """What stands for a media file that failed."""
    path = tmp_path / "failed"
    path.touch()
    return path


def test_an_overlay_has_the_frames_of_its_seconds_and_room_for_a_caption(conformed):
    pictures = read_pictures(conformed["overlay"])
    assert len(pictures) == FPS
    assert pictures[0].shape == (360 + CAPTION_PX, 640, 3)


def test_an_overlay_draws_each_landmark_where_it_stands(conformed):
    pictures = read_pictures(conformed["overlay"])
    for frame in (0, 7, 24):
        points = (face_at(400 + 4 * frame, 200, 240) + 0.5) / 2 - 0.5
        assert all(is_coloured(pictures[frame], x, y) for x, y in points)
        outside = (points[0] + points[8]) / 2 - (0, 20)
        assert not is_coloured(pictures[frame], *outside)


def test_a_frame_without_a_face_shows_the_picture_alone(conformed):
    picture = read_pictures(conformed["overlay"])[5][:360].astype(int)
    assert np.abs(picture - GREY).max() <= 20


def test_an_overlay_is_h264_and_aac_that_begin_together_and_play_while_they_load(conformed):
    content = conformed["overlay"].read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(conformed["overlay"])) as container:
        streams = {stream.type: stream for stream in container.streams}
        assert (streams["video"].codec_context.name, streams["audio"].codec_context.name) == ("h264", "aac")
        assert streams["video"].codec_context.pix_fmt == "yuv420p"
        assert streams["video"].start_time == streams["audio"].start_time == 0
        assert [float(s.duration * s.time_base) for s in container.streams] == pytest.approx([1, 1], abs=0.001)


def test_the_sound_of_an_overlay_stands_where_it_stood(conformed):
    with av.open(str(conformed["overlay"])) as container:
        heard = [(frame.time, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    signal = np.concatenate([samples for _, samples in heard])
    onset_s = heard[0][0] + np.flatnonzero(np.abs(signal) > 0.1)[0] / RATE_HZ
    assert onset_s == pytest.approx(BEEP_S, abs=0.001)


def test_an_overlay_has_the_same_bytes_every_time(conformed, tmp_path):
    render_overlay(**inputs(conformed), out_video=tmp_path / "again.mp4", seconds=1.0)
    assert (tmp_path / "again.mp4").read_bytes() == conformed["overlay"].read_bytes()


def test_an_overlay_of_more_seconds_than_there_are_ends_with_the_video(conformed, tmp_path):
    render_overlay(**inputs(conformed), out_video=tmp_path / "whole.mp4", seconds=60.0)
    assert len(read_pictures(tmp_path / "whole.mp4")) == 2 * FPS


def test_a_failed_video_becomes_a_card_of_one_second(conformed, tmp_path, failed):
    Landmarks.empty().write(tmp_path / "none.landmarks.npz")
    out = tmp_path / "card.mp4"
    render_overlay(failed, conformed["sound"], tmp_path / "none.landmarks.npz", out, seconds=10.0)
    pictures = read_pictures(out)
    assert len(pictures) == FPS
    assert pictures[0].shape == (CARD_SIZE[1], CARD_SIZE[0], 3)
    # Something bright is written on it.
    assert pictures[0].max() > 200


def test_a_failed_sound_leaves_the_pictures(conformed, tmp_path, failed):
    out = tmp_path / "silent.mp4"
    render_overlay(conformed["video"], failed, conformed["landmarks"], out, seconds=0.2)
    assert len(read_pictures(out)) == 5
    with av.open(str(out)) as container:
        assert not container.streams.audio


def test_a_sound_of_a_rate_that_aac_lacks_keeps_its_length(tmp_path):
    write_beep(tmp_path / "odd.wav", 1.0, rate_hz=17_000)
    signal, rate_hz = read_sound(tmp_path / "odd.wav", 10.0)
    assert (rate_hz, len(signal)) == (48_000, 48_000)
    assert np.flatnonzero(np.abs(signal) > 0.1)[0] / rate_hz == pytest.approx(BEEP_S, abs=0.001)


@pytest.mark.parametrize(
    ("size", "pixel_shape", "expected"),
    [
        ((1280, 720), None, (640, 360)),
        ((640, 480), None, (640, 480)),
        ((360, 288), None, (640, 512)),
        ((160, 120), None, (320, 240)),
        ((720, 576), Fraction(16, 15), (640, 480)),
        ((1001, 563), None, (640, 360)),
        ((2000, 3), None, (640, 2)),
    ],
)
def test_the_shown_picture_has_square_pixels_even_sides_and_at_most_640_columns(size, pixel_shape, expected):
    assert shown_size(*size, pixel_shape) == expected


def test_a_landmark_keeps_its_place_between_the_middles_of_pixels():
    landmarks = make_landmarks([face_at(0, 0)], [3], 10)
    assert faces_of(landmarks, 3, (0.5, 2.0))[0].points[0].tolist() == [-0.25, 0.5]
    assert faces_of(landmarks, 2, (1.0, 1.0)) == []


def test_a_face_without_any_known_point_is_none():
    landmarks = make_landmarks([np.full((POINTS, 2), np.nan)], [0], 1)
    assert faces_of(landmarks, 0, (1.0, 1.0)) == []


def draw(**given: Any) -> np.ndarray:
    face = {
        "track": 0,
        "points": face_at(20, 20, 160),
        "imputed": np.zeros(POINTS, bool),
        "interpolated": False,
    }
    canvas = np.full((200, 200, 3), GREY, np.uint8)
    draw_face(canvas, Face(**{**face, **given}))
    return canvas


def test_an_imputed_point_is_hollow():
    imputed = np.arange(POINTS) == 65
    x, y = face_at(20, 20, 160)[65].astype(int)
    assert draw()[y, x].max() > 200
    assert draw(imputed=imputed)[y, x].max() < 60


def test_an_interpolated_face_is_dim_and_has_gaps_in_its_lines():
    whole, dashed = draw(), draw(interpolated=True)
    assert dashed.max() < whole.max()
    # From the first to the second point of the jaw.
    row = slice(22, 38)
    assert (np.ptp(whole[20, row].astype(int), axis=1) > 20).all()
    assert not (np.ptp(dashed[20, row].astype(int), axis=1) > 20).all()


def test_tracks_have_different_colours():
    pictures = [draw(track=track) for track in range(6)]
    assert len({picture.tobytes() for picture in pictures}) == 6


def test_a_face_is_drawn_as_far_as_it_is_known_or_in_the_picture():
    points = face_at(20, 20, 160)
    points[0] = np.nan
    points[67] = [1e9, -1e9]
    assert not is_coloured(draw(points=points), 20, 20)
    assert is_coloured(draw(points=points), 40, 20)


def test_dashes_cover_every_other_stretch_of_a_line():
    line = np.array([[0, 0], [10, 0], [10, 5]], float)
    assert np.array(dashes(line, 4)).tolist() == [[[0, 0], [4, 0]], [[8, 0], [10, 2]]]
    assert dashes(line[:1], 4) == []
    assert dashes(np.array([[1.0, 1.0], [1.0, 1.0]]), 4) == []


def test_a_line_is_broken_at_unknown_points():
    line = np.array([[0, 0], [1, 1], [2, np.nan], [3, 3]])
    assert [run.tolist() for run in known_runs(line)] == [[[0, 0], [1, 1]], [[3, 3]]]
    assert known_runs(line[2:3]) == []


# Plots


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.tsv"
    rows = [
        ("export_bag", "written", "", 12),
        ("export_bag", "failed", "unreadable", 1),
        ("extract_windows", "written", "", 99_000),
        ("extract_windows", "filtered", "av_start", 3),
        ("extract_windows", "filtered", "no_face", 1_000),
        ("extract_windows", "failed", "upstream", 1),
        ("split", "written", "", 0),
    ]
    lines = ["step\toutcome\treason\titems", *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def words_of(plot: Path) -> list[str]:
    """What is written in a plot: the comments beside the outlines of the letters."""
    return re.findall(r"<!-- (.*?) -->", plot.read_text())


def test_the_plot_of_outcomes_says_every_step_reason_and_number(counts, tmp_path):
    plot_outcomes(counts, tmp_path / "outcomes.svg")
    words = words_of(tmp_path / "outcomes.svg")
    assert {"export_bag", "written", "failed: unreadable", "12", "13 items"} <= set(words)
    assert {"extract_windows", "filtered: no_face", "1,000", "filtered: av_start", "100,004 items"} <= set(words)
    assert "split" not in words


def test_reasons_stand_by_outcome_and_then_the_largest_first(counts):
    assert read_steps(counts)["extract_windows"] == [
        Segment("written", "", 99_000),
        Segment("filtered", "no_face", 1_000),
        Segment("filtered", "av_start", 3),
        Segment("failed", "upstream", 1),
    ]


def test_one_item_of_a_million_is_still_seen_and_the_bar_stays_whole():
    drawn = widths([1_000_000, 1, 500_000])
    assert drawn[1] == LEAST_WIDTH
    assert sum(drawn) == pytest.approx(1)
    assert drawn[0] == pytest.approx(2 * drawn[2])
    assert widths([3, 1]) == [0.75, 0.25]


def test_a_share_is_never_rounded_to_none_or_to_all():
    assert [percent(share) for share in (1, 0.99999)] == ["100 %", "> 99.9 %"]
    assert [percent(share) for share in (0.5, 0.00001)] == ["50.0 %", "< 0.1 %"]


def test_a_run_without_items_has_a_plot_that_says_so(tmp_path):
    (tmp_path / "ledger.tsv").write_text("step\toutcome\treason\titems\n")
    plot_outcomes(tmp_path / "ledger.tsv", tmp_path / "outcomes.svg")
    assert words_of(tmp_path / "outcomes.svg") == ["No item has entered any step."]


def write_manifest(folder: Path, recording: str, residual_ms: float = 2.0, missing_ms: int = 50) -> Path:
    streams = {
        "array": {
            "kind": "sound",
            "drift_ppm": 20.0,
            "residuals": [[0.0, 0.1], [1.0, residual_ms], [2.0, 0.2]],
            "gaps": 0,
            "gap_list": [],
        },
        "cam0": {
            "kind": "video",
            "frames": 100,
            "gaps": 1,
            "gap_list": [{"frame": 40, "missing_ns": missing_ms * 10**6}],
        },
        "cam1": {"kind": "video", "frames": 100, "gaps": 0, "gap_list": []},
        "cam2": {"kind": "video", "failed": "no_topic", "message": "there is no such topic"},
        "lapel": {"kind": "sound", "residuals": [], "gaps": 0, "gap_list": []},
    }
    path = folder / f"{recording}.json"
    path.write_text(json.dumps({"recording": recording, "streams": streams}))
    return path


def test_clocks_and_gaps_of_a_recording_are_shown_where_there_are_any(tmp_path):
    manifest = json.loads(write_manifest(tmp_path, "a").read_text())
    panels = panels_of(manifest)
    assert [(panel.kind, panel.name, panel.worst_ms) for panel in panels] == [
        (CLOCK, "a · array", 2.0),
        (GAPS, "a · cam0", 50.0),
    ]
    assert panels_of({"failed": True}) == []


def test_the_plot_of_clocks_names_what_it_shows_and_skips_what_failed(tmp_path):
    (tmp_path / "failed.json").write_text('{"failed": true}\n')
    plot_clocks([tmp_path / "failed.json", write_manifest(tmp_path, "aviary_007")], tmp_path / "clocks.svg")
    words = words_of(tmp_path / "clocks.svg")
    assert {"aviary_007 · array", "within 2.00 ms, +20.0 ppm", "1 gap, the longest 50 ms"} <= set(words)
    assert not any("not shown" in word for word in words)


def panels(kind: str, worst_ms: list[float]) -> Iterator[Panel]:
    for value in worst_ms:
        yield Panel(kind, f"{kind} {value:g}", "", np.array([[0.0, -value]]), 1.0)


def test_the_worst_of_each_kind_are_shown_in_turn():
    several = [*panels(GAPS, [50, 30, 40, 60]), *panels(CLOCK, [1, 3, 2])]
    assert [p.name for p in choose_panels(several, 3)] == ["clock 3", "clock 2", "gaps 60"]
    assert [p.name for p in choose_panels(several, 5)] == [
        "clock 3",
        "clock 2",
        "clock 1",
        "gaps 60",
        "gaps 50",
    ]
    assert len(choose_panels(several, 100)) == 7


def test_at_most_24_clocks_are_shown_and_the_title_counts_the_others(tmp_path):
    manifests = [write_manifest(tmp_path, f"r{k:02d}", residual_ms=k) for k in range(15)]
    plot_clocks(manifests, tmp_path / "clocks.svg")
    words = words_of(tmp_path / "clocks.svg")
    assert sum(" · " in word for word in words) == MAX_PANELS
    assert any(f"the {MAX_PANELS} worst, 6 more are not shown" in word for word in words)
    assert "r14 · array" in words
    assert "r00 · array" not in words


def test_a_run_without_clocks_has_a_plot_that_says_so(tmp_path):
    plot_clocks([], tmp_path / "clocks.svg")
    assert words_of(tmp_path / "clocks.svg") == ["No sound has residuals of a clock, and no camera has gaps."]


def test_a_plot_has_the_same_bytes_every_time_and_no_date(counts, tmp_path):
    plots = [tmp_path / "first.svg", tmp_path / "second.svg"]
    manifests = [write_manifest(tmp_path, "a")]
    for plot in plots:
        plot_outcomes(counts, plot)
    assert plots[0].read_bytes() == plots[1].read_bytes()
    for plot in plots:
        plot_clocks(manifests, plot)
    assert plots[0].read_bytes() == plots[1].read_bytes()
    assert "dc:date" not in plots[0].read_text()


def test_the_settings_of_a_user_do_not_change_a_plot(counts, tmp_path):
    plot_outcomes(counts, tmp_path / "first.svg")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none", "axes.facecolor": "red"}):
        plot_outcomes(counts, tmp_path / "second.svg")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()


@pytest.mark.filterwarnings("ignore:Glyph 7:UserWarning")
def test_names_of_strangers_stand_in_a_plot_as_they_are(tmp_path):
    """No mathematics, none left out, and none that makes the file no XML."""
    names = ["$_$", "$x$ and $y$", "_first", r"\frac", "<&>", "a--b", "bell\x07"]
    with svg_figure(tmp_path / "plot.svg", 4, 3) as figure:
        axes = figure.add_subplot()
        axes.set_yticks(range(len(names)), names)
        axes.set_title(names[0])
        name_beside(axes, [line for name in names for line in axes.plot([0, 1], [0, 6], label=name)])
        assert [text.get_text() for text in axes.get_legend().get_texts()] == names
    text = (tmp_path / "plot.svg").read_text()
    ElementTree.fromstring(text)
    assert text.count("<!-- $_$ -->") == 3
    assert text.count("<!-- bell -->") == 2


def test_a_plot_has_its_letters_as_outlines_of_the_font_that_matplotlib_brings(tmp_path):
    with svg_figure(tmp_path / "plot.svg", 2, 1) as figure:
        figure.text(0.5, 0.5, "letters")
        font = font_manager.findfont(font_manager.FontProperties())
    assert Path(matplotlib.get_data_path()) in Path(font).parents
    assert "<text" not in (tmp_path / "plot.svg").read_text()


# Captions


@pytest.mark.parametrize("name", ["overlay", "clocks", "ledger", "failed", "outcomes"])
def test_a_caption_is_valid_text_of_a_report(name):
    job = {"wildcards": {"dataset": "visemes", "recording": "booth_012"}}
    text = Template((CAPTIONS / f"{name}.rst").read_text()).render(snakemake=job)
    tree = publish_doctree(text, settings_overrides={"report_level": 5})
    assert not list(tree.findall(system_message))
    assert ("booth_012" in text) == (name == "overlay")


def test_every_figure_of_the_captions_is_that_of_the_code():
    assert f"at most {MAX_PANELS}" in (CAPTIONS / "clocks.rst").read_text()
