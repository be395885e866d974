"""What is said of a package without Python before anything runs: one line of expected and got."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from harness.formats import FORMATS
from tests.worker.conftest import Loaded, Refused
from tests.worker.making import make_declared

ONNX = 'format = "onnx"\nfile = "whole.onnx"'
ALL = "onnx, torch.export, torchscript, openvino, table, torchvision or timm"


@pytest.mark.parametrize(
    ("model", "its_input", "says"),
    [
        ('format = "tflite"', "size = 32", f"model.format: expected {ALL}, got 'tflite'"),
        ('file = "m.onnx"', "size = 32", "model: expected a key format"),
        (ONNX, None, "expected [input] beside [model], with the network's size at least, got none"),
        (ONNX, "pad = true", "input: expected a key size"),
        (ONNX, "size = 0", "[input] size: expected sides of 1 to 4096 pixels, got 0"),
        (ONNX, "size = [32, 9999]", "[input] size: expected sides of 1 to 4096 pixels, got (32, 9999)"),
        (ONNX, 'size = "32"', "input.size: expected int | array, got str"),
        (ONNX, "size = [32, 32, 3]", "input.size: expected array of length 2, got 3"),
        (ONNX, 'size = 32\nlayout = "CHW"', "input.layout: expected NCHW or NHWC, got 'CHW'"),
        (ONNX, 'size = 32\ntype = "int8"', "input.type: expected float32 or uint8, got 'int8'"),
        (ONNX, "size = 32\nstd = [0, 1, 1]", "[input] mean, std: expected finite numbers, std above 0, got"),
        (ONNX, "size = 32\nmean = [nan, 1, 1]", "[input] mean, std: expected finite numbers, std above 0, got"),
        (ONNX, "size = 32\ncrop = 3", "input: unknown key crop"),
        (ONNX + "\nthreads = 0", "size = 32", "[model] threads: expected 1 or more, got 0"),
        (
            'format = "onnx"\nfile = "m.pt2"',
            "size = 32",
            "[model] file: expected one that ends with .onnx for onnx, got m.pt2",
        ),
        (
            'format = "onnx"\nfile = "a\\nb.onnx"',
            "size = 32",
            "[model] file: expected 1 to 200 printable characters, got",
        ),
        (
            ONNX + '\narchitecture = "x"',
            "size = 32",
            "[model] format onnx: expected no architecture, its file holds the network, got x",
        ),
        ('format = "timm"', "size = 32", "[model] format timm: expected an architecture, got none"),
        (
            ONNX,
            'size = 32\ntype = "uint8"\nmean = [0, 0, 0]',
            "[input] type uint8: expected no mean and std, the network normalises itself, got some",
        ),
    ],
)
def test_a_table_that_is_wrong(model: str, its_input: str | None, says: str, tmp_path: Path, refused: Refused) -> None:
    kind, said = refused(make_declared(tmp_path / "net", model, its_input))
    assert kind == "manifest"
    assert said.startswith(f"net/submission.toml: {says}"), said


@pytest.mark.parametrize(
    "file", ["m.onnx", "../outside.onnx", "/etc/outside.onnx", "weights/m.onnx", "folder/../m.onnx", ".hidden/m.onnx"]
)
def test_a_file_that_is_not_in_the_package(file: str, models: Path, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", f'format = "onnx"\nfile = "{file}"')
    for there in ("net/weights/m.onnx", "net/folder/other.onnx", "net/.hidden/m.onnx", "outside.onnx"):
        (tmp_path / there).parent.mkdir(exist_ok=True)
        shutil.copy(models / "whole.onnx", tmp_path / there)
    kind, said = refused(package)
    assert kind == "package"
    hint = "; what lies in weights/ is taken by the data set's name, without file" if file.startswith("weights") else ""
    assert said == f"net: [model] file: expected {file} in the package, got none{hint}"


def test_a_file_that_is_a_link_out_of_the_package(models: Path, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", ONNX)
    (package / "whole.onnx").symlink_to(models / "whole.onnx")
    assert refused(package) == ("package", "net: expected plain files only, got whole.onnx, a link")


def test_a_network_of_openvino_without_its_weights(models: Path, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", 'format = "openvino"\nfile = "m.xml"')
    shutil.copy(models / "m.xml", package)
    assert refused(package) == ("package", "net: [model] file: expected m.bin in the package, got none")


def test_python_and_a_model_at_once(models: Path, tmp_path: Path, refused: Refused) -> None:
    package = make_declared(tmp_path / "net", ONNX)
    shutil.copy(models / "whole.onnx", package)
    (package / "predict.py").write_text("")
    assert refused(package) == (
        "package",
        "net: expected predict.py or [model], got both; one of them would never run",
    )


def test_a_model_without_a_file_takes_that_of_the_data_set(
    models: Path, tmp_path: Path, refused: Refused, loaded: Loaded
) -> None:
    package = make_declared(tmp_path / "net", 'format = "onnx"')
    assert refused(package) == (
        "weights",
        "net: no weights for exam: expected weights/exam.onnx and .json",
    )


@pytest.mark.parametrize("form", FORMATS)
def test_a_library_that_is_not_installed_comes_with_the_command(
    form: str, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = FORMATS[form].requires[0]  # type: ignore[index]
    rest = '\narchitecture = "x"' if FORMATS[form].architecture else ""  # type: ignore[index]
    package = make_declared(tmp_path / "net", f'format = "{form}"{rest}')

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    said = f"net: format {form}: expected {needed} (not installed); pip install '{needed}'"
    assert refused(package) == ("requires", said)
    monkeypatch.setattr(metadata, "version", lambda _: "0.1")
    assert refused(package) == ("requires", said.replace("not installed", "installed: 0.1"))


def test_the_runtime_for_a_gpu_does_as_well(
    models: Path, tmp_path: Path, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_declared(tmp_path / "net", ONNX)
    shutil.copy(models / "whole.onnx", package)
    real = metadata.version

    def renamed(name: str) -> str:
        if name == "onnxruntime":
            raise metadata.PackageNotFoundError(name)
        return real("onnxruntime" if name == "onnxruntime-gpu" else name)

    monkeypatch.setattr(metadata, "version", renamed)
    with loaded(package):
        pass
