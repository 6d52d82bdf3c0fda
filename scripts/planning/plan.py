"""What a run makes and where: every path of the results, every target, from config and sheets. Pure but for `stat`."""

import os
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.names import one_of
from scripts.planning.cameras_plan import CamerasRoom
from scripts.planning.config import load_config, schema
from scripts.planning.datasets import Dataset, make_datasets, without_sync
from scripts.planning.exports_plan import Exports
from scripts.planning.faces_plan import FacesRoom
from scripts.planning.frames_plan import FramesRoom
from scripts.planning.labels_plan import LabelsRoom
from scripts.planning.models_plan import ModelsRoom
from scripts.planning.paths import Paths
from scripts.planning.plan_checks import (
    check_folders,
    check_models_dir,
    check_names,
    idle_datasets,
    read_weights,
    reports_folder,
    results_folder,
)
from scripts.planning.pose_datasets import make_pose_datasets
from scripts.planning.recordings import Exclusion, Recording, read_exclusions, read_recordings
from scripts.planning.rigs import Rig, make_rig
from scripts.planning.room import Room
from scripts.planning.shards_plan import ShardsRoom
from scripts.planning.site import Site, read_site
from scripts.planning.store import store_prefix

# The facts of the cluster, unless RUSHES_SITE names another folder.
SITE_FOLDER = Path(__file__).parents[2] / "profiles" / "slurm"
STAGES = ("sources", "media", "faces", "cameras", "labels", "datasets", "models", "reports")
# Where each form of a dataset of windows stands.
FOLDERS = {"folders": "{split}", "shards": "shards/{split}"}
# What is made besides windows: each room knows its own paths, targets and ledgers.
ROOMS: dict[str, type[Room]] = {
    "exports": Exports,
    "faces": FacesRoom,
    "cameras": CamerasRoom,
    "labels": LabelsRoom,
    "frames": FramesRoom,
    "shards": ShardsRoom,
    "models": ModelsRoom,
}


@dataclass(frozen=True)
class Plan:
    """Config and sheets, checked and resolved.

    excluded: whole recordings that a person has ruled out; datasets: those of windows, the others stand in `rooms`;
    idle: what is said of datasets that no recording is there for.
    """

    config: dict[str, Any]
    path: Paths
    rigs: dict[str, Rig]
    recordings: dict[str, Recording]
    exclusions: dict[str, list[Exclusion]]
    excluded: list[Exclusion]
    datasets: dict[str, Dataset]
    weights: dict[str, dict[str, Any]]
    only: tuple[str, ...]
    site: Site
    idle: tuple[str, ...] = ()
    rooms: dict[str, Room] = field(default_factory=dict)

    @property
    def chosen(self) -> list[Recording]:
        """The recordings whose products are wanted."""
        return [r for r in self.recordings.values() if not self.only or r.name in self.only]

    def exported(self, rig: Rig) -> dict[str, Any]:
        """Declared outputs of a rig's import rule; `{recording}` stays a wildcard."""

        def fill(pattern: str, kind: str = "", names: Iterable[str] = ()) -> list[str]:
            return [pattern.format(rig=rig.name, recording="{recording}", **{kind: name}) for name in names]

        cameras, microphones = list(rig.camera_settings), list(rig.microphone_settings)
        outputs: dict[str, Any] = {
            "videos": fill(self.path.video("media"), "camera", cameras),
            "frames": fill(self.path.frames("media"), "camera", cameras),
            "sounds": fill(self.path.sound("media"), "microphone", microphones),
            "clocks": fill(self.path.clock("media"), "microphone", microphones),
        }
        outputs["manifest"] = self.path.manifest().format(rig=rig.name, recording="{recording}")
        outputs["ledger"] = self.path.export_ledger().format(rig=rig.name, recording="{recording}")
        return outputs

    def targets(self, stage: str) -> list[str]:
        """One output of every job that a stage's target rule asks for."""
        wanted: dict[str, list[str]] = {
            "sources": self._per_recording(self.path.manifest()),
            "media": [*self._conformed("camera"), *self._conformed("microphone")],
            "faces": self._landmarks(),
            "datasets": self._windows() if self.only else self._datasets(),
            "reports": [self.path.report("ledger.checked")] if self.has_items else [],
        }
        return [*wanted.get(stage, []), *(path for room in self.rooms.values() for path in room.targets(stage))]

    def everything(self) -> list[str]:
        """What `all` asks for. The checked ledger needs every ledger, and so every job that has one."""
        stages = STAGES if self.only else ("datasets", "models", "reports")
        return [target for stage in stages for target in self.targets(stage)]

    def ledgers(self) -> list[str]:
        """Every ledger of the run, in the order of the stages."""
        return [
            *self._per_recording(self.path.export_ledger()),
            *self._conformed("camera"),
            *self._conformed("microphone"),
            *self._landmarks(ledger=True),
            *(
                self.path.windows("ledger.parquet").format(dataset=dataset.name, recording=recording)
                for dataset in self.datasets.values()
                for recording in self._chosen(dataset.own)
            ),
            *(path for room in self.rooms.values() for path in room.ledgers()),
        ]

    def give_notice(self, workflow: Any) -> None:
        """Say on the terminal what a person should know before anything runs; a job of its own says nothing."""
        if workflow.is_main_process:
            for notice in (*self.idle, *(notice for room in self.rooms.values() for notice in room.notices())):
                print(notice, file=sys.stderr)

    def stretches(self) -> list[list[Any]]:
        """What a person has ruled out of recordings that are taken to their own ends: recording, from where on it is
        taken, start and stop of the stretch, in seconds; without what begins with the recording."""
        taken = [r for r in self.chosen if r.stop_s is None and not self.config["preview"]]
        several = [(r, exclusion) for r in taken for exclusion in self.exclusions.get(r.name, [])]
        return [[r.name, r.start_s or 0.0, each.start_s, each.stop_s] for r, each in several if each.start_s]

    def manifests(self, names: Iterable[str]) -> list[str]:
        """The manifest of each of these recordings, once."""
        chosen = [self.recordings[name] for name in dict.fromkeys(names)]
        return [self.path.manifest().format(rig=r.rig, recording=r.name) for r in chosen]

    def url_tables(self) -> dict[str, str]:
        """Names of which some rows may fail without ending a run badly, as links of a table of URLs do: their cards."""
        return {name: card for room in self.rooms.values() for name, card in room.url_tables().items()}

    def report_pages(self) -> list[str]:
        """What the rooms want a person to look at, beside what every run has."""
        return [path for room in self.rooms.values() for path in room.reports()]

    def overlays(self) -> list[tuple[str, str]]:
        """(dataset, recording) whose overlay videos the report shows: the first recording of each subject, in the
        order of the sheet, then the second of each, …, as many as the config allows."""
        turns: dict[tuple[str, str], int] = {}
        ranked = []
        for dataset in self.datasets.values():
            for position, name in enumerate(self._chosen(dataset.cut)):
                key = (dataset.name, dataset.subjects[name])
                turns[key] = turns.get(key, -1) + 1
                ranked.append((turns[key], position, dataset.name, name))
        count = self.config["reports"]["overlays"]
        return [(dataset, name) for _, _, dataset, name in sorted(ranked)[:count]]

    def windows_of(self, kind: str) -> str:
        """The datasets whose windows are `cut`, `posed` or `adopted`, as a wildcard's pattern."""
        return one_of(name for name, dataset in self.datasets.items() if getattr(dataset, kind))

    @property
    def has_items(self) -> bool:
        """Whether the run has a ledger at all: of recordings, or of what comes from elsewhere."""
        return bool(self.chosen or self.excluded or self.ledgers())

    def _chosen(self, recordings: Iterable[str]) -> list[str]:
        return [name for name in recordings if not self.only or name in self.only]

    def _per_recording(self, pattern: str) -> list[str]:
        return [pattern.format(rig=r.rig, recording=r.name) for r in self.chosen]

    def _conformed(self, kind: str) -> list[str]:
        pattern = self.path.conform_ledger(kind)
        return [
            pattern.format(rig=r.rig, recording=r.name, **{kind: name})
            for r in self.chosen
            for name in (r.cameras if kind == "camera" else r.microphones)
        ]

    def _landmarks(self, *, ledger: bool = False) -> list[str]:
        pattern = self.path.landmarks_ledger() if ledger else self.path.landmarks()
        found = {
            pattern.format(rig=dataset.rig, recording=name, camera=dataset.camera, landmarks=dataset.landmarks): None
            for dataset in self.datasets.values()
            for name in self._chosen(dataset.cut)
        }
        return list(found)

    def _windows(self) -> list[str]:
        return [
            self.path.windows("index.parquet").format(dataset=dataset.name, recording=name)
            for dataset in self.datasets.values()
            for name in self._chosen(dataset.own)
        ]

    def _datasets(self) -> list[str]:
        found = []
        for dataset in self.datasets.values():
            if not dataset.recordings:
                continue
            names = ["index.parquet", "lm_mean.npy"]
            for form, folder in FOLDERS.items():
                if form in dataset.formats:
                    names += [folder.format(split=split) for split in dataset.split_names]
            found += [self.path.dataset(name).format(dataset=dataset.name) for name in names]
        return found


def for_targets(given: Mapping[str, Any], arguments: Collection[str]) -> dict[str, Any]:
    """Snakemake's config for the targets among the arguments of its command line: `folder` is for `scan` alone."""
    return {name: value for name, value in given.items() if name != "folder" or "scan" in arguments}


def load(given: Mapping[str, Any]) -> Plan:
    """The plan of a run from Snakemake's config. Raises ConfigError before anything is made."""
    config = load_config(dict(given))
    config["publish"] = store_prefix(config["publish"])
    rigs = {name: make_rig(name, entry, config["media"]) for name, entry in config["rigs"].items()}
    for kind in ("rigs", "datasets"):
        check_folders(config[kind], kind)
    check_models_dir(config["models_dir"])
    if config["folder"] or (config["audio_dir"] and not Path(config["recordings"]).exists()):
        # `snakemake scan` proposes a sheet, so it works without one, and with one that no longer fits.
        return _without_recordings(config, rigs)
    listed = read_recordings(Path(config["recordings"]), rigs)
    exclude = Path(config["exclude"])
    # Only the default may be missing: what a person has ruled out must not come back by a slip of the pen.
    needed = config["exclude"] != schema("config")["properties"]["exclude"]["default"]
    exclusions = read_exclusions(exclude, listed) if needed or os.path.lexists(exclude) else {}
    excluded = [e for several in exclusions.values() for e in several if e.whole]
    gone = {exclusion.recording for exclusion in excluded}
    recordings = {name: recording for name, recording in listed.items() if name not in gone}
    only = (config["only"],) if isinstance(config["only"], str) else tuple(config["only"])
    check_names(only, listed, "only")
    for exclusion in excluded:
        if exclusion.recording in only:
            raise ConfigError(f"only: {exclusion.recording} is excluded by {config['exclude']} ({exclusion.reason})")
    weights = read_weights(Path(config["weights"]))
    kinds = {"windows": make_datasets, "poses": make_pose_datasets}
    datasets: dict[str, Dataset] = {}
    for kind, make in kinds.items():
        entries = {name: entry for name, entry in config["datasets"].items() if entry["kind"] == kind}
        if not config["faces"]["sync"]["model"]:
            entries = {name: without_sync(entry) for name, entry in entries.items()}
        datasets |= make(entries, rigs, recordings.values())
    adopted = (speaker for dataset in datasets.values() for speaker in dataset.adopted)
    check_names(config["known_failures"], [*listed, *adopted], "known_failures")
    only = tuple(name for name in only if name)
    plan = Plan(
        config=config,
        path=Paths(results_folder(config), reports_folder(only)),
        rigs=rigs,
        recordings=recordings,
        exclusions=exclusions,
        excluded=excluded,
        datasets=datasets,
        weights=weights,
        only=only,
        site=read_site(SITE_FOLDER, os.environ),
        idle=tuple(idle_datasets(config, {recording.rig for recording in recordings.values()})),
    )
    return _with_rooms(plan)


def _without_recordings(config: dict[str, Any], rigs: dict[str, Rig]) -> Plan:
    site = read_site(SITE_FOLDER, os.environ)
    return _with_rooms(Plan(config, Paths(results_folder(config)), rigs, {}, {}, [], {}, {}, (), site))


def _with_rooms(plan: Plan) -> Plan:
    """The plan with its rooms; a room may ask for those before it."""
    for name, room in ROOMS.items():
        plan.rooms[name] = room(plan)
    return plan
