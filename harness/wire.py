"""The bytes between judge and worker: fixed-size messages and the layout of two shared buffers. Pure.

Signals go through a SEQPACKET socket, which keeps message borders and ends when the worker dies. Pixels
lie in the input buffer, which only the judge can write; labels and a short text come back in the output
buffer. Nothing here is pickled, and every number from the worker is checked before it is used.

Input buffer: `MOST_CROPS` rows of (offset, height, width), int64, then pixels, each crop on a 64-byte border.
Output buffer: `MOST_CROPS` labels, int64, then `TEXT_BYTES` of UTF-8.
"""

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

MOST_CROPS = 1024
TEXT_BYTES = 4096
POISON = -(2**63)  # what an output holds before it is answered; no label

ROW_BYTES = 24
PIXELS_AT = MOST_CROPS * ROW_BYTES
TEXT_AT = MOST_CROPS * 8
OUTPUT_BYTES = TEXT_AT + TEXT_BYTES

_MESSAGE = struct.Struct("<4sIQqq")
_MAGIC = b"HRN1"
MESSAGE_BYTES = _MESSAGE.size


class Kind(enum.IntEnum):
    """What a message says. The judge sends LOAD and CLASSIFY, the worker the others."""

    READY = 1  # confined, nothing of the submission read yet
    LOAD = 2
    LOADED = 3
    CLASSIFY = 4  # size = crops in the input buffer
    LABELS = 5  # size = labels in the output buffer
    FAILED = 6  # size = bytes of text in the output buffer, detail = Reason


class Reason(enum.IntEnum):
    """Why a worker could not answer."""

    LOAD_RAISED = 1
    NO_LOAD = 2
    NOT_CALLABLE = 3
    PREDICT_RAISED = 4
    WRONG_TYPE = 5
    WRONG_COUNT = 6
    LABEL_TOO_LARGE = 7
    CONFINEMENT = 8
    IMPORT_RAISED = 9
    MODEL = 10


class WireError(ValueError):
    """Bytes that are no message of this protocol."""


class Message(NamedTuple):
    """One message. `nonce` is 64 random bits that an answer repeats."""

    kind: Kind
    nonce: int
    size: int = 0
    detail: int = 0


def pack(message: Message) -> bytes:
    """The message as MESSAGE_BYTES bytes.

    >>> unpack(pack(Message(Kind.LABELS, 7, 3)))
    Message(kind=<Kind.LABELS: 5>, nonce=7, size=3, detail=0)
    """
    return _MESSAGE.pack(_MAGIC, message.kind, message.nonce, message.size, message.detail)


def unpack(data: bytes) -> Message:
    """The message in exactly MESSAGE_BYTES bytes. Raises WireError on anything else."""
    if len(data) != MESSAGE_BYTES:
        raise WireError(f"expected {MESSAGE_BYTES} bytes, got {len(data)}")
    magic, kind, nonce, count, detail = _MESSAGE.unpack(data)
    if magic != _MAGIC:
        raise WireError("expected the bytes HRN1 at the start")
    try:
        return Message(Kind(kind), nonce, count, detail)
    except ValueError as error:
        raise WireError(str(error)) from error


def place(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Offsets in the input buffer of crops of (height, width); 64-byte borders, so that SIMD loads are aligned.

    >>> place([(1, 1), (2, 2)]) == [PIXELS_AT, PIXELS_AT + 64]
    True
    """
    offsets, at = [], PIXELS_AT
    for height, width in sizes:
        offsets.append(at)
        at += -(-height * width * 3 // 64) * 64
    return offsets


def input_bytes(sizes: Sequence[tuple[int, int]]) -> int:
    """Size of an input buffer that holds crops of these (height, width) at once."""
    return PIXELS_AT + sum(-(-h * w * 3 // 64) * 64 for h, w in sizes)
