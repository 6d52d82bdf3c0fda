"""The config against its schemas: defaults filled in, every mistake one line that names its place."""

from fractions import Fraction
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from scripts.common.errors import ConfigError
from scripts.common.names import nearest

SCHEMAS = Path(__file__).parents[2] / "config" / "schemas"

Mapping = dict[str, Any]

# What a value of a schema's type is called, one and several.
NOUNS = {
    "string": ("text", "texts"),
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "boolean": ("true or false", "true or false"),
    "object": ("a mapping", "mappings"),
}


@cache
def schema(name: str) -> Mapping:
    """A schema of config/schemas by its name, e.g. "rigs"."""
    # libyaml's parser is ten times as fast, and every start of Snakemake reads the schemas.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: Mapping = yaml.load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"), loader)
    return loaded


def load_config(given: Mapping) -> Mapping:
    """The whole config, defaults filled in. Raises ConfigError."""
    _check_keys(given, "config")
    config = checked(given, schema("config"), "config")
    config["rigs"] = {name: checked(entry, schema("rigs"), f"rigs.{name}") for name, entry in config["rigs"].items()}
    for section in ("datasets", "models"):
        config[section] = {
            name: checked(entry, _schema_of_kind(section, entry, f"{section}.{name}"), f"{section}.{name}")
            for name, entry in config[section].items()
        }
    config["media"]["fps"] = rational(config["media"]["fps"], "media.fps")
    return config


def kinds(section: str) -> list[str]:
    """The kinds of a section whose entries have one schema a kind: `datasets.windows.schema.yaml`, …"""
    return sorted(
        path.name.split(".")[1] for path in SCHEMAS.glob(f"{section}.*.schema.yaml") if path.name.count(".") == 3
    )


def _schema_of_kind(section: str, entry: Any, place: str) -> Mapping:
    known = kinds(section)
    if not isinstance(entry, dict) or "kind" not in entry:
        raise ConfigError(f"{place}: the key `kind` is missing; it is one of {', '.join(known)}")
    if entry["kind"] not in known:
        raise ConfigError(f"{place}.kind: `{entry['kind']}` is not one of {', '.join(known)}")
    return schema(f"{section}.{entry['kind']}")


def checked(value: Any, rules: Mapping, place: str) -> Any:
    """`value` with the schema's defaults filled in. Raises ConfigError with the place of the first mistake."""
    value = with_defaults(value, rules)
    _check_finite(value, place)
    error = best_match(Draft202012Validator(rules).iter_errors(value))
    if error is not None:
        raise ConfigError(_in_one_line(error, place))
    return value


def _check_finite(value: Any, place: str) -> None:
    """Raises ConfigError for .nan and .inf, which lie between no limits of a schema, nor outside of them."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_finite(item, f"{place}.{name}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_finite(item, f"{place}[{number}]")
    elif isinstance(value, float) and not isfinite(value):
        raise ConfigError(f"{place}: {value} is no number to work with")


def with_defaults(value: Any, rules: Mapping) -> Any:
    """A copy of `value` in which every key that is left out has its schema's default.

    Snakemake takes another order for another value. Keys that the schema knows stand in an order of their own, and so
    do names of a mapping that the schema calls `unordered`; others, such as cameras, as they are given.
    """
    if not isinstance(value, dict):
        return _number(value, rules)
    properties: Mapping = rules.get("properties", {})
    extra = rules.get("additionalProperties", {})
    forms = (rules, *rules.get("oneOf", ()))
    known = [name for form in forms for name in form.get("properties", {}) if name in value]
    others = [name for name in value if name not in known]
    given = {name: value[name] for name in (*known, *(sorted(others) if rules.get("unordered") else others))}
    whole = {**{name: rule["default"] for name, rule in properties.items() if "default" in rule}, **given}
    return {
        name: with_defaults(item, properties.get(name, extra if isinstance(extra, dict) else {}))
        for name, item in whole.items()
    }


def rational(value: str | int | float, place: str) -> str:
    """A frame rate as the text of an exact rational: "25", "30000/1001". Raises ConfigError."""
    try:
        rate = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"{place}: `{value}` is no frame rate; write 25 or 30000/1001") from None
    if not 0 < rate <= 1000:
        raise ConfigError(f"{place}: {value} frames a second; it must lie between 0 and 1000")
    return str(rate)


def _number(value: Any, rules: Mapping) -> Any:
    """Text as what it stands for where only a number or a truth value will do.

    Snakemake hands over `--config media='{crf: 20}'` with nothing but text in it.
    """
    if not isinstance(value, str) or rules.get("type") not in ("integer", "number", "boolean"):
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return read if isinstance(read, int | float) else value


def _check_keys(value: Any, place: str) -> None:
    """Every key is text: YAML reads `0:` as a number and `on:` as a truth value, and neither names anything."""
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise ConfigError(f"{place}: the name `{key}` is not text; put it in quotes")
        _check_keys(item, f"{place}.{key}")


def _wanted(rules: Mapping, many: bool = False) -> str:
    """What a schema asks for, in words."""
    if "enum" in rules:
        return " or ".join(f"`{choice}`" for choice in rules["enum"])
    if rules["type"] == "array":
        return f"{'lists' if many else 'a list'} of {_wanted(rules['items'], many=True)}"
    return NOUNS[rules["type"]][many]


def _in_one_line(error: ValidationError, place: str) -> str:
    where = ".".join([place, *map(str, error.absolute_path)])
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = sorted(set(error.instance) - set(known), key=str)[0]
        return f"{where}: unknown key `{unknown}`{nearest(unknown, known)}"
    if error.validator == "enum":
        choices = [str(choice) for choice in error.validator_value if choice != ""]
        return f"{where}: `{error.instance}` is not one of {', '.join(choices)}"
    if error.validator in ("exclusiveMinimum", "exclusiveMaximum"):
        side = "more" if error.validator == "exclusiveMinimum" else "less"
        return f"{where}: {error.instance} is out of range; it must be {side} than {error.validator_value}"
    if error.instance is None and error.validator in ("type", "oneOf"):
        return f"{where}: it has no value; leave the key out, or give one"
    if error.validator == "oneOf":
        return f"{where}: `{error.instance}` is neither {', nor '.join(_wanted(one) for one in error.validator_value)}"
    if error.validator == "uniqueItems":
        twice = next(item for place, item in enumerate(error.instance) if item in error.instance[:place])
        return f"{where}: `{twice}` stands there twice"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{where}: the key `{missing}` is missing"
    if error.validator == "type" and "string" in error.validator_value and not isinstance(error.instance, list | dict):
        return f"{where}: {error.instance!r} is not text; put it in quotes"
    return f"{where}: {' '.join(error.message.split())}"
