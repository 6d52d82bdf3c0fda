"""What is behind a page comes whole, from public hosts alone, within its bytes and its time, or fails with a reason."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from Cryptodome.Cipher import AES
from Cryptodome.Util.Padding import pad

from scripts.common.errors import InputError
from scripts.common.ffmpeg_program import program
from scripts.sources.page_guards import limit_bytes
from scripts.sources.page_medium import medium_behind
from tests.unit.examples import REPO
from tests.unit.shard_maker import FOUR, Site, scene_video, serve, settings_of, write_table

KEY, IV = bytes(range(16)), bytes(16)
AES_128 = '#EXT-X-KEY:METHOD=AES-128,URI="/key",IV=0x' + IV.hex()
SAMPLE_AES = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="/key",IV=0x' + IV.hex()
# A process to which the first loopback address is a public host, and every other one is what it is.
ONE_IS_PUBLIC = """
from scripts.sources import page_guards, page_medium
true = page_guards.public_address
page_guards.public_address = lambda host, port: (host, port) if host == "127.0.0.1" else true(host, port)
page_medium.main()
"""


@pytest.fixture(scope="module")
def segments(tmp_path_factory) -> list[bytes]:
    """100 pictures in four pieces of a second each."""
    folder = tmp_path_factory.mktemp("segments")
    video = scene_video(folder / "four.mp4", FOUR)
    pieces = ["-force_key_frames", "expr:gte(t,n_forced)", "-f", "segment", "-segment_time", "1"]
    command = [program(), "-v", "error", "-i", str(video), "-c:v", "libx264", *pieces, "-segment_format", "mpegts"]
    subprocess.run([*command, str(folder / "%d.ts")], check=True)
    return [(folder / f"{number}.ts").read_bytes() for number in range(4)]


def give_segments(site: Site, segments: Sequence[bytes]) -> list[str]:
    """URLs of the segments on that site."""
    for number, segment in enumerate(segments):
        site.pages[f"/{number}.ts"] = (200, {"Content-Type": "video/mp2t"}, segment)
    return [site.url(f"/{number}.ts") for number in range(len(segments))]


def give_playlist(site: Site, urls: Sequence[str], *, key: str = "", ends: bool = True) -> str:
    """URL of a playlist on that site."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0", key]
    lines += [line for url in urls for line in ("#EXTINF:1.0,", url)]
    text = "\n".join([*filter(None, lines), *(["#EXT-X-ENDLIST"] if ends else []), ""])
    site.pages["/list.m3u8"] = (200, {"Content-Type": "application/vnd.apple.mpegurl"}, text.encode())
    site.pages["/key"] = (200, {}, KEY)
    return site.url("/list.m3u8")


def encrypted(segments: Sequence[bytes]) -> list[bytes]:
    return [AES.new(KEY, AES.MODE_CBC, IV).encrypt(pad(segment, 16)) for segment in segments]


def fetch_settings(root: Path, **changes: Any) -> dict[str, Any]:
    table = write_table(root / "table.txt", "x")
    changes = {"sites": {"extract": True}, "item_s": 60, **changes}
    found: dict[str, Any] = settings_of(table, fetch=changes)["fetch"]
    return found


def refusal(url: str, root: Path, **changes: Any) -> InputError:
    """Why a medium does not come; nothing of it stays."""
    folder = root / "item"
    folder.mkdir()
    with pytest.raises(InputError) as raised:
        medium_behind(url, folder / "target", fetch_settings(root, **changes))
    assert list(folder.iterdir()) == []
    return raised.value


def answer_of(program_text: Sequence[str], url: str, root: Path, **changes: Any) -> dict[str, Any]:
    """What the process that brings a medium prints."""
    folder = root / "page"
    folder.mkdir()
    asked = json.dumps({"url": url, "folder": str(folder), "settings": fetch_settings(root, **changes)})
    command = [sys.executable, *program_text]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, cwd=REPO, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def count_pictures(path: Path) -> int:
    with av.open(str(path)) as opened:
        return sum(1 for _ in opened.decode(video=0))


@pytest.mark.parametrize("key", ["", AES_128], ids=["plain", "encrypted"])
def test_a_playlist_comes_with_all_its_pictures(key, tmp_path, site, segments):
    urls = give_segments(site, encrypted(segments) if key else segments)
    medium_behind(give_playlist(site, urls, key=key), tmp_path / "target", fetch_settings(tmp_path))
    assert count_pictures(tmp_path / "target") == 100


@pytest.mark.parametrize(
    ("key", "ends", "reason"),
    [
        ("", True, "no public host"),
        (AES_128, True, "no public host"),
        (SAMPLE_AES, True, "program"),
        ("", False, "live"),
    ],
    ids=["plain", "AES-128", "SAMPLE-AES", "live"],
)
def test_segments_on_a_private_host_are_never_asked_for(key, ends, reason, tmp_path, site, segments):
    with serve("127.0.0.2") as private:
        urls = give_segments(private, encrypted(segments) if key else segments)
        url = give_playlist(site, urls, key=key, ends=ends)
        answer = answer_of(("-c", ONE_IS_PUBLIC), url, tmp_path, allow_private_hosts=False)
        assert reason in answer["error"]
        assert private.asked == []
        assert "/list.m3u8" in [path for path, _ in site.asked]


def test_a_segment_that_is_a_playlist_itself_asks_nobody(tmp_path, site, segments):
    """ffmpeg, which mends what came, reads it as a file and follows no address in it."""
    with serve("127.0.0.2") as private:
        give_playlist(private, give_segments(private, segments))
        _, _, inner = private.pages["/list.m3u8"]
        url = give_playlist(site, give_segments(site, [inner]))
        answer_of(("-c", ONE_IS_PUBLIC), url, tmp_path, allow_private_hosts=False)
        assert "/0.ts" in [path for path, _ in site.asked]
        assert private.asked == []


def test_a_live_stream_is_refused_before_its_first_segment(tmp_path, site, segments):
    url = give_playlist(site, give_segments(site, segments), ends=False)
    assert refusal(url, tmp_path).reason == "live"
    assert {path for path, _ in site.asked} == {"/list.m3u8"}


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_a_playlist_that_lacks_a_segment_is_no_medium(missing, tmp_path, site, segments):
    url = give_playlist(site, give_segments(site, segments))
    del site.pages[f"/{missing}.ts"]
    error = refusal(url, tmp_path)
    assert error.reason == "page"
    assert "404" in error.message


def test_a_segment_whose_fault_passes_is_asked_for_again(tmp_path, site, segments):
    url = give_playlist(site, give_segments(site, segments))

    def broken_off_once(request):
        site.pages["/1.ts"] = (200, {"Content-Type": "video/mp2t"}, segments[1])
        request.send_response(404)
        request.send_header("Content-Length", "0")
        request.end_headers()

    site.pages["/1.ts"] = broken_off_once
    medium_behind(url, tmp_path / "target", fetch_settings(tmp_path, attempts=2))
    assert count_pictures(tmp_path / "target") == 100


@pytest.mark.parametrize("size", [100_000, 2_000_000], ids=["many segments", "one segment"])
def test_a_playlist_ends_once_it_is_larger_than_an_item_may_be(size, tmp_path, site):
    url = give_playlist(site, give_segments(site, [bytes(size)] * 20))
    error = refusal(url, tmp_path, max_bytes=250_000)
    assert error.reason == "too_large"
    assert error.limit == 250_000
    assert error.value is not None
    assert error.value > 250_000
    assert {path for path, _ in site.asked} <= {"/list.m3u8", "/0.ts", "/1.ts", "/2.ts"}


def test_a_file_behind_a_page_that_says_it_is_too_large_is_believed(tmp_path, site):
    site.pages["/watch"] = (200, {"Content-Type": "text/html"}, b'<html><video src="/big.mp4"></video></html>')
    site.pages["/big.mp4"] = (200, {"Content-Type": "video/mp4"}, bytes(2_000_000))
    error = refusal(site.url("/watch"), tmp_path, max_bytes=250_000)
    assert (error.reason, error.value) == ("too_large", 2_000_000)


def test_pictures_and_sound_that_come_apart_are_one_item():
    check = limit_bytes(100)
    for size in (20, 60):
        check({"filename": "pictures", "downloaded_bytes": size, "total_bytes": None})
    check({"filename": "sound", "downloaded_bytes": 40})
    with pytest.raises(InputError) as raised:
        check({"filename": "sound", "downloaded_bytes": 41})
    assert (raised.value.reason, raised.value.value, raised.value.limit) == ("too_large", 101, 100)


def test_no_program_is_started_that_connects(tmp_path):
    """ffmpeg may join files; with an address, or as another program, it does not begin."""
    text = """
import subprocess, sys
from scripts.sources.page_guards import guard_programs
guard_programs()
for command in sys.argv[1:]:
    try:
        print(subprocess.run(command.split(), capture_output=True).returncode)
    except PermissionError as error:
        print(error)
"""
    other = tmp_path / "ffmpeg"
    other.symlink_to("/bin/true")
    commands = [f"{program()} -version", f"{program()} -i http://127.0.0.1/a.m3u8 out.mp4", f"{other} -version"]
    done = subprocess.run([sys.executable, "-c", text, *commands], capture_output=True, text=True, cwd=REPO, check=True)
    first, second, third = done.stdout.splitlines()
    assert first == "0"
    assert "connect by itself" in second
    assert "connect by itself" in third


def test_nothing_goes_on_after_an_item_s_time_even_where_nobody_waits(tmp_path, site, segments, monkeypatch):
    """Its ffmpeg sleeps for ever, and whoever asked has set no limit of their own."""
    sleeper, noted = tmp_path / "ffmpeg", tmp_path / "pid"
    sleeper.write_text(f"#!/bin/sh\necho $$ > {noted}\nexec sleep 600\n")
    sleeper.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(sleeper))
    url = give_playlist(site, give_segments(site, segments))
    answer = answer_of(("-m", "scripts.sources.page_medium"), url, tmp_path, item_s=6)
    assert answer["reason"] == "timeout"
    with pytest.raises(ProcessLookupError):
        os.kill(int(noted.read_text()), 0)
