"""Bodies are kept compressed: what goes in comes out, however large."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.messages import pack, unpack


@given(st.binary(max_size=3_000), st.sampled_from([1, 7, 40]))
def test_what_is_kept_comes_out_as_it_went_in(content: bytes, times: int) -> None:
    assert unpack(pack(content * times)) == content * times


def test_a_body_that_was_packed_by_zlib_can_be_read() -> None:
    assert unpack(zlib.compress(b"said long ago" * 100, 1)) == b"said long ago" * 100


@given(st.binary(max_size=300), st.integers(0, 299))
def test_what_is_damaged_is_no_more_than_a_wrong_value(content: bytes, at: int) -> None:
    packed = pack(content)
    damaged = packed[: at % len(packed)]
    with pytest.raises(ValueError, match="damaged"):
        unpack(damaged)


def test_bytes_that_were_never_packed_are_no_more_than_a_wrong_value() -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(b"never packed")
