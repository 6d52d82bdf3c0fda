"""Where somebody speaks in the items of a lot, in seconds on each item's clock."""

from pathlib import Path

from scripts.common import lots
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.lot_work import work_on
from scripts.common.versions import LOT_METHODS
from scripts.common.video_item import origin_of
from scripts.common.working import Working
from scripts.faces.item_speech import speech_of


def detect_lot_speech(
    media: Path,
    contents: Path,
    frames: Path,
    out_speech: Path,
    *,
    rule: dict[str, float],
    working: str,
    threads: int,
) -> None:
    """The stretches of speech of every item that was fetched: none for one without a sound, a reason where it fails.

    rule: threshold, min_speech_s, min_silence_s, pad_s; see `speech_segments`.
    """
    tables = lots.read_frames(frames)
    listed = [item for item in lots.read_items(contents) if item.is_there]
    place = Working(Path(working), Working.mark(LOT_METHODS["detect_lot_speech"], rule, contents))
    tasks = {
        item.key: {
            "url": lots.media_url(item, media),
            "sound_url": f"file:{item.sound}" if item.sound else "",
            "origin": str(origin_of(tables[item.key][0] if item.key in tables else FrameTable.empty())),
            "rule": rule,
        }
        for item in listed
    }
    ended = work_on(speech_of, tasks, place, threads, "items heard")
    heard = {key: lots.Speech(end.get("speech", []), end["reason"], end["message"]) for key, end in ended.items()}
    lots.write_speech(out_speech, heard)
    place.remove()


if __name__ == "__main__":
    run(detect_lot_speech)
