"""The GPU's path: what can be checked without one, and what needs one (`make gpu`)."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from harness.errors import MachineError
from harness.judge.gpu import memory_comes_back, probe_cuda
from harness.judge.isolation import Sandbox
from harness.judge.isolation.bubblewrap import _view
from harness.judge.isolation.launch import Launch
from harness.judge.machine import describe
from harness.judge.session import Session, Setting, Staged
from harness.rules import Rules
from harness.staging import Target, staged
from tests.conftest import MakePackage

HAS_GPU = os.path.exists("/dev/nvidiactl") and importlib.util.find_spec("pynvml") is not None
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="no NVIDIA GPU, or no nvidia-ml-py")

ON_GPU = """
import torch

def load(device):
    weight = torch.ones(3, device=device)
    assert weight.is_cuda

    def predict(crops):
        return [int((torch.tensor(crop, device=device).float() @ weight).sum().item()) % 6 for crop in crops]
    return predict
"""


@pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_one_clear_line() -> None:
    with pytest.raises(MachineError, match="--device cuda: expected") as caught:
        describe("cuda", 2)
    assert caught.value.kind == "device"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_device_nodes_are_in_sight_on_cuda_alone(device: str, the_rules: Rules) -> None:
    view = _view(Launch("worker/__main__.py", (), Path("/nowhere"), (), the_rules.limits, 1, device))
    assert ("/dev/nvidiactl" in view) == (device == "cuda")


@pytest.mark.gpu
@needs_gpu
def test_the_gpu_is_named_in_the_record() -> None:
    machine = describe("cuda", 2)
    assert machine.gpu
    assert machine.driver
    assert machine.gpu in machine.name()


@pytest.mark.gpu
@needs_gpu
def test_a_package_answers_from_the_gpu_inside_the_sandbox(
    sandbox: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    crop = np.ones((4, 5, 3), np.uint8)
    with staged(make_package("gpu", ON_GPU), target, the_rules.limits) as (_, folder):
        setting = Setting(sandbox, the_rules.limits, "cuda", 2, 1 << 16)
        with Session(Staged("gpu", folder, 6), setting) as session:
            session.load()
            session.classify([crop])
            assert session.classify([crop]).labels.tolist() == [60 % 6]


def test_a_sandbox_without_cuda_is_said_with_what_to_do(strongest: Sandbox, the_rules: Rules) -> None:
    if HAS_GPU:
        probe_cuda(strongest, the_rules.limits)
        return
    with pytest.raises(MachineError, match=r"expected CUDA in the sandbox .*; \S") as caught:
        probe_cuda(strongest, the_rules.limits)
    assert caught.value.kind == "device"


@pytest.mark.gpu
@needs_gpu
def test_memory_is_the_drivers_again_after_a_kill(
    strongest: Sandbox, the_rules: Rules, target: Target, make_package: MakePackage
) -> None:
    source = ON_GPU.replace("def load(device):", "def load(device):\n    torch.empty(1 << 30, device=device)")
    with (
        staged(make_package("large", source), target, the_rules.limits) as (_, folder),
        memory_comes_back("cuda"),
        Session(Staged("large", folder, 6), Setting(strongest, the_rules.limits, "cuda", 2, 1 << 16)) as session,
    ):
        session.load()
