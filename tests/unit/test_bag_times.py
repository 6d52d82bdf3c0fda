"""Times of a camera's pictures: stamps, where they can be believed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.unit.bag_maker import (
    COMPRESSED,
    MS,
    PERIOD_NS,
    START_NS,
    Export,
    Ros,
    as_uint8,
    export,
    picture,
)


def stamped(tmp_path: Path, stamps_ns: list[int], logs_ns: list[int], time: str = "auto") -> Export:
    ros = Ros(1)
    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
    for stamp_ns, log_ns in zip(stamps_ns, logs_ns, strict=True):
        ros.send(log_ns, "/cam", COMPRESSED, header=ros.header(stamp_ns), format="jpeg", data=as_uint8(jpeg))
    return export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": {"topic": "/cam", "time": time}})


def test_a_stamp_of_zero_is_replaced_by_the_log_time_and_said(tmp_path: Path) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(6)]
    made = stamped(tmp_path, [0] * 6, grid)
    assert made.frames("cam").time_ns.tolist() == grid
    assert made.manifest["streams"]["cam"]["stamps"] == {"zero_stamps": 6}
    assert "cam: stamps of zero, replaced by the log time: 6" in made.manifest["warnings"]


def test_the_rig_may_ask_for_the_log_time(tmp_path: Path) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(6)]
    assert stamped(tmp_path, [t - MS for t in grid], grid, "log").frames("cam").time_ns.tolist() == grid


def test_a_repeated_stamp_moves_half_a_period_and_the_rest_stay(tmp_path: Path) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(6)]
    stamps = [*grid[:3], grid[2], *grid[4:]]
    made = stamped(tmp_path, stamps, grid)
    assert made.frames("cam").time_ns.tolist() == [*grid[:3], grid[2] + PERIOD_NS // 2, *grid[4:]]
    assert made.manifest["streams"]["cam"]["stamps"] == {"repeated_stamps": 1}


@pytest.mark.parametrize("back_s", [0.1, 3, 3600])
def test_times_increase_strictly_though_the_clock_jumps_back(tmp_path: Path, back_s: float) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(12)]
    stamps = [t - (round(back_s * 1e9) if k >= 6 else 0) for k, t in enumerate(grid)]
    made = stamped(tmp_path, stamps, grid, "stamp")
    frames = made.frames("cam")
    assert np.all(np.diff(frames.time_ns) > 0)
    assert np.all(np.diff(frames.pts_us) > 0)
    assert len(made.decode("cam")) == 12
    assert made.manifest["warnings"]


@pytest.mark.parametrize("at", [0, 4, 7])
def test_a_single_stamp_far_off_is_not_believed(tmp_path: Path, at: int) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(8)]
    stamps = list(grid)
    stamps[at] += 7_200 * 10**9
    made = stamped(tmp_path, stamps, [t + MS for t in grid])
    assert made.frames("cam").time_ns.tolist() == grid
    assert made.manifest["streams"]["cam"]["stamps"] == {"unbelievable_stamps": 1}
    timeline = made.manifest["timeline"]
    assert timeline["stop_ns"] - timeline["start_ns"] == 8 * PERIOD_NS


@pytest.mark.parametrize("step_s", [-7.0, -1.5, 1.5, 7.0])
def test_a_clock_that_is_set_is_named_with_its_step_and_its_place(tmp_path: Path, step_s: float) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(300)]
    stamps = [t + (round(step_s * 1e9) if k >= 200 else 0) for k, t in enumerate(grid)]
    made = stamped(tmp_path, stamps, [t + (1 + k % 5) * MS for k, t in enumerate(grid)])
    assert made.manifest["streams"]["cam"]["stamps"]["clock_steps"] == 1
    assert f"cam: the clock of its stamps was set by {step_s:+.3f} s at its picture 200" in made.manifest["warnings"]
    assert np.all(np.diff(made.frames("cam").time_ns) > 0)


def test_a_machine_that_was_busy_for_two_seconds_has_set_no_clock(tmp_path: Path) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(400)]
    free_ns = grid[150] + 2_000 * MS
    logs = [t + MS if k < 150 else max(t + MS, free_ns + (k - 150) * MS) for k, t in enumerate(grid)]
    made = stamped(tmp_path, grid, logs)
    assert made.manifest["streams"]["cam"]["stamps"] == {}
    assert made.frames("cam").time_ns.tolist() == grid
