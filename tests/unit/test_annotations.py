"""Annotations tell the truth about clips whose motion, pictures and words are known, and lose none of them."""

import json
import tarfile
from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scripts.common import annotation_table, ledger
from scripts.common.annotation import ClipTask, Lot, annotate_batches, sampled
from scripts.common.errors import ConfigError, InputError, RunError
from scripts.common.landmarks import Landmarks
from scripts.common.versions import LOT_METHODS
from scripts.common.video import VideoReader
from scripts.datasets.caption_clips import text_of
from scripts.datasets.clip_flow import method_of
from scripts.datasets.write_shard import record_of
from scripts.faces.find_clip_landmarks import find_clip_landmarks
from scripts.faces.landmark_item import LandmarkFinder, Search
from scripts.planning.annotations_plan import Annotation
from tests.unit.shard_maker import FOUR, Made, annotate, make, scene_video, settings_of, write_table
from tests.unit.tiny_whisper import build

STEP_PX = 3


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return scene_video(tmp_path_factory.mktemp("video") / "four.mp4", FOUR)


@pytest.fixture(scope="module")
def sliding(tmp_path_factory) -> Path:
    """A texture that slides by 3 px a frame to the right, 1 s at 25 frames a second."""
    path = tmp_path_factory.mktemp("sliding") / "sliding.mp4"
    texture = cv2.GaussianBlur(np.random.default_rng(1).uniform(0, 255, (128, 400)).astype(np.float32), (0, 0), 4)
    texture = ((texture - texture.min()) / np.ptp(texture) * 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv420p"
        for number in range(25):
            left = 100 - STEP_PX * number
            picture = np.repeat(texture[:, left : left + 192, None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def made_of(root: Path, video: Path, annotations: dict, **changes) -> Made:
    table = write_table(root / "t.txt", str(video))
    return make(root / "made", table, annotations=annotations, fetch={"allowed_roots": [str(video.parent)]}, **changes)


def record(made: Made, key: str) -> dict:
    with tarfile.open(made.root / "data" / "00000.tar") as tar:
        return json.load(tar.extractfile(f"{key}.json"))


def member(made: Made, name: str) -> bytes:
    with tarfile.open(made.root / "data" / "00000.tar") as tar:
        return tar.extractfile(name).read()


def model_of(path: Path, nodes: list, constants: dict[str, np.ndarray], output: tuple[str, int, list]) -> Path:
    """An onnx model whose input is `pictures`."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["b", 3, "s", "s"])],
        [helper.make_tensor_value_info(*output)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def colour_model(path: Path) -> Path:
    """Answers with the mean red, green and blue of each picture."""
    return model_of(
        path,
        [helper.make_node("ReduceMean", ["pictures"], ["colour"], axes=[2, 3], keepdims=0)],
        {},
        ("colour", TensorProto.FLOAT, ["b", 3]),
    )


PLAIN = {"size": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_the_flow_of_a_sliding_picture_is_its_step(tmp_path, sliding, method):
    annotation = {"kind": "optical_flow", "method": method, "fps": "", "height": 0, "keep": "field"}
    made = made_of(tmp_path, sliding, {"flow": annotation})
    said = record(made, "000000000")
    assert said["flow_mean_px"] == pytest.approx(STEP_PX, abs=0.3)
    (tmp_path / "flow.npy").write_bytes(member(made, "000000000.flow.npy"))
    field = np.load(tmp_path / "flow.npy", allow_pickle=False)
    assert (field.shape, field.dtype) == ((24, 128, 192, 2), np.float16)
    assert np.median(field[..., 0].astype(float)) == pytest.approx(STEP_PX, abs=0.2)
    assert np.median(field[..., 1].astype(float)) == pytest.approx(0, abs=0.2)


def test_flow_at_fewer_pictures_and_lines_is_as_much_larger_and_smaller(tmp_path, sliding):
    annotation = {"kind": "optical_flow", "fps": 12.5, "height": 64}
    said = record(made_of(tmp_path, sliding, {"flow": annotation}), "000000000")
    assert said["flow_mean_px"] == pytest.approx(STEP_PX * 2 / 2, abs=0.3)
    assert len(said["flow_px"]) == 11


def test_raft_without_torchvision_or_weights_says_what_is_missing(tmp_path):
    with pytest.raises(RunError, match=r"torchvision|is no file"):
        method_of("raft", str(tmp_path / "none.pth"))


def test_frames_are_those_on_screen_at_the_middle_of_their_time(tmp_path, video):
    made = made_of(tmp_path, video, {"stills": {"kind": "frames", "fps": 2, "quality": 95}})
    names = [f"000000000.stills.{number:04d}.jpg" for number in range(8)]
    for number, name in enumerate(names):
        picture = cv2.imdecode(np.frombuffer(member(made, name), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(np.median(picture, axis=(0, 1)) - FOUR[number // 2][0]).max() < 12
    assert record(made, "000000000")["stills_count"] == 8
    assert [len(list(sampled(f"file:{video}", fps))) for fps in ("", "25", "5", "1/2", "1/100")] == [100, 100, 20, 2, 1]


def test_an_embedding_is_what_the_model_says_as_a_file_or_a_column(tmp_path, video):
    model = str(colour_model(tmp_path / "colour.onnx"))
    for into in ("file", "column"):
        root = tmp_path / into
        annotation = {"kind": "embeddings", "model": model, **PLAIN, "frames": 4, "into": into, "batch": 3}
        made = made_of(root, video, {"vector": annotation}, clips="cuts")
        for number, (colour, _) in enumerate(FOUR):
            key = f"000000000_{number:05d}"
            if into == "file":
                (root / "v.npy").write_bytes(member(made, f"{key}.vector.npy"))
                found = np.load(root / "v.npy", allow_pickle=False)
            else:
                found = np.array(record(made, key)["vector"])
            assert found.shape == (3,)
            assert np.abs(found * 255 - colour).max() < 14


def test_a_caption_is_the_text_of_the_models_tokens(tmp_path, video):
    # Which of red, green and blue is the brightest, then the end.
    nodes = [
        helper.make_node("ReduceMean", ["pictures"], ["colour"], axes=[2, 3], keepdims=0),
        helper.make_node("ArgMax", ["colour"], ["word"], axis=1, keepdims=1),
        helper.make_node("Mul", ["word", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "three"], ["stop"]),
        helper.make_node("Concat", ["word", "stop", "word"], ["tokens"], axis=1),
    ]
    constants = {"zero": np.array([[0]], np.int64), "three": np.array([[3]], np.int64)}
    model = model_of(tmp_path / "words.onnx", nodes, constants, ("tokens", TensorProto.INT64, ["b", 3]))
    words = tmp_path / "words.txt"
    words.write_text("red\ngreen\nblue\n[end]\n")
    annotation = {"kind": "captions", "model": str(model), "vocabulary": str(words), "stop": 3, **PLAIN}
    made = made_of(tmp_path, video, {"seen": annotation}, clips="cuts")
    assert [record(made, f"000000000_{k:05d}")["seen"] for k in range(3)] == ["red", "green", "blue"]
    assert text_of([0, 1, 2], ["un", "##believ", "##able"], -1) == "unbelievable"
    assert text_of([0, 1, 2], ["▁a", "▁ca", "t"], -1) == "a cat"


def test_a_transcript_has_the_words_that_the_model_hears_and_their_times(tmp_path, video):
    model = str(build(tmp_path / "whisper"))
    annotation = {"kind": "transcripts", "model": model, "language": "en", "beam": 1, "most_tokens": 6}
    said = record(made_of(tmp_path, video, {"said": annotation}), "000000000")
    assert set(said["said"].split()) == {"hello"}
    assert said["said_language"] == "en"
    (start, stop, text), *_ = said["said_segments"]
    assert (start, stop, set(text.split())) == (0, pytest.approx(4, abs=0.1), {"hello"})


def test_landmarks_of_clips_are_those_that_recordings_have(tmp_path, data):
    video = data / "faces" / "grid" / "id2_vcd_swwp2s.mpg"
    made = made_of(tmp_path, video, {})
    models = data / "models"
    weights = [models / "yunet" / "face_detection_yunet_2023mar.onnx", models / "openseeface" / "lm_model0_opt.onnx"]
    search = {"backend": "openseeface", "batch": 8, "detect_every": 5, "min_score": 0.6}
    files = [tmp_path / name for name in ("a.tar", "a.parquet", "a.ledger.parquet")]
    sources = [made.lot(what) for what in ("tar", "clips.tar", "clips.parquet")]
    find_clip_landmarks(
        *sources,
        weights,
        *files,
        dataset="web",
        annotation="face",
        settings={"search": search, "cuts": {"threshold": 27.0, "min_scene_frames": 15}},
        working=str(tmp_path / "working"),
        threads=2,
    )
    with tarfile.open(files[0]) as tar:
        (tmp_path / "face.npz").write_bytes(tar.extractfile("000000000.face.npz").read())
    found = Landmarks.read(tmp_path / "face.npz")
    with VideoReader(made.unpack("000000000")) as reader:
        alone = LandmarkFinder(weights, Search(**search), accelerator="cpu", threads=2)(reader, [], 25.0)
    assert (found.frames, found.frames_with_face, len(np.unique(found.track))) == (75, 75, 1)
    assert np.array_equal(found.points, alone.points)
    said = annotation_table.read(files[1])["000000000"][0]
    assert said == {"face_frames": 75, "face_tracks": 1}
    assert list(said) == Annotation("face", "find_clip_landmarks", {}, ()).columns
    assert [row.outcome for row in ledger.rows(ledger.read([files[2]]))] == ["written"]


def test_a_folder_without_a_whisper_is_one_line(tmp_path, video):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RunError, match="is no Whisper model"):
        made_of(tmp_path, video, {"said": {"kind": "transcripts", "model": str(tmp_path / "nothing")}})


def test_a_clip_that_fails_fails_alone_and_is_in_the_ledger(tmp_path, video):
    made = made_of(tmp_path, video, {}, clips="cuts")

    def picky(tasks: list[ClipTask]) -> list[dict]:
        if any(task.key.endswith("2") for task in tasks):
            raise InputError("picky", "not this one")
        return [{"values": {"length": len(task.key)}, "files": []} for task in tasks]

    files = [tmp_path / name for name in ("a.tar", "a.parquet", "a.ledger.parquet")]
    sources = [made.lot(what) for what in ("tar", "clips.tar", "clips.parquet")]
    annotate_batches(Lot(*sources, *files, "embed_clips", "web", "length", {}, str(tmp_path / "working")), picky, 3)
    ended = {row.item: (row.outcome, row.reason) for row in ledger.rows(ledger.read([files[2]]))}
    assert ended == {f"000000000_{k:05d}.length": ("failed", "picky") if k == 2 else ("written", "") for k in range(4)}


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"a.b": {"kind": "frames"}}, "letters, digits"),
        ({"a": {}}, "`kind` is missing"),
        ({"a": {"kind": "flow"}}, "there is no `flow`"),
        ({"a": {"kind": "frames", "fsp": 1}}, "fps"),
        ({"a": {"kind": "embeddings", "model": "nowhere.onnx"}}, "does not exist"),
        *(
            (
                {name: {"kind": "transcripts", "model": "."}},
                rf"annotations\.{name}: .*`{name}` of their own; .*model_{name}",
            )
            for name in ("key", "url", "shard", "caption", "start_s", "source_fps", "brightness", "table_a", "mp4")
        ),
        (
            {"a": {"kind": "transcripts", "model": "."}, "a_language": {"kind": "transcripts", "model": "."}},
            "a_language: its column `a_language` is one of `a`, too",
        ),
    ],
)
def test_a_mistake_in_the_config_is_one_line(tmp_path, annotations, said):
    with pytest.raises(ConfigError, match=said):
        settings_of(write_table(tmp_path / "t.txt", "x"), annotations=annotations)


def test_a_broken_model_is_one_line(tmp_path, video):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(RunError, match="is no onnx model"):
        made_of(tmp_path, video, {"v": {"kind": "embeddings", "model": str(broken)}})


def test_two_annotations_of_a_kind_end_each_clip_each(tmp_path, video):
    stills = {name: {"kind": "frames", "fps": fps} for name, fps in (("few", 1), ("many", 2))}
    made = made_of(tmp_path, video, stills)
    assert [record(made, "000000000")[f"{name}_count"] for name in stills] == [4, 8]
    rows = ledger.rows(ledger.read([made.root / "ledger.parquet"]))
    assert {row.item for row in rows if row.step == "extract_clip_frames"} == {"000000000.few", "000000000.many"}


def test_what_an_annotation_found_stands_beside_what_the_table_says_under_its_name(tmp_path, video):
    rows = [{"url": str(video), "n": k, "stills_count": f"theirs {k}"} for k in range(2)]
    table = write_table(tmp_path / "t.jsonl", *map(json.dumps, rows))
    roots = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", table, annotations={"stills": {"kind": "frames", "fps": 1}}, fetch=roots)
    samples = [record(made, f"00000000{k}") for k in range(2)]
    assert [(said["stills_count"], said["table_stills_count"]) for said in samples] == [
        (4, "theirs 0"),
        (4, "theirs 1"),
    ]
    # What a clip has that the annotation failed for is called alike.
    said = record_of(made.clips["000000001"], "00000", ["stills_count"])
    assert (said["table_stills_count"], "stills_count" in said) == ("theirs 1", False)


def test_the_cores_change_no_byte_of_an_annotation(tmp_path, video):
    made = made_of(tmp_path, video, {"stills": {"kind": "frames", "fps": 2}}, clips="cuts")
    names = [f"stills.annotation.{ending}" for ending in ("tar", "parquet", "ledger.parquet")]
    before = [made.lot(name).read_bytes() for name in names]
    for threads in (1, 3):
        annotate(made, threads=threads)
        assert [made.lot(name).read_bytes() for name in names] == before


def test_what_a_killed_job_left_is_not_taken_from_another_model_or_method(tmp_path, monkeypatch):
    model = tmp_path / "model.onnx"
    clips = tmp_path / "clips.parquet"
    clips.write_bytes(b"clips")
    files = [tmp_path / name for name in ("a", "b")]
    lot = Lot(*files, clips, *files, clips, "embed_clips", "web", "v", {}, str(tmp_path / "working"), (model,))
    marks = set()
    for content in (b"first", b"second"):
        model.write_bytes(content)
        marks.add(lot.mark())
    monkeypatch.setitem(LOT_METHODS, "embed_clips", LOT_METHODS["embed_clips"] + 1)
    assert len(marks | {lot.mark()}) == 3
