"""What a search and a compression go by: the judge's own session on validation crops, never a test label."""

from pathlib import Path

import pytest

import harness.data.answers
from harness.cli.rehearsing import open_rehearsal, rehearsals
from harness.data.store import open_store
from harness.errors import DataError, SubmissionError
from harness.rules import Rules
from tests.conftest import ROOT, MakePackage, spinning
from tests.pictures import prepare_tinted


@pytest.fixture(scope="module")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, 18 validation crops."""
    return prepare_tinted(tmp_path_factory.mktemp("tinted"))


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens the test labels fails."""

    def refused(*_: object) -> None:
        raise AssertionError("the test labels were opened")

    monkeypatch.setattr(harness.data.answers, "open_test_labels", refused)


def answering(source: str) -> str:
    return f"def load(device):\n    return lambda crops: {source}\n"


# 0 blue, 1 green, 2 red: the channel that is stronger
TRUE = "[int((2, 1, 0)[crop.mean(axis=(0, 1)).argmax()]) for crop in crops]"


def test_a_package_is_timed_and_scored_on_validation_crops(
    tinted: Path, the_rules: Rules, make_package: MakePackage
) -> None:
    slow, fast = make_package("slow", spinning(2000).replace("% 6", "% 3")), make_package("fast", answering(TRUE))
    with rehearsals(ROOT, the_rules, slow, tinted) as rehearse:
        result = rehearse(fast)
        again = rehearse(slow)
    assert result.f1.value == 1.0
    assert result.time_ratio.value < 0.5
    assert result.time_ratio.high is not None
    assert result.baseline_f1 < 1.0
    assert not result.baseline_f1_frozen
    assert 0.8 < again.time_ratio.value < 1.25


def test_what_fails_is_raised_and_the_next_one_is_judged(
    tinted: Path, the_rules: Rules, make_package: MakePackage
) -> None:
    base = make_package("base", answering("[0 for crop in crops]"))
    broken = make_package("broken", answering("1 / 0"))
    with rehearsals(ROOT, the_rules, base, tinted) as rehearse:
        with pytest.raises(SubmissionError, match="ZeroDivisionError"):
            rehearse(broken)
        assert rehearse(base).time_ratio.value > 0


def test_crops_are_chosen_evenly_from_all_classes(tinted: Path) -> None:
    labels = open_store(tinted).training_labels("val").labels
    exam = open_rehearsal(tinted, most_crops=9)
    assert exam.labels.size == len(exam.pixels.test) == 9
    assert sorted(set(exam.labels.tolist())) == sorted(set(labels.tolist())) == [0, 1, 2]
    assert open_rehearsal(tinted, most_crops=1000).labels.tolist() == labels.tolist()


def test_a_set_without_validation_crops_is_one_line(tinted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tinted)
    monkeypatch.setattr(type(store), "crops", lambda *_: ())
    with pytest.raises(DataError, match="expected validation crops to judge on, got none"):
        open_rehearsal(tinted, 10)
