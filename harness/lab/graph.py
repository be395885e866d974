"""An ONNX file made faster to run or smaller, its numbers unchanged."""

from pathlib import Path
from typing import Any

import numpy as np

_FEW = 1024  # numbers; a small tensor is not worth a node


def pool(path: Path) -> None:
    """Writes means over a whole map as global average pooling, which ONNX Runtime keeps in its blocked layout."""
    import onnx  # noqa: PLC0415 (an extra)
    from onnx import helper, numpy_helper, shape_inference  # noqa: PLC0415

    model = onnx.load(path)
    known = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    inferred = shape_inference.infer_shapes(model).graph
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim) for value in (*inferred.value_info, *inferred.input)
    }  # of what has a shape
    nodes: list[Any] = []
    for node in model.graph.node:
        if not (_is_pooling(node, known) and ranks.get(node.input[0]) == 4):
            nodes.append(node)
        elif _attribute(node, "keepdims", 1):
            nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], node.output, node.name))
        else:
            kept = f"{node.output[0]}_map"
            nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], [kept], node.name))
            nodes.append(helper.make_node("Flatten", [kept], node.output, f"{node.name}_flat"))
    _replace(model, nodes, path)


def halve(path: Path) -> None:
    """Stores weights that float16 holds exactly as such, with a cast behind each; a runtime casts once, as it loads."""
    import onnx  # noqa: PLC0415 (an extra)
    from onnx import helper, numpy_helper  # noqa: PLC0415

    model = onnx.load(path)
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _FEW:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT))
    _replace(model, [*casts, *model.graph.node], path)


def _is_pooling(node: Any, known: dict[str, Any]) -> bool:
    """Whether it is a mean over the last two axes of four."""
    if node.op_type != "ReduceMean" or len(node.input) != 2 or node.input[1] not in known:
        return False
    return sorted(int(axis) % 4 for axis in np.atleast_1d(known[node.input[1]])) == [2, 3]


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), default)


def _replace(model: Any, nodes: list[Any], path: Path) -> None:
    """Writes the model with these nodes and no initializer that nothing reads.

    Without the exporter's notes: stack traces, which tell of the machine's folders and take more room than a graph.
    """
    import onnx  # noqa: PLC0415

    read = {name for node in nodes for name in node.input} | {one.name for one in model.graph.output}
    tensors = [one for one in model.graph.initializer if one.name in read]
    for field, values in ((model.graph.node, nodes), (model.graph.initializer, tensors)):
        copies = [type(one).FromString(one.SerializeToString()) for one in values]
        del field[:]
        field.extend(copies)
    noted = (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output)
    for one in (*noted, *model.graph.value_info, model.graph, model):
        del one.metadata_props[:]
        one.doc_string = ""
    onnx.save(model, path)
