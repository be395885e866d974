"""Static post-training quantisation of a written file, calibrated on training crops: one function a format."""

import contextlib
import io
import logging
import operator
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.store import Store
from harness.formats import Declared, Input, Model
from harness.metrics import confusion_matrix, macro_f1
from harness.worker.pixels import preparing
from harness.worker.runtimes import RUNTIMES

CALIBRATION_CROPS = 256  # at most; activations' ranges hardly move with more
LARGEST_LOSS = 0.02  # macro F1 of its labels by the float32 ones, below 1; mbv3_cut lost none by the true ones
_TRIED = 1000  # crops that it is tried on, validation's and training's: a few hundred alone tell too little apart
_BATCH = 16
_SEED = 0  # of the choice

Quantised = Literal["onnx", "openvino"]
_Item = tuple[NDArray[Any], int]  # (1, *input.shape()), label


def quantise_onnx(path: Path, its: Input, store: Store) -> None:
    """Replaces a float32 ONNX file with its int8 one: QDQ, weights by channel, activations by their ranges.

    Unsigned activations and signed weights: what x86 multiplies fastest.
    """
    from onnxruntime import quantization  # noqa: PLC0415 (an extra)
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Batches under the model's input name, then None."""

        def __init__(self, name: str) -> None:
            self.batches = calibration(store, its)
            self.name = name

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {self.name: batch}

    with tempfile.TemporaryDirectory(prefix=".int8-", dir=path.parent) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about itself
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(path, prepared)
        quantization.quantize_static(
            prepared,
            quantised,
            Reader(_input_name(prepared)),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        quantised.replace(path)


def quantise_openvino(path: Path, its: Input, store: Store) -> None:
    """Replaces a float32 OpenVINO file with its int8 one, by NNCF.

    Layers that change the most labels go back to float32 until the macro F1 by the float32 labels is at least
    1 - LARGEST_LOSS, over validation crops and as many training crops as make _TRIED.
    """
    import openvino  # noqa: PLC0415 (an extra)

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # bars, and notes about itself
        warnings.simplefilter("ignore")
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # of CUDA, that there is none
        import nncf  # noqa: PLC0415 (an extra)

        logging.getLogger("nncf").setLevel(logging.ERROR)
        classes, tried = len(store.manifest.classes), _tried(path, its, store)

        def validation(model: Any, items: Iterable[_Item]) -> float:
            """Macro F1 of a compiled model over all that it is tried on, or some of it."""
            pairs = [(label, int(np.asarray(model(pixels)[0]).argmax())) for pixels, label in items]
            truth, answers = np.array(pairs).T
            return float(macro_f1(confusion_matrix(truth, answers, classes)))

        model = nncf.quantize_with_accuracy_control(
            openvino.Core().read_model(path),
            nncf.Dataset(list(calibration(store, its, batch=1))),
            nncf.Dataset(tried, operator.itemgetter(0)),
            validation,
            max_drop=LARGEST_LOSS,
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=CALIBRATION_CROPS,
        )
        with tempfile.TemporaryDirectory(prefix=".int8-", dir=path.parent) as folder:
            openvino.save_model(model, Path(folder) / path.name)
            del model  # it maps the file that is replaced
            for file in Path(folder).iterdir():
                file.replace(path.parent / file.name)


QUANTISERS: dict[Quantised, Callable[[Path, Input, Store], None]] = {
    "onnx": quantise_onnx,
    "openvino": quantise_openvino,
}


def _tried(path: Path, its: Input, store: Store) -> list[_Item]:
    """Up to _TRIED crops, none of them calibrated on, as a network's input, each with the float32 file's label."""
    validation, training = store.crops("val"), store.crops("train")
    others = np.random.default_rng(_SEED).permutation(len(training))[CALIBRATION_CROPS:].tolist()
    crops = [*map(validation.__getitem__, range(len(validation))), *map(training.__getitem__, others[:_TRIED])][:_TRIED]
    run = RUNTIMES["openvino"](Declared(Model("openvino"), str(path), its), "cpu", torch.get_num_threads()).only(0)
    prepare = preparing(its)
    return [(pixels := prepare([crop]).copy(), int(run(pixels).argmax())) for crop in crops]


def calibration_crops(store: Store) -> list[int]:
    """Numbers of up to CALIBRATION_CROPS training crops, the same ones each time."""
    chosen = np.random.default_rng(_SEED).permutation(len(store.crops("train")))[:CALIBRATION_CROPS]
    return [int(number) for number in chosen]


def calibration(store: Store, its: Input, batch: int = _BATCH) -> Iterator[NDArray[Any]]:
    """Those crops as a network's input, (n, *its.shape()) at a time, n at most `batch`."""
    crops, prepare, chosen = store.crops("train"), preparing(its), calibration_crops(store)
    for start in range(0, len(chosen), batch):
        yield prepare([crops[number] for number in chosen[start : start + batch]]).copy()


def _input_name(path: Path) -> str:
    import onnx  # noqa: PLC0415 (an extra)

    name: str = onnx.load(path).graph.input[0].name
    return name
