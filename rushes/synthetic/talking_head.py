"""Video files of a drawn speaker whose landmarks are known, and a file that is no video at all."""

from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np

from rushes.synthetic.encode import write_file
from rushes.synthetic.faces import HEIGHT, WIDTH, Sitter, move_face
from rushes.synthetic.flashes import choose_flashes, flash_shown
from rushes.synthetic.sounds import Speech, add_beeps, make_noise, to_s16

NTSC = Fraction(30000, 1001)


def write_talking_head(
    path: Path,
    seconds: float = 12.0,
    seed: int = 3,
    *,
    fps: Fraction = NTSC,
    sound_lead_s: Fraction = Fraction(2, 5),
    rate_hz: int = 44_100,
    faceless_s: tuple[float, float] | None = None,
    b_frames: int = 0,
) -> dict[str, Any]:
    """Write `seconds` of pictures with sound to `path` (.mov: PCM, .mp4: AAC), returns the truth about it.

    The sound starts at 0 on the container's clock, the picture `sound_lead_s` later. No face is seen from
    `faceless_s[0]` to `faceless_s[1]`, in seconds after the first picture. The landmarks of every frame,
    float32 (F, 68, 2) px, NaN where there is no face, are written beside it as `{stem}.landmarks.npy`.
    """
    count = round(seconds * fps)
    exact_s = [sound_lead_s + number / fps for number in range(count)]
    stamps_ns = [round(time_s * 10**9) for time_s in exact_s]
    time_s = np.array([float(time) for time in exact_s])
    lead_s = float(sound_lead_s)
    faceless = _faceless_frames(time_s - lead_s, faceless_s)
    flashes = choose_flashes(lead_s, lead_s + seconds, float(1 / fps), seed, origin_s=lead_s)
    flashes_s = [float(exact_s[number]) for number in flashes]
    flashes_ns = [stamps_ns[number] for number in flashes]
    flash = flash_shown(stamps_ns, flashes_ns)

    samples = round((sound_lead_s + count / fps) * rate_hz)
    speech = Speech.make(samples / rate_hz, flashes_s, seed)
    sound = speech.sound(samples, rate_hz) + make_noise(samples, seed)
    add_beeps(sound, rate_hz, flashes_s)

    landmarks = move_face(time_s, speech.envelope(time_s), np.array(flash, bool), seed)
    landmarks[faceless[0] : faceless[1]] = np.nan
    sitter = Sitter(seed)
    images = (sitter.draw(landmarks[number], number, flash[number]) for number in range(count))
    write_file(
        path,
        images,
        (WIDTH, HEIGHT),
        fps,
        to_s16(sound),
        rate_hz,
        video_start_s=sound_lead_s,
        tick=Fraction(1, lcm(fps.numerator, sound_lead_s.denominator)),
        b_frames=b_frames,
    )
    landmarks_path = path.with_suffix(".landmarks.npy")
    np.save(landmarks_path, landmarks)
    camera = {
        "codec": "h264",
        "width": WIDTH,
        "height": HEIGHT,
        "fps": str(fps),
        "sent": count,
        "numbers": list(range(count)),
        "stamps_ns": stamps_ns,
        "dropped": [],
        "lost": [],
        "tainted": [],
        "faceless_frames": faceless,
        "flash_times_ns": flashes_ns,
    }
    microphone = {
        "codec": "pcm_s16le" if path.suffix.lower() == ".mov" else "aac",
        "channels": 1,
        "gains": [1.0],
        "true_start_ns": 0,
        "true_rate_hz": float(rate_hz),
        "nominal_rate_hz": rate_hz,
        "samples_sent": samples,
        "samples_span": samples,
        "holes": [],
        "beep_times_ns": flashes_ns,
    }
    return {
        "kind": "file",
        "start_ns": 0,
        "landmarks": landmarks_path.name,
        "flash_times_ns": flashes_ns,
        "cameras": {"front": camera},
        "microphones": {"voice": microphone},
    }


def write_garbage(path: Path, size: int = 20_000, seed: int = 9) -> dict[str, Any]:
    """Write `size` random bytes; returns the truth about it: there is nothing in it."""
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return {"kind": "garbage", "flash_times_ns": [], "cameras": {}, "microphones": {}}


def _faceless_frames(time_s: np.ndarray, faceless_s: tuple[float, float] | None) -> list[int]:
    """First frame without a face and the first one after; time_s: float64 (F,) after the first picture."""
    start, stop = faceless_s or (0.0, 0.0)
    return [int(np.searchsorted(time_s, start)), int(np.searchsorted(time_s, stop))]
