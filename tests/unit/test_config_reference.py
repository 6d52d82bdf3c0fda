"""config/README.md says of every key what may stand there."""

from docs.reference import page, rows


def test_the_allowed_values_of_a_list_are_named() -> None:
    rules = {"formats": {"type": "array", "items": {"enum": ["folders", "tfrecord"]}, "default": ["folders"]}}
    assert [kind for _, kind, _, _ in rows(rules, "", [])] == ["list of `folders`, `tfrecord`"]


def test_the_label_exports_are_named_in_the_page() -> None:
    line = next(line for line in page().splitlines() if line.startswith("| `rigs.<name>.labels.export`"))
    assert all(f"`{name}`" in line for name in ("framecsv", "procedures", "textgrid", "elan", "audacity"))
