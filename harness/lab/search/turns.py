"""Workers of one machine that train side by side and time alone: locks that the kernel gives back however they end.

A reader-writer lock with a gate before it: whoever wants to time closes the gate, so that trainings, which let go after
each batch, do not come back before it.
"""

import contextlib
import fcntl
import os
from collections.abc import Generator, Iterator
from pathlib import Path

from harness.lab.train import Epoch, Step

_GATE, _MACHINE = ".gate", ".machine"


@contextlib.contextmanager
def held(path: Path, how: int) -> Iterator[None]:
    """Holds a lock file, `how` being fcntl's LOCK_EX or LOCK_SH. Raises BlockingIOError with LOCK_NB where it is."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for the loader's processes, which were forked with it
        os.close(descriptor)


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock file."""
    try:
        with held(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
    except BlockingIOError:
        return False


@contextlib.contextmanager
def timing(folder: Path) -> Iterator[None]:
    """No search of this folder trains or times meanwhile."""
    with held(folder / _GATE, fcntl.LOCK_EX), held(folder / _MACHINE, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def training(folder: Path) -> Iterator[None]:
    """No search of this folder times meanwhile; others may train."""
    with contextlib.ExitStack() as stack:
        with held(folder / _GATE, fcntl.LOCK_SH):
            stack.enter_context(held(folder / _MACHINE, fcntl.LOCK_SH))
        yield


def in_turns(events: Iterator[Step | Epoch], turns: Path) -> Generator[Step | Epoch, None, None]:
    """A training that lets others time between its batches."""
    with contextlib.closing(events):  # type: ignore[type-var]
        while True:
            with training(turns):
                event = next(events, None)
            if event is None:
                return
            yield event
