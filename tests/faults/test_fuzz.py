"""Bytes that nobody meant: every reader ends with a value or with one clear error, never with a traceback or a hang."""

import contextlib
import json
import struct
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import decisions, record, rules, submission
from harness.data.annotations import read_annotations
from harness.errors import HarnessError
from harness.judge.channel import Channel, Ended, Late, Violation
from harness.judge.clock import RealClock
from harness.judge.zeroed import _onnx, _safetensors
from harness.report.clean import clean
from harness.wire import MESSAGE_BYTES, Kind, Message, WireError, pack, unpack
from tests.builders import make_record
from tests.conftest import ROOT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
RECORD = json.loads(record.encode(record.seal(make_record("net"))))
RULES = (ROOT / "baselines" / "rules.toml").read_bytes()


def one_line(error: HarnessError) -> None:
    assert error.message
    assert "\n" not in error.message.strip()


@given(st.binary(max_size=300))
def test_any_bytes_as_a_manifest_rules_decisions_or_a_record(text: bytes) -> None:
    for read in (submission.parse, rules.parse, decisions.parse, record.decode):
        try:
            read(text, "file")
        except HarnessError as error:
            one_line(error)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 30_000,
        "batch = " + "9" * 5000,
        'name = "x"\nrequires = ["torch; os_name ~= \'abc\'"]',
        "name = \"x\"\nrequires = [\"torch; 'a' in 'b'\"]",
        'name = "x"\nname = "y"',
        'name = "x"\n[name.y]\nz = 1979-05-27T07:32:00Z',
    ],
    ids=["nested", "large", "comparison", "environment", "twice", "dotted"],
)
def test_a_manifest_made_to_hurt_a_reader(text: str) -> None:
    with pytest.raises(HarnessError) as caught:
        submission.parse(text.encode(), "submission.toml")
    one_line(caught.value)


@given(st.data())
def test_a_record_with_one_value_changed_is_refused_or_is_the_same(data: st.DataObject) -> None:
    changed = json.loads(json.dumps(RECORD))
    at = changed
    while True:
        key = data.draw(st.sampled_from(sorted(at)))
        if not (isinstance(at[key], dict) and at[key] and data.draw(st.booleans())):
            break
        at = at[key]
    before = at[key]
    at[key] = data.draw(JSON)
    try:
        read = record.decode(json.dumps(changed).encode(), "record.json")
    except HarnessError as error:
        one_line(error)
    else:
        assert msgspec.to_builtins(read) == msgspec.to_builtins(record.decode(json.dumps(RECORD).encode(), "r")), before


@given(st.binary(max_size=40), st.integers(0, len(RULES)))
def test_rules_with_bytes_put_in_are_read_or_refused(extra: bytes, at: int) -> None:
    try:
        rules.parse(RULES[:at] + extra + RULES[at:], "rules.toml")
    except HarnessError as error:
        one_line(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(content=JSON, raw=st.binary(max_size=60), as_json=st.booleans())
def test_any_file_as_annotations(content: object, raw: bytes, as_json: bool, tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    body = {"images": content, "annotations": content, "categories": content}
    path.write_bytes(json.dumps(body).encode() if as_json else raw)
    try:
        read_annotations(path, None)
    except HarnessError as error:
        one_line(error)


@given(st.binary(max_size=2 * MESSAGE_BYTES))
def test_any_bytes_as_a_message(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert pack(unpack(data)) == data


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
)
def test_any_numbers_in_a_message(kind: int, nonce: int, size: int, detail: int) -> None:
    try:
        data = pack(Message(Kind(kind), nonce, size, detail))
    except ValueError:
        return
    assert unpack(data) == (kind, nonce, size, detail)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=64), min_size=1, max_size=4))
def test_a_worker_that_sends_anything_is_found_out(messages: list[bytes]) -> None:
    """The judge's end against a peer that answers with any bytes."""
    channel = Channel(1 << 16, RealClock(), lambda: None)
    peer = channel._theirs.dup()
    channel.opened()
    channel.limit(0.2)

    def answer() -> None:
        for message in messages:
            with contextlib.suppress(OSError):
                peer.send(message)
        peer.close()

    sender = threading.Thread(target=answer)
    sender.start()
    with pytest.raises((Ended, Late, Violation)):
        channel.answer(channel.request(Kind.LOAD))
    sender.join()
    channel.close()


@given(st.binary(max_size=200))
def test_any_bytes_as_weights(content: bytes) -> None:
    for read in (lambda data: _onnx(data, iter(range(10_000))), _safetensors):
        with contextlib.suppress(ValueError, IndexError, struct.error):
            assert len(read(bytearray(content))) == len(content)


@given(st.text(max_size=80))
def test_any_text_of_a_worker_is_one_printable_line(text: str) -> None:
    assert clean(text).isprintable()
    assert len(clean(text)) <= 200
