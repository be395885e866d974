"""A search: kept through kills, shared by workers, its trials distinct, its hopeless ones ended early."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError

from harness.data.store import Store
from harness.errors import HarnessError, MachineError, SubmissionError
from harness.lab.search import run
from harness.lab.search.kept import export_trial
from harness.lab.search.study import (
    CURVE,
    DIGEST,
    MEASURED,
    Entry,
    entries,
    lock_of,
    tidy,
    worker_here,
)
from harness.lab.search.turns import is_free
from harness.record import Result
from harness.staging import read_manifest
from harness.stats import Interval
from tests.conftest import ROOT, names
from tests.lab.searching import judge_by, order_in, study_of


def ran(order: run.Order, judge: run.Judge) -> list[Entry]:
    """All that a search says, its study made or gone on with."""
    return list(run.search(study_of(order), order, judge, lambda _: None))


def worker(home: Path, store: Store, trials: int, workers: int = 1) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.lab.searching", str(home), str(store.path), str(trials), str(workers)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def until(process: "subprocess.Popen[str]", said: str, times: int = 1) -> None:
    """Reads a worker's lines until it has said it so often."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        times -= line.startswith(said)
        if not times:
            return
    raise AssertionError("".join(seen))


def finished(order: run.Order) -> list[Entry]:
    return [entry for entry in entries(study_of(order)) if entry.end == "finished"]


def digests(order: run.Order) -> list[str]:
    found = [trial for trial in study_of(order).trials if trial.state is optuna.trial.TrialState.COMPLETE]
    return [trial.user_attrs[DIGEST] for trial in found]


def test_the_start_is_the_first_trial_and_each_one_is_kept_as_a_package(tinted: Store, tmp_path: Path) -> None:
    order = order_in(tmp_path, tinted, 3)
    said = ran(order, judge_by(tinted))
    assert [entry.end for entry in said].count("finished") == 3
    assert said[0].start
    assert (order.folder / "trial-0" / "recipe.yaml").read_text().startswith("# Trial 0 of the search small, ")
    for entry in finished(order):
        package = order.folder / f"trial-{entry.number}"
        assert names(package) == ["network.yaml", "recipe.yaml", "submission.toml", "weights"]
        assert names(package / "weights") == ["tinted.json", "tinted.safetensors"]
        its = read_manifest(package)
        assert its.name == f"small-trial{entry.number}"
        assert its.input is not None
        assert entry.measured is not None
        assert its.input.sides()[0] == entry.measured.size
        assert entry.measured.macs > entry.measured.parameters > 0
    assert ran(order, judge_by(tinted)) == []  # they are there already
    target = tmp_path / "submissions" / "mine"
    export_trial(order.folder / "trial-0", target)
    assert read_manifest(target).name == "mine"
    assert names(target.parent) == ["mine"]


def test_a_search_killed_in_the_middle_loses_no_finished_trial(tinted: Store, tmp_path: Path) -> None:
    with worker(tmp_path, tinted, 4) as process:
        until(process, "ended", 2)
        until(process, "epoch 2/2")  # a checkpoint of the first epoch is there
        os.kill(process.pid, signal.SIGKILL)
    order = order_in(tmp_path, tinted, 4)
    before = finished(order)
    assert len(before) == 2
    said: list[str] = []
    rest = list(run.search(study_of(order), order, judge_by(tinted), lambda moment: said.append(moment.what)))
    assert finished(order)[:2] == before
    assert len(finished(order)) == len(set(digests(order))) == 4
    killed = next(entry for entry in entries(study_of(order)) if entry.end == "interrupted")
    trials = study_of(order).trials
    assert trials[rest[0].number].params == trials[killed.number].params
    assert "epoch 1/2" not in said[: said.index("judging")]  # it went on from the checkpoint
    assert not (order.folder / f"trial-{killed.number}").exists()


def test_a_start_that_is_killed_is_run_again_as_the_start(tinted: Store, tmp_path: Path) -> None:
    with worker(tmp_path, tinted, 1) as process:
        until(process, "epoch")
        os.kill(process.pid, signal.SIGKILL)
    order = order_in(tmp_path, tinted, 1)
    (entry,) = ran(order, judge_by(tinted))
    assert (entry.number, entry.start, entry.end) == (1, True, "finished")


def test_two_workers_share_the_trials_and_time_one_after_the_other(tinted: Store, tmp_path: Path) -> None:
    with worker(tmp_path, tinted, 6, 2) as one, worker(tmp_path, tinted, 6, 2) as other:
        said = [process.communicate(timeout=300)[0] for process in (one, other)]
    assert all(text.count("finished") > 0 for text in said), said
    order = order_in(tmp_path, tinted, 6)
    assert len(finished(order)) == len(set(digests(order))) == 6
    events = [line.split()[1:] for line in (order.folder / "judging.log").read_text().splitlines()]
    for begin, end in zip(events[::2], events[1::2], strict=True):
        assert (begin[0], end[0]) == ("begin", "end")
        assert begin[1] == end[1]


def test_a_trial_is_its_workers_until_the_storage_knows_how_it_ended(
    tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, told = order_in(tmp_path, tinted, 1), []

    class Telling(optuna.samplers.RandomSampler):
        """Is called just before the storage is told."""

        def after_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial, *_: object) -> None:
            told.append(is_free(lock_of(order.folder, trial.number)))

    monkeypatch.setattr("harness.lab.search.study.samplers", lambda: (Telling(), Telling()))
    ran(order, judge_by(tinted))
    assert told == [False]
    assert is_free(lock_of(order.folder, 0))


def test_a_failed_trial_is_recorded_and_the_next_one_runs(tinted: Store, tmp_path: Path) -> None:
    judge, asked = judge_by(tinted), []

    def once(package: Path) -> Result:
        asked.append(package)
        if len(asked) == 1:
            raise SubmissionError("it said\nnothing", kind="answer")
        return judge(package)

    order = order_in(tmp_path, tinted, 1)
    ended = ran(order, once)
    assert [(entry.end, entry.why) for entry in ended if entry.end != "duplicate"] == [
        ("failed", "it said nothing"),
        ("finished", ""),
    ]
    assert not (order.folder / "trial-0").exists()
    assert entries(study_of(order))[0].why == "it said nothing"


def test_where_all_fail_the_search_ends_with_their_reason(tinted: Store, tmp_path: Path) -> None:
    def judge(package: Path) -> Result:
        raise RuntimeError("no")

    order = order_in(tmp_path, tinted, 20)
    with pytest.raises(HarnessError, match="5 trials in a row failed, the last one: RuntimeError: no"):
        ran(order, judge)


def test_a_machine_that_fails_ends_the_search_and_the_trial_is_run_again(tinted: Store, tmp_path: Path) -> None:
    def judge(package: Path) -> Result:
        raise MachineError("no disk", kind="disk")

    order = order_in(tmp_path, tinted, 1)
    with pytest.raises(MachineError, match="no disk"):
        ran(order, judge)
    assert [entry.end for entry in ran(order, judge_by(tinted))] == ["finished"]
    assert [entry.end for entry in entries(study_of(order))] == ["interrupted", "finished"]


def test_a_trial_that_is_killed_while_it_is_judged_is_not_trained_again(tinted: Store, tmp_path: Path) -> None:
    with worker(tmp_path, tinted, 1) as process:
        until(process, "judging")
        os.kill(process.pid, signal.SIGKILL)
    order, said = order_in(tmp_path, tinted, 1), []
    list(run.search(study_of(order), order, judge_by(tinted), lambda moment: said.append(moment.what)))
    assert said == ["judging"]
    assert len(study_of(order).trials[1].user_attrs[CURVE]) == 2


def test_the_curve_of_a_trial_that_was_killed_has_the_epochs_before(tinted: Store, tmp_path: Path) -> None:
    with worker(tmp_path, tinted, 1) as process:
        until(process, "epoch 2/2")
        os.kill(process.pid, signal.SIGKILL)
    order = order_in(tmp_path, tinted, 1)
    ran(order, judge_by(tinted))
    assert len(study_of(order).trials[1].user_attrs[CURVE]) == 2


def test_a_storage_that_fails_ends_the_search_and_no_training_is_lost(
    tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, noted, said = order_in(tmp_path, tinted, 1), optuna.Trial.set_user_attr, []

    def full(self: optuna.Trial, key: str, value: object) -> None:
        if key == MEASURED:
            raise StorageInternalError("commit") from OSError("database or disk is full [SQL: INSERT ...]")
        noted(self, key, value)

    with monkeypatch.context() as patched:
        patched.setattr(optuna.Trial, "set_user_attr", full)
        with pytest.raises(MachineError, match=r"^the search's storage: .*, got database or disk is full; the same"):
            ran(order, judge_by(tinted))
    list(run.search(study_of(order), order, judge_by(tinted), lambda moment: said.append(moment.what)))
    assert said == ["judging"]
    assert [entry.end for entry in entries(study_of(order))] == ["interrupted", "finished"]


def test_a_package_that_cannot_be_written_ends_the_search(
    tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run, "write_package", full)
    with pytest.raises(MachineError, match="cannot write: No space left on device; free some space there"):
        ran(order_in(tmp_path, tinted, 1), judge_by(tinted))


def test_a_worker_that_is_killed_before_it_says_who_it_is_does_not_hold_up_others(
    tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_in(tmp_path, tinted, 1)
    study_of(order).ask()
    tidy(study_of(order), order.folder, worker_here(order.folder))
    assert [entry.end for entry in entries(study_of(order))] == ["running"]  # it may be about to
    monkeypatch.setattr("harness.lab.search.study._GRACE_S", 0)
    tidy(study_of(order), order.folder, worker_here(order.folder))
    assert [entry.end for entry in entries(study_of(order))] == ["interrupted", "waiting"]


def test_a_space_without_more_networks_ends(tinted: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MOST_DUPLICATES", 8)
    order = order_in(tmp_path, tinted, 9, space="table: {blocks: {3: {activation: {choose: [silu]}}}}")
    ran(order, judge_by(tinted))
    assert len(finished(order)) == len(set(digests(order))) == 2
    last = entries(study_of(order))[-1]
    assert last.end == "duplicate"
    assert last.why.startswith("the network and recipe of trial ")


def test_for_the_score_what_is_too_slow_is_never_trained(tinted: Store, tmp_path: Path) -> None:
    judge = judge_by(tinted)
    judged: list[str] = []

    def slow_later(package: Path) -> Result:
        """From the sixth trial on all are slow."""
        judged.append(package.name)
        result = judge(package)
        late = int(package.name.removeprefix("trial-")) >= 5
        from msgspec.structs import replace

        return replace(result, time_ratio=Interval(9.0, 8.0, 10.0)) if late else result

    order = order_in(tmp_path, tinted, 5, "score")
    ran(order, slow_later)
    done = finished(order)
    taken = sum(judged.count(f"trial-{entry.number}") for entry in done)
    assert taken == 2 * len(done)  # before and after training
    study = study_of(order)
    study.enqueue_trial(study.trials[0].params | {"recipe.max_lr": 0.0123})
    watched: list[run.Moment] = []
    search = run.search(study, order._replace(trials=6), slow_later, watched.append)
    entry = next(entry for entry in search if entry.end != "duplicate")
    search.close()  # type: ignore[attr-defined]
    assert entry.end in ("hopeless", "finished")
    if entry.number >= 5:
        assert entry.end == "hopeless"
        assert entry.why.startswith("time ratio 8: macro F1 of 1 would score 4.")
        assert not [moment for moment in watched if moment.number == entry.number and "epoch" in moment.what]
