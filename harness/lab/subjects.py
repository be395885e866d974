"""What a package is to `harness profile`: how a crop goes through it, and what is found in it. Runs its code here."""

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.store import Store
from harness.errors import MachineError, SubmissionError
from harness.formats import FORMATS, FormatName, Input, declared
from harness.lab.counts import COUNTED, checked_macs, counted, parameters
from harness.lab.export import opened
from harness.lab.graphs import COUNTED as COUNTED_OF_FILES
from harness.lab.graphs import Graph, Ran
from harness.lab.layers import activation_bytes, module_layers, program_layers
from harness.lab.layers_onnx import onnx_graph, onnx_layers
from harness.lab.layers_openvino import openvino_graph, openvino_layers
from harness.lab.networks import refuse_unfit
from harness.nets.preprocess import batch
from harness.record import Package
from harness.submission import Manifest, unmet_of
from harness.worker import package as packages
from harness.worker.package import Failed
from harness.worker.pixels import preparing, with_pillow, with_torch
from harness.worker.runtimes import RUNTIMES

_COUNTER = "onnx>=1.17"  # reads the graph of an ONNX file; ONNX Runtime itself does not say what is in it
_FUSED = "activations as the file says: what the runtime fuses is never there"

Crop = NDArray[np.uint8]


class Order(NamedTuple):
    """What is profiled and how."""

    package: Path
    staged: Path  # its copy for the data set
    described: Package  # what a record says of that copy
    store: Store
    crops: int  # at most
    threads: int


class Found(NamedTuple):
    """What is in a package: fields of a harness.profile.Profile, and its layers as they ran."""

    fields: dict[str, Any]
    ran: Ran = Ran(())


class Subject(NamedTuple):
    """A package as it is timed: a road is None where the package does not have it by itself."""

    runtime: str
    prepare: Callable[[Crop], Any] | None
    network: Callable[[Any], object] | None
    answer: Callable[[Crop], object] | None  # all of it: predict
    finish: Callable[[Sequence[Any]], Found]  # of prepared crops


def subject(order: Order, manifest: Manifest) -> Subject:
    """The package as it is timed; the current folder is its staged copy. Raises SubmissionError, MachineError."""
    if manifest.model is None and not (order.package / "model.py").is_file():
        return _opaque(order, "no model.py")
    if manifest.model is None and manifest.recipe is None and manifest.input is None:
        return _opaque(order, "neither a recipe nor [input], which say what its network takes")
    if manifest.model is None:
        return _network(order, manifest)
    return _network(order, manifest) if FORMATS[manifest.model.format].architecture else _finished(order, manifest)


def _opaque(order: Order, why: str) -> Subject:
    """A predict.py without a network that can be looked into."""
    note = f"{why}: its predict is timed as a whole, nothing in it is counted"
    numbers = order.described.parameters
    known = {"parameters": numbers} if isinstance(numbers, int) else {}
    found = Found({"size": None, "notes": (note,), **known})
    return Subject("its predict.py", None, None, _predict(order.staged), lambda _: found)


def _network(order: Order, manifest: Manifest) -> Subject:
    """A network of torch: of model.py, a table, torchvision or timm."""
    source = opened(order.package, order.store)
    net, its, notes = source.net, source.input, []
    refuse_unfit(net, order.package.name, its, len(order.store.manifest.classes))
    own = manifest.model is None
    if own and manifest.recipe is not None:  # what `harness train` made it for
        side = its.sides()[0]

        def prepare(crop: Crop) -> torch.Tensor:
            return batch([crop], side, "cpu")
    else:
        prepared = preparing(its, with_torch)
        order_of_axes = torch.channels_last if its.layout == "NCHW" else torch.contiguous_format
        if own:
            notes.append("crops are prepared as its [input] says; its predict.py may do it otherwise")

        def prepare(crop: Crop) -> torch.Tensor:
            return torch.from_numpy(prepared([crop])).clone(memory_format=order_of_axes)

    @torch.inference_mode()
    def run(pixels: torch.Tensor) -> object:
        return net(pixels).argmax(1).tolist()

    def finish(pictures: Sequence[torch.Tensor]) -> Found:
        fields, by_module = _counts(net, pictures[0])
        fields |= {
            "size": its.sides(),
            "weight_bytes": _bytes_of(net),
            "activation_bytes": activation_bytes(net, pictures[0]),
            "notes": tuple(notes),
        }
        return Found(fields, module_layers(net, pictures, by_module))

    return Subject(_torch_runtime(), prepare, run, _predict(order.staged) if own else None, finish)


def _counts(net: torch.nn.Module, picture: torch.Tensor) -> tuple[dict[str, Any], dict[str, int]]:
    """Fields, and multiply-adds by module; where fvcore cannot trace a network there are none, and it is said."""
    try:
        found = counted(net, picture)
    except Exception as error:  # noqa: BLE001 (whatever tracing a stranger's network raises)
        why = f"fvcore cannot trace it: {' '.join(str(error).split())[:200] or type(error).__name__}"
        return {"parameters": parameters(net), "counted": why}, {}
    fields = {
        "parameters": found.parameters,
        "macs": found.macs,
        "counted": COUNTED,
        "not_counted": found.not_counted,
        "cross_check": checked_macs(net, picture),
    }
    return fields, found.by_module


def _finished(order: Order, manifest: Manifest) -> Subject:
    """A file that a runtime runs."""
    assert manifest.model is not None
    assert manifest.input is not None
    its = declared(manifest.model, manifest.input, manifest.batch)
    form, name = manifest.model.format, order.package.name
    if form == "onnx" and (unmet := unmet_of([_COUNTER])):
        raise MachineError(f"profile of {form}: expected {unmet[0]}; pip install '{_COUNTER}'", kind="requires")
    threads = min(manifest.model.threads or order.threads, order.threads)
    try:
        run = RUNTIMES[form](its, "cpu", threads).only(0)
    except Failed as failed:
        raise SubmissionError(f"{name}: {failed}", kind="model") from failed
    prepare = preparing(its.input, with_torch if FORMATS[form].by_torch else with_pillow)

    def finish(pictures: Sequence[NDArray[Any]]) -> Found:
        found = _FINISHED[form](order.staged / its.file, its.input, pictures, threads)
        return found._replace(fields={"size": its.input.sides(), **found.fields})

    return Subject(_RUNTIME_NAMES[form](), lambda crop: prepare([crop]), run, None, finish)


def _of_onnx(path: Path, its: Input, pictures: Sequence[NDArray[Any]], threads: int) -> Found:
    graph = onnx_graph(path, its)
    return Found(_of_graph(graph), onnx_layers(path, pictures, threads, graph))


def _of_openvino(path: Path, its: Input, pictures: Sequence[NDArray[Any]], threads: int) -> Found:
    graph = openvino_graph(path, its)
    return Found(_of_graph(graph), openvino_layers(path, pictures, threads, graph))


def _of_graph(graph: Graph) -> dict[str, Any]:
    unknown = graph.macs is None
    return {
        "parameters": graph.parameters,
        "macs": graph.macs,
        "counted": "an operator's arithmetic is not known here" if unknown else COUNTED_OF_FILES,
        "not_counted": graph.not_counted,
        "weight_bytes": graph.weight_bytes,
        "activation_bytes": graph.activation_bytes,
        "notes": (_FUSED,),
    }


def _of_program(path: Path, _: Input, pictures: Sequence[NDArray[Any]], __: int) -> Found:
    program = torch.export.load(path)
    tensors = [torch.from_numpy(one) for one in pictures]
    ran = program_layers(program, tensors)
    fields = {
        "parameters": sum(one.numel() for one in program.parameters()),
        "macs": sum(layer.macs for layer in ran.layers),
        "counted": "convolutions and linear layers, by torch's FlopCounterMode / 2",
        "not_counted": tuple(sorted({layer.kind.split()[0] for layer in ran.layers if not layer.macs})),
        "weight_bytes": sum(one.numel() * one.element_size() for one in program.state_dict.values()),
        "activation_bytes": activation_bytes(program.module(), tensors[0]),
    }
    return Found(fields, ran)


def _of_torchscript(path: Path, *_: Any) -> Found:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated
        module = torch.jit.load(path)  # type: ignore[no-untyped-call]
    note = "TorchScript: its graph is not read, so nothing is counted and no layer timed"
    return Found({"parameters": sum(one.numel() for one in module.parameters()), "notes": (note,)})


_FINISHED: dict[FormatName, Callable[..., Found]] = {
    "onnx": _of_onnx,
    "openvino": _of_openvino,
    "torch.export": _of_program,
    "torchscript": _of_torchscript,
}


def _onnx_runtime() -> str:
    import onnxruntime  # noqa: PLC0415 (an extra)

    return f"ONNX Runtime {onnxruntime.__version__}"


def _openvino_runtime() -> str:
    import openvino  # noqa: PLC0415 (an extra)

    return f"OpenVINO {openvino.__version__.partition('-')[0]}"


def _torch_runtime() -> str:
    return f"torch {torch.__version__.partition('+')[0]}"


_RUNTIME_NAMES: dict[FormatName, Callable[[], str]] = {
    "onnx": _onnx_runtime,
    "openvino": _openvino_runtime,
    "torch.export": _torch_runtime,
    "torchscript": _torch_runtime,
}


def _bytes_of(net: torch.nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in (*net.parameters(), *net.buffers()))


def _predict(staged: Path) -> Callable[[Crop], object]:
    """The package's predict of one crop, loaded from its copy; this process has its modules until then, not after.

    Raises SubmissionError with what it raises.
    """
    paths, modules = sys.path[:], set(sys.modules)
    try:
        predict = packages.load(packages.imported(staged), "cpu")
    except Failed as failed:
        raise SubmissionError(f"predict.py: {failed}", kind="load") from failed
    except Exception as error:
        raise SubmissionError(f"predict.py: {packages.last_line(error)}", kind="load") from error
    finally:
        sys.path[:] = paths
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(staged):
                del sys.modules[name]

    def answer(crop: Crop) -> object:
        try:
            return packages.labels_of(predict([crop]), 1)
        except Failed:
            raise
        except Exception as error:
            raise SubmissionError(f"predict.py: {packages.last_line(error)}", kind="predict") from error

    return answer
