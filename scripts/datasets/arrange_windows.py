"""The folders that training code expects: `{split}/<speaker>/*.npz`, as hard links to the windows."""

from pathlib import Path

from scripts.common import table_file
from scripts.common.job import run
from scripts.common.links import link_or_copy


def arrange_windows(index: Path, windows: list[Path], out_folder: Path, *, split: str) -> None:
    """Link the windows of `split` into one folder a subject.

    index: the dataset's table of samples.  windows: one folder of npz a recording, named after it.
    """
    folders = {folder.name: folder for folder in windows}
    out_folder.mkdir()
    table = table_file.read(index, columns=["recording", "file", "subject", "split"])
    for sample in table.to_pylist():
        if sample["split"] == split:
            speaker = out_folder / sample["subject"]
            speaker.mkdir(exist_ok=True)
            name = Path(sample["file"]).name
            link_or_copy(folders[sample["recording"]] / name, speaker / name)


if __name__ == "__main__":
    run(arrange_windows)
