"""The verdict on a record, and what is said of a run without a result: safe to print whatever a record says."""

import msgspec
import pytest

from harness.record import Audit, Failure
from harness.report.clean import columns
from harness.report.verdict import failed_text, verdict
from tests.builders import make_field, make_record, make_result, make_rules
from tests.report.making import board_of

RULES = make_rules()
_EVIL = "\x1b[31mred\u202e\n" + "x" * 5_000


def test_a_verdict_has_its_rank_among_the_others() -> None:
    records = make_field([0.6, 0.7, 0.7], sd=0.02, seed=1)
    board = board_of(*records)
    said = [verdict(record, RULES, board) for record in records]
    assert said[0].endswith("; rank 1 of 3, target met")
    assert said[1].endswith("; rank 2 of 3 (shared), target met")
    assert max(columns(line) for text in said for line in text.splitlines()) <= 80


def test_a_record_of_another_harness_with_hostile_texts_has_a_verdict_too() -> None:
    audit = Audit(1.0, 0, 1, _EVIL, 0.1, 0.9, _EVIL)
    record = make_record(_EVIL, result=make_result(flags=("unheard_of", _EVIL), summary=_EVIL, audit=audit))
    said = verdict(record, RULES, board_of(record))
    assert "unheard_of: unknown" in said
    assert not {"\x1b", "\u202e"} & set(said)
    assert len(said) < 4_000


@pytest.mark.parametrize(("log", "lines"), [(None, 1), ("one\n\x1b[2Jtwo", 3), ("line\n" * 500, 41)])
def test_a_failed_run_says_whose_fault_and_the_end_of_its_log(log: str | None, lines: int) -> None:
    failure = Failure(owner="submission", kind="raised", message="ValueError: no", log=log)
    said = failed_text(failure)
    assert said.splitlines()[0] == "submission: raised: ValueError: no"
    assert len(said.splitlines()) == lines
    assert "\x1b" not in said
    assert failed_text(msgspec.structs.replace(failure, message=_EVIL)).count("\n") == lines - 1
