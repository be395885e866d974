"""A package of each kind is profiled whole: its counts, its times, its layers; what cannot be told is said."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.data.store import Store
from harness.errors import MachineError, SubmissionError
from harness.lab.export import opened
from harness.lab.profile import profile
from harness.lab.programs import folded, unfolded, write, write_torchscript
from harness.lab.subjects import Order
from harness.profile import Profile
from harness.rules import Rules
from harness.staging import Target, staged
from tests.conftest import ROOT
from tests.lab.test_export import BYTES, TABLE, write_random

Profiled = Callable[..., Profile]
MACS = 3 * 9 * 8 * 256 + 8 * 16 * 256 + 9 * 16 * 256 + 2 * 16 * 8 + 16 * 8 * 256 + 8 * 3  # of TABLE at 32 pixels


@pytest.fixture
def package(tmp_path: Path, tinted: Store) -> Path:
    """mbv3_cut with a table of two blocks at 32 pixels and random weights."""
    folder = tmp_path / "home" / "small"
    shutil.copytree(ROOT / "submissions" / "mbv3_cut", folder, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (folder / "mobilenetv3_cut.yaml").write_text(TABLE)
    write_random(folder, tinted)
    return folder


@pytest.fixture
def profiled(tinted: Store, the_rules: Rules) -> Profiled:
    def made(package: Path, crops: int = 4) -> Profile:
        target = Target("tinted", tinted.manifest.classes, digest=tinted.manifest.digest)
        with staged(package, target, the_rules.limits) as (described, folder):
            return profile(Order(package, folder, described, tinted, crops, 1), lambda *_: None)

    return made


def finished(package: Path, form: str, ending: str) -> Path:
    """The package's place for a file of this format, its manifest and classes."""
    folder = package.with_name(form)
    (folder / "weights").mkdir(parents=True)
    text = f'name = "{form}"\n[model]\nformat = "{form}"\n[input]\nsize = 32\n'
    (folder / "submission.toml").write_text(text)
    shutil.copy(package / "weights" / "tinted.json", folder / "weights")
    return folder / "weights" / f"tinted{ending}"


def test_a_trained_package_is_profiled_by_its_own_road(package: Path, profiled: Profiled) -> None:
    here, paths, modules, threads = Path.cwd(), sys.path[:], set(sys.modules), torch.get_num_threads()
    found = profiled(package)
    assert (found.package, found.size, found.crops, found.threads) == ("mbv3_cut", (32, 32), 4, 1)
    assert found.macs == found.cross_check == MACS == sum(layer.macs for layer in found.layers)
    assert found.parameters == sum(layer.parameters for layer in found.layers)
    assert found.prepare_ms is not None
    assert found.network_ms is not None
    assert found.answer_ms is not None
    assert not [note for note in found.notes if "busy" not in note]
    assert sum(layer.ms for layer in found.layers) + found.between_ms == pytest.approx(found.network_ms)
    assert all(layer.floor_ms is not None and layer.floor_ms <= layer.ms * (1 + 1e-9) for layer in found.layers)
    assert found.activation_bytes is not None
    assert found.activation_bytes > 4 * (3 * 32 * 32 + 16 * 16 * 16)
    assert (Path.cwd(), sys.path, torch.get_num_threads()) == (here, paths, threads)
    assert not {"predict", "model"} & (set(sys.modules) - modules)


@pytest.mark.parametrize(("form", "ending"), [("onnx", ".onnx"), ("openvino", ".xml"), ("torch.export", ".pt2")])
def test_a_finished_file_counts_as_the_network_that_it_was(
    form: str, ending: str, package: Path, tinted: Store, profiled: Profiled
) -> None:
    source = opened(package, tinted)
    path = finished(package, form, ending)
    net = unfolded(source.net) if form == "onnx" else folded(source.net)[0]
    write(net, form, path, source.input)  # type: ignore[arg-type]
    found = profiled(path.parent.parent)
    assert (found.macs, found.format, found.size) == (MACS, form, (32, 32))
    assert found.runtime.split()[0] in ("ONNX", "OpenVINO", "torch")
    assert found.layers
    assert found.network_ms is not None
    assert sum(layer.ms for layer in found.layers) + found.between_ms == pytest.approx(found.network_ms)
    assert found.activation_bytes is not None


def test_what_torchscript_does_not_tell_is_said(package: Path, tinted: Store, profiled: Profiled) -> None:
    source = opened(package, tinted)
    path = finished(package, "torchscript", ".pt")
    write_torchscript(source.net, path, source.input)
    found = profiled(path.parent.parent)
    assert found.macs is None
    assert found.layers == ()
    assert found.parameters == profiled(package).parameters
    assert "its graph is not read" in found.notes[0]
    assert found.network_ms is not None


def test_a_network_with_an_own_input_is_profiled_by_it(package: Path, tinted: Store, profiled: Profiled) -> None:
    (package / "model.py").write_text(BYTES)
    (package / "predict.py").write_text("def load(device):\n    return lambda crops: [0] * len(crops)\n")
    own = '[input]\nsize = [24, 32]\npad = false\nlayout = "NHWC"\nresize = "nearest"\ntype = "uint8"\n'
    (package / "submission.toml").write_text('name = "bytes"\n' + own)
    write_random(package, tinted)
    found = profiled(package)
    assert (found.size, found.parameters, found.macs) == ((24, 32), 12, 9)
    assert "as its [input] says" in found.notes[0]
    (package / "submission.toml").write_text('name = "bytes"\n')
    assert "neither a recipe nor [input]" in profiled(package).notes[0]


def test_a_package_of_python_alone_is_timed_as_a_whole(tmp_path: Path, profiled: Profiled) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "submission.toml").write_text('name = "plain"\n')
    (folder / "beside.py").write_text("LABEL = 1\n")
    text = "from beside import LABEL\n\ndef load(device):\n    return lambda crops: [LABEL for _ in crops]\n"
    (folder / "predict.py").write_text(text)
    found = profiled(folder)
    assert found.answer_ms is not None
    assert (found.parameters, found.macs, found.layers, found.network_ms) == (None, None, (), None)
    assert "no model.py" in found.notes[0]
    assert "beside" not in sys.modules
    (folder / "predict.py").write_text("def load(device):\n    raise ValueError('no such thing')\n")
    with pytest.raises(SubmissionError, match=r"predict\.py: ValueError: no such thing \(predict\.py:2\)"):
        profiled(folder)
    (folder / "predict.py").write_text("def load(device):\n    return lambda crops: 'label'\n")
    with pytest.raises(SubmissionError, match="expected a list of 1 labels, got str"):
        profiled(folder)
    (folder / "predict.py").write_text("def load(device):\n    return lambda crops: 1 / 0\n")
    with pytest.raises(SubmissionError, match="ZeroDivisionError"):
        profiled(folder)


WINDING = """
import torch

class Net(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = torch.nn.Linear(3, classes)

    def forward(self, maps):
        if torch.jit.is_tracing():
            raise ValueError("no tracing here")
        return self.head(maps.mean((2, 3)))

def build(classes):
    return Net(classes)
"""


def test_a_network_that_cannot_be_traced_is_timed_and_not_counted(
    package: Path, tinted: Store, profiled: Profiled
) -> None:
    (package / "model.py").write_text(WINDING)
    write_random(package, tinted)
    found = profiled(package)
    assert (found.parameters, found.macs) == (12, None)
    assert "no tracing here" in found.counted
    assert found.layers


def test_a_network_of_another_input_is_refused_in_one_line(package: Path, tinted: Store, profiled: Profiled) -> None:
    (package / "model.py").write_text(BYTES)
    write_random(package, tinted)
    with pytest.raises(SubmissionError, match=r"^small: expected a network of \(2, 3, 32, 32\) to scores"):
        profiled(package)


def test_a_missing_counter_is_one_line(
    package: Path, tinted: Store, profiled: Profiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = finished(package, "onnx", ".onnx")
    path.write_bytes(b"never read")
    monkeypatch.setattr("harness.lab.subjects.unmet_of", lambda requires: [f"{requires[0]} (not installed)"])
    with pytest.raises(MachineError, match=r"^profile of onnx: expected onnx>=1\.17 \(not installed\); pip install"):
        profiled(path.parent.parent)


def test_the_profilers_library_is_silent(package: Path, profiled: Profiled, capfd: pytest.CaptureFixture[str]) -> None:
    profiled(package)
    assert capfd.readouterr() == ("", "")
    assert os.environ["KINETO_LOG_LEVEL"]
