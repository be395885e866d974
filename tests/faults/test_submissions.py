"""What goes wrong in a submission: each case has its kind, its exit code and one clear line."""

from typing import NamedTuple

import pytest

from harness.errors import SubmissionError
from tests.cells import Cell, answering


class Fault(NamedTuple):
    """A predict.py and what must come of it."""

    source: str
    kind: str
    says: str
    exit_code: int = 4


FAULTS = {
    "no load": Fault("x = 1", "no_load", "expected a function load(device) in predict.py, got none"),
    "load is no function": Fault("load = 3", "no_load", "expected a function load(device)"),
    "load returns nothing": Fault(
        "def load(device): pass", "no_load", "expected load(device) to return a function predict(crops), got NoneType"
    ),
    "syntax error": Fault(
        "def load(device:", "load_raised", "predict.py raised SyntaxError: '(' was never closed (predict.py:1)"
    ),
    "import error": Fault("import nothing_of_this_name", "load_raised", "predict.py raised ModuleNotFoundError"),
    "load raises": Fault(
        "def load(device): raise ValueError('bad weights')", "load_raised", "load raised ValueError: bad weights"
    ),
    "load exits": Fault("import sys\nsys.exit(0)", "load_raised", "predict.py raised SystemExit: 0"),
    "load kills itself": Fault("import os\nos._exit(0)", "crash", "load ended the process: exit code 0"),
    "load writes its folder": Fault("open('cache', 'w')", "load_raised", "predict.py raised"),
    "too few labels": Fault(answering("[]"), "wrong_count", "expected 1 labels, got 0"),
    "too many labels": Fault(answering("[0] * 63"), "wrong_count", "expected 1 labels, got 63"),
    "one number": Fault(answering("3"), "wrong_type", "expected a list of 1 labels, got int"),
    "nothing": Fault(answering("None"), "wrong_type", "got NoneType"),
    "text": Fault(answering("'0'"), "wrong_type", "got str"),
    "floats": Fault(answering("[0.0]"), "wrong_type", "expected integer labels, got float"),
    "logits": Fault(answering("np.zeros((1, 6))"), "wrong_type", "expected integer labels, got list"),
    "booleans": Fault(answering("[True]"), "wrong_type", "expected integer labels, got bool"),
    "names": Fault(answering("['Paper']"), "wrong_type", "expected integer labels, got str"),
    "label 6 of 6": Fault(answering("[6]"), "out_of_range", "expected labels in range(6), got 6"),
    "label -1": Fault(answering("[-1]"), "out_of_range", "expected labels in range(6), got -1"),
    "the poison": Fault(answering("[-2**63]"), "out_of_range", "bits"),
    "a huge label": Fault(
        answering("[2**70]"), "out_of_range", "expected labels in range(classes), got one of 71 bits"
    ),
    "predict raises": Fault(answering("1 // 0"), "predict_raised", "predict raised ZeroDivisionError"),
    "writes to a crop": Fault(answering("crops[0].fill(1)"), "predict_raised", "read-only"),
    "segfault": Fault(
        "import ctypes\n" + answering("ctypes.string_at(0)"), "crash", "predict ended the process: killed by SIGSEGV"
    ),
    "abort": Fault("import os\n" + answering("os.abort()"), "crash", "killed by SIGABRT"),
    "exit 0": Fault("import os\n" + answering("os._exit(0)"), "crash", "predict ended the process: exit code 0"),
    "hang": Fault(
        "import time\n" + answering("time.sleep(60)"),
        "predict_timeout",
        "expected predict to answer within 1 s, it did not",
        5,
    ),
    "hang that ignores signals": Fault(
        "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n" + answering("time.sleep(60)"),
        "predict_timeout",
        "within 1 s",
        5,
    ),
    "flood": Fault(answering("print('x' * 5_000_000) or [0]"), "output_flood", "expected at most 4096 KiB of output"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name: str, strong: Cell) -> None:
    fault = FAULTS[name]
    error = strong.error(fault.source)
    assert error is not None
    assert error.kind == fault.kind
    assert fault.says in error.message
    assert error.message.startswith("cheat0: ")
    assert "\n" not in error.message
    assert error.exit_code == fault.exit_code
    assert error.owner == "submission"


def test_a_load_that_hangs_is_ended(strong: Cell) -> None:
    error = strong.with_limits(load_s=1.5).error("import time\ntime.sleep(60)")
    assert error is not None
    assert (error.kind, error.exit_code) == ("load_timeout", 5)
    assert "expected load to answer within 1.5 s, it did not" in error.message


def test_the_traceback_is_in_the_log(strong: Cell) -> None:
    error = strong.error(answering("1 // 0"))
    assert isinstance(error, SubmissionError)
    assert error.log is not None
    assert "Traceback" in error.log
    assert "predict.py" in error.log
