"""A search from top to bottom: claim a trial, draw it, time it, train it, judge it, keep it.

A trial ends as one of: finished; hopeless, by the rules below; impossible, no such network; duplicate of an earlier
one; failed, with its reason. One that was killed is none of these: it is run again, from its checkpoint.
"""

import contextlib
import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import optuna
from optuna.exceptions import StorageInternalError
from optuna.pruners import MedianPruner
from optuna.trial import FrozenTrial, Trial, TrialState

from harness import scratch
from harness.atomic import alone, machine
from harness.data.store import Store
from harness.data.weights import WeightsInfo
from harness.errors import HarnessError, MachineError, SubmissionError
from harness.lab.counts import counts
from harness.lab.networks import trainable
from harness.lab.search import study as trials
from harness.lab.search.candidate import (
    Candidate,
    Files,
    candidate,
    curve_of,
    drawn,
    is_trained,
    write_package,
    write_untrained,
)
from harness.lab.search.hopeless import LEAST_FINISHED, outrun, worst_allowed, worth_timing
from harness.lab.search.space import Space
from harness.lab.search.suggested import plain, suggested
from harness.lab.search.turns import held, in_turns, timing
from harness.lab.train import Epoch, Step, train
from harness.record import Result
from harness.score import ScoreRule, score

_DUPLICATES = 5  # in a row, then values are drawn at random
MOST_DUPLICATES = 100  # in a row, then there are no others
MOST_FAILED = 5  # in a row, then it is not the candidates' fault
_ASK_S = 0.5


class Order(NamedTuple):
    """What to search."""

    folder: Path  # of the search
    turns: Path  # the folder of all searches, whose workers take turns
    space: Space
    files: Files
    store: Store
    objective: trials.Objective
    rule: ScoreRule
    trials: int  # to finish, in all


class Moment(NamedTuple):
    """Where a trial is."""

    number: int
    finished: int  # trials
    what: str  # like "epoch 2/4"
    share: float | None  # of what it does, done


Judge = Callable[[Path], Result]  # a package's folder to what the judge's session finds of it on validation crops
Watch = Callable[[Moment], None]


class _Ended(Exception):
    """A trial without a result."""


def search(study: optuna.Study, order: Order, judge: Judge, watch: Watch) -> Iterator[trials.Entry]:
    """Runs trials until so many are finished, by all workers together; each one that this worker ran.

    Raises HarnessError after MOST_FAILED failures in a row, MachineError where the storage or the disk fails. May be
    killed at any moment, and called again.
    """
    with machine(order.folder), trials.kept():
        yield from _searched(study, order, judge, watch)


def _searched(study: optuna.Study, order: Order, judge: Judge, watch: Watch) -> Iterator[trials.Entry]:
    tpe, at_random = trials.samplers()
    study.pruner = MedianPruner(n_startup_trials=LEAST_FINISHED)
    failed = duplicates = 0
    while True:
        study.sampler = at_random if duplicates >= _DUPLICATES else tpe
        with contextlib.ExitStack() as life, contextlib.ExitStack() as claim:
            claim.enter_context(alone(order.folder))
            trials.tidy(study, order.folder, trials.worker_here(order.folder))
            _enqueue_start(study, order)
            states = [trial.state for trial in study.get_trials(deepcopy=False)]
            finished = states.count(TrialState.COMPLETE)
            if finished >= order.trials or duplicates >= MOST_DUPLICATES:
                return
            if finished + states.count(TrialState.RUNNING) < order.trials:
                run = _Run(study, order, judge, watch, _Locks(claim, life))
                study.optimize(run.trial, n_trials=1, catch=(_Ended,))
                entry = trials.entries(study)[run.number]
                failed = failed + 1 if entry.end == "failed" else 0
                duplicates = duplicates + 1 if entry.end == "duplicate" else 0
                yield entry
                if failed >= MOST_FAILED:
                    raise HarnessError(f"{failed} trials in a row failed, the last one: {entry.why}", kind="search")
                continue
        time.sleep(_ASK_S)  # others run the last ones; should one of those fail, there is one to do


def _enqueue_start(study: optuna.Study, order: Order) -> None:
    """The starting point is trial 0, so that the front shows what beat it."""
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial({knob.place: plain(knob.start) for knob in order.space.knobs}, {trials.START: True})


class _Locks(NamedTuple):
    """The claim, that values are drawn under; and the trial's own, held until the storage knows how it ended."""

    claim: contextlib.ExitStack
    life: contextlib.ExitStack


class _Run:
    """One trial of this worker."""

    def __init__(self, study: optuna.Study, order: Order, judge: Judge, watch: Watch, locks: _Locks) -> None:
        self.study, self.order, self.judge, self.watch, self.locks = study, order, judge, watch, locks
        self.finished = sum(trial.state is TrialState.COMPLETE for trial in study.get_trials(deepcopy=False))
        self.number = -1  # once it has one

    def trial(self, its: Trial) -> float | tuple[float, float]:
        """The objective's value or values. Raises _Ended or TrialPruned, its reason in the trial's attributes."""
        self.number = its.number
        folder = trials.package_of(self.order.folder, its.number)
        lock = trials.lock_of(self.order.folder, its.number)
        self.locks.life.callback(lock.unlink, missing_ok=True)
        self.locks.life.enter_context(held(lock, fcntl.LOCK_EX))
        try:
            made = self._begun(its)
            self.locks.claim.close()  # others may claim theirs
            return self._measured(its, made, folder)
        except (_Ended, optuna.TrialPruned):
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except (MachineError, StorageInternalError):  # not the candidate's fault: it stays, and is run again
            raise
        except Exception as error:  # whatever a strange network, its training or its judging raises
            shutil.rmtree(folder, ignore_errors=True)
            said = error.message if isinstance(error, HarnessError) else f"{type(error).__name__}: {error}"
            self._end(its, "failed", said)
            raise _Ended from error

    def _begun(self, its: Trial) -> Candidate:
        """The drawn candidate, on record as this worker's."""
        its.set_user_attr(trials.WORKER, trials.worker_here(self.order.folder))
        values = drawn(self.order.space, lambda knob: suggested(its, knob))
        try:
            made = candidate(self.order.space, values, self.order.files)
        except SubmissionError as error:
            self._end(its, "impossible", error.message)
            raise optuna.TrialPruned from error
        digest = made.digest()
        for other in self.study.get_trials(deepcopy=False):
            same = other.number != its.number and other.user_attrs.get(trials.DIGEST) == digest
            if same and not trials.is_interrupted(other):
                self._end(its, "duplicate", f"the network and recipe of trial {other.number}")
                raise _Ended
        its.set_user_attr(trials.DIGEST, digest)
        return made

    def _measured(self, its: Trial, made: Candidate, folder: Path) -> float | tuple[float, float]:
        order, before = self.order, its.user_attrs.get(trials.AGAIN)
        if before is not None and (old := trials.package_of(order.folder, before)).is_dir():
            old.replace(folder)  # with its checkpoint
        name = f"{order.files.package.name}-trial{its.number}"
        about = f"Trial {its.number} of the search {order.folder.name}, which began at {order.files.package.name}."
        with machine(folder):
            write_package(made, order.files, folder, name, about)
        net = trainable(folder, len(order.store.manifest.classes), made.recipe.size)
        size, data = made.recipe.size, order.store.manifest.name
        cost = counts(net, size)
        begun = time.monotonic()
        if before is None or not is_trained(folder, data, made.recipe):
            begun = self._fitted(its, made, folder)
        trained = time.monotonic()
        self._note(its, trials.CURVE, curve_of(folder, data))
        self._say("judging")
        with timing(order.turns):
            turn = time.monotonic()
            result = self.judge(folder)
        self._note(its, trials.SPENT, (trained - begun, time.monotonic() - turn))
        kept = trials.measured(result, *cost, size)
        self._note(its, trials.MEASURED, msgspec.to_builtins(kept))
        return result.score.value if order.objective == "score" else (result.f1.value, result.time_ratio.value)

    def _fitted(self, its: Trial, made: Candidate, folder: Path) -> float:
        """Times where that is worth it, then trains; when the training began. Raises TrialPruned."""
        finished = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state is TrialState.COMPLETE]
        early = None
        if self.order.objective == "score" or worth_timing([trial.user_attrs[trials.SPENT] for trial in finished]):
            early = self._timed(folder, made, its, finished)
        begun = time.monotonic()
        self._train(its, made, folder, early, finished)
        return begun

    def _timed(self, folder: Path, made: Candidate, its: Trial, finished: list[FrozenTrial]) -> Result:
        """The network's time before it is trained, at its real size: no training for what cannot win by its time.

        Hopeless: where even macro F1 = 1 would make no better score than the best there is, or, for the front, than the
        worst one on it; at the low end of the time ratio's interval. Raises TrialPruned.
        """
        order, manifest = self.order, self.order.store.manifest
        self._say("timing before training")
        with scratch.lent("untrained") as home, machine(home):
            package = home / folder.name
            shutil.copytree(folder, package, ignore=shutil.ignore_patterns("weights"))
            info = WeightsInfo(manifest.classes, manifest.digest, {"size": made.recipe.size}, [])
            write_untrained(trainable(package, len(manifest.classes), made.recipe.size), package, manifest.name, info)
            with timing(order.turns):
                result = self.judge(package)
        ratio = result.time_ratio.value if result.time_ratio.low is None else result.time_ratio.low
        at_best = score(1.0, max(ratio, 0.0), result.baseline_f1, order.rule)
        limit = worst_allowed([trials.kept_of(trial) for trial in finished], order.objective)
        if not _is_start(its) and at_best > limit:
            self._end(
                its, "hopeless", f"time ratio {ratio:.3g}: macro F1 of 1 would score {at_best:.4f}, above {limit:.4f}"
            )
            raise optuna.TrialPruned
        return result

    def _train(
        self, its: Trial, made: Candidate, folder: Path, early: Result | None, finished: list[FrozenTrial]
    ) -> None:
        """Trains in turns with other workers' timing. Raises TrialPruned where its F1 stays hopelessly low."""
        recipe = made.recipe
        events = in_turns(train(folder, self.order.store, recipe), self.order.turns)
        with contextlib.closing(events):
            for event in events:
                if isinstance(event, Step):
                    done = (event.epoch + event.step / event.steps) / recipe.epochs
                    self._say(f"epoch {event.epoch + 1}/{recipe.epochs}", done)
                    continue
                if early is not None and not _is_start(its) and event.epoch < recipe.epochs:
                    self._stop_hopeless(its, event, early, finished, recipe.epochs)

    def _stop_hopeless(self, its: Trial, event: Epoch, early: Result, finished: list[FrozenTrial], epochs: int) -> None:
        """For the score by Optuna's median rule; a front has none, so: far below a faster one after half the epochs."""
        order = self.order
        if order.objective == "score":
            its.report(score(event.val_f1, early.time_ratio.value, early.baseline_f1, order.rule), event.epoch)
            if its.should_prune():
                self._end(
                    its, "hopeless", f"val F1 {event.val_f1:.3f} after epoch {event.epoch}: below the median's score"
                )
                raise optuna.TrialPruned
            return
        known = [(other.number, trials.kept_of(other), other.user_attrs[trials.CURVE]) for other in finished]
        if 2 * event.epoch >= epochs and (said := outrun(event, early.time_ratio.value, known)):
            self._end(its, "hopeless", said)
            raise optuna.TrialPruned

    def _say(self, what: str, share: float | None = None) -> None:
        self.watch(Moment(self.number, self.finished, what, share))

    def _end(self, its: Trial, end: str, why: str) -> None:
        self._note(its, trials.WHY, " ".join(why.split())[:300])
        self._note(its, trials.END, end)

    def _note(self, its: Trial, name: str, value: object) -> None:
        with machine(self.order.folder):  # of a journal
            its.set_user_attr(name, value)


def _is_start(its: Trial) -> bool:
    return bool(its.user_attrs.get(trials.START))
