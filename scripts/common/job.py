"""The one adaptor between a Snakemake rule and the function that does its work.

A rule's named inputs, outputs (with the prefix `out_`) and params are the function's arguments; `threads`, `tmpdir`,
`accelerator` and `models_dir` are passed where the function names them. The params `key` and `recorded` are for
Snakemake's change detection alone.
"""

import errno
import inspect
import logging
import os
import sys
import time
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.common import atomic, folder_entries
from scripts.common.errors import UPSTREAM, InputError, RunError
from scripts.common.told_to_end import say_when_told_to_end
from scripts.common.without_pandas import spare_pandas

# Params that only Snakemake reads: `recorded` stands for one that it must not see change any more, so that its record
# of older products still holds.
UNPASSED_PARAMS = {"key", "recorded"}
# What a function may ask for besides: it must not change what is made, for no change of it makes anything again.
RESOURCE_ARGUMENTS = ("threads", "tmpdir", "accelerator", "models_dir")
PROGRESS_EVERY_S = 10.0
# How SLURM and CUDA tell a job which GPUs are its own.
GPUS = "CUDA_VISIBLE_DEVICES"

log = logging.getLogger("rushes")


def run(function: Callable[..., None]) -> None:
    """Run `function` for the job that Snakemake has put into `__main__`, and end the process accordingly."""
    job = getattr(sys.modules["__main__"], "snakemake", None)
    if job is None:
        sys.exit(f"{function.__name__} is run by its Snakemake rule; call the function itself from Python.")
    spare_pandas()
    _open_log(job.log[0] if job.log else None)
    name = " ".join([function.__name__, *map(str, job.wildcards)])
    say_when_told_to_end(lambda words: _line(name, words, job), Path(job.log[0]) if job.log else None)
    if GPUS in os.environ:
        log.info("%s=%s", GPUS, os.environ[GPUS])
    try:
        execute(function, inputs=named(job.input), outputs=named(job.output), settings=_settings(job))
    except RunError as error:
        _end(name, str(error), job)
    except OSError as error:
        log.exception("failed")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = error.filename or os.path.dirname(str(next(iter(job.output), ""))) or os.getcwd()
            _end(name, f"the disk is full ({where}): make room, then give the same command again", job)
        _end(name, f"{type(error).__name__}: {error}", job)
    except KeyboardInterrupt:
        _end(name, "it was interrupted before it was done; the same command makes it again", job)
    except SystemExit as error:
        # A library's way to leave, whatever status it gives: the outputs are not there.
        _end(name, f"it was ended before it was done ({type(error).__name__})", job)
    except Exception as error:  # the boundary: whatever it is, the user reads one line
        log.exception("failed")
        _end(name, f"{type(error).__name__}: {error}", job)


def execute(
    function: Callable[..., None],
    *,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Call `function` with its outputs under temporary names, and rename them when it returns.

    An InputError is turned into whole, empty outputs and one `failed` row per item in the output `ledger`.
    Raises TypeError before any work if names do not match, RunError for an InputError if there is no ledger.
    """
    final = {f"out_{name}": _paths(value) for name, value in outputs.items()}
    parts = {name: _map_paths(atomic.part_path, value) for name, value in final.items()}
    if both := sorted(set(inputs) & set(settings)):
        raise TypeError(f"{function.__name__}: {both} name an input and a param of its rule")
    arguments = bind(function, {**inputs, **settings}, parts)
    pairs = [pair for name in final for pair in zip(_flat(final[name]), _flat(parts[name]), strict=True)]
    for path, _ in pairs:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.remove_old_parts(path)
        folder_entries.forget(path)
    try:
        try:
            function(**arguments)
        except InputError as error:
            if "out_ledger" not in parts:
                raise RunError(error.message) from error
            # What failed upstream has been said there.
            level = logging.INFO if error.reason == UPSTREAM else logging.WARNING
            log.log(level, "%s: %s", ", ".join(_items(arguments)), error.message)
            _write_failed(function.__name__, error, arguments, final, parts)
        for path, part in pairs:
            if not part.exists():
                raise RunError(f"{function.__name__} did not write {path}")
        for path, part in pairs:
            atomic.publish(part, path)
            if path.is_dir():
                folder_entries.note(path)
    finally:
        for _, part in pairs:
            with suppress(OSError):
                atomic.remove(part)


def bind(function: Callable[..., None], values: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `function` from a rule's names; a mismatch is a TypeError that names both sides."""
    hints = typing.get_type_hints(function)
    wanted = inspect.signature(function).parameters
    given = {
        name: value for name, value in {**values, **parts}.items() if name in wanted or name not in RESOURCE_ARGUMENTS
    }
    missing = [n for n, p in wanted.items() if n not in given and p.default is inspect.Parameter.empty]
    unknown = [name for name in given if name not in wanted]
    if missing or unknown:
        raise TypeError(f"{function.__name__} wants {missing} that its rule lacks; the rule has unknown {unknown}")
    return {name: _convert(value, hints.get(name)) for name, value in given.items()}


def named(items: Any) -> dict[str, Any]:
    """Snakemake's named list as a dict. Raises TypeError where an entry has no name."""
    values = dict(items.items())
    count = sum(len(v) if isinstance(v, list | tuple) else 1 for v in values.values())
    if count != len(items):
        raise TypeError("every input and output of a rule needs a name")
    return values


def progress(done: int, total: int | None = None, what: str = "frames", note: str = "") -> None:
    """Say in the log how far the work is, how fast, and how long it will take, at most every PROGRESS_EVERY_S seconds.

    done: counted from the start of the work, or from where an earlier job left it.  note: what else is to be said.
    """
    now = time.monotonic()
    began, first = _begun.setdefault(what, (now, done))
    if now - _last_progress[0] >= PROGRESS_EVERY_S:
        _last_progress[0] = now
        log.info("%s", progress_line(done - first, now - began, done, total, what, note))


def progress_line(made: int, seconds: float, done: int, total: int | None, what: str, note: str = "") -> str:
    """`made` of the `done` were made in the last `seconds`: "120 of 1000 (12%) items fetched, 3.4/s, 4 min left"."""
    rate = made / seconds if seconds > 0 else 0.0
    words = [f"{done}{f' of {total} ({done / total:.0%})' if total else ''} {what}"]
    if rate:
        words.append(f"{rate:.3g}/s")
    if rate and total:
        left = (total - done) / rate
        words.append(f"{left / 60:.0f} min left" if left >= 90 else f"{left:.0f} s left")
    return ", ".join([*words, *([note] if note else [])])


_last_progress = [time.monotonic()]
_begun: dict[str, tuple[float, int]] = {}


def _settings(job: Any) -> dict[str, Any]:
    params = {name: value for name, value in job.params.items() if name not in UNPASSED_PARAMS}
    resources = {
        "threads": job.threads,
        "tmpdir": Path(job.resources.get("tmpdir", ".")),
        "accelerator": job.config.get("accelerator", "cpu"),
        "models_dir": job.config.get("models_dir", ""),
    }
    return {**resources, **params}


def _convert(value: Any, hint: Any) -> Any:
    """Paths arrive as text, an optional path that is not there as an empty list."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if Path in options:
        if isinstance(value, list | tuple) and not value and type(None) in options:
            return None
        return Path(value)
    if typing.get_origin(hint) is list and typing.get_args(hint) == (Path,):
        return [Path(v) for v in ([value] if isinstance(value, str | Path) else value)]
    return value


def _paths(value: Any) -> Path | list[Path]:
    return Path(value) if isinstance(value, str | Path) else [Path(v) for v in value]


def _flat(value: Path | list[Path]) -> list[Path]:
    return [value] if isinstance(value, Path) else value


def _map_paths(change: Callable[[Path], Path], value: Path | list[Path]) -> Path | list[Path]:
    return change(value) if isinstance(value, Path) else [change(path) for path in value]


def _items(arguments: Mapping[str, Any]) -> list[str]:
    """The items of a job, as the ledger names them: its product or streams, else its recording.

    One that is made of a stream by several back ends, or by several other streams, has their names behind it.
    """
    recording = str(arguments.get("recording", ""))
    if "product" in arguments:
        return [str(arguments["product"])]
    if stream := [str(arguments[name]) for name in ("camera", "backend", "microphone") if name in arguments]:
        return [".".join(stream)]
    if "model" in arguments:
        return [".".join(str(arguments[name]) for name in ("model", "split_by") if name in arguments)]
    streams = [*arguments.get("cameras", {}), *arguments.get("microphones", {})]
    return streams or [recording]


def _write_failed(
    step: str,
    error: InputError,
    arguments: Mapping[str, Any],
    final: Mapping[str, Path | list[Path]],
    parts: Mapping[str, Any],
) -> None:
    from scripts.common import ledger
    from scripts.common.empty import FOLDERS, write_empty

    for name, paths in final.items():
        for path, part in zip(_flat(paths), _flat(parts[name]), strict=True):
            atomic.remove(part)
            write_empty(part, path.name, folder=name in FOLDERS)
    rows = [
        ledger.Row(
            step=step,
            recording=str(arguments.get("recording", "")),
            item=item,
            outcome="failed",
            reason=error.reason,
            value=error.value,
            limit=error.limit,
            message=error.message,
        )
        for item in _items(arguments)
    ]
    ledger.write(parts["out_ledger"], rows)


def _open_log(path: str | None) -> None:
    """Everything to the rule's log file, warnings also to the terminal."""
    form = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")
    log.setLevel(logging.INFO)
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    # A traceback is for the log; the terminal gets the one line of `_end`.
    terminal.addFilter(lambda record: record.exc_info is None)
    log.addHandler(terminal)
    # Where there is no room for the log, there is none for what went wrong with it.
    logging.raiseExceptions = False
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="w")
        file.setFormatter(form)
        logging.getLogger().addHandler(file)


def _end(name: str, message: str, job: Any) -> None:
    """Say what went wrong and where the log is, and end the job as failed."""
    line = _line(name, message, job)
    logging.getLogger().error("FAILED %s", line)
    print(line, file=sys.stderr, flush=True)
    sys.exit(1)


def _line(name: str, message: str, job: Any) -> str:
    where = f"  (log: {job.log[0]})" if job.log else ""
    return f"{name}: {message.strip()}{where}"
