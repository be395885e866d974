"""Every format loads, and answers crops of any size, alone and together, as the same network does in torch."""

import shutil
from pathlib import Path

import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from harness.errors import SubmissionError
from harness.formats import FORMATS, Model
from harness.judge.isolation import Sandbox
from harness.nets.architectures import declared_network
from harness.nets.preprocess import batch
from harness.rules import Rules
from harness.staging import Target
from tests.conftest import CLASSES
from tests.worker.conftest import Loaded, answers
from tests.worker.making import ODD_ONNX, SIDE, TABLE, eager, fronted, make_declared, odd_crops, telling

FILES = {
    "onnx": ("whole.onnx",),
    "onnx, external data": ("m.onnx", "m.onnx.data"),
    "torch.export": ("m.pt2",),
    "torchscript": ("m.pt",),
    "openvino": ("m.xml", "m.bin"),
}
ARCHITECTURES = {"table": "net.yaml", "torchvision": "shufflenet_v2_x0_5", "timm": "mobilenetv3_small_050"}


def made(folder: Path, models: Path, name: str, rest: str = "") -> Path:
    """A package of one of FILES."""
    form = name.partition(",")[0]
    package = make_declared(folder, f'format = "{form}"\nfile = "{FILES[name][0]}"', rest=rest)
    for file in FILES[name]:
        shutil.copy(models / file, package)
    return package


def test_every_format_is_in_these_tests() -> None:
    assert {name.partition(",")[0] for name in FILES} | set(ARCHITECTURES) == set(FORMATS)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("name", FILES)
def test_a_format_answers_as_the_network_does(
    name: str, batch: int, net: nn.Module, models: Path, loaded: Loaded, tmp_path: Path
) -> None:
    crops = odd_crops()
    labels = eager(net, crops)
    assert len(set(labels)) > 2, "the network tells crops apart"
    with loaded(made(tmp_path / "net", models, name, f"batch = {batch}")) as predict:
        assert [predict([crop]) for crop in crops] == [[label] for label in labels]
        assert predict(crops) == labels


@pytest.mark.parametrize("name", ["onnx, external data", "torch.export"])
def test_a_package_without_python_runs_in_the_sandbox(
    name: str, net: nn.Module, models: Path, sandbox: Sandbox, the_rules: Rules, target: Target, tmp_path: Path
) -> None:
    crops = odd_crops()
    package = made(tmp_path / "net", models, name, "batch = 64")
    assert answers(package, sandbox, the_rules, target, crops) == [eager(net, crops)] * 2


@pytest.mark.parametrize("name", ["torchscript", "openvino"])
def test_the_other_runtimes_run_in_the_strongest_sandbox(
    name: str, net: nn.Module, models: Path, strongest: Sandbox, the_rules: Rules, target: Target, tmp_path: Path
) -> None:
    crops = odd_crops()
    package = made(tmp_path / "net", models, name)
    assert answers(package, strongest, the_rules, target, crops) == [eager(net, crops)] * 2


def test_a_bad_model_is_one_line_of_the_judge(
    models: Path, strongest: Sandbox, the_rules: Rules, target: Target, tmp_path: Path
) -> None:
    package = made(tmp_path / "net", models, "onnx")
    (package / "whole.onnx").write_bytes((models / "whole.onnx").read_bytes()[:5000])
    with pytest.raises(SubmissionError) as caught:
        answers(package, strongest, the_rules, target, odd_crops())
    assert caught.value.kind == "model"
    assert caught.value.message == "net: whole.onnx: expected a whole ONNX file, got one that is damaged"


@pytest.mark.parametrize("name", ODD_ONNX)
def test_onnx_files_of_odd_inputs_answer_as_the_network_does(
    name: str, net: nn.Module, models: Path, loaded: Loaded, tmp_path: Path
) -> None:
    crops, (its_input, front) = odd_crops(), ODD_ONNX[name]
    package = make_declared(tmp_path / "odd", 'format = "onnx"\nfile = "odd.onnx"', f"size = {SIDE}\n{its_input}")
    onnx.save(fronted(models / "whole.onnx", *front), package / "odd.onnx")
    with loaded(package) as predict:
        assert predict(crops) == eager(net, crops)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("form", ARCHITECTURES)
def test_an_architecture_takes_the_weights_of_the_data_set(
    form: str, half: bool, loaded: Loaded, tmp_path: Path
) -> None:
    name, side = ARCHITECTURES[form], 64
    package = make_declared(tmp_path / "net", f'format = "{form}"\narchitecture = "{name}"', f"size = {side}")
    (package / "net.yaml").write_text(TABLE)
    torch.manual_seed(0)
    net = telling(declared_network(Model(form, architecture=name), len(CLASSES), package), side)  # type: ignore[arg-type]
    kept = {
        key: value.half() if half and value.is_floating_point() else value for key, value in net.state_dict().items()
    }
    (package / "weights").mkdir()
    save_file({key: value.contiguous() for key, value in kept.items()}, package / "weights" / "exam.safetensors")
    (package / "weights" / "exam.json").write_text(f'{{"classes": {str(list(CLASSES)).replace(chr(39), chr(34))}}}')
    net.load_state_dict(kept)
    crops = odd_crops()
    with loaded(package) as predict:
        assert predict(crops) == eager(net, crops, side)


def test_a_network_that_views_its_maps_runs_in_the_order_of_its_axes(loaded: Loaded, tmp_path: Path) -> None:
    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.maps, self.head = nn.Conv2d(3, 4, 3, 2), nn.Linear(4 * 15 * 15, 6)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            maps = self.maps(pixels)
            return self.head(maps.view(maps.shape[0], -1))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    net, crops = Viewing(), odd_crops()
    with pytest.raises(RuntimeError, match="view size"):
        eager(net, crops)  # training's order of the axes
    package = make_declared(tmp_path / "net", 'format = "torch.export"\nfile = "m.pt2"')
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3, SIDE, SIDE),)), package / "m.pt2")
    with loaded(package) as predict, torch.inference_mode():
        assert predict(crops) == net(batch(crops, SIDE, "cpu").contiguous()).argmax(1).tolist()


def test_a_model_may_ask_for_fewer_threads_than_it_is_given(
    models: Path, loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    given: list[int] = []
    real = onnxruntime.InferenceSession

    def seen(file: str, options: onnxruntime.SessionOptions, **rest: object) -> object:
        given.append(options.intra_op_num_threads)
        return real(file, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", seen)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for threads in (1, 8):
        package = make_declared(
            tmp_path / f"net{threads}", f'format = "onnx"\nfile = "whole.onnx"\nthreads = {threads}'
        )
        shutil.copy(models / "whole.onnx", package)
        with loaded(package):
            pass
    assert given == [1, 2]
