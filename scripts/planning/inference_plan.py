"""What `snakemake infer` is asked for: which sounds, which checkpoint, and where the results stand."""

import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.common.checkpoint_names import find_checkpoint
from scripts.common.errors import ConfigError
from scripts.common.file_endings import LARGEST_MB, OTHER_SOUNDS, SOUNDS, TEXT
from scripts.common.names import folder_of, nearest, place_of, told_apart
from scripts.planning.config import schema
from scripts.planning.recordings import tidy

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

# What no name of a rule's input may hold: Snakemake's own signs, and bytes that are no UTF-8.
NO_NAME = re.compile(r"[{}\x00-\x1f\x7f\ud800-\udfff]")
NO_NAME_WHY = "holds a brace, or a character that is no text"
# What an engine that somebody runs decides by its own options.
OF_THE_ENGINE = ("hop", "speech", "face")
# An engine that is started for the run.
OWN = "own"


@dataclass(frozen=True)
class Inference:
    """A folder or zip of sounds, and what is made of it.

    files: sounds and texts, or the zip.  unusable: those that Snakemake cannot name, and why.  sizes: of each file,
    which its date does not tell.  checkpoint: its file, "" where an engine has one.  folder: of the results.
    """

    audio_dir: str
    files: list[str]
    unusable: dict[str, str]
    sizes: list[int]
    checkpoint: str
    folder: str
    settings: dict[str, Any]

    @property
    def endpoint(self) -> str:
        """The engine that is asked, if any."""
        return str(self.settings["endpoint"])

    @property
    def largest_mb(self) -> int:
        """Megabytes of the largest sound, which is read whole."""
        return -(-max(_unpacked_sizes(self.files[0]) or self.sizes) // 2**20)

    @property
    def engine_options(self) -> list[str]:
        """The command line of an engine that is started for the run, so that it says what no engine would."""
        max_mb = max(LARGEST_MB, self.largest_mb)
        said = {name: self.settings[name] for name in ("hop", "speech", "max_s", "face") if self.settings[name]}
        return [f"--{name.replace('_', '-')}={value}" for name, value in {**said, "max_mb": max_mb}.items()]


def make_inference(plan: "Plan") -> Inference | None:
    """What the config asks for, or None. Raises ConfigError."""
    config, settings = plan.config, dict(plan.config["inference"])
    if not config["audio_dir"]:
        return None
    audio_dir = os.path.expanduser(tidy(config["audio_dir"])).rstrip("/") or "/"
    files, unusable = _files(audio_dir)
    for key in ("request_render", "endpoint"):
        url = settings[key]
        if url and not re.match(r"https?://[^/\s]+", url) and not (key == "endpoint" and url == OWN):
            raise ConfigError(f"inference.{key}: `{url}` is no URL; write one like http://127.0.0.1:8080")
    if settings["face"] and not os.path.isfile(settings["face"]):
        raise ConfigError(f"inference.face: {settings['face']} is no file")
    if settings["dataset"] and settings["dataset"] not in plan.datasets:
        raise ConfigError(
            f"inference.dataset: there is no dataset `{settings['dataset']}` of windows"
            f"{nearest(settings['dataset'], plan.datasets)}"
        )
    if settings["endpoint"] not in ("", OWN):
        _refuse_what_is_of_the_engine(settings)
    checkpoint, label = "", _engine_name(settings["endpoint"])
    if settings["endpoint"] in ("", OWN):
        if not config["checkpoint"]:
            raise ConfigError("checkpoint: which one? Say it by: --config checkpoint=FILE, or a model's name")
        checkpoint, label = find_checkpoint(
            os.path.expanduser(tidy(config["checkpoint"])), f"{plan.path.results}/models"
        )
    folder = f"{plan.path.results}/inference/{_sounds_name(audio_dir)}/{label}"
    return Inference(
        audio_dir, files, unusable, [os.stat(file).st_size for file in files], checkpoint, folder, settings
    )


def _refuse_what_is_of_the_engine(settings: dict[str, Any]) -> None:
    known = schema("config")["properties"]["inference"]["properties"]
    for key in OF_THE_ENGINE:
        if settings[key] != known[key]["default"]:
            raise ConfigError(
                f"inference.{key}: the engine at {settings['endpoint']} has its own; leave the key out, and start the "
                f"engine with `--{key} {settings[key]}`"
            )


def _sounds_name(audio_dir: str) -> str:
    """The name of a folder or zip in the working directory; one of elsewhere is told apart."""
    place = place_of(audio_dir)
    name = os.path.basename(place)
    return name if folder_of(name) == place else told_apart(name, place)


def _engine_name(url: str) -> str:
    """`127.0.0.1_8080` for the engine at http://127.0.0.1:8080; an address of another form is told apart."""
    address = re.sub(r"^https?://([^/]*@)?", "", url.rstrip("/"))
    name = folder_of(address.replace(":", "_"))
    return name if re.fullmatch(r"http://[\w.-]+:\d+", url.rstrip("/")) else told_apart(name, url)


def _files(audio_dir: str) -> tuple[list[str], dict[str, str]]:
    """The files that are asked for, and those that cannot be, with the reason. Raises ConfigError."""
    if NO_NAME.search(audio_dir):
        raise ConfigError(f"audio_dir: {audio_dir!r} {NO_NAME_WHY}; name another")
    if os.path.isfile(audio_dir):
        if not audio_dir.lower().endswith(".zip"):
            raise ConfigError(f"audio_dir: {audio_dir} is neither a folder nor a zip")
        return [audio_dir], {}
    if not os.path.isdir(audio_dir):
        folder = os.path.dirname(audio_dir) or "."
        known = os.listdir(folder) if os.path.isdir(folder) else []
        hint = nearest(os.path.basename(audio_dir), known)
        raise ConfigError(f"audio_dir: {audio_dir} does not exist{hint if 'did you mean' in hint else ''}")
    try:
        found = sorted(path for path in _below(audio_dir) if path.lower().endswith((*SOUNDS, *OTHER_SOUNDS, TEXT)))
    except OSError as error:
        raise ConfigError(f"audio_dir: {error.filename} cannot be read: {error.strerror}") from error
    unusable = {path: why for path in found if (why := _why_unusable(path))}
    files = [path for path in found if path not in unusable]
    # The text of a sound that cannot be taken goes with that sound.
    sounds = {os.path.splitext(path)[0] for path in unusable if not path.lower().endswith(TEXT)}
    rows = {
        _shown(path, audio_dir): why
        for path, why in unusable.items()
        if not path.lower().endswith(TEXT) or os.path.splitext(path)[0] not in sounds
    }
    if not any(path.lower().endswith(SOUNDS) for path in files):
        others = [path for path in files if path.lower().endswith(OTHER_SOUNDS)]
        more = [f"turn what is there into FLAC: ffmpeg -i {os.path.basename(other)} …" for other in others]
        said = [*rows.values(), *more, ""][0]
        raise ConfigError(f"audio_dir: there is no sound ({', '.join(SOUNDS)}) below {audio_dir}{said and f'; {said}'}")
    return files, rows


def _why_unusable(path: str) -> str:
    if NO_NAME.search(path):
        return f"the name {_shown(path)} {NO_NAME_WHY}: rename it"
    return "" if os.path.isfile(path) else f"{path} is no file, or a link to none"


def _shown(path: str, folder: str = "") -> str:
    """A name as text, whatever its bytes are."""
    text = os.fsencode(os.path.relpath(path, folder) if folder else path).decode(errors="backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def _unpacked_sizes(file: str) -> list[int]:
    """Bytes of each sound of a zip; none of what is none. One that is larger than LARGEST_MB is refused."""
    if not file.lower().endswith(".zip"):
        return []
    try:
        with zipfile.ZipFile(file) as archive:
            return [min(entry.file_size, LARGEST_MB * 2**20) for entry in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return []


def _below(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Every file below `folder`, in linked folders, too, but in none that it is itself in."""
    this = os.stat(folder)
    above |= {(this.st_dev, this.st_ino)}
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                yield entry.path
            elif not _is_one_of(entry, above):
                yield from _below(entry.path, above)


def _is_one_of(entry: os.DirEntry[str], folders: frozenset[tuple[int, int]]) -> bool:
    found = entry.stat()
    return (found.st_dev, found.st_ino) in folders
