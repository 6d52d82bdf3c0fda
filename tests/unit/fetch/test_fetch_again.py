"""A lot that is fetched once more: a killed job goes on, and `--config retry=failed` gives every failure its turn."""

import io
import json
from pathlib import Path

import av
import pytest

from scripts.common.cut_short import breaks_off
from scripts.common.tar_file import read_part
from tests.unit.fetch.test_fetch_shard import fetched, reasons
from tests.unit.shard_maker import Made, Site, fetch, plan, settings_of, write_table


def test_a_killed_job_asks_for_nothing_twice(tmp_path, site, video):
    urls = [site.media(f"/{number}.mp4", video) for number in range(4)]
    table = write_table(tmp_path / "table.txt", *urls)
    made = Made(tmp_path / "lots", settings_of(table, fetch={"connections": 1}))
    lot = plan(made.root, table, made.settings)["lots"][0]

    from scripts.sources import fetch_shard as module

    real = module.fetch_one
    done = []

    def dies(*arguments):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(*arguments)

    module.fetch_one = dies
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch(made, lot)
    finally:
        module.fetch_one = real
    # A kill in the middle of a line leaves half of it.
    status = made.root / "working" / "fetch0" / "status.jsonl"
    with status.open("a") as file:
        file.write('{"key": "0000')
    asked = len(site.asked)
    fetch(made, lot)
    assert [path for path, _ in site.asked[asked:]] == ["/2.mp4", "/3.mp4"]
    assert reasons(made) == [""] * 4
    assert not (made.root / "working" / "fetch0").exists()


def fetch_again(made: Made, site: Site) -> list[str]:
    """Fetch the first lot again as Snakemake does, which removes its outputs first. Returns what was asked for."""
    lot = json.loads((made.root / "plan.json").read_text())["lots"][0]
    for what in ("tar", "items.parquet", "fetch.ledger.parquet"):
        made.lot(what).unlink()
    asked = len(site.asked)
    fetch(made, lot)
    return [path for path, _ in site.asked[asked:]]


def test_failed_items_alone_are_fetched_again_up_to_the_limit(tmp_path, site, video):
    urls = [site.media("/good.mp4", video), *(site.url(f"/late{number}.mp4") for number in range(3))]
    made = fetched(tmp_path, *urls, retry_items=2)
    assert reasons(made) == ["", "status", "status", "status"]
    for number in range(3):
        site.media(f"/late{number}.mp4", video)
    assert sorted(fetch_again(made, site)) == ["/late0.mp4", "/late1.mp4"]
    assert reasons(made) == ["", "", "", "status"]
    item = made.items["000000000"]
    assert read_part(made.lot("tar"), item.offset, item.size) == video


def test_those_that_stay_dead_leave_their_turn_to_the_others(tmp_path, site, video):
    names = [f"/{number}.mp4" for number in range(5)]
    made = fetched(tmp_path, *map(site.url, names), retry_items=2)
    assert [sorted(fetch_again(made, site)) for _ in range(2)] == [names[:2], names[2:4]]
    site.media("/4.mp4", video)
    assert sorted(fetch_again(made, site)) == ["/0.mp4", "/4.mp4"]
    assert reasons(made) == ["status"] * 4 + [""]


def packed_as(ending: str, folder: Path, video: bytes, **options: str) -> bytes:
    """The same pictures in another container."""
    path = folder / f"other.{ending}"
    with av.open(io.BytesIO(video)) as source, av.open(str(path), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("ending", "options"),
    [("mp4", {}), ("mp4", {"movflags": "faststart"}), ("mp4", {"movflags": "frag_keyframe+empty_moov"}), ("mkv", {})],
)
def test_an_answer_that_says_no_length_and_breaks_off_is_asked_for_again(tmp_path, site, video, ending, options):
    """Also one with its index at the front, whose beginning would be taken for the whole."""
    whole = packed_as(ending, tmp_path, video, **options)
    sent = {"/mended": [whole[: len(whole) // 2], whole], "/dead": [whole[: len(whole) // 2]] * 3, "/whole": [whole]}

    def without_a_length(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + sent[request.path].pop(0))
        request.close_connection = True

    site.pages |= dict.fromkeys(sent, without_a_length)
    made = fetched(tmp_path, *map(site.url, sent))
    assert reasons(made) == ["", "broken_off", ""]
    for key in ("000000000", "000000002"):
        assert read_part(made.lot("tar"), made.items[key].offset, made.items[key].size) == whole
    sent["/dead"] = [whole]
    assert fetch_again(made, site) == ["/dead"]
    assert reasons(made) == ["", "", ""]


def test_bytes_behind_the_last_box_are_no_loss(tmp_path, video):
    path = tmp_path / "a.mp4"
    for rest in (b"", bytes(8), b"\xff" * 100, b"made by hand"):
        path.write_bytes(video + rest)
        assert not breaks_off(path), rest
    path.write_bytes(video[:-1])
    assert breaks_off(path)
