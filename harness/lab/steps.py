"""The log of a compression, steps.json: what was ordered and every whole step, so that a stopped one goes on."""

from pathlib import Path
from typing import Literal

import msgspec

from harness.atomic import machine, replace
from harness.errors import DataError, UsageError
from harness.stats import Interval

LOG = "steps.json"
By = Literal["blocks", "channels"]
Cost = Literal["time", "macs"]


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must be equal for a compression to go on."""

    package: str  # its name
    digest: str  # of its table and weights
    recipe_digest: str  # of the settings of its recipe
    data: str  # the data set's name
    data_digest: str
    baseline: str  # the package that times are measured against
    by: By
    macs: int | None  # of the result, at most
    time: float | None  # of the result, as a share of the time that the package takes at the start, at most
    cost: Cost  # what a block's loss of F1 is set against
    steps: int  # on the way to the budget, by channels
    epochs: int  # of fine-tuning a step
    passes: int  # of a measurement
    crops: int  # validation crops of one, at most


class Tried(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The network without one block, before any fine-tuning."""

    row: int
    block: str  # in words
    f1: float  # validation macro F1
    macs: int
    time_ratio: float | None  # to the baseline; None where it was not measured


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a step takes out, and what else was tried."""

    removed: str  # in words
    tried: tuple[Tried, ...] = ()


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network on the way, fine-tuned and measured; the first is the package itself."""

    number: int
    choice: Choice
    parameters: int
    macs: int
    f1: float  # macro F1 over all validation crops
    time_ratio: Interval  # to the baseline, by the judge on the order's crops
    score: float  # by the judge on the same


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of steps.json."""

    order: Order
    steps: tuple[Step, ...] = ()


def write_log(folder: Path, log: Log) -> None:
    """Written anew, whole or not at all."""
    with machine(folder):
        replace(folder / LOG, msgspec.json.format(msgspec.json.encode(log), indent=1) + b"\n")


def read_log(folder: Path, order: Order) -> Log:
    """The log of a stopped compression of this order, an empty one where there is none.

    Raises UsageError where it is of another order, and says which, DataError where it is damaged.
    """
    path = folder / LOG
    try:
        log = msgspec.json.decode(path.read_bytes(), type=Log)
    except FileNotFoundError:
        return Log(order)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected a compression's log, got {error}; --fresh starts over") from error
    if log.order != order:
        raise UsageError(
            f"{path}: expected a compression of these settings, got one of {_difference(log.order, order)} after "
            f"{max(0, len(log.steps) - 1)} steps; give the same ones to go on, --fresh starts over"
        )
    return log


def _difference(theirs: Order, ours: Order) -> str:
    """Which of their settings are not ours, like "epochs 2 (here 3)"."""
    yours, mine = msgspec.to_builtins(theirs), msgspec.to_builtins(ours)
    shown = {name: f"{name} {yours[name]} (here {mine[name]})" for name in mine if mine[name] != yours[name]}
    whose = {"digest": "network", "recipe_digest": "recipe", "data_digest": "data"}
    digests = [f"another {of}" for name, of in whose.items() if name in shown]
    return ", ".join([text for name, text in shown.items() if not name.endswith("digest")] + digests)
