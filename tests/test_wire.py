"""The bytes between judge and worker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.wire import MESSAGE_BYTES, PIXELS_AT, Kind, Message, WireError, input_bytes, pack, place, unpack

numbers = st.integers(-(2**63), 2**63 - 1)
messages = st.builds(Message, st.sampled_from(Kind), st.integers(0, 2**64 - 1), numbers, numbers)
sizes = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=20)


@given(messages)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    data = pack(message)
    assert len(data) == MESSAGE_BYTES
    assert unpack(data) == message


@given(st.binary(max_size=100))
def test_other_bytes_are_no_message(data: bytes) -> None:
    if not data.startswith(b"HRN1"):
        with pytest.raises(WireError):
            unpack(data)


@pytest.mark.parametrize("kind", [0, 7, 2**32 - 1])
def test_an_unknown_kind_is_refused(kind: int) -> None:
    data = bytearray(pack(Message(Kind.READY, 0)))
    data[4:8] = kind.to_bytes(4, "little")
    with pytest.raises(WireError):
        unpack(bytes(data))


@given(sizes)
def test_crops_lie_apart_on_64_byte_borders_within_the_buffer(crops: list[tuple[int, int]]) -> None:
    offsets = place(crops)
    ends = [at + h * w * 3 for at, (h, w) in zip(offsets, crops, strict=True)]
    assert offsets[0] == PIXELS_AT
    assert all(at % 64 == 0 for at in offsets)
    assert all(end <= after for end, after in zip(ends, offsets[1:], strict=False))
    assert ends[-1] <= input_bytes(crops)
