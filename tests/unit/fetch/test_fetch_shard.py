"""Items are fetched whole or fail with a reason, whatever the server does; nothing is asked that nobody meant."""

import base64
import json
import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from scripts.common.errors import InputError, RunError
from scripts.common.lots import media_url
from scripts.common.tar_file import read_part
from scripts.common.video_item import ItemReader
from scripts.sources import safe_http
from scripts.sources.fetch_item import Fetcher
from scripts.sources.page_medium import medium_behind, options_of, with_own_cookies
from scripts.sources.safe_http import PrivateHostError, public_address
from scripts.sources.subtitle_file import read_subtitles
from tests.unit.shard_maker import Made, fetch, plan, serve, settings_of, write_table


def fetched(root: Path, *urls: str, **fetch_settings) -> Made:
    table = write_table(root / "table.jsonl", *(json.dumps({"url": url}) for url in urls))
    made = Made(root / "lots", settings_of(table, fetch=fetch_settings))
    planned = plan(made.root, table, made.settings)
    fetch(made, planned["lots"][0])
    return made


def reasons(made: Made) -> list[str]:
    return [item.reason for item in made.items.values()]


def test_an_error_that_nobody_foresaw_is_its_items_alone(tmp_path, site, video, monkeypatch, caplog):
    fetch_item = Fetcher.fetch

    def broken(fetcher: Fetcher, url: str, target: Path) -> object:
        if url.endswith("/a.mp4"):
            raise KeyError("formats\nof a page")
        return fetch_item(fetcher, url, target)

    monkeypatch.setattr(Fetcher, "fetch", broken)
    made = fetched(tmp_path, site.media("/a.mp4", video), site.media("/b.mp4", video))
    first, second = made.items.values()
    assert (first.outcome, first.reason, second.reason) == ("failed", "unexpected", "")
    assert first.message.startswith("KeyError: ")
    assert "\n" not in first.message
    assert "Traceback" in caplog.text


def test_what_a_server_gives_is_in_the_lot_byte_by_byte(tmp_path, site, video):
    made = fetched(tmp_path, site.media("/a.mp4", video), site.media("/b.mp4", video))
    for item in made.items.values():
        assert read_part(made.lot("tar"), item.offset, item.size) == video
        with ItemReader(media_url(item, made.lot("tar"))) as reader:
            assert len(list(reader.pictures())) == 100
    assert reasons(made) == ["", ""]


def test_a_page_that_is_not_there_never_becomes_a_video(tmp_path, site, video):
    site.pages["/html.mp4"] = (200, {"Content-Type": "video/mp4"}, b"<!DOCTYPE html><html>" + b" " * 500)
    site.pages["/type.mp4"] = (200, {"Content-Type": "text/html; charset=utf-8"}, video)
    site.pages["/empty.mp4"] = (200, {"Content-Type": "video/mp4"}, b"")
    site.pages["/short.mp4"] = (200, {"Content-Type": "video/mp4"}, b"hello")
    names = ("/html.mp4", "/type.mp4", "/empty.mp4", "/short.mp4", "/missing.mp4")
    made = fetched(tmp_path, *(site.url(name) for name in names))
    assert reasons(made) == ["no_medium", "content_type", "empty", "no_medium", "status"]
    assert "404" in made.rows("fetch")[4].message
    assert made.lot("tar").stat().st_size == 10240


def test_a_playlist_or_an_archive_is_no_medium(tmp_path, site):
    site.pages["/list.mp4"] = (200, {}, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" + b"#" * 100)
    site.pages["/concat.mp4"] = (200, {}, b"ffconcat version 1.0\nfile /etc/passwd\n" + b"#" * 100)
    site.pages["/bomb.mp4"] = (200, {}, b"PK\x03\x04" + bytes(200))
    site.pages["/packed.mp4"] = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b" + bytes(200))
    made = fetched(tmp_path, *(site.url(f"/{name}.mp4") for name in ("list", "concat", "bomb", "packed")))
    assert reasons(made) == ["no_medium", "no_medium", "no_medium", "content_type"]


def test_a_connection_that_breaks_goes_on_where_it_was(tmp_path, site, video):
    half = len(video) // 2
    tries = []

    def broken(request):
        start = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        tries.append(start)
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(video) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(video) - 1}/{len(video)}")
        request.end_headers()
        request.wfile.write(video[start:] if start else video[:half])
        request.close_connection = True

    site.pages["/broken.mp4"] = broken
    made = fetched(tmp_path, site.url("/broken.mp4"))
    item = next(iter(made.items.values()))
    assert (item.reason, item.size) == ("", len(video))
    assert tries == [0, half]
    assert read_part(made.lot("tar"), item.offset, item.size) == video


def test_a_file_that_changed_between_two_attempts_is_fetched_whole(tmp_path, site, video):
    """By its tag, which a server may look at, or only say."""
    other = bytes(video[:100]) + bytes(reversed(video[100:]))

    def changing(heeds):
        asked = []

        def answer(request):
            asked.append(request.headers.get("If-Range"))
            start = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            start = 0 if heeds and asked[-1] != '"two"' else start
            request.send_response(206 if start else 200)
            request.send_header("ETag", '"one"' if len(asked) == 1 else '"two"')
            request.send_header("Content-Length", str(len(video) - start))
            if start:
                request.send_header("Content-Range", f"bytes {start}-{len(video) - 1}/{len(video)}")
            request.end_headers()
            request.wfile.write(video[: len(video) // 2] if len(asked) == 1 else other[start:])
            request.close_connection = True

        return answer

    site.pages["/heeds.mp4"], site.pages["/says.mp4"] = changing(True), changing(False)
    made = fetched(tmp_path, site.url("/heeds.mp4"), site.url("/says.mp4"))
    assert reasons(made) == ["", ""]
    for item in made.items.values():
        assert read_part(made.lot("tar"), item.offset, item.size) == other


def test_a_server_that_gives_no_parts_is_asked_for_the_whole(tmp_path, site, video):
    ranges = []

    def whole_alone(request):
        ranges.append(request.headers.get("Range"))
        if ranges[-1]:
            request.send_response(416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(video)))
        request.end_headers()
        request.wfile.write(video[: len(video) // 2] if len(ranges) == 1 else video)
        request.close_connection = True

    site.pages["/a.mp4"] = whole_alone
    made = fetched(tmp_path, site.url("/a.mp4"))
    assert reasons(made) == [""]
    assert ranges == [None, f"bytes={len(video) // 2}-", None]


def test_a_name_and_a_word_in_the_url_are_given_to_its_host_alone(tmp_path, site, video):
    seen = {}

    def guarded(request):
        seen[request.path] = request.headers.get("Authorization")
        moved = {"/old.mp4": "/new.mp4", "/away.mp4": f"http://localhost:{site.port}/there.mp4"}.get(request.path)
        request.send_response(302 if moved else 200)
        if moved:
            request.send_header("Location", moved)
        request.send_header("Content-Length", str(0 if moved else len(video)))
        request.end_headers()
        request.wfile.write(b"" if moved else video)

    site.pages |= dict.fromkeys(("/old.mp4", "/new.mp4", "/away.mp4", "/there.mp4"), guarded)
    urls = [site.url(path).replace("://", "://me:my%20word@") for path in ("/old.mp4", "/away.mp4")]
    assert reasons(fetched(tmp_path, *urls)) == ["", ""]
    permit = "Basic " + base64.b64encode(b"me:my word").decode()
    assert seen == {"/old.mp4": permit, "/new.mp4": permit, "/away.mp4": permit, "/there.mp4": None}


def test_blanks_around_a_url_are_no_part_of_it(tmp_path, site, video):
    assert reasons(fetched(tmp_path, f"  {site.media('/a.mp4', video)}\t")) == [""]


def test_a_trickle_and_a_redirect_without_end_take_no_longer_than_an_item_may(tmp_path, site, video):
    def trickle(request):
        request.send_response(302 if request.path == "/moved.mp4" else 200)
        request.send_header("Location", "/moved.mp4")
        request.send_header("Content-Length", str(10**6))
        request.end_headers()
        until = time.monotonic() + 8
        while time.monotonic() < until:
            request.wfile.write(b"a")
            time.sleep(0.05)

    site.pages["/moved.mp4"] = site.pages["/slow.mp4"] = trickle
    before = time.monotonic()
    made = fetched(tmp_path, site.url("/slow.mp4"), site.url("/moved.mp4"), item_s=1)
    assert reasons(made) == ["timeout", "redirect"]
    assert time.monotonic() - before < 6


def test_the_time_of_an_item_is_its_own_and_not_that_of_those_before_it_at_its_host(tmp_path, site, video):
    at_once, most = [], []

    def takes_its_time(request):
        at_once.append(request.path)
        most.append(len(at_once))
        time.sleep(0.5)
        at_once.remove(request.path)
        request.send_response(200)
        request.send_header("Content-Length", str(len(video)))
        request.end_headers()
        request.wfile.write(video)

    paths = [f"/{number}.mp4" for number in range(8)]
    site.pages |= dict.fromkeys(paths, takes_its_time)
    made = fetched(tmp_path, *map(site.url, paths), per_host=2, item_s=1.25)
    assert reasons(made) == [""] * 8
    assert max(most) == 2


def test_items_that_redirect_to_each_others_hosts_do_not_wait_for_ever(tmp_path, site, video):
    with serve() as other:
        for here, there in ((site, other), (other, site)):
            there.media("/there.mp4", video)
            here.pages["/away.mp4"] = (302, {"Location": there.url("/there.mp4")}, b"")
        made = fetched(tmp_path, *[site.url("/away.mp4"), other.url("/away.mp4")] * 4, per_host=1)
    assert reasons(made) == [""] * 8


def test_a_fault_that_passes_is_tried_again_and_one_that_stays_is_said(tmp_path, site, video):
    answers = [503, 429, 200]

    def flaky(request):
        status = answers.pop(0)
        request.send_response(status)
        request.send_header("Content-Length", str(len(video) if status == 200 else 0))
        request.end_headers()
        request.wfile.write(video if status == 200 else b"")

    site.pages["/flaky.mp4"] = flaky
    site.pages["/down.mp4"] = (503, {}, b"")
    made = fetched(tmp_path, site.url("/flaky.mp4"), site.url("/down.mp4"), "http://127.0.0.1:9/refused.mp4")
    assert reasons(made) == ["", "status", "no_connection"]
    assert "3 attempts" in made.items["000000001"].message


def test_an_endless_stream_and_a_claim_of_ten_gigabytes_are_refused(tmp_path, site, video):
    def endless(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(video)
        while True:
            request.wfile.write(bytes(65536))

    def claims(request):
        request.send_response(200)
        request.send_header("Content-Length", str(10 * 10**9))
        request.end_headers()
        request.wfile.write(video)

    site.pages["/endless.mp4"], site.pages["/claims.mp4"] = endless, claims
    made = fetched(tmp_path, site.url("/endless.mp4"), site.url("/claims.mp4"), max_bytes=2_000_000)
    assert reasons(made) == ["too_large", "too_large"]
    assert sum(file.stat().st_size for file in made.root.rglob("*") if file.is_file()) < 100_000


def test_a_server_that_falls_silent_ends_in_time(tmp_path, site, video):
    def silent(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(video)))
        request.end_headers()
        request.wfile.write(video[:1000])
        request.wfile.flush()
        request.connection.recv(1)

    site.pages["/silent.mp4"] = silent
    made = fetched(tmp_path, site.url("/silent.mp4"), silence_s=0.2, attempts=2)
    assert reasons(made) == ["timeout"]


def test_redirects_are_followed_but_not_for_ever_and_not_to_files(tmp_path, site, video):
    site.media("/there.mp4", video)
    site.pages["/here.mp4"] = (302, {"Location": "/there.mp4"}, b"")
    site.pages["/loop.mp4"] = (302, {"Location": "/loop.mp4"}, b"")
    site.pages["/file.mp4"] = (302, {"Location": "file:///etc/passwd"}, b"")
    made = fetched(tmp_path, *(site.url(f"/{name}.mp4") for name in ("here", "loop", "file")))
    assert reasons(made) == ["", "redirect", "redirect"]


@pytest.mark.parametrize("written", ["utf-8", "latin-1"])
def test_a_redirect_to_letters_beyond_ascii_leads_to_the_bytes_that_the_server_meant(tmp_path, site, video, written):
    def moved(request):
        head = ["HTTP/1.1 302 Found", "Location: /für.mp4", "Content-Length: 0", "Connection: close", "", ""]
        request.wfile.write("\r\n".join(head).encode(written))
        request.close_connection = True

    site.pages["/old.mp4"] = moved
    site.media(f"/{quote('für', encoding=written)}.mp4", video)
    assert reasons(fetched(tmp_path, site.url("/old.mp4"))) == [""]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "192.168.0.1", "::1", "0.0.0.0"]
)
def test_a_private_host_is_none_to_ask(host):
    with pytest.raises(PrivateHostError, match="no public host"):
        public_address(host, 80)


def test_private_hosts_are_refused_before_a_request(tmp_path, site, video):
    made = fetched(tmp_path, site.media("/a.mp4", video), allow_private_hosts=False)
    assert reasons(made) == ["private_host"]
    assert site.asked == []


def test_a_redirect_to_a_private_host_is_refused(tmp_path, site, video, monkeypatch):
    with serve() as inner:
        inner.media("/secret.mp4", video)
        site.pages["/out.mp4"] = (302, {"Location": inner.url("/secret.mp4")}, b"")

        def first_alone(host, port):
            if port != site.port:
                raise PrivateHostError(f"{host} is no public host")
            return host, port

        monkeypatch.setattr(safe_http, "public_address", first_alone)
        made = fetched(tmp_path, site.url("/out.mp4"), allow_private_hosts=False)
        assert reasons(made) == ["private_host"]
        assert inner.asked == []


def test_files_are_read_beneath_the_allowed_roots_alone(tmp_path, video):
    inside, outside = tmp_path / "in" / "a b.mp4", tmp_path / "out" / "b.mp4"
    for path in (inside, outside):
        path.parent.mkdir()
        path.write_bytes(video)
    (tmp_path / "in" / "link.mp4").symlink_to(outside)
    urls = [str(inside), inside.as_uri(), str(outside), outside.as_uri(), str(tmp_path / "in" / ".." / "out" / "b.mp4")]
    urls += [str(tmp_path / "in" / "link.mp4"), "file:///etc/passwd", str(tmp_path / "in" / "gone.mp4"), "/dev/zero"]
    made = fetched(tmp_path, *urls, allowed_roots=[str(tmp_path / "in")])
    assert reasons(made) == ["", "", *["outside_roots"] * 5, "not_found", "outside_roots"]
    assert made.lot("tar").stat().st_size == 10240, "a local file stays where it is"


def test_relative_paths_begin_in_the_folder_that_is_named_or_where_the_run_stands(tmp_path, video, monkeypatch):
    for folder in ("here", "there"):
        (tmp_path / folder / "videos").mkdir(parents=True)
        (tmp_path / folder / "videos" / f"{folder}.mp4").write_bytes(video)
    monkeypatch.chdir(tmp_path / "here")
    urls, roots = (
        ["videos/here.mp4", "videos/there.mp4", "../secret.mp4"],
        [str(tmp_path / "here"), str(tmp_path / "there")],
    )
    named = fetched(tmp_path / "a", *urls, allowed_roots=roots, folder=str(tmp_path / "there"))
    assert reasons(named) == ["not_found", "", "outside_roots"]
    default = fetched(tmp_path / "b", *urls, allowed_roots=roots)
    assert reasons(default) == ["", "not_found", "outside_roots"]
    with ItemReader(media_url(named.items["000000001"], named.lot("tar"))) as reader:
        assert len(list(reader.pictures())) == 100


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/a.mp4",
        "gopher://x",
        "simplecache::file:///etc/passwd",
        "local:///etc/passwd",
        "zip://a::file:///etc/passwd",
        "http://[bad/a.mp4",
        "http://a:99999/a.mp4",
        "http:///a.mp4",
        "http://\x00",
        "\n",
        "javascript:alert(1)",
    ],
)
def test_an_odd_url_is_one_failed_row(tmp_path, url):
    made = fetched(tmp_path, url)
    assert made.items["000000000"].reason != ""


def test_hostile_names_become_no_paths(tmp_path, site, video):
    names = ["/../../etc/x.mp4", "/Grüße/日本.mp4", "/a b?q=1&r=../..", "/new%0Aline.mp4", "/'quote\".mp4"]
    made = fetched(tmp_path, *(site.url(name) for name in names), site.media("/ok.mp4", video))
    assert list(made.items) == [f"00000{number:04d}" for number in range(6)]
    assert made.items["000000005"].reason == ""
    assert {file.name for file in tmp_path.iterdir()} == {"table.jsonl", "lots"}


def test_the_order_of_arrival_changes_no_byte(tmp_path, site, video):
    import time

    def slow(request):
        time.sleep(0.2)
        request.send_response(200)
        request.send_header("Content-Length", str(len(video)))
        request.end_headers()
        request.wfile.write(video)

    site.pages["/slow.mp4"] = slow
    urls = [site.url("/slow.mp4"), site.media("/quick.mp4", video)]
    first = fetched(tmp_path / "one", *urls)
    site.media("/slow.mp4", video)
    second = fetched(tmp_path / "two", *urls, connections=1)
    for what in ("tar", "items.parquet", "fetch.ledger.parquet"):
        assert first.lot(what).read_bytes() == second.lot(what).read_bytes(), what


def test_a_full_disk_is_the_machines_fault(tmp_path, site, video, monkeypatch):
    from scripts.sources.fetch_item import Fetcher

    def full(self, *arguments):
        raise OSError(28, os.strerror(28), "x")

    monkeypatch.setattr(Fetcher, "fetch", full)
    with pytest.raises(OSError, match="No space left"):
        fetched(tmp_path, site.media("/a.mp4", video))


PAGE = b"""<html><head><title>A day at sea</title><meta name="description" content="Waves."></head>
<body><video src="/behind.mp4"><track kind="subtitles" srclang="en" src="/en.vtt"></video></body></html>"""
VTT = b"WEBVTT\n\n00:00.500 --> 00:01.500\n<c>Hello</c> &amp; welcome\n\n00:02.000 --> 00:03.250\nto the sea\n"


def test_a_medium_behind_a_page_comes_with_its_subtitles_and_metadata(tmp_path, site, video):
    site.media("/behind.mp4", video)
    site.pages["/watch"] = (200, {"Content-Type": "text/html"}, PAGE)
    site.pages["/en.vtt"] = (200, {"Content-Type": "text/vtt"}, VTT)
    made = fetched(tmp_path, site.url("/watch"), sites={"extract": True, "subtitles": ["de", "en"]}, item_s=60)
    item = made.items["000000000"]
    assert (item.outcome, item.reason) == ("written", ""), item.message
    assert read_part(made.lot("tar"), item.offset, item.size) == video
    assert item.subtitles == [[0.5, 1.5, "Hello & welcome"], [2.0, 3.25, "to the sea"]]
    assert item.extra["page_title"].startswith("A day at sea")


def test_a_page_is_only_looked_behind_on_request_and_asks_no_private_host(tmp_path, site, video, monkeypatch):
    site.media("/behind.mp4", video)
    site.pages["/watch"] = (200, {"Content-Type": "text/html"}, PAGE)
    assert reasons(fetched(tmp_path / "off", site.url("/watch"))) == ["content_type"]
    settings = settings_of(tmp_path / "off" / "table.jsonl", fetch={"sites": {"extract": True}, "item_s": 60})["fetch"]
    asked = len(site.asked)
    with pytest.raises(InputError, match="no public host"):
        medium_behind(site.url("/watch"), tmp_path / "target", settings | {"allow_private_hosts": False})
    assert len(site.asked) == asked
    assert not list(tmp_path.glob("target*"))


def test_a_page_without_a_medium_is_one_failed_row(tmp_path, site):
    site.pages["/empty"] = (200, {"Content-Type": "text/html"}, b"<html><body>nothing</body></html>")
    made = fetched(tmp_path, site.url("/empty"), sites={"extract": True}, item_s=60)
    assert reasons(made) == ["page"]


def test_the_best_height_up_to_the_limit_and_the_cookies_are_asked_for(tmp_path):
    settings = settings_of(
        write_table(tmp_path / "t.txt", "x"), fetch={"sites": {"cookies": "c.txt", "rate_hz": 16000}}
    )
    options = options_of(tmp_path, settings["fetch"])
    assert options["format_sort"] == ["res:360", "asr:16000"]
    assert (options["cookiefile"], options["hls_prefer_native"]) == ("c.txt", True)


def test_the_users_cookies_are_copied_and_never_written(tmp_path):
    cookies = tmp_path / "mine.txt"
    cookies.write_text("mine")
    settings = settings_of(write_table(tmp_path / "t.txt", "x"), fetch={"sites": {"cookies": str(cookies)}})["fetch"]
    own = Path(with_own_cookies(settings, tmp_path / "page")["sites"]["cookies"])
    assert (own.read_text(), own.parent) == ("mine", tmp_path / "page")
    cookies.unlink()
    with pytest.raises(RunError, match=r"fetch.sites.cookies: .*mine.txt: No such file"):
        with_own_cookies(settings, tmp_path / "page")


def test_rolling_captions_are_said_once():
    text = "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n2\n00:00:02,000 --> 00:00:03,500\nhello\n\n3\nno time\n"
    assert read_subtitles(text) == [[1.0, 3.5, "hello"]]
    assert read_subtitles("") == []
