"""The contract of a provider as test suites. They ship, so that a provider from elsewhere can be held to it too.

    class TestPigeon(ProviderContract):
        @pytest.fixture
        def provider(self, tmp_path): return PigeonProvider("sms", {"loft": tmp_path}, {})

        @pytest.fixture
        def accepted(self, tmp_path): return lambda: [Accepted(key) for key in read_the_loft(tmp_path)]

`ProviderContract` is for every provider; `ApiContract` is the same and more for one that calls an API over HTTP, played
by a `Double`; `ReceiptContract` is for what a service tells afterwards. A missing ability skips its tests aloud.
Needs pytest and nothing else; tests drive one event loop each through `run`, in which a server may live as well.
"""

from __future__ import annotations

from channels.testing.api import ApiContract
from channels.testing.contract import (
    Accepted,
    ProviderContract,
    ProviderWorld,
    Run,
    answers,
    content_for,
    everything,
    outgoing,
)
from channels.testing.double import Double, Request, Response
from channels.testing.receipts import ReceiptContract

__all__ = [
    "Accepted",
    "ApiContract",
    "Double",
    "ProviderContract",
    "ProviderWorld",
    "ReceiptContract",
    "Request",
    "Response",
    "Run",
    "answers",
    "content_for",
    "everything",
    "outgoing",
]
