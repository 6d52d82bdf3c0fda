"""Snakemake, loaded once: reads requests as JSON lines, and answers each from a fork of itself.

A request is {"folder": working directory, "arguments": command line, "output": file for stdout and stderr}; the
answer is the exit status. A dry run of an archive takes less time than the loading of Snakemake.
"""

import json
import os
import sys

import jsonschema  # noqa: F401 - each dry run imports it
import smart_open  # noqa: F401
import snakemake.cli


def answer(folder: str, arguments: list[str], output: str) -> None:
    """Run Snakemake's command line in this process, and end it."""
    os.chdir(folder)
    for stream in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["snakemake", *arguments]
    snakemake.cli.main(arguments)


def main() -> None:
    """Answer until there is no request left."""
    snakemake.cli.get_argument_parser()  # loads every plugin
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            answer(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
