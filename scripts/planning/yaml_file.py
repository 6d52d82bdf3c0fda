"""YAML files that people write: what is wrong with one is one line with the file, the line and the key."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.common.errors import ConfigError

# libyaml's parser is ten times as fast.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """The content of a file. Raises ConfigError if it is not UTF-8, no YAML, or has a key twice."""
    text = _text(path)
    try:
        _refuse_twice(path, text)
        return yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        raise ConfigError(f"{_named(path)}: {' '.join(str(error).split())}") from None


def check_config_files(paths: Iterable[str | Path]) -> None:
    """Look at the files from which Snakemake has its config: of a key that stands there twice, it drops the first.

    Raises ConfigError as `read_yaml`; but what is no YAML may be JSON, and if not, Snakemake says so. A file that is
    not there is none of ours to miss.
    """
    for path in dict.fromkeys(Path(path).absolute() for path in paths):
        if path.is_file():
            try:
                _refuse_twice(path, _text(path))
            except yaml.YAMLError:
                continue


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{_named(path)}, line {line}: this is not UTF-8; save the file as UTF-8") from None


def _refuse_twice(path: Path, text: str) -> None:
    root = yaml.compose(text, LOADER)
    for place, key, first in _twice(root, "", set()):
        line = key.start_mark.line + 1
        inside = f" in `{place}`" if place else ""
        raise ConfigError(
            f"{_named(path)}, line {line}: the key `{key.value}` stands there twice{inside}, first in line {first}; "
            "keep one"
        )


def _twice(node: yaml.Node | None, place: str, seen: set[int]) -> Iterator[tuple[str, yaml.ScalarNode, int]]:
    """Where a mapping has a key twice: the mapping's place, the second key, the line of the first.

    seen: nodes that an alias may name once more, or even within themselves.
    """
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _twice(item, f"{place}[{number}]", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    yield place, key, lines[name]
                lines.setdefault(name, line)
                yield from _twice(value, f"{place}.{key.value}".lstrip("."), seen)


def _named(path: Path) -> Path:
    """A path as a person in the working directory would name it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
