"""Bodies are kept compressed: what goes in comes out, however large."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from engine.store.messages import pack, unpack


@given(st.binary(max_size=3_000), st.sampled_from([1, 7, 40]))
def test_what_is_kept_comes_out_as_it_went_in(content: bytes, times: int) -> None:
    assert unpack(pack(content * times)) == content * times


def test_a_body_that_was_packed_by_zlib_can_be_read() -> None:
    assert unpack(zlib.compress(b"said long ago" * 100, 1)) == b"said long ago" * 100
