"""The model file of a network from elsewhere: it answers as the network does, or what was there stays."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from harness.data.store import Store, open_store
from harness.data.weights import read_info
from harness.errors import MachineError, SubmissionError
from harness.formats import FORMATS
from harness.lab.finished import FINISHED, Finished, write_model
from tests.conftest import names
from tests.pictures import prepare_tinted
from tests.worker.making import SIDE, make_declared


@pytest.fixture(scope="module")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A small data set of three classes."""
    return open_store(prepare_tinted(tmp_path_factory.mktemp("tinted")))


def network(classes: int = 3) -> nn.Module:
    """One convolution, a batch norm that is not 0 and 1, dropout, scores that lie well apart."""
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(4)
    nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
    layers = (nn.Conv2d(3, 4, 3, 2), norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout())
    head = nn.Linear(4, classes)
    nn.init.normal_(head.weight, 0, 9)
    return nn.Sequential(*layers, head)


def package(tmp_path: Path, model: str = 'format = "torch.export"', size: str = f"size = {SIDE}") -> Path:
    return make_declared(tmp_path / "mine", model, size)


@pytest.mark.parametrize("to", FINISHED)
def test_a_file_answers_as_its_network_with_its_weights(to: Finished, tmp_path: Path, tinted: Store) -> None:
    folder, net = package(tmp_path, f'format = "{to}"'), network()
    save_file({name: value.half() for name, value in net.state_dict().items()}, tmp_path / "own.safetensors")
    done = write_model(network().train(), folder, tinted, tmp_path / "own.safetensors")
    assert (done.crops, done.path.parent) == (18, folder / "weights")
    assert done.largest_difference < 1e-4
    endings = FORMATS[to].endings
    assert names(folder / "weights") == sorted([f"tinted{end}" for end in endings] + ["tinted.json"])
    assert done.size_bytes == sum((folder / "weights" / f"tinted{end}").stat().st_size for end in endings)
    info = read_info(folder / "weights" / "tinted.json")
    assert (info.classes, info.data_digest) == (tinted.manifest.classes, tinted.manifest.digest)
    assert info.recipe == {"weights": "own.safetensors"}


def test_what_cannot_be_written_is_one_line_and_what_was_there_stays(tmp_path: Path, tinted: Store) -> None:
    class Winding(nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            scores = maps.mean((2, 3))
            return scores if scores.sum() > 0 else -scores

    folder = package(tmp_path)
    before = write_model(network(), folder, tinted, None).path.read_bytes()
    (tmp_path / "damaged").write_bytes(b"damaged")
    save_file(network(5).state_dict(), tmp_path / "five")
    for net, weights, says in (
        (network(), tmp_path / "none", "none: expected its network's weights, got No such file"),
        (network(), tmp_path / "damaged", "damaged: expected its network's weights, got"),
        (network(), tmp_path / "five", "size mismatch"),
        (network(5), None, r"to scores of \(2, 3\), one for each class, got \(2, 5\)"),
        (nn.Linear(4, 4), None, r"mine: expected a network of \(2, 3, 32, 32\) .* got .*shapes cannot"),
        (nn.Sequential(nn.Identity(), nn.GRU(32, 3)), None, "one for each class, got GRU: Expected input to be 2D"),
        (Winding(), None, "mine: expected a network of n x .* that torch.export traces with n free"),
    ):
        with pytest.raises(SubmissionError, match=rf"^[^\n]*{says}[^\n]*$"):
            write_model(net, folder, tinted, weights)
    assert names(folder / "weights") == ["tinted.json", "tinted.pt2"]
    assert (folder / "weights" / "tinted.pt2").read_bytes() == before


@pytest.mark.parametrize(
    ("model", "got"),
    [
        ('format = "timm"\narchitecture = "lcnet_050"', "format timm"),
        ('format = "onnx"\nfile = "net.onnx"', "format onnx, file net.onnx"),
    ],
)
def test_other_formats_are_one_line(model: str, got: str, tmp_path: Path, tinted: Store) -> None:
    with pytest.raises(SubmissionError, match=rf"torchscript and without file, got {got}$"):
        write_model(network(), package(tmp_path, model), tinted, None)
    make_declared(tmp_path / "other", "")
    (tmp_path / "other" / "submission.toml").write_text('name = "other"\n')
    with pytest.raises(SubmissionError, match=r"^other: expected \[model\] .* got no \[model\]$"):
        write_model(network(), tmp_path / "other", tinted, None)


def test_what_is_not_installed_is_named_with_its_command(
    tmp_path: Path, tinted: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "harness.submission.unmet_of", lambda requires: [f"{text} (not installed)" for text in requires]
    )
    with pytest.raises(MachineError, match=r"^mine: format openvino: .*; pip install 'openvino>=2025\.0'$"):
        write_model(network(), package(tmp_path, 'format = "openvino"'), tinted, None)
    assert names(tmp_path / "mine") == ["submission.toml"]
