"""What a network may return: scores in many shapes, alone or among other things; all else is refused in one line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tests.worker.conftest import Loaded, Refused
from tests.worker.making import SIDE, eager, make_declared, odd_crops

Outputs = Sequence[tuple[str, int, Sequence[object]]]
SCORES, LABELS = ("scores", TensorProto.FLOAT, ("n", 6)), ("labels", TensorProto.INT64, ("n",))
ARGMAX = ("ArgMax", ("scores",), "labels", {"axis": 1, "keepdims": 0})
FLAT = ("Flatten", ("x",), "maps", {"axis": 1})


def ended(path: Path, nodes: Sequence[tuple[str, Sequence[str], str, dict[str, Any]]], outputs: Outputs) -> Any:
    """The model with its input and output called x and scores, more nodes, and these outputs in this order."""
    model = onnx.load(path)
    renamed = {model.graph.input[0].name: "x", model.graph.output[0].name: "scores"}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    model.graph.input[0].name = "x"
    model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "last"))
    model.graph.node.extend(helper.make_node(kind, read, [made], **rest) for kind, read, made, rest in nodes)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(*one) for one in outputs)
    return model


def packaged(folder: Path, form: str, model: Any) -> Path:
    """A package of an ONNX model, or of the same as OpenVINO has it."""
    name = {"onnx": "m.onnx", "openvino": "m.xml"}[form]
    package = make_declared(folder, f'format = "{form}"\nfile = "{name}"', rest="batch = 4")
    onnx.save(model, package / "m.onnx")
    if form == "openvino":
        openvino.save_model(openvino.convert_model(package / "m.onnx"), package / name, compress_to_fp16=False)
    return package


ENDINGS: dict[str, tuple[Any, Outputs]] = {
    "probabilities": (
        [("Softmax", ("scores",), "shares", {"axis": 1})],
        [("shares", TensorProto.FLOAT, ("n", 6))],
    ),
    "a map of one pixel": (
        [("Unsqueeze", ("scores", "last"), "map", {})],
        [("map", TensorProto.FLOAT, ("n", 6, 1, 1))],
    ),
    "doubles": (
        [("Cast", ("scores",), "doubles", {"to": TensorProto.DOUBLE})],
        [("doubles", TensorProto.DOUBLE, ("n", 6))],
    ),
    "labels before scores": ([ARGMAX], [LABELS, SCORES]),
    "maps before scores": ([FLAT], [("maps", TensorProto.FLOAT, ("n", 3 * SIDE * SIDE)), SCORES]),
    "scores, then the same of the worst": (
        [("Neg", ("scores",), "worst", {})],
        [SCORES, ("worst", TensorProto.FLOAT, ("n", 6))],
    ),
}


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_scores_are_found_in_what_a_model_returns(
    ending: str, form: str, net: nn.Module, models: Path, loaded: Loaded, tmp_path: Path
) -> None:
    crops = odd_crops()
    with loaded(packaged(tmp_path / "net", form, ended(models / "whole.onnx", *ENDINGS[ending]))) as predict:
        assert predict(crops) == eager(net, crops)
        assert predict(crops[:1]) == eager(net, crops[:1])


class Several(nn.Module):
    """Scores, behind maps that are none, in a tuple, or by name."""

    def __init__(self, net: nn.Module, named: bool) -> None:
        super().__init__()
        self.net, self.named = net, named

    def forward(self, pixels: torch.Tensor) -> object:
        scores = self.net(pixels)
        return {"maps": pixels, "logits": scores} if self.named else (pixels, scores)


@pytest.mark.parametrize("named", [False, True])
def test_scores_are_found_in_what_a_program_of_torch_returns(
    named: bool, net: nn.Module, loaded: Loaded, tmp_path: Path
) -> None:
    crops = odd_crops()
    package = make_declared(tmp_path / "net", 'format = "torch.export"\nfile = "m.pt2"', rest="batch = 4")
    free = ({0: torch.export.Dim("n")},)
    program = torch.export.export(Several(net, named), (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=free)
    torch.export.save(program, package / "m.pt2")
    with loaded(package) as predict:
        assert predict(crops) == eager(net, crops)


def test_a_module_that_returns_no_tensor_is_refused(tmp_path: Path, refused: Refused) -> None:
    class Words(nn.Module):
        def forward(self, pixels: torch.Tensor) -> tuple[str, int]:
            return "plastic", pixels.shape[0]

    package = make_declared(tmp_path / "net", 'format = "torchscript"\nfile = "m.pt"')
    torch.jit.save(torch.jit.script(Words()), package / "m.pt")
    assert refused(package) == ("model", "m.pt: expected a network that returns a tensor, got tuple")


WANTED = "expected scores of shape (1, 6), one for each class, got "


@pytest.mark.parametrize("form", ["onnx", "openvino"])
@pytest.mark.parametrize(
    ("nodes", "outputs", "says"),
    [
        ([ARGMAX], [LABELS], f"{WANTED}(1,), labels it seems: let the network end before its argmax"),
        ([FLAT], [("maps", TensorProto.FLOAT, ("n", 3072))], f"{WANTED}(1, 3072)"),
        (
            [("Sub", ("scores", "scores"), "no", {}), ("Div", ("no", "no"), "nan", {})],
            [("nan", TensorProto.FLOAT, ("n", 6))],
            "expected scores that are numbers, got nan for a crop of noise",
        ),
    ],
)
def test_what_are_no_scores(
    nodes: Any, outputs: Outputs, says: str, form: str, models: Path, tmp_path: Path, refused: Refused
) -> None:
    kind, said = refused(packaged(tmp_path / "net", form, ended(models / "whole.onnx", nodes, outputs)))
    assert (kind, said.partition(": ")[2]) == ("model", says)


def test_a_model_without_an_output_is_refused(models: Path, tmp_path: Path, refused: Refused) -> None:
    package = packaged(tmp_path / "net", "onnx", ended(models / "whole.onnx", [], []))
    assert refused(package) == ("model", "m.onnx: expected a model with an output, got none")


def test_an_onnx_file_that_does_not_say_its_inputs_shape_runs(
    net: nn.Module, models: Path, loaded: Loaded, tmp_path: Path
) -> None:
    model, crops = ended(models / "whole.onnx", [], [SCORES]), odd_crops()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with loaded(packaged(tmp_path / "net", "onnx", model)) as predict:
        assert predict(crops) == eager(net, crops)
