"""A provider's codes as a table to be read aloud: what each of them means in our words.

CODES = {
    "21211": refused(FailureReason.address_invalid, "it is no number"),
    "20003": misconfigured("it does not accept the account or its token"),
    "20429": later("it had too many requests"),
}
error = CODES[code].error("api.example.com", code)
"""

from __future__ import annotations

from dataclasses import dataclass

from channels.errors import FailureReason, Misconfigured, Rejected, SendError, Unavailable, Uncertain


@dataclass(frozen=True)
class Meaning:
    """What a code means, and the half of a sentence that says so: `api.example.com refused it: <words> (21211).`"""

    kind: type[SendError]
    words: str
    reason: FailureReason = FailureReason.unknown  # of Rejected
    wait: float | None = None  # seconds, of Unavailable, where the service does not say itself
    renews: bool = False  # a new access token may help, once

    def error(self, place: str, code: str, *, retry_after: float | None = None) -> SendError:
        """The error for one message. It quotes the code and nothing else that the service said."""
        sentence = f"{place} refused it: {self.words} ({code})."
        if self.kind is Rejected:
            return Rejected(sentence, reason=self.reason, code=code)
        if self.kind is Misconfigured:
            return Misconfigured(sentence, code=code)
        wait = self.wait if retry_after is None else retry_after
        if self.kind is Uncertain:
            return Uncertain(f"{place} failed over it: {self.words} ({code}).", retry_after=wait, code=code)
        return Unavailable(sentence, retry_after=wait, code=code)


def refused(reason: FailureReason, words: str) -> Meaning:
    """For good: the same message will be refused again."""
    return Meaning(Rejected, words, reason)


def later(words: str, wait: float | None = None) -> Meaning:
    """For now: proved not accepted, and a matter of time."""
    return Meaning(Unavailable, words, wait=wait)


def misconfigured(words: str) -> Meaning:
    """By our own fault: the lane stops until a person has mended it."""
    return Meaning(Misconfigured, words)


def spent(words: str = "it does not accept the access token any more") -> Meaning:
    """The access token is not accepted: with a new one it is tried once more, and then it is our own fault."""
    return Meaning(Misconfigured, words, renews=True)


def unsure(words: str) -> Meaning:
    """It may have been accepted."""
    return Meaning(Uncertain, words)
