"""Keypoints of other programs come as they wrote them, and a file that is not theirs is one line."""

import json
import pickle

import h5py
import numpy as np
import pytest

from scripts.cameras.detectors.given import BODY_25, read_given
from scripts.common.errors import InputError

DLC = "scorer,n,n,n,n,n,n\nbodyparts,nose,nose,nose,tail,tail,tail\ncoords,x,y,likelihood,x,y,likelihood\n"


def given_files(tmp_path):
    """The same two keypoints in frames 0 and 1, as each program writes them."""
    (tmp_path / "dlc.csv").write_text(DLC + "0,1,2,0.9,3,4,0.8\n1,5,6,0.7,,,\n")
    with h5py.File(tmp_path / "sleap.h5", "w") as file:
        tracks = np.array([[[1, 5], [3, np.nan]], [[2, 6], [4, np.nan]]], float)[None]
        file["tracks"] = tracks
        file["point_scores"] = np.array([[[0.9, 0.7], [0.8, 0]]])
        file["node_names"] = np.array([b"nose", b"tail"])
        file["edge_inds"] = np.array([[0, 1]])
    rows = np.zeros(2, [("index", "i8"), ("values_block_0", "f8", (6,))])
    rows["index"] = [0, 1]
    rows["values_block_0"] = [[1, 2, 0.9, 3, 4, 0.8], [5, 6, 0.7, np.nan, np.nan, np.nan]]
    kinds = [("n", part, c) for part in ("nose", "tail") for c in ("x", "y", "likelihood")]
    with h5py.File(tmp_path / "dlc.h5", "w") as file:
        table = file.create_group("df_with_missing").create_dataset("table", data=rows)
        table.attrs["values_block_0_kind"] = np.void(pickle.dumps(kinds, protocol=0))
    return [tmp_path / name for name in ("dlc.csv", "sleap.h5", "dlc.h5")]


def test_files_of_deeplabcut_and_sleap_say_the_same(tmp_path):
    for path in given_files(tmp_path):
        skeleton, rows = read_given(path, [])
        found = list(rows)
        assert skeleton.names == ("nose", "tail"), path.name
        assert [row[0] for row in found] == [0, 1]
        assert found[0][2].tolist() == [[1, 2], [3, 4]]
        assert found[1][2][0].tolist() == [5, 6]
        assert np.isnan(found[1][2][1]).all()
        assert found[0][3].tolist() == pytest.approx([0.9, 0.8])


def test_pickled_names_are_read_as_text_and_nothing_in_them_is_run(tmp_path):
    path = given_files(tmp_path)[2]
    with h5py.File(path, "r+") as file:
        harmful = b"cos\nsystem\n(Vtouch " + str(tmp_path / "harm").encode() + b"\ntR."
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.void(harmful)
    with pytest.raises(InputError, match=r"say no body parts, 6 numbers a row; give the rig's detect\.names"):
        read_given(path, [])
    assert not (tmp_path / "harm").exists()
    assert read_given(path, ["a", "b"])[0].names == ("a", "b")


def pandas_table(path, columns, values, protocol=0):
    """As pandas writes the table of DeepLabCut; values: (frames, columns)."""
    rows = np.zeros(len(values), [("index", "i8"), ("values_block_0", "f8", (len(columns),))])
    rows["index"], rows["values_block_0"] = np.arange(len(values)), values
    with h5py.File(path, "w") as file:
        table = file.create_group("df_with_missing").create_dataset("table", data=rows)
        table.attrs["values_block_0_kind"] = np.void(pickle.dumps(columns, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_a_table_of_several_animals_is_read_whatever_its_parts_are_called(tmp_path, protocol):
    parts, people = ["S", "x", "nose"], ["one", "nose"]
    columns = [("S", who, part, c) for who in people for part in parts for c in ("x", "y", "likelihood")]
    values = np.arange(2 * 18.0).reshape(2, 18) / 100
    cup = [("S", "single", "cup", "x"), ("S", "single", "cup", "y")]
    more = np.hstack([values, [[7.0, 8], [np.nan, np.nan]]])
    path = pandas_table(tmp_path / "m.h5", [*columns, *cup], more, protocol)
    skeleton, rows = read_given(path, [])
    found = list(rows)
    assert skeleton.names == ("S", "x", "nose", "cup")
    assert [row[:2] for row in found] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert np.array_equal(np.column_stack(found[4][2:])[:3], values[1, 9:].reshape(3, 3))
    assert np.isnan(found[4][2][3]).all()
    assert found[2][2][3].tolist() == [7, 8]
    assert found[2][3].tolist() == [0, 0, 0, 1]
    single = pandas_table(
        tmp_path / "s.h5", [("S", p, c) for p in parts for c in ("x", "y", "likelihood")], values[:, :9]
    )
    assert read_given(single, ["not", "asked", "for"])[0].names == tuple(parts)


def test_pandas_fixed_format_is_one_line_that_says_what_to_do(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["df_with_missing/block0_values"] = np.zeros((3, 6))
    with pytest.raises(InputError, match=r"x\.h5: pandas wrote it in its fixed format; write it with format='table'"):
        read_given(tmp_path / "x.h5", [])


def test_points_without_a_score_are_sure(tmp_path):
    # Labels made by hand have no likelihood, SLEAP's corrections a score that is no number.
    (tmp_path / "x.csv").write_text("scorer,n,n,n,n\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n0,1,2,,\n")
    [(_, _, uv, sure)] = list(read_given(tmp_path / "x.csv", [])[1])
    assert uv[0].tolist() == [1, 2]
    assert sure.tolist() == [1, 0]
    path = given_files(tmp_path)[1]
    with h5py.File(path, "r+") as file:
        file["point_scores"][0, :, 0] = np.nan, 0.8
    first, second = list(read_given(path, [])[1])
    assert first[3].tolist() == [1, 0.8]
    assert second[3].tolist() == [0.7, 0]


def test_people_of_openpose_come_with_the_numbers_of_their_frames(tmp_path):
    folder = tmp_path / "json"
    folder.mkdir()
    points = np.zeros((25, 3))
    points[0] = [10, 20, 0.9]
    people = [{"pose_keypoints_2d": points.ravel().tolist()}]
    (folder / "v_000000000003_keypoints.json").write_text(json.dumps({"people": people}))
    (folder / "v_000000000004_keypoints.json").write_text(json.dumps({"people": []}))
    skeleton, rows = read_given(folder, [])
    found = list(rows)
    assert skeleton.names == tuple(BODY_25)
    assert [(row[0], row[1]) for row in found] == [(3, 0)]
    assert found[0][2][0].tolist() == [10, 20]
    assert np.isnan(found[0][2][1:]).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (DLC.replace("tail,tail,tail", "tail"), "not equally long: 4 of `bodyparts`, 6 of `coords`"),
        (DLC + "inf,1,2,0.9,3,4,0.8\n", "row 1 below the header is not whole"),
        (DLC + "0.5,1,2,0.9,3,4,0.8\n", "row 1 below the header is not whole"),
        (DLC + "0,1,2,\0", "is no text"),
    ],
    ids=["short", "inf", "half", "bytes"],
)
def test_a_csv_that_is_not_deeplabcuts_is_one_line(tmp_path, content, said):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(InputError, match=f"x.csv.*{said}") as caught:
        list(read_given(tmp_path / "x.csv", [])[1])
    assert caught.value.reason == "bad_keypoints"


def test_a_csv_of_deeplabcut_may_be_in_latin_1(tmp_path):
    (tmp_path / "x.csv").write_bytes((DLC.replace("tail", "Öhr") + "0,1,2,0.9,3,4,0.8\n").encode("latin-1"))
    skeleton, rows = read_given(tmp_path / "x.csv", [])
    assert skeleton.names == ("nose", "Öhr")
    assert len(list(rows)) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tracks": (2, 3)}, "node_names"),
        ({"tracks": (1, 2, 3, 10), "node_names": 3, "point_scores": (1, 3, 9)}, "no match"),
        ({"tracks": (1, 2, 3, 10), "node_names": 2}, "no match"),
        ({"tracks": (1, 2, 3, 10), "node_names": 3, "edge_inds": (1, 1)}, "has it"),
        ({"df_with_missing": (3,)}, "has it"),
        ({"df_with_missing/table": (3,)}, "has it"),
    ],
    ids=["names", "scores", "count", "edges", "table", "block"],
)
def test_an_hdf5_that_lacks_something_is_one_line(tmp_path, fields, said):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, shape in fields.items():
            file[name] = np.array([b"a", b"b", b"c"][:shape]) if name == "node_names" else np.zeros(shape)
    with pytest.raises(InputError, match=f"x.h5.*{said}") as caught:
        list(read_given(tmp_path / "x.h5", [])[1])
    assert caught.value.reason == "bad_keypoints"


def test_a_bone_ends_at_keypoints(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["tracks"], file["node_names"] = np.zeros((1, 2, 2, 1)), np.array([b"a", b"b"])
        file["edge_inds"] = np.array([[1, 2]])
    with pytest.raises(InputError, match=r"the bone \(1, 2\) has an end that is none of its 2 keypoints"):
        read_given(tmp_path / "x.h5", [])


@pytest.mark.parametrize("name", ["x.csv", "x.h5", "x.txt", "x.parquet"])
def test_a_file_that_is_no_keypoints_is_one_line(tmp_path, name):
    (tmp_path / name).write_text("what,is,this\n")
    with pytest.raises(InputError, match=name):
        read_given(tmp_path / name, [])
