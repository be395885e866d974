"""Static post-training quantisation of an ONNX file, calibrated on training crops."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.store import Store
from harness.formats import Input
from harness.worker.pixels import preparing

CALIBRATION_CROPS = 256  # at most; activations' ranges hardly move with more
_BATCH = 16
_SEED = 0  # of the choice


def quantise(path: Path, its: Input, store: Store) -> None:
    """Replaces a float32 model with its int8 one: QDQ, weights by channel, activations by their ranges in calibration.

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


def calibration(store: Store, its: Input) -> Iterator[NDArray[Any]]:
    """Up to CALIBRATION_CROPS training crops as a network's input, (n, *its.shape()); the same ones each time."""
    crops, prepare = store.crops("train"), preparing(its)
    chosen = np.random.default_rng(_SEED).permutation(len(crops))[:CALIBRATION_CROPS].tolist()
    for start in range(0, len(chosen), _BATCH):
        yield prepare([crops[number] for number in chosen[start : start + _BATCH]]).copy()


def _input_name(path: Path) -> str:
    import onnx  # noqa: PLC0415 (an extra)

    name: str = onnx.load(path).graph.input[0].name
    return name
