"""Rigs: the named cameras and microphones of a kind of recording, and where each is found in the source."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.names import folded, instead_of, is_stream_name
from scripts.planning.config import rational, schema, with_defaults

# Folders and endings of the results tree that a stream must not be called.
_TAKEN = {"manifest", "export"}
# Which kinds of source heed a key of a rig, or of one of its streams; all of them heed the others.
_OF_RIG = {"salvage": ("bag",), "max_message_mb": ("bag",), "chunks": ("chunks",), "frames": ("frames",)}
_OF_STREAM = {
    **dict.fromkeys(("type", "raw", "float_range", "float_unit", "time"), ("bag",)),
    **dict.fromkeys(("stamp", "info_topic", "rate_hz", "channels", "sample_format"), ("bag",)),
    "stream": ("file", "files", "chunks"),
}


@dataclass(frozen=True)
class StreamSource:
    """One camera or microphone. paths: file patterns in their order (file rigs); setting: what the import is told."""

    name: str
    paths: tuple[str, ...]
    setting: dict[str, Any]


@dataclass(frozen=True)
class Rig:
    """A kind of recording. source: one of the schema's kinds; fps: text of a rational; rate_hz: of the conformed sound;
    entry: the checked config entry, for what only one room wants to know."""

    name: str
    source: str
    cameras: tuple[StreamSource, ...]
    microphones: tuple[StreamSource, ...]
    fps: str
    rate_hz: int
    entry: dict[str, Any]

    @property
    def camera_settings(self) -> dict[str, dict[str, Any]]:
        """What an import is told of each camera, by name."""
        return {stream.name: stream.setting for stream in self.cameras}

    @property
    def microphone_settings(self) -> dict[str, dict[str, Any]]:
        """What an import is told of each microphone, by name."""
        return {stream.name: stream.setting for stream in self.microphones}


def make_rig(name: str, entry: dict[str, Any], media: dict[str, Any]) -> Rig:
    """The rig `name` from its checked config entry. Raises ConfigError."""
    place = f"rigs.{name}"
    if not is_stream_name(name):
        raise ConfigError(f"{place}: a rig's name becomes a folder; {instead_of(name, '_+=@-')}")
    defaults = with_defaults({}, schema("rigs"))
    _refuse_foreign([key for key in _OF_RIG if entry[key] != defaults[key]], entry["source"], _OF_RIG, place)
    cameras = _streams(entry["cameras"], entry["source"], f"{place}.cameras", {"time": "auto"})
    microphones = _streams(
        entry["microphones"], entry["source"], f"{place}.microphones", {"stamp": "auto", "latency_ms": 0.0}
    )
    if not cameras and not microphones:
        raise ConfigError(f"{place}: it has neither cameras nor microphones")
    shared = {folded(s.name) for s in cameras} & {folded(s.name) for s in microphones}
    if shared:
        raise ConfigError(f"{place}: `{sorted(shared)[0]}` names a camera and a microphone")
    conform = {**media, **entry["conform"]}
    return Rig(
        name=name,
        source=entry["source"],
        cameras=cameras,
        microphones=microphones,
        fps=rational(conform["fps"], f"{place}.conform.fps"),
        rate_hz=conform["rate_hz"],
        entry=entry,
    )


def _refuse_foreign(keys: Iterable[str], source: str, heeded: Mapping[str, tuple[str, ...]], place: str) -> None:
    for key in keys:
        if source not in heeded.get(key, (source,)):
            raise ConfigError(
                f"{place}: `{key}` is for another kind of source ({', '.join(heeded[key])}); this rig's is `{source}`, "
                "which does not heed it: leave it out"
            )


def _streams(entries: dict[str, Any], source: str, place: str, defaults: dict[str, Any]) -> tuple[StreamSource, ...]:
    streams = [_stream(name, entry, source, f"{place}.{name}", defaults) for name, entry in entries.items()]
    seen: dict[str, str] = {}
    for stream in streams:
        other = seen.setdefault(folded(stream.name), stream.name)
        if other != stream.name:
            raise ConfigError(f"{place}: `{other}` and `{stream.name}` would be the same file on some systems")
    return tuple(streams)


def _stream(name: str, entry: Any, source: str, place: str, defaults: dict[str, Any]) -> StreamSource:
    if not is_stream_name(name) or name in _TAKEN:
        raise ConfigError(f"{place}: the name becomes a file name; {instead_of(name, '_+=@-, and not `manifest`')}")
    key, other = ("topic", "path") if source == "bag" else ("path", "topic")
    setting = dict(entry) if isinstance(entry, dict) else {key: entry}
    if other in setting:
        raise ConfigError(f"{place}: `{other}` is for another kind of source; this rig's is `{source}`, with `{key}`")
    _refuse_foreign(setting, source, _OF_STREAM, place)
    if "type" in setting:
        setting.setdefault(key, "*")
    if key not in setting:
        raise ConfigError(f"{place}: the key `{key}` is missing")
    where = setting[key]
    if source == "bag":
        if not isinstance(where, str):
            raise ConfigError(f"{place}: one topic is wanted, not a list")
        return StreamSource(name, (), {**defaults, **setting})
    paths = [where] if isinstance(where, str) else list(where)
    for path in paths:
        _check_pattern(path, place, numbered=source == "frames")
    del setting["path"]
    return StreamSource(name, tuple(paths), {**defaults, **setting})


def _check_pattern(path: str, place: str, *, numbered: bool) -> None:
    known = ("{source}", "{stem}") if not numbered else ("{source}/", "{subject}", "{frame}")
    rest = path
    for name in known:
        rest = rest.replace(name, "")
    if "{" in rest or "}" in rest:
        raise ConfigError(f"{place}: `{path}` holds another placeholder than {' and '.join(known)}")
    if numbered and ("/" in rest or not path.startswith("{source}/") or path.count("{frame}") != 1):
        raise ConfigError(f"{place}: `{path}` is not like {{source}}/S{{subject}}C2{{frame}}.jpg, with one {{frame}}")
