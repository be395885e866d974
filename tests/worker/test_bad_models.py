"""What is said of a model that does not run: one line of expected and got."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.worker.conftest import Refused
from tests.worker.making import SIDE, fronted, linear, make_declared

Edit = Callable[[bytes], bytes]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def spoilt(data: bytes) -> bytes:
    return data[:40] + b"\xff" * (len(data) - 80) + data[-40:]


def nothing(_: bytes) -> bytes:
    return b""


def words(_: bytes) -> bytes:
    return b"<!DOCTYPE html><title>404</title>\n"


DAMAGED = {
    "onnx": ("whole.onnx", "expected a whole ONNX file, got one that is damaged"),
    "torch.export": (
        "m.pt2",
        r"expected a program that torch [\d.]+'s torch.export loads, got an archive that is damaged.*",
    ),
    "torchscript": ("m.pt", r"expected a whole archive, got one that is damaged"),
    "openvino": ("m.xml", r"expected a model that OpenVINO [\d.]+ runs, got (Error|Unable|Start-end|Could).*"),
}


@pytest.mark.parametrize("edit", [cut, spoilt, nothing, words])
@pytest.mark.parametrize("form", DAMAGED)
def test_a_damaged_file(form: str, edit: Edit, models: Path, tmp_path: Path, refused: Refused) -> None:
    file, says = DAMAGED[form]
    package = make_declared(tmp_path / "net", f'format = "{form}"\nfile = "{file}"')
    shutil.copy(models / "m.bin", package)
    (package / file).write_bytes(edit((models / file).read_bytes()))
    kind, said = refused(package)
    assert kind == "model"
    assert re.fullmatch(f"{file}: {says}", said), said


@pytest.mark.parametrize("form", DAMAGED)
def test_a_pointer_of_git_lfs(form: str, models: Path, tmp_path: Path, refused: Refused) -> None:
    file, _ = DAMAGED[form]
    package = make_declared(tmp_path / "net", f'format = "{form}"\nfile = "{file}"')
    shutil.copy(models / "m.bin", package)
    (package / file).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    says = "expected the model's file, got Git LFS's pointer to it; `git lfs pull` fetches it"
    assert refused(package) == ("model", f"{file}: {says}")


def test_weights_of_openvino_that_are_cut_off(models: Path, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", 'format = "openvino"\nfile = "m.xml"')
    shutil.copy(models / "m.xml", package)
    (package / "m.bin").write_bytes(cut((models / "m.bin").read_bytes()))
    assert refused(package)[1].endswith("runs, got Incorrect weights in bin file!")


def rewritten(path: Path, target: Path, member: str, edit: Callable[[bytes], bytes | None]) -> None:
    """A program of torch.export with one file of its archive changed, or left out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            data = old.read(name)
            if (kept := edit(data) if name.endswith(member) else data) is not None:
                new.writestr(name, kept)


def of_another_torch(data: bytes) -> bytes:
    program = json.loads(data)
    program["torch_version"], program["schema_version"] = "9.8.0+cpu", {"major": 99, "minor": 1}
    return json.dumps(program).encode()


def of_an_unknown_operator(data: bytes) -> bytes:
    return data.replace(b"torch.ops.aten.relu.default", b"torch.ops.mine.relu.default")


@pytest.mark.parametrize(
    ("member", "edit", "says"),
    [
        ("models/model.json", of_another_torch, "'s torch.export loads, got one of torch 9.8.0"),
        (
            "models/model.json",
            of_an_unknown_operator,
            "operators that torch itself has, got torch.ops.mine.relu.default",
        ),
        ("models/model.json", lambda _: None, "got an archive without one; torch.export.save writes it"),
        (
            "archive_version",
            lambda _: b"99",
            "got Saved archive version 99 does not match our current archive version 0",
        ),
        ("weights/weight_2", lambda _: None, "expected a whole archive, got one that is damaged"),
    ],
)
def test_a_program_of_another_torch(
    member: str, edit: Callable[[bytes], bytes | None], says: str, models: Path, tmp_path: Path, refused: Refused
) -> None:
    package = make_declared(tmp_path / "net", 'format = "torch.export"\nfile = "m.pt2"')
    rewritten(models / "m.pt2", package / "m.pt2", member, edit)
    kind, said = refused(package)
    assert kind == "model"
    assert said.endswith(says), said


WANTED = f"expected an input of n x 3 x {SIDE} x {SIDE} ([input] size, layout), got x of "


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (linear(["n", 3072]), f"{WANTED}n x 3072"),
        (linear(["n", 3, SIDE, SIDE, 1]), f"{WANTED}n x 3 x {SIDE} x {SIDE} x 1"),
        (linear([3, SIDE, SIDE]), f"{WANTED}3 x {SIDE} x {SIDE}"),
        (linear(["n", 3, 48, 48]), f"{WANTED}n x 3 x 48 x 48"),
        (linear(["n", SIDE, SIDE, 3]), f"{WANTED}n x {SIDE} x {SIDE} x 3"),
        (
            linear([2, 3, SIDE, SIDE]),
            f"expected an input of n x 3 x {SIDE} x {SIDE} (a free first axis, or 1), got x of 2 x 3 x {SIDE} x {SIDE}",
        ),
        (linear(["n", 3, SIDE, SIDE], extra=("mask", "länge")), "expected a model of one input, got x, mask, länge"),
        (linear(["n", 3, SIDE, SIDE], classes=4), "expected scores of shape (1, 6), one for each class, got (1, 4)"),
        (linear(["n", 3, SIDE, SIDE], opset=99), r"expected opset \d\d or lower, got opset 99"),
    ],
)
def test_an_onnx_file_that_does_not_fit(model: onnx.ModelProto, says: str, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", 'format = "onnx"\nfile = "m.onnx"')
    onnx.save(model, package / "m.onnx")
    kind, said = refused(package)
    assert kind == "model"
    assert said == f"m.onnx: {says}" or re.fullmatch(f"m.onnx: {says}", said), said


@pytest.mark.parametrize(
    ("kind", "its_input", "got"),
    [
        (TensorProto.UINT8, "", "float32 ([input] type), got given of tensor(uint8)"),
        (TensorProto.FLOAT, 'type = "uint8"', "uint8 ([input] type), got given of tensor(float)"),
        (TensorProto.DOUBLE, "", "float32 ([input] type), got given of tensor(double)"),
    ],
)
def test_an_input_of_another_type(
    kind: int, its_input: str, got: str, models: Path, tmp_path: Path, refused: Refused
) -> None:
    package = make_declared(tmp_path / "net", 'format = "onnx"\nfile = "m.onnx"', f"size = {SIDE}\n{its_input}")
    cast = [("Cast", None, {"to": TensorProto.FLOAT})]
    onnx.save(fronted(models / "whole.onnx", "given", kind, ("n", 3, SIDE, SIDE), cast), package / "m.onnx")
    assert refused(package) == ("model", f"m.onnx: expected an input of type {got}")


def test_operators_that_there_are_not(models: Path, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", 'format = "onnx"\nfile = "m.onnx"')
    model = linear(["n", 3, SIDE, SIDE])
    model.graph.node[0].op_type = "NoSuchThing"
    onnx.save(model, package / "m.onnx")
    assert refused(package)[1] == "m.onnx: expected operators that ONNX Runtime has, got NoSuchThing"
    model = linear(["n", 3, SIDE, SIDE])
    model.graph.node[0].attribute.append(helper.make_attribute("foo", 3))
    onnx.save(model, package / "m.onnx")
    assert refused(package)[1].endswith(" runs, got Error Unrecognized attribute: foo for operator Flatten")
    model = linear(["n", 3, SIDE, SIDE], opset=5)
    onnx.save(model, package / "m.onnx")
    assert refused(package)[1].endswith(" runs, got ReduceMean of opset 1 with 2 inputs")
    del model.graph.node[1:]
    model.graph.node.append(helper.make_node("Gemm", ["flat", "rows", "w"], ["scores"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((3 * SIDE * SIDE, 6), np.float32), "rows"))
    onnx.save(model, package / "m.onnx")
    assert refused(package)[1] == "m.onnx: expected operators that ONNX Runtime has, got Gemm of opset 1"


@pytest.mark.parametrize("given", [None, b"\0" * 100])
def test_external_data_that_is_not_there(given: bytes | None, models: Path, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", 'format = "onnx"\nfile = "m.onnx"')
    shutil.copy(models / "m.onnx", package)
    if given is not None:
        (package / "m.onnx.data").write_bytes(given)
    kind, said = refused(package)
    assert kind == "model"
    if given is None:
        assert said == (
            "m.onnx: expected its external data m.onnx.data beside it, or one file: "
            "torch.onnx.export(external_data=False), got no such file"
        )
    else:
        assert re.fullmatch(r"m.onnx: expected all of its external data, got less than \S+ needs", said), said


@pytest.mark.parametrize("form", ["onnx", "torch.export", "openvino"])
def test_a_fixed_axis_where_the_package_says_batch(form: str, models: Path, tmp_path: Path, refused: Refused) -> None:
    import openvino

    name = {"onnx": "m.onnx", "torch.export": "m.pt2", "openvino": "m.xml"}[form]
    package = make_declared(tmp_path / "net", f'format = "{form}"\nfile = "{name}"', rest="batch = 4")
    if form == "torch.export":
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIDE * SIDE, 6))
        torch.export.save(torch.export.export(net, (torch.zeros(1, 3, SIDE, SIDE),)), package / name)
    else:
        onnx.save(linear([1, 3, SIDE, SIDE]), package / "m.onnx")
    if form == "openvino":
        openvino.save_model(openvino.convert_model(package / "m.onnx"), package / name)
    wanted = (
        f"{name}: expected a network that takes 2 x 3 x {SIDE} x {SIDE} (a free first axis, or batch = 1 in place of 4)"
    )
    assert refused(package) == ("model", f"{wanted}, got one that takes 1 at once")


def test_programs_of_another_signature(tmp_path: Path, refused: Refused) -> None:
    class Odd(torch.nn.Module):
        def forward(self, pixels: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return pixels.mean((2, 3)) * other

    class Pair(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return pixels.mean((2, 3)), pixels * 2

    pixels = torch.zeros(1, 3, SIDE, SIDE)
    says = []
    for number, program in enumerate(
        [(Odd(), (pixels, torch.ones(3))), (Pair(), (pixels,)), (torch.nn.Flatten(), (pixels[..., :8, :8],))]
    ):
        package = make_declared(tmp_path / f"net{number}", 'format = "torch.export"\nfile = "m.pt2"')
        torch.export.save(torch.export.export(*program), package / "m.pt2")
        says.append(refused(package)[1].partition(": ")[2])
    assert says == [
        "expected a program of one input, got one of more or of others",
        f"expected scores of shape (1, 6), one for each class, got (1, 3), (1, 3, {SIDE}, {SIDE})",
        f"expected a network that takes 1 x 3 x {SIDE} x {SIDE}, got Guard failed: input.size()[2] == 8",
    ]
