import gzip
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.common.errors import RunError
from scripts.common.job import execute
from scripts.sources import download
from scripts.sources.fetch_model import fetch_model

NAME = "face net-0123.onnx"
# Whole chunks: what has come of a chunk when a connection breaks is not kept.
HALF = 20 * download.CHUNK_BYTES
WEIGHTS = bytes(range(256)) * (2 * HALF // 256)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


class Request(BaseHTTPRequestHandler):
    """One request, answered by what the test has said."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))  # type: ignore[attr-defined]
        self.close_connection = True
        self.server.answer(self)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    @property
    def first_byte(self) -> int:
        asked = self.headers.get("Range")
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0

    def send_rest(self, whole: bytes = WEIGHTS) -> None:
        start = self.first_byte
        where = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
        self.send(206 if start else 200, whole[start:], Content_Range=where)


@dataclass
class Server:
    """A web server on this machine. ranges: the Range of every request, None without one."""

    url: str
    ranges: list[str | None] = field(default_factory=list)
    _http: ThreadingHTTPServer | None = None

    def answers(self, answer: Callable[[Request], None]) -> None:
        self._http.answer = answer  # type: ignore[union-attr]

    def breaks_after_half(self) -> None:
        """The first answer breaks off, later ones give what is asked for."""

        def answer(request: Request) -> None:
            if len(self.ranges) == 1:
                request.send(200, WEIGHTS[:HALF], length=len(WEIGHTS))
            else:
                request.send_rest()

        self.answers(answer)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "BACKOFF_S", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    http = ThreadingHTTPServer(("127.0.0.1", 0), Request)
    server = Server(f"http://127.0.0.1:{http.server_port}/weights/net.onnx", _http=http)
    http.ranges = server.ranges  # type: ignore[attr-defined]
    server.answers(Request.send_rest)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "models"
    folder.mkdir(parents=True)
    return folder / NAME


def fetch(out: Path, url: str, sha256: str = SHA256, models_dir: Path | str = "") -> None:
    fetch_model(out, name=NAME, url=url, sha256=sha256, models_dir=str(models_dir))


def fails(out: Path, url: str, **settings: str | Path) -> str:
    """The message of a fetch that fails: one line, and nothing stands under the output's name."""
    with pytest.raises(RunError) as failure:
        fetch(out, url, **settings)  # type: ignore[arg-type]
    assert not out.exists()
    message = str(failure.value)
    assert "\n" not in message
    return message


def left(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir())


def test_a_file_comes_whole_and_nothing_is_left_beside_it(server: Server, out: Path) -> None:
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS
    assert left(out) == [NAME]
    assert server.ranges == [None]


def test_the_published_beginning_of_a_sha256_is_enough(server: Server, out: Path) -> None:
    fetch(out, server.url, sha256=SHA256[:10].upper())
    assert out.read_bytes() == WEIGHTS


def test_a_sha256_of_a_few_digits_is_refused(server: Server, out: Path) -> None:
    assert "9 digits" in fails(out, server.url, sha256=SHA256[:9])
    assert server.ranges == []


def test_a_broken_download_goes_on_where_it_broke_off(server: Server, out: Path) -> None:
    server.breaks_after_half()
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_later_run_goes_on_where_a_killed_one_was(server: Server, out: Path) -> None:
    server.breaks_after_half()
    server.ranges.append(None)  # the attempt of the killed run
    out.with_name(f".download.{NAME}").write_bytes(WEIGHTS[:HALF])
    rule = {"inputs": {}, "outputs": {"weights": str(out)}}
    settings = {"name": NAME, "url": server.url, "sha256": SHA256, "models_dir": ""}
    execute(fetch_model, **rule, settings=settings)
    assert out.read_bytes() == WEIGHTS
    assert left(out) == [NAME]
    assert server.ranges[1:] == [f"bytes={HALF}-"]


def test_what_has_come_is_kept_when_every_attempt_breaks_off(server: Server, out: Path) -> None:
    def answer(request: Request) -> None:
        start = request.first_byte
        where = f"bytes {start}-{len(WEIGHTS) - 1}/{len(WEIGHTS)}"
        request.send(
            206 if start else 200,
            WEIGHTS[start : start + download.CHUNK_BYTES],
            length=len(WEIGHTS) - start,
            Content_Range=where,
        )

    server.answers(answer)
    message = fails(out, server.url)
    assert len(server.ranges) == download.ATTEMPTS
    assert "broke" in message
    assert out.with_name(f".download.{NAME}").read_bytes() == WEIGHTS[: download.CHUNK_BYTES * download.ATTEMPTS]


def test_a_finished_download_that_was_not_published_needs_no_network(out: Path) -> None:
    out.with_name(f".download.{NAME}").write_bytes(WEIGHTS)
    fetch(out, "http://127.0.0.1:1/net.onnx")
    assert out.read_bytes() == WEIGHTS
    assert left(out) == [NAME]


def test_a_server_without_ranges_gives_the_whole_again(server: Server, out: Path) -> None:
    server.answers(lambda request: request.send(200, WEIGHTS))
    out.with_name(f".download.{NAME}").write_bytes(WEIGHTS[:HALF])
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS
    assert server.ranges == [f"bytes={HALF}-"]


def test_a_server_that_gives_another_part_than_asked_for_is_asked_for_the_whole(server: Server, out: Path) -> None:
    def answer(request: Request) -> None:
        if request.first_byte:
            request.send(206, WEIGHTS[7:], Content_Range=f"bytes 7-{len(WEIGHTS) - 1}/{len(WEIGHTS)}")
        else:
            request.send(200, WEIGHTS)

    server.answers(answer)
    out.with_name(f".download.{NAME}").write_bytes(WEIGHTS[:HALF])
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS


def test_the_rest_of_another_file_is_fetched_anew(server: Server, out: Path) -> None:
    out.with_name(f".download.{NAME}").write_bytes(b"another model" * 1000)
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS
    assert server.ranges == ["bytes=13000-", None]


def test_more_than_the_file_has_is_fetched_anew(server: Server, out: Path) -> None:
    def answer(request: Request) -> None:
        if request.first_byte >= len(WEIGHTS):
            request.send(416, b"", Content_Range=f"bytes */{len(WEIGHTS)}")
        else:
            request.send_rest()

    server.answers(answer)
    out.with_name(f".download.{NAME}").write_bytes(WEIGHTS + b"more")
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS


def test_a_server_that_packs_files_unasked_is_understood(server: Server, out: Path) -> None:
    server.answers(lambda request: request.send(200, gzip.compress(WEIGHTS), Content_Encoding="gzip"))
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS


def test_a_wrong_hash_keeps_nothing_and_names_both(server: Server, out: Path) -> None:
    message = fails(out, server.url, sha256="ab" * 32)
    for part in (NAME, server.url, "ab" * 32, SHA256):
        assert part in message
    assert left(out) == []


def test_a_web_page_instead_of_the_file_is_called_one(server: Server, out: Path) -> None:
    server.answers(
        lambda request: request.send(200, b"\n<!DOCTYPE html><title>Log in</title>", Content_Type="text/html")
    )
    assert "web page" in fails(out, server.url)
    assert left(out) == []


def test_a_missing_file_is_asked_for_once(server: Server, out: Path, tmp_path: Path) -> None:
    server.answers(lambda request: request.send(404, b"not here"))
    message = fails(out, server.url)
    for part in (NAME, server.url, "404 Not Found", "models_dir", str(tmp_path / "results" / "models")):
        assert part in message
    assert server.ranges == [None]
    assert left(out) == []


def test_a_fault_of_the_server_passes(server: Server, out: Path) -> None:
    def answer(request: Request) -> None:
        if len(server.ranges) < 3:
            request.send(503, b"")
        else:
            request.send_rest()

    server.answers(answer)
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS


def test_no_network_is_one_line_that_says_what_to_do(server: Server, out: Path, tmp_path: Path) -> None:
    empty = tmp_path / "my models"
    empty.mkdir()
    message = fails(out, "http://127.0.0.1:1/net.onnx", models_dir=empty)
    for part in (NAME, "http://127.0.0.1:1/net.onnx", "refused", str(empty), str(out.parent)):
        assert part in message
    assert left(out) == []


def test_a_server_that_falls_silent_is_given_up(server: Server, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENCE_S", 0.05)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    done = threading.Event()
    server.answers(lambda request: done.wait(5) and None)
    try:
        assert "answer in time (2 attempts)" in fails(out, server.url)
    finally:
        done.set()


def test_a_stream_without_end_is_cut(server: Server, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 2**20)

    def answer(request: Request) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(bytes(2**16))
        except OSError:
            pass

    server.answers(answer)
    assert "1,048,576 bytes" in fails(out, server.url)
    assert left(out) == []


def test_a_file_of_absurd_size_is_not_begun(server: Server, out: Path) -> None:
    server.answers(lambda request: request.send(200, b"some", length=10**13))
    assert "10,000,000,000,000 bytes" in fails(out, server.url)
    assert left(out) == []


@pytest.mark.parametrize("other", ["ftp://127.0.0.1/net.onnx", "file:///etc/hostname"])
def test_nothing_but_http_is_followed(server: Server, out: Path, other: str) -> None:
    assert "neither http nor https" in fails(out, other)
    server.answers(lambda request: request.send(302, b"", Location=other))
    assert "neither http nor https" in fails(out, server.url)


@pytest.mark.parametrize("other", ["http://a..b/net.onnx", "http://[::1", f"http://{'a' * 70}.b/net.onnx"])
def test_an_address_that_is_none_is_one_line(server: Server, out: Path, other: str) -> None:
    assert "\n" not in fails(out, other)
    server.answers(lambda request: request.send(302, b"", Location=other))
    assert "\n" not in fails(out, server.url)
    assert left(out) == []


def test_a_redirect_is_followed(server: Server, out: Path) -> None:
    def answer(request: Request) -> None:
        if request.path == "/moved":
            request.send_rest()
        else:
            request.send(302, b"", Location="/moved")

    server.answers(answer)
    fetch(out, server.url)
    assert out.read_bytes() == WEIGHTS


@pytest.mark.parametrize("place", [NAME, f"some net/{NAME}"])
def test_models_dir_is_asked_first(server: Server, out: Path, tmp_path: Path, place: str) -> None:
    given = tmp_path / "given" / place
    given.parent.mkdir(parents=True)
    given.write_bytes(WEIGHTS)
    fetch(out, server.url, models_dir=tmp_path / "given")
    assert out.read_bytes() == WEIGHTS
    assert server.ranges == []
    out.write_bytes(b"changed")
    assert given.read_bytes() == WEIGHTS


def test_a_wrong_file_in_models_dir_is_an_error_and_not_passed_over(server: Server, out: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / NAME).write_bytes(b"another model")
    message = fails(out, server.url, models_dir=given)
    assert str(given / NAME) in message
    assert SHA256 in message
    assert server.ranges == []


def test_a_file_that_models_dir_lacks_is_downloaded(server: Server, out: Path, tmp_path: Path) -> None:
    fetch(out, server.url, models_dir=tmp_path)
    assert out.read_bytes() == WEIGHTS


def test_a_models_dir_that_does_not_exist_is_an_error(server: Server, out: Path, tmp_path: Path) -> None:
    message = fails(out, server.url, models_dir=tmp_path / "nowhere")
    assert re.search(r"models_dir: .*nowhere is no folder", message)
