"""The subject is where it is, and a frame without one has none."""

import numpy as np
import pytest

from scripts.cameras.detect_keypoints import regions_of
from scripts.cameras.detectors.heatmaps import box_of
from scripts.cameras.detectors.interface import REGION
from scripts.cameras.segment_frames import empty_scene, make_segmenter, segment_frames
from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.keypoints import Keypoints
from tests.unit.test_detect_keypoints import SIZE, film, identity_onnx

COUNT = 12
BRIGHTNESS = {"backend": "brightness", "batch": 4, "colour": "dark", "threshold": 150, "min_area_px": 50}
BACKGROUND = {**BRIGHTNESS, "backend": "background", "threshold": 30}
MODEL = {"backend": "onnx", "batch": 4, "input_px": 64, "grey": True, "mean": 1, "std": -1}


def scene(number: int, *, subject: bool = True) -> np.ndarray:
    """A dark square of 20 px that moves over a floor that is dark on the left."""
    picture = np.full((*SIZE[::-1], 3), 200, np.uint8)
    picture[:, :30] = 40
    if subject:
        left = 35 + 8 * number
        picture[50:70, left : left + 20] = 20
    return picture


def segmented(tmp_path, settings, *, weights=None, without=()):
    pictures = [scene(number, subject=number not in without) for number in range(COUNT)]
    video, frames = film(tmp_path, pictures)
    out, book = tmp_path / "s.parquet", tmp_path / "l.parquet"
    arguments = {"recording": "r", "camera": "top", "settings": settings, "accelerator": "cpu"}
    segment_frames(video, frames, weights, out, book, **arguments)
    return out, ledger.rows(ledger.read([book]))


def middles() -> np.ndarray:
    return np.array([[35 + 8 * number + 9.5, 59.5] for number in range(COUNT)])


def test_what_differs_from_the_empty_scene_is_the_subject_even_on_a_floor_as_dark(tmp_path):
    out, rows = segmented(tmp_path, BACKGROUND, without=(5,))
    found = Keypoints.read(out)
    assert found.skeleton.names == REGION
    assert found.frame.tolist() == [number for number in range(COUNT) if number != 5]
    assert np.abs(found.uv[:, 0] - middles()[found.frame]).max() < 1
    assert np.abs(found.uv[:, 2] - found.uv[:, 1] - 19).max() <= 2
    assert (rows[0].outcome, rows[0].value) == ("written", COUNT - 1)


def test_the_largest_dark_blob_is_the_subject_where_the_floor_is_light(tmp_path):
    settings = {**BRIGHTNESS, "threshold": 225}
    found = Keypoints.read(segmented(tmp_path, settings)[0])
    assert np.abs(found.uv[:, 0] - middles()).max() < 1


def test_a_models_map_says_where_the_subject_is(tmp_path):
    # Values are turned over (mean 1, std -1): what is dark stands high, and twice the dark less the floor's is left.
    model = identity_onnx(tmp_path / "m.onnx", np.full((1, 1, 3, 3), 1 / 9, np.float32))
    settings = {**MODEL, "input_px": 80}
    pictures = [np.clip(scene(number).astype(int) + 30, 0, 255).astype(np.uint8) for number in range(3)]
    for picture in pictures:
        picture[:, :30] = 230
    uv, sure = make_segmenter(settings, tmp_path / "v.mp4", model, "cpu").detect(pictures)[1]
    assert np.abs(uv[0, 0] - middles()[1]).max() < 1.5
    assert np.abs(uv[0, 2] - uv[0, 1] - 20).max() < 6
    assert 0.5 < sure[0, 0] <= 1


def test_a_model_with_more_than_one_map_is_refused_in_one_line(tmp_path):
    model = identity_onnx(tmp_path / "m.onnx", np.ones((2, 1, 3, 3), np.float32))
    with pytest.raises(RunError, match=r"the model gives \(4, 2, 64, 64\), not one map a picture"):
        segmented(tmp_path, MODEL, weights=model)


def test_regions_are_by_frame_and_a_crop_is_around_their_middle(tmp_path):
    out, _ = segmented(tmp_path, BACKGROUND, without=(5,))
    regions = regions_of(out, COUNT)
    assert regions.shape == (COUNT, 3, 2)
    assert np.isnan(regions[5]).all()
    picture = scene(0)
    left, top, wide, high = box_of(picture, regions[3], 48)
    assert (wide, high) == (48, 48)
    assert np.abs(np.array([left, top]) + 24 - (middles()[3] + 0.5)).max() < 1
    assert box_of(picture, regions[3], 0)[2] == pytest.approx(1.25 * 19, abs=2)
    assert box_of(picture, regions[5], 0) == (0, 0, *SIZE)
    assert box_of(picture, regions[5], 48) == (SIZE[0] / 2 - 24, SIZE[1] / 2 - 24, 48, 48)
    assert regions_of(None, COUNT) is None


def test_the_empty_scene_has_no_subject_in_it(tmp_path):
    video, _ = film(tmp_path, [scene(number) for number in range(COUNT)])
    away = np.abs(empty_scene(video).astype(int) - scene(0, subject=False)[..., 0])
    assert np.percentile(away, 99) < 12


def test_a_camera_whose_import_failed_is_a_failed_item(tmp_path):
    FrameTable.empty().write(tmp_path / "f.parquet")
    (tmp_path / "v.mp4").touch()
    with pytest.raises(InputError) as caught:
        segment_frames(
            tmp_path / "v.mp4",
            tmp_path / "f.parquet",
            None,
            tmp_path / "s",
            tmp_path / "l",
            recording="r",
            camera="top",
            settings=BACKGROUND,
            accelerator="cpu",
        )
    assert caught.value.reason == ledger.UPSTREAM


def test_missing_weights_are_one_line(tmp_path):
    with pytest.raises(RunError, match=r"onnx: the weights .*none\.onnx are missing"):
        make_segmenter(MODEL, tmp_path / "v.mp4", tmp_path / "none.onnx", "cpu")
