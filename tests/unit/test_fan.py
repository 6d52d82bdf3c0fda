import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scripts.common.errors import RunError

# face-alignment compiles two small functions at their first call, for longer than all tests here take.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

torch = pytest.importorskip("torch", reason="torch is not installed: `make test` brings it")
face_alignment = pytest.importorskip("face_alignment", reason="face-alignment is not installed: `make test` brings it")

from scripts.faces.backends import open_detector, open_network  # noqa: E402
from scripts.faces.backends.fan import (  # noqa: E402
    Fan,
    centres_and_scales,
    crop,
    crop_corners,
    in_picture,
    package_peaks,
    soft_peaks,
)
from scripts.faces.backends.yunet import YuNet  # noqa: E402

pytestmark = pytest.mark.torch

# More threads spin while they wait for each other on a busy machine.
THREADS = 1


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the true network's form, drawn from a seed."""
    from face_alignment.models import FAN

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "2DFAN4-random.pth.tar"
    torch.save(FAN(4).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def package(random_weights: Path, data: Path) -> Any:
    """face-alignment itself, with the same weights and its own YuNet."""
    from face_alignment import api

    torch.set_num_threads(THREADS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "load_file_from_url", lambda url: str(random_weights))
        return api.FaceAlignment(
            api.LandmarksType.TWO_D,
            device="cpu",
            flip_input=False,
            compile=False,
            face_detector="yunet",
            face_detector_kwargs={
                "path_to_detector": str(data / "models" / "yunet" / "face_detection_yunet_2023mar.onnx")
            },
        )


@pytest.fixture(scope="module")
def faces(data: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Two pictures, each with a box: YuNet's own, and one that leaves the picture."""
    pictures = [cv2.imread(str(data / "faces" / "pyfeat" / f"{name}_face.jpg")) for name in ("single", "multi")]
    return pictures, np.array([[191.392, 146.801, 373.534, 399.191], [-40.5, -25.25, 120.0, 200.75]])


@pytest.fixture(scope="module")
def found(faces: tuple[list[np.ndarray], np.ndarray], random_weights: Path) -> tuple[np.ndarray, np.ndarray]:
    """What the back end finds in `faces`, both in one go."""
    return Fan(random_weights, accelerator="cpu", threads=THREADS)(*faces)


def test_faces_found_together_have_the_landmarks_that_face_alignment_finds_one_by_one(
    faces: tuple[list[np.ndarray], np.ndarray], found: tuple[np.ndarray, np.ndarray], package: Any
) -> None:
    points, scores = found
    assert points.shape == (2, 68, 2)
    assert points.dtype == np.float32
    # Random weights put the points all over the crop: they do not agree for lack of difference.
    assert np.ptp(points, axis=1).min() > 50
    for picture, box, ours, score in zip(*faces, points, scores, strict=True):
        colours = picture[..., ::-1].copy()
        expected, heights, _ = package.get_landmarks_from_image(colours, [box.tolist()], return_landmark_score=True)
        assert np.abs(ours - expected[0]).max() <= 0.01
        assert score == pytest.approx(heights[0].mean(), rel=1e-4)


def test_the_network_in_3d_has_the_package_s_x_and_y(
    faces: tuple[list[np.ndarray], np.ndarray], random_weights: Path, data: Path, tmp_path: Path
) -> None:
    """Its depth comes from a further network, which is not run here: landmarks are x and y."""
    from face_alignment import api
    from face_alignment.models import ResNetDepth

    depth = tmp_path / "depth.pth.tar"
    torch.manual_seed(1)
    torch.save({"state_dict": {f"module.{name}": value for name, value in ResNetDepth().state_dict().items()}}, depth)
    yunet = data / "models" / "yunet" / "face_detection_yunet_2023mar.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "load_file_from_url", lambda url: str(depth if "depth" in url else random_weights))
        package = api.FaceAlignment(
            api.LandmarksType.THREE_D,
            device="cpu",
            flip_input=False,
            compile=False,
            face_detector="yunet",
            face_detector_kwargs={"path_to_detector": str(yunet)},
        )
    network = open_network("fan3d", random_weights, accelerator="cpu", threads=THREADS, peaks="package")
    picture, box = faces[0][0], faces[1][:1]
    expected = package.get_landmarks_from_image(picture[..., ::-1].copy(), box.tolist())[0]
    assert expected.shape == (68, 3)
    assert np.abs(network([picture], box)[0][0] - expected[:, :2]).max() <= 0.01


def test_the_detector_of_face_alignment_draws_the_same_boxes(
    faces: tuple[list[np.ndarray], np.ndarray], data: Path, package: Any
) -> None:
    detect = YuNet(data / "models" / "yunet" / "face_detection_yunet_2023mar.onnx", min_score=0.5)
    # Small enough to be looked at as it is, which the package always does.
    picture = cv2.resize(faces[0][0], (440, 432), interpolation=cv2.INTER_AREA)
    expected = package.face_detector.detect_from_image(picture[..., ::-1].copy())
    np.testing.assert_allclose(detect(picture), np.array(expected)[:, :4], atol=1e-3)


def test_heat_maps_are_read_as_face_alignment_reads_them() -> None:
    from face_alignment.utils import get_preds_fromhm

    rng = np.random.default_rng(1)
    maps = rng.normal(size=(3, 68, 64, 64)).astype(np.float32)
    # Peaks on borders and in corners, too, where there is no neighbour to lean to.
    for point, (row, column) in enumerate([(0, 0), (0, 63), (63, 0), (63, 63), (0, 30), (31, 0), (62, 63), (1, 1)]):
        maps[:, point, row, column] = 20
    centres, scales = centres_and_scales(np.array([[10.3, 20.7, 110.9, 150.1], [0, 0, 90, 121], [-5.5, 3, 700, 811.2]]))
    places, heights = (found.numpy() for found in package_peaks(torch.from_numpy(maps)))
    ours = np.trunc(in_picture(places, centres, scales))
    for face in range(3):
        _, expected, scores = get_preds_fromhm(maps[face : face + 1].copy(), centres[face], scales[face])
        np.testing.assert_allclose(ours[face], expected[0], atol=0.01)
        assert heights[face] == pytest.approx(scores[0], rel=1e-6)


def gaussians(place: np.ndarray, sigma: float) -> np.ndarray:
    """Heat maps with their peaks at places (N, 2) in cells, the middle of the first one at 0.5. (1, N, 64, 64)."""
    cells = np.arange(64) + 0.5
    away = ((cells - place[:, :1]) ** 2)[:, None] + ((cells - place[:, 1:]) ** 2)[..., None]
    return np.exp(-away / (2 * sigma**2)).astype(np.float32)[None]


@pytest.mark.parametrize(("sigma", "noise", "limit_cells"), [(1.0, 0.0, 0.02), (1.5, 0.0, 0.1), (1.0, 0.02, 0.05)])
def test_the_soft_argmax_finds_known_peaks_far_better_than_the_steps_of_a_quarter_cell(
    sigma: float, noise: float, limit_cells: float
) -> None:
    """A cell is 4 px of the crop: the steps leave up to half a pixel of it, 0.125 cells, and more at the borders."""
    rng = np.random.default_rng(4)
    place = rng.uniform(5, 59, (68, 2))
    maps = gaussians(place, sigma) + rng.normal(0, noise, (1, 68, 64, 64)).astype(np.float32)
    found, height = soft_peaks(torch.from_numpy(maps))
    error = np.abs(found[0].numpy() - place)
    assert error.max() <= limit_cells
    # A crop of 256 px, in which 4 px are a cell; the package's own reading, without its cut to whole pixels.
    centres, scales = np.array([[128.0, 128.0]]), np.array([256 / 200])
    read = [peaks(torch.from_numpy(maps))[0].numpy() for peaks in (soft_peaks, package_peaks)]
    soft, package = in_picture(read[0], centres, scales), np.trunc(in_picture(read[1], centres, scales))
    errors_px = [float(np.abs(points[0] - 4 * place).mean()) for points in (soft, package)]
    assert errors_px[0] < errors_px[1] / 3
    assert height[0].numpy() == pytest.approx(maps[0].max(axis=(1, 2)))


def test_a_peak_in_a_corner_and_a_map_without_any_stay_inside(random_weights: Path) -> None:
    maps = np.full((1, 3, 64, 64), -1.0, np.float32)
    maps[0, 0, 0, 0] = maps[0, 1, 63, 63] = 1
    maps[0, 2, 10, 20] = -0.5
    found, _ = soft_peaks(torch.from_numpy(maps))
    np.testing.assert_allclose(found[0], [[0.5, 0.5], [63.5, 63.5], [20.5, 10.5]])


def test_read_softly_the_points_lie_within_a_cell_of_the_package_s(
    faces: tuple[list[np.ndarray], np.ndarray], found: tuple[np.ndarray, np.ndarray], random_weights: Path
) -> None:
    soft, scores = Fan(random_weights, accelerator="cpu", threads=THREADS, peaks="soft")(*faces)
    cell_px = centres_and_scales(faces[1])[1] * 200 / 64
    assert (np.abs(soft - found[0]).max(axis=(1, 2)) <= 2.75 * cell_px + 1).all()
    assert np.array_equal(scores, found[1])


def test_the_mirrored_face_counts_as_in_face_alignment(
    faces: tuple[list[np.ndarray], np.ndarray], package: Any, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "flip_input", True)
    points, _ = Fan(random_weights, accelerator="cpu", threads=THREADS, flipped=True)(faces[0][:1], faces[1][:1])
    expected = package.get_landmarks_from_image(faces[0][0][..., ::-1].copy(), [faces[1][0].tolist()])
    assert np.abs(points[0] - expected[0]).max() <= 0.01


def test_boxes_of_the_other_detector_are_cropped_as_the_package_crops_them() -> None:
    boxes = np.array([[10.0, 20.0, 110.0, 150.0]])
    assert centres_and_scales(boxes, 195.0)[1] == pytest.approx(230 / 195)
    assert centres_and_scales(boxes)[1] == pytest.approx(230 / 165)


def test_crops_are_the_package_s_byte_by_byte_and_black_outside_the_picture() -> None:
    from face_alignment.utils import crop as package_crop

    rng = np.random.default_rng(3)
    picture = rng.integers(0, 255, (120, 200, 3), np.uint8)
    low = rng.uniform(-40, 100, (60, 2))
    boxes = np.hstack([low, low + rng.uniform(60, 150, (60, 2))])
    centres, scales = centres_and_scales(boxes)
    for centre, scale, first, stop in zip(centres, scales, *crop_corners(centres, scales), strict=True):
        assert np.array_equal(crop(picture, first, stop), package_crop(picture, centre, scale))
    for away in ((-500, 0), (900, 0), (0, -400), (0, 700)):
        assert not crop(picture, np.array(away), np.array(away) + 100).any()


def test_s3fd_with_equal_random_weights_finds_what_the_package_finds(data: Path, tmp_path: Path) -> None:
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.detection.sfd.sfd_detector import SFDDetector

    torch.manual_seed(1)
    torch.save(s3fd().state_dict(), tmp_path / "s3fd.pth")
    torch.set_num_threads(THREADS)
    picture = cv2.resize(cv2.imread(str(data / "faces" / "pyfeat" / "single_face.jpg")), (160, 128))
    expected = SFDDetector("cpu", str(tmp_path / "s3fd.pth"), filter_threshold=0.5)
    boxes = np.array(expected.detect_from_image(picture[..., ::-1].copy())).reshape(-1, 5)
    sides = boxes[:, 2:4] - boxes[:, :2]
    found = open_detector("sfd", tmp_path / "s3fd.pth", min_score=0.5, accelerator="cpu")(picture)
    wanted = boxes[sides.min(axis=1) >= 12][:, :4]
    assert len(wanted) > 0
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(wanted, axis=0), atol=1e-3)
    with pytest.raises(RunError, match="missing"):
        open_detector("sfd", tmp_path / "none.pth", min_score=0.5, accelerator="cpu")


def test_bfloat16_is_the_same_network_but_for_rounding(
    faces: tuple[list[np.ndarray], np.ndarray], found: tuple[np.ndarray, np.ndarray], random_weights: Path
) -> None:
    fan = Fan(random_weights, accelerator="cpu", threads=THREADS, precision="bfloat16")
    points, scores = fan(faces[0][:1], faces[1][:1])
    # Of two peaks of a random map that are all but equal, rounding may choose the other; heights stay.
    assert scores[0] == pytest.approx(found[1][0], rel=0.02)
    assert np.median(np.abs(points[0] - found[0][0])) <= 8


def test_missing_and_broken_weights_are_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "garbage.pth.tar").write_bytes(b"this is no weight file" * 100)
    (tmp_path / "empty.pth.tar").touch()
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth.tar")
    for name, words in {
        "missing": "missing",
        "garbage": "not the weights of FAN",
        "empty": "not the weights of FAN",
        "other": "not the weights of FAN",
    }.items():
        with pytest.raises(RunError, match=words) as caught:
            open_network(
                "fan",
                tmp_path / f"{name}.pth.tar",
                accelerator="cpu",
                threads=THREADS,
                precision="float32",
            )
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said_so(random_weights: Path) -> None:
    with pytest.raises(RunError, match="torch sees no GPU"):
        Fan(random_weights, accelerator="cuda", threads=THREADS)


def test_the_scripted_face_of_the_benchmarks_is_looked_at_once():
    from benchmarks.faces import in_boxes
    from scripts.common.landmarks import face_boxes

    boxes = np.array([[100.0, 50.0, 300.0, 320.0], [0.0, 0.0, 64.0, 80.0]])
    points, scores = in_boxes(boxes)
    assert np.abs(face_boxes(points) - boxes).max() < 0.01
    assert (scores == 1).all()
