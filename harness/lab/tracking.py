"""Trackers: a training's entries for TensorBoard or Weights & Biases, in the run's folder. The table is TRACKERS."""

import netrc
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from harness.errors import MachineError
from harness.submission import unmet_of

TrackerName = Literal["tensorboard", "wandb"]
Settings = Mapping[str, Any]
Entry = Mapping[str, int | float | str]


class Tracker(Protocol):
    """Takes an entry an epoch."""

    def log(self, entry: Entry) -> None:
        """All of the entry's numbers but the epoch's own, at that epoch."""

    def close(self) -> None:
        """Everything is written."""


class TensorBoard:
    """Event files in <run>/tensorboard: `tensorboard --logdir runs`."""

    def __init__(self, run: Path, settings: Settings, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an extra)

        # What a kill left of later epochs is hidden.
        self._writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=done + 1 if done else None)
        if not done:
            self._writer.add_text("recipe", "\n".join(f"    {key}: {value}" for key, value in settings.items()))

    def log(self, entry: Entry) -> None:
        for name, value in numbers(entry).items():
            self._writer.add_scalar(name, value, int(entry["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class Wandb:
    """A run in <run>/wandb, on the server too where a key is configured; else `wandb sync` sends it later."""

    def __init__(self, run: Path, settings: Settings, done: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library, about itself
            import wandb  # noqa: PLC0415 (an extra)

            try:
                self._run: Any = wandb.init(
                    dir=run,
                    project=run.parent.parent.name,  # the package's name
                    name=f"{run.parent.name} {run.name}",
                    id=f"{run.parent.name}-{run.name}",
                    resume="allow" if done else None,
                    mode=wandb_mode(os.environ),
                    config=dict(settings),
                    settings=wandb.Settings(silent=True, console="off"),
                )
            except wandb.errors.Error as error:  # a key that it does not take, a server that does not answer
                said = " ".join(str(error).split())[:300]
                raise MachineError(
                    f"--track wandb: expected a run to begin, got {said}; WANDB_MODE=offline needs no key, no server",
                    kind="tracking",
                ) from error

    def log(self, entry: Entry) -> None:
        self._run.log(numbers(entry), step=int(entry["epoch"]))

    def close(self) -> None:
        self._run.finish()


TRACKERS: dict[TrackerName, Callable[[Path, Settings, int], Tracker]] = {"tensorboard": TensorBoard, "wandb": Wandb}
_REQUIRES: dict[TrackerName, str] = {"tensorboard": "tensorboard>=2.18", "wandb": "wandb>=0.19"}  # as pyproject has it


def check_tracker(name: TrackerName) -> None:
    """Raises MachineError (kind "requires") where its library is not installed."""
    if unmet := unmet_of([_REQUIRES[name]]):
        raise MachineError(f"--track {name}: expected {unmet[0]}; pip install '{_REQUIRES[name]}'", kind="requires")


def wandb_mode(environment: Mapping[str, str]) -> Literal["online", "offline", "disabled", "shared"]:
    """WANDB_MODE where it says one; else online where a key is configured, and offline, without any network.

    >>> wandb_mode({"WANDB_MODE": "disabled"}), wandb_mode({"WANDB_API_KEY": "k"}), wandb_mode({"HOME": "/nowhere"})
    ('disabled', 'online', 'offline')
    """
    said = environment.get("WANDB_MODE", "")
    for mode in ("online", "offline", "disabled", "shared"):
        if said == mode:
            return mode
    return "online" if environment.get("WANDB_API_KEY") or _in_netrc(environment) else "offline"


def numbers(entry: Entry) -> dict[str, int | float]:
    """What of an entry is a curve.

    >>> numbers({"epoch": 1, "loss": 0.5, "start_sha256": "ab"})
    {'loss': 0.5}
    """
    return {name: value for name, value in entry.items() if name != "epoch" and not isinstance(value, str)}


def _in_netrc(environment: Mapping[str, str]) -> bool:
    """Whether `wandb login` left a key."""
    path = Path(environment.get("NETRC") or Path(environment.get("HOME", "")) / ".netrc")
    try:
        return netrc.netrc(path).authenticators("api.wandb.ai") is not None
    except (OSError, netrc.NetrcParseError):
        return False
