"""What a runtime's library says of a file that it cannot use, in one short line: no stack of C++, no path of ours."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from harness.wire import Reason
from harness.worker.package import Failed

_LONGEST = 140  # characters of a library's own words
_FIXED = "one that takes {0} at once"


class Known(NamedTuple):
    """A complaint that can be said better; both texts are filled with the groups of the pattern."""

    pattern: str
    expected: str | None  # None: what the runtime expected anyway
    got: str


KNOWN = (
    Known(r"Protobuf parsing failed|No graph was found in the protobuf", "a whole ONNX file", "one that is damaged"),
    Known(r"Opset (\d+) is under development.* is till opset (\d+)", "opset {1} or lower", "opset {0}"),
    Known(r"model IR version: (\d+), max supported IR version: (\d+)", "ONNX's IR {1} or lower", "IR {0}"),
    Known(
        r'External data path does not exist: "(?:[^"]*/)?([^"/]+)"',
        "its external data {0} beside it, or one file: torch.onnx.export(external_data=False)",
        "no such file",
    ),
    Known(r"External initializer: (\S+) offset: .*out of bounds", "all of its external data", "less than {0} needs"),
    Known(r"No Op registered for (\S+) with domain_version", "operators that ONNX Runtime has", "{0}"),
    Known(
        r"Could not find an implementation for (\w+)\((\d+)\)", "operators that ONNX Runtime has", "{0} of opset {1}"
    ),
    Known(
        r"Node with schema\(\S*::(\w+):(\d+)\) has (input|output) size (\d+)", None, "{0} of opset {1} with {3} {2}s"
    ),
    Known(r"Parameter operation with dynamic rank", "an input of known rank", "one that may have any"),
    Known(r"Fatal error: (\S+)\(-?\d+\) is not a registered", "operators that ONNX Runtime has", "{0}"),
    Known(r"Got invalid dimensions for input: .* index: 0 Got: \d+ Expected: (\d+)", None, _FIXED),
    Known(r"model input \(shape=\[(\d+),.*are incompatible", None, _FIXED),
    Known(r"Guard failed: \S+\.size\(\)\[0\] == (\d+)", None, _FIXED),
    Known(r"failed to resolve (torch\.ops\.\S+) to an operator", "operators that torch itself has", "{0}"),
    Known(r"exported input tree spec", "a program of one input", "one of more or of others"),
    Known(r"missing value for argument '(\w+)'", "a module of one input", "one of {0}, too"),
    Known(r"failed locating file constants\.pkl", None, "an archive without one; torch.jit.save writes it"),
    Known(r"[Mm]iniz error|not a zip file|failed finding central directory", "a whole archive", "one that is damaged"),
)
_NOISE = (
    r"\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from \S+ failed: ?)?",
    r"This is an invalid model\. In Node, .* , (?=Error )",
    r".*Traceback of TorchScript.*\b\w*Error: ",
    # where in C++ it was raised: file, line and mostly a function with its signature
    r".*\S\.(cc|cpp|h):\d+[:\]]? (([^()\[\]]*::)?[^()\[\]]*::[^()]*\([^()]*\)+ |[A-Z][a-z]+\w*[A-Z]\w* )?",
    r" (Please (fix|check|file|import)|This is an internal|Available frontends).*",
)
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s\"'/]+/)+")


def unusable(file: str, expected: str, got: object) -> Failed:
    """One line about a model's file; `got` may be what a library raised.

    >>> print(unusable("net.onnx", "opset 26 or lower", "opset 99"))
    net.onnx: expected opset 26 or lower, got opset 99
    """
    if not isinstance(got, BaseException):
        return Failed(Reason.MODEL, f"{file}: expected {expected}, got {_short(str(got))}")
    said = " ".join((str(got) or type(got).__name__).split())
    for known in KNOWN:
        if found := re.search(known.pattern, said):
            expected = (known.expected or expected).format(*found.groups())
            return Failed(Reason.MODEL, f"{file}: expected {expected}, got {_short(known.got.format(*found.groups()))}")
    return Failed(Reason.MODEL, f"{file}: expected {expected}, got {plain(said)}")


def plain(said: str) -> str:
    """A library's message without where in its sources it comes from.

    >>> plain("[ONNXRuntimeError] : 1 : FAIL : Load model from a.onnx failed:/src/model.cc:6 ns::Model::Model(int) No.")
    'No'
    >>> plain("Exception from src/core.cpp:132: Check 'size' failed at src/xml.cpp:9: No weights in /tmp/a1/net.bin!")
    'No weights in net.bin!'
    """
    for noise in _NOISE:
        said = re.sub(noise, "", said)
    return _short(_FOLDERS.sub("", said).strip().rstrip("."))


def _short(said: str) -> str:
    said = " ".join(said.split())
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST].rpartition(' ')[0] or said[:_LONGEST]}…"


@contextmanager
def hearing(logger: str) -> Iterator[Callable[[], BaseException | None]]:
    """What a library swallows, by its logger's name: the last exception that it logs; it prints none of them."""
    import logging

    heard: list[BaseException] = []

    def listen(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            heard.append(record.exc_info[1])
        return False

    ears = logging.getLogger(logger)
    ears.addFilter(listen)
    try:
        yield lambda: heard[-1] if heard else None
    finally:
        ears.removeFilter(listen)
