"""Why a message did not leave: the family of errors of the channels. An error's class decides what happens next.

    ChannelError
    ├── SendError           one message, or a whole batch, was not proved to be accepted
    │   ├── Rejected        proved not accepted, for good         -> the next wish, or the end; `reason` says why
    │   ├── Unavailable     proved not accepted, for now          -> tried again, not before `retry_after` seconds
    │   ├── Misconfigured   proved not accepted, by our own fault -> the lane stops until a person has mended it
    │   └── Uncertain       may have been accepted                -> never sent again on its own
    └── InvalidReceipt      a report that cannot be trusted: unsigned, altered, stale

`str(error)` is a whole sentence for a person. It holds no address, no text of a message and no secret; `code` is the
provider's own word for what happened, "550 5.1.1" for instance.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from channels.told import keepable


class Word(StrEnum):
    """One word of a closed vocabulary; `meaning` is the sentence that defines it."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        word = str.__new__(cls, value)
        word._value_ = value
        word.meaning = meaning
        return word


class FailureReason(Word):
    """Why a provider will not take a message, or could not deliver it, in our words. Each carries its sentence."""

    address_invalid = (
        "address_invalid",
        "What stands in the place of an address cannot be one on this channel.",
    )
    address_unknown = (
        "address_unknown",
        "The address is well formed, but nobody lives there, or nobody does any more.",
    )
    address_full = (
        "address_full",
        "The address exists and takes nothing at the moment: a full mailbox, a phone switched off for days.",
    )
    opted_out = (
        "opted_out",
        "The person, or the provider on their behalf, has asked to receive nothing more at this address.",
    )
    spam = (
        "spam",
        "The provider took the text for spam.",
    )
    content = (
        "content",
        "The message cannot be sent as it is: too large, without a text, or more than this provider can express.",
    )
    sender = (
        "sender",
        "The provider does not let us write as this sender, signature or template.",
    )
    policy = (
        "policy",
        "A rule of the provider forbids it; neither the address nor the text is at fault as far as we are told.",
    )
    expired = (
        "expired",
        "The provider tried for as long as it does and gave up.",
    )
    unknown = (
        "unknown",
        "The provider refused in words we have no word for; its own answer is kept beside.",
    )

    @property
    def ends_address(self) -> bool:
        """True when nothing should be sent to this address on this channel again."""
        return self in _ENDS_ADDRESS


_ENDS_ADDRESS = frozenset({FailureReason.address_invalid, FailureReason.address_unknown, FailureReason.opted_out})


class ChannelError(Exception):
    """Something a channel can explain."""

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(keepable(sentence))
        self.code = code if code is None else keepable(code)


class SendError(ChannelError):
    """A message was not proved to be accepted. Providers raise or return one of the four classes below."""


class Rejected(SendError):
    """Proved not accepted, for good: the same message will be refused again."""

    def __init__(
        self, sentence: str, *, reason: FailureReason = FailureReason.unknown, code: str | None = None
    ) -> None:
        super().__init__(sentence, code=code)
        self.reason = reason


class Unavailable(SendError):
    """Proved not accepted, for now: the same message may well be accepted later."""

    def __init__(self, sentence: str, *, retry_after: float | None = None, code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.retry_after = retry_after  # seconds the provider asked us to stay away, None when it did not say


class Misconfigured(SendError):
    """Proved not accepted, by our own fault: a password, a certificate, a name. The sentence says what to change."""


class Uncertain(SendError):
    """May have been accepted: the answer was lost, or proves nothing, after the message had been handed over."""

    def __init__(self, sentence: str, *, retry_after: float | None = None, code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.retry_after = retry_after  # as in Unavailable: this message is not tried again, others wait so long


class InvalidReceipt(ChannelError):
    """A report about a message that cannot be trusted. Nothing changes because of it."""
