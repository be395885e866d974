"""What is said of a named architecture, or of weights for it, that do not fit: one line of expected and got."""

import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from harness.formats import Model
from harness.nets.architectures import declared_network
from tests.conftest import CLASSES
from tests.worker.conftest import Refused
from tests.worker.making import TABLE, make_declared

ARCHITECTURES = {"table": "net.yaml", "torchvision": "squeezenet1_1", "timm": "mobilenetv3_small_050"}


def with_weights(folder: Path, form: str, architecture: str, data: bytes | None = None, classes: int = 6) -> Path:
    """A package of a named architecture with random weights for so many classes, or with these bytes as weights."""
    package = make_declared(folder, f'format = "{form}"\narchitecture = "{architecture}"', "size = 64")
    (package / "net.yaml").write_text(TABLE)
    (package / "weights").mkdir()
    (package / "weights" / "exam.json").write_text(json.dumps({"classes": CLASSES}))
    file = package / "weights" / "exam.safetensors"
    if data is not None:
        file.write_bytes(data)
    else:
        net = declared_network(Model(form, architecture=ARCHITECTURES[form]), classes, package)  # type: ignore[arg-type]
        save_file({name: value.contiguous() for name, value in net.state_dict().items()}, file)
    return package


@pytest.mark.parametrize("form", ARCHITECTURES)
def test_weights_of_another_network(form: str, tmp_path: Path, refused: Refused) -> None:
    name, other = ARCHITECTURES[form], tmp_path / "other.safetensors"
    assert re.fullmatch(
        rf"weights.safetensors: expected the weights of {name}, got \S+ of \(4, .*\) for \(6, .*\) and 1 more",
        refused(with_weights(tmp_path / "four", form, name, classes=4))[1],
    )
    save_file({"first.weight": torch.zeros(2)}, other)
    kind, said = refused(with_weights(tmp_path / "net", form, name, other.read_bytes()))
    assert kind == "model"
    assert re.fullmatch(rf"weights.safetensors: expected the weights of {name}, got no \S+ and \d+ more", said), said


@pytest.mark.parametrize("form", ARCHITECTURES)
def test_weights_that_are_a_pickle(form: str, tmp_path: Path, refused: Refused) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "net.pth")
    for number, data in enumerate([pickle.dumps({"w": 1}), (tmp_path / "net.pth").read_bytes()]):
        assert refused(with_weights(tmp_path / f"net{number}", form, ARCHITECTURES[form], data)) == (
            "model",
            "weights.safetensors: expected safetensors, got a pickle, which may run code: "
            "write it with safetensors.torch.save_file",
        )


def test_weights_that_are_cut_off(tmp_path: Path, refused: Refused) -> None:
    whole = with_weights(tmp_path / "whole", "table", "net.yaml") / "weights" / "exam.safetensors"
    for number, data in enumerate([whole.read_bytes()[:-100], whole.read_bytes()[:50], b""]):
        kind, said = refused(with_weights(tmp_path / f"net{number}", "table", "net.yaml", data))
        assert kind == "model"
        assert said.startswith("weights.safetensors: expected safetensors, got Error while deserializing header: ")


@pytest.mark.parametrize(
    ("form", "name", "expected"),
    [
        ("torchvision", "shufflenet_v9", r"a classifier of torchvision [\d.]+"),
        ("torchvision", "fasterrcnn_resnet50_fpn", r"a classifier of torchvision [\d.]+"),
        ("timm", "no_such_net", r"a model of timm [\d.]+"),
        ("table", "other.yaml", "a file of blocks in the package"),
        ("table", "../net.yaml", "a file of blocks in the package"),
    ],
)
def test_an_unknown_architecture(form: str, name: str, expected: str, tmp_path: Path, refused: Refused) -> None:
    kind, said = refused(with_weights(tmp_path / "net", form, name, b""))
    assert kind == "model"
    assert re.fullmatch(rf"\[model\] architecture: expected {expected}, got '{re.escape(name)}'", said), said


def test_a_table_that_is_none(tmp_path: Path, refused: Refused) -> None:
    for number, (text, says) in enumerate(
        [
            ("blocks: [3]", "net.yaml: blocks[0]: expected object, got int"),
            (
                "blocks: [{kind: conv, kernel: 3, out: 900000000, activation: relu}]",
                "net.yaml: block 0: expected sizes of 1 to 1,000,000 and an odd kernel, got out 900000000",
            ),
        ]
    ):
        package = with_weights(tmp_path / f"net{number}", "table", "net.yaml", b"")
        (package / "net.yaml").write_text(text)
        assert says in refused(package)[1]
