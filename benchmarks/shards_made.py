"""What the benchmark of shards is measured on: videos of scenes, a small file many times, and a server of them."""

import functools
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
SCENES = ("testsrc2", "smptebars", "mandelbrot", "rgbtestsrc")
SCENE_S = 2.5


def make_videos(folder: Path, count: int) -> None:
    """Videos of four scenes, each in its own colours, with as much noise as a camera has."""
    folder.mkdir()

    def make(number: int) -> None:
        inputs = []
        for scene in SCENES:
            inputs += ["-f", "lavfi", "-t", str(SCENE_S), "-i", f"{scene}=size=640x360:rate=30"]
        order = [(number + k) % len(SCENES) for k in range(len(SCENES))]
        chain = "".join(f"[{k}:v]setsar=1,format=yuv420p[s{k}];" for k in order) + "".join(f"[s{k}]" for k in order)
        chain += f"concat=n={len(SCENES)}:v=1,hue=h={18 * number},noise=alls=4:allf=t:all_seed={number + 1}[v]"
        sound = ["-f", "lavfi", "-t", "10", "-i", f"sine=frequency={300 + 10 * number}:sample_rate=44100"]
        command = [FFMPEG, "-v", "error", *inputs, *sound, "-filter_complex", chain, "-map", "[v]", "-map", "4:a"]
        command += ["-c:v", "libx264", "-preset", "fast", "-crf", "20", "-c:a", "aac", "-shortest"]
        subprocess.run([*command, str(folder / f"{number:04d}.mp4")], check=True, stdin=subprocess.DEVNULL)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, range(count)))


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """A server of the files of a folder; yields its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def write_urls(path: Path, address: str, names: list[str]) -> None:
    """A table of the files' addresses."""
    path.write_text("".join(f"{address}/{name}\n" for name in names), encoding="utf-8")


def make_small_files(root: Path, count: int) -> Path:
    """A folder of `count` files of a second each, all the same."""
    files = root / "small"
    make_videos(root / "one", 1)
    files.mkdir()
    small = root / "small.mp4"
    command = [FFMPEG, "-v", "error", "-i", str(root / "one" / "0000.mp4"), "-t", "1", "-vf", "scale=64:36"]
    subprocess.run([*command, "-b:v", "20k", "-an", str(small)], check=True, stdin=subprocess.DEVNULL)
    for number in range(count):
        os.link(small, files / f"{number:05d}.mp4")
    return files
