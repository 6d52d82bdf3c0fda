"""The truth about shards: clips are taken out of the tar, and played by the ffmpeg program."""

import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rushes.synthetic.measured import Results, Row
from rushes.synthetic.player import hear, nearest_offset_ns, watch
from rushes.synthetic.sounds import find_beeps

DATASET = "clips"
# The clips of config/demo_shards.jsonl that are long enough: recording, start and stop in seconds.
CLIPS = {
    "000000000_00000": ("speaker_one", 1.0, 3.0),
    "000000000_00001": ("speaker_one", 4.02, 6.5),
    "000000001_00000": ("speaker_two", 2.5, 5.0),
}
NS = 10**9


def check_shards(found: Results, truth: dict[str, Any]) -> list[Row]:
    """The rows of the shards, from the results and the whole truth."""
    folder = found.root / "datasets" / DATASET / "shards"
    rows = []
    with tarfile.open(folder / "data" / "00000.tar") as tar, tempfile.TemporaryDirectory() as place:
        tar.extractall(place, filter="data")
        names = {name.partition(".")[0] for name in tar.getnames()}
        rows.append(Row(f"datasets.{DATASET}.samples_wrong", len(names ^ set(CLIPS)), "samples", 0))
        for key, (recording, start_s, stop_s) in CLIPS.items():
            rows += check_clip(Path(place) / f"{key}.mp4", key, truth[recording], start_s, stop_s)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    ended = sum(card["rows"].values())
    rows.append(Row(f"datasets.{DATASET}.rows_without_an_end", abs(ended - 2), "rows", 0))
    return rows


def check_clip(video: Path, key: str, known: dict[str, Any], start_s: float, stop_s: float) -> list[Row]:
    """Which frames a clip shows, and how far its sound is from its pictures."""
    facts = known["cameras"]["front"]
    stamps = np.array(facts["stamps_ns"])
    inside = (stamps >= start_s * NS) & (stamps < stop_s * NS)
    wanted = np.array(facts["numbers"])[inside]
    seen = watch(video, facts["width"], facts["height"])
    wrong = len(seen.numbers) != len(wanted) or int((seen.numbers != wanted).sum())
    rows = [Row(f"datasets.{DATASET}.{key}.frames_wrong", wrong, "frames", 0)]
    signal, rate_hz = hear(video)
    beeps = np.rint(find_beeps(signal, rate_hz) * (NS / rate_hz)).astype(np.int64)
    onsets = seen.flash_onsets()
    flashes = seen.pts_ns[onsets[onsets > 0]]
    # A beep may begin before the clip, or its flash after it.
    whole = beeps[(beeps > NS // 10) & (beeps < (stop_s - start_s) * NS - NS // 5)]
    if len(whole):
        worst = float(np.abs(nearest_offset_ns(whole, flashes)).max() / 1e6) if len(flashes) else np.nan
        rows.append(Row(f"datasets.{DATASET}.{key}.flash_to_beep", worst, "ms", 20.0))
    return rows
