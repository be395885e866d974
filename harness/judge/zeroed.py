"""A copy of a staged package whose weights are all zero: what still scores then has its answers from elsewhere.

Safetensors and ONNX files are changed in place, byte by byte and at equal length; nothing of them is interpreted
beyond where their numbers lie, and nothing of a package's is run or unpickled.
"""

import contextlib
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from harness.scratch import folder, remove

# Protobuf's field numbers in onnx.proto3
_GRAPH, _NODE, _INITIALIZER, _ATTRIBUTE, _TENSOR = 7, 1, 5, 5, 5
_TYPE, _NUMBERS = 2, (4, 5, 9, 10)  # float_data, int32_data (of small types), raw_data, double_data
_LOCATION, _EXTERNAL = 14, 1
_WEIGHT_TYPES = (1, 2, 3, 10, 11, 16)  # float, uint8, int8, float16, double, bfloat16: no shapes, no indices
_LARGEST = {".safetensors": 1 << 30, ".onnx": 128 << 20}  # bytes that are read
_MOST_FIELDS = 1_000_000  # read of all ONNX files of a package, 2 s; a network of 1,000 nodes has some 50,000


@contextlib.contextmanager
def zeroed(package: Path) -> Iterator[tuple[Path | None, str]]:
    """(a copy without weights, which files were zeroed), or (None, why there is none); gone at the end."""
    files = [path for path in sorted(package.rglob("*")) if path.is_file() and path.suffix.lower() in _LARGEST]
    if not files:
        yield None, "not applicable: no safetensors or ONNX weights"
        return
    parent = folder("zeroed")
    try:
        copy = parent / "package"
        shutil.copytree(package, copy)
        done = []
        left = iter(range(_MOST_FIELDS))
        for path in files:
            there = copy / path.relative_to(package)
            if (changed := _without_numbers(there, left)) is not None:
                there.chmod(0o644)
                there.write_bytes(changed)
                there.chmod(0o444)
                done.append(path.name)
        yield (copy, f"zeroed: {', '.join(done)}") if done else (None, "not applicable: its weights cannot be read")
    finally:
        remove(parent)


def _without_numbers(path: Path, left: Iterator[int]) -> bytes | None:
    """The bytes of a weights file with every number zero, None where it is not of its format."""
    ending = path.suffix.lower()
    if path.stat().st_size > _LARGEST[ending]:
        return None
    content = bytearray(path.read_bytes())
    try:
        if ending == ".safetensors":
            return bytes(_safetensors(content))
        return bytes(_onnx(content, left))
    except (ValueError, IndexError, struct.error):
        return None


def _safetensors(content: bytearray) -> bytearray:
    """8 bytes of length, a header of that length, numbers to the end."""
    start = 8 + int(struct.unpack_from("<Q", content)[0])
    if start > len(content):
        raise ValueError("expected a header within the file")
    content[start:] = bytes(len(content) - start)
    return content


def _onnx(content: bytearray, left: Iterator[int]) -> bytearray:
    """ModelProto: the graph's initializers, and the tensors of its constant nodes."""
    changed = False
    for start, stop in _messages(content, 0, len(content), _GRAPH, left):
        tensors = list(_messages(content, start, stop, _INITIALIZER, left))
        for node in _messages(content, start, stop, _NODE, left):
            for attribute in _messages(content, *node, _ATTRIBUTE, left):
                tensors += _messages(content, *attribute, _TENSOR, left)
        for tensor in tensors:
            changed |= _zero_tensor(content, *tensor, left)
    if not changed:
        raise ValueError("expected tensors")
    return content


def _zero_tensor(content: bytearray, start: int, stop: int, left: Iterator[int]) -> bool:
    kinds = (at for number, kind, at, _ in _fields(content, start, stop, left) if kind == 0 and number == _TYPE)
    if not any(at in _WEIGHT_TYPES for at in kinds):
        return False
    changed = False
    for number, kind, begin, end in _fields(content, start, stop, left):
        if (number, kind, begin) == (_LOCATION, 0, _EXTERNAL):
            raise ValueError("expected numbers in the file itself")
        if kind == 2 and number in _NUMBERS:
            changed |= any(content[begin:end])
            content[begin:end] = bytes(end - begin)
    return changed


def _messages(content: bytearray, start: int, stop: int, wanted: int, left: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Where the sub-messages of one field number lie."""
    for number, kind, begin, end in _fields(content, start, stop, left):
        if number == wanted and kind == 2:
            yield begin, end


def _fields(content: bytearray, at: int, stop: int, left: Iterator[int]) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, start, end) of each field; for a varint its value and 0 instead of start and end."""
    for _ in left:
        if at >= stop:
            return
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(content, at)
            yield number, kind, value, 0
            continue
        size = 8 if kind == 1 else 4
        if kind == 2:
            size, at = _varint(content, at)
        elif kind not in (1, 5):
            raise ValueError("expected a protobuf message")
        if at + size > stop:
            raise ValueError("expected a field within its message")
        yield number, kind, at, at + size
        at += size
    raise ValueError("expected fewer fields")


def _varint(content: bytearray, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("expected a number of at most 64 bits")
