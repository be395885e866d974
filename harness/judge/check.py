"""Tries a package without labels and without a clock: does it load, does it answer crops of odd sizes?"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from harness.errors import SubmissionError, SubmissionTimeout
from harness.judge.session import Session, Setting, Staged

# (height, width): smallest, thinnest, the data sets' usual size, a large photo
ODD_SIZES = ((1, 1), (1, 500), (500, 1), (2000, 3), (192, 256), (3000, 2000))


class Tried(NamedTuple):
    """One thing that was tried; `error` is None where it went well."""

    what: str
    error: SubmissionError | None


def check(staged: Staged, setting: Setting) -> Iterator[Tried]:
    """Loads the package, then answers a crop of each odd size, each in a worker that still stands.

    The first item is the load; nothing follows where it fails, nor after an answer that did not come in time.
    Raises MachineError.
    """
    rng = np.random.default_rng(0)
    sizes = list(ODD_SIZES)
    loaded = False
    while sizes:
        try:
            with Session(staged, setting) as session:
                session.load()
                if not loaded:
                    yield Tried("load", None)
                    loaded = True
                while sizes:
                    height, width = sizes.pop(0)
                    session.classify([rng.integers(0, 256, (height, width, 3), dtype=np.uint8)])
                    yield Tried(f"crop of {height}x{width}", None)
        except SubmissionError as error:
            if not loaded:
                yield Tried("load", error)
                return
            yield Tried(f"crop of {height}x{width}", error)
            if isinstance(error, SubmissionTimeout):
                return
