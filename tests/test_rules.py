"""Rules files: what is read, what is refused, what their digest covers."""

import json
from pathlib import Path

import msgspec
import pytest

from harness.errors import DataError
from harness.rules import Eligibility, Frozen, Rules, parse
from tests.builders import make_rules

COMMITTED = Path(__file__).parents[1] / "baselines" / "rules.toml"


def written(rules: Rules) -> bytes:
    """The rules as TOML; msgspec writes none without another package, and JSON's scalars are TOML's."""
    fields = msgspec.to_builtins(rules)
    boards, sections = fields.pop("board"), {k: fields.pop(k) for k, v in list(fields.items()) if isinstance(v, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    for header, section in [*((f"[{k}]", v) for k, v in sections.items()), *(("[[board]]", b) for b in boards)]:
        lines += [header, *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(lines).encode()


def test_a_rules_file_is_read_back_as_it_was_written() -> None:
    rules = make_rules(board=(Frozen(data="d", baseline="b", baseline_f1=0.8),))
    assert parse(written(rules), "rules.toml") == rules


def test_the_committed_rules_are_valid_and_hold_the_competitions_formula() -> None:
    rules = parse(COMMITTED.read_bytes(), str(COMMITTED))
    assert (rules.score.time_weight, rules.score.f1_slope) == (0.5, 20.0)
    assert (rules.published.baseline_f1, rules.published.baseline_time_s) == (0.7, 43.16)
    assert rules.target.time_ratio == pytest.approx((60.0 - 30.0) / (67.6 - 30.0), abs=0.005)
    assert rules.isolation == "bwrap"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"time_weight", b"time_wieght", "time_wieght"),
        (b"time_weight = 0.5", b'time_weight = "0.5"', r"score\.time_weight"),
        (b'isolation = "bwrap"', b'isolation = "docker"', "isolation"),
        (b"least_passes = 3", b"least_passes = 3.5", r"protocol\.least_passes"),
        (b"time_ratio = 0.8", b"time_ratio = nan", "time_ratio"),
        (b"load_s = 120.0", b"load_s = inf", "load_s"),
        (b"f1_drop = 0.1", b"f1_drop = -0.1", "f1_drop"),
        (b"[target]", b"[target", "expected ']'"),
        (b"answer_s = 10.0\n", b"", "answer_s"),
    ],
)
def test_a_wrong_key_or_value_is_named(old: bytes, new: bytes, said: str) -> None:
    text = written(make_rules())
    assert old in text
    with pytest.raises(DataError, match=f"rules.toml.*{said}"):
        parse(text.replace(old, new, 1), "rules.toml")


def test_opening_a_board_leaves_the_digest_alone_and_any_other_change_does_not() -> None:
    rules = make_rules()
    opened = msgspec.structs.replace(rules, board=(Frozen(data="d", baseline="b", baseline_f1=0.8),))
    stricter = msgspec.structs.replace(rules, eligible=Eligibility(f1_drop=0.05, f1_share=0.9))
    assert opened.digest() == rules.digest()
    assert stricter.digest() != rules.digest()


def test_a_frozen_f1_belongs_to_its_data_and_baseline() -> None:
    rules = make_rules(board=(Frozen(data="d", baseline="b", baseline_f1=0.8),))
    assert rules.frozen_f1("d", "b") == 0.8
    assert rules.frozen_f1("d", "other") is None
    assert rules.frozen_f1("other", "b") is None


@pytest.mark.parametrize(("baseline", "floor"), [(0.9, 0.81), (0.7, 0.63), (0.4, 0.36), (1.0, 0.9), (0.0, 0.0)])
def test_the_floor_is_the_higher_of_a_drop_and_a_share(baseline: float, floor: float) -> None:
    assert make_rules().least_f1(baseline) == pytest.approx(floor)
