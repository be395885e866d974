"""What a finished model file holds, before a runtime fuses it: its operators with what they count; by name, in order.

Weights are numbers of a convolution, a matrix product, a batch norm, a sum or a product; scales and zero points of
int8, shapes and running statistics are none. A file whose batch norms were folded has fewer than the network had.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.profile import Layer

COUNTED = "convolutions and matrix products of the file, one for each multiplication with its addition"


class Operator(NamedTuple):
    """One node of a file's graph."""

    name: str
    kind: str
    inputs: tuple[str, ...]  # of tensors
    outputs: tuple[str, ...]
    macs: int | None = 0  # None: its arithmetic is not counted here
    parameters: int = 0


class Graph(NamedTuple):
    """A file. `macs` is None where an operator multiplies in a way that is not counted here: no wrong number."""

    operators: tuple[Operator, ...]
    parameters: int
    macs: int | None
    not_counted: tuple[str, ...]  # kinds of operators without multiply-adds, sorted
    weight_bytes: int  # of the weights as they are stored
    activation_bytes: int | None  # the most that live at once, run as the file says; None where a shape is not known


class Ran(NamedTuple):
    """Layers in the order in which they ran, and what a run takes beside them."""

    layers: tuple[Layer, ...]
    between_ms: float = 0.0  # median of what each run took beyond its layers: a run that stalls, stalls in a layer
    least_ms: float | None = None  # each layer's best time, together; of torch, whose profiler slows what is between


def graph(operators: Sequence[Operator], weight_bytes: int, activation_bytes: int | None) -> Graph:
    """A file's graph of its operators."""
    known = [one.macs for one in operators]
    return Graph(
        operators=tuple(operators),
        parameters=sum(one.parameters for one in operators),
        macs=None if None in known else sum(macs for macs in known if macs is not None),
        not_counted=tuple(sorted({one.kind.split()[0] for one in operators if not one.macs})),
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes,
    )


def conv_macs(out: Sequence[int], weight: Sequence[int]) -> int:
    """Of a convolution to (n, out channels, …) with a weight of (…, channels in of a group, *kernel).

    >>> conv_macs((1, 16, 78, 78), (16, 3, 3, 3))  # FACTS.md: 2.628 M
    2628288
    """
    kernel = len(out) - 2
    return math.prod(out) * math.prod(weight[-kernel - 1 :])


def product_macs(out: Sequence[int], first: Sequence[int], transposed: bool = False) -> int:
    """Of a matrix product: each number of the result is a sum over the first factor's last axis, or its first one.

    >>> product_macs((1, 6), (1, 480))
    2880
    """
    return math.prod(out) * (first[0] if transposed else first[-1])


def most_alive(operators: Sequence[Operator], size: Mapping[str, int], given: Iterable[str]) -> int | None:
    """Bytes of the tensors that live at once at most, each from its operator to its last reader; None of unknown sizes.

    `size`: of each tensor that is no weight, in bytes; `given`: the graph's inputs.

    >>> one = [Operator("a", "relu", ("x",), ("y",)), Operator("b", "relu", ("y",), ("z",))]
    >>> most_alive(one, {"x": 8, "y": 4, "z": 1}, ["x"])
    12
    """
    last = {name: number for number, one in enumerate(operators) for name in one.inputs}
    alive = {name: size[name] for name in given if name in size}
    most = sum(alive.values())
    for number, one in enumerate(operators):
        if not all(name in size for name in one.outputs):
            return None
        alive |= {name: size[name] for name in one.outputs}
        most = max(most, sum(alive.values()))
        for name in (*one.inputs, *one.outputs):
            if last.get(name, number) <= number:
                alive.pop(name, None)
    return most


def fused(operators: Sequence[Operator], ran: Sequence[tuple[str, str]]) -> dict[str, list[Operator]]:
    """Which operators of the file each node that ran stands for, by its name: `ran` has (name, tensor that it gives).

    A runtime fuses, reorders and renames, but a node that gives a tensor has done all that the tensor needs and that no
    node before it has done.
    """
    maker = {name: one for one in operators for name in one.outputs}
    done: set[str] = set()
    found: dict[str, list[Operator]] = {}
    for node, tensor in ran:
        todo, its = [tensor], []
        while todo:
            one = maker.get(todo.pop())
            if one is None or one.name in done:
                continue
            done.add(one.name)
            its.append(one)
            todo += one.inputs
        found[node] = its
    return found
