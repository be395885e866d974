"""What runs a declared model: one entry a format. Each is imported when it is asked for; see harness.formats.

A runtime takes a Declared, a device ("cpu" or "cuda") and a number of threads and returns a Network; it raises Failed
with one line for a file that it cannot use.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.formats import Declared, FormatName
from harness.wire import Reason
from harness.worker.complaints import hearing, unusable
from harness.worker.package import Failed

Run = Callable[[NDArray[Any]], NDArray[Any]]


class Network(NamedTuple):
    """A loaded file, as functions of the network's input, (n, *input.shape())."""

    outputs: Callable[[NDArray[Any]], Sequence[Any]]  # all that it returns: arrays, mostly one
    only: Callable[[int], Run]  # that output alone, by its place among them


Runtime = Callable[[Declared, str, int], Network]
_ONNX_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
_OPENVINO_TYPES = {"float32": ("f32", "f16"), "uint8": ("u8",)}
_PICKLES = (b"\x80", b"PK\x03\x04")  # how a pickle and torch.save's archive begin


def onnx(its: Declared, device: str, threads: int) -> Network:
    """ONNX Runtime: TensorRT and CUDA where the device is "cuda" and they are installed, else the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # named, so that it does not move between cores, which the sandbox forbids
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what is wrong is raised
    try:
        session = onnxruntime.InferenceSession(its.file, options, providers=_providers(its.file, device))
    except Failed:
        raise
    except Exception as error:
        raise unusable(its.file, f"a model that ONNX Runtime {onnxruntime.__version__} runs", error) from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise unusable(its.file, "a model of one input", ", ".join(one.name for one in inputs) or "none")
    name, outputs = inputs[0].name, [one.name for one in session.get_outputs()]
    if not outputs:
        raise unusable(its.file, "a model with an output", "none")
    if inputs[0].shape:  # a model need not say any
        _check_input(its, name, inputs[0].shape)
    kind = _ONNX_TYPES.get(inputs[0].type)
    if kind is None or (kind == "uint8") != (its.input.type == "uint8"):
        raise unusable(its.file, f"an input of type {its.input.type} ([input] type)", f"{name} of {inputs[0].type}")

    def only(number: int) -> Run:
        wanted = [outputs[number]]
        if kind == "float16":
            return lambda batch: session.run(wanted, {name: batch.astype(np.float16)})[0]
        return lambda batch: session.run(wanted, {name: batch})[0]

    return Network(lambda batch: session.run(outputs, {name: batch.astype(kind, copy=False)}), only)


def _providers(file: str, device: str) -> list[str]:
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if device == "cpu":
        return ["CPUExecutionProvider"]
    wanted = [name for name in ("TensorrtExecutionProvider", "CUDAExecutionProvider") if name in there]
    if not wanted:
        raise unusable(file, "ONNX Runtime with CUDA (pip install onnxruntime-gpu)", ", ".join(there))
    return [*wanted, "CPUExecutionProvider"]


def openvino(its: Declared, device: str, threads: int) -> Network:
    """OpenVINO on the CPU, with its hint for latency."""
    import openvino as ov

    if device != "cpu":
        raise unusable(its.file, "device cpu for OpenVINO", device)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the sandbox forbids it
        "INFERENCE_PRECISION_HINT": "f32",  # as the file says; else bfloat16 where the processor has it: other labels
    }
    try:
        compiled = ov.Core().compile_model(its.file, "CPU", settings)
    except Exception as error:
        raise unusable(its.file, f"a model that OpenVINO {ov.__version__.partition('-')[0]} runs", error) from error
    if len(compiled.inputs) != 1:
        raise unusable(its.file, "a model of one input", f"{len(compiled.inputs)}")
    taken = compiled.inputs[0]
    shape = [None if side.is_dynamic else side.get_length() for side in taken.partial_shape]
    _check_input(its, taken.any_name if taken.names else "its input", shape)
    kind = taken.element_type.to_string()
    if kind not in _OPENVINO_TYPES[its.input.type]:
        raise unusable(its.file, f"an input of type {its.input.type} ([input] type)", kind)
    request, outputs = compiled.create_infer_request(), compiled.outputs

    def run(batch: NDArray[Any]) -> Any:
        return request.infer([batch], share_inputs=True, share_outputs=True)

    def only(number: int) -> Run:
        output = outputs[number]
        return lambda batch: run(batch)[output]

    return Network(lambda batch: list(run(batch).values()), only)


def torch_export(its: Declared, device: str, threads: int) -> Network:
    """A program of torch.export, run node by node."""
    import torch

    def load() -> Any:
        with hearing("torch.export") as heard:
            try:
                program = torch.export.load(its.file)
            except Exception as error:
                raise _not_a_program(its.file, heard() or error) from error
        if device != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, device)
        return program.module()

    return _torch_run(its, device, threads, load, "a program of torch.export")


def _not_a_program(file: str, error: BaseException) -> Failed:
    """What is wrong with an archive that torch.export does not load: mostly it is another version's, or no program."""
    import json
    import zipfile

    import torch

    ours = torch.__version__.partition("+")[0]
    expected = f"a program that torch {ours}'s torch.export loads"
    try:
        with zipfile.ZipFile(file) as archive:
            models = [name for name in archive.namelist() if name.endswith("models/model.json")]
            theirs = json.loads(archive.read(models[0])).get("torch_version", "") if models else None
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError):
        return unusable(file, expected, "an archive that is damaged, or none")
    if theirs is None:
        return unusable(file, expected, "an archive without one; torch.export.save writes it")
    if (version := str(theirs).partition("+")[0]) != ours:
        return unusable(file, expected, f"one of torch {version or 'of another version'}")
    return unusable(file, expected, error)


def torchscript(its: Declared, device: str, threads: int) -> Network:
    """A scripted or traced module. Deprecated in PyTorch; `harness check` says so."""

    def load() -> Any:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(its.file, map_location=device)  # type: ignore[no-untyped-call]
            return torch.jit.freeze(module.eval())

    return _torch_run(its, device, threads, load, "a module of TorchScript")


def architecture(its: Declared, device: str, threads: int) -> Network:
    """A network that is built here, with the weights of a safetensors file. float16 on disk, float32 here."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from harness.errors import SubmissionError
    from harness.nets.architectures import declared_network, load_state

    classes = len(_classes())
    try:
        net = declared_network(its.model, classes, Path.cwd())
    except SubmissionError as error:
        raise Failed(Reason.MODEL, error.message) from error
    except Exception as error:
        raise unusable(f"[model] architecture {its.model.architecture}", "one that can be built", error) from error
    try:
        weights = load_file(its.file)
    except (OSError, SafetensorError) as error:
        with open(its.file, "rb") as file:
            is_pickle = file.read(4).startswith(_PICKLES)
        got = "a pickle, which may run code: write it with safetensors.torch.save_file" if is_pickle else error
        raise unusable(its.file, "safetensors", got) from error
    _check_weights(its, net.state_dict(), weights)
    load_state(net, weights)
    net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return _torch_run(its, device, threads, lambda: net, "weights")


def _check_weights(its: Declared, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    wrong = [f"no {name}" for name in ours if name not in theirs]
    wrong += [f"{name}, which it does not have" for name in theirs if name not in ours]
    wrong += [
        f"{name} of {tuple(theirs[name].shape)} for {tuple(ours[name].shape)}"
        for name in ours
        if name in theirs and theirs[name].shape != ours[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 1} more" * (len(wrong) > 1)
        raise unusable(its.file, f"the weights of {its.model.architecture}", f"{wrong[0]}{more}")


def _torch_run(its: Declared, device: str, threads: int, load: Callable[[], Any], expected: str) -> Network:
    """Runs a module of torch; what it raises while it loads is the file's fault."""
    import torch

    from harness.nets.memory import keep_pages

    keep_pages()
    torch.set_num_threads(threads)
    try:
        net = load()
    except Failed:
        raise
    except Exception as error:
        raise unusable(its.file, expected, error) from error
    order = torch.channels_last if its.input.layout == "NCHW" else torch.contiguous_format

    @torch.inference_mode()
    def run(batch: NDArray[Any]) -> list[Any]:
        return _tensors(its, net(torch.from_numpy(batch).to(device, memory_format=order)))

    # Convolutions like channels last, whatever the axes are called; a network with a view() in it may not.
    try:
        run(np.zeros((1, *its.input.shape()), its.input.type))
    except Failed:
        raise
    except Exception:  # if it was something else, it is raised again when the network is tried
        order = torch.contiguous_format

    def only(number: int) -> Run:
        return lambda batch: run(batch)[number].cpu().numpy()

    return Network(lambda batch: [one.cpu().numpy() for one in run(batch)], only)


def _tensors(its: Declared, returned: object) -> list[Any]:
    """What a network returned: a tensor, or a tuple, list or dict with some. Raises Failed where there is none."""
    import torch

    if isinstance(returned, torch.Tensor):
        return [returned]
    inside = returned.values() if isinstance(returned, Mapping) else returned
    found = [one for one in inside if isinstance(one, torch.Tensor)] if isinstance(inside, Iterable) else []
    if not found:
        raise unusable(its.file, "a network that returns a tensor", type(returned).__name__)
    return found


def _classes() -> list[str]:
    import json

    return json.loads(Path("classes.json").read_bytes())  # type: ignore[no-any-return]


def _check_input(its: Declared, name: str, shape: Sequence[object]) -> None:
    """Raises Failed where a fixed side of the model's input is not that of one crop of [input], or it has not four."""
    ours = its.input.shape()
    fits = len(shape) == 4 and all(
        side == mine for side, mine in zip(shape[1:], ours, strict=True) if isinstance(side, int)
    )
    if not (fits and (shape[0] == 1 or not isinstance(shape[0], int))):
        shown = " x ".join(str(side) if isinstance(side, int) else "n" for side in shape) or "no sides"
        which = "a free first axis, or 1" if fits else "[input] size, layout"
        wanted = " x ".join(map(str, ours))
        raise unusable(its.file, f"an input of n x {wanted} ({which})", f"{name} of {shown}")


RUNTIMES: dict[FormatName, Runtime] = {
    "onnx": onnx,
    "torch.export": torch_export,
    "torchscript": torchscript,
    "openvino": openvino,
    "table": architecture,
    "torchvision": architecture,
    "timm": architecture,
}
