"""python -m docs.reference: write config/README.md, every key of the config, from the schemas."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.planning.config import kinds, schema

TARGET = Path(__file__).parents[1] / "config" / "README.md"

HEAD = """# Configuration

Made from `config/schemas/` by `make docs`; change it there.

The config is about the science: recordings, rigs, what to make, thresholds. Threads, memory, partitions and accounts
stand in the rules and in `profiles/`. Every key has a default; an unknown key is an error that names the nearest one.
Any key can be given on the command line: `snakemake --config preview=10 only=booth_012`; one within a section, below
`media.fps`, stands in braces: `--config 'media={fps: 30}'`.
`config/demo.yaml` is a whole, small example.
"""

SECTIONS = [
    ("config", "`config/config.yaml`", ""),
    ("rigs", "A rig: `rigs.<name>`", "rigs.<name>."),
    *(
        (f"datasets.{kind}", f"A dataset of {kind}: `datasets.<name>`", "datasets.<name>.")
        for kind in kinds("datasets")
    ),
    *((f"models.{kind}", f"A model, {kind}: `models.<name>`", "models.<name>.") for kind in kinds("models")),
    *(
        (f"exports.{kind}", f"An export, {kind}: `rigs.<name>.exports.{kind}`", f"exports.{kind}.")
        for kind in kinds("exports")
    ),
    *(
        (f"annotations.{kind}", f"An annotation, {kind}: `datasets.<name>.annotations.<name>`", "annotations.<name>.")
        for kind in kinds("annotations")
    ),
    ("recordings", "The recordings sheet: `config/recordings.tsv`", ""),
    ("exclude", "The exclusions: `config/exclude.tsv`", ""),
    ("weights", "A weight file: `config/models.yaml`", "<file>."),
]


def rows(rules: dict[str, Any], prefix: str, required: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Name, kind, default and meaning of every key below `rules`, in the schema's order."""
    for name, rule in rules.items():
        default = "required" if name in required else _text(rule.get("default", ""))
        inner = rule.get("properties") or _named_properties(rule)
        shown = f"{prefix}{name}"
        yield shown, _kind(rule), "" if inner and default == "`{}`" else default, rule.get("description", "")
        if inner:
            step = "." if rule.get("properties") else ".<name>."
            yield from rows(inner, f"{shown}{step}", [])


def _named_properties(rule: dict[str, Any]) -> dict[str, Any]:
    extra = rule.get("additionalProperties")
    choices = extra.get("oneOf", [extra]) if isinstance(extra, dict) else []
    return next((choice["properties"] for choice in choices if "properties" in choice), {})


def _kind(rule: dict[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"] if value != "")
    if "enum" in rule.get("items", {}):
        return f"list of {_kind(rule['items'])}"
    kind = rule.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _text(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`" if default not in ("", None) else ""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, title, prefix in SECTIONS:
        rules = schema(name)
        parts.append(f"## {title}\n\n{rules['description']}\n")
        parts.append("| key | kind | default | meaning |\n|---|---|---|---|")
        for key, kind, default, meaning in rows(rules["properties"], prefix, rules.get("required", [])):
            parts.append(f"| `{key}` | {kind} | {default} | {meaning.replace('|', chr(92) + '|')} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(page())
    print(TARGET.name)
