"""What a submission says: cleaned before anybody reads it, and after the first test crop of an official run nothing."""

import msgspec
import pytest

from harness.derive import derive
from harness.judge.evaluate import Outcome
from harness.report.clean import clean
from tests.cells import Cell
from tests.cheats.court import Court

# It counts its crops: warm-up and settling crops come first, so a secret of a test crop can only be told later.
TELLTALE = """
import sys
class Label4OfCrop17(Exception):
    pass

count = 0
def load(device):
    {at_load}
    def predict(crops):
        global count
        count += 1
        if count > 12:
            print("secret on stdout", file=sys.stderr, flush=True)
            {tell}
        return [0]
    return predict
"""
SECRETS = ("secret", "Secret", "424", "Label4", "exit code 42")
TELLS = {
    "an exception's text": "raise ValueError('secret 4')",
    "an exception's class": "raise Label4OfCrop17('secret')",
    "a class that looks like Python's": "raise type('Secret', (ValueError,), {})('secret')",
    "a label out of range": "return [424242]",
    "a number of labels": "return [0] * 424",
    "the type of an answer": "return type('Secret424', (), {})()",
    "its exit code": "import os; os._exit(42)",
}


def public(outcome: Outcome) -> str:
    """What the record and the error's line say of the failure."""
    return msgspec.json.encode(outcome.record.failure).decode() + str(outcome.error)


@pytest.mark.parametrize("name", TELLS)
def test_an_official_run_tells_its_author_a_reason_and_no_more(name: str, court: Court) -> None:
    source = TELLTALE.format(tell=TELLS[name], at_load="pass")
    outcome = court.judge(source, official=True)
    assert outcome.error is not None
    told = public(outcome)
    assert not any(secret in told for secret in SECRETS), told
    assert "an official run" in told
    assert "secret on stdout" in getattr(outcome.error, "log", ""), "the organiser has its output"
    control = public(court.judge(source))
    assert any(secret in control for secret in SECRETS), "a local run tells it"


def test_before_the_first_test_crop_an_official_run_helps(court: Court) -> None:
    outcome = court.judge(TELLTALE.format(tell="pass", at_load="raise ValueError('no file weights')"), official=True)
    assert "load raised ValueError: no file weights" in public(outcome)


def test_an_official_result_is_of_the_public_half(court: Court) -> None:
    """A package that is right on the public half alone: what is shown must be the public score."""
    known = "def load(device):\n    return lambda crops: [int(c[0, 0, 0]) if c[0, 0, 1] < 128 else 0 for c in crops]\n"
    outcome = court.judge(known, official=True, passes=2)
    assert outcome.error is None, outcome.error
    record, raw = outcome.record, outcome.raw
    assert (record.official, record.half) == (True, "public")
    assert record.result is not None
    assert raw is not None
    assert record.result.f1.value == pytest.approx(1.0)
    assert derive(raw, court.rules, "private").f1.value < 0.2
    assert derive(raw, court.rules).f1.value < 0.9
    assert "public_private_gap" in record.result.flags
    control = court.judge(known).record
    assert control.half == "all"


ESCAPES = "\\x1b[2J\\x1b[31mred\\u202e\\u0007\\r\\nsecond line\\x9b5m"


@pytest.mark.parametrize(
    "text", [ESCAPES, "x" * 100_000, "\\ud800", "", "\\x00\\x00", "| <script>alert(1)</script> =cmd()"]
)
def test_an_exceptions_text_does_nothing_to_a_terminal(text: str, strong: Cell) -> None:
    said = strong.tried(f"raise ValueError('{text}')").split("\n", 1)[0]
    shown = clean(said, 2000)
    assert shown.isprintable()
    assert len(shown) <= 2000
    assert "load raised ValueError" in shown


def test_a_log_keeps_its_beginning_and_its_end(strong: Cell) -> None:
    said = strong.tried("import sys\nfor n in range(3000):\n    print('line', n, file=sys.stderr)\nsys.stderr.flush()")
    assert "line 0" in said
    assert "bytes left out" in said
    assert "nothing stopped it" in said
