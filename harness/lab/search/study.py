"""A search's trials in an Optuna storage: opened, shared by workers, put right after one of them was killed."""

import contextlib
import json
import logging
import platform
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from harness.atomic import alone, machine
from harness.errors import MachineError, UsageError
from harness.lab.search.turns import is_free
from harness.record import Result
from harness.stats import Interval

Objective = Literal["front", "score"]
DIRECTIONS: dict[Objective, tuple[StudyDirection, ...]] = {
    "front": (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE),  # macro F1, time ratio
    "score": (StudyDirection.MINIMIZE,),
}
# Attributes of a trial.
AGAIN = "again"  # the number of the killed trial whose values it has
START = "start"  # true for the starting point's
_STORAGE = "storage"  # a file in the search's folder: where its trials are kept
WORKER = "worker"
DIGEST = "digest"  # of its candidate
WHY = "why"  # it has no result
END = "end"
MEASURED = "measured"
CURVE = "curve"  # macro F1 on validation after each epoch
SPENT = "spent_s"  # seconds of its training and of its judging
_ENDS = {TrialState.COMPLETE: "finished", TrialState.RUNNING: "running", TrialState.WAITING: "waiting"}
_IDENTITY = "identity"  # of a study
_HEARTBEAT_S, _GRACE_S = 30, 180  # of a worker elsewhere, of which no lock can be seen
_BUSY_S = 60.0  # a worker waits for another one that writes to an SQLite file


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the judge found of a trained trial, on validation crops."""

    f1: Interval  # other photos
    time_ratio: Interval  # rerun
    score: Interval  # rerun; lower is better
    baseline_f1: float
    eligible: bool
    parameters: int
    macs: int  # of one picture
    size: int  # pixels a side


class Entry(NamedTuple):
    """One trial as it is shown."""

    number: int
    end: str  # finished, running, waiting, hopeless, impossible, duplicate, failed, interrupted
    why: str  # in one line, "" for a finished one
    measured: Measured | None
    start: bool  # the starting point


def measured(result: Result, parameters: int, macs: int, size: int) -> Measured:
    """What is kept of a result."""
    return Measured(
        result.f1, result.time_ratio, result.score, result.baseline_f1, result.eligible, parameters, macs, size
    )


def open_study(url: str, folder: Path, objective: Objective, identity: Mapping[str, str]) -> optuna.Study:
    """The study of the folder's name, made where there is none; by one worker of the folder at a time.

    `identity`: what all of its trials share, by what a user calls it. Raises UsageError where the storage cannot be
    opened, or holds a study of that name with another identity.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with alone(folder), kept():
        _refuse_other(folder, url)
        study = optuna.create_study(
            study_name=folder.name, storage=_storage(url), load_if_exists=True, directions=DIRECTIONS[objective]
        )
        said = {**identity, "--objective": objective}
        known = study.user_attrs.get(_IDENTITY)
        if known is None:
            study.set_user_attr(_IDENTITY, said)
        with machine(folder):
            (folder / _STORAGE).write_text(_told(folder, url))
    if changed := [what for what in said if (known or said).get(what) != said[what]]:
        raise UsageError(
            f"search {folder.name}: expected {' and '.join(changed)} as when it began; another --study begins another "
            "search"
        )
    return study


def _refuse_other(folder: Path, url: str) -> None:
    """The folder has the packages of one storage's trials. Raises UsageError where that is another than `url`."""
    path, shown = folder / _STORAGE, _told(folder, url)
    if path.exists() and (known := path.read_text()) != shown:
        raise UsageError(
            f"search {folder.name}: expected --storage {known}, as when it began, got {shown}; --study NAME"
        )


def _told(folder: Path, url: str) -> str:
    """The URL as the folder notes it: what lies in the folder stays the same where a checkout is moved.

    >>> _told(Path("/home/me/searches/mine"), "sqlite:////home/me/searches/mine/study.db")
    'sqlite:///./study.db'
    """
    return shown_url(url).replace(str(folder), ".")


def load_study(url: str, name: str) -> optuna.Study:
    """A study that is there. Raises UsageError where there is none."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    missing = UsageError(f"no search {name} in this storage; begin it with --space FILE --trials N")
    _, sqlite, path = url.partition("?")[0].partition("sqlite:///")
    if sqlite and path and not Path(path).exists():
        raise missing  # opening it would make it
    try:
        with kept():
            return optuna.load_study(study_name=name, storage=_storage(url))
    except KeyError as error:
        raise missing from error


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """What a storage cannot keep, its disk being full or its server gone, is one line. Raises MachineError."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        said = " ".join(str(error.__cause__ or error).partition("[SQL")[0].split())[:200]
        raise MachineError(
            f"the search's storage: expected to read and write it, got {said}; the same command goes on once it works",
            kind="storage",
        ) from error


def samplers() -> tuple[TPESampler, RandomSampler]:
    """What proposes, and what does where the first proposes what there was."""
    return TPESampler(constant_liar=True), RandomSampler()  # trials that run elsewhere count as poor ones


def tidy(study: optuna.Study, folder: Path, worker: str) -> None:
    """Ends the trials of workers that are dead, and queues their values again. Whoever calls holds the claim."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if WORKER not in trial.user_attrs and _age_s(trial) > _GRACE_S:  # killed before it said who it is
            study.tell(trial.number, state=TrialState.FAIL)
        lock = lock_of(folder, trial.number)
        here = trial.user_attrs.get(WORKER) == worker or lock.exists()  # the machine may have another name by now
        if not here or not is_free(lock):
            continue
        # A worker lets go once the storage knows: what is still running now is nobody's.
        if study.get_trials(deepcopy=False)[trial.number].state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        lock.unlink(missing_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental
        optuna.storages.fail_stale_trials(study)
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get(AGAIN) for trial in trials}
    for trial in trials:
        if is_interrupted(trial) and trial.number not in again:
            values = trial.system_attrs.get("fixed_params", {}) | trial.params
            study.enqueue_trial(values, {AGAIN: trial.number, START: trial.user_attrs.get(START, False)})


def _age_s(trial: FrozenTrial) -> float:
    return 0.0 if trial.datetime_start is None else time.time() - trial.datetime_start.timestamp()


def is_interrupted(trial: FrozenTrial) -> bool:
    """Whether it ended without a word of its worker."""
    return trial.state is TrialState.FAIL and END not in trial.user_attrs


def lock_of(folder: Path, number: int) -> Path:
    """The file that the worker of a trial holds while it lives."""
    return folder / f".trial-{number}"


def package_of(folder: Path, number: int) -> Path:
    """Where a finished trial's package is."""
    return folder / f"trial-{number}"


def worker_here(folder: Path) -> str:
    """This machine's and folder's workers: they see each other's locks."""
    return f"{platform.node()}:{folder}"


def kept_of(trial: FrozenTrial) -> Measured:
    """What was measured of a finished trial."""
    return msgspec.convert(trial.user_attrs[MEASURED], Measured)


def entries(study: optuna.Study) -> list[Entry]:
    """All trials, by number."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        said = trial.user_attrs
        end = _ENDS.get(trial.state, said.get(END, "interrupted"))
        why = said.get(WHY, "its worker was stopped; queued again" if end == "interrupted" else "")
        kept = kept_of(trial) if end == "finished" else None
        found.append(Entry(trial.number, end, why, kept, bool(said.get(START))))
    return found


def front(found: Sequence[Entry]) -> list[Entry]:
    """The finished trials that no other one beats in F1 and takes no longer than, the fastest first."""
    on: list[Entry] = []
    finished = [(entry, entry.measured) for entry in found if entry.measured is not None]
    for entry, its in sorted(finished, key=lambda pair: (pair[1].time_ratio.value, -pair[1].f1.value, pair[0].number)):
        if not on or its.f1.value > on[-1].measured.f1.value:  # type: ignore[union-attr]
            on.append(entry)
    return on


def best(found: Sequence[Entry]) -> Entry | None:
    """The finished trial of the best score, of those that may be ranked where there are some."""
    finished = [(not its.eligible, its.score.value, entry) for entry in found if (its := entry.measured) is not None]
    return min(finished, key=lambda row: row[:2])[2] if finished else None


def shown_url(url: str) -> str:
    """The URL without its password; one that cannot be read as it is.

    >>> shown_url("postgresql://me:secret@host/name"), shown_url("journal:trials.log")
    ('postgresql://me:***@host/name', 'journal:trials.log')
    """
    import sqlalchemy  # noqa: PLC0415 (optuna's)

    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url


def _storage(url: str) -> BaseStorage:
    """A database of SQLAlchemy's, or journal:FILE. Raises UsageError; a password stays out of it."""
    import sqlalchemy  # noqa: PLC0415 (optuna's)

    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)
    try:
        if url.startswith("journal:"):
            return JournalStorage(JournalFileBackend(url.removeprefix("journal:")))
        parsed = sqlalchemy.engine.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise ValueError("SQLite in memory, which nobody can open again")
            return RDBStorage(url, {"connect_args": {"timeout": _BUSY_S}})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is experimental
            return RDBStorage(url, heartbeat_interval=_HEARTBEAT_S, grace_period=_GRACE_S)
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, ValueError, OSError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, ImportError) and error.__cause__ else error
        said = " ".join(str(cause).partition("(Background")[0].split())[:200]
        raise UsageError(
            f"--storage {shown_url(url)}: expected a database's URL like sqlite:///search.db or "
            f"postgresql://HOST/NAME, or journal:FILE, got {said}"
        ) from error


def decoded(value: object) -> Any:
    """A categorical value that was no plain one: lists go as JSON."""
    return json.loads(value) if isinstance(value, str) and value.startswith("[") else value
