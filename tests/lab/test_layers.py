"""Layers by runtime: each counts what the network counts, whatever is fused; memory that can be told by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.formats import Input
from harness.lab.counts import counted, parameters
from harness.lab.graphs import Operator, fused, most_alive
from harness.lab.layers import activation_bytes, module_layers, program_layers
from harness.lab.layers_onnx import onnx_graph, onnx_layers
from harness.lab.layers_openvino import openvino_graph, openvino_layers
from harness.lab.networks import build
from harness.lab.programs import folded, unfolded, write
from harness.nets.table import parse
from tests.conftest import ROOT
from tests.worker.making import TABLE

SIDE = 32
PIXELS = [np.zeros((1, 3, SIDE, SIDE), np.float32)] * 3


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """Two blocks with squeeze-and-excitation."""
    from harness.nets.build import network

    torch.manual_seed(0)
    made = network(parse(TABLE.encode(), "net.yaml"), 6).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d | nn.Conv2d | nn.Linear):  # zeros are not stored, nor equals twice
            for one in (module.weight, module.bias):
                if one is not None:
                    nn.init.uniform_(one, 0.5, 2)
    return made


@pytest.fixture(scope="module")
def size(net: nn.Module) -> Any:
    return counted(net, torch.zeros(1, 3, SIDE, SIDE))


def test_modules_have_all_multiply_adds_and_parameters_and_a_time(net: nn.Module, size: Any) -> None:
    ran = module_layers(net, [torch.zeros(1, 3, SIDE, SIDE)] * 3, size.by_module)
    assert sum(layer.macs for layer in ran.layers) == size.macs
    assert sum(layer.parameters for layer in ran.layers) == size.parameters
    assert all(layer.ms > 0 for layer in ran.layers)
    assert ran.between_ms > 0
    assert ran.least_ms is not None
    assert 0 < ran.least_ms <= sum(layer.ms for layer in ran.layers)
    first = ran.layers[0]
    assert (first.name, first.kind, first.macs) == ("features.0.0", "conv 3x3 8", 16 * 16 * 8 * 27)
    assert first.bytes_moved == 4 * (3 * 32 * 32 + 8 * 16 * 16 + 8 * 27)
    assert "features.1.layers.3" in {layer.name for layer in ran.layers if layer.family == "depthwise convolutions"}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_an_onnx_file_counts_as_its_network_does(net: nn.Module, size: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write(unfolded(net), "onnx", path, Input(SIDE), half=True)
    graph = onnx_graph(path, Input(SIDE))
    assert (graph.parameters, graph.macs) == (size.parameters, size.macs)
    write(folded(net)[0], "onnx", path, Input(SIDE))
    graph = onnx_graph(path, Input(SIDE))
    assert (graph.parameters, graph.macs) == (parameters(folded(net)[0]), size.macs)
    assert "HardSwish" in graph.not_counted
    assert graph.weight_bytes == 4 * graph.parameters
    ran = onnx_layers(path, PIXELS, 1, graph)
    assert sum(layer.macs for layer in ran.layers) == size.macs  # whatever it fused and reordered
    assert ran.least_ms is None
    assert {layer.kind for layer in ran.layers} >= {"conv 3x3 8", "conv 3x3 dw 16", "linear 6"}


def test_an_openvino_file_counts_as_its_network_does(net: nn.Module, size: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    write(folded(net)[0], "openvino", path, Input(SIDE))
    graph = openvino_graph(path, Input(SIDE))
    assert (graph.parameters, graph.macs) == (parameters(folded(net)[0]), size.macs)
    ran = openvino_layers(path, PIXELS, 1, graph)
    convolutions = size.macs - 12 * 6  # of the linear layer it keeps no name
    assert convolutions <= sum(layer.macs for layer in ran.layers) <= size.macs
    assert "conv 3x3 dw 16" in {layer.kind for layer in ran.layers}


def test_a_program_of_torch_export_counts_as_its_network_does(net: nn.Module, size: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    write(net, "torch.export", path, Input(SIDE))
    ran = program_layers(torch.export.load(path), [torch.zeros(1, 3, SIDE, SIDE)] * 2)
    assert sum(layer.macs for layer in ran.layers) == size.macs
    assert {layer.kind for layer in ran.layers} >= {"conv 3x3 8", "conv 3x3 dw 16", "linear 6", "hardswish"}


def test_what_multiplies_in_another_way_is_not_counted_at_all(tmp_path: Path) -> None:
    import onnx

    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 2, 2, 2)

        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return self.up(maps).mean((2, 3))

    path = tmp_path / "up.onnx"
    write(Growing().eval(), "onnx", path, Input(SIDE))
    assert onnx_graph(path, Input(SIDE)).macs is None
    model = onnx.load(path)
    model.graph.node[0].domain = "com.microsoft"
    model.graph.node[0].op_type = "Attention"
    onnx.save(model, path)
    assert onnx_graph(path, Input(SIDE)).macs is None


def test_the_bundled_onnx_files_count_as_their_networks_do() -> None:
    cut = counted(build(ROOT / "submissions" / "mbv3_cut", 6), torch.zeros(1, 3, 156, 156))
    graph = onnx_graph(ROOT / "submissions" / "mbv3_cut_onnx" / "weights" / "embedded.onnx", Input(156))
    assert (graph.parameters, graph.macs) == (cut.parameters, cut.macs)


def test_memory_is_that_of_the_tensors_that_live_at_once() -> None:
    picture = torch.zeros(1, 3, 8, 8)
    given, maps = 3 * 64 * 4, 4 * 64 * 4
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.ReLU()).eval()
    assert activation_bytes(plain, picture) == given + 2 * maps
    in_place = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)).eval()
    assert activation_bytes(in_place, picture) == given + maps
    assert activation_bytes(nn.Sequential(nn.Flatten(2)), picture) == given  # a view takes none


def test_a_tensor_lives_until_its_last_reader() -> None:
    chain = [
        Operator("a", "relu", ("x",), ("a",)),
        Operator("b", "relu", ("a",), ("b",)),
        Operator("c", "add", ("a", "b"), ("c",)),
    ]
    sizes = {"x": 1, "a": 10, "b": 100, "c": 1000}
    assert most_alive(chain, sizes, ["x"]) == 1110
    assert most_alive(chain, {**sizes, "unused": 1} | {"b": 0}, ["x"]) == 1010
    assert most_alive(chain, {"x": 1, "a": 10}, ["x"]) is None


def test_a_node_stands_for_all_that_no_node_before_it_did() -> None:
    file = [
        Operator("conv1", "conv 1x1 4", ("x", "w"), ("a",), 7),
        Operator("relu", "Relu", ("a",), ("b",)),
        Operator("conv2", "conv 1x1 4", ("b",), ("c",), 9),
        Operator("add", "Add", ("c", "b"), ("d",)),
    ]
    parts = fused(file, [("first", "b"), ("reorder", "b"), ("second", "d")])
    assert [one.name for one in parts["first"]] == ["relu", "conv1"]
    assert parts["reorder"] == []
    assert {one.name for one in parts["second"]} == {"add", "conv2"}
