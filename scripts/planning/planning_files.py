"""What keeps the files of a plan cheap: Snakemake asks each of its many files the same questions many times.

The answers are Snakemake's own, found on a shorter way. docs/performance.md has the figures with and without.
"""

import copy
import functools
import json
import os
import stat
from typing import Any


def lower() -> None:
    """Do all of the following."""
    slim_files()
    compare_as_text()
    look_up_once()
    look_at_files_once()
    read_records_plainly()
    list_plainly()


def slim_files() -> None:
    """Keep files without flags, most of them, as plain text until somebody asks for their flags."""
    from snakemake import io as files

    clone = files._IOFile.clone_flags

    def clone_flags(self: Any, other: Any, skip_storage_object: bool = False) -> None:
        if type(self._file) is not str or getattr(other._file, "flags", None):
            clone(self, other, skip_storage_object)

    def flags(self: Any) -> Any:
        if type(self._file) is str:
            self._file = files.AnnotatedString(self._file)
        return getattr(self._file, "flags", {})

    def is_flagged(self: Any, flag: str) -> bool:
        return type(self._file) is not str and bool(getattr(self._file, "flags", {}).get(flag))

    def is_storage(self: Any) -> bool:
        return type(self._file) is not str and bool(getattr(self._file, "flags", {}).get("storage_object"))

    files._IOFile.clone_flags = clone_flags
    files._IOFile.flags = property(flags)
    files._IOFile.is_flagged = is_flagged
    files._IOFile.is_storage = property(is_storage)


def compare_as_text() -> None:
    """Let a file be equal to, and hash like, the text that it is: Snakemake asks the same of the text within it."""
    from snakemake.io import _IOFile

    _IOFile.__eq__, _IOFile.__hash__ = str.__eq__, str.__hash__


def look_up_once() -> None:
    """Ask for a file's folder only where a store has listed folders: else what is known of the file says all."""
    from snakemake.io import ExistsDict

    in_listed_folder = ExistsDict.__contains__

    def is_known(cache: Any, path: Any) -> bool:
        return dict.__contains__(cache, path) or (bool(cache.has_inventory) and in_listed_folder(cache, path))

    ExistsDict.__contains__ = is_known


def look_at_files_once() -> None:
    """Keep the time of a plain file from the look whether it is there; Snakemake looks once more for it."""
    from snakemake.io import Mtime, _IOFile, iocache

    async def exists_local(self: Any) -> bool:
        try:
            found = os.lstat(self.file)
        except (OSError, ValueError):
            return False
        known = self.rule.workflow.iocache
        if stat.S_ISREG(found.st_mode) and known.active and not self.is_storage:
            known.mtime.setdefault(self, Mtime(local=found.st_mtime))
        return not stat.S_ISLNK(found.st_mode) or os.path.exists(self.file)

    _IOFile.exists_local = iocache(exists_local)


def read_records_plainly() -> None:
    """Read what is known of an output in one step, and look for it among the unfinished only where there are some."""
    from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
    from snakemake.persistence.file import FilePersistence

    read_carefully = FilePersistence._read_record_cached.__wrapped__
    filter_unfinished = FilePersistence._filter_incomplete_keys
    empty = MetadataRecord.model_construct()
    names = empty.__dict__.keys()

    @functools.lru_cache
    def read(store: Any, name: str) -> Any:
        try:
            with open(store._record_path(store._metadata_path, name), "rb", buffering=0) as file:
                found = json.loads(file.read())
            known = found.keys() == names and found["record_format_version"] == RECORD_FORMAT_VERSION
        except (OSError, ValueError, AttributeError):
            known = False
        if not known:
            return read_carefully(store, name)
        # What this version wrote needs no validation, which takes longer than to read it.
        record = copy.copy(empty)
        record.__dict__.update(found)
        return record

    def unfinished(store: Any, outputs: Any) -> set[str]:
        return set() if store._incomplete_cache == set() else filter_unfinished(store, outputs)

    FilePersistence._read_record_cached, FilePersistence._filter_incomplete_keys = read, unfinished


def list_plainly() -> None:
    """Make Snakemake's lists of files, wildcards and params, fifteen a job, with one pair of guards for all of them,
    and without asking each item for a store."""
    from snakemake.io import _IOFile
    from snakemake.iocontainers import AttributeGuard, Namedlist

    make = Namedlist.__init__
    overrides = ["index", "sort"]
    guards = [AttributeGuard(name) for name in overrides]

    def plain(item: Any) -> str:
        if type(item) is _IOFile and item.is_storage and not item.storage_object.retrieve:
            return str(item.storage_object.query)
        return str(item)

    def make_plainly(
        self: Any,
        toclone: Any = None,
        fromdict: Any = None,
        plainstr: bool = False,
        strip_constraints: bool = False,
        custom_map: Any = None,
    ) -> None:
        if strip_constraints or custom_map is not None:
            make(self, toclone, fromdict, plainstr, strip_constraints, custom_map)
            return
        list.__init__(self)
        self._names = {}
        self._allowed_overrides = overrides
        self.index, self.sort = guards
        if toclone is not None:
            self.extend(map(plain, toclone) if plainstr else toclone)
            if isinstance(toclone, Namedlist):
                self._take_names(toclone._get_names())
        if fromdict is not None:
            for name, item in fromdict.items():
                self.append(item)
                self._add_name(name)

    Namedlist.__init__ = make_plainly
