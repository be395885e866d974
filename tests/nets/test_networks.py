"""The cut network is the competition's, block by block; preprocessing keeps what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from harness.errors import SubmissionError
from harness.lab.networks import build
from harness.nets.build import network
from harness.nets.preprocess import MEAN, STD, batch, normalised, square
from harness.nets.table import parse
from tests.conftest import ROOT

CUT = ROOT / "submissions" / "mbv3_cut"
# shared facts of the competition: block -> parameters, MACs (convolutions and linear) at 156 pixels
BLOCKS = (
    (464, 2.628),
    (464, 2.434),
    (2_592, 14.310),
    (10_328, 38.990),
    (32_080, 90.895),
    (206_680, 135.180),
    (39_360, 58.406),
)


def macs(net: nn.Module, *shape: int) -> float:
    """Millions of multiply-adds in convolutions and linear layers, as fvcore counts them."""
    counted = FlopCountAnalysis(net.eval(), torch.zeros(1, *shape))
    counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by = counted.by_operator()
    return (by["conv"] + by["linear"]) / 1e6


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_cut_network_has_the_published_parameters_and_macs() -> None:
    net = build(CUT, 6)
    assert parameters(net) == 294_854
    assert macs(net, 3, 156, 156) == pytest.approx(342.8, abs=0.05)


def test_each_block_of_the_cut_network_is_the_published_one() -> None:
    rows = parse((CUT / "mobilenetv3_cut.yaml").read_bytes(), "the table")
    assert len(rows) == len(BLOCKS)
    shape, channels = (3, 156, 156), 3
    features = network(rows, 6).features
    assert isinstance(features, nn.Sequential)
    for block, row, (count, millions) in zip(features, rows, BLOCKS, strict=True):
        assert parameters(block) == count
        assert macs(block, *shape) == pytest.approx(millions, abs=0.0006)
        channels, side = row.out, shape[1] // row.stride
        shape = (channels, side, side)
    assert shape == (480, 39, 39)


def test_the_baseline_has_the_published_parameters_and_macs() -> None:
    net = build(ROOT / "baselines" / "mobilenetv3_large", 6)
    assert parameters(net) == 4_209_718
    assert macs(net, 3, 224, 224) == pytest.approx(215.3, abs=0.1)


def test_a_network_has_as_many_outputs_as_classes() -> None:
    assert build(CUT, 4)(torch.zeros(2, 3, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("blocks: []", "one block or more"),
        ("blocks: [{kind: pool, out: 3}]", "pool"),
        ("blocks: [{kind: conv, kernel: 2, out: 16, activation: relu}]", "block 0.*kernel 2"),
        ("blocks: [{kind: conv, kernel: 3, out: 0, activation: relu}]", "block 0.*out 0"),
        ("blocks: [{kind: conv, kernel: 3, out: 8, activation: swish}]", "swish"),
        ("blocks: [{kind: conv, kernel: 3, out: 8, activation: relu, dilation: 2}]", "dilation"),
        ("blocks: [{kind: inverted_residual, kernel: 3, expand: 2, out: 8, squeeze: -1, activation: relu}]", "squeeze"),
        (": : :", "expected a table"),
    ],
)
def test_a_malformed_table_is_one_line(text: str, said: str) -> None:
    with pytest.raises(SubmissionError, match=rf"^net\.yaml: (?s:.*){said}"):
        parse(text.encode(), "net.yaml")


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (2000, 3), (192, 256)])
def test_a_square_keeps_the_shape_and_pads_with_zeros(size: tuple[int, int]) -> None:
    made = square(np.full((*size, 3), 200, np.uint8), 96).numpy()
    assert made.shape == (3, 96, 96)
    filled = (made == 200).all(axis=0)
    height, width = max(1, round(size[0] * 96 / max(size))), max(1, round(size[1] * 96 / max(size)))
    assert filled.sum() == height * width
    assert (made[:, ~filled] == 0).all()
    rows, columns = np.nonzero(filled)
    assert abs((rows.min() + rows.max()) - 95) <= 1  # centred
    assert abs((columns.min() + columns.max()) - 95) <= 1


def test_pixels_are_normalised_by_imagenets_mean_and_deviation() -> None:
    pixels = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    made = normalised(pixels, "cpu")
    assert made.dtype == torch.float32
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        assert made[0, channel].unique().item() == pytest.approx((1 - mean) / std, rel=1e-5)
    crops = [np.zeros((5, 9, 3), np.uint8), np.zeros((9, 5, 3), np.uint8)]
    assert batch(crops, 32, "cpu").shape == (2, 3, 32, 32)


def test_a_model_without_build_is_the_packages_fault(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"expected model\.py with build"):
        build(tmp_path, 6)
    (tmp_path / "model.py").write_text("def build(classes):\n    return classes\n")
    with pytest.raises(SubmissionError, match="to return a torch module, got int"):
        build(tmp_path, 6)
    (tmp_path / "model.py").write_text("x = 1\n")
    with pytest.raises(SubmissionError, match="got no such function"):
        build(tmp_path, 6)
