"""The engine: the same landmarks over HTTP, bad input as 4xx, and the rule that asks it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import requests
import soundfile

from rushes.engine.__main__ import main, parser
from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.models.infer_from_engine import infer_from_engine
from scripts.models.infer_landmarks import infer_landmarks
from tests.unit.examples import REPO
from tests.unit.inference.inferred import settings_of
from tests.unit.speaking_checkpoint import make_checkpoint, write_speech

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A running engine with small limits: its URL, its checkpoint and the dataset of that."""
    root = tmp_path_factory.mktemp("engine")
    checkpoint, dataset = make_checkpoint(root)
    url_file = root / "engine.url"
    command = [sys.executable, "-m", "rushes.engine", "--checkpoint", str(checkpoint), "--port", "0"]
    limits = ["--max-mb", "0.5", "--max-s", "5", "--url-file", str(url_file)]
    said = root / "engine.stderr"
    with said.open("w") as stderr:
        program = subprocess.Popen([*command, *limits], cwd=REPO, stdout=subprocess.DEVNULL, stderr=stderr)
    stop = time.monotonic() + 60
    while not url_file.exists() and program.poll() is None and time.monotonic() < stop:
        time.sleep(0.05)
    yield url_file.read_text().strip(), checkpoint, dataset
    program.send_signal(signal.SIGTERM)
    assert program.wait(20) in (0, -signal.SIGTERM)
    # Whatever its clients did.
    assert "Traceback" not in said.read_text()


def test_health_says_what_answers(engine):
    answer = requests.get(f"{engine[0]}/health", timeout=20)
    assert answer.status_code == 200
    assert {"status": "ok", "model": "lips", "rate_hz": 16_000, "fps": "25"}.items() <= answer.json().items()


@pytest.mark.parametrize(
    ("body", "query", "status", "reason"),
    [
        (b"", "", 400, "empty"),
        (b"no sound at all", "", 422, "no_sound"),
        (b"x" * 600_000, "", 413, "too_large"),
        ("long", "", 413, "too_long"),
        ("short", "?card_sha256=0", 409, "checkpoint_differs"),
        ("odd", "", 422, "bad_rate"),
        ("loud", "", 422, "no_sound"),
    ],
)
def test_bad_input_is_a_4xx_with_its_reason(engine, tmp_path, body, query, status, reason):
    if body in ("odd", "loud"):
        signal = np.full(900, 3e38 if body == "loud" else 0.1)
        soundfile.write(tmp_path / "a.wav", signal, 2**31 - 1 if body == "odd" else 8000, "FLOAT")
        body = (tmp_path / "a.wav").read_bytes()
    elif isinstance(body, str):
        file = write_speech(tmp_path / "a.wav", {"long": 6, "short": 1}[body], 8000)
        body = file.read_bytes()
    answer = requests.post(f"{engine[0]}/infer{query}", data=body, timeout=20)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert "Traceback" not in answer.text
    assert requests.get(f"{engine[0]}/health", timeout=20).status_code == 200


def test_a_client_that_goes_away_in_the_middle_of_its_sound_stops_nothing(engine, tmp_path):
    """That it leaves no traceback is seen where the engine ends."""
    host, port = engine[0].removeprefix("http://").split(":")
    head = f"POST /infer HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(head.encode() + bytes(5_000))
        time.sleep(0.2)
    body = write_speech(tmp_path / "a.wav", 1, 8000).read_bytes()
    assert requests.post(f"{engine[0]}/infer", data=body, timeout=20).status_code == 200


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/infer", 405), ("POST", "/x", 404), ("GET", "/", 404)])
def test_nothing_else_is_answered(engine, method, path, status):
    assert requests.request(method, f"{engine[0]}{path}", timeout=20).status_code == status


def test_the_rule_writes_what_the_inference_without_an_engine_writes(engine, tmp_path):
    url, checkpoint, _ = engine
    files = [write_speech(tmp_path / "sounds" / f"{name}.wav", 2, 8000, seed=k) for k, name in enumerate("ab")]
    bad = tmp_path / "sounds" / "bad.wav"
    bad.write_bytes(b"none")
    text = tmp_path / "sounds" / "a.txt"
    text.write_text("set white")
    files += [bad, text]
    settings = settings_of(endpoint=url)
    infer_from_engine(
        files,
        *(None, None, None, None),
        tmp_path / "asked",
        tmp_path / "asked.parquet",
        audio_dir=str(tmp_path / "sounds"),
        endpoint=url,
        settings=settings,
        unusable={},
        renders=str(tmp_path / "renders"),
    )
    own = {"audio_dir": str(tmp_path / "sounds"), "settings": settings, "unusable": {}, "renders": str(tmp_path / "r")}
    infer_landmarks(files, checkpoint, None, None, None, None, tmp_path / "own", tmp_path / "own.parquet", **own)
    rows = [ledger.rows(ledger.read([tmp_path / f"{name}.parquet"])) for name in ("asked", "own")]
    assert [(row.item, row.outcome) for row in rows[0]] == [(row.item, row.outcome) for row in rows[1]]
    names = [sorted(file.name for file in (tmp_path / name).iterdir()) for name in ("asked", "own")]
    assert names[0] == names[1] == ["a.json", "a.npy", "a.txt", "b.json", "b.npy"]
    for name in "ab":
        asked, whole = (np.load(tmp_path / folder / f"{name}.npy") for folder in ("asked", "own"))
        # Three digits travel.
        assert np.abs(asked - whole).max() < 0.002


def test_an_engine_of_another_dataset_is_refused(engine, tmp_path):
    url, _, dataset = engine
    files = [write_speech(tmp_path / "sounds" / "a.wav", 1, 8000)]

    def ask(to, **changes):
        inputs = {name: dataset[name] for name in ("card", "mean", "std")} | changes
        out = tmp_path / to
        out.mkdir()
        own = {"audio_dir": str(tmp_path / "sounds"), "endpoint": url, "settings": settings_of(), "unusable": {}}
        own["renders"] = str(out / "renders")
        infer_from_engine(files, None, *inputs.values(), out / "landmarks", out / "ledger.parquet", **own)
        return ledger.rows(ledger.read([out / "ledger.parquet"]))

    (row,) = ask("same")
    assert row.outcome == "written"
    (tmp_path / "card.json").write_text("{}")
    np.save(tmp_path / "other.npy", np.load(dataset["mean"]) + 1)
    for name, other, field in (("card", "card.json", "card_sha256"), ("mean", "other.npy", "mean")):
        with pytest.raises(InputError, match=f"the engine at http.* was trained with another {field}") as error:
            ask(name, **{name: tmp_path / other})
        assert error.value.reason == "checkpoint_differs"


def test_the_engine_begins_with_the_face_that_it_is_given(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "--face" in capsys.readouterr().out
    assert parser().parse_args(["--checkpoint", "x", "--face", "y.npy"]).face == Path("y.npy")


def test_the_engine_listens_to_this_machine_alone_unless_told(capsys):
    chosen = parser().parse_args(["--checkpoint", "x"])
    assert (chosen.host, chosen.port) == ("127.0.0.1", 8080)
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m rushes.engine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("--hop", value) for value in ("0", "-3", "x")],
        *[("--threads", value) for value in ("0", "-1")],
        *[("--port", value) for value in ("99999", "-1")],
        *[("--max-mb", value) for value in ("0", "-1", "nan")],
        *[("--max-s", value) for value in ("0", "inf")],
    ],
)
def test_an_option_that_makes_no_sense_is_refused_in_one_line(option, value, capsys):
    with pytest.raises(SystemExit) as error:
        main(["--checkpoint", "x", f"{option}={value}"])
    assert error.value.code == 2
    (*_, line) = capsys.readouterr().err.splitlines()
    assert f"argument {option}: " in line


@pytest.mark.parametrize("host", ["256.256.256.256", "no-such-host.invalid", "x" * 100])
def test_a_host_that_cannot_be_listened_on_is_said_in_one_line(engine, host):
    with pytest.raises(SystemExit, match=r"^rushes.engine: .+$"):
        main(["--checkpoint", str(engine[1]), "--host", host, "--port", "0"])


@pytest.mark.parametrize("content", [b"root:x:0:0", b"PK\x03\x04", b"", "words", "objects"])
def test_a_face_that_is_none_is_said_in_the_engine_s_own_words(engine, tmp_path, content):
    face = tmp_path / "face.npy"
    if isinstance(content, bytes):
        face.write_bytes(content)
    else:
        np.save(face, np.full((68, 2), "a", None if content == "words" else object))
    with pytest.raises(
        SystemExit, match=r"^rushes.engine: face.npy is no .npy of numbers: write the 68 points"
    ) as error:
        main(["--checkpoint", str(engine[1]), "--face", str(face)])
    assert "pickle" not in str(error.value)


def test_a_face_that_is_not_there_is_one_line(engine, tmp_path):
    with pytest.raises(SystemExit, match=r"^rushes.engine: .*none.npy cannot be read: No such file"):
        main(["--checkpoint", str(engine[1]), "--face", str(tmp_path / "none.npy")])


def test_an_engine_without_a_checkpoint_ends_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"rushes.engine: there is no checkpoint"):
        main(["--checkpoint", str(tmp_path / "none.ckpt")])


@pytest.fixture(scope="module")
def workplace(engine, tmp_path_factory):
    """A folder without any sheet, with two sounds."""
    root = tmp_path_factory.mktemp("workplace")
    (root / "config").mkdir()
    (root / "config" / "config.yaml").write_text("{}\n")
    write_speech(root / "talks" / "one.wav", 1)
    write_speech(root / "talks" / "two.wav", 2, 44_100)
    return root


def snakemake(root, *arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile"), "--cores", "2", "--nolock"]
    environment = {**os.environ, "PYTHONPATH": ""}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run([*command, *arguments], cwd=root, env=environment, text=True, check=False, **both)


def test_sounds_that_are_no_recordings_need_no_sheet(engine, workplace):
    done = snakemake(workplace, "infer", "--config", "audio_dir=talks", f"checkpoint={engine[1]}")
    assert done.returncode == 0, done.stdout
    (folder,) = (workplace / "results" / "inference" / "talks").glob("lips.best-????????/landmarks")
    assert sorted(file.name for file in folder.glob("[!.]*")) == ["one.json", "one.npy", "two.json", "two.npy"]
    again = snakemake(workplace, "infer", "--config", "audio_dir=talks", f"checkpoint={engine[1]}")
    assert "Nothing to be done" in again.stdout


def test_snakemake_starts_an_engine_with_the_settings_of_the_config_and_ends_it(engine, workplace):
    face = np.load(engine[2]["mean"]).reshape(2, 68).T * 1.1
    np.save(workplace / "my face.npy", face)
    (workplace / "quiet").mkdir()
    soundfile.write(workplace / "quiet" / "two.wav", np.zeros(16_000), 16_000)
    own = {"endpoint": "own", "face": "my face.npy", "speech": "silero"}
    config = ["audio_dir=quiet", f"checkpoint={engine[1]}", f"inference={json.dumps(own)}"]
    done = snakemake(workplace, "infer", "--config", *config)
    assert done.returncode == 0, done.stdout
    (folder,) = (workplace / "results" / "inference" / "quiet").glob("lips.best-????????.by_engine")
    # Where nobody speaks, the face that was given rests.
    assert np.abs(np.load(folder / "landmarks" / "two.npy") - (face - face[33])).max() < 0.05
    assert "Terminating service job" in done.stdout
    assert not (folder / "engine.url").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (["audio_dir=talk", "checkpoint=x"], "audio_dir: talk does not exist; did you mean `talks`?"),
        (["audio_dir=talks"], "checkpoint: which one?"),
        (["audio_dir=talks", "checkpoint=x"], "checkpoint: `x` is no file, nor a model that was trained"),
    ],
)
def test_what_is_missing_is_said_in_one_line(engine, workplace, config, message):
    done = snakemake(workplace, "infer", "--config", *config)
    assert done.returncode == 1
    assert message in done.stdout
    assert "Traceback" not in done.stdout
