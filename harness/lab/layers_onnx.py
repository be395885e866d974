"""An ONNX file's counts, and the times of its nodes as ONNX Runtime runs them."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.formats import Input
from harness.lab.graphs import Graph, Operator, Ran, conv_macs, fused, graph, most_alive, product_macs
from harness.lab.layers import conv_kind
from harness.profile import Layer

_BLOCKED = "_nchwc"  # ends the name of a node that ONNX Runtime makes of the operator that gives a tensor
_KERNEL = "_kernel_time"
_CONVOLUTIONS = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3)}  # places of pixels and weight
_PRODUCTS = {"Gemm": (0, 1), "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}
_WEIGHTED = {"Add": (0, 1), "Mul": (0, 1), "Sub": (0, 1), "Div": (0, 1), "PRelu": (1,), "BatchNormalization": (1, 2)}
# They multiply, in numbers that need more than shapes, or hide other operators.
_UNCOUNTED = {"ConvTranspose", "DeformConv", "Einsum", "LSTM", "GRU", "RNN", "Attention", "If", "Loop", "Scan", "STFT"}
_PASSING = {"Cast", "DequantizeLinear", "QuantizeLinear", "Reshape", "Transpose", "Identity", "Unsqueeze", "Squeeze"}


def onnx_graph(path: Path, its: Input) -> Graph:
    """What the file holds, for one crop."""
    import onnx  # noqa: PLC0415 (an extra)

    model = onnx.load(path)
    shapes, sizes = _shapes(model, its)
    weights = _Weights(model)
    operators = [_operator(node, number, shapes, weights) for number, node in enumerate(model.graph.node)]
    given = [one.name for one in model.graph.input if one.name not in weights.count]
    running = [one for one in operators if not set(one.outputs) <= set(weights.count)]  # not what makes a weight
    return graph(running, weights.used_bytes, most_alive(running, sizes, given))


def onnx_layers(path: Path, inputs: Sequence[NDArray[Any]], threads: int, its: Graph) -> Ran:
    """The nodes as they run, in their order; `inputs`: batches of one."""
    import onnxruntime  # noqa: PLC0415 (an extra)

    with tempfile.TemporaryDirectory(prefix="harness-profile-") as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        options.enable_profiling, options.profile_file_prefix = True, f"{folder}/ran"
        options.optimized_model_filepath = f"{folder}/optimised.onnx"
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name, kind = session.get_inputs()[0].name, session.get_inputs()[0].type
        for batch in (inputs[0], *inputs):  # the first one warms up
            session.run(None, {name: batch.astype(np.float16) if kind == "tensor(float16)" else batch})
        events = json.loads(Path(session.end_profiling()).read_text())
        gives = _gives(Path(options.optimized_model_filepath))
    return _ran(events, gives, its)


def _ran(events: list[dict[str, Any]], gives: dict[str, str], its: Graph) -> Ran:
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            runs[event["name"].removesuffix(_KERNEL)].append(event)
    known = {tensor for one in its.operators for tensor in one.outputs}
    tensor = {name: made if (made := gives.get(name, "")) in known else name.removesuffix(_BLOCKED) for name in runs}
    parts = fused(its.operators, list(tensor.items()))
    layers = []
    for name, times in runs.items():
        said, counting = times[-1]["args"], [one for one in parts[name] if one.macs]
        layers.append(
            Layer(
                name=name.removesuffix(_BLOCKED),
                kind=counting[0].kind if counting else said["op_name"],
                ms=median(event["dur"] for event in times[1:]) / 1e3,
                macs=sum(one.macs or 0 for one in parts[name]),
                parameters=sum(one.parameters for one in parts[name]),
                bytes_moved=sum(int(said[key]) for key in ("activation_size", "parameter_size", "output_size")),
            )
        )
    whole = [event["dur"] for event in events if event["name"] == "model_run"]
    between = [us - sum(times[run]["dur"] for times in runs.values()) for run, us in enumerate(whole)]
    return Ran(tuple(layers), max(median(between[1:]), 0.0) / 1e3)


def _gives(path: Path) -> dict[str, str]:
    """The first tensor that each node of a file gives, by the node's name."""
    import onnx  # noqa: PLC0415

    return {node.name: node.output[0] for node in onnx.load(path).graph.node}


class _Weights:
    """The file's constant tensors, also behind casts and int8's scales; which of them were learnt and used."""

    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper  # noqa: PLC0415

        arrays = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                arrays[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.count = {name: array.size for name, array in arrays.items()}
        self.shape = {name: array.shape for name, array in arrays.items()}
        self._root = {name: name for name in arrays}
        self._bytes = {name: array.nbytes for name, array in arrays.items()}
        self._used: set[str] = set()
        for node in model.graph.node:
            if node.op_type in _PASSING and node.input[0] in self.count:
                made, source = node.output[0], node.input[0]
                self.count[made], self._root[made] = self.count[source], self._root[source]
                if node.op_type in ("Cast", "DequantizeLinear", "QuantizeLinear", "Identity"):
                    self.shape[made] = self.shape[source]

    @property
    def used_bytes(self) -> int:
        """Of the tensors that were asked for."""
        return sum(self._bytes[name] for name in self._used)

    def use(self, name: str, single: bool = True) -> int:
        """How many numbers were learnt in a tensor, at its first use; 0 of one that is computed.

        Without `single` a tensor of one number is a constant of an activation, not learnt.
        """
        root = self._root.get(name)
        if root is None or root in self._used or (not single and self.count[name] < 2):
            return 0
        self._used.add(root)
        return self.count[name]


def _operator(node: Any, number: int, shapes: dict[str, tuple[int, ...]], weights: _Weights) -> Operator:
    op, names = node.op_type, list(node.input)
    macs, learnt = _macs(node, {**shapes, **weights.shape})
    places: tuple[int, ...] = ()
    kind = op
    if op in _CONVOLUTIONS or op in _PRODUCTS:
        places = tuple(range(len(names))) if not op.startswith("QLinear") else (3, 8) if op == "QLinearConv" else (3,)
        weight = {**shapes, **weights.shape}.get(names[(_CONVOLUTIONS | _PRODUCTS)[op][1]], ())
        kind = _kind(op, weight, node)
    used = sum(weights.use(names[place]) for place in places if place < len(names))
    if op in _WEIGHTED and learnt:
        single = op == "BatchNormalization"
        used = sum(weights.use(names[place], single) for place in _WEIGHTED[op] if place < len(names))
    return Operator(node.name or f"{op}_{number}", kind, tuple(filter(None, names)), tuple(node.output), macs, used)


def _macs(node: Any, shapes: dict[str, tuple[int, ...]]) -> tuple[int | None, bool]:
    """Multiply-adds, None where they cannot be told; whether an elementwise operator's constants may be learnt."""
    op, standard = node.op_type, node.domain in ("", "ai.onnx")
    if not standard or op in _UNCOUNTED:
        return None, False
    if op not in _CONVOLUTIONS and op not in _PRODUCTS:
        return 0, True
    first, weight = (shapes.get(node.input[place]) for place in (_CONVOLUTIONS | _PRODUCTS)[op])
    out = shapes.get(node.output[0])
    if first is None or weight is None or out is None:
        return None, True
    if op in _CONVOLUTIONS:
        return conv_macs(out, weight), True
    return product_macs(out, first, bool(_attribute(node, "transA"))), True


def _kind(op: str, weight: Sequence[int], node: Any) -> str:
    if op in _PRODUCTS:
        return f"linear {weight[0] if _attribute(node, 'transB') else weight[-1]}" if weight else op
    return conv_kind(weight[2:], weight[1] == 1 and weight[0] > 1, weight[0]) if weight else op


def _attribute(node: Any, name: str) -> int:
    return next((int(one.i) for one in node.attribute if one.name == name), 0)


def _shapes(model: Any, its: Input) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Shapes of all tensors for one crop, and the bytes of each; what has no known shape is in neither."""
    from onnx import helper, shape_inference  # noqa: PLC0415

    fixed = type(model).FromString(model.SerializeToString())
    del fixed.graph.value_info[:]  # inferred for a free first axis
    for output in fixed.graph.output:
        for side in output.type.tensor_type.shape.dim:
            side.Clear()
    taken = next(one for one in fixed.graph.input if one.name not in {w.name for w in fixed.graph.initializer})
    for side, length in zip(taken.type.tensor_type.shape.dim, (1, *its.shape()), strict=True):
        side.dim_value = length
    try:
        inferred = shape_inference.infer_shapes(fixed, data_prop=True).graph
    except shape_inference.InferenceError:  # of a runtime's own operators; then nothing is counted
        inferred = fixed.graph
    shapes, sizes = {}, {}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        tensor = value.type.tensor_type
        shape = tuple(side.dim_value if side.HasField("dim_value") else 0 for side in tensor.shape.dim)
        if 0 not in shape and tensor.elem_type:
            shapes[value.name] = shape
            sizes[value.name] = int(np.prod(shape)) * helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
    return shapes, sizes
