"""Every back end finds what is there, finer than a pixel where it can, and its names travel in the file."""

import tracemalloc
from fractions import Fraction

import av
import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from scripts.cameras.detect_keypoints import detect_keypoints, make_detector
from scripts.cameras.detectors.heatmaps import peaks
from scripts.cameras.detectors.stream import write_found
from scripts.cameras.segment_frames import segment_frames
from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.keypoints import Keypoints, Skeleton
from tests.unit.examples import every_ms
from tests.unit.test_given_keypoints import DLC

SIZE = (160, 128)
HEATMAPS = {
    "batch": 4,
    "names": ["blob"],
    "skeleton": [],
    "input_px": 64,
    "crop_px": 0,
    "clahe": False,
    "grey": True,
    "mean": 0,
    "std": 1,
    "peaks": "soft",
}
BLOBS = {"backend": "markers", "batch": 4, "names": [], "skeleton": [], "colour": "bright", "threshold": 100}
BLOBS |= {"min_area_px": 4, "max_step_px": 30.0}


def blob_picture(*places: tuple[float, float]) -> np.ndarray:
    """Bright blobs, each a bell of 4 px, on black."""
    down, across = np.mgrid[: SIZE[1], : SIZE[0]]
    grey = sum(np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * 4**2)) for x, y in places)
    return np.repeat((np.clip(grey, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def identity_onnx(path, kernel: np.ndarray):
    """A model that is one convolution: its heat maps are the picture, blurred or picked out by colour."""
    channels = kernel.shape[1]
    weight = helper.make_tensor("w", TensorProto.FLOAT, kernel.shape, kernel.ravel().tolist())
    pad = kernel.shape[2] // 2
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[pad] * 4)
    shapes = [("x", ["b", channels, "h", "w"]), ("y", ["b", kernel.shape[0], "h", "w"])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes]
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def film(tmp_path, pictures):
    """A video and its frame table."""
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    times = every_ms(40, len(pictures))
    FrameTable.make(times // 1000, times).write(tmp_path / "f.parquet")
    return path, tmp_path / "f.parquet"


def detect(tmp_path, settings, *, weights=None, segment=None, given=None, pictures=None):
    """The keypoints that a back end writes, and its ledger's rows. segment: settings, weights of the step before."""
    video, frames = film(tmp_path, pictures or [blob_picture((50 + 3.3 * n, 40.0)) for n in range(6)])
    out, book = tmp_path / "k.parquet", tmp_path / "l.parquet"
    arguments = {"recording": "r", "camera": "top", "accelerator": "cpu"}
    segments = tmp_path / "s.parquet" if segment else None
    if segment:
        segment_frames(video, frames, segment[1], segments, book, settings=segment[0], **arguments)
    detect_keypoints(video, frames, weights, segments, given, out, book, settings=settings, **arguments)
    return Keypoints.read(out), ledger.rows(ledger.read([book]))


def test_bright_blobs_are_found_finer_than_a_pixel_and_keep_their_names_when_they_cross(tmp_path):
    paths = [((20 + 8 * n, 40 + 2.5 * n), (140 - 8 * n, 90 - 2.5 * n)) for n in range(15)]
    found, rows = detect(tmp_path, {**BLOBS, "count": 2}, pictures=[blob_picture(*two) for two in paths])
    assert found.skeleton.names == ("marker_1", "marker_2")
    assert rows[0].outcome == "written"
    assert len(found.frame) == 15
    away = np.linalg.norm(found.uv - np.array(paths), axis=2)
    first = 0 if away[0, 0] < 2 else 1
    true = np.array(paths)[:, [first, 1 - first]]
    away = np.linalg.norm(found.uv - true, axis=2)
    # Where they run into each other there is one blob for both.
    apart = np.linalg.norm(true[:, 0] - true[:, 1], axis=1) > 30
    assert np.nanmax(away[apart]) < 0.5
    assert np.isfinite(away[apart]).all()


def test_markers_have_the_names_and_bones_of_the_config(tmp_path):
    places = [(40, 40), (110, 80)]
    settings = {**BLOBS, "count": 2, "names": ["head", "tail"], "skeleton": [["tail", "head"]]}
    found, _ = detect(tmp_path, settings, pictures=[blob_picture(*places)] * 3)
    assert found.skeleton == Skeleton(("head", "tail"), ((1, 0),))


@pytest.mark.parametrize(
    ("bones", "wanted"),
    [
        ([["7.a", "2.c"]], {("7.a", "2.c")}),
        ([], {(f"{n}.{a}", f"{n}.{b}") for n in (7, 2) for a, b in ("ab", "bc", "cd", "da")}),
    ],
)
def test_the_bones_of_aruco_s_markers_are_the_config_s_or_their_edges(bones, wanted):
    settings = {"backend": "aruco", "dictionary": "DICT_4X4_50", "markers": [7, 2], "names": [], "skeleton": bones}
    skeleton = make_detector(settings, None, "cpu").skeleton
    assert skeleton.names == ("7.a", "7.b", "7.c", "7.d", "2.a", "2.b", "2.c", "2.d")
    assert {(skeleton.names[one], skeleton.names[other]) for one, other in skeleton.bones} == wanted


def test_a_blob_that_was_hidden_is_found_again_where_it_can_have_come_and_takes_no_other_ones_place():
    # One goes by where the other, which moves on while it is hidden, was last seen.
    fast = np.stack([20 + 4.0 * np.arange(30), np.full(30, 60)], axis=1)
    other = np.stack([np.full(30, 70.0), 40 + 2.0 * np.arange(30)], axis=1)
    hidden = np.isin(np.arange(30), np.arange(5, 24))
    detector = make_detector({**BLOBS, "count": 2}, None, "cpu")
    pictures = [blob_picture(one, *([] if gone else [two])) for one, two, gone in zip(fast, other, hidden, strict=True)]
    uv = np.array([found[0][0] for found in detector.detect(pictures)])
    first = 0 if np.abs(uv[0, 0] - fast[0]).max() < 2 else 1
    assert np.abs(uv[:, first] - fast).max() < 0.5
    assert np.abs(uv[:, 1 - first] - other)[~hidden].max() < 0.5
    assert np.isnan(uv[hidden, 1 - first]).all()


def test_a_coloured_blob_is_found_among_others():
    picture = np.zeros((*SIZE[::-1], 3), np.uint8)
    cv2.circle(picture, (40, 50), 6, (0, 0, 255), -1)
    cv2.circle(picture, (100, 70), 9, (0, 255, 0), -1)
    settings = {**BLOBS, "count": 1, "colour": [[40, 100, 100], [80, 255, 255]]}
    uv, confidence = make_detector(settings, None, "cpu").detect([picture])[0]
    assert np.abs(uv[0, 0] - [100, 70]).max() < 0.2
    assert confidence[0, 0] > 0


@pytest.mark.parametrize("crop", [0, 48])
@pytest.mark.parametrize("clahe", [False, True])
def test_a_heat_map_model_finds_a_bright_blob_in_the_picture_or_in_the_crop_that_another_model_points_at(
    tmp_path, crop, clahe
):
    blur = identity_onnx(tmp_path / "m.onnx", np.full((1, 1, 5, 5), 1 / 25, np.float32))
    settings = {**HEATMAPS, "backend": "onnx", "crop_px": crop, "clahe": clahe}
    pointer = {"backend": "onnx", "batch": 4, "input_px": 64, "grey": True, "mean": 0, "std": 1}
    found, _ = detect(tmp_path, settings, weights=blur, segment=(pointer, blur) if crop else None)
    true = np.array([[50 + 3.3 * n, 40.0] for n in range(6)])
    assert len(found.frame) == 6
    assert np.abs(found.uv[:, 0] - true).max() < 1.0
    assert (found.confidence > 0.4).all()


def test_a_soft_peak_is_finer_than_a_cell_and_a_hard_one_is_a_cell():
    down, across = np.mgrid[:20, :30]
    maps = np.exp(-((across - 12.3) ** 2 + (down - 7.6) ** 2) / 2)[None, None]
    assert np.abs(peaks(maps, soft=True)[0][0, 0] - [12.3, 7.6]).max() < 0.1
    assert peaks(maps, soft=False)[0][0, 0].tolist() == [12, 8]


def test_a_model_with_another_number_of_keypoints_is_refused_in_one_line(tmp_path):
    blur = identity_onnx(tmp_path / "m.onnx", np.full((1, 1, 5, 5), 1 / 25, np.float32))
    with pytest.raises(RunError, match=r"not heat maps of 2 keypoints"):
        detect(tmp_path, {**HEATMAPS, "backend": "onnx", "names": ["a", "b"]}, weights=blur)
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(RunError, match=r"broken\.onnx is no model"):
        detect(tmp_path, {**HEATMAPS, "backend": "onnx"}, weights=tmp_path / "broken.onnx")
    with pytest.raises(RunError, match="are missing"):
        detect(tmp_path, {**HEATMAPS, "backend": "onnx"}, weights=tmp_path / "nowhere.onnx")


@pytest.mark.torch
def test_a_torchscript_model_finds_the_same_blob(tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.AvgPool2d(5, stride=1, padding=2)
    torch.jit.trace(model, torch.zeros(1, 1, 64, 64)).save(str(tmp_path / "m.pt"))
    found, _ = detect(tmp_path, {**HEATMAPS, "backend": "torchscript"}, weights=tmp_path / "m.pt")
    assert np.abs(found.uv[:, 0] - np.array([[50 + 3.3 * n, 40.0] for n in range(6)])).max() < 1.0


def test_rtmposes_simcc_is_read_in_the_pixels_of_the_picture(tmp_path):
    # A model whose two outputs are the sums of columns and of rows of the picture, each cell twice, as SimCC has it.
    nodes = [
        helper.make_node("ReduceMean", ["input", "channels"], ["grey"], keepdims=1),
        helper.make_node("ReduceMax", ["grey", "rows"], ["columns_"], keepdims=0),
        helper.make_node("ReduceMax", ["grey", "columns"], ["rows_"], keepdims=0),
        helper.make_node("Resize", ["columns_", "", "twice"], ["simcc_x"], mode="linear"),
        helper.make_node("Resize", ["rows_", "", "twice"], ["simcc_y"], mode="linear"),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [axis])
        for name, axis in (("channels", 1), ("rows", 2), ("columns", 3))
    ]
    constants.append(helper.make_tensor("twice", TensorProto.FLOAT, [3], [1, 1, 2]))
    values = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["b", 3, 256, 192])]
    outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("simcc_x", "simcc_y")]
    graph = helper.make_graph(nodes, "g", values, outs, constants)
    path = tmp_path / "r.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    found, _ = detect(tmp_path, {"backend": "rtmpose", "batch": 4, "names": ["blob"], "skeleton": []}, weights=path)
    assert np.abs(found.uv[:, 0] - np.array([[50 + 3.3 * n, 40.0] for n in range(6)])).max() < 1.5


def test_a_function_of_the_user_gets_batches_and_its_arguments_and_its_mistakes_are_one_line(tmp_path):
    code = tmp_path / "mine.py"
    code.write_text(
        "import numpy as np\n"
        "def find(pictures, offset):\n"
        "    grey = pictures[..., 0].reshape(len(pictures), -1)\n"
        "    down, across = np.divmod(grey.argmax(axis=1), pictures.shape[2])\n"
        "    return np.stack([across + offset, down], axis=1)[:, None], grey.max(axis=1)[:, None] / 255\n"
        "def broken(pictures):\n"
        "    raise KeyError('paw')\n"
        "def wrong(pictures):\n"
        "    return np.zeros((1, 2)), np.zeros(1)\n"
    )
    settings = {"backend": "function", "batch": 4, "names": ["blob"], "skeleton": [], "function": "find"}
    found, _ = detect(tmp_path, {**settings, "arguments": {"offset": 100}}, weights=code)
    assert np.abs(found.uv[:, 0, 0] - 100 - (50 + 3.3 * np.arange(6))).max() < 2
    for name, message in (("broken", "KeyError: 'paw'"), ("wrong", "are wanted"), ("none", "AttributeError")):
        with pytest.raises(RunError, match=message):
            detect(tmp_path, {**settings, "function": name, "arguments": {}}, weights=code)


def test_a_given_file_with_frames_that_the_video_lacks_is_refused(tmp_path):
    (tmp_path / "dlc.csv").write_text(DLC + "6,1,2,0.9,3,4,0.8\n")
    settings = {"backend": "given", "batch": 1, "names": [], "skeleton": []}
    with pytest.raises(InputError, match=r"dlc\.csv: frame 6, but the video has 6"):
        detect(tmp_path, settings, given=tmp_path / "dlc.csv")
    (tmp_path / "dlc.csv").write_text(DLC + "5,1,2,0.9,3,4,0.8\n")
    found, _ = detect(tmp_path, settings, given=tmp_path / "dlc.csv")
    assert found.skeleton.names == ("nose", "tail")
    assert found.frame.tolist() == [5]


def test_a_given_file_gets_the_bones_of_the_config(tmp_path):
    (tmp_path / "dlc.csv").write_text(DLC + "5,1,2,0.9,3,4,0.8\n")
    settings = {"backend": "given", "batch": 1, "names": [], "skeleton": [["tail", "nose"]]}
    found, _ = detect(tmp_path, settings, given=tmp_path / "dlc.csv")
    assert found.skeleton.bones == ((1, 0),)
    with pytest.raises(InputError, match=r"dlc\.csv: the skeleton names 'ear', which is no keypoint"):
        detect(tmp_path, {**settings, "skeleton": [["ear", "nose"]]}, given=tmp_path / "dlc.csv")


class OnePoint:
    """A back end that finds one point, without a picture to look at."""

    skeleton = Skeleton(("point",))

    def detect(self, pictures, regions=None):
        """See `Detector`."""
        return [(np.zeros((1, 1, 2)), np.ones((1, 1)))] * len(pictures)


def test_memory_does_not_grow_with_the_length_of_the_video(tmp_path):
    def peak(frames: int) -> int:
        numbers = range(0, frames, 8)
        made = ((list(range(n, n + 8)), [np.zeros((4, 4, 3), np.uint8)] * 8) for n in numbers)
        tracemalloc.start()
        written, seen = write_found(OnePoint(), made, None, tmp_path / f"{frames}.parquet")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert written == seen == frames
        return most

    peak(4_000)
    # What grows is the footer: some hundred bytes for each 2,048 frames.
    assert peak(24_000) < peak(4_000) + 200_000
