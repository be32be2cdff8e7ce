"""The inbox in the shop's own app or site: an entry in the box of one person, which the shop reads from us."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from datetime import UTC

import msgspec

from channels import plain
from channels.contract import Answer, Content, Features, Inbox, Outgoing, Provider, ProviderOptions, Sent
from channels.errors import FailureReason, Rejected, Unavailable, Uncertain
from channels.http import IN_FLIGHT, each

_UNSEEN = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # browsers skip some, and read on
_LINK = re.compile(r"(https?://[^/?#]|mailto:[^?]|tel:[0-9+*#]).*", re.IGNORECASE)
_IMAGE = re.compile(r"https?://[^/?#].*", re.IGNORECASE)


class InboxProvider(Provider):
    """Lays entries into what all workers share. Of one key only the first entry is kept, for good."""

    name = "inbox"
    channels = frozenset({"inbox"})
    features = Features(dedupe_by="key", dedupe_window=None, in_flight=IN_FLIGHT, receipts=True)  # by our own web

    def configure(self, options: ProviderOptions, env: object, home: object) -> None:
        pass  # there is nothing to choose

    def describe(self) -> str:
        return "boxes in our own database"

    def refusal(self, content: Content) -> Rejected | None:
        refused = super().refusal(content) or plain.flaw(content)
        if refused is not None:
            return refused
        assert isinstance(content, Inbox)
        if content.link is not None and not _safe(_LINK, content.link):
            return Rejected(
                "The link does not begin with https:, http:, mailto: or tel:.", reason=FailureReason.content
            )
        if content.image is not None and not _safe(_IMAGE, content.image):
            return Rejected("The image is no address of https: or http:.", reason=FailureReason.content)
        return None

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Answer]:
        return await each(batch, self._lay)

    async def _lay(self, outgoing: Outgoing) -> Answer:
        flaw = self.refusal(outgoing.content)
        if flaw is not None:
            return flaw
        assert isinstance(outgoing.content, Inbox)
        entry = _entry(outgoing.content, outgoing)
        try:
            async with asyncio.timeout(outgoing.timeout):
                await self.keep.post(outgoing.content.to, outgoing.key, entry, outgoing.created_at)
        except (ConnectionRefusedError, socket.gaierror):
            return Unavailable("What holds the boxes cannot be reached.")
        except TimeoutError:
            return Uncertain("The entry was not known to be in the box in time.")
        return Sent(outgoing.key)


def _safe(wanted: re.Pattern[str], address: str) -> bool:
    return _UNSEEN.search(address) is None and wanted.fullmatch(address) is not None


def _entry(content: Inbox, outgoing: Outgoing) -> bytes:
    """What stands in the box: the same bytes at every attempt."""
    at = outgoing.created_at.astimezone(UTC)
    shown = {"title": content.title, "text": content.text, "image": content.image, "link": content.link, "at": at}
    return msgspec.json.encode(shown)
