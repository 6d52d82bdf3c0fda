"""python -m rushes.engine --checkpoint FILE: landmarks of sounds over HTTP, from the repository's root."""

import argparse
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from rushes.engine.app import make_app
from scripts.common import atomic
from scripts.common.errors import InputError, RunError
from scripts.models.speech_inference import Speaker
from scripts.models.spoken_stretches import LOUDNESS, SILERO


def number_in(low: float, high: float, kind: Callable[[str], float] = int) -> Callable[[str], float]:
    """A reader of numbers from `low` to `high` for argparse."""

    def number(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser("python -m rushes.engine", description="Landmarks of sounds over HTTP.")
    made.add_argument("--checkpoint", type=Path, required=True, help="a file of models/NAME/checkpoints/")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: this machine)")
    made.add_argument(
        "--port", type=number_in(0, 65_535), default=8080, help="port (default %(default)s; 0: a free one)"
    )
    made.add_argument(
        "--hop", type=number_in(1, 2**31), default=16, help="frames from window to window (default %(default)s)"
    )
    made.add_argument(
        "--speech", default=LOUDNESS, choices=[LOUDNESS, SILERO], help="how it is found (default %(default)s)"
    )
    made.add_argument("--face", type=Path, help="a .npy of the face to begin with (default: the training's mean face)")
    made.add_argument(
        "--max-mb", type=number_in(0.001, 2**20, float), default=64, help="largest request (default %(default)s)"
    )
    made.add_argument(
        "--max-s",
        type=number_in(1e-6, 1e12, float),
        default=600,
        help="longest sound in seconds (default %(default)s)",
    )
    made.add_argument("--threads", type=number_in(1, 1024), default=1, help="of the network (default %(default)s)")
    made.add_argument("--accelerator", default="cpu", choices=["cpu", "cuda", "cuda-legacy"])
    made.add_argument("--url-file", type=Path, help="where its URL is written once it answers")
    return made


def main(arguments: list[str] | None = None) -> None:
    """Answer until it is told to end."""
    chosen = parser().parse_args(arguments)
    try:
        speaker = Speaker(
            chosen.checkpoint,
            hop=chosen.hop,
            speech=chosen.speech,
            accelerator=chosen.accelerator,
            threads=chosen.threads,
            face=chosen.face,
        )
        listening = socket.create_server((chosen.host, chosen.port))
    except (InputError, RunError, OSError, UnicodeError) as error:
        sys.exit(f"rushes.engine: {error}")
    app = make_app(speaker, max_bytes=int(chosen.max_mb * 2**20), max_s=chosen.max_s)
    host, port = listening.getsockname()[:2]
    url = f"http://{host}:{port}"
    print(f"rushes.engine answers on {url}", flush=True)
    # Requests that come from now on wait in the socket's queue.
    try:
        if chosen.url_file:
            atomic.write_text(chosen.url_file, f"{url}\n")
    except OSError as error:
        sys.exit(f"rushes.engine: {error}")
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
