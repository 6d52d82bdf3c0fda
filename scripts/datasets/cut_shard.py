"""Clips of a lot's items: chosen by table, cuts or subtitles, filtered with a reason, and cut in one pass an item."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.common import clips as clip_tables
from scripts.common import ledger, lots, table_file
from scripts.common.clips import ClipRow
from scripts.common.job import run
from scripts.common.lot_work import failure, logged, work_on
from scripts.common.lots import Speech
from scripts.common.tar_file import TarWriter
from scripts.common.working import Status, Working
from scripts.datasets.clip_choice import STEP, Chosen, choose, cut_mark, cut_task, lacking, span_of
from scripts.datasets.clip_times import Clip
from scripts.datasets.cut_item import cut_item


def cut_shard(
    media: Path,
    contents: Path,
    scans: Path,
    frames: Path,
    duplicates: Path | None,
    speech: Path | None,
    out_media: Path,
    out_clips: Path,
    out_ledger: Path,
    *,
    dataset: str,
    settings: dict[str, Any],
    working: str,
    threads: int,
) -> None:
    """Cut the clips of every item that was scanned; those of an item are in the order of time."""
    listed = [item for item in lots.read_items(contents) if item.is_there]
    facts, tables = lots.read_scans(scans), lots.read_frames(frames)
    same = _duplicates(duplicates)
    said = lots.read_speech(speech) if speech else {}
    rows: list[ClipRow] = []
    entries: list[ledger.Row] = []
    chosen: dict[str, Chosen] = {}
    for item in listed:
        if item.key not in facts:
            continue
        known, heard = facts[item.key]["facts"], said.get(item.key, Speech())
        table = tables.get(item.key, lots.no_frames())
        try:
            chosen[item.key] = choose(dataset, item, known, table, settings, same, heard)
        except Exception as error:
            status = logged(failure(item.key, error))
            entries.append(ledger.Row(STEP, dataset, item.key, "failed", status["reason"], message=status["message"]))
    place = Working(Path(working), cut_mark(filter(None, (contents, frames, duplicates, speech)), settings))
    tasks = {
        key: cut_task(choice, lots.media_url(choice.item, media), settings, place.folder)
        for key, choice in chosen.items()
        if choice.clips and not choice.as_it_is
    }
    ended = work_on(cut_item, tasks, place, threads, "items cut")
    with TarWriter(out_media) as tar:
        for choice in chosen.values():
            entries += choice.done
            for row, entry in _finished(dataset, choice, ended.get(choice.item.key), place, tar):
                entries.append(entry)
                rows += [row] if row else []
    clip_tables.write(out_clips, rows)
    ledger.write(out_ledger, entries)
    place.remove()


def _finished(
    dataset: str, choice: Chosen, status: Status | None, place: Working, tar: TarWriter
) -> Iterator[tuple[ClipRow | None, ledger.Row]]:
    item = choice.item
    for name, clip in choice.clips.items():
        span = span_of(clip)
        parts: list[dict[str, Any]] = []
        message, reason = "", "not_cut"
        if choice.as_it_is:
            ending = "mp4" if choice.facts["video_codec"] else "m4a"
            parts = [{"ending": ending, "from_item": True, "path": item.path, "offset": item.offset, "size": item.size}]
            parts[0]["sha256"] = item.sha256
        elif status is None or status["outcome"] == "failed":
            reason, message = (status["reason"], status["message"]) if status else ("not_cut", "")
        elif name in status["failed"]:
            reason, message = status["failed"][name]
        else:
            for ending, file in sorted(status["parts"][name].items()):
                member = tar.copy(f"{name}.{ending}", place.file(file))
                parts.append({"ending": ending, "from_item": False, "path": "", "offset": member.offset})
                parts[-1] |= {"size": member.size, "sha256": member.sha256}
        if not parts:
            yield None, ledger.Row(STEP, dataset, name, "failed", reason, message=message or "nothing was made", **span)
            continue
        row = ClipRow(
            key=name,
            item=item.key,
            shard=item.shard,
            start_s=round(clip.start_s, 6),
            stop_s=round(clip.stop_s, 6),
            caption=clip.caption or item.caption,
            meta=clip_tables.metadata(item, choice.facts, clip.scores)
            | _snapped(clip)
            | _scenes_of(clip, choice.scenes_s),
            parts=parts,
        )
        notes = lacking(choice, clip), status["notes"].get(name, "") if status else ""
        note = "; ".join(filter(None, notes))
        yield row, ledger.Row(STEP, dataset, name, "written", value=clip.seconds, message=note, **span)


def _snapped(clip: Clip) -> dict[str, Any]:
    """What was asked of a clip that begins and ends at keyframes, and how much of it was dropped, or came on top."""
    if clip.asked_s is None:
        return {}
    start_s, stop_s = clip.asked_s
    dropped = (clip.start_s - start_s) + (stop_s - clip.stop_s)
    return {"asked_start_s": round(start_s, 6), "asked_stop_s": round(stop_s, 6), "dropped_s": round(dropped, 6)}


def _scenes_of(clip: Clip, scenes_s: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """The scenes of a clip, in seconds after its start; nothing where nobody looked for them."""
    said = {}
    for name, every in scenes_s.items():
        inside = [(max(start, clip.start_s), min(stop, clip.stop_s)) for start, stop in every]
        inside = [(start - clip.start_s, stop - clip.start_s) for start, stop in inside if stop > start]
        said[name] = [[round(start, 6), round(stop, 6)] for start, stop in inside]
    return {name: times for name, times in said.items() if times}


def _duplicates(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    table = table_file.read(path)
    return dict(zip(table["key"].to_pylist(), table["same_as"].to_pylist(), strict=True)) if table.num_rows else {}


if __name__ == "__main__":
    run(cut_shard)
