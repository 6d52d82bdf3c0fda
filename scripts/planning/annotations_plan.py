"""The annotations of datasets of shards: what is found out about clips after they are cut. Pure but for `stat`."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.common.errors import ConfigError
from scripts.common.names import instead_of, is_stream_name, nearest
from scripts.common.sample_columns import is_ours
from scripts.common.versions import LOT_METHODS
from scripts.planning.config import checked, kinds, rational, schema
from scripts.planning.faces_plan import FacesRoom

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

SECTION = "annotations"
# Each kind has a rule and a script of this name, and needs these files.
RULES = {
    "optical_flow": "compute_flow",
    "frames": "extract_clip_frames",
    "embeddings": "embed_clips",
    "captions": "caption_clips",
    "transcripts": "transcribe_clips",
    "landmarks": "find_clip_landmarks",
}
FILES = {"embeddings": ("model",), "captions": ("model", "vocabulary"), "transcripts": ("model",)}
# What each adds to the json of a sample, behind its name.
COLUMNS = {
    "compute_flow": ("_mean_px", "_px"),
    "extract_clip_frames": ("_count",),
    "embed_clips": ("",),
    "caption_clips": ("",),
    "transcribe_clips": ("", "_language", "_segments"),
    "find_clip_landmarks": ("_frames", "_tracks"),
}


@dataclass(frozen=True)
class Annotation:
    """An annotation of a dataset. rule: which makes it; files: models and the like, watched as inputs."""

    name: str
    rule: str
    settings: dict[str, Any]
    files: tuple[str, ...]

    @property
    def version(self) -> int:
        """Of its rule's method: a higher one makes again what an older method has made."""
        return LOT_METHODS[self.rule]

    @property
    def columns(self) -> list[str]:
        """What it adds to the json of a sample."""
        return [] if self.settings.get("into") == "file" else [self.name + end for end in COLUMNS[self.rule]]


def with_faces(annotation: Annotation, plan: "Plan") -> Annotation:
    """An annotation of landmarks with the search and the weights of the section `faces`; any other as it is."""
    if annotation.rule != RULES["landmarks"]:
        return annotation
    faces, backend = plan.rooms["faces"], annotation.settings["landmarks"]
    assert isinstance(faces, FacesRoom)
    for name in faces.weight_files(backend):
        if name not in plan.weights:
            raise ConfigError(f"{plan.config['weights']}: `{name}`, for the landmarks of clips, is missing")
    files = tuple(plan.path.weights().format(weights=name) for name in faces.weight_files(backend))
    search = {"backend": backend, **faces.searches[backend]}
    return replace(annotation, settings={"search": search, "cuts": plan.config["faces"]["cuts"]}, files=files)


def make_annotations(dataset: str, entry: dict[str, Any]) -> list[Annotation]:
    """The annotations of a dataset's checked entry, by name. Raises ConfigError for what cannot be made."""
    made = []
    for name, given in sorted(entry[SECTION].items()):
        place = f"datasets.{dataset}.{SECTION}.{name}"
        if not is_stream_name(name):
            raise ConfigError(f"{place}: the name ends members of samples; {instead_of(name, '_')}")
        if not isinstance(given, dict) or "kind" not in given:
            raise ConfigError(f"{place}: the key `kind` is missing; known: {', '.join(kinds(SECTION))}")
        kind = given["kind"]
        if kind not in kinds(SECTION):
            raise ConfigError(f"{place}.kind: there is no `{kind}`{nearest(str(kind), kinds(SECTION))}")
        settings = checked(given, schema(f"{SECTION}.{kind}"), place)
        if settings.get("fps"):
            settings["fps"] = rational(settings["fps"], f"{place}.fps")
        files = [settings[key] for key in FILES.get(kind, ())]
        for key, file in zip(FILES.get(kind, ()), files, strict=True):
            if not os.path.exists(file):
                raise ConfigError(f"{place}.{key}: {file!r} does not exist")
        if "video" not in entry["encode_formats"]:
            raise ConfigError(f"{place}: it looks at clips as mp4; add `video: mp4` to encode_formats")
        made.append(Annotation(name, RULES[kind], settings, tuple(files)))
    _check_columns(made, f"datasets.{dataset}.{SECTION}")
    return made


def _check_columns(annotations: list[Annotation], place: str) -> None:
    """No two annotations, and none and we, call a column alike: one of them would be lost."""
    makers: dict[str, str] = {}
    for annotation in annotations:
        for column in annotation.columns:
            if is_ours(column):
                raise ConfigError(
                    f"{place}.{annotation.name}: samples have a column `{column}` of their own; call it otherwise,"
                    f" e.g. `model_{annotation.name}`"
                )
            if column in makers:
                raise ConfigError(
                    f"{place}.{annotation.name}: its column `{column}` is one of `{makers[column]}`, too;"
                    " call it otherwise"
                )
            makers[column] = annotation.name
