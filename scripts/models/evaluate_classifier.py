"""The runs of a classifier side by side: what its subject split says, and what a random split would have claimed."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import figure
from scripts.common.job import run
from scripts.models.labelled_samples import FOLD, RANDOM, WHOLE

MEASURES = ("accuracy", "balanced_accuracy", "macro_f1")
NAMES = {WHOLE: "split of the dataset", RANDOM: "random split: leaks", "folds": "folds of subjects, mean"}


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
    return found


def evaluate_classifier(metrics: list[Path], out_metrics: Path, out_plot: Path, *, model: str, runs: list[str]) -> None:
    """Merge the figures of every run. metrics: one file a run, in the order of `runs`."""
    read = {name: json.loads(file.read_text()) for name, file in zip(runs, metrics, strict=True)}
    found = side_by_side(read)
    failed = sorted(name for name, content in read.items() if content.get("failed"))
    content = {"model": model, "test": found, "runs": read, "failed": failed}
    out_metrics.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    shown = [name for name in (WHOLE, "folds", RANDOM, "majority") if name in found]
    if not shown:
        figure.write_notice(out_plot, f"{model}: no run ended well; the ledger says why.")
        return
    with figure.svg_figure(out_plot, 7, 0.8 + 0.6 * len(shown)) as canvas:
        axes = canvas.add_subplot()
        colours = (figure.BLUE, figure.SKY, figure.PALE)
        place = np.arange(len(shown))[::-1]
        for number, (measure, colour) in enumerate(zip(MEASURES, colours, strict=True)):
            values = [found[name][measure] for name in shown]
            label = measure.replace("_", " ")
            bars = axes.barh(place + 0.25 * (1 - number), values, 0.24, color=colour, label=label)
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7)
        axes.set_yticks(place, [NAMES.get(name, "majority class") for name in shown])
        axes.set(xlim=(0, 1.1), title=f"{model}: on what it did not learn from")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)


if __name__ == "__main__":
    run(evaluate_classifier)
