"""Frames that are in no sequence of a clip classifier, as rows and figures; and classes that a split of a run lacks."""

import logging
from collections.abc import Mapping, Sequence

from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.models.labelled_samples import WHOLE, Rest

log = logging.getLogger("rushes")
# A bout that is shorter than a sequence, and what is left of a longer one behind its last sequence.
SHORT, REMAINDER = "short_bout", "rest_of_bout"


def rows_of(step: str, item: str, rests: Sequence[Rest], span: int) -> list[ledger.Row]:
    """A row a class and reason; value: frames."""
    found: dict[tuple[str, str], list[int]] = {}
    for rest in rests:
        found.setdefault((rest.label, SHORT if rest.whole else REMAINDER), []).append(rest.frames)
    return [
        ledger.Row(
            step,
            "",
            f"{item} {label} {reason}",
            "filtered",
            reason,
            float(sum(counts)),
            float(span),
            f"`{label}`: {sum(counts)} frames of {len(counts)} bouts are in no sequence, which spans {span} frames",
        )
        for (label, reason), counts in sorted(found.items())
    ]


def frames_of(rests: Sequence[Rest]) -> dict[str, dict[str, int]]:
    """By class: frames that are in no sequence, and bouts of which no frame is in one."""
    found = {label: {"frames": 0, "whole_bouts": 0} for label in sorted({rest.label for rest in rests})}
    for rest in rests:
        found[rest.label]["frames"] += rest.frames
        found[rest.label]["whole_bouts"] += rest.whole
    return found


def check_samples(model: str, run: str, labels: Mapping[str, Sequence[str]], rests: Sequence[Rest], span: int) -> None:
    """Say which classes a run cannot learn or be asked about. labels: split -> label of each of its samples.

    Raises InputError where a split has no sample, or the training shows a single class.
    """
    hint = f"; {span} frames in a row make one: see models.{model}.frames and step" if rests else ""
    for name, own in labels.items():
        if not own:
            raise InputError("no_samples", f"{model}, {run}: no sample stands in split {name}{hint}")
    if len(set(labels["train"])) < 2:
        raise InputError("one_class", f"{model}, {run}: the training shows {len(set(labels['train']))} class{hint}")
    shown = {label for own in labels.values() for label in own}
    # The runs of a model have the same sequences: that of the dataset's split speaks for all.
    nowhere = sorted({rest.label for rest in rests} - shown) if run == WHOLE else []
    if nowhere:
        log.warning("%s: no bout of %s is as long as a sequence%s", model, ", ".join(nowhere), hint)
    lacking = {name: sorted(shown - set(own)) for name, own in labels.items()}
    parts = [f"{name} lacks {', '.join(missing)}" for name, missing in lacking.items() if missing]
    if parts:
        log.warning("%s, %s: %s", model, run, "; ".join(parts))
