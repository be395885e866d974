"""The worker process: confines itself, loads one package, answers requests until the judge hangs up.

    python -s -P -B .../harness/worker/__main__.py CONFINEMENT DEVICE PACKAGE SOCKET_FD INPUT_FD OUTPUT_FD

Everything of ours is imported before the package, so that nothing in it can take the place of a module of
ours. The judge trusts nothing that comes from here all the same.
"""

import mmap
import os
import select
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.sandbox.confine import Confinement, become, confine
from harness.sandbox.layout import relocate

if __name__ == "__main__":
    if (_UID := Confinement.load(sys.argv[1]).uid) is not None:
        become(_UID)
    _LEFT_OUT = relocate()

import numpy as np

from harness.formats import MODEL_FILE
from harness.wire import (
    MESSAGE_BYTES,
    MOST_CROPS,
    OUTPUT_BYTES,
    TEXT_AT,
    TEXT_BYTES,
    Kind,
    Message,
    Reason,
    pack,
    unpack,
)
from harness.worker import declared
from harness.worker.package import Failed, imported, labels_of, last_line, load

_SPIN_NS = 200_000


class Channel:
    """The worker's end of the socket and of the two buffers."""

    def __init__(self, socket_fd: int, input_fd: int, output_fd: int) -> None:
        self.socket = socket.socket(fileno=socket_fd)
        size = os.fstat(input_fd).st_size
        self.pixels = mmap.mmap(input_fd, size, mmap.MAP_SHARED, mmap.PROT_READ)
        self.output = mmap.mmap(output_fd, OUTPUT_BYTES, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.rows = np.ndarray((MOST_CROPS, 3), np.int64, self.pixels)
        self.labels = np.ndarray((MOST_CROPS,), np.int64, self.output)
        self._waiting = select.poll()
        self._waiting.register(self.socket, select.POLLIN)
        os.close(input_fd)
        os.close(output_fd)

    def receive(self) -> Message | None:
        """The next request, None when the judge has hung up.

        Looks for it without sleeping first: a core that slept between two crops would be cold for the next,
        which no loop over crops is. The judge needs some 20 us between crops.
        """
        end = perf_counter_ns() + _SPIN_NS
        while not self._waiting.poll(0) and perf_counter_ns() < end:
            pass
        data = self.socket.recv(MESSAGE_BYTES)
        return unpack(data) if data else None

    def send(self, message: Message) -> None:
        """An answer."""
        self.socket.send(pack(message))

    def fail(self, nonce: int, reason: Reason, text: str) -> None:
        """Says why there is no answer, in one line."""
        data = text.encode("utf-8", "replace")[:TEXT_BYTES]
        self.output[TEXT_AT : TEXT_AT + len(data)] = data
        self.send(Message(Kind.FAILED, nonce, len(data), reason))

    def crops(self, count: int) -> list[np.ndarray]:
        """Read-only views on the pixels of a request."""
        return [
            np.ndarray((height, width, 3), np.uint8, self.pixels, offset)
            for offset, height, width in self.rows[:count].tolist()
        ]


def serve(channel: Channel, package: Path, device: str) -> None:
    """Answers requests. One that fails ends the worker, with its traceback on stderr."""
    predict: Callable[[list[np.ndarray]], object] | None = None
    while (request := channel.receive()) is not None:
        reason = Reason.PREDICT_RAISED
        try:
            if request.kind is Kind.LOAD:
                if (package / MODEL_FILE).exists():
                    predict = declared.load(package, device)
                else:
                    reason = Reason.IMPORT_RAISED
                    module = imported(package)
                    reason = Reason.LOAD_RAISED
                    predict = load(module, device)
                channel.send(Message(Kind.LOADED, request.nonce))
                continue
            assert predict is not None, "LOAD comes first"
            labels = labels_of(predict(channel.crops(request.size)), request.size)
            channel.labels[: request.size] = labels
            channel.send(Message(Kind.LABELS, request.nonce, request.size))
        except Failed as failed:
            channel.fail(request.nonce, failed.reason, str(failed))
            return
        except BaseException as error:  # SystemExit and KeyboardInterrupt are the submission's too
            traceback.print_exc()
            sys.stderr.flush()
            channel.fail(request.nonce, reason, last_line(error))
            return


def main(argv: list[str]) -> None:
    """Confines the process, then serves."""
    confinement, device, package = Confinement.load(argv[1]), argv[2], Path(argv[3])
    channel = Channel(*map(int, argv[4:7]))
    try:
        confine(confinement)
    except OSError as error:
        channel.fail(0, Reason.CONFINEMENT, str(error))
        return
    os.chdir(package)
    channel.send(Message(Kind.READY, 0))
    serve(channel, package, device)


if __name__ == "__main__":
    main(sys.argv)
