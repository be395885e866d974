"""The record: its schema, its digest, its keys."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.record import Record, canonical, decode, encode, seal
from tests.builders import make_failed, make_isolation, make_machine, make_package, make_record, make_run

SCHEMA = Path(__file__).parents[1] / "docs" / "record.schema.json"


def test_the_schema_in_docs_is_that_of_the_code() -> None:
    expected = json.dumps(msgspec.json.schema(Record), indent=1) + "\n"
    assert SCHEMA.read_text() == expected, (
        "write it again: python -c 'import json, msgspec; from harness.record import Record; "
        "print(json.dumps(msgspec.json.schema(Record), indent=1))' > docs/record.schema.json"
    )


@pytest.mark.parametrize(
    "record", [seal(make_run()[0]), make_failed(), make_failed(isolation=None)], ids=lambda r: r.status
)
def test_a_record_is_valid_under_the_schema(record: Record) -> None:
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(json.loads(encode(record)))


def test_the_schema_refuses_an_unknown_field() -> None:
    body = {**json.loads(encode(make_record())), "surprise": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(body, json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("record", [make_record(), make_failed(), make_run()[0]], ids=["ok", "failed", "derived"])
def test_a_sealed_record_is_read_back_as_it_was(record: Record) -> None:
    sealed = seal(record)
    assert decode(encode(sealed), "it") == sealed
    assert seal(sealed) == sealed


def test_a_record_with_a_changed_digit_is_refused() -> None:
    body = encode(make_record())
    changed = body.replace(b'"seed": 1', b'"seed": 2')
    assert changed != body
    with pytest.raises(DataError, match=r"r\.json: .*changed after the run"):
        decode(changed, "r.json")


@given(st.integers(0, 10_000), st.sampled_from(b"0123456789abcdef"))
def test_any_changed_character_is_refused_or_changes_nothing(place: int, character: int) -> None:
    record = make_record()
    body = bytearray(encode(record))
    body[place % len(body)] = character
    try:
        read = decode(bytes(body), "r.json")
    except DataError:
        return
    assert read == record


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"schema": 1}', b"\xff\xfe", b"[" * 100_000, b'{"a": "\xff"}'], ids=repr
)
def test_what_is_no_record_is_refused_in_one_line(text: bytes) -> None:
    with pytest.raises(DataError, match=r"r\.json: expected a record of schema 2") as caught:
        decode(text, "r.json")
    assert "\n" not in caught.value.message


def test_a_torn_record_is_refused_wherever_it_is_torn() -> None:
    body = encode(make_record()).rstrip()
    for end in range(0, len(body), 97):
        with pytest.raises(DataError):
            decode(body[:end], "r.json")


def test_a_record_of_a_later_schema_says_to_update() -> None:
    later = seal(msgspec.structs.replace(make_record(), schema=3))
    with pytest.raises(DataError, match="expected schema 2, got 3; update harness"):
        decode(encode(later), "r.json")


def test_the_digest_covers_everything_but_itself() -> None:
    record = make_record()
    assert canonical(record) == canonical(msgspec.structs.replace(record, digest="other"))
    assert seal(msgspec.structs.replace(record, seed=2)).digest != record.digest


@pytest.mark.parametrize(
    "change",
    [
        {"rules": "other"},
        {"scenario": "batch"},
        {"baseline": make_package("another")},
        {"isolation": make_isolation("landlock")},
        {"isolation": None},
        {"machine": make_machine(cpu="Other CPU")},
        {"machine": make_machine(threads=1)},
        {"machine": make_machine(device="cuda", gpu="H100", driver="550.1")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_records_that_differ_in_a_part_of_the_key_share_no_board(change: dict[str, Any]) -> None:
    assert make_record(**change).key() != make_record().key()


def test_the_machine_class_of_a_gpu_is_its_name_and_the_drivers_major_number() -> None:
    old, new = (make_machine(device="cuda", gpu="H100", driver=driver).name() for driver in ("550.1", "550.99"))
    assert old == new == "H100 driver 550"


def test_what_does_not_belong_to_the_key_leaves_the_board_alone() -> None:
    same = make_record("another", machine=make_machine(load_1min=3.0, kernel="6.2"), seed=9)
    assert same.key() == make_record().key()


@pytest.mark.parametrize(
    "changes",
    [{"log_ratios": ()}, {"log_ratios": (1e6,)}, {"drawn_f1": ()}, {"baseline_f1": 7.0}, {"degrees": 0}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_sealed_record_of_impossible_numbers_is_refused(changes: dict[str, object]) -> None:
    """Whoever writes a record can seal it; a board must not fall over it."""
    record = make_record()
    assert record.result is not None
    forged = seal(msgspec.structs.replace(record, result=msgspec.structs.replace(record.result, **changes)))
    with pytest.raises(DataError, match="numbers out of their range"):
        decode(encode(forged), "r.json")
