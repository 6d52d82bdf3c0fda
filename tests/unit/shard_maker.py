"""What tests of shards are made of: a server on loopback that behaves badly on request, videos, and lots."""

import importlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common import annotation_table, clips, ledger, lots
from scripts.datasets.cut_shard import cut_shard
from scripts.datasets.index_shards import index_shards
from scripts.datasets.scan_shard import scan_shard
from scripts.datasets.write_shard import write_shard
from scripts.faces.detect_lot_speech import detect_lot_speech
from scripts.planning.annotations_plan import make_annotations
from scripts.planning.config import checked, schema
from scripts.planning.shards_plan import make_shards
from scripts.sources.fetch_shard import fetch_shard
from scripts.sources.plan_shards import plan_shards

RATE_HZ = 16_000


def scene_video(
    path: Path,
    scenes: Sequence[tuple[tuple[int, int, int], int]],
    *,
    size: tuple[int, int] = (160, 120),
    fps: int = 25,
    sound: bool = True,
    seed: int = 0,
    gop: int = 12,
    pixel: Fraction | None = None,
) -> Path:
    """h264 of `scenes` (colour, frames), each with its own noise and a moving square; the sound is a ramp of clicks.

    Frame k holds a click at its beginning, whose height says k.  pixel: width of a pixel over its height.
    """
    random = np.random.default_rng(seed)
    total = sum(frames for _, frames in scenes)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "18", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.gop_size = gop
        if pixel:
            video.codec_context.sample_aspect_ratio = pixel
        audio = container.add_stream("aac", rate=RATE_HZ, layout="mono") if sound else None
        number = 0
        for colour, frames in scenes:
            noise = random.integers(-20, 20, (size[1], size[0], 3))
            for _ in range(frames):
                image = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                left = number * 3 % max(1, size[0] - 20)
                image[size[1] // 3 : size[1] // 3 + 16, left : left + 16] = 255 - np.array(colour)
                picture = av.VideoFrame.from_ndarray(image, format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, fps)
                container.mux(video.encode(picture))
                number += 1
        container.mux(video.encode(None))
        if audio is not None:
            samples = tone(total * RATE_HZ // fps)
            for start in range(0, len(samples), 1024):
                block = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


def square_in(image: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int]:
    """Width and height of the square in a picture of `scene_video`, uint8 (height, width, 3), of a scene's colour."""
    away = [np.abs(image.astype(int) - np.array(of)).sum(axis=2) for of in (colour, 255 - np.array(colour))]
    square = away[1] < away[0]
    return int(np.count_nonzero(square.any(axis=0))), int(np.count_nonzero(square.any(axis=1)))


def tone(count: int) -> np.ndarray:
    """A sound whose pitch rises with time, float32 (count,): where a part of it comes from can be told."""
    t = np.arange(count) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * (200 * t + 100 * t * t))).astype(np.float32)


RED, GREEN, BLUE, GREY = (200, 40, 40), (40, 180, 40), (40, 40, 200), (70, 70, 70)
FOUR = [(RED, 25), (GREEN, 25), (BLUE, 25), (GREY, 25)]


@dataclass
class Site:
    """Pages by path: (status, headers, body), or a function of the request handler. asked: every path, in order."""

    pages: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"

    def url(self, path: str) -> str:
        """Where a page is."""
        return f"http://{self.host}:{self.port}{path}"

    def media(self, path: str, body: bytes, kind: str = "video/mp4") -> str:
        """A page that is a whole file; it can be asked for from a byte on. Returns its URL."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            start = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            request.send_response(206 if start else 200)
            request.send_header("Content-Type", kind)
            request.send_header("Content-Length", str(len(body) - start))
            if start:
                request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            request.end_headers()
            request.wfile.write(body[start:])

        self.pages[path] = answer
        return self.url(path)


@contextmanager
def serve(host: str = "127.0.0.1") -> Iterator[Site]:
    """A site on loopback, until the block ends."""
    site = Site(host=host)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("Range") or ""))
            page = site.pages.get(self.path, (404, {"Content-Type": "text/html"}, b"<html>not here</html>"))
            try:
                if callable(page):
                    page(self)
                    return
                status, headers, body = page
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def settings_of(table: Path, **changes: Any) -> dict[str, Any]:
    """The checked settings of a dataset of shards; loopback may be asked, and nothing waits long."""
    fetch = {"allow_private_hosts": True, "backoff_s": 0.01, "silence_s": 2, "item_s": 5, **changes.pop("fetch", {})}
    entry = checked(
        {"kind": "shards", "table": str(table), "fetch": fetch, **changes}, schema("datasets.shards"), "datasets.web"
    )
    return make_shards("web", entry).entry


@dataclass
class Made:
    """The files of a dataset that was made without Snakemake."""

    root: Path
    settings: dict[str, Any]

    def lot(self, what: str, number: int = 0) -> Path:
        """A file of a lot."""
        return self.root / f"lot{number:05d}.{what}"

    @property
    def items(self) -> dict[str, lots.Item]:
        """Fetched items of the first lot by key."""
        return {item.key: item for item in lots.read_items(self.lot("items.parquet"))}

    @property
    def clips(self) -> dict[str, clips.ClipRow]:
        """Clips of the first lot by key."""
        return {row.key: row for row in clips.read(self.lot("clips.parquet"))}

    def rows(self, step: str, number: int = 0) -> list[ledger.Row]:
        """The ledger of a step: fetch, scan or cut."""
        return ledger.rows(ledger.read([self.lot(f"{step}.ledger.parquet", number)]))

    def outcomes(self, step: str) -> dict[str, str]:
        """Reason of each item of a step, "" for those that are written."""
        return {row.item: row.reason for row in self.rows(step)}

    def unpack(self, key: str, ending: str = "mp4") -> Path:
        """A part of a clip as a file."""
        part = next(part for part in self.clips[key].parts if part["ending"] == ending)
        source = Path(part["path"]) if part["path"] else self.lot("tar" if part["from_item"] else "clips.tar")
        path = self.root / f"unpacked {key}.{ending}"
        with source.open("rb") as file:
            file.seek(part["offset"])
            path.write_bytes(file.read(part["size"]))
        return path


def plan(root: Path, table: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Plan a table in `root`, and read the plan."""
    root.mkdir(parents=True, exist_ok=True)
    limits = {"rows": settings["shard_rows"], "seconds": settings["shard_seconds"], "bytes": settings["shard_bytes"]}
    plan_shards(
        [table],
        root / "rows.parquet",
        root / "plan.json",
        names=[str(table)],
        columns=settings["columns"],
        limits=limits,
        lot_shards=settings["lot_shards"],
        digits=[settings["shard_digits"], settings["key_digits"]],
        kept=str(root / "kept" / "plan.json"),
    )
    content: dict[str, Any] = json.loads((root / "plan.json").read_text())
    return content


def fetch(made: Made, lot: dict[str, Any], number: int = 0) -> None:
    """Fetch a lot."""
    fetch_shard(
        made.root / "rows.parquet",
        *(made.lot(what, number) for what in ("tar", "items.parquet", "fetch.ledger.parquet")),
        dataset="web",
        row_group=number,
        rows_sha256=lot["sha256"],
        settings=made.settings["fetch"],
        working=str(made.root / "working" / f"fetch{number}"),
    )


def scan(made: Made, number: int = 0, *, look: bool = True, ahead: bool = False) -> None:
    """Scan a lot. ahead: cut its clips by the way."""
    names = ("scans.parquet", "frames.parquet", "clocks.parquet", "scan.ledger.parquet")
    scan_shard(
        *(made.lot(what, number) for what in ("tar", "items.parquet", *names)),
        dataset="web",
        look=look,
        thumbnails=True,
        fps=made.settings["scan"]["fps"],
        working=str(made.root / "working" / f"scan{number}"),
        ahead={"settings": made.settings, "working": str(made.root / "working" / f"cut{number}")} if ahead else {},
        threads=2,
    )


def hear(made: Made, number: int = 0) -> None:
    """Find the speech of a lot."""
    detect_lot_speech(
        *(made.lot(what, number) for what in ("tar", "items.parquet", "frames.parquet", "speech.parquet")),
        rule={"threshold": 0.5, "min_speech_s": 0.25, "min_silence_s": 0.1, "pad_s": 0.03},
        working=str(made.root / "working" / f"speech{number}"),
        threads=2,
    )


def cut(made: Made, number: int = 0, duplicates: Path | None = None) -> None:
    """Cut a lot."""
    cut_shard(
        *(made.lot(what, number) for what in ("tar", "items.parquet", "scans.parquet", "frames.parquet")),
        duplicates,
        made.lot("speech.parquet", number) if made.settings["clips"] == "speech" else None,
        *(made.lot(what, number) for what in ("clips.tar", "clips.parquet", "cut.ledger.parquet")),
        dataset="web",
        settings=made.settings,
        working=str(made.root / "working" / f"cut{number}"),
        threads=2,
    )


def annotate(made: Made, number: int = 0, threads: int = 2) -> None:
    """Make every annotation of a lot."""
    for found in make_annotations("web", made.settings):
        endings = ("tar", "parquet", "ledger.parquet")
        module = importlib.import_module(f"scripts.datasets.{found.rule}")
        getattr(module, found.rule)(
            *(made.lot(what, number) for what in ("tar", "clips.tar", "clips.parquet")),
            *([[Path(file) for file in found.files]] if found.files else []),
            *(made.lot(f"{found.name}.annotation.{ending}", number) for ending in endings),
            dataset="web",
            annotation=found.name,
            settings=found.settings,
            working=str(made.root / "working" / f"{found.name}{number}"),
            threads=threads,
        )
        answered = annotation_table.read(made.lot(f"{found.name}.annotation.parquet", number)).values()
        assert all(set(values) == set(found.columns) for values, _ in answered)


def write(made: Made, lot: dict[str, Any], number: int = 0) -> None:
    """Write the shards of a lot."""
    write_shard(
        *(made.lot(what, number) for what in ("tar", "clips.tar", "clips.parquet")),
        *(
            [made.lot(f"{name}.annotation.{what}", number) for name in made.settings["annotations"]]
            for what in ("tar", "parquet")
        ),
        *(made.lot(what, number) for what in ("shards", "index.parquet", "metadata.parquet")),
        first_shard=lot["first_shard"],
        shards=len(lot["shards"]),
        digits=made.settings["shard_digits"],
        output=made.settings["output"],
        classes=made.settings["classes"],
        annotated=[column for found in make_annotations("web", made.settings) for column in found.columns],
    )


def make(root: Path, table: Path, **changes: Any) -> Made:
    """The whole dataset of a table, into `root`/data and beside it."""
    made = Made(root, settings_of(table, **changes))
    planned = plan(root, table, made.settings)
    count = len(planned["lots"])
    for number, lot in enumerate(planned["lots"]):
        fetch(made, lot, number)
        scan(made, number)
        if made.settings["clips"] == "speech":
            hear(made, number)
        cut(made, number)
        annotate(made, number)
        write(made, lot, number)

    def each(what: str) -> list[Path]:
        return [made.lot(what, number) for number in range(count)]

    steps = [each(f"{step}.ledger.parquet") for step in ("fetch", "scan", "cut")]
    names = ("index.parquet", "metadata.parquet", "ledger.parquet", "card.json")
    index_shards(
        root / "plan.json",
        *steps,
        [path for name in made.settings["annotations"] for path in each(f"{name}.annotation.ledger.parquet")],
        *(each(what) for what in ("index.parquet", "metadata.parquet", "shards")),
        root / "data",
        *(root / name for name in names),
        dataset="web",
        settings=made.settings,
        licence=made.settings["licence"],
        failed_share=made.settings["failed_share"],
    )
    return made


def write_table(path: Path, *rows: str) -> Path:
    """A table of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path
