"""How a package becomes a `predict`, and what of its answer counts as labels."""

import importlib.util
import operator
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from harness.wire import Reason

Predict = Callable[[list[np.ndarray]], object]


class Failed(Exception):
    """The package broke the protocol; the text is one line of expected and got."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def last_line(error: BaseException) -> str:
    """Like "ValueError: bad shape (predict.py:12)"."""
    text = traceback.format_exception_only(error)[-1].strip().splitlines()
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:  # the frames are the importer's
        places.append((error.filename, error.lineno))
    where = f" ({Path(places[-1][0]).name}:{places[-1][1]})" if places else ""
    return (text[0] if text else type(error).__name__) + where


def imported(package: Path) -> ModuleType:
    """The package's predict.py as a module; what it raises passes through."""
    sys.path.insert(0, str(package))
    spec = importlib.util.spec_from_file_location("predict", package / "predict.py")
    assert spec is not None  # a .py path always has a spec ...
    assert spec.loader is not None  # ... and a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["predict"] = module
    spec.loader.exec_module(module)
    return module


def load(module: ModuleType, device: str) -> Predict:
    """What load(device) of predict.py returns.

    Raises Failed where there is no load or it returns nothing to call; what the package raises passes through.
    """
    entry = getattr(module, "load", None)
    if not callable(entry):
        raise Failed(Reason.NO_LOAD, "expected a function load(device) in predict.py, got none")
    predict = entry(device)
    if not callable(predict):
        raise Failed(
            Reason.NOT_CALLABLE,
            f"expected load(device) to return a function predict(crops), got {type(predict).__name__}",
        )
    return predict  # type: ignore[no-any-return]


def labels_of(answer: object, count: int) -> list[int]:
    """The labels in what predict returned: a sequence, array or tensor of `count` integers.

    Raises Failed with what was expected and got. Range is the judge's to check.

    >>> labels_of(np.array([3, 1]), 2), labels_of([True], 1)
    Traceback (most recent call last):
    ...
    harness.worker.package.Failed: expected integer labels, got bool
    """
    if hasattr(answer, "tolist"):  # an array or a tensor, on whatever device: this is what synchronises it
        answer = answer.tolist()
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        raise Failed(Reason.WRONG_TYPE, f"expected a list of {count} labels, got {type(answer).__name__}")
    if len(answer) != count:
        raise Failed(Reason.WRONG_COUNT, f"expected {count} labels, got {len(answer)}")
    return [_label(value) for value in answer]


def _label(value: object) -> int:
    if type(value) is not int:
        if isinstance(value, bool | np.bool_):
            raise Failed(Reason.WRONG_TYPE, f"expected integer labels, got {type(value).__name__}")
        try:
            value = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise Failed(Reason.WRONG_TYPE, f"expected integer labels, got {type(value).__name__}") from None
    if not -(2**63) < value < 2**63:
        raise Failed(Reason.LABEL_TOO_LARGE, f"expected labels in range(classes), got one of {value.bit_length()} bits")
    return value
