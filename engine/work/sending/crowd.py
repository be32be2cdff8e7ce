"""What counts beside messages that are about to leave, read in the transaction that commits their attempt.

Whoever begins an attempt holds its people, and the addresses that several share: what is counted here is still so at
the commit. Who has one message only, and an address of their own, is told apart by a count and costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.decide.outcome import MessageState
from engine.decide.state import Said
from engine.store import messages
from engine.store.messages import Standing
from engine.values import replace
from engine.work.sending.batches import Commit


@dataclass
class Crowd:
    """Messages by the person they count for; what leaves now counts for those judged after it."""

    _books: dict[int, dict[int, Said]] = field(default_factory=dict)
    _holders: dict[int, list[int]] = field(default_factory=dict)  # message -> the people it counts for
    itself: Mapping[int, Said] = field(default_factory=dict)  # those that are about to leave and are not alone

    def of(self, customer_id: int) -> tuple[Said, ...]:
        """All that may count for this person."""
        return tuple(self._books.get(customer_id, {}).values())

    def leaves(self, message_id: int, now: datetime) -> None:
        """This one begins."""
        for holder in self._holders.get(message_id, ()):
            book = self._books[holder]
            book[message_id] = replace(book[message_id], state=MessageState.sending, begun=True, counts_at=now)

    def add(self, customer_id: int, said: Iterable[Said]) -> None:
        """These may count for this person."""
        book = self._books.setdefault(customer_id, {})
        for one in said:
            book[one.id] = one
            self._holders.setdefault(one.id, []).append(customer_id)


def crowd(commit: Commit, rows: Sequence[Any], standing: Mapping[int, Standing], since: datetime) -> Crowd:
    """What may count beside these messages: a constant number of queries, whomever they are for."""
    found, connection = Crowd(), commit.connection
    if any(standing[row.id].several or standing[row.id].shared for row in rows):
        commit.notes.write()  # what just became of others counts
    several = sorted({row.customer_id for row in rows if standing[row.id].several})
    if several:
        for number, said in messages.of_people(connection, several, since).items():
            found.add(number, said)
    owners: dict[str, set[int]] = {}
    for row in rows:
        if standing[row.id].shared:
            owners.setdefault(row.address_hash, set()).add(row.customer_id)
    if owners:
        messages.hold_addresses(connection, owners)
        for number, said in messages.to_addresses(connection, owners, since).items():
            found.add(number, said)
    crowded = [row.id for row in rows if found.of(row.customer_id)]
    found.itself = messages.as_born(connection, crowded) if crowded else {}
    return found
