"""Tiny networks in every format, packages of them, and the labels that torch gives eagerly."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from harness.nets.preprocess import MEAN, STD, batch

SIDE = 32
CLASSES = 6
TABLE = """
blocks:
  - {kind: conv, kernel: 3, out: 8, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 12, squeeze: 4, stride: 2, activation: relu}
"""
Crop = NDArray[np.uint8]
SHAPES = ((1, 1), (1, 500), (2000, 3), (192, 256))


def odd_crops() -> list[Crop]:
    """Noise of SHAPES and of 20 ordinary ones, each of another brightness and colour, read-only as the judge's are."""
    rng = np.random.default_rng(5)
    shapes = [*SHAPES, *(tuple(rng.integers(20, 90, 2)) for _ in range(20))]
    crops = [(rng.random((*shape, 3)) * rng.integers(20, 256, 3)).astype(np.uint8) for shape in shapes]
    for crop in crops:
        crop.setflags(write=False)
    return crops


def tiny() -> nn.Module:
    """Three small convolutions at SIDE pixels."""
    torch.manual_seed(3)
    layers: list[nn.Module] = []
    for before, after in ((3, 8), (8, 16), (16, 16)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.ReLU()]
    return telling(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES)))


@torch.inference_mode()
def telling(net: nn.Module, side: int = SIDE) -> nn.Module:
    """The network with random weights, its last bias moved so that not all crops are of one class."""
    last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
    last.bias -= net.eval()(batch(odd_crops(), side, "cpu")).mean(0)
    return net


@torch.inference_mode()
def eager(net: nn.Module, crops: Sequence[Crop], side: int = SIDE) -> list[int]:
    """The labels by the preprocessing of training and the network as it is."""
    labels: list[int] = net.eval()(batch(crops, side, "cpu")).argmax(1).tolist()
    return labels


def export_all(net: nn.Module, folder: Path) -> None:
    """The network as m.onnx with external data, whole.onnx, m.pt2, m.pt, m.xml and m.bin, with a free batch axis."""
    import openvino

    given, free = (torch.zeros(2, 3, SIDE, SIDE),), ({0: torch.export.Dim("n")},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's two old roads, both deprecated
        torch.onnx.export(net, given, folder / "m.onnx", dynamo=True, dynamic_shapes=free, verbose=False)
        axes = {"dynamic_axes": {"x": {0: "n"}}, "input_names": ["x"]}
        torch.onnx.export(net, given, folder / "whole.onnx", dynamo=False, **axes)
        torch.jit.save(torch.jit.script(net), folder / "m.pt")
        torch.export.save(torch.export.export(net, given, dynamic_shapes=free), folder / "m.pt2")
        openvino.save_model(openvino.convert_model(folder / "whole.onnx"), folder / "m.xml", compress_to_fp16=False)


def fronted(path: Path, name: str, kind: int, shape: Sequence[object], nodes: Sequence[tuple[Any, ...]]) -> Any:
    """A model with another input and nodes of (operator, constant or None, attributes) between it and the old input."""
    model = onnx.load(path)
    old, current, made = model.graph.input[0].name, name, []
    for number, (operator, constant, attributes) in enumerate(nodes):
        inputs = [current]
        if constant is not None:
            inputs.append(f"constant{number}")
            model.graph.initializer.append(numpy_helper.from_array(constant, inputs[1]))
        current = old if number == len(nodes) - 1 else f"front{number}"
        made.append(helper.make_node(operator, inputs, [current], **attributes))
    behind = list(model.graph.node)
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend([*made, *behind])
    model.graph.input.append(helper.make_tensor_value_info(name, kind, shape))
    return model


_AXES = np.array([1, 3, 1, 1])
_SCALE, _SHIFT = (1 / (255 * np.array(STD))).reshape(_AXES), (-np.array(MEAN) / np.array(STD)).reshape(_AXES)
_CAST = ("Cast", None, {"to": TensorProto.FLOAT})
# Name -> the keys of [input] beside its size, and what `fronted` takes.
ODD_ONNX: dict[str, tuple[str, tuple[Any, ...]]] = {
    "odd name": ("", ("pic/ture:0 é", TensorProto.FLOAT, ("größe", 3, SIDE, SIDE), [("Identity", None, {})])),
    "no shape but its rank": ("", ("x0", TensorProto.FLOAT, ("a", "b", "c", "d"), [("Identity", None, {})])),
    "channels last": (
        'layout = "NHWC"',
        ("image", TensorProto.FLOAT, ("n", SIDE, SIDE, 3), [("Transpose", None, {"perm": [0, 3, 1, 2]})]),
    ),
    "bytes": (
        'type = "uint8"',
        (
            "pixels",
            TensorProto.UINT8,
            ("n", 3, SIDE, SIDE),
            [_CAST, ("Mul", _SCALE.astype(np.float32), {}), ("Add", _SHIFT.astype(np.float32), {})],
        ),
    ),
    "bytes, channels last": (
        'type = "uint8"\nlayout = "NHWC"',
        (
            "pixels",
            TensorProto.UINT8,
            ("n", SIDE, SIDE, 3),
            [
                _CAST,
                ("Transpose", None, {"perm": [0, 3, 1, 2]}),
                ("Mul", _SCALE.astype(np.float32), {}),
                ("Add", _SHIFT.astype(np.float32), {}),
            ],
        ),
    ),
    "float16": ("", ("half", TensorProto.FLOAT16, ("n", 3, SIDE, SIDE), [_CAST])),
    "one at a time": ("", ("x1", TensorProto.FLOAT, (1, 3, SIDE, SIDE), [("Identity", None, {})])),
}


def linear(shape: Sequence[object], extra: Sequence[str] = (), opset: int = 18, classes: int = CLASSES) -> Any:
    """A hand-made ONNX model: the mean of all but the first axis, then a line for each class."""
    floats = TensorProto.FLOAT
    weights = numpy_helper.from_array(np.arange(classes, dtype=np.float32)[None], "w")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("ReduceMean", ["flat", "axes"], ["mean"], keepdims=1),
        helper.make_node("MatMul", ["mean", "w"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [
            helper.make_tensor_value_info("x", floats, shape),
            *(helper.make_tensor_value_info(name, floats, [1]) for name in extra),
        ],
        [helper.make_tensor_value_info("scores", floats, [None, classes])],
        [numpy_helper.from_array(np.array([1]), "axes"), weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def make_declared(folder: Path, model: str, its_input: str | None = f"size = {SIDE}", rest: str = "") -> Path:
    """A package without Python: a folder with a submission.toml of these tables' lines; the name is the folder's."""
    folder.mkdir(parents=True)
    text = f'name = "{folder.name}"\n{rest}\n[model]\n{model}\n'
    (folder / "submission.toml").write_text(text + (f"[input]\n{its_input}\n" if its_input is not None else ""))
    return folder
