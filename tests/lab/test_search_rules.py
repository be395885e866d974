"""What of a search runs nothing: fronts, the best, what is hopeless, storages, the picture."""

import json
from pathlib import Path

import pytest

from harness.data.store import Store
from harness.errors import UsageError
from harness.lab.search import run
from harness.lab.search.hopeless import outrun, worst_allowed
from harness.lab.search.picture import chart, png, svg
from harness.lab.search.study import (
    Entry,
    Measured,
    best,
    entries,
    front,
    load_study,
    open_study,
)
from harness.lab.train import Epoch
from harness.stats import Interval
from tests.conftest import names
from tests.lab.searching import judge_by, order_in, study_of


def measured(f1: float, ratio: float, score: float = 1.0, eligible: bool = True) -> Measured:
    def about(value: float) -> Interval:
        return Interval(value, value * 0.9, value * 1.1)

    return Measured(about(f1), about(ratio), about(score), 0.7, eligible, 1000, 2000, 32)


def entry(number: int, its: Measured | None) -> Entry:
    return Entry(number, "finished" if its else "failed", "", its, number == 0)


def test_the_front_is_of_those_that_none_beats() -> None:
    pairs = [(0.5, 0.5), (0.6, 0.4), (0.7, 0.9), (0.6, 0.3), (0.2, 0.1), (0.7, 1.0)]
    found = [entry(number, measured(*pair)) for number, pair in enumerate(pairs)]
    assert [its.number for its in front([*found, entry(6, None)])] == [4, 3, 2]
    assert front([]) == []


def test_the_best_is_one_that_may_be_ranked_where_there_is_one() -> None:
    found = [entry(0, measured(0.5, 0.1, 0.3, eligible=False)), entry(1, measured(0.7, 0.1, 0.6)), entry(2, None)]
    top = best(found)
    assert top is not None
    assert top.number == 1
    assert best(found[:1]) == found[0]
    assert best([]) is None


def test_what_even_a_perfect_f1_would_not_save_is_hopeless() -> None:
    kept = [measured(0.6, 0.3, 0.9), measured(0.5, 0.2, 1.1), measured(0.4, 0.5, 1.4)]
    assert worst_allowed(kept, "score") == float("inf")  # too few to say
    assert worst_allowed([*kept, *kept], "score") == 0.9
    assert worst_allowed([*kept, *kept], "front") == 1.1  # the third is not on it


def test_a_training_far_below_a_faster_one_is_outrun() -> None:
    known = [(4, measured(0.7, 0.3), [0.3, 0.6])]
    assert outrun(Epoch(2, 1.0, 0.39, False, 1.0), 0.3, known) == (
        "val F1 0.390 after epoch 2, the faster trial 4 had 0.600"
    )
    assert not outrun(Epoch(2, 1.0, 0.45, False, 1.0), 0.3, known)
    assert not outrun(Epoch(2, 1.0, 0.39, False, 1.0), 0.2, known)  # it is faster
    assert not outrun(Epoch(3, 1.0, 0.1, False, 1.0), 0.3, known)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "Could not parse"),
        ("foo://x", "foo"),
        ("sqlite:////no/such/folder/x.db", "unable to open"),
        ("postgresql+nodriver://someone:secret@host/name", r"someone:\*\*\*@host"),
        ("journal:/no/such/folder/x", "No such file"),
        ("sqlite://", "SQLite in memory"),
        ("sqlite:///:memory:", "SQLite in memory"),
    ],
)
def test_a_broken_storage_is_one_line_without_its_password(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        open_study(url, tmp_path, "front", {})
    assert raised.value.message.startswith("--storage ")
    assert "secret" not in raised.value.message
    assert "\n" not in raised.value.message


def test_a_search_of_another_space_is_refused(tmp_path: Path) -> None:
    url = f"journal:{tmp_path / 'journal'}"
    open_study(url, tmp_path, "front", {"--space": "a", "--data": "b"})
    with pytest.raises(UsageError, match="expected --space as when it began; another --study begins another"):
        open_study(url, tmp_path, "front", {"--space": "c", "--data": "b"})
    with pytest.raises(UsageError, match="expected --objective as when it began"):
        open_study(url, tmp_path, "score", {"--space": "a", "--data": "b"})


def test_a_folder_has_the_packages_of_one_storage(tmp_path: Path, tinted: Store) -> None:
    order = order_in(tmp_path, tinted, 1)
    study_of(order)
    with pytest.raises(UsageError, match=r"expected --storage sqlite:.*study.db, as when it began, got journal:"):
        study_of(order, f"journal:{tmp_path / 'trials.log'}")
    study_of(order)


def test_to_look_for_a_search_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no search small in this storage"):
        load_study(f"sqlite:///{tmp_path / 'mistyped.db'}", "small")
    assert names(tmp_path) == []


def test_a_search_in_a_journal_goes_on(tinted: Store, tmp_path: Path) -> None:
    order, url = order_in(tmp_path, tinted, 1), f"journal:{tmp_path / 'journal'}"
    for trials in (1, 2):
        list(run.search(study_of(order, url), order._replace(trials=trials), judge_by(tinted), lambda _: None))
    assert [its.end for its in entries(study_of(order, url))].count("finished") == 2


def test_the_picture_shows_each_finished_trial_with_its_interval() -> None:
    found = [entry(0, measured(0.5, 0.5, 1.2)), entry(1, measured(0.6, 0.4, 0.9)), entry(2, None)]
    points = chart(found, "a search")["datasets"]["points"]
    assert [(point["name"], point["look"]) for point in points] == [
        ("1 (best score)", "on the front"),
        ("0", "starting point"),
    ]
    assert json.dumps(points)
    drawn = svg(found, "a search")
    assert "1 (best score)" in drawn
    assert png(drawn).startswith(b"\x89PNG")
