"""The runs of a classifier side by side: what its subject split says, and what a random split would have claimed."""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import figure, json_file
from scripts.common.job import run
from scripts.models.labelled_samples import FOLD, RANDOM, WHOLE

MEASURES = ("accuracy", "balanced_accuracy", "macro_f1")
# What a random split claims beyond what the split of the dataset says.
TOO_MUCH = "claimed_too_much"
NAMES = {
    WHOLE: "split of the dataset",
    RANDOM: "random split: leaks",
    "folds": "folds of subjects, mean",
    "majority": "majority class",
    TOO_MUCH: "claimed too much",
}


def side_by_side(runs: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Figures of `test` by kind of split; of folds the mean, and the standard deviation as `…_std`.

    runs: run -> its metrics; one that failed is left out.  The majority class is that of the dataset's own split.
    """
    sound = {name: metrics["test"] for name, metrics in runs.items() if not metrics.get("failed")}
    found = {name: {m: sound[name][m] for m in MEASURES} for name in (WHOLE, RANDOM) if name in sound}
    folds = [test for name, test in sound.items() if name.startswith(FOLD)]
    if folds:
        found["folds"] = {m: float(np.mean([test[m] for test in folds])) for m in MEASURES}
        found["folds"] |= {f"{m}_std": float(np.std([test[m] for test in folds])) for m in MEASURES}
    if WHOLE in sound:
        found["majority"] = sound[WHOLE]["majority"]
    if WHOLE in found and RANDOM in found:
        found[TOO_MUCH] = {m: found[RANDOM][m] - found[WHOLE][m] for m in MEASURES}
    return found


def claim(found: dict[str, dict[str, float]]) -> str:
    """What a random split would have claimed, in two lines; "" where there is none to compare."""
    if TOO_MUCH not in found:
        return ""
    said, true = found[RANDOM]["balanced_accuracy"], found[WHOLE]["balanced_accuracy"]
    return (
        f"A random split of frames would have claimed {said:.2f} balanced accuracy;\n"
        f"the split of the dataset says {true:.2f}."
    )


def write_table(path: Path, found: dict[str, dict[str, float]]) -> None:
    """A row a kind of split, and what the random one claims beyond that of the dataset."""
    lines = ["\t".join(["split", *(measure.replace("_", " ") for measure in MEASURES)])]
    for name, figures in found.items():
        lines.append("\t".join([NAMES[name], *(f"{figures[measure]:.3f}" for measure in MEASURES)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def evaluate_classifier(
    metrics: list[Path], out_metrics: Path, out_table: Path, out_plot: Path, *, model: str, runs: list[str]
) -> None:
    """Merge the figures of every run. metrics: one file a run, in the order of `runs`."""
    read = {name: json_file.read(file) for name, file in zip(runs, metrics, strict=True)}
    found = side_by_side(read)
    failed = sorted(name for name, content in read.items() if content.get("failed"))
    content = {"model": model, "test": found, "runs": read, "failed": failed}
    json_file.write(out_metrics, content)
    write_table(out_table, found)
    shown = [name for name in (WHOLE, "folds", RANDOM, "majority") if name in found]
    if not shown:
        figure.write_notice(out_plot, f"{model}: no run ended well; the ledger says why.")
        return
    with figure.svg_figure(out_plot, 7, 1.1 + 0.6 * len(shown)) as canvas:
        axes = canvas.add_subplot()
        colours = (figure.BLUE, figure.SKY, figure.PALE)
        place = np.arange(len(shown))[::-1]
        for number, (measure, colour) in enumerate(zip(MEASURES, colours, strict=True)):
            values = [found[name][measure] for name in shown]
            label = measure.replace("_", " ")
            bars = axes.barh(place + 0.25 * (1 - number), values, 0.24, color=colour, label=label)
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
        axes.set_yticks(place, [NAMES[name] for name in shown])
        title = "\n".join(filter(None, [f"{model}: on what it did not learn from", claim(found)]))
        axes.set(xlim=(0, 1.1), title=title)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)


if __name__ == "__main__":
    run(evaluate_classifier)
