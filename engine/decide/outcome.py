"""What becomes of a Message: the states, and the one fold from appended deliveries to a state.

Deliveries are never updated. Each kind has a weight; the state of a Message is its heaviest delivery. Proof that a
provider took it outweighs every doubt, whatever the order in which the news came; among the rest the latest attempt
speaks.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache


class MessageState(StrEnum):
    """Where a Message stands. Every one but delivered carries a reason."""

    queued = "queued"  # rendered, waits to leave
    sending = "sending"  # an attempt has begun and its outcome is not known yet
    retry = "retry"  # proved not accepted, will be tried again
    repeat = "repeat"  # may have been accepted, and will be asked again: counts as sent
    unknown = "unknown"  # may have been accepted; never resent on its own; counts as sent
    expired = "expired"  # its send_by passed before it could leave
    suppressed = "suppressed"  # a rule held it back: consent, suppression list, cap, unreachable
    cancelled = "cancelled"  # its person left, or a message of higher priority took its place
    rejected = "rejected"  # the provider proved it will not take it
    dead = "dead"  # given up after errors; a person decides
    dropped = "dropped"  # a person's word: it did not go out, and will not
    accepted = "accepted"  # the provider took responsibility
    delivered = "delivered"  # the provider says it arrived
    bounced = "bounced"  # it came back
    complained = "complained"  # its reader called it spam


class DeliveryKind(StrEnum):
    """One happening to a Message, appended."""

    held = "held"  # judged at the door and put off until an instant
    revived = "revived"  # a person's word: try it once more
    begun = "begun"  # commit 1: about to leave
    retry = "retry"
    repeat = "repeat"  # an attempt of it, this or an earlier one, may have been accepted; it is asked again
    unknown = "unknown"
    expired = "expired"
    suppressed = "suppressed"
    cancelled = "cancelled"
    rejected = "rejected"
    dead = "dead"
    dropped = "dropped"
    accepted = "accepted"
    delivered = "delivered"
    bounced = "bounced"
    complained = "complained"


_RANK: dict[DeliveryKind, int] = {
    DeliveryKind.held: 5,
    DeliveryKind.revived: 6,  # of an attempt of its own: it outweighs all that came of those before
    DeliveryKind.begun: 10,
    DeliveryKind.retry: 20,
    DeliveryKind.repeat: 25,
    DeliveryKind.unknown: 30,
    DeliveryKind.expired: 40,
    DeliveryKind.suppressed: 41,
    DeliveryKind.cancelled: 42,
    DeliveryKind.rejected: 50,
    DeliveryKind.dead: 60,
    DeliveryKind.dropped: 70,
}
_PROOF: dict[DeliveryKind, int] = {
    DeliveryKind.accepted: 1,
    DeliveryKind.delivered: 2,
    DeliveryKind.bounced: 3,
    DeliveryKind.complained: 4,
}
_STATE: dict[DeliveryKind, MessageState] = {
    DeliveryKind.held: MessageState.queued,
    DeliveryKind.revived: MessageState.retry,
    DeliveryKind.begun: MessageState.sending,
}
#: kinds after which a message waits to leave
WAITING = frozenset({DeliveryKind.held, DeliveryKind.revived, DeliveryKind.retry, DeliveryKind.repeat})

#: states in which the message did go out, or may have: these count against caps, with those still on their way
WENT = frozenset(
    {MessageState.accepted, MessageState.delivered, MessageState.bounced, MessageState.complained, MessageState.unknown}
)
ON_THE_WAY = frozenset({MessageState.queued, MessageState.sending, MessageState.retry, MessageState.repeat})
COUNTS = WENT | ON_THE_WAY
#: states that prove (or of which a person says) that the provider did not take it, so that the next wish may be tried
PROVED_NOT = frozenset({MessageState.rejected, MessageState.dead, MessageState.dropped})

#: what a state says of itself, where nobody has said more
IN_WORDS: dict[MessageState, str] = {
    MessageState.queued: "it waits to leave",
    MessageState.sending: "it has begun to leave, and no answer is kept yet",
    MessageState.accepted: "the provider took it",
    MessageState.bounced: "it came back",
    MessageState.complained: "its reader called it spam",
}


@lru_cache(maxsize=1_024)  # asked for every row
def weight(kind: DeliveryKind, attempt: int) -> int:
    """How heavily a delivery speaks; kept in its row, so that SQL folds with one max().

    Proof of acceptance outweighs everything; below it a later attempt outweighs an earlier one.
    """
    return _PROOF.get(kind, 0) * 1_000_000 + min(attempt, 999) * 1_000 + _RANK.get(kind, 0)


_BY_RANK = {rank: kind for kind, rank in _RANK.items()}
_BY_PROOF = {proof: kind for kind, proof in _PROOF.items()}


def read_weight(heaviest: int) -> tuple[DeliveryKind, int]:
    """The kind and attempt a weight was made of: the greatest weight of a message tells its whole state."""
    proof, rest = divmod(heaviest, 1_000_000)
    attempt, rank = divmod(rest, 1_000)
    return _BY_PROOF[proof] if proof else _BY_RANK[rank], attempt


def state_of(kind: DeliveryKind | None) -> MessageState:
    """The state a Message is in when `kind` is its heaviest delivery (None: nothing has happened to it yet)."""
    if kind is None:
        return MessageState.queued
    return _STATE.get(kind) or MessageState(kind.value)
