"""Exports: each format answers as its package did, or nothing is written; int8 needs crops to calibrate with."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from harness.data.store import Store
from harness.data.weights import WeightsInfo, read_info, write_weights
from harness.errors import DataError, SubmissionError, UsageError
from harness.formats import FORMATS, Input
from harness.lab import export as lab
from harness.lab.export import Order, export, opened
from harness.lab.fitted import as_stored
from harness.lab.networks import build
from harness.lab.programs import WRITERS, Target, folded
from harness.lab.recipe import Recipe
from harness.lab.train import Epoch, train
from harness.metrics import Ints
from harness.nets.preprocess import batch
from harness.rules import Rules
from harness.staging import Target as StagingTarget
from harness.staging import read_manifest, staged
from harness.submission import parse
from harness.worker import declared
from tests.conftest import ROOT, names

TABLE = """
blocks:
  - {kind: conv, kernel: 3, out: 8, stride: 2, activation: hardswish}
  - {kind: inverted_residual, kernel: 3, expand: 2, out: 8, squeeze: 8, activation: relu}
"""
RECIPE = Recipe(size=32, epochs=1, batch=16, max_lr=0.05)
DECLARED = """
name = "declared"
recipe = "recipe.yaml"
[model]
format = "table"
architecture = "net.yaml"
[input]
size = 32
"""
BYTES = """
import torch

class Net(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = torch.nn.Linear(3, classes)

    def forward(self, pixels):
        return self.head((pixels.to(torch.float32) / 64).mean((1, 2)))

def build(classes):
    return Net(classes)
"""
Answers = Callable[[Path], Ints]


@pytest.fixture
def package(tmp_path: Path, tinted: Store) -> Path:
    """mbv3_cut with a table of two blocks and random weights whose scores lie well apart."""
    folder = tmp_path / "home" / "small"
    shutil.copytree(ROOT / "submissions" / "mbv3_cut", folder, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (folder / "mobilenetv3_cut.yaml").write_text(TABLE)
    write_random(folder, tinted)
    return folder


def write_random(package: Path, store: Store, size: int = 32) -> None:
    """As a training's, without one; running statistics that are not 0 and 1."""
    torch.manual_seed(0)
    net = build(package, 3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 3)
    if isinstance(net, nn.Sequential):  # a table: no class is ahead of the others
        crops = store.crops("val")
        with torch.inference_mode():
            net.head.bias -= net.eval()(batch([crops[i] for i in range(len(crops))], size, "cpu")).mean(0)
    state = {name: value.numpy() for name, value in as_stored(net.state_dict()).items()}
    info = WeightsInfo(store.manifest.classes, store.manifest.digest, {"size": size}, [{"epoch": 1, "val_f1": 0.5}])
    write_weights(package, store.manifest.name, state, info)


@pytest.fixture
def answers(tinted: Store, the_rules: Rules, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """A package's labels as its worker gives them, in this process; of one with Python by its network."""

    def labels(package: Path) -> Ints:
        crops = tinted.crops("val")
        if read_manifest(package).model is None:
            source = opened(package, tinted)
            prepare = lab.preparing(source.input)
            with torch.inference_mode():
                scores = [source.net(torch.from_numpy(prepare([crops[i]]))) for i in range(len(crops))]
            return torch.cat(scores).argmax(1).numpy()
        target = StagingTarget("tinted", tinted.manifest.classes, digest=tinted.manifest.digest)
        with staged(package, target, the_rules.limits) as (_, folder), monkeypatch.context() as patch:
            patch.chdir(folder)
            predict = declared.load(folder, "cpu")
            return np.array([predict([crops[i]])[0] for i in range(len(crops))])  # type: ignore[index]

    return labels


def order(package: Path, to: Target, **others: bool) -> Order:
    return Order(to, package.with_name("exported"), **others)


@pytest.mark.parametrize("to", WRITERS)
def test_an_export_answers_as_its_package_did(to: Target, package: Path, tinted: Store, answers: Answers) -> None:
    done = export(opened(package, tinted), tinted, order(package, to), answers)
    assert done.not_folded is None
    assert done.checked.agreement >= lab.LEAST_AGREEMENT
    assert done.checked.largest_difference <= lab.LARGEST_DIFFERENCE
    assert done.checked.f1 == done.checked.exported_f1
    endings = FORMATS[to].endings
    assert names(done.folder / "weights") == sorted([f"tinted{ending}" for ending in endings] + ["tinted.json"])
    assert done.size_bytes == sum((done.folder / "weights" / f"tinted{end}").stat().st_size for end in endings)
    assert names(package.parent) == ["exported", "small"]  # nothing hidden is left
    assert done.folder.stat().st_mode & 0o777 == 0o755
    info = read_info(done.folder / "weights" / "tinted.json")
    assert info.recipe == {"size": 32, "exported_from": "mbv3_cut"}
    assert (info.data_digest, info.log) == (tinted.manifest.digest, [{"epoch": 1, "val_f1": 0.5}])
    its = read_manifest(done.folder)
    assert (its.name, its.batch, its.input) == ("exported", 32, Input(32))
    assert len(set(answers(done.folder).tolist())) > 1  # else equal labels would say little


def test_a_network_of_bytes_is_exported_by_its_own_input(package: Path, tinted: Store, answers: Answers) -> None:
    (package / "model.py").write_text(BYTES)
    manifest = 'name = "bytes"\nauthors = "\\"me\\" \\\\ ü"\n'
    own = '[input]\nsize = [24, 32]\npad = false\nlayout = "NHWC"\nresize = "nearest"\ntype = "uint8"\n'
    (package / "submission.toml").write_text(manifest)
    write_random(package, tinted)
    with pytest.raises(SubmissionError, match=r"^small: expected \[input\] in submission\.toml or a recipe"):
        opened(package, tinted)
    (package / "submission.toml").write_text(manifest + own)
    done = export(opened(package, tinted), tinted, order(package, "onnx"), answers)
    its = read_manifest(done.folder)
    assert its.authors == '"me" \\ ü'
    assert its.input == Input((24, 32), pad=False, layout="NHWC", resize="nearest", type="uint8")


def test_an_export_whose_scores_differ_is_refused_with_the_figures(
    package: Path, tinted: Store, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(package, tinted)

    def tampered(net: nn.Module) -> tuple[nn.Module, None]:
        other, _ = folded(net)
        with torch.no_grad():
            other.head.bias += torch.tensor([9.0, 0, 0])  # type: ignore[operator, union-attr]
        return other, None

    monkeypatch.setattr(lab, "folded", tampered)
    with pytest.raises(SubmissionError, match=r"99\.9% of 18 validation crops .* got [\d.]+% and 9 with onnx; nothing"):
        export(source, tinted, order(package, "onnx"), answers)
    assert names(package.parent) == ["small"]


def test_an_export_whose_labels_differ_is_refused(package: Path, tinted: Store, answers: Answers) -> None:
    def others(one: Path) -> Ints:  # as of a package whose own preprocessing is another
        return (answers(one) + 1) % 3 if one == package else answers(one)

    with pytest.raises(SubmissionError, match=r"got 0\.00% and [\d.e-]+ with torch\.export; either .*; nothing is"):
        export(opened(package, tinted), tinted, order(package, "torch.export"), others)
    assert names(package.parent) == ["small"]


def test_scores_that_are_no_numbers_are_refused(package: Path, tinted: Store, answers: Answers) -> None:
    source = opened(package, tinted)
    with torch.no_grad():
        source.net.head.bias += torch.nan  # type: ignore[operator, union-attr]
    with pytest.raises(SubmissionError, match="and inf with onnx"):
        export(source, tinted, order(package, "onnx"), lambda _: answers(package))


def test_a_network_that_cannot_be_traced_is_one_line(package: Path, tinted: Store, answers: Answers) -> None:
    source = opened(package, tinted)

    class Fixed(nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return maps.reshape(2, -1)[:, :3]

    with pytest.raises(SubmissionError, match=r"^small: expected a network of n x \(3, 32, 32\) .*$"):
        export(source._replace(net=Fixed()), tinted, order(package, "onnx"), answers)
    assert names(package.parent) == ["small"]


def test_a_taken_name_is_refused_and_only_an_export_is_replaced(package: Path, tinted: Store, answers: Answers) -> None:
    source, first = opened(package, tinted), order(package, "torch.export")
    folder = export(source, tinted, first, answers).folder
    with pytest.raises(UsageError, match="it is there already; --fresh replaces it"):
        export(source, tinted, first, answers)
    (folder / "README.md").write_text("mine")
    export(source, tinted, order(package, "onnx", fresh=True), answers)
    assert names(folder) == ["README.md", "submission.toml", "weights"]
    assert names(folder / "weights") == ["tinted.json", "tinted.onnx"]
    for other in (package, package.with_name("written")):
        other.mkdir(exist_ok=True)
        with pytest.raises(UsageError, match="expected an earlier export to replace"):
            export(source, tinted, Order("onnx", other, fresh=True), answers)
    assert names(package.parent) == ["exported", "small", "written"]


def test_half_answers_as_its_package_and_may_replace_a_whole_one(
    package: Path, tinted: Store, answers: Answers
) -> None:
    (package / "mobilenetv3_cut.yaml").write_text(TABLE.replace("out: 8", "out: 64"))
    write_random(package, tinted)
    whole = export(opened(package, tinted), tinted, order(package, "onnx"), answers)
    half = export(opened(package, tinted), tinted, order(package, "onnx", fresh=True, half=True), answers)
    assert half.checked.agreement == 1
    assert half.checked.largest_difference < 1e-4
    assert half.size_bytes < 0.9 * whole.size_bytes  # much of so small a file is names
    stored = (half.folder / "weights" / "tinted.onnx").read_bytes()
    assert b"_half" in stored
    assert str(ROOT).encode() not in stored, "no stack trace tells where it was made"


@pytest.mark.parametrize(("to", "says"), [("onnx", b"QuantizeLinear"), ("openvino", b"FakeQuantize")])
def test_int8_is_calibrated_on_training_crops(
    to: Target, says: bytes, package: Path, tinted: Store, answers: Answers, capfd: pytest.CaptureFixture[str]
) -> None:
    done = export(opened(package, tinted), tinted, order(package, to, int8=True), answers)
    assert done.checked.agreement > 0.8
    endings = FORMATS[to].endings
    assert names(done.folder / "weights") == sorted(["tinted.json", *(f"tinted{ending}" for ending in endings)])
    assert says in (done.folder / "weights" / f"tinted{endings[0]}").read_bytes()
    assert "nncf" not in capfd.readouterr().out
    info = read_info(done.folder / "weights" / "tinted.json")
    assert info.recipe["quantised"] == "int8, calibrated on 54 training crops"


def test_int8_of_torch_export_is_refused(package: Path, tinted: Store, answers: Answers) -> None:
    with pytest.raises(UsageError, match=r"^int8: expected a format of onnx, openvino, got torch\.export"):
        export(opened(package, tinted), tinted, order(package, "torch.export", int8=True), answers)


def test_int8_without_calibration_data_is_one_line(package: Path, tinted: Store, answers: Answers) -> None:
    crops = tinted.manifest.crops | {"train": 0}
    judged = Store(tinted.path, msgspec.structs.replace(tinted.manifest, crops=crops))
    with pytest.raises(DataError, match=r"^tinted: expected training crops, got none: int8 without calibration data"):
        export(opened(package, tinted), judged, order(package, "onnx", int8=True), answers)


def test_a_declared_table_is_trained_and_exported(tmp_path: Path, tinted: Store, answers: Answers) -> None:
    package = tmp_path / "home" / "declared"
    package.mkdir(parents=True)
    (package / "submission.toml").write_text(DECLARED)
    (package / "net.yaml").write_text(TABLE)
    assert any(isinstance(event, Epoch) for event in train(package, tinted, RECIPE))
    done = export(opened(package, tinted), tinted, order(package, "openvino"), answers)
    assert done.checked.agreement == 1
    with pytest.raises(SubmissionError, match=r"expected model\.py .* got openvino, whose file is a finished network"):
        opened(done.folder, tinted)


def test_a_network_without_weights_is_one_line(package: Path, tinted: Store) -> None:
    path = package / "weights" / "tinted.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(SubmissionError, match=r"tinted\.safetensors: expected its network's weights, got [^\n]*$"):
        opened(package, tinted)
    path.unlink()
    with pytest.raises(SubmissionError, match=r"^small: no weights for tinted: expected weights/tinted\.safetensors"):
        opened(package, tinted)


def test_weights_from_elsewhere_that_say_their_classes_alone_are_exported(
    tmp_path: Path, tinted: Store, answers: Answers
) -> None:
    package = tmp_path / "home" / "brought"
    package.mkdir(parents=True)
    (package / "submission.toml").write_text(DECLARED)
    (package / "net.yaml").write_text(TABLE)
    write_random(package, tinted)
    said = msgspec.json.encode({"classes": tinted.manifest.classes, "by": ["me"]})
    (package / "weights" / "tinted.json").write_bytes(said)
    done = export(opened(package, tinted), tinted, order(package, "torch.export"), answers)
    assert done.checked.agreement == 1
    assert read_info(done.folder / "weights" / "tinted.json").recipe == {"exported_from": "declared"}


def test_what_a_manifest_says_is_read_again() -> None:
    its = parse(lab.manifest_text("x", parse(b'name = "x"\nbatch = 4', "x"), "onnx", Input(8)).encode(), "x")
    assert (its.batch, its.input) == (4, Input(8))


def test_an_export_that_cannot_be_written_is_one_line(package: Path, tinted: Store, answers: Answers) -> None:
    from harness.errors import MachineError

    missing = package.parent / "missing" / "exported"
    with pytest.raises(MachineError, match="cannot write"):
        export(opened(package, tinted), tinted, Order("onnx", missing), answers)
