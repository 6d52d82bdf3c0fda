"""The engine's two addresses: POST /infer takes the bytes of a sound, GET /health says what answers."""

import threading
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from scripts.common.errors import InputError
from scripts.models.sounds import read_sound
from scripts.models.speech_inference import Speaker
from scripts.models.spoken_files import as_json

TOO_LARGE, UNPROCESSABLE, EMPTY, CONFLICT = 413, 422, 400, 409
# What the engine says of its checkpoint.
SAID = ("model", "kind", "card_sha256", "mean", "std", "rate_hz", "fps", "layout")
STATUS = {"too_long": TOO_LARGE, "checkpoint_differs": CONFLICT}


def make_app(speaker: Speaker, *, max_bytes: int, max_s: float) -> FastAPI:
    """The application. max_bytes: of a request; max_s: of a sound."""
    app = FastAPI(title="rushes.engine", docs_url=None, redoc_url=None, openapi_url=None)
    # Sounds go through the network one after the other; requests wait.
    one = threading.Lock()

    def answer(content: bytes, card_sha256: str) -> dict[str, Any]:
        if card_sha256:
            speaker.identity.refuse_others({"card_sha256": card_sha256}, "the engine's checkpoint")
        signal, rate_hz = read_sound(content, "the sound", max_s=max_s)
        with one:
            return as_json(speaker.speak(signal, rate_hz))

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Which model answers, and what it was trained on."""
        identity = speaker.identity
        facts = {name: getattr(identity, name) for name in SAID}
        return {"status": "ok", **facts, "max_bytes": max_bytes, "max_s": max_s}

    @app.post("/infer")
    async def infer(request: Request, card_sha256: str = "") -> JSONResponse:
        """The landmarks of the sound in the request's body; card_sha256: the dataset that they must be of."""
        content = bytearray()
        try:
            async for block in request.stream():
                content += block
                if len(content) > max_bytes:
                    return _refusal(TOO_LARGE, "too_large", f"a request holds at most {max_bytes} bytes")
        except ClientDisconnect:
            # Nobody is there to be answered.
            return _refusal(EMPTY, "cut_off", "the request ended in the middle of its body")
        if not content:
            return _refusal(EMPTY, "empty", "the body of the request is to be a sound, as WAV or FLAC")
        try:
            return JSONResponse(await run_in_threadpool(answer, bytes(content), card_sha256))
        except InputError as error:
            return _refusal(STATUS.get(error.reason, UNPROCESSABLE), error.reason, error.message)

    return app


def _refusal(status: int, reason: str, message: str) -> JSONResponse:
    return JSONResponse({"reason": reason, "message": message}, status)
