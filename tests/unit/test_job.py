"""The adaptor between a rule and its function, and what it leaves behind."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from scripts.common import atomic, job, ledger, sample_index
from scripts.common.clock import Clock
from scripts.common.empty import FOLDERS, WRITERS, write_empty
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.landmarks import Landmarks
from scripts.common.statistics import Moments
from tests.unit.examples import REPO

pytestmark = pytest.mark.usefixtures("here")


def copy(source: Path, out_text: Path, *, times: int = 1) -> None:
    """Write the source's text a few times."""
    out_text.write_text(source.read_text() * times)


def run_copy(function=copy, **settings):
    Path("in.txt").write_text("a")
    job.execute(function, inputs={"source": "in.txt"}, outputs={"text": "out/a.txt"}, settings=settings)
    return Path("out/a.txt").read_text()


def test_the_names_of_a_rule_are_the_arguments_of_its_function():
    assert run_copy(times=3) == "aaa"


def test_what_stands_under_the_final_name_is_written_elsewhere_first():
    seen = []

    def look(source: Path, out_text: Path) -> None:
        seen.append((out_text.parent, out_text.name.startswith(".part."), Path("out/a.txt").exists()))
        out_text.write_text("whole")

    assert run_copy(look) == "whole"
    assert seen == [(Path("out"), True, False)]
    assert os.listdir("out") == ["a.txt"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"tmes": 3}, "unknown ['tmes']"), ({"source": "x"}, "['source'] name an input and a param")],
)
def test_a_name_that_does_not_fit_is_an_error_before_any_work(settings, words):
    with pytest.raises(TypeError) as error:
        run_copy(**settings)
    assert words in str(error.value)
    assert not Path("out").exists()


def test_an_argument_that_the_rule_lacks_is_an_error_before_any_work():
    with pytest.raises(TypeError, match=r"copy wants \['source'\] that its rule lacks"):
        job.execute(copy, inputs={}, outputs={"text": "out/a.txt"}, settings={})
    assert not Path("out").exists()


def test_resources_are_passed_where_the_function_names_them():
    seen = {}

    def ask(out_text: Path, *, threads: int, tmpdir: Path) -> None:
        seen.update(threads=threads, tmpdir=tmpdir)
        out_text.touch()

    settings = {"threads": 2, "tmpdir": Path("/tmp"), "accelerator": "cpu"}
    job.execute(ask, inputs={}, outputs={"text": "a.txt"}, settings=settings)
    assert seen == {"threads": 2, "tmpdir": Path("/tmp")}


def test_lists_stay_lists_also_of_one_and_of_none():
    def gather(several: list[Path], one: list[Path], none: list[Path], out_parts: list[Path]) -> None:
        assert [several, one, none] == [[Path("a"), Path("b")], [Path("c")], []]
        for part in out_parts:
            part.touch()

    inputs = {"several": ["a", "b"], "one": "c", "none": []}
    job.execute(gather, inputs=inputs, outputs={"parts": ["x.mp4", "y.mp4"]}, settings={})
    assert sorted(os.listdir()) == ["x.mp4", "y.mp4"]


def test_an_optional_input_that_is_not_there_is_none():
    def take(given: Path | None, kept: Path | None, out_text: Path) -> None:
        assert (given, kept) == (None, Path("x"))
        out_text.touch()

    job.execute(take, inputs={"given": [], "kept": "x"}, outputs={"text": "a.txt"}, settings={})


def test_an_exception_leaves_nothing_and_keeps_what_stood_there():
    def fail(source: Path, out_text: Path) -> None:
        out_text.write_text("half")
        raise OSError(28, "No space left on device")

    assert run_copy() == "a"
    with pytest.raises(OSError, match="No space"):
        run_copy(fail)
    assert os.listdir("out") == ["a.txt"]
    assert Path("out/a.txt").read_text() == "a"


def test_an_output_that_was_not_written_is_an_error_and_publishes_none():
    def half(source: Path, out_first: Path, out_second: Path) -> None:
        out_first.touch()

    with pytest.raises(RunError, match=r"half did not write b\.txt"):
        job.execute(half, inputs={"source": "x"}, outputs={"first": "a.txt", "second": "b.txt"}, settings={})
    assert os.listdir() == []


def test_a_folder_replaces_a_folder_as_a_whole():
    def fill(out_folder: Path, *, name: str) -> None:
        out_folder.mkdir()
        (out_folder / name).touch()

    for name in ("old", "new"):
        job.execute(fill, inputs={}, outputs={"folder": "windows"}, settings={"name": name})
    assert os.listdir("windows") == ["new"]


def test_parts_of_killed_jobs_are_removed_whichever_machine_left_them():
    Path("out").mkdir()
    for part in (".part.node7-123.a.txt", ".part.some-host-1.a.txt"):
        (Path("out") / part).mkdir()
    run_copy()
    assert os.listdir("out") == ["a.txt"]


def test_parts_of_another_output_are_left_alone_whatever_its_name_ends_in():
    """A job of `b` must not take away what a job of `a.b` is writing beside it."""
    Path("out").mkdir()
    others = [atomic.part_path(Path("out") / name).name for name in ("b.a.txt", "a.txt.b", "x-1.a.txt")]
    for name in others:
        (Path("out") / name).touch()
    run_copy()
    assert sorted(os.listdir("out")) == sorted([*others, "a.txt"])


def test_a_host_with_dots_leaves_parts_that_are_found_again(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "node7.cluster.example")
    part = atomic.part_path(Path("a.b.txt"))
    part.touch()
    atomic.remove_old_parts(Path("a.b.txt"))
    assert not part.exists()


def export(
    bag: list[Path],
    out_frames: list[Path],
    out_clock: Path,
    out_video: Path,
    out_manifest: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: dict[str, dict[str, str]],
    microphones: dict[str, dict[str, str]],
) -> None:
    """Fail as an import of garbage does, after half of the work."""
    out_video.write_bytes(b"half")
    raise InputError("unreadable", "garbage.bag:\n  no index", value=3, limit=0)


def test_bad_input_becomes_whole_empty_outputs_and_one_failed_row_a_stream(caplog):
    job.execute(
        export,
        inputs={"bag": ["garbage.bag"]},
        outputs={
            "frames": ["left.frames.parquet", "right.frames.parquet"],
            "clock": "array.clock.json",
            "video": "left.mp4",
            "manifest": "manifest.json",
            "ledger": "export.ledger.parquet",
        },
        settings={"recording": "g", "cameras": {"left": {}, "right": {}}, "microphones": {"array": {}}},
    )
    assert len(FrameTable.read(Path("left.frames.parquet"))) == 0
    assert Clock.read(Path("array.clock.json")) == Clock.empty()
    assert Path("left.mp4").read_bytes() == b""
    rows = ledger.rows(ledger.read([Path("export.ledger.parquet")]))
    assert [row.item for row in rows] == ["left", "right", "array"]
    assert {(r.step, r.recording, r.outcome, r.reason, r.value, r.limit, r.message) for r in rows} == {
        ("export", "g", "failed", "unreadable", 3.0, 0.0, "garbage.bag: no index")
    }
    assert "garbage.bag: no index" in caplog.text
    assert len(os.listdir()) == 6


def test_a_step_of_one_stream_fails_as_that_stream_and_one_of_none_as_its_recording():
    def conform(out_ledger: Path, *, recording: str, camera: str) -> None:
        raise InputError("short", "too short")

    def cut(out_windows: Path, out_ledger: Path, *, recording: str) -> None:
        raise InputError("upstream", "no picture")

    settings = {"recording": "a.b"}
    job.execute(conform, inputs={}, outputs={"ledger": "1.ledger.parquet"}, settings={**settings, "camera": "left"})
    outputs = {"windows": "a.mp4", "ledger": "2.ledger.parquet"}
    job.execute(cut, inputs={}, outputs=outputs, settings=settings)
    assert ledger.read([Path("1.ledger.parquet"), Path("2.ledger.parquet")])["item"].to_pylist() == ["left", "a.b"]
    assert list(Path("a.mp4").iterdir()) == []


def test_bad_input_of_a_rule_without_a_ledger_is_an_error_of_the_run():
    def plot(out_plot: Path) -> None:
        raise InputError("empty", "nothing to plot")

    with pytest.raises(RunError, match="nothing to plot"):
        job.execute(plot, inputs={}, outputs={"plot": "a.svg"}, settings={})
    assert os.listdir() == []


READERS = {
    ".frames.parquet": lambda path: len(FrameTable.read(path)),
    ".clock.json": lambda path: Clock.read(path).samples,
    ".landmarks.npz": lambda path: len(Landmarks.read(path)),
    ".index.parquet": lambda path: sample_index.read(path).num_rows,
    ".stats.npz": lambda path: int(Moments.read(path).count.sum()),
    ".parquet": lambda path: pq.read_table(path).num_rows,
    ".mp4": lambda path: path.stat().st_size,
    ".wav": lambda path: path.stat().st_size,
}


@pytest.mark.parametrize("ending", WRITERS)
def test_every_empty_output_can_be_read_and_is_empty(ending):
    path = Path(f"x{ending}")
    write_empty(path, path.name)
    assert READERS.get(ending, lambda path: 0)(path) == 0
    assert path.exists()


def test_a_name_of_which_nothing_empty_is_known_is_an_error():
    with pytest.raises(ValueError, match=r"no empty form is known for x\.xyz"):
        write_empty(Path("x.xyz"), "x.xyz")


def test_inputs_and_outputs_without_a_name_are_an_error():
    from snakemake.iocontainers import InputFiles

    assert job.named(InputFiles(fromdict={"a": "1", "b": "2"})) == {"a": "1", "b": "2"}
    with pytest.raises(TypeError, match="needs a name"):
        job.named(InputFiles(["1"]))


def run_script(tmp_path, body, before=None):
    """Run a rule's script as Snakemake does: with an object `snakemake` in __main__. before: called in its process."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            from pathlib import Path
            from types import SimpleNamespace
            from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards
            from scripts.common.errors import InputError, RunError
            from scripts.common.job import run, log

            snakemake = SimpleNamespace(
                input=InputFiles(fromdict={"source": "in.txt"}), output=OutputFiles(fromdict={"text": "out.txt"}),
                params=Params(fromdict={"times": 2, "key": {"version": 1}}), log=Log(["logs/x.log"]), threads=1,
                wildcards=Wildcards(fromdict={"recording": "a"}), config={}, resources=ResourceList(fromdict={"x": 5}),
            )

            def double(source: Path, out_text: Path, *, times: int) -> None:
            """
        )
        + textwrap.indent(textwrap.dedent(body), "    ")
        + "\n\nrun(double)\n"
    )
    Path("in.txt").write_text("a")
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False, preexec_fn=before
    )


def test_a_log_without_room_brings_no_traceback(tmp_path):
    Path("logs").mkdir()
    Path("logs/x.log").symlink_to("/dev/full")
    done = run_script(tmp_path, 'log.info("at work")\nraise OSError(28, "No space left on device")')
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"double a: the disk is full ({os.getcwd()}): make room, then give the same command again  (log: logs/x.log)\n"
    )


def test_a_job_of_snakemake_runs_quietly(tmp_path):
    done = run_script(tmp_path, "out_text.write_text(source.read_text() * times)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Path("out.txt").read_text() == "aa"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ('raise RunError("the weights are missing")', "double a: the weights are missing  (log: logs/x.log)"),
        ("1 / 0", "double a: ZeroDivisionError: division by zero  (log: logs/x.log)"),
        (
            "raise KeyboardInterrupt",
            "double a: it was interrupted before it was done; the same command makes it again  (log: logs/x.log)",
        ),
        ("raise SystemExit", "double a: it was ended before it was done (SystemExit)  (log: logs/x.log)"),
        (
            'raise OSError(28, "No space left", "out.txt")',
            "double a: the disk is full (out.txt): make room, then give the same command again  (log: logs/x.log)",
        ),
    ],
)
def test_a_job_that_fails_says_why_in_one_line_and_the_log_says_it_last(tmp_path, body, line):
    done = run_script(tmp_path, body)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == line
    assert Path("logs/x.log").read_text().strip().endswith(f"FAILED {line}")
    assert not Path("out.txt").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_job_that_is_told_to_end_says_so_and_ends_by_that_signal(tmp_path, number):
    done = run_script(tmp_path, f"import os, time\nos.kill(os.getpid(), {number:d})\ntime.sleep(60)")
    line = (
        f"double a: it was told to end ({number.name}) before it was done; the same command makes it again"
        "  (log: logs/x.log)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", f"{line}\n")
    assert Path("logs/x.log").read_text().strip().endswith(f"FAILED {line}")
    assert not Path("out.txt").exists()


def test_a_job_whose_terminal_has_gone_ends_all_the_same(tmp_path):
    body = """
        import os, signal, time
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 2)
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(60)
        except Exception:
            out_text.write_text("it lives")
    """
    assert run_script(tmp_path, body).returncode == -signal.SIGHUP
    assert "it was told to end (SIGHUP)" in Path("logs/x.log").read_text()
    assert not Path("out.txt").exists()


def test_processes_of_a_job_that_is_told_to_end_say_nothing(tmp_path):
    body = """
        import os, signal, sys, time
        child = os.fork()
        if child == 0:
            time.sleep(60)
        time.sleep(0.2)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        out_text.write_text("done")
    """
    done = run_script(tmp_path, body)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_job_that_nohup_protects_lives_on(tmp_path):
    body = """
        import os, signal
        os.kill(os.getpid(), signal.SIGHUP)
        out_text.write_text("done")
    """
    done = run_script(tmp_path, body, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_script_that_is_run_by_hand_says_how_it_is_run():
    script = REPO / "scripts" / "datasets" / "split_dataset.py"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr == "split_dataset is run by its Snakemake rule; call the function itself from Python.\n"


def test_folders_are_outputs_of_rules():
    assert {"out_windows", "out_folder", "out_checkpoints", "out_tf_logs", "out_val_samples"} == FOLDERS


def test_progress_is_said_now_and_then(caplog, monkeypatch):
    caplog.set_level("INFO", logger="rushes")
    clock = iter([0.0, 11.0, 12.0, 23.0])
    monkeypatch.setattr(job, "_last_progress", [0.0])
    monkeypatch.setattr(job, "_begun", {})
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for done in (1, 50, 51, 100):
        job.progress(done, 100)
    said = [record.message for record in caplog.records]
    assert said == ["50 of 100 (50%) frames, 4.45/s, 11 s left", "100 of 100 (100%) frames, 4.3/s, 0 s left"]


def test_what_an_earlier_job_made_does_not_make_this_one_look_fast():
    said = job.progress_line(10, 10.0, 910, 1000, "items", "2 timeout")
    assert said == "910 of 1000 (91%) items, 1/s, 2 min left, 2 timeout"
    assert job.progress_line(0, 0.0, 5, None, "files") == "5 files"


def test_text_is_written_atomically():
    atomic.write_text(Path("a.txt"), "x")
    atomic.write_text(Path("a.txt"), "y")
    assert (os.listdir(), Path("a.txt").read_text()) == (["a.txt"], "y")


def test_numbers_of_numpy_fit_into_a_ledger():
    row = ledger.Row("s", "r", "i", "filtered", "x", value=np.float64(1.5), limit=np.int64(2))  # type: ignore[arg-type]
    ledger.write(Path("a.parquet"), [row])
    assert ledger.read([Path("a.parquet")])["limit"].to_pylist() == [2.0]
