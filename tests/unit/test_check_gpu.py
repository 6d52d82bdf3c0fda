"""Which build of torch runs on which GPU, and what is said if it does not."""

import json
from types import SimpleNamespace

import pytest

from scripts.cameras.check_gpu import check_gpu, look
from scripts.cameras.runs_on import runs_on
from scripts.common.errors import RunError

OLD = ["sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
NEW = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.mark.parametrize(
    ("built_for", "device", "env", "wanted"),
    [
        (OLD, (6, 0), "cuda-legacy", "runs"),
        (OLD, (6, 1), "cuda-legacy", "runs"),  # P40: machine code of sm_60
        (OLD, (8, 9), "cuda-legacy", "runs"),  # L40S: machine code of sm_86
        (OLD, (12, 0), "cuda-legacy", "set accelerator: cuda"),
        (["sm_70", "sm_80"], (8, 9), "cuda-legacy", "runs"),
        (["sm_86"], (8, 0), "cuda", "set accelerator: cuda-legacy"),  # a minor number does not go down
        (NEW, (9, 0), "cuda", "runs"),
        (NEW, (12, 1), "cuda", "runs"),
        (NEW, (13, 0), "cuda", "runs"),  # translated from compute_120
        (NEW, (7, 0), "cuda", "set accelerator: cuda-legacy"),  # V100
        (NEW, (6, 1), "cuda", "set accelerator: cuda-legacy"),
        (OLD, (5, 2), "cuda-legacy", "set accelerator: cpu"),  # nobody builds for Maxwell any more
        (["sm_90a"], (9, 0), "cuda", "runs"),
        ([], (9, 0), "cuda", "made for no GPU; set accelerator: cuda-legacy"),
        (["gfx90a"], (9, 0), "cuda", "made for gfx90a"),
    ],
)
def test_a_build_runs_where_its_code_does_and_else_the_env_that_runs_is_named(built_for, device, env, wanted):
    verdict = runs_on(built_for, device, free_mb=8000, wanted_mb=4000, env=env)
    assert wanted in verdict.message
    assert verdict.ok == (wanted == "runs")


def test_a_gpu_that_is_taken_is_said_with_both_numbers():
    verdict = runs_on(NEW, (9, 0), free_mb=1200, wanted_mb=4000, env="cuda")
    assert not verdict.ok
    assert "1,200 MB are free, 4,000 are wanted" in verdict.message


def test_without_an_accelerator_there_is_nothing_to_check(tmp_path):
    check_gpu(tmp_path / "gpu.json", accelerator="cpu", wanted_mb=4000)
    assert json.loads((tmp_path / "gpu.json").read_text())["message"] == "accelerator: cpu asks for no GPU"


def test_a_node_without_a_gpu_is_one_line(tmp_path):
    with pytest.raises(RunError, match=r"accelerator: cuda: torch .* sees no GPU"):
        check_gpu(tmp_path / "gpu.json", accelerator="cuda", wanted_mb=4000)


class Device:
    """A CUDA device of torch's, on the CPU."""

    def __init__(self, capability=(9, 0), fault=None):
        import torch

        self.cuda = SimpleNamespace(
            is_available=lambda: True,
            get_device_capability=lambda _: capability,
            mem_get_info=lambda _: (8e9, 9e9),
            get_device_name=lambda _: "H100",
            get_arch_list=lambda: NEW,
        )
        self.version = torch.version
        self.__version__ = torch.__version__
        self.float32, self.arange, self.equal = torch.float32, torch.arange, torch.equal
        self._calls = 0

        def conv2d(pictures, weights):
            self._calls += 1
            if self._calls == 2 and fault:
                raise RuntimeError(fault)
            right = torch.nn.functional.conv2d(pictures, weights)
            return right + (self._calls == 2 and fault == "")

        self.nn = SimpleNamespace(functional=SimpleNamespace(conv2d=conv2d))


@pytest.fixture
def on_cpu(monkeypatch):
    """What goes to the device stays where it is."""
    import torch

    stay = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *a, **k: self if a == ("cuda",) else stay(self, *a, **k))


@pytest.mark.torch
def test_one_convolution_decides(on_cpu):
    assert look(Device(), "cuda", 4000)["message"] == "H100: compute capability 9.0, 8,000 MB free: runs"
    with pytest.raises(RunError, match="H100: a convolution failed: no kernel image"):
        look(Device(fault="no kernel image"), "cuda", 4000)
    with pytest.raises(RunError, match="other numbers than on the CPU"):
        look(Device(fault=""), "cuda", 4000)
    with pytest.raises(RunError, match="set accelerator: cuda-legacy"):
        look(Device(capability=(6, 1)), "cuda", 4000)
