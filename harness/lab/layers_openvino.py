"""An OpenVINO file's counts, and the times of its nodes as OpenVINO runs them on the CPU."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.formats import Input
from harness.lab.graphs import Graph, Operator, Ran, conv_macs, graph, most_alive, product_macs
from harness.lab.layers import conv_kind
from harness.profile import Layer

_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_WEIGHTED = ("Add", "Multiply", "Subtract", "Divide", "PRelu")
_UNCOUNTED: tuple[str, ...] = (
    "ConvolutionBackpropData",
    "GroupConvolutionBackpropData",
    "DeformableConvolution",
    "Einsum",
)
_UNCOUNTED += ("LSTMSequence", "GRUSequence", "RNNSequence", "LSTMCell", "GRUCell", "RNNCell", "TensorIterator")
_UNCOUNTED += ("Loop", "If", "ScaledDotProductAttention")
_PASSING = ("Convert", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "FakeQuantize")  # of a weight
_SCALING = ("Multiply", "Subtract")  # of an int8 weight


def openvino_graph(path: Path, its: Input) -> Graph:
    """What the file holds, for one crop."""
    import openvino  # noqa: PLC0415 (an extra)

    model = openvino.Core().read_model(path)
    model.reshape([1, *its.shape()])
    used: dict[str, Any] = {}  # constants that were learnt, by name
    steady = {one.get_friendly_name() for one in model.get_ordered_ops() if _steady(one)}
    operators, sizes = [], {}
    for node in model.get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_type_name()
        if name in steady or kind in ("Parameter", "Result"):
            continue
        before = sum(array.size for array in used.values())
        macs, kind = _macs(node)
        _use(node, used, steady)
        learnt = sum(array.size for array in used.values()) - before
        inputs = [_source(one).get_friendly_name() for one in node.inputs()]
        moving = tuple(one for one in inputs if one not in steady)
        operators.append(Operator(name, kind, moving, (name,), macs, learnt))
        if all(not output.get_partial_shape().is_dynamic for output in node.outputs()):
            sizes[name] = sum(_bytes(output) for output in node.outputs())
    given = [one.get_friendly_name() for one in model.get_parameters()]
    sizes |= {one.get_friendly_name(): _bytes(one.output(0)) for one in model.get_parameters()}
    return graph(operators, sum(array.nbytes for array in used.values()), most_alive(operators, sizes, given))


def openvino_layers(path: Path, inputs: Sequence[NDArray[Any]], threads: int, its: Graph) -> Ran:
    """The nodes as they run, in their order; `inputs`: batches of one."""
    import openvino  # noqa: PLC0415 (an extra)

    settings = {
        **{"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False},
        **{"INFERENCE_PRECISION_HINT": "f32", "PERF_COUNT": True},
    }
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(inputs[0].shape))
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    times: dict[str, list[float]] = defaultdict(list)
    between = []
    for number, batch in enumerate((inputs[0], *inputs)):
        started = perf_counter()
        request.infer([batch])
        left = (perf_counter() - started) * 1e3
        for node in request.get_profiling_info():
            ms = node.real_time.total_seconds() * 1e3
            left -= ms
            if number and node.status == node.Status.EXECUTED:
                times[node.node_name].append(ms)
        between.append(left)
    nodes = {node.get_friendly_name(): node for node in compiled.get_runtime_model().get_ordered_ops()}
    parts = {one.name: one for one in its.operators}
    layers = tuple(_layer(nodes[name], runs, parts) for name, runs in times.items() if name in nodes)
    return Ran(layers, max(median(between[1:]), 0.0))


def _layer(node: Any, runs: Sequence[float], parts: dict[str, Operator]) -> Layer:
    said = node.get_rt_info()
    stands_for = [parts[one] for one in str(said["originalLayersNames"].astype(str)).split(",") if one in parts]
    counting = [one for one in stands_for if one.macs]
    ends = [one.get_source_output() for one in node.inputs()] + list(node.outputs())
    return Layer(
        name=_short(node.get_friendly_name()),
        kind=counting[0].kind if counting else str(said["layerType"].astype(str)),
        ms=median(runs),
        macs=sum(one.macs or 0 for one in stands_for),
        parameters=sum(one.parameters for one in stands_for),
        bytes_moved=sum(_bytes(one) for one in ends if not one.get_partial_shape().is_dynamic),
    )


def _short(name: str) -> str:
    """Without the exporter's "aten.convolution.default", which tells nothing.

    >>> _short("convolution_5/aten.convolution.default/Convolution"), _short("pool")
    ('convolution_5', 'pool')
    """
    first, *more = name.split("/")
    return first if more and more[0].startswith("aten.") else name


def _macs(node: Any) -> tuple[int | None, str]:
    """Multiply-adds, None where they cannot be told; the operator's kind."""
    kind = node.get_type_name()
    if kind in _UNCOUNTED:
        return None, kind
    if kind not in (*_CONVOLUTIONS, "MatMul"):
        return 0, kind
    ends = [node.output(0), node.input(0).get_source_output(), node.input(1).get_source_output()]
    if any(one.get_partial_shape().is_dynamic for one in ends):
        return None, kind
    out, first, weight = (tuple(one.get_shape()) for one in ends)
    if kind == "MatMul":
        swapped = node.get_attributes()
        kind = f"linear {out[-1]}"
        return product_macs(out, first if not swapped.get("transpose_a") else (first[-2],)), kind
    depthwise = len(weight) > len(out) and weight[2] == 1 and weight[0] > 1  # (groups, out, in, *kernel)
    return conv_macs(out, weight), conv_kind(weight[-(len(out) - 2) :], depthwise, out[1])


def _use(node: Any, used: dict[str, Any], steady: set[str]) -> None:
    """Adds the constants of an operator that were learnt to those that are used."""
    kind = node.get_type_name()
    weighing = kind in (*_CONVOLUTIONS, "MatMul")
    if not weighing and kind not in _WEIGHTED:
        return
    for one in node.inputs():
        source = _source(one)
        if source.get_friendly_name() not in steady:
            continue
        constant = _constant(source)
        if constant is not None and (weighing or constant.data.size > 1):  # one number is an activation's
            used.setdefault(constant.get_friendly_name(), constant.data)


def _constant(node: Any) -> Any:
    """The stored numbers behind a steady tensor: below the casts and scales of half and int8 weights."""
    while node.get_type_name() != "Constant":
        if node.get_type_name() not in (*_PASSING, *_SCALING):
            return None
        node = _source(node.input(0))
    return node if np.issubdtype(node.data.dtype, np.number) else None


def _steady(node: Any) -> bool:
    """Whether it is computed of constants alone."""
    kind = node.get_type_name()
    return kind == "Constant" or (
        kind in (*_PASSING, *_SCALING) and all(_steady(_source(one)) for one in node.inputs())
    )


def _source(end: Any) -> Any:
    return end.get_source_output().get_node()


def _bytes(end: Any) -> int:
    return int(np.prod(end.get_shape())) * int(end.get_element_type().size)
