"""python -m rushes.synthetic FOLDER: make the demo recordings, unless they are there already."""

import argparse
import sys
from pathlib import Path

from rushes.synthetic.demo import make_demo


def main(arguments: list[str] | None = None) -> int:
    """Make the recordings; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rushes.synthetic", description=__doc__.split(": ", 1)[1])
    parser.add_argument("folder", type=Path, help="where the recordings and their truth.json go, e.g. demo/recordings")
    folder: Path = parser.parse_args(arguments).folder
    try:
        made = make_demo(folder)
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{folder}: {'made' if made else 'already there, nothing to do'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
