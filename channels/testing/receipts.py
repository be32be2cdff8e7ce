"""The contract of what a service tells about messages afterwards: believed when it is genuine, and only then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from channels.contract import Callback, Heard, Provider, Receipt, ReceiptType
from channels.errors import InvalidReceipt
from channels.testing.contract import ProviderWorld, Run

MOST = 10 * 1024 * 1024  # bytes of a body that a stranger may send
PATIENCE = 3.0  # seconds of work that one request may cost
HOSTILE: Mapping[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a number": b"17",
    "a list of lists": b"[[[[]]]]",
    "a list of numbers": b"[1, 2, 3]",
    "an object of nothing": b"{}",
    "objects of the wrong kind": b'[{"event": {}, "MessageSid": [], "mail": 1, "phone_number": null}]',
    "no UTF-8": b'[{"event": "\xff\xfe"}]',
    "depths": b"[" * 100_000,
    "a page": b"<html><body>hello</body></html>",
    "an entity that grows": (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
        b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><xml><Event>&c;</Event></xml>'
    ),
    "a file of ours": (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Event>&a;</Event></xml>'
    ),
    "a great many things": b"[" + b'{"a":1},' * 1_000_000 + b"{}]",
    "one great thing": b'{"a":"' + b"x" * (MOST - 10) + b'"}',
}


class ReceiptContract(ProviderWorld):
    """Every promise of `Provider.receipts`."""

    # must, besides `provider`

    @pytest.fixture
    def genuine(self) -> Sequence[Callback]:
        """Requests as the service makes them, each about something else."""
        raise NotImplementedError("override the fixture `genuine`")

    @pytest.fixture
    def sign(self) -> Callable[[bytes], Callback]:
        """A request of the service with this body, whatever it holds, that is genuine."""
        raise NotImplementedError("override the fixture `sign`")

    @pytest.fixture
    def unknown_words(self) -> Callback:
        """A genuine request about something that happens to a message, in a word nobody has heard of."""
        raise NotImplementedError("override the fixture `unknown_words`")

    # may

    @pytest.fixture
    def forged(self, genuine: Sequence[Callback]) -> Sequence[Callback]:
        """Requests that only look genuine: altered, unsigned, of another secret. Stale ones, where they have a time."""
        found = []
        for one in genuine:
            found.append(replace(one, body=one.body + b" "))
            found.append(replace(one, headers={}, url=one.url.partition("?")[0]))
        return found

    # the promises

    def test_what_the_service_says_is_understood(
        self, run: Run, provider: Provider, genuine: Sequence[Callback]
    ) -> None:
        assert provider.features.receipts
        for callback in genuine:
            heard = run(provider.receipts(callback))
            assert 200 <= heard.status < 300
            assert heard.receipts
            for receipt in heard.receipts:
                assert receipt.event_id
                assert receipt.at.tzinfo is not None
                assert receipt.type is not ReceiptType.unknown
                assert (receipt.reason is not None) == (receipt.type is ReceiptType.bounced)

    def test_different_reports_have_different_names(
        self, run: Run, provider: Provider, genuine: Sequence[Callback]
    ) -> None:
        names = [receipt.event_id for one in genuine for receipt in run(provider.receipts(one)).receipts]
        assert len(names) == len(set(names))

    def test_a_repeat_says_the_same_under_the_same_name(
        self, run: Run, provider: Provider, genuine: Sequence[Callback]
    ) -> None:
        for callback in genuine:
            assert run(provider.receipts(callback)).receipts == run(provider.receipts(callback)).receipts

    def test_the_order_in_which_they_come_changes_nothing(
        self, run: Run, provider: Provider, genuine: Sequence[Callback]
    ) -> None:
        def heard(callbacks: Sequence[Callback]) -> set[tuple[str, ReceiptType]]:
            found: list[Receipt] = [one for each in callbacks for one in run(provider.receipts(each)).receipts]
            return {(one.event_id, one.type) for one in found}

        assert heard(list(reversed(genuine))) == heard(genuine)

    def test_what_is_forged_is_refused_and_not_repeated(
        self, run: Run, provider: Provider, forged: Sequence[Callback], env: Mapping[str, str]
    ) -> None:
        assert forged
        for callback in forged:
            with pytest.raises(InvalidReceipt) as caught:
                run(provider.receipts(callback))
            assert not [secret for secret in env.values() if secret in str(caught.value)]

    def test_unknown_words_are_kept_as_they_came(self, run: Run, provider: Provider, unknown_words: Callback) -> None:
        receipts = run(provider.receipts(unknown_words)).receipts
        assert [one.type for one in receipts] == [ReceiptType.unknown]
        assert receipts[0].raw

    @pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
    def test_nothing_that_is_sent_makes_it_fall_over(
        self, run: Run, provider: Provider, sign: Callable[[bytes], Callback], body: bytes
    ) -> None:
        began = time.process_time()
        for callback in (sign(body), replace(sign(b"{}"), body=body)):
            heard = Heard()
            with suppress(InvalidReceipt):
                heard = run(provider.receipts(callback))
            assert all(one.type is ReceiptType.unknown for one in heard.receipts)
        assert time.process_time() - began < PATIENCE
