"""Packages that are not what they seem, each with one that is: the audit's flag is raised for the first alone."""

import struct

import msgspec
import numpy as np
import pytest

from harness.derive import derive
from harness.judge.zeroed import _onnx, _safetensors
from tests.builders import make_raw, make_rules
from tests.cheats.court import Court
from tests.conftest import PREDICT

SPIN = """
from time import perf_counter_ns
def spin(us):
    end = perf_counter_ns() + us * 1000
    while perf_counter_ns() < end:
        pass
"""
KEEPS = (
    SPIN
    + """
kept = {}
def load(device):
    def predict(crops):
        key = crops[0].tobytes()
        if key not in kept:
            spin(2000)
            kept[key] = int(crops[0][0, 0, 0]) % 6
        return [kept[key]] * len(crops)
    return predict
"""
)
BATCHES = "def load(device):\n    return lambda crops: [int(c[0, 0, 0]) % 6 if len(crops) == 1 else 0 for c in crops]\n"
ONE_ONLY = "def load(device):\n    return lambda crops: [int(crops[0][0, 0, 0]) % 6]\n"


def flags(court: Court, source: str, **more: object) -> tuple[str, ...]:
    outcome = court.judge(source, audit=True, **more)  # type: ignore[arg-type]
    assert outcome.error is None, outcome.error
    assert outcome.record.result is not None
    return outcome.record.result.flags


def test_answers_that_are_kept_for_a_crop_that_comes_again(court: Court) -> None:
    assert "remembers_crops" in flags(court, KEEPS)
    fresh = KEEPS.replace("if key not in kept", "if True")
    assert any("remembers_crops" not in flags(court, fresh) for _ in range(3)), "a busy machine may look like it once"


@pytest.mark.parametrize("source", [BATCHES, ONE_ONLY])
def test_answers_that_are_others_in_a_batch(source: str, court: Court) -> None:
    assert "differs_in_batch" in flags(court, source)


def test_an_honest_package_has_no_flag(court: Court) -> None:
    of_audits = {"remembers_crops", "differs_in_batch", "scores_without_weights", "public_private_gap"}
    assert any(not of_audits & set(flags(court, PREDICT)) for _ in range(3)), "a busy machine may look like it once"


def a_safetensors_file(values: "np.typing.NDArray[np.float32]") -> bytes:
    head = f'{{"w":{{"dtype":"F32","shape":[{values.size}],"data_offsets":[0,{values.nbytes}]}}}}'.encode()
    return struct.pack("<Q", len(head)) + head + values.tobytes()


WITH_WEIGHTS = """
import numpy as np
from pathlib import Path
def load(device):
    raw = Path("model.safetensors").read_bytes()
    weights = np.frombuffer(raw[-24:], np.float32)
    return lambda crops: [int(c[0, 0, 0] * weights[0]) % 6 for c in crops]
"""


def test_answers_that_come_without_the_weights(court: Court) -> None:
    weights = a_safetensors_file(np.ones(6, np.float32))
    assert "scores_without_weights" in flags(court, PREDICT, weights=weights)
    outcome = court.judge(WITH_WEIGHTS, audit=True, weights=weights)
    assert outcome.record.result is not None
    audit = outcome.record.result.audit
    assert audit is not None
    assert audit.weighed_f1 == 1.0
    assert audit.zeroed_f1 is not None
    assert audit.zeroed_f1 < 0.2
    assert audit.zeroed_note == "zeroed: model.safetensors"
    assert "scores_without_weights" not in outcome.record.result.flags


def test_a_package_that_fails_without_its_weights_is_no_cheat(court: Court) -> None:
    fails = WITH_WEIGHTS.replace("    return lambda", "    assert weights.any(), 'no weights'\n    return lambda")
    outcome = court.judge(fails, audit=True, weights=a_safetensors_file(np.ones(6, np.float32)))
    assert outcome.record.result is not None
    assert outcome.record.result.audit is not None
    assert outcome.record.result.audit.zeroed_note == "zeroed: model.safetensors; fails without them (load_raised)"
    assert "scores_without_weights" not in outcome.record.result.flags


def test_weights_of_no_format_that_can_be_zeroed_are_not_applicable(court: Court) -> None:
    outcome = court.judge(PREDICT, audit=True)
    assert outcome.record.result is not None
    assert outcome.record.result.audit is not None
    assert outcome.record.result.audit.zeroed_note == "not applicable: no safetensors or ONNX weights"


def test_a_time_that_costs_nothing_is_flagged() -> None:
    """Times at the floor, as a package would have that answered before it was asked."""
    rules = make_rules()
    raw = make_raw(passes=3)
    floor = max(raw.floor[0].elapsed_ns)
    instant = [msgspec.structs.replace(one, submission_ns=(floor,) * len(one.crops)) for one in raw.passes]
    assert "faster_than_null" in derive(msgspec.structs.replace(raw, passes=tuple(instant)), rules).flags
    assert "faster_than_null" not in derive(raw, rules).flags


def test_answers_that_change_between_passes(court: Court) -> None:
    fickle = "import os\ndef load(device):\n    return lambda crops: [os.urandom(1)[0] % 6 for _ in crops]\n"
    outcome = court.judge(fickle, passes=2)
    assert outcome.record.result is not None
    assert "answers_differ" in outcome.record.result.flags
    steady = court.judge(PREDICT, passes=2).record.result
    assert steady is not None
    assert "answers_differ" not in steady.flags


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def test_onnx_weights_are_zeroed_where_they_lie_and_shapes_are_not() -> None:
    """ModelProto: graph 7; GraphProto: node 1, initializer 5; TensorProto: data_type 2, raw_data 9."""
    floats = bytes([2 << 3, 1]) + field(9, np.ones(3, np.float32).tobytes())
    shape = bytes([2 << 3, 7]) + field(9, np.ones(1, np.int64).tobytes())
    constant = field(1, field(5, field(5, bytes([2 << 3, 1]) + field(4, np.ones(2, np.float32).tobytes()))))
    model = bytearray(field(7, field(5, floats) + field(5, shape) + constant))
    size, before = len(model), bytes(model)
    after = bytes(_onnx(model, iter(range(1000))))
    assert len(after) == size
    assert before.count(np.float32(1).tobytes()) == 5
    assert after.count(np.float32(1).tobytes()) == 0
    assert np.ones(1, np.int64).tobytes() in after


def test_onnx_weights_of_small_types_are_zeroed_and_those_outside_of_the_file_are_no_weights_of_it() -> None:
    halves = bytes([2 << 3, 10]) + field(5, b"\x01\x02\x03")  # float16 as int32_data
    model = bytearray(field(7, field(5, halves)))
    assert b"\x01\x02\x03" in model
    assert b"\x01\x02\x03" not in bytes(_onnx(model, iter(range(1000))))
    outside = bytes([2 << 3, 1]) + field(13, b"location") + bytes([14 << 3, 1])
    with pytest.raises(ValueError, match="in the file itself"):
        _onnx(bytearray(field(7, field(5, outside))), iter(range(1000)))
    zero = bytes([2 << 3, 1]) + field(9, bytes(12))
    with pytest.raises(ValueError, match="expected tensors"):  # nothing was taken away
        _onnx(bytearray(field(7, field(5, zero))), iter(range(1000)))


def test_a_folder_of_a_weights_name_is_no_weights(court: Court) -> None:
    source = "import os\nassert os.path.isdir('w.onnx')\n" + PREDICT
    outcome = court.judge(source, audit=True, folder="w.onnx")
    assert outcome.error is None, outcome.error


@pytest.mark.parametrize("content", [b"", b"\x3a", b"\x3a\xff", b"\x3f", b"\x3a\x05abc", bytes(50), b"\xff" * 50])
def test_what_is_no_onnx_file_is_said_not_to_be(content: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        _onnx(bytearray(content), iter(range(1000)))


def test_a_header_longer_than_its_file_is_no_safetensors() -> None:
    with pytest.raises(ValueError, match="header"):
        _safetensors(bytearray(struct.pack("<Q", 2**63) + b"{}"))
