"""Every path of the results that more than one room knows; what a single room makes is named in its own plan."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paths:
    """Every path below the results folder. Patterns hold wildcards; `.format(…)` fills them in."""

    results: str
    reports: str = "reports"

    def video(self, stage: str) -> str:
        """The video of a camera in stage media or conformed."""
        return f"{self.results}/{stage}/{{rig}}/{{recording}}/{{camera}}.mp4"

    def frames(self, stage: str) -> str:
        """The frame table of a camera."""
        return f"{self.results}/{stage}/{{rig}}/{{recording}}/{{camera}}.frames.parquet"

    def sound(self, stage: str) -> str:
        """The sound of a microphone."""
        return f"{self.results}/{stage}/{{rig}}/{{recording}}/{{microphone}}.wav"

    def clock(self, stage: str) -> str:
        """The clock of a microphone."""
        return f"{self.results}/{stage}/{{rig}}/{{recording}}/{{microphone}}.clock.json"

    def manifest(self) -> str:
        """What the import of a recording saw, took and skipped."""
        return f"{self.results}/media/{{rig}}/{{recording}}/manifest.json"

    def export_ledger(self) -> str:
        """The ledger of a recording's import."""
        return f"{self.results}/media/{{rig}}/{{recording}}/export.ledger.parquet"

    def conform_ledger(self, kind: str) -> str:
        """The ledger of a conformed stream; kind: "camera" or "microphone"."""
        ending = {"camera": "video", "microphone": "sound"}[kind]
        return f"{self.results}/conformed/{{rig}}/{{recording}}/{{{kind}}}.{ending}.ledger.parquet"

    def landmarks(self) -> str:
        """The landmarks of a camera, by one back end."""
        return f"{self.results}/faces/{{rig}}/{{recording}}/{{camera}}.{{landmarks}}.landmarks.npz"

    def landmarks_ledger(self) -> str:
        """The ledger of a camera's landmarks."""
        return f"{self.results}/faces/{{rig}}/{{recording}}/{{camera}}.{{landmarks}}.ledger.parquet"

    def weights(self) -> str:
        """A weight file, verified."""
        return f"{self.results}/models/{{weights}}"

    def windows(self, what: str) -> str:
        """Of one recording in a dataset: index.parquet, ledger.parquet or stats.npz."""
        return f"{self.results}/datasets/{{dataset}}/windows/{{recording}}.{what}"

    def npz(self) -> str:
        """The folder of a recording's windows."""
        return f"{self.results}/datasets/{{dataset}}/npz/{{recording}}"

    def dataset(self, name: str) -> str:
        """A file of the whole dataset."""
        return f"{self.results}/datasets/{{dataset}}/{name}"

    def report(self, name: str) -> str:
        """A file that a person looks at."""
        return f"{self.results}/{self.reports}/{name}"

    @property
    def log_folder(self) -> str:
        """Where every log is."""
        return f"{self.results}/logs"

    def log(self, rule: str, item: str = "all") -> str:
        """The log of a job."""
        return f"{self.log_folder}/{rule}/{item}.log"

    def benchmark(self, rule: str, item: str = "all") -> str:
        """Run time and memory of a job."""
        return f"{self.results}/benchmarks/{rule}/{item}.tsv"
