"""ONNX files are made faster and smaller, and compute what they did."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from harness.lab.graph import halve, pool

FLOATS = NDArray[np.float32]


def model(path: Path, nodes: list[onnx.NodeProto], weights: dict[str, FLOATS], shape: tuple[int, ...]) -> Path:
    """A file of one input x, an output y of any shape, and these nodes."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def kinds(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def answer(path: Path, x: FLOATS) -> FLOATS:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [-2, -1]])
@pytest.mark.parametrize(("keepdims", "expected"), [(1, ["GlobalAveragePool"]), (0, ["GlobalAveragePool", "Flatten"])])
def test_a_mean_over_a_map_is_global_pooling(
    tmp_path: Path, axes: list[int], keepdims: int, expected: list[str]
) -> None:
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=keepdims)
    path = model(tmp_path / "m.onnx", [node], {"axes": np.array(axes)}, (2, 3, 5, 7))  # type: ignore[dict-item]
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype(np.float32)
    before = answer(path, x)
    pool(path)
    assert kinds(path) == expected
    assert answer(path, x) == pytest.approx(before, abs=1e-6)
    assert answer(path, x).shape == before.shape
    assert not onnx.load(path).graph.initializer, "the axes are read by nobody"


@pytest.mark.parametrize(("axes", "shape"), [([1, 2], (2, 3, 5, 7)), ([3], (2, 3, 5, 7)), ([-1, -2], (3, 5, 7))])
def test_another_mean_stays_as_it_is(tmp_path: Path, axes: list[int], shape: tuple[int, ...]) -> None:
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"])
    path = model(tmp_path / "m.onnx", [node], {"axes": np.array(axes)}, shape)  # type: ignore[dict-item]
    pool(path)
    assert kinds(path) == ["ReduceMean"]


def test_weights_that_float16_holds_are_stored_as_such(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(64, 64)).astype(np.float16).astype(np.float32)
    other = rng.normal(size=(64, 64)).astype(np.float32)
    huge = np.full((64, 64), 1e6, np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "exact"], ["a"]),
        helper.make_node("MatMul", ["a", "other"], ["b"]),
        helper.make_node("Add", ["b", "huge"], ["y"]),
    ]
    path = model(tmp_path / "m.onnx", nodes, {"exact": exact, "other": other, "huge": huge}, (64, 64))
    x = rng.normal(size=(64, 64)).astype(np.float32)
    before, size = answer(path, x), path.stat().st_size
    halve(path)
    assert np.array_equal(answer(path, x), before), "to the last bit"
    assert kinds(path) == ["Cast", "MatMul", "MatMul", "Add"]
    assert path.stat().st_size == pytest.approx(size - 64 * 64 * 2, rel=0.02)
