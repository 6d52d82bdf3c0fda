"""python -m docs.pictures: make the pictures of the docs again, from the demo's config and its report.

Wants `dot` (graphviz) and `chromium` on the PATH, and a demo that has run.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
REPO = DOCS.parent
REPORT = REPO / "demo" / "results" / "reports" / "report.html"
CONFIG = ["--configfile", "config/demo.yaml"]
STAGES = {
    "sources": "#d7e8f4",
    "media": "#dff0d8",
    "faces": "#fbe5cd",
    "cameras": "#cfe9e4",
    "labels": "#fdf3c7",
    "datasets": "#ece2f0",
    "models": "#f4d9d9",
    "reports": "#eeeeee",
}


# Rule files that are part of a stage of another name.
PARTS = {
    "media": ("exports", "exports_forms", "spectrogram"),
    "cameras": ("keypoints",),
    "datasets": ("shards", "annotations", "frames"),
    "reports": ("publish",),
}


def draw_dag(target: Path) -> None:
    """The graph of the rules, coloured by stage, as SVG."""
    # What stands behind a checkpoint is known once that is made: with --forceall, or before the demo, it is not.
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "--rerun-triggers", "mtime", *CONFIG]
    graph = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout
    graph = graph[graph.index("digraph") :]
    stages = {rule: stage for stage in STAGES for rule in _rules(stage)}
    graph = re.sub(
        r'label = "(\w+?)", color = "[^"]*", style="rounded[^"]*"',
        lambda found: f'label = "{found[1]}", style="rounded,filled", fillcolor="{_colour(found[1], stages)}"',
        graph,
    )
    graph = graph.replace("digraph snakemake_dag {", "digraph rushes { rankdir=LR; nodesep=0.15; ranksep=0.4;", 1)
    subprocess.run(["dot", "-Tsvg", "-o", str(target)], input=graph, text=True, check=True)


def _rules(stage: str) -> list[str]:
    files = [REPO / "rules" / f"{name}.smk" for name in (stage, *PARTS.get(stage, ()))]
    text = "".join(file.read_text() for file in files)
    return re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.M) + re.findall(r'f"(\w+_)\{', text)


def _colour(rule: str, stages: dict[str, str]) -> str:
    for name, stage in stages.items():
        if rule == name or (name.endswith("_") and rule.startswith(name)):
            return STAGES[stage]
    return "white"


# Opens a category of the report and its first result, as a reader would.
CLICKS = """<script>
const named = text => [...document.querySelectorAll("*")].filter(e => e.textContent.trim() === text).pop();
setTimeout(() => named("Ledger").click(), 1000);
setTimeout(() => document.querySelector("table a, table button").click(), 2500);
</script></body>"""


def photograph_report(target: Path) -> None:
    """The report's plot of items kept and rejected, as PNG."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "report.html"
        before, _, after = REPORT.read_text().rpartition("</body>")
        page.write_text(before + CLICKS + after)
        quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        size = ["--window-size=1400,760", "--virtual-time-budget=9000", f"--user-data-dir={scratch}/profile"]
        command = ["chromium", *quiet, *size, f"--screenshot={target}", page.as_uri()]
        subprocess.run(command, capture_output=True, check=True)


if __name__ == "__main__":
    draw_dag(DOCS / "dag.svg")
    photograph_report(DOCS / "report.png")
