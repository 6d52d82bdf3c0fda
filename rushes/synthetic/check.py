"""python -m rushes.synthetic.check RECORDINGS RESULTS: measure the demo's results against what is true."""

import argparse
import sys
from pathlib import Path

from rushes.synthetic import truth_table
from rushes.synthetic.demo import read_truth


def main(arguments: list[str] | None = None) -> int:
    """Write and print the truth table; returns 1 if a row does not hold."""
    parser = argparse.ArgumentParser(prog="python -m rushes.synthetic.check", description=__doc__.split(": ", 1)[1])
    parser.add_argument("recordings", type=Path, help="folder of the demo's recordings, with truth.json")
    parser.add_argument("results", type=Path, help="folder of what was made of them")
    chosen = parser.parse_args(arguments)
    table = chosen.results / "reports" / "truth.tsv"
    rows = truth_table.measure(read_truth(chosen.recordings), chosen.results)
    truth_table.write(rows, table)
    width = max(len(row.measure) for row in rows)
    for row in rows:
        print(
            f"{row.measure:<{width}}  {row.value:>10.4g} {row.unit:<7} limit {row.limit:<5g} {'ok' if row.ok else 'NO'}"
        )
    wrong = [row for row in rows if not row.ok]
    print(f"\n{len(rows) - len(wrong)} of {len(rows)} rows hold: {table}")
    print(f"results: {chosen.results}")
    print(f"report:  {chosen.results / 'reports' / 'report.html'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
