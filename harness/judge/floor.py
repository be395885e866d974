"""The channel's own cost on this machine: nulls that spin a known time, on crops of the data set's median size."""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from harness import scratch
from harness.judge.channel import Crop
from harness.judge.session import Session, Setting, Staged
from harness.raw import RawFloor

DWELL_FILE = "dwell_ns"
# A core that waited longer wakes more slowly: two dwells, so that `derive` can interpolate. (dwell ns, round trips)
_LEGS = ((500_000, 60), (5_000_000, 30))
_WARMUP = 10


class Floor:
    """A context manager with one frozen null a dwell; `leg` thaws each in turn and times it."""

    def __init__(self, null: Path, crop: Crop, setting: Setting, batches: Sequence[int] = (1,)) -> None:
        self._crop, self._batches = crop, batches
        self._stack = contextlib.ExitStack()
        self._nulls: list[tuple[int, int, Session]] = []
        try:
            for dwell_ns, rounds in _LEGS:
                parent = scratch.folder("null")
                self._stack.callback(scratch.remove, parent)
                own = parent / "null"
                shutil.copytree(null, own)
                (own / DWELL_FILE).unlink()  # read-only in a staged copy
                (own / DWELL_FILE).write_text(str(dwell_ns))
                session = self._stack.enter_context(Session(Staged("null", own, 1, trusted=True), setting))
                session.load()
                session.freeze()
                self._nulls.append((dwell_ns, rounds, session))
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def leg(self) -> list[RawFloor]:
        """Round trips of each null with each batch, in ns, the dwell included; nothing else runs."""
        legs = []
        for dwell_ns, rounds, session in self._nulls:
            session.thaw()
            for batch in self._batches:
                crops = [self._crop] * batch
                for _ in range(_WARMUP):
                    session.classify(crops)
                times = tuple(session.classify(crops).elapsed_ns for _ in range(rounds))
                legs.append(RawFloor(dwell_ns, times, batch))
            session.freeze()
        return legs


def median_crop(sizes: "np.typing.NDArray[np.int64]") -> Crop:
    """A grey crop of the median height and width of (n, 2) sizes.

    >>> median_crop(np.array([[2, 4], [4, 8], [6, 9]])).shape
    (4, 8, 3)
    """
    height, width = np.median(sizes, axis=0).astype(int)
    return np.full((height, width, 3), 127, np.uint8)
