"""A render service is asked with patience, and none stops the others."""

import contextlib
import http.server
import json
import threading
import time
from typing import Any

import pytest

from scripts.common.errors import InputError
from scripts.models import requests_again
from tests.unit.inference.inferred import infer
from tests.unit.speaking_checkpoint import write_speech

pytestmark = pytest.mark.torch


class Renderer(http.server.BaseHTTPRequestHandler):
    """A render service: fails twice, then refuses the sound `b`, and returns a video for others."""

    calls: list[dict[str, Any]]
    failures: int

    def do_POST(self):
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).calls.append(content)
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
        elif content["name"] == "b":
            self.send_error(400, "no such face")
        else:
            self.send_response(200)
            self.send_header("content-type", "video/mp4")
            self.end_headers()
            self.wfile.write(b"video of " + content["name"].encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def renderer(monkeypatch):
    monkeypatch.setattr(requests_again, "PAUSE_S", 0.01)
    handler = type("Handler", (Renderer,), {"calls": [], "failures": 2})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/render"
    server.shutdown()
    server.server_close()


def test_a_render_service_is_asked_again_and_one_that_refuses_stops_nothing(tmp_path, checkpoint, renderer):
    handler, url = renderer
    files = [write_speech(tmp_path / "sounds" / f"{name}.wav", 1) for name in "abc"]
    folder, rows = infer(tmp_path, files, checkpoint, request_render=url, retries=3)
    assert [content["name"] for content in handler.calls] == ["a", "a", "a", "b", "c"]
    ended = {(row.step, row.item): (row.outcome, row.reason) for row in rows}
    assert ended["request_render", "b.wav"] == ("failed", "refused")
    assert [ended["infer_landmarks", f"{name}.wav"][0] for name in "abc"] == ["written"] * 3
    assert (folder / "a.render.mp4").read_bytes() == b"video of a"
    assert not (folder / "b.render.mp4").exists()
    assert (folder / "c.render.mp4").exists()


def test_another_run_asks_for_what_is_not_rendered_alone_and_for_everything_once_all_is(tmp_path, checkpoint, renderer):
    handler, url = renderer
    handler.failures = 0
    files = [write_speech(tmp_path / "sounds" / f"{name}.wav", 1) for name in "abc"]
    for run, asked in ((1, "abc"), (2, "b")):
        handler.calls.clear()
        (tmp_path / str(run)).mkdir()
        folder, _ = infer(
            tmp_path / str(run),
            files,
            checkpoint,
            request_render=url,
            retries=0,
            renders=tmp_path / "kept",
            audio_dir=tmp_path / "sounds",
        )
        assert "".join(content["name"] for content in handler.calls) == asked
        assert (folder / "a.render.mp4").read_bytes() == b"video of a"
        assert (folder / "c.render.mp4").read_bytes() == b"video of c"
    handler.calls.clear()
    (tmp_path / "3").mkdir()
    infer(
        tmp_path / "3",
        [files[0], files[2]],
        checkpoint,
        request_render=url,
        renders=tmp_path / "kept",
        audio_dir=tmp_path / "sounds",
    )
    assert (handler.calls, (tmp_path / "kept").exists()) == ([], False)


def test_a_render_service_that_is_not_there_is_a_row(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(requests_again, "PAUSE_S", 0.01)
    file = write_speech(tmp_path / "sounds" / "a.wav", 1)
    _, rows = infer(tmp_path, [file], checkpoint, request_render="http://127.0.0.1:9/x", retries=1, timeout_s=1)
    assert [(row.step, row.outcome, row.reason) for row in rows] == [
        ("infer_landmarks", "written", ""),
        ("request_render", "failed", "no_answer"),
    ]


class Trickle(http.server.BaseHTTPRequestHandler):
    """Answers byte by byte, without an end that anyone would wait for."""

    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(200):
                self.wfile.write(b".")
                time.sleep(0.05)

    def log_message(self, *arguments):
        pass


def test_an_answer_that_trickles_may_take_no_longer_than_any_other():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trickle)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(InputError, match="does not answer: Timeout"):
        requests_again.post(f"http://127.0.0.1:{server.server_port}/", timeout_s=0.3, retries=0, json={})
    assert time.monotonic() - started < 5
    server.shutdown()
    server.server_close()
