"""The judge's end of the wire: two sealed memory files and a SEQPACKET socket.

Copying the pixels is inside the clock, so nothing can be seen early. The labels are copied once, before the
clock stops, and only that copy is read; before the next request the buffer is compared with it again.
"""

import fcntl
import math
import mmap
import os
import secrets
import select
import socket
import struct
import termios
from array import array
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.judge.clock import Clock
from harness.wire import (
    MESSAGE_BYTES,
    MOST_CROPS,
    OUTPUT_BYTES,
    POISON,
    TEXT_AT,
    TEXT_BYTES,
    Kind,
    Message,
    WireError,
    pack,
    place,
    unpack,
)

_SLICE_S = 0.25  # of waiting for an answer; between two the worker is looked at
_F_SEAL_FUTURE_WRITE = 0x10  # linux/fcntl.h; not in Python's fcntl before 3.13
Crop = NDArray[np.uint8]


class Ended(Exception):
    """The worker hung up."""


class Late(Exception):
    """No answer within the limit."""


class Violation(Exception):
    """The worker did what the protocol forbids; the text says what."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Channel:
    """One worker's channel. `capacity` is the size of the input buffer in bytes.

    `watch` is called now and then while an answer is waited for; what it raises ends the waiting.
    """

    def __init__(self, capacity: int, clock: Clock, watch: Callable[[], None]) -> None:
        self._clock, self._watch = clock, watch
        self._after_first_ns = 0
        self._socket, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._input_fd, self._input = _sealed("input", capacity, seal_writes=True)
        self._output_fd, self._output = _sealed("output", OUTPUT_BYTES, seal_writes=False)
        self._bytes = np.ndarray((capacity,), np.uint8, self._input)
        self._staging = np.zeros(capacity, np.uint8)
        self._labels = np.ndarray((MOST_CROPS,), np.int64, self._output)
        self._labels[:] = POISON
        self._answered: NDArray[np.int64] = self._labels[:0].copy()
        self._queued = array("i", [0])
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """Socket, input and output, for the worker to inherit."""
        return self._theirs.fileno(), self._input_fd, self._output_fd

    def opened(self) -> None:
        """The worker has inherited its ends; they are closed here, so that its end is seen."""
        self._theirs.close()
        os.close(self._input_fd)
        os.close(self._output_fd)

    def limit(self, seconds: float) -> None:
        """How long the next answers may take, each, whole."""
        slice_s = seconds / max(math.ceil(seconds / _SLICE_S), 1)
        self._after_first_ns = int((seconds - slice_s) * 1e9)
        slice_us = max(int(slice_s * 1e6), 1)  # 0 would wait for ever
        timeval = struct.pack("@ll", slice_us // 1_000_000, slice_us % 1_000_000)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def request(self, kind: Kind) -> int:
        """Sends a request without pixels and returns its nonce. Raises Ended."""
        nonce = secrets.randbits(64)
        self._send(pack(Message(kind, nonce)))
        return nonce

    def answer(self, nonce: int) -> Message:
        """Waits for the answer to it. Raises Ended, Late, Violation."""
        return self._checked(self._receive(), nonce)

    def ready(self) -> Message:
        """The worker's first word, which nobody asked for. Raises Ended, Late, Violation."""
        return self.answer(0)

    def classify(self, crops: Sequence[Crop]) -> tuple[int, NDArray[np.int64] | None, Message]:
        """Sends crops (uint8, (H, W, 3) each); (elapsed ns, a copy of the labels, the answer).

        The labels are None where the answer is FAILED. Raises Ended, Late, Violation.
        """
        self._check_quiet()
        count = len(crops)
        request = Message(Kind.CLASSIFY, secrets.randbits(64), count)
        data, now = pack(request), self._clock.now_ns
        end = self._stage(crops)
        self._labels[:count] = POISON
        # From here on the clock runs: handing over the pixels belongs to the answer, as it does in any pipeline.
        start = now()
        self._bytes[:end] = self._staging[:end]
        self._send(data)
        reply = self._receive()
        labels = self._labels[:count].copy()
        elapsed = now() - start
        answer = self._checked(reply, request.nonce)
        if answer.kind is Kind.FAILED:
            return elapsed, None, answer
        if answer.kind is not Kind.LABELS or answer.size != count:
            raise Violation("protocol", f"expected {count} labels, got {answer.kind.name} of {answer.size}")
        self._answered = labels
        return elapsed, labels, answer

    def text(self, size: int) -> str:
        """The text of a FAILED answer."""
        size = min(max(size, 0), TEXT_BYTES)
        return bytes(self._output[TEXT_AT : TEXT_AT + size]).decode("utf-8", "replace")

    def close(self) -> None:
        """Hangs up. Views on the buffers go first, else they cannot be unmapped."""
        del self._bytes, self._labels
        self._socket.close()
        self._input.close()
        self._output.close()

    def _stage(self, crops: Sequence[Crop]) -> int:
        """Lays out table and pixels privately; how many bytes.

        The crops' pages are read from disk and memory here, outside the clock: what is left inside is a copy
        between warm buffers, the same for a crop of the test set as for the null's.
        """
        sizes = [(crop.shape[0], crop.shape[1]) for crop in crops]
        rows, end = np.ndarray((MOST_CROPS, 3), np.int64, self._staging), 0
        for row, (crop, at) in enumerate(zip(crops, place(sizes), strict=True)):
            rows[row], end = (at, *sizes[row]), at + crop.size
            self._staging[at:end] = crop.reshape(-1)
        return end

    def _check_quiet(self) -> None:
        """Nothing may have come unasked, nothing may have changed since the last answer."""
        if self._poll.poll(0):
            try:
                said = self._socket.recv(MESSAGE_BYTES)
            except ConnectionResetError:
                raise Ended from None
            if not said:
                raise self._nothing()
            raise Violation("protocol", "expected silence between requests, got a message")
        if self._unread():
            raise Violation("protocol", "expected every request to be read, one is left")
        if not np.array_equal(self._labels[: self._answered.size], self._answered):
            raise Violation("late_write", "expected an answer to stay as it was given, it was changed afterwards")

    def _unread(self) -> int:
        """Bytes of requests that the worker has not taken: one that looks at them only would fill the socket."""
        fcntl.ioctl(self._socket, termios.TIOCOUTQ, self._queued)
        return int(self._queued[0])

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data, socket.MSG_DONTWAIT)  # the judge never waits for a worker without a limit
        except BlockingIOError:
            raise Violation("protocol", "expected requests to be read, the socket is full of them") from None
        except (BrokenPipeError, ConnectionResetError):
            raise Ended from None

    def _receive(self) -> bytes:
        end: int | None = None  # a clock is asked for only where the first slice brought nothing
        while end is None or self._clock.now_ns() < end:
            try:
                data = self._socket.recv(MESSAGE_BYTES + 1)
            except BlockingIOError:
                if end is None:
                    end = self._clock.now_ns() + self._after_first_ns
                self._watch()
                continue
            except ConnectionResetError:
                raise Ended from None
            if not data:
                raise self._nothing()
            return data
        raise Late

    def _nothing(self) -> Ended | Violation:
        """What no bytes mean: an end, or a message of none."""
        if any(event & select.POLLHUP for _, event in self._poll.poll(0)):
            return Ended()
        return Violation("protocol", "expected a message, got an empty one")

    def _checked(self, data: bytes, nonce: int) -> Message:
        try:
            message = unpack(data)
        except WireError as error:
            raise Violation("protocol", str(error)) from error
        if message.nonce != nonce:
            raise Violation("protocol", "expected the answer to this request, got another's")
        return message


def _sealed(name: str, size: int, *, seal_writes: bool) -> tuple[int, mmap.mmap]:
    """A memory file that cannot shrink under a reader (SIGBUS) nor grow; with `seal_writes` only we can write it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    memory = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
    if seal_writes:
        seals |= _F_SEAL_FUTURE_WRITE
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)
    return fd, memory
