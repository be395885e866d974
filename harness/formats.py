"""Packages without Python: what [model] and [input] of a submission.toml may say. Pure: values in, values out.

One row a format: how its files end and what must be installed. The worker has the table of what runs them.
"""

import math
from typing import Literal, NamedTuple, get_args

import msgspec

FormatName = Literal["onnx", "torch.export", "torchscript", "openvino", "table", "torchvision", "timm"]
Layout = Literal["NCHW", "NHWC"]
Resize = Literal["bilinear", "bicubic", "lanczos", "box", "nearest"]
Type = Literal["float32", "uint8"]
CHOICES: dict[str, tuple[str, ...]] = {
    "model.format": get_args(FormatName),
    "input.layout": get_args(Layout),
    "input.resize": get_args(Resize),
    "input.type": get_args(Type),
}
MODEL_FILE = "harness-model.json"  # a Declared, put into the staged copy for the worker
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # as shares of 255
IMAGENET_STD = (0.229, 0.224, 0.225)
_LARGEST_SIDE = 4096
_LONGEST_NAME = 200  # characters


class Format(NamedTuple):
    """What a format needs: endings of its files (the first is the one that is named) and what must be installed."""

    endings: tuple[str, ...]
    requires: tuple[str, ...]
    instead: tuple[str, ...] = ()  # any of these does as well
    by_torch: bool = False  # torch runs it
    written_by: tuple[str, ...] = ()  # what writing a file takes beside `requires`
    quantised_by: tuple[str, ...] = ()  # what its int8 takes beside that
    architecture: bool = False  # its file holds weights alone; [model] names the network
    note: str | None = None  # said by `harness check`


FORMATS: dict[FormatName, Format] = {
    "onnx": Format(
        (".onnx",),
        ("onnxruntime>=1.20",),
        instead=("onnxruntime-gpu>=1.20",),
        written_by=("onnx>=1.17", "onnxscript>=0.5"),
    ),
    "torch.export": Format((".pt2",), ("torch>=2.9",), by_torch=True),
    "torchscript": Format(
        (".pt",),
        ("torch>=2.9",),
        by_torch=True,
        note="TorchScript is deprecated in PyTorch; torch.export is what replaces it",
    ),
    "openvino": Format((".xml", ".bin"), ("openvino>=2025.0",), quantised_by=("nncf>=2.18",)),
    "table": Format((".safetensors",), ("torch>=2.9",), by_torch=True, architecture=True),
    "torchvision": Format((".safetensors",), ("torchvision>=0.24",), by_torch=True, architecture=True),
    "timm": Format((".safetensors",), ("timm>=1.0",), by_torch=True, architecture=True),
}
ENDINGS = tuple(dict.fromkeys(ending for its in FORMATS.values() for ending in its.endings))


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[model]: the file that holds the network, or its weights, and what runs it."""

    format: FormatName
    file: str | None = None  # in the package; without it weights/<data> with the format's ending, one for each data set
    architecture: str | None = None  # a torchvision or timm name; for "table" a YAML file (harness.nets.table)
    threads: int | None = None  # at most those that both sides get; a small network may be faster on one


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[input]: how a crop becomes the network's input. All but `size` are what `harness train` does."""

    size: int | tuple[int, int]  # pixels a side, or height and width
    pad: bool = True  # keeps the crop's shape, centred, zeros around it; False: stretched
    mean: tuple[float, float, float] = IMAGENET_MEAN  # value = (pixel / 255 - mean) / std, R G B
    std: tuple[float, float, float] = IMAGENET_STD
    layout: Layout = "NCHW"
    resize: Resize = "bilinear"  # all but the last antialiased
    type: Type = "float32"  # uint8: pixels as they are, for a network that normalises itself

    def sides(self) -> tuple[int, int]:
        """Height and width in pixels.

        >>> Input(156).sides(), Input((96, 128)).sides()
        ((156, 156), (96, 128))
        """
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def shape(self) -> tuple[int, int, int]:
        """Of one crop in the layout.

        >>> Input(156, layout="NHWC").shape()
        (156, 156, 3)
        """
        height, width = self.sides()
        return (3, height, width) if self.layout == "NCHW" else (height, width, 3)


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the worker reads: a model, its staged file, its input and the crops of a request in the batch scenario."""

    model: Model
    file: str
    input: Input
    batch: int = 1


def problem(model: Model, its_input: Input | None) -> str | None:
    """What is wrong with the two tables beyond their types, in one line; None where nothing is."""
    wrong = _model_problem(model)
    if wrong is None and its_input is None:
        wrong = "expected [input] beside [model], with the network's size at least, got none"
    return wrong or (_input_problem(its_input) if its_input is not None else None)


def _model_problem(model: Model) -> str | None:
    form = FORMATS[model.format]
    if form.architecture != (model.architecture is not None):
        wanted = "an architecture" if form.architecture else "no architecture, its file holds the network"
        return f"[model] format {model.format}: expected {wanted}, got {model.architecture or 'none'}"
    for key, text in (("file", model.file), ("architecture", model.architecture)):
        if text is not None and not (text.isprintable() and 0 < len(text) <= _LONGEST_NAME):
            return f"[model] {key}: expected 1 to {_LONGEST_NAME} printable characters, got {text[:40]!r}"
    if model.file is not None and not model.file.endswith(form.endings[0]):
        return f"[model] file: expected one that ends with {form.endings[0]} for {model.format}, got {model.file}"
    if model.threads is not None and model.threads < 1:
        return f"[model] threads: expected 1 or more, got {model.threads}"
    return None


def _input_problem(its_input: Input) -> str | None:
    if not all(1 <= side <= _LARGEST_SIDE for side in its_input.sides()):
        return f"[input] size: expected sides of 1 to {_LARGEST_SIDE} pixels, got {its_input.size}"
    if not all(map(math.isfinite, its_input.mean + its_input.std)) or min(its_input.std) <= 0:
        return f"[input] mean, std: expected finite numbers, std above 0, got {its_input.mean}, {its_input.std}"
    if its_input.type == "uint8" and (its_input.mean, its_input.std) != (IMAGENET_MEAN, IMAGENET_STD):
        return "[input] type uint8: expected no mean and std, the network normalises itself, got some"
    return None


def declared(model: Model, its_input: Input, batch: int) -> Declared:
    """What the worker is told: a file without a name is the one of the data set, staged as weights.

    >>> declared(Model("onnx"), Input(96), 1).file
    'weights.onnx'
    """
    return Declared(model, model.file or f"weights{FORMATS[model.format].endings[0]}", its_input, batch)
