"""A training's folder, runs/<package>/<data>/<when it began>/: what it was, how it went, its weights.

recipe.yaml         every setting, to be trained by again
versions.json       Versions; versions-<n>.json where it went on after epoch n with others
log.jsonl           an entry an epoch, as it is done
curves.svg          loss, validation macro F1 and learning rate over the epochs
best.safetensors    the weights as they are stored in the package
last.safetensors    the last epoch's, in float32, as training goes on with them
tensorboard/ wandb/ where it is tracked
"""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import torch
import torchvision
from safetensors.torch import save
from torch import Tensor

from harness import __version__
from harness.atomic import machine, replace
from harness.data.store import Store
from harness.lab.checkpoint import epochs_in
from harness.lab.curves import svg
from harness.lab.recipe import Recipe
from harness.lab.tracking import TRACKERS, Entry, Tracker, TrackerName

_LINES = msgspec.json.Decoder(dict[str, int | float | str])


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a training ran with. A resumed one is equal to an uninterrupted one only where these are equal."""

    harness: str
    python: str
    torch: str
    torchvision: str
    numpy: str
    platform: str
    device: str  # the GPU's name, or "cpu"
    threads: int  # of each process
    processes: int
    data: str
    data_digest: str
    start_sha256: str  # of the weights that it started from; empty: random ones


class Run:
    """The folder, made by `begin`. What cannot be written raises MachineError."""

    def __init__(self, folder: Path, tracker: TrackerName | None = None) -> None:
        self.folder = folder
        self._wanted = tracker
        self._tracker: Tracker | None = None
        self._log: list[Entry] = []

    def begin(self, recipe: Recipe, versions: Versions, log: Sequence[Entry]) -> None:
        """Makes the folder, or goes on in it after the epochs of `log`, a checkpoint's: lines beyond are taken out.

        Where the lines are not those of the epochs any more, `log` takes their place.
        """
        done = epochs_in(log)
        with machine(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = read_log(self.folder)[: len(log)]
            self._log = kept if [*map(_mark, kept)] == [*map(_mark, log)] else list(log)
            replace(self.folder / "log.jsonl", b"".join(map(_line, self._log)))
            replace(self.folder / "recipe.yaml", msgspec.yaml.encode(recipe))
            self._note_versions(versions, done)
            if self._wanted is not None:
                self._tracker = TRACKERS[self._wanted](self.folder, msgspec.to_builtins(recipe), done)

    def epoch(self, entry: Entry, last: Mapping[str, Tensor], best: Mapping[str, Tensor] | None) -> None:
        """Adds an epoch: its entry, its weights, and the best ones where it has better ones."""
        with machine(self.folder):
            _append(self.folder / "log.jsonl", _line(entry))
            self._log.append(entry)
            replace(self.folder / "last.safetensors", save({name: value.contiguous() for name, value in last.items()}))
            if best is not None:
                replace(self.folder / "best.safetensors", save({n: value.contiguous() for n, value in best.items()}))
            title = f"{self.folder.parent.parent.name} on {self.folder.parent.name}, {self.folder.name}"
            replace(self.folder / "curves.svg", svg(self._log, title))
            if self._tracker is not None:
                self._tracker.log(entry)

    def close(self) -> None:
        """Ends the tracking, at the end or at a stop."""
        if self._tracker is not None:
            self._tracker.close()

    def _note_versions(self, versions: Versions, done: int) -> None:
        first = self.folder / "versions.json"
        content = msgspec.json.format(msgspec.json.encode(versions), indent=1) + b"\n"
        if not first.exists():
            replace(first, content)
        elif first.read_bytes() != content:
            replace(self.folder / f"versions-{done}.json", content)


def new_folder(runs: Path) -> Path:
    """Where a training that begins now has its folder; it is not there yet."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = [now, *(f"{now}-{number}" for number in range(2, 100))]
    return next(runs / name for name in names if not (runs / name).exists())


def read_log(folder: Path) -> list[Entry]:
    """The whole lines of a run's log; none where there is no log, or somebody has made it none."""
    path = folder / "log.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    try:
        return [_LINES.decode(line) for line in lines if line.endswith(b"\n")]
    except ValueError:  # of msgspec, or of bytes that are no text
        return []


def versions_here(store: Store, start_sha256: str, processes: int) -> Versions:
    """What a training on these data here runs with."""
    return Versions(
        harness=__version__,
        python=platform.python_version(),
        torch=str(torch.__version__),  # a class of its own
        torchvision=torchvision.__version__,
        numpy=np.__version__,
        platform=platform.platform(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        threads=torch.get_num_threads(),
        processes=processes,
        data=store.manifest.name,
        data_digest=store.manifest.digest,
        start_sha256=start_sha256,
    )


def _mark(entry: Entry) -> tuple[object, object]:
    """What an entry of the checkpoint's log and one of the run's, which has more, have in common."""
    return entry.get("epoch"), entry.get("val_f1")


def _line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def _append(path: Path, line: bytes) -> None:
    """Adds a line, whole or not at all."""
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            rest = line
            while rest:  # a disk that is nearly full takes a part first
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise
