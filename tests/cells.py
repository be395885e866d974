"""Runs a package that cheats or fails, and checks that nothing of it is left and the next one is unharmed."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness import scratch
from harness.errors import HarnessError
from harness.judge.isolation import Sandbox
from harness.judge.session import Session, Setting, Staged
from harness.rules import Limits
from harness.sandbox import processes
from harness.staging import Target, staged
from tests.conftest import PREDICT, MakePackage

CROP = np.zeros((8, 8, 3), np.uint8)
OPEN = "nothing stopped it"


def answering(expression: str, above: str = "") -> str:
    """A predict.py that answers with the value of an expression of `crops`."""
    return f"import numpy as np\n{above}\ndef load(device):\n    return lambda crops: {expression}\n"


def trying(code: str) -> str:
    """A predict.py that runs lines in load() and says so where nothing stops them."""
    body = "\n".join(f"    {line}" for line in code.strip("\n").splitlines())
    return f"def load(device):\n{body}\n    raise RuntimeError({OPEN!r})\n"


@dataclass(frozen=True)
class Cell:
    """One isolation level with its limits, in which packages made of a few lines run."""

    sandbox: Sandbox
    limits: Limits
    target: Target
    make_package: MakePackage
    made: list[str]

    def with_limits(self, **changes: Any) -> "Cell":
        return replace(self, limits=msgspec.structs.replace(self.limits, **changes))

    def with_sandbox(self, sandbox: Sandbox) -> "Cell":
        return replace(self, sandbox=sandbox)

    @contextmanager
    def session(self, source: str, **files: str) -> Iterator[Session]:
        """A loaded session; nothing of it is left afterwards, whatever happened."""
        name = f"cheat{len(self.made)}"
        self.made.append(name)
        gc.collect()
        gc.freeze()  # what is alive now need not be searched again: with all of torch loaded that is half a second
        before = left()
        with staged(self.make_package(name, source, **files), self.target, self.limits) as (_, folder):
            setting = Setting(self.sandbox, self.limits, "cpu", 1, 1 << 16)
            try:
                with Session(Staged(name, folder, 6), setting) as session:
                    session.load()
                    yield session
            finally:
                after = left()
                assert after.files <= before.files, "no descriptor is left open"
                assert after.children <= before.children, "no child and no zombie is left"
                assert after.shared == before.shared, "no shared memory is left"
                assert after.scratch == before.scratch | {folder.name}, "no scratch is left"
        assert not folder.exists()

    def error(self, source: str, crops: int = 20, **files: str) -> HarnessError | None:
        """What a package's answers to some crops end with; None where all is well. The next package must run."""
        found = None
        try:
            with self.session(source, **files) as session:
                for _ in range(crops):
                    session.classify([CROP])
        except HarnessError as error:
            found = error
        with self.session(PREDICT) as session:
            assert session.classify([CROP]).labels.tolist() == [0], "the next submission is unaffected"
        return found

    def tried(self, code: str) -> str:
        """Runs lines in load(); the message and the output of what ended them."""
        error = self.error(trying(code), crops=0)
        assert error is not None, "lines in load() end with an error, if only with ours"
        return f"{error.message}\n{getattr(error, 'log', '')}"


@dataclass(frozen=True)
class Left:
    """What a worker could leave behind on the judge's side."""

    files: frozenset[tuple[str, str]]
    children: frozenset[int]
    shared: frozenset[str]
    scratch: frozenset[str]


def left() -> Left:
    home = scratch.home()  # made now, and with it the descriptor of its lock
    return Left(
        frozenset(_open()),
        frozenset(processes.children(os.getpid())),
        frozenset(_shared()),
        frozenset(os.listdir(home)),
    )


def _open() -> Iterator[tuple[str, str]]:
    """Each open descriptor and what it is."""
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            yield number, os.readlink(f"/proc/self/fd/{number}")


def _shared() -> Iterator[str]:
    """Shared memory that a worker made: as root it has another uid, else its judge's; others' own may come and go."""
    for entry in os.scandir("/dev/shm"):
        with suppress(FileNotFoundError):
            if (entry.stat().st_uid == os.getuid()) != (os.getuid() == 0):
                yield entry.name
    for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]:
        yield f"segment {line.split()[1]}"
