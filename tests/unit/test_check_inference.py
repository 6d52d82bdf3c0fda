"""What is said at the end of an inference, and what the same command makes again."""

import pytest

from scripts.common import ledger
from scripts.common.errors import RunError
from scripts.models.check_inference import check_inference
from scripts.planning.plan import load
from tests.unit.examples import House, make_files

MADE = ledger.Row("infer_landmarks", "", "a.wav", "written")
RENDERED = ledger.Row("request_render", "", "a.wav", "written")
BAD_SOUND = ledger.Row("infer_landmarks", "", "b.wav", "failed", "no_sound", message="b is no sound")
NO_RENDER = ledger.Row("request_render", "", "a.wav", "failed", "no_answer", message="http://x does not answer")
NO_ENGINE = ledger.Row("infer_from_engine", "", "a.wav", "failed", "no_answer", message="http://y does not answer")
OTHER_ENGINE = ledger.Row("infer_from_engine", "", "", "failed", "checkpoint_differs", message="http://y is of cats")


@pytest.fixture
def inference(tmp_path, monkeypatch):
    """The room of an inference that has ended with the given rows."""
    monkeypatch.chdir(tmp_path)
    make_files(tmp_path, "talks/a.wav", "lips.ckpt")

    def inference(*rows, retry="", checked=False):
        house = House(tmp_path)
        room = load(house.config(audio_dir="talks", checkpoint="lips.ckpt", retry=retry)).rooms["models"]
        file = tmp_path / room.inferred("ledger.parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        ledger.write(file, rows)
        if checked:
            file.with_name("ledger.checked").touch()
        return room

    return inference


def said(tmp_path, *rows):
    ledger.write(tmp_path / "ledger.parquet", rows)
    with pytest.raises(RunError) as error:
        check_inference(tmp_path / "ledger.parquet", tmp_path / "checked")
    assert not (tmp_path / "checked").exists()
    return str(error.value)


def test_an_inference_without_failures_ends_well(tmp_path):
    ledger.write(tmp_path / "ledger.parquet", [MADE, RENDERED])
    check_inference(tmp_path / "ledger.parquet", tmp_path / "checked")
    assert (tmp_path / "checked").exists()


def test_sounds_are_to_be_mended_and_servers_are_asked_again(tmp_path):
    message = said(tmp_path, MADE, BAD_SOUND)
    assert "1 sound failed" in message
    assert "Mend or remove" in message
    message = said(tmp_path, MADE, NO_RENDER)
    assert "1 result not rendered" in message
    assert "The same command asks again" in message
    assert "Mend" not in message
    message = said(tmp_path, NO_ENGINE, NO_ENGINE)
    assert "2 sounds got no landmarks from the engine" in message
    assert "Mend" not in message


@pytest.mark.parametrize("reason", ["bad_checkpoint", "checkpoint_differs", "zip_name", "no_sound"])
def test_what_is_refused_as_a_whole_is_called_no_sound(tmp_path, reason):
    message = said(tmp_path, ledger.Row("infer_landmarks", "", "", "failed", reason, message="bad.ckpt is of cats"))
    assert message == f"nothing is made: bad.ckpt is of cats ({reason})\n  Give another, and the command again."
    message = said(tmp_path, ledger.Row("infer_from_engine", "", "", "failed", "no_answer", message="no answer"))
    assert message == "nothing is made: no answer (no_answer)\n  The same command asks again."


@pytest.mark.parametrize("row", [NO_RENDER, NO_ENGINE, OTHER_ENGINE])
def test_the_same_command_asks_a_server_again_that_did_not_answer(inference, row):
    room = inference(MADE, row)
    assert room.again(["infer"]) == [room.inferred("ledger.parquet")]
    assert room.again(["all"]) == []
    assert inference(MADE, row, checked=True).again(["infer"]) == []


def test_a_sound_that_failed_is_tried_again_where_it_is_asked_for(inference):
    assert inference(MADE, BAD_SOUND).again(["infer"]) == []
    room = inference(MADE, BAD_SOUND, retry="failed")
    assert room.again(["infer"]) == [room.inferred("ledger.parquet")]


def test_an_inference_that_never_was_has_nothing_to_ask_again(inference, tmp_path):
    room = inference(MADE, NO_RENDER)
    (tmp_path / room.inferred("ledger.parquet")).unlink()
    assert room.again(["infer"]) == []
