"""Bodies are kept compressed: what goes in comes out, however large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.messages import pack, unpack


@given(st.binary(max_size=3_000), st.sampled_from([1, 7, 40]))
def test_what_is_kept_comes_out_as_it_went_in(content: bytes, times: int) -> None:
    assert unpack(pack(content * times)) == content * times


@given(st.binary(max_size=300), st.integers(0, 299))
def test_what_is_cut_short_is_no_more_than_a_wrong_value(content: bytes, at: int) -> None:
    packed = pack(content)
    with pytest.raises(ValueError, match="damaged"):
        unpack(packed[: at % len(packed)])


@given(st.binary(min_size=1, max_size=300), st.integers(0, 399), st.integers(1, 255))
def test_a_byte_that_was_changed_is_no_more_than_a_wrong_value(content: bytes, at: int, by: int) -> None:
    damaged = bytearray(pack(content))
    damaged[at % len(damaged)] ^= by
    with pytest.raises(ValueError, match="damaged"):
        unpack(bytes(damaged))


def test_bytes_that_were_never_packed_are_no_more_than_a_wrong_value() -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(b"never packed")
