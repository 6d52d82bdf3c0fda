"""What runs on a GPU, where there is one: the same answers as on the CPU. Without one, each test skips and says so.

python -m pytest tests/gpu
"""

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

# face-alignment compiles two small functions at their first call, for longer than all tests here take.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

torch = pytest.importorskip("torch", reason="torch is not installed: `make test` brings it")

from scripts.cameras.check_gpu import check_gpu  # noqa: E402
from scripts.common.encoder import Coding, usable  # noqa: E402
from scripts.common.errors import RunError  # noqa: E402
from scripts.common.frame_table import FrameTable  # noqa: E402
from scripts.common.landmarks import Landmarks  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]


@pytest.fixture(scope="module", autouse=True)
def full_precision() -> Any:
    """Products in float32 instead of the GPU's shorter TF32, so that they compare with the CPU's."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.fixture(scope="module")
def fan_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = pytest.importorskip("face_alignment.models", reason="face-alignment is not installed")
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "2DFAN4-random.pth.tar"
    torch.save(models.FAN(4).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def faces(data: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Two pictures with a box each; one box leaves its picture."""
    pictures = [cv2.imread(str(data / "faces" / "pyfeat" / f"{name}_face.jpg")) for name in ("single", "multi")]
    return pictures, np.array([[191.392, 146.801, 373.534, 399.191], [-40.5, -25.25, 120.0, 200.75]])


def test_check_gpu_finds_that_this_device_runs(tmp_path: Path) -> None:
    check_gpu(tmp_path / "report.json", accelerator="cuda", wanted_mb=1000)
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["device"] == torch.cuda.get_device_name(0)
    assert "runs" in found["message"]
    with pytest.raises(RunError, match="are wanted"):
        check_gpu(tmp_path / "other.json", accelerator="cuda", wanted_mb=1e9)


@pytest.mark.parametrize("peaks", ["soft", "package"])
def test_fan_finds_on_the_gpu_what_it_finds_on_the_cpu(fan_weights: Path, faces: Any, peaks: str) -> None:
    from scripts.faces.backends.fan import Fan

    there, here = (Fan(fan_weights, accelerator=kind, threads=2, peaks=peaks)(*faces) for kind in ("cuda", "cpu"))
    assert np.ptp(there[0], axis=1).min() > 50
    # Of two peaks of a random map that are all but equal, rounding may choose the other.
    assert np.mean(np.abs(there[0] - here[0]) <= 0.01) >= 0.98
    np.testing.assert_allclose(there[1], here[1], rtol=1e-3)


def test_in_bfloat16_fan_s_peaks_keep_their_height(fan_weights: Path, faces: Any) -> None:
    from scripts.faces.backends.fan import Fan

    fan = Fan(fan_weights, accelerator="cuda", threads=2, precision="bfloat16")
    assert fan(*faces)[1] == pytest.approx(Fan(fan_weights, accelerator="cpu", threads=2)(*faces)[1], rel=0.02)


def test_s3fd_draws_the_same_boxes_as_on_the_cpu(faces: Any, tmp_path: Path) -> None:
    network = pytest.importorskip("face_alignment.detection.sfd.net_s3fd", reason="face-alignment is not installed")
    from scripts.faces.backends import open_detector

    torch.manual_seed(1)
    torch.save(network.s3fd().state_dict(), tmp_path / "s3fd.pth")
    picture = cv2.resize(faces[0][0], (160, 128))
    there, here = (
        open_detector("sfd", tmp_path / "s3fd.pth", min_score=0.5, accelerator=kind)(picture)
        for kind in ("cuda", "cpu")
    )
    assert len(here) > 0
    np.testing.assert_allclose(np.sort(there, axis=0), np.sort(here, axis=0), atol=0.05)


def test_landmarks_of_a_video_in_float32_are_those_of_the_cpu(fan_weights: Path, data: Path, tmp_path: Path) -> None:
    """The whole rule: threads that decode and look ahead, batches in turns, one table at the end."""
    from scripts.common.video import VideoReader, VideoWriter, as_yuv420p
    from scripts.faces.extract_landmarks import extract_landmarks

    video, count, rate = tmp_path / "short.mp4", 20, Fraction(25)
    with (
        VideoReader(data / "faces" / "grid" / "lbax4n.mpg") as reader,
        VideoWriter(video, rate=rate, time_base=1 / rate, crf=18, preset="fast") as writer,
    ):
        for number, picture in zip(range(count), reader, strict=False):
            writer.write(as_yuv420p(picture), number)
    times = np.arange(count, dtype=np.int64) * 40_000_000
    FrameTable.make(times // 1000, times).write(tmp_path / "frames.parquet")
    found = []
    for kind in ("cuda", "cpu"):
        extract_landmarks(
            video,
            tmp_path / "frames.parquet",
            [data / "models" / "yunet" / "face_detection_yunet_2023mar.onnx", fan_weights],
            None,
            tmp_path / f"{kind}.npz",
            tmp_path / "ledger.parquet",
            recording="r",
            camera="c",
            backend="fan",
            batch=16,
            detect_every=5,
            min_score=0.6,
            accelerator=kind,
            threads=4,
        )
        found.append(Landmarks.read(tmp_path / f"{kind}.npz"))
    # Random weights find few faces credible; those are the same.
    assert found[0].frame.tolist() == found[1].frame.tolist()


def test_a_training_on_the_gpu_goes_on_and_speaks_as_its_checkpoint_does_on_the_cpu(tmp_path: Path) -> None:
    from scripts.models.speech_inference import Speaker
    from tests.unit.speech_model import train
    from tests.unit.talking_windows import speak, write_dataset

    inputs = write_dataset(tmp_path / "dataset", {"a": "train", "b": "val"}, seconds=5.2)
    settings: dict[str, Any] = {"samples": 1, "accelerator": "cuda", "adversarial": 0.01}
    train(inputs, tmp_path / "one", tmp_path / "working", epochs=2, **settings)
    figures = train(inputs, tmp_path / "two", tmp_path / "working", epochs=4, **settings)
    assert np.isfinite(figures["val"]["l1_px"])
    checkpoint = tmp_path / "two" / "checkpoints" / "best.ckpt"
    sound = speak(4.0, 7)[1]
    there, here = (Speaker(checkpoint, hop=16, accelerator=kind).speak(sound, 16_000) for kind in ("cuda", "cpu"))
    np.testing.assert_allclose(there.pose, here.pose, atol=0.05)


@pytest.mark.parametrize("backbone", ["", "torchvision/resnet18", "timm/resnet18"])
def test_a_classifier_learns_on_the_gpu(tmp_path: Path, backbone: str) -> None:
    from tests.unit.test_classifiers import train, write_frames

    settings: dict[str, Any] = {}
    if backbone:
        library, name = backbone.split("/")
        module = pytest.importorskip("torchvision.models" if library == "torchvision" else "timm")
        network = module.get_model(name) if library == "torchvision" else module.create_model(name, num_classes=0)
        torch.save(network.state_dict(), tmp_path / "backbone.pth")
        settings = {"backbone": backbone, "weights": str(tmp_path / "backbone.pth")}
    index = write_frames(tmp_path / "d", moving=False, bouts=1)
    found = train("frame", index, tmp_path / "o", tmp_path / "w", epochs=6, accelerator="cuda", **settings)
    assert found["test"]["balanced_accuracy"] >= 1.5 * found["test"]["majority"]["balanced_accuracy"]


def test_a_torchscript_model_of_a_lab_finds_the_same_points(tmp_path: Path) -> None:
    from scripts.cameras.detectors.heatmaps import TorchModel

    torch.manual_seed(2)
    module = torch.jit.trace(torch.nn.Conv2d(3, 5, 9, stride=4).eval(), torch.zeros(1, 3, 64, 64))
    module.save(str(tmp_path / "model.pt"))
    batch = np.random.default_rng(0).random((8, 3, 64, 64), np.float32)
    there, here = (TorchModel(tmp_path / "model.pt", kind)(batch) for kind in ("cuda", "cpu"))
    np.testing.assert_allclose(there, here, atol=1e-4)


def test_raft_sees_a_picture_move_nowhere_without_true_weights_and_ends(tmp_path: Path) -> None:
    """Random weights: what is shown is that torchvision's network takes ours, and gives a field of the right size."""
    models = pytest.importorskip("torchvision.models.optical_flow", reason="torchvision is not installed")
    from scripts.datasets.clip_flow import raft

    torch.save(models.raft_large().state_dict(), tmp_path / "raft.pth")
    picture = np.random.default_rng(0).integers(0, 255, (130, 150, 3), np.uint8)
    assert raft(str(tmp_path / "raft.pth"))(picture, picture).shape == (130, 150, 2)


def test_a_hardware_encoder_encodes_or_the_cpu_does() -> None:
    """Some GPUs, such as the H100, have no encoder at all."""
    coding = Coding("h264", 23, "medium", "nvenc")
    chosen = usable(coding)
    assert chosen in (coding, coding.on_cpu)
    import av

    context = av.codec.CodecContext.create(chosen.name, "w")
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base, context.options = Fraction(1, 25), chosen.options
    packets = context.encode(av.VideoFrame(320, 240, "yuv420p")) + context.encode(None)
    assert sum(packet.size for packet in packets) > 0
